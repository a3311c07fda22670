# Canonical JSON, and the parts of a message as the C client reads them.
waybill_fuzz(jcs_fuzz SOURCES fuzz/jcs_fuzz.c LIBS wb_core)
waybill_fuzz(a2a_parts_fuzz SOURCES fuzz/a2a_parts_fuzz.c LIBS wb_client_inside)
waybill_fuzz(client_headers_fuzz SOURCES fuzz/client_headers_fuzz.c LIBS wb_client_inside)
