/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/ed25519.h: the one signature algorithm, with the rules that make every libsodium agree.
 * Source: TOKENS section 14; RFC 8032 section 5.1; RFC 7638 and 8037 for key ids. Thread-safe after
 * wb_self_test, which also initialises libsodium. */
#ifndef WAYBILL_PROPAGATION_ED25519_H
#define WAYBILL_PROPAGATION_ED25519_H

#include "core/slice.h"
#include "core/status.h"
#include "propagation/b64url.h"

enum { WB_KEY_BYTES = 32, WB_SEED_BYTES = 32, WB_SIG_BYTES = 64 };

/** Initialise libsodium and prove that it behaves: golden refusals, RFC 8037 A.3 and A.4, strict
 *  base64, the example token of TOKENS section 19 and its S + L twin. Call once before anything
 *  else of this folder; a failure means: do not start.
 *  Errors  UNAVAILABLE this libsodium must not be used; `err` names the failed test */
WB_MUST_USE wb_status wb_self_test(wb_error *err);

/** True iff `point` is the canonical encoding of a non-identity point of the prime-order subgroup.
 *  Asked once per public key at load, and for the R of each signature. */
WB_MUST_USE bool wb_ed25519_point_ok(const uint8_t point[WB_KEY_BYTES]);

/** [S]B = R + [k]A and S < L, for an A and an R that passed wb_ed25519_point_ok. */
WB_MUST_USE bool wb_ed25519_verify(const uint8_t sig[WB_SIG_BYTES], wb_slice message,
                                   const uint8_t key[WB_KEY_BYTES]);

/** The RFC 7638 thumbprint of a public key: 43 characters and a NUL. */
void wb_ed25519_kid(const uint8_t key[WB_KEY_BYTES], char kid[WB_HASH_B64 + 1]);

/** SHA-256. */
void wb_sha256(wb_slice bytes, uint8_t out[WB_HASH_BYTES]);

/** Equality in constant time, for hashes and keys. */
WB_MUST_USE bool wb_bytes_equal(const uint8_t *a, const uint8_t *b, size_t len);

#endif
