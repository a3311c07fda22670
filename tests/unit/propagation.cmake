# The strict JSON reader, tokens, keys, trust, W3C context, and the carrier.
foreach(noun mint token verify)
    waybill_test(propagation_${noun}_test SOURCES unit/propagation/${noun}_test.c
        unit/propagation/fixture.c LIBS wb_propagation PkgConfig::SODIUM)
endforeach()
