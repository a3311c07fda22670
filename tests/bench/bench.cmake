# Each bench measures Waybill beside its raw building block; tests/bench/run runs them all.
include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)

add_library(wb_bench STATIC bench/bench.c)

function(waybill_bench name)
    cmake_parse_arguments(T "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${T_SOURCES})
    target_link_libraries(${name} PRIVATE ${T_LIBS} wb_bench)
endfunction()

waybill_bench(otlp_walk_bench SOURCES bench/otlp_walk_bench.c
    LIBS wb_pipeline wb_proto wb_otlp_oracle)
