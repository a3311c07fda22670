# wb_otlp_oracle: protobuf-c's view of OTLP, and the messages that tests and benches are made of.
include_guard(GLOBAL)
add_library(wb_otlp_oracle STATIC ${CMAKE_SOURCE_DIR}/tests/support/otlp_sample.c
    ${CMAKE_SOURCE_DIR}/tests/support/otlp_compare.c ${CMAKE_SOURCE_DIR}/tests/support/wire_maker.c)
waybill_protobuf(wb_otlp_oracle support/otlp_oracle.proto)
target_link_libraries(wb_otlp_oracle PUBLIC wb_core PkgConfig::PROTOBUF_C)
