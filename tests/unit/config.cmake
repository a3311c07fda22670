waybill_test(config_test SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/core/config_test.c LIBS wb_core)

waybill_test(sidecar_config_test
    SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/sidecar/config_test.c ${CMAKE_SOURCE_DIR}/sidecar/config.c ${CMAKE_SOURCE_DIR}/sidecar/context.c
    LIBS wb_a2a wb_propagation wb_core)
target_compile_definitions(sidecar_config_test PRIVATE WAYBILL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
