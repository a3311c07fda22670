# Third-party libraries, each found once. A folder links only what its job needs.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
if(WAYBILL_SQLITE)
    pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
endif()
if(WAYBILL_TESTS OR WAYBILL_BENCH)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

# Debian's libnng-dev ships a CMake package, but no pkg-config file.
find_package(nng CONFIG REQUIRED)
