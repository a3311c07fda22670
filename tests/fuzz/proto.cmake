include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)

foreach(target
        ipc_message
        log_batch
        otlp_from_json
        otlp_json
        otlp_walk
        otlp_walk_logs
        otlp_walk_metrics
        span_batch
        span_batch_edit)
    waybill_fuzz(${target}_fuzz SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/${target}_fuzz.c
        LIBS wb_proto wb_otlp_oracle)
endforeach()
