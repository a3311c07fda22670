# The strict JSON reader, tokens, keys, trust, W3C context, and the carrier.
foreach(noun b64url baggage ed25519 keyring mint policy
        retired revoked token trust verify verify_keys w3c)
    waybill_test(propagation_${noun}_test SOURCES unit/propagation/${noun}_test.c
        unit/propagation/fixture.c unit/propagation/folder.c LIBS wb_propagation PkgConfig::SODIUM)
endforeach()
target_sources(propagation_ed25519_test PRIVATE support/edwards.c)
# Every step at which a rotation changes the disk is a place to stop at, in a child of the test, or to fail.
# It has one thread, so the thread sanitizer has nothing to look at; its runtime now and then hangs in a child.
if(NOT WAYBILL_SANITIZE MATCHES "thread")
    waybill_test(propagation_rotation_test SOURCES unit/propagation/rotation_test.c
        unit/propagation/fixture.c unit/propagation/folder.c LIBS wb_propagation PkgConfig::SODIUM)
    target_link_options(propagation_rotation_test PRIVATE -Wl,--wrap=mkdir,--wrap=write,--wrap=fsync
        -Wl,--wrap=renameat,--wrap=renameat2,--wrap=unlinkat)
endif()
waybill_test(core_json_test SOURCES unit/core/json_test.c LIBS wb_core)
waybill_test(a2a_carrier_test SOURCES unit/a2a/carrier_test.c LIBS wb_a2a)
