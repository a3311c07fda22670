if(WAYBILL_OTLP_RECEIVER)
    waybill_fuzz(grpc_head_fuzz SOURCES fuzz/grpc_head_fuzz.c LIBS wb_otlp_receivers)
    waybill_fuzz(grpc_message_fuzz SOURCES fuzz/grpc_message_fuzz.c LIBS wb_otlp_receivers)
endif()
