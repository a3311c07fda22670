/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/framing.h: nng's framing of REQ/REP over a Unix socket, as bytes. No memory, no
 * input or output; any thread. Source: nanomsg's SP over IPC mapping (rfc/sp-ipc-mapping-01).
 *
 *   handshake  00 'S' 'P' 00, protocol u16 (client 0x30 REQ, we 0x31 REP), 00 00
 *   message    01, length u64, then that many bytes: request id u32 with the high bit set, and a body
 *
 * all numbers big-endian. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_FRAMING_H
#define WAYBILL_SIDECAR_RECEIVERS_FRAMING_H

#include "core/slice.h"

enum {
    WB_FRAMING_HANDSHAKE = 8,
    WB_FRAMING_HEAD = 9,       /* of a message: its first byte and its length */
    WB_FRAMING_REQUEST_ID = 4, /* at the front of what the length counts */
};

/* What we say first. */
extern const uint8_t wb_framing_greeting[WB_FRAMING_HANDSHAKE];

/** Each returns what is wrong, for the log, or NULL. */
const char *wb_framing_check_handshake(const uint8_t got[WB_FRAMING_HANDSHAKE]);
/** *len is written if nothing is wrong: from WB_FRAMING_REQUEST_ID to max_bytes. */
const char *wb_framing_read_head(const uint8_t head[WB_FRAMING_HEAD], uint64_t max_bytes,
                                 uint64_t *len);
const char *wb_framing_check_message(const uint8_t id[WB_FRAMING_REQUEST_ID]);

/** The head of a message of `len` bytes, request id included. */
void wb_framing_put_head(uint64_t len, uint8_t out[WB_FRAMING_HEAD]);

#endif
