foreach(test row_table spans tables)
    waybill_test(delegation_${test}_test
        SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/delegation/${test}_test.c LIBS wb_delegation)
endforeach()
