waybill_fuzz(http_answer_fuzz SOURCES fuzz/http_answer_fuzz.c LIBS wb_cli)
waybill_fuzz(status_file_fuzz SOURCES fuzz/status_file_fuzz.c LIBS wb_cli)
