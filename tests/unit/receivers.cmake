waybill_test(framing_test SOURCES unit/sidecar/framing_test.c LIBS wb_receivers)
