# The flood of tests/fault/cases/flood.py; its requests are those of the benches.
include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)
add_executable(flood fault/flood.c bench/bench.c bench/ipc_load.c bench/ipc_requests.c)
target_link_libraries(flood PRIVATE wb_a2a wb_propagation wb_proto wb_core wb_otlp_oracle nng::nng PkgConfig::SODIUM)
