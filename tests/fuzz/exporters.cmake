if(WAYBILL_OTLP_EXPORT)
    foreach(target otlp_reply otlp_header)
        waybill_fuzz(${target}_fuzz SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/${target}_fuzz.c
            LIBS wb_exporter_otlp wb_proto wb_core)
    endforeach()
endif()
waybill_fuzz(otlp_request_fuzz SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/otlp_request_fuzz.c LIBS wb_proto wb_core)
