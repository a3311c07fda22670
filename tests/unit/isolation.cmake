waybill_test(access_test SOURCES unit/sidecar/access_test.c ${CMAKE_SOURCE_DIR}/sidecar/access.c
    LIBS wb_core)
waybill_test(isolation_test SOURCES unit/sidecar/isolation_test.c ${CMAKE_SOURCE_DIR}/sidecar/access.c
    ${CMAKE_SOURCE_DIR}/sidecar/isolation.c LIBS wb_core)
