# Helpers that tests in other languages start: build/*/bin/NAME.
add_executable(nng_echo support/nng_echo.c)
target_link_libraries(nng_echo PRIVATE nng::nng)

# Preloaded into the programs as they are; tests/fault/weather.py steers it.
add_library(fault_shim MODULE support/fault_shim.c)
set_target_properties(fault_shim PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin PREFIX "")
target_link_libraries(fault_shim PRIVATE ${CMAKE_DL_LIBS})
