# The OTLP/HTTP receiver, part by part, and what receivers share.
waybill_test(listen_test SOURCES unit/sidecar/listen_test.c LIBS wb_otlp_config wb_listen)
waybill_test(reach_test SOURCES unit/sidecar/reach_test.c LIBS wb_listen)
waybill_test(secret_file_test SOURCES unit/core/secret_file_test.c LIBS wb_core)
if(WAYBILL_OTLP_RECEIVER)
    foreach(part access answer body inflate)
        waybill_test(otlp_${part}_test SOURCES unit/sidecar/otlp_${part}_test.c LIBS wb_otlp_receivers PkgConfig::DEFLATE)
    endforeach()
endif()
