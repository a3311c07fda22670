/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/verify.h: is this chain true, for us, now, for this message? TOKENS sections 8 to 10.
 * Pure functions over what they are given: no clock, no files, no state; any thread. */
#ifndef WAYBILL_PROPAGATION_VERIFY_H
#define WAYBILL_PROPAGATION_VERIFY_H

#include "core/arena.h"
#include "propagation/keyring.h"
#include "propagation/revoked.h"
#include "propagation/token.h"
#include "propagation/trust.h"

enum { WB_VERIFY_ARENA_BYTES = 2 * 1024 * 1024 }; /* more than any chain within the limits takes */

/* What the client says about the message it holds. Slices: len 0 = absent. */
typedef struct wb_message_facts {
    wb_slice method; /* by its 1.0 name */
    wb_slice message_id;
    wb_slice context_id; /* as in the message */
    wb_slice task_id;
    bool has_digest; /* false: the client could not make one */
    uint8_t digest[WB_HASH_BYTES];
    wb_slice traceparent; /* the header, as claimed */
} wb_message_facts;

typedef struct wb_verify_input {
    uint64_t now_s;
    uint64_t skew_s;
    const wb_slice *self_ids; /* own ids, the first is our iss */
    size_t n_self_ids;
    const wb_key_ring *ring; /* the keys of our own ids; NULL: none at hand */
    const wb_trust *trust;
    const wb_revoked *revoked; /* NULL: nothing is revoked */
    const wb_policies *policies;
    wb_token_code carrier; /* NONE, MISSING or CARRIER, from a2a/carrier.h */
    wb_chain chain;        /* if carrier is NONE */
    wb_slice peer_id;      /* agent id that the transport authenticated or `peers:` maps; empty */
    wb_message_facts message;
    wb_slice task_sub, task_iss; /* recorded owner of message.task_id; empty: none recorded */
    uint64_t purged_exp_s;       /* highest exp whose replay row was ever purged; 0: none */
    uint64_t recovered_s;        /* when a journal gap was found; 0: never */
    /* Step 11: take one from the rate bucket of the transport peer; false: it is empty. NULL: no
     * limit. Called once at most, exactly when step 11 is reached, so what fails before costs a peer
     * nothing and each signature that is checked was paid for. */
    bool (*rate_take)(void *self);
    void *rate_self;
} wb_verify_input;

typedef struct wb_verify_result {
    wb_token_code code;          /* the first failing check of steps 1 to 14; NONE: all passed */
    uint32_t signatures_checked; /* what the answer cost; a chain whose leaf is forged, 1 at most */
    bool proven;                 /* every link verified up to a root: the chain speaks for `sub` */
    size_t n_links;              /* 0 unless all links could be parsed */
    const wb_token *links;       /* root first; in the arena */
    const wb_token *leaf; /* NULL unless all links could be parsed: claims, hash. Past step 12 they
                               are true; before it (soft codes too) they are only what is claimed */
    wb_slice speaks_for;  /* code NONE: `sub` if proven, else the leaf's iss: the trace's owner */
    uint32_t warnings;    /* WB_W_* bits */
    wb_trust_policy policy; /* of the leaf's iss, or of peer_id if there is no leaf */
} wb_verify_result;

/** Steps 1 to 14 of TOKENS section 8, and all of section 9, in their order; the first failing check
 *  gives the code. Steps 15 to 17 need durable state and the
 *  policy: wb_verdict_decide.
 *  Status  OK with any code | NO_MEMORY arena limit: nothing was decided */
WB_MUST_USE wb_status wb_token_verify(const wb_verify_input *in, wb_arena *arena,
                                      wb_verify_result *out);

/* Step 15: what the replay table says of (leaf iss, leaf jti). */
typedef enum wb_replay_outcome {
    WB_REPLAY_NEW = 0, /* no row, and room for one */
    WB_REPLAY_SAME,    /* a row with this hash */
    WB_REPLAY_OTHER,   /* a row with another hash */
    WB_REPLAY_NO_ROOM, /* no row, no room */
} wb_replay_outcome;

/* Numbered as waybill.v1.Verdict. */
typedef enum wb_verdict_kind {
    WB_VERDICT_CONTINUE = 1,
    WB_VERDICT_LINK = 2,
    WB_VERDICT_DUPLICATE = 3,
    WB_VERDICT_REJECT = 4,
} wb_verdict_kind;

typedef struct wb_verdict {
    wb_verdict_kind kind;
    bool verified;          /* CONTINUE, verified LINK, DUPLICATE */
    wb_token_code code;     /* of REJECT, or the soft code of an unverified LINK */
    const char *wire_class; /* of REJECT, "replayed" of DUPLICATE, else "" */
    uint32_t warnings;
} wb_verdict;

/** Steps 15 to 17 and the table of TOKENS section 10.
 *  replay          ignored unless result->code is NONE
 *  owner_conflict  the trace has an owner other than result->speaks_for, or no room for a row
 *  A new replay row is written iff `kind` is CONTINUE, or LINK with `verified`. */
wb_verdict wb_verdict_decide(const wb_verify_result *result, wb_replay_outcome replay,
                             bool owner_conflict);

/** "CONTINUE", "LINK", "DUPLICATE", "REJECT". */
const char *wb_verdict_name(wb_verdict_kind kind);

#endif
