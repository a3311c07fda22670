if(WAYBILL_OTLP_RECEIVER)
    waybill_fuzz(otlp_http_fuzz SOURCES fuzz/otlp_http_fuzz.c LIBS wb_otlp_receivers)
endif()
