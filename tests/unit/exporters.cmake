if(WAYBILL_OTLP_EXPORT)
    foreach(noun reply settings)
        waybill_test(exporters_otlp_${noun}_test SOURCES unit/exporters/otlp_${noun}_test.c
            LIBS wb_exporter_otlp wb_proto wb_core)
    endforeach()
    waybill_test(exporters_otlp_deliver_test SOURCES unit/exporters/otlp_deliver_test.c support/loopback.c support/records.c
        LIBS wb_exporter_otlp wb_proto wb_core PkgConfig::CURL)
    waybill_test(exporters_otlp_grpc_answer_test SOURCES unit/exporters/otlp_grpc_answer_test.c support/loopback.c
        LIBS wb_exporter_otlp wb_proto wb_core PkgConfig::CURL)
    waybill_test(exporters_otlp_parts_test SOURCES unit/exporters/otlp_parts_test.c support/records.c
        LIBS wb_exporter_otlp wb_proto wb_core PkgConfig::DEFLATE)
endif()
