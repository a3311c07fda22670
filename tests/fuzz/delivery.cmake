waybill_fuzz(sampling_fuzz SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/sampling_fuzz.c LIBS wb_delivery)
