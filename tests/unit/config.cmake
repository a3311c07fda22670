waybill_test(config_test SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/core/config_test.c LIBS wb_core)

waybill_test(sidecar_config_test
    SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/sidecar/config_test.c
    LIBS wb_sidecar)
target_compile_definitions(sidecar_config_test PRIVATE WAYBILL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")

waybill_test(sidecar_config_enrich_test
    SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/unit/sidecar/config_enrich_test.c
    LIBS wb_sidecar)
