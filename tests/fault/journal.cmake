waybill_test(model_disk_test LABEL fault
    SOURCES fault/model_disk_test.c fault/journal_trial.c support/kv_table.c support/model_disk.c
    LIBS wb_journal)
