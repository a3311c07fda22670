waybill_fuzz(ipc_framing_fuzz SOURCES fuzz/ipc_framing_fuzz.c LIBS wb_receivers)
waybill_fuzz(peer_host_fuzz SOURCES fuzz/peer_host_fuzz.c ${CMAKE_SOURCE_DIR}/sidecar/peer_key.c
    LIBS wb_core PkgConfig::SODIUM)
