foreach(test markers row_table spans tables)
    waybill_test(delegation_${test}_test
        SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/delegation/${test}_test.c LIBS wb_delegation)
endforeach()

waybill_test(clock_watch_test SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/sidecar/clock_watch_test.c LIBS wb_sidecar)
