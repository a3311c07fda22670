# Warnings, hardening and sanitizers, in one place for every target.
set(WAYBILL_SANITIZE "" CACHE STRING "Sanitizers to build with: 'address,undefined' or 'thread'")

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef -Wimplicit-fallthrough
    -fno-common -fno-omit-frame-pointer)

if(WAYBILL_SANITIZE)
    add_compile_options(-fsanitize=${WAYBILL_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${WAYBILL_SANITIZE})
    if(WAYBILL_FUZZ) # coverage in the libraries too, or the fuzzer is blind beyond its own file
        add_compile_options(-fsanitize=fuzzer-no-link)
    endif()
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    # Sanitizers bring their own checks; fortify needs an optimised build. Level 3 also where a size is
    # known at run time only; older compilers and C libraries take it for 2.
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()

if(WAYBILL_DEB) # the folder of the build must not get into what is built
    # The build may lie in the sources; of two that fit, GCC takes the last.
    add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)
endif()

option(WAYBILL_COVERAGE "Count covered lines (Clang only); tools/coverage reads the counts" OFF)
if(WAYBILL_COVERAGE)
    add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
    add_link_options(-fprofile-instr-generate)
endif()

add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection
    -ftrivial-auto-var-init=zero)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION VERSION_LESS 16)
    # Clang before 16 takes the flag only together with its own acknowledgement.
    add_compile_options(-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang)
endif()
add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:-pie> -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
add_compile_definitions(_GNU_SOURCE WAYBILL_VERSION="${PROJECT_VERSION}")
