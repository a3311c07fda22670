waybill_fuzz(config_fuzz
    SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/config_fuzz.c ${CMAKE_SOURCE_DIR}/sidecar/config.c ${CMAKE_SOURCE_DIR}/sidecar/context.c
    LIBS wb_a2a wb_propagation wb_core)
