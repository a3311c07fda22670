# Helpers that tests in other languages start: build/*/bin/NAME.
add_executable(nng_echo support/nng_echo.c)
target_link_libraries(nng_echo PRIVATE nng::nng)
