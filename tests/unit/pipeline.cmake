include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)

waybill_test(pipeline_guard_test SOURCES unit/pipeline/guard_test.c LIBS wb_pipeline wb_otlp_oracle)

waybill_test(pipeline_rehome_test SOURCES unit/pipeline/rehome_test.c LIBS wb_pipeline wb_otlp_oracle)

waybill_test(pipeline_normalise_test SOURCES unit/pipeline/normalise_test.c LIBS wb_pipeline wb_otlp_oracle)

waybill_test(pipeline_secrets_test SOURCES unit/pipeline/secrets_test.c LIBS wb_pipeline wb_otlp_oracle)

waybill_test(pipeline_preview_test SOURCES unit/pipeline/preview_test.c LIBS wb_pipeline)

waybill_test(pipeline_measure_test SOURCES unit/pipeline/measure_test.c LIBS wb_pipeline wb_otlp_oracle)

waybill_test(pipeline_messages_test SOURCES unit/pipeline/messages_test.c LIBS wb_pipeline wb_otlp_oracle)
waybill_test(pipeline_enrich_test SOURCES unit/pipeline/enrich_test.c LIBS wb_pipeline wb_otlp_oracle)

if(NOT WAYBILL_SANITIZE)
    waybill_test(pipeline_alloc_test SOURCES unit/pipeline/alloc_test.c LIBS wb_pipeline wb_otlp_oracle)
    waybill_count_allocs(pipeline_alloc_test)
endif()

waybill_test(pipeline_redact_test SOURCES unit/pipeline/redact_test.c LIBS wb_pipeline wb_otlp_oracle)
