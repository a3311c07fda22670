foreach(noun hold keep_table sampling)
    waybill_test(delivery_${noun}_test SOURCES unit/delivery/${noun}_test.c LIBS wb_delivery wb_core m)
endforeach()
waybill_test(delivery_runner_test SOURCES unit/delivery/runner_test.c LIBS wb_delivery wb_journal wb_core)
