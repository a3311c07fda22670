# Each bench measures Waybill beside its raw building block; tests/bench/run runs them all.
include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)

add_library(wb_bench STATIC bench/bench.c)
target_link_libraries(wb_bench PUBLIC wb_core)
add_library(wb_bench_ipc STATIC bench/ipc_bench.c bench/ipc_load.c bench/ipc_requests.c
    bench/process.c bench/raw_blocks.c)
target_link_libraries(wb_bench_ipc PUBLIC wb_bench wb_a2a wb_propagation wb_proto wb_otlp_oracle
    nng::nng PkgConfig::SODIUM)

add_executable(raw_echo bench/raw_echo.c)
target_link_libraries(raw_echo PRIVATE nng::nng)

# A bench is a program NAME_bench; those that start waybilld need it built.
function(waybill_bench name)
    cmake_parse_arguments(T "" "" "LIBS;PROGRAMS" ${ARGN})
    add_executable(${name} bench/${name}.c)
    target_link_libraries(${name} PRIVATE ${T_LIBS} wb_bench)
    if(T_PROGRAMS)
        add_dependencies(${name} ${T_PROGRAMS})
    endif()
endfunction()

waybill_bench(otlp_walk_bench LIBS wb_pipeline wb_proto wb_otlp_oracle)
waybill_bench(otlp_json_bench LIBS wb_proto wb_otlp_oracle)
foreach(name ipc_mint ipc_accept record_commit idle backlog)
    waybill_bench(${name}_bench LIBS wb_bench_ipc PROGRAMS waybilld raw_echo)
endforeach()
add_executable(idle_libraries bench/idle_libraries.c)
target_link_libraries(idle_libraries PRIVATE wb_sidecar)
target_link_options(idle_libraries PRIVATE -Wl,--no-as-needed)
add_dependencies(idle_bench idle_libraries)
target_compile_definitions(idle_bench PRIVATE WAYBILL_OTLP_EXPORT=$<BOOL:${WAYBILL_OTLP_EXPORT}>
    WAYBILL_POSTGRES=$<BOOL:${WAYBILL_POSTGRES}>)
waybill_bench(client_span_bench LIBS wb_client wb_bench_ipc PROGRAMS waybilld)
if(WAYBILL_SQLITE)
    waybill_bench(store_bench LIBS wb_bench_ipc wb_exporter_sqlite wb_pipeline wb_proto
        wb_otlp_oracle PkgConfig::SQLITE)
    target_link_options(store_bench PRIVATE -Wl,--wrap=clock_gettime)
endif()
if(WAYBILL_OTLP_RECEIVER AND WAYBILL_OTLP_EXPORT)
    add_executable(bare_path bench/bare_path.c)
    target_link_libraries(bare_path PRIVATE wb_bench wb_proto PkgConfig::MICROHTTPD PkgConfig::CURL)
    add_library(wb_bench_http STATIC bench/grpc_load.c bench/http_side.c support/loopback.c)
    target_link_libraries(wb_bench_http PUBLIC wb_bench PkgConfig::NGHTTP2)
    waybill_bench(forward_bench LIBS wb_bench_http wb_bench_ipc wb_proto PROGRAMS waybilld bare_path)
endif()
if(WAYBILL_POSTGRES)
    waybill_bench(postgres_bench LIBS wb_bench_ipc wb_exporter_postgres wb_store wb_pipeline wb_proto
        wb_otlp_oracle PkgConfig::PQ)
    foreach(call PQsendQueryParams PQsendQuery PQputCopyData)
        target_link_options(postgres_bench PRIVATE -Wl,--wrap=${call})
    endforeach()
endif()
