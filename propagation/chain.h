/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/chain.h: what must hold between the claims of a chain. The verifier asks it of what came,
 * the minter of what it is about to sign, so that both mean the same. Within propagation only.
 * TOKENS section 8 step 8 and section 9. Pure, thread-safe. */
#ifndef WAYBILL_PROPAGATION_CHAIN_H
#define WAYBILL_PROPAGATION_CHAIN_H

#include "propagation/token.h"

/** iat < exp <= iat + 600, exp <= dln <= iat + 86400: WB_E_TTL. */
bool wb_chain_times_ok(const wb_claims *c);

/** The pair rows for P -> C, in their order. `parent_hash` is of P's JWS. */
wb_token_code wb_chain_check_pair(const wb_claims *p, const uint8_t parent_hash[WB_HASH_BYTES],
                                  const wb_claims *c, uint64_t skew_s);

/** The last row: loops (unless `callbacks`) and the leaf's hop. `links` root first, n >= 1. */
wb_token_code wb_chain_check_all(const wb_claims *const *links, size_t n, bool callbacks);

#endif
