/* SPDX-License-Identifier: Apache-2.0 */
/* a2a/carrier.h: the value of metadata[WB_EXTENSION_URI] in a message, read and written.
 * Format: TOKENS section 2. Thread-safe. */
#ifndef WAYBILL_A2A_CARRIER_H
#define WAYBILL_A2A_CARRIER_H

#include "core/arena.h"
#include "core/buffer.h"
#include "propagation/token.h"

typedef struct wb_carrier {
    wb_chain chain; /* slices live in the text or the arena */
    uint8_t salt[WB_SALT_BYTES];
} wb_carrier;

/** Read {"v":"1","chain":[...],"salt":"..."}: each member once, no others; `v` a string or a number
 *  equal to 1. Any number of links and any length of a link is a carrier: the verifier counts them.
 *  code    NONE; MISSING: `text` is empty or the value null; CARRIER: any other shape
 *  Status  OK with any code; `out` is filled on NONE only | NO_MEMORY arena limit (256 KiB do) */
WB_MUST_USE wb_status wb_carrier_parse(wb_slice text, wb_arena *arena, wb_carrier *out,
                                       wb_token_code *code);

/** Append the carrier's JSON, without white space. NO_MEMORY at the buffer's limit. */
WB_MUST_USE wb_status wb_carrier_format(const wb_carrier *carrier, wb_buffer *out);

#endif
