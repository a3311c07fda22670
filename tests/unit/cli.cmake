waybill_test(cli_output_test SOURCES unit/cli/output_test.c LIBS wb_cli)
