waybill_test(core_paths_test SOURCES unit/core/paths_test.c LIBS wb_core)
waybill_test(core_store_url_test SOURCES unit/core/store_url_test.c LIBS wb_core)
if(WAYBILL_SQLITE)
    foreach(noun read follow logs)
        waybill_test(store_${noun}_test
            SOURCES unit/store/${noun}_test.c support/store_kit.c support/records.c
            LIBS wb_exporter_sqlite wb_store wb_proto wb_core)
    endforeach()
    target_link_libraries(store_logs_test PRIVATE PkgConfig::SQLITE)
    # Not a test: fills a store for tests/integration/test_cli_read.py.
    add_executable(store_fill support/store_fill.c support/records.c)
    target_link_libraries(store_fill PRIVATE wb_exporter_sqlite wb_exporter_postgres wb_proto wb_core)
endif()
waybill_test(proto_store_cells_test SOURCES unit/proto/store_cells_test.c support/records.c LIBS wb_proto wb_core)
