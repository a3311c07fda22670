waybill_fuzz(config_fuzz
    SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/config_fuzz.c
    LIBS wb_sidecar)
