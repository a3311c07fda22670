waybill_fuzz(journal_frame_fuzz
    SOURCES fuzz/journal_frame_fuzz.c support/journal_kit.c support/kv_table.c support/model_disk.c
    LIBS wb_journal)
