# Programs with one fault each; tests/support/planted.py runs them in the sanitizer builds.
if(WAYBILL_SANITIZE)
    foreach(fault leak race undefined)
        add_executable(planted_${fault} ${CMAKE_CURRENT_SOURCE_DIR}/support/planted_${fault}.c)
        target_link_libraries(planted_${fault} PRIVATE Threads::Threads)
    endforeach()
endif()
