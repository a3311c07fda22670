include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)

waybill_test(otlp_walk_test SOURCES unit/proto/otlp_walk_test.c LIBS wb_proto wb_otlp_oracle)
waybill_test(span_batch_test SOURCES unit/proto/span_batch_test.c LIBS wb_proto wb_otlp_oracle)
