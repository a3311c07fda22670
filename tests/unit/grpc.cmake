if(WAYBILL_OTLP_RECEIVER)
    foreach(part answer head message)
        waybill_test(grpc_${part}_test SOURCES unit/sidecar/grpc_${part}_test.c LIBS wb_otlp_receivers)
    endforeach()
    waybill_test(grpc_receiver_test SOURCES unit/sidecar/grpc_receiver_test.c support/grpc_host.c support/h2_client.c
        LIBS wb_otlp_receivers PkgConfig::NGHTTP2)
endif()
