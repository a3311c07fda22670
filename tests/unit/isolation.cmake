waybill_test(access_test SOURCES unit/sidecar/access_test.c ${CMAKE_SOURCE_DIR}/sidecar/access.c
    LIBS wb_core)
waybill_test(isolation_test SOURCES unit/sidecar/isolation_test.c ${CMAKE_SOURCE_DIR}/sidecar/access.c
    ${CMAKE_SOURCE_DIR}/sidecar/isolation.c LIBS wb_core)

waybill_test(sandbox_test SOURCES unit/sidecar/sandbox_test.c LIBS wb_sandbox)
# The same where nothing is built in.
waybill_test(sandbox_none_test SOURCES unit/sidecar/sandbox_test.c
    ${CMAKE_SOURCE_DIR}/sidecar/sandbox/sandbox.c ${CMAKE_SOURCE_DIR}/sidecar/sandbox/landlock_none.c
    ${CMAKE_SOURCE_DIR}/sidecar/sandbox/seccomp_none.c LIBS wb_core)

# Preloaded by tests/integration/test_sandbox.py and test_otlp_access.py.
foreach(name intruder no_netlink old_kernel)
    add_library(${name} SHARED support/${name}.c)
    target_link_options(${name} PRIVATE -no-pie)
    set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endforeach()
