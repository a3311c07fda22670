# What a reload swaps, what bounds strangers, and what explains refusals.
waybill_test(propagation_refusal_test SOURCES unit/propagation/refusal_test.c LIBS wb_propagation)
foreach(noun notify rate refusals watch world)
    waybill_test(sidecar_${noun}_test SOURCES unit/sidecar/${noun}_test.c LIBS wb_sidecar)
endforeach()
