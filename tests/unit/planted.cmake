# Programs with one fault each; tests/support/planted.py runs them in the sanitizer builds.
if(WAYBILL_SANITIZE)
    foreach(fault leak race undefined)
        add_executable(planted_${fault} ${CMAKE_CURRENT_SOURCE_DIR}/support/planted_${fault}.c)
        target_link_libraries(planted_${fault} PRIVATE Threads::Threads)
    endforeach()
endif()
if(TARGET wb_oom)
    configure_file(${CMAKE_CURRENT_SOURCE_DIR}/support/planted_oom_pair.c ${CMAKE_BINARY_DIR}/gen/planted_oom_pair.c
        COPYONLY)
    add_executable(planted_oom support/planted_oom.c ${CMAKE_BINARY_DIR}/gen/planted_oom_pair.c)
    target_link_libraries(planted_oom PRIVATE PkgConfig::CMOCKA)
    waybill_oom_wrap(planted_oom)
endif()
