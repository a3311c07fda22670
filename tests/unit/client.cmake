include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)
# The C client's body digest, and a program through which Python compares it with its own.
foreach(noun base64 digest)
    waybill_test(client_${noun}_test SOURCES unit/client/${noun}_test.c LIBS wb_client_inside)
endforeach()
add_executable(digest_feed support/digest_feed.c)
target_link_libraries(digest_feed PRIVATE wb_client_inside)

# The spans' test takes the recorder's place.
waybill_test(client_span_test SOURCES unit/client/span_test.c ${CMAKE_SOURCE_DIR}/client/span.c
    ${CMAKE_SOURCE_DIR}/client/context.c LIBS wb_otlp_oracle wb_core)

# An agent in C for tests/integration/test_c_client.py: the shared library and its header, as installed.
add_executable(client_driver support/client_driver.c)
target_link_libraries(client_driver PRIVATE wb_client Threads::Threads)

if(NOT WAYBILL_SANITIZE) # they have an allocator of their own
    waybill_test(client_span_alloc_test SOURCES unit/client/span_alloc_test.c LIBS wb_client_inside)
    waybill_count_allocs(client_span_alloc_test)
endif()
