/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/mint.h: write and sign tokens. TOKENS sections 3 to 5, 7 and 9. Any thread. */
#ifndef WAYBILL_PROPAGATION_MINT_H
#define WAYBILL_PROPAGATION_MINT_H

#include "core/arena.h"
#include "propagation/keyring.h"
#include "propagation/token.h"
#include "propagation/trust.h"

/* The acceptance under which work is handed on; NULL for a plain root. */
typedef struct wb_mint_parent {
    const wb_claims *leaf; /* of the accepted token */
    uint8_t leaf_hash[WB_HASH_BYTES];
    const wb_chain *chain; /* as accepted: for the sent chain, and to meet no issuer twice */
    bool linked;           /* accepted with a verified LINK: the new token is a LINK root */
    wb_token_limits free;  /* of the pool: the grant less what is spent and reserved; the grant's
                                 own `lim` where no ledger is kept. `ms` is the grant's */
} wb_mint_parent;

/* What the client asks for, and what the sidecar adds. Slices are borrowed into the claims. */
typedef struct wb_mint_ask {
    uint64_t now_s, skew_s;
    wb_slice iss;    /* own id */
    const char *kid; /* wb_key_ring_kid of the key that will sign */
    wb_slice aud;    /* the one agent that may accept */
    wb_id jti;
    wb_trace_id tid; /* of a root; a child takes its parent's */
    wb_span_id psid; /* the delegation's span */
    uint8_t tfl;
    wb_slice method, message_id, context_id, task_id;
    uint8_t digest[WB_HASH_BYTES];
    char cur[WB_CURRENCY_LEN + 1]; /* "": the parent's, or USD */
    bool has_cost, has_tok, has_ms;
    uint64_t cost, tok, ms;
    uint64_t deadline_s; /* 0: the default */
    uint64_t lifetime_s; /* exp - iat, at most WB_EXP_MAX_S; 0: WB_EXP_DEFAULT_S */
    bool has_max_depth;
    uint8_t max_depth;          /* mxd of a root; without it WB_MXD_DEFAULT */
    bool callbacks;             /* trust.callbacks */
    const wb_token_limits *own; /* the pool of a plain root; NULL: without a limit */
    bool has_share;
    uint32_t share_percent; /* of what is free, for who does not ask; without it WB_SHARE_DEFAULT */
} wb_mint_ask;

enum { WB_SHARE_DEFAULT = 25 };

/** Section 7.3: what the new token's `lim` will be.
 *  Errors  DENIED the ask is above the pool's free cost or tok, or the grant's ms, or in another
 *          currency; `err` says the remainder, for the local caller only */
WB_MUST_USE wb_status wb_mint_limits(const wb_mint_parent *parent, const wb_mint_ask *ask,
                                     wb_token_limits *out, wb_error *err);

/** Fill the claims of a root, a child or a LINK root by TOKENS section 7, and check them as the
 *  verifier will.
 *  code    when REJECTED: the check that would fail there; else NONE
 *  Errors  DENIED the ask is above the pool's free cost or tok, or the grant's ms or dln: no
 *          delegation at all; `err` says the remainder, for the local caller only
 *          REJECTED no token can verify (code): hand over without one, traced
 *          NO_MEMORY arena limit, while reading the parent's chain */
WB_MUST_USE wb_status wb_mint_fill(const wb_mint_parent *parent, const wb_mint_ask *ask,
                                   wb_arena *arena, wb_claims *out, wb_token_code *code,
                                   wb_error *err);

/** Format claims that wb_mint_fill made (`kid` is ignored: the ring's) in the order of TOKENS section 5,
 *  and sign. They are not looked at again.
 *  jws     lives in the arena
 *  Errors  NO_MEMORY | UNAVAILABLE from the key ring */
WB_MUST_USE wb_status wb_token_sign(wb_key_ring *ring, const wb_claims *claims, wb_arena *arena,
                                    wb_slice *jws, wb_error *err);

/** The same for any claims, after checking their form.
 *  Errors  REJECTED larger than the limits of TOKENS section 3 (code WB_E_SIZE) or claims that no
 *          verifier would parse (their code) | NO_MEMORY | UNAVAILABLE from the key ring */
WB_MUST_USE wb_status wb_token_mint(wb_key_ring *ring, const wb_claims *claims, wb_arena *arena,
                                    wb_slice *jws, wb_token_code *code, wb_error *err);

/** The chain to send (TOKENS section 7.7): `full` the parent's chain and the new token, `leaf` the
 *  latter alone; a root (also a LINK root) is alone anyway. Slices are borrowed.
 *  Errors  REJECTED too many links or bytes (code WB_E_CHAIN_LEN or WB_E_SIZE), or `full` of a chain that
 *          was accepted without its root (WB_E_CHAIN_ROOT) */
WB_MUST_USE wb_status wb_mint_chain(const wb_mint_parent *parent, wb_policy_chain policy,
                                    wb_slice jws, wb_chain *out, wb_token_code *code);

#endif
