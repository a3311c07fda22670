if(WAYBILL_POSTGRES)
    find_package(Python3 REQUIRED COMPONENTS Interpreter)
    add_executable(contract_postgres_test contract/postgres_contract_test.c
        contract/exporter_contract.c contract/stored_state.c support/records.c)
    target_link_libraries(contract_postgres_test PRIVATE wb_exporter_postgres wb_store wb_proto
        wb_core PkgConfig::CMOCKA)
    # Against a server of its own.
    add_test(NAME contract_postgres_test COMMAND ${Python3_EXECUTABLE}
        ${CMAKE_SOURCE_DIR}/tests/support/postgres.py $<TARGET_FILE:contract_postgres_test>)
    set_tests_properties(contract_postgres_test PROPERTIES LABELS contract TIMEOUT 300)
endif()
