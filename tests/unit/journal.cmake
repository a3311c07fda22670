waybill_test(journal_frame_test SOURCES unit/sidecar/journal_frame_test.c LIBS wb_journal)
foreach(name behind commit full open reader)
    waybill_test(journal_${name}_test
        SOURCES unit/sidecar/journal_${name}_test.c support/journal_kit.c support/kv_table.c
            support/model_disk.c
        LIBS wb_journal)
endforeach()
