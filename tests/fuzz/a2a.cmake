waybill_fuzz(origin_fuzz SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/origin_fuzz.c LIBS wb_a2a)
