# The published vectors: what tests/vectors/test_vectors.py runs them through.
add_executable(vector_verify support/vector_verify.c)
target_link_libraries(vector_verify PRIVATE wb_a2a wb_propagation PkgConfig::CJSON)
