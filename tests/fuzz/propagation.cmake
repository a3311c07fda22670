# Every parser of bytes that come from outside, from the JSON text up to the chain.
waybill_fuzz(json_fuzz SOURCES fuzz/json_fuzz.c LIBS wb_core)
waybill_fuzz(b64_fuzz SOURCES fuzz/b64_fuzz.c LIBS wb_propagation)
waybill_fuzz(jws_fuzz SOURCES fuzz/jws_fuzz.c fuzz/token_world.c LIBS wb_propagation)
waybill_fuzz(claims_fuzz SOURCES fuzz/claims_fuzz.c fuzz/token_world.c LIBS wb_propagation)
waybill_fuzz(carrier_fuzz SOURCES fuzz/carrier_fuzz.c fuzz/token_world.c LIBS wb_a2a)
waybill_fuzz(traceparent_fuzz SOURCES fuzz/traceparent_fuzz.c LIBS wb_propagation)
waybill_fuzz(baggage_fuzz SOURCES fuzz/baggage_fuzz.c LIBS wb_propagation)
waybill_fuzz(trust_fuzz SOURCES fuzz/trust_fuzz.c LIBS wb_propagation)
