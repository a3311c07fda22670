# A program that tests/integration/test_otlp_contract.py and the peers tier run against backends that they start.
if(WAYBILL_OTLP_EXPORT)
    add_executable(otlp_contract ${CMAKE_CURRENT_SOURCE_DIR}/contract/otlp_contract.c
        ${CMAKE_CURRENT_SOURCE_DIR}/contract/exporter_contract.c ${CMAKE_CURRENT_SOURCE_DIR}/support/records.c)
    target_link_libraries(otlp_contract PRIVATE wb_exporter_otlp wb_proto wb_core PkgConfig::CMOCKA)
endif()
