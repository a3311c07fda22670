foreach(noun hold keep_table sampling)
    waybill_test(delivery_${noun}_test SOURCES unit/delivery/${noun}_test.c LIBS wb_delivery wb_core m)
endforeach()
foreach(noun rules runner runner_parts runner_sampling runner_skip)
    waybill_test(delivery_${noun}_test SOURCES unit/delivery/${noun}_test.c unit/delivery/runner_kit.c support/records.c
        LIBS wb_delivery wb_journal wb_proto wb_core)
endforeach()
waybill_test(delivery_runner_less_test SOURCES unit/delivery/runner_less_test.c unit/delivery/runner_kit.c support/records.c
    LIBS wb_delivery wb_pipeline wb_journal wb_proto wb_core)
