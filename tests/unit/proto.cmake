# The OTLP walk, what reads, edits and renders its batches, and the IPC messages' allocator.
include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)

foreach(noun key_set otlp_walk otlp_read otlp_item_to_json span_batch span_batch_edit arena_alloc texts
        metric_build otlp_from_json json_value otlp_walk_logs otlp_walk_metrics log_batch otlp_split otlp_to_json)
    waybill_test(proto_${noun}_test SOURCES unit/proto/${noun}_test.c LIBS wb_proto wb_otlp_oracle)
endforeach()
waybill_test(core_utf8_test SOURCES unit/core/utf8_test.c LIBS wb_core)

# For tests/vectors/test_otlp_oracle.py.
add_executable(otlp_feed support/otlp_feed.c)
target_link_libraries(otlp_feed PRIVATE wb_proto)
