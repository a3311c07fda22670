/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte of a message is always 1; others were for shared memory and never used. A request id
 * without its high bit has come through a device (a forwarder of nng's), whose hops stand before the
 * id: the sidecar's socket is for the agent beside it, so nothing may come that way. */
#include "sidecar/receivers/framing.h"

const uint8_t wb_framing_greeting[WB_FRAMING_HANDSHAKE] = {0, 'S', 'P', 0, 0, 0x31, 0, 0};
static const uint8_t req_handshake[WB_FRAMING_HANDSHAKE] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

const char *wb_framing_check_handshake(const uint8_t got[WB_FRAMING_HANDSHAKE])
{
    return memcmp(got, req_handshake, sizeof req_handshake) == 0 ? NULL : "not nng's REQ protocol";
}

const char *wb_framing_read_head(const uint8_t head[WB_FRAMING_HEAD], uint64_t max_bytes,
                                 uint64_t *len)
{
    uint64_t told = 0;
    for (int i = 1; i < WB_FRAMING_HEAD; i++) told = told << 8 | head[i];
    if (head[0] != 1) return "not nng's framing";
    if (told < WB_FRAMING_REQUEST_ID) return "a message without request id";
    if (told > max_bytes) return "a message larger than the limit";
    *len = told;
    return NULL;
}

const char *wb_framing_check_message(const uint8_t id[WB_FRAMING_REQUEST_ID])
{
    return id[0] & 0x80 ? NULL : "a message that came through a device";
}

void wb_framing_put_head(uint64_t len, uint8_t out[WB_FRAMING_HEAD])
{
    out[0] = 1;
    for (int i = 0; i < 8; i++) out[1 + i] = (uint8_t)(len >> (56 - 8 * i));
}
