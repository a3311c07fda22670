waybill_fuzz(normalise_fuzz SOURCES fuzz/normalise_fuzz.c LIBS wb_pipeline)
waybill_fuzz(redact_fuzz SOURCES fuzz/redact_fuzz.c LIBS wb_pipeline)
waybill_fuzz(secrets_fuzz SOURCES fuzz/secrets_fuzz.c LIBS wb_pipeline)

waybill_fuzz(enrich_fuzz SOURCES fuzz/enrich_fuzz.c LIBS wb_pipeline)
