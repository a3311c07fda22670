# The strict JSON reader, tokens, keys, trust, W3C context, and the carrier.
foreach(noun b64url baggage ed25519 keyring mint policy token trust verify w3c)
    waybill_test(propagation_${noun}_test SOURCES unit/propagation/${noun}_test.c
        unit/propagation/fixture.c LIBS wb_propagation PkgConfig::SODIUM)
endforeach()
waybill_test(core_json_test SOURCES unit/core/json_test.c LIBS wb_core)
waybill_test(a2a_carrier_test SOURCES unit/a2a/carrier_test.c LIBS wb_a2a)
