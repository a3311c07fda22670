/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/keyring.h: the agent's own keys. The only module that ever holds a secret key.
 * Files and rules: TOKENS section 13. Call wb_self_test first.
 *
 * A ring is what the key directory said when it was opened, and never changes; a reload opens another
 * one beside it and lets go of this one when its last user is done. */
#ifndef WAYBILL_PROPAGATION_KEYRING_H
#define WAYBILL_PROPAGATION_KEYRING_H

#include "core/slice.h"
#include "core/status.h"
#include "propagation/ed25519.h"
#include "propagation/trust.h"

#define WB_KEY_CURRENT_FILE "current.key"
#define WB_KEY_NEXT_FILE "next.key"

typedef struct wb_key_ring wb_key_ring;

typedef enum wb_key_role {
    WB_KEY_CURRENT, /* signs */
    WB_KEY_NEXT,    /* is published, and will sign */
    WB_KEY_RETIRED, /* signed once; only its public half is left */
} wb_key_role;

typedef struct wb_ring_key {
    wb_trust_key key; /* its window is open at both ends unless it is retired */
    wb_key_role role;
    uint64_t made_s; /* Unix seconds, current and next: when its file was laid down; retired: 0 */
} wb_ring_key;

/** Make a key: directory `dir` (0700, its parent must exist) and `dir`/current.key (0600), both
 *  synced. Never overwrites.
 *  Errors  REJECTED there is a current.key already | CONFIG the directory cannot be made or is open
 *          to others | UNAVAILABLE writing failed, or memory could not be locked */
WB_MUST_USE wb_status wb_key_new(const char *dir, wb_error *err);
/** The same for `dir`/next.key. */
WB_MUST_USE wb_status wb_key_new_next(const char *dir, wb_error *err);

/** Load `dir`: current.key, and next.key and retired/ if they are there. All of them belong together,
 *  also while mounted files are swapped. A key that stands in two places counts where it comes first.
 *  Errors  NOT_FOUND no current.key | CONFIG a file or a folder is open to others, belongs to someone
 *          else, a secret is linked twice, points outside `dir`, or is not a key whose id fits
 *          UNAVAILABLE memory could not be locked (raise RLIMIT_MEMLOCK) | NO_MEMORY */
WB_MUST_USE wb_status wb_key_ring_open(const char *dir, wb_key_ring **out, wb_error *err);

/** As above; where there is no key, make one first. *made says which (may be NULL). */
WB_MUST_USE wb_status wb_key_ring_open_or_new(const char *dir, wb_key_ring **out, bool *made,
                                              wb_error *err);

/** A ring of one key over a seed in hand, which is wiped. NO_MEMORY, UNAVAILABLE as above. */
WB_MUST_USE wb_status wb_key_ring_from_seed(uint8_t seed[WB_SEED_BYTES], wb_key_ring **out,
                                            wb_error *err);
void wb_key_ring_free(wb_key_ring *ring);
WB_DEFINE_AUTO(wb_key_ring)

/** The key that signs. Immutable facts; any thread. The kid is NUL-terminated and lives as long as the
 *  ring. */
const char *wb_key_ring_kid(const wb_key_ring *ring);
const uint8_t *wb_key_ring_public(const wb_key_ring *ring);

/** All keys: current, next if there is one, retired ones with the last that ended first; NULL behind
 *  the last. Any thread. */
const wb_ring_key *wb_key_ring_at(const wb_key_ring *ring, size_t i);
/** The key of that id, or NULL: what a token of our own was signed with. Any thread. */
const wb_ring_key *wb_key_ring_find(const wb_key_ring *ring, wb_slice kid);

/** The spiffe_sequence under which these keys are published: when the directory last changed, in Unix
 *  seconds, so it rises with each change. */
uint64_t wb_key_ring_sequence(const wb_key_ring *ring);

/** All keys of the ring as `id` publishes them: `out` borrows `id` and `keys`. */
void wb_key_ring_publish(const wb_key_ring *ring, wb_slice id, wb_trust_key keys[WB_TRUST_KEYS_MAX],
                         wb_trust_issuer *out);

/** Sign with the current key; any thread, concurrently. The key's pages are readable only while a call
 *  is inside; calls that overlap share one opening.
 *  Errors  UNAVAILABLE the pages could not be opened */
WB_MUST_USE wb_status wb_key_ring_sign(wb_key_ring *ring, wb_slice message,
                                       uint8_t sig[WB_SIG_BYTES]);

/** "current", "next", "retired". */
const char *wb_key_role_name(wb_key_role role);

#endif
