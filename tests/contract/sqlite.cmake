if(WAYBILL_SQLITE)
    waybill_test(contract_sqlite_test LABEL contract
        SOURCES contract/sqlite_contract_test.c contract/exporter_contract.c contract/stored_state.c support/records.c
        LIBS wb_exporter_sqlite wb_store wb_proto wb_core)
endif()
