waybill_test(a2a_target_test SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/a2a/target_test.c LIBS wb_a2a)
