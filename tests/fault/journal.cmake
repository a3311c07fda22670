waybill_test(model_disk_test LABEL fault
    SOURCES fault/model_disk_test.c fault/journal_trial.c support/kv_table.c support/model_disk.c
    LIBS wb_journal)
waybill_test(journal_flip_test LABEL fault
    SOURCES fault/journal_flip_test.c support/journal_kit.c support/kv_table.c support/model_disk.c
    LIBS wb_journal)
