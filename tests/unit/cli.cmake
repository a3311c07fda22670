waybill_test(cli_output_test SOURCES unit/cli/output_test.c LIBS wb_cli)
# Another user than the one who started it: no leak checker gets at it, so no allocation is failed.
waybill_test(cli_probe_test LABEL user SOURCES unit/cli/probe_test.c LIBS wb_cli)
waybill_test(cli_top_test SOURCES unit/cli/top_test.c LIBS wb_cli)
