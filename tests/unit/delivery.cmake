waybill_test(delivery_runner_test SOURCES unit/delivery/runner_test.c LIBS wb_delivery wb_journal wb_core)
