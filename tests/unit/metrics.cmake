# What /metrics says, and how it looks at a process that may be stuck.
waybill_test(sidecar_metrics_text_test SOURCES unit/sidecar/metrics_text_test.c LIBS wb_sidecar)
target_compile_definitions(sidecar_metrics_text_test PRIVATE WAYBILL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
waybill_test(sidecar_process_stats_test SOURCES unit/sidecar/process_stats_test.c LIBS wb_sidecar)
waybill_test(sidecar_look_test
    SOURCES unit/sidecar/look_test.c support/journal_kit.c support/kv_table.c support/model_disk.c
    LIBS wb_sidecar)
waybill_test(sidecar_metrics_genai_test SOURCES unit/sidecar/metrics_genai_test.c LIBS wb_sidecar)
