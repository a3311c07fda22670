/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/keyring.h: the agent's own signing key. The only module that ever holds a secret key.
 * Files and rules: TOKENS section 13. Call wb_self_test first. */
#ifndef WAYBILL_PROPAGATION_KEYRING_H
#define WAYBILL_PROPAGATION_KEYRING_H

#include "core/slice.h"
#include "core/status.h"
#include "propagation/ed25519.h"

typedef struct wb_key_ring wb_key_ring;

/** Make a key: directory `dir` (0700, its parent must exist) and `dir`/current.key (0600), both
 *  synced. Never overwrites.
 *  Errors  REJECTED there is a current.key already | CONFIG the directory cannot be made or is open
 *          to others | UNAVAILABLE writing failed */
WB_MUST_USE wb_status wb_key_new(const char *dir, wb_error *err);

/** Load `dir`/current.key.
 *  Errors  NOT_FOUND no such file | CONFIG the file or a folder is open to others, belongs to someone
 *          else, is linked twice, points outside `dir`, or is not a key whose id fits
 *          UNAVAILABLE memory could not be locked (raise RLIMIT_MEMLOCK) | NO_MEMORY */
WB_MUST_USE wb_status wb_key_ring_open(const char *dir, wb_key_ring **out, wb_error *err);

/** As above; where there is no key, make one first. *made says which (may be NULL). */
WB_MUST_USE wb_status wb_key_ring_open_or_new(const char *dir, wb_key_ring **out, bool *made,
                                              wb_error *err);

/** A ring over a seed in hand, which is wiped. NO_MEMORY, UNAVAILABLE as wb_key_ring_open. */
WB_MUST_USE wb_status wb_key_ring_from_seed(uint8_t seed[WB_SEED_BYTES], wb_key_ring **out,
                                            wb_error *err);
void wb_key_ring_free(wb_key_ring *ring);
WB_DEFINE_AUTO(wb_key_ring)

/** Immutable facts; any thread. The kid is NUL-terminated and lives as long as the ring. */
const char *wb_key_ring_kid(const wb_key_ring *ring);
const uint8_t *wb_key_ring_public(const wb_key_ring *ring);

/** Sign; any thread, concurrently. The key's pages are readable only while a call is inside.
 *  Errors  UNAVAILABLE the pages could not be opened */
WB_MUST_USE wb_status wb_key_ring_sign(wb_key_ring *ring, wb_slice message,
                                       uint8_t sig[WB_SIG_BYTES]);

#endif
