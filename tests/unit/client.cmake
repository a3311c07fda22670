# The C client's body digest, and a program through which Python compares it with its own.
foreach(noun base64 digest)
    waybill_test(client_${noun}_test SOURCES unit/client/${noun}_test.c LIBS wb_client_inside)
endforeach()
add_executable(digest_feed support/digest_feed.c)
target_link_libraries(digest_feed PRIVATE wb_client_inside)
