waybill_fuzz(http_answer_fuzz SOURCES fuzz/http_answer_fuzz.c LIBS wb_cli)
