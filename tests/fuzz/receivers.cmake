waybill_fuzz(ipc_framing_fuzz SOURCES fuzz/ipc_framing_fuzz.c LIBS wb_receivers)
