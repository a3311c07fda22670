waybill_test(bench_report_test SOURCES unit/bench/report_test.c bench/bench.c LIBS wb_core LABEL bench)
