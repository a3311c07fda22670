/* SPDX-License-Identifier: Apache-2.0 */
/* core/sha256.h: SHA-256 for what may not depend on libsodium, that is the C client. Whoever has
 * libsodium uses that. No memory taken; one thread at a time per state.
 * Source: FIPS 180-4 section 6.2 */
#ifndef WAYBILL_CORE_SHA256_H
#define WAYBILL_CORE_SHA256_H

#include "core/slice.h"

enum { WB_SHA256_LEN = 32, WB_SHA256_BLOCK = 64 };

typedef struct wb_sha256_state {
    uint32_t h[8];
    uint64_t len; /* bytes added so far; what of them fills no block yet is in `block` */
    uint8_t block[WB_SHA256_BLOCK];
} wb_sha256_state;

void wb_sha256_start(wb_sha256_state *state);
void wb_sha256_add(wb_sha256_state *state, wb_slice bytes);
/** The hash of all that was added. The state is used up: start it again. */
void wb_sha256_end(wb_sha256_state *state, uint8_t out[WB_SHA256_LEN]);

#endif
