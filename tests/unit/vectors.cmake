# The published vectors: what tests/vectors/test_vectors.py runs them through.
add_executable(vector_verify support/vector_verify.c)
target_link_libraries(vector_verify PRIVATE wb_a2a wb_propagation PkgConfig::CJSON)
add_executable(accept_host support/accept_host.c)
target_link_libraries(accept_host PRIVATE wb_sidecar)
waybill_test(a2a_carrier_flip_test SOURCES unit/a2a/carrier_flip_test.c fuzz/token_world.c LIBS wb_a2a)
