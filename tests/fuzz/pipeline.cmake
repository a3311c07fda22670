waybill_fuzz(normalise_fuzz SOURCES fuzz/normalise_fuzz.c LIBS wb_pipeline)
