waybill_test(access_test SOURCES unit/sidecar/access_test.c ${CMAKE_SOURCE_DIR}/sidecar/access.c
    LIBS wb_core)
