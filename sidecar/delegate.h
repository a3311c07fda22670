/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegate.h: one Delegate request between its three files: on_delegate.c (which delegation is
 * it, and its transaction), delegate_sign.c (limits and token), delegate_answer.c (the reply). */
#ifndef WAYBILL_SIDECAR_DELEGATE_H
#define WAYBILL_SIDECAR_DELEGATE_H

#include "propagation/mint.h"
#include "sidecar/delegation/turns.h"
#include "sidecar/request.h"

struct Waybill__V1__AcceptanceRow; /* protobuf-c's */
struct Waybill__V1__DelegateReply;

/* What a request will do to the table, as the worker sees it; the writer looks again. */
typedef enum wb_delegate_kind {
    WB_DELEGATE_OPEN,   /* a new delegation */
    WB_DELEGATE_TURN,   /* the next message of an open one */
    WB_DELEGATE_RENEW,  /* a message known already, whose token is dead: a fresh one */
    WB_DELEGATE_ANSWER, /* a message known already: nothing */
} wb_delegate_kind;

/* A message's token, or why it has none; all of it lives in the request's arena. */
typedef struct wb_delegate_token {
    wb_chain chain; /* as sent; n 0: unsigned */
    const char *unsigned_reason;
    uint8_t hash[WB_HASH_BYTES];
    wb_claims claims; /* if signed */
    uint64_t deadline_ns;
} wb_delegate_token;

typedef struct wb_delegate {
    wb_id id;     /* the client's for this message; also the first jti */
    wb_id parent; /* acceptance; absent: none */
    wb_id named;  /* the delegation that the client says this is a turn of; absent: none */
    uint8_t facts[WB_FACTS_BYTES];
    wb_slice audience;           /* agent id; empty: none, so no token */
    const char *unsigned_reason; /* why there can be no token, known before signing */
    wb_delegate_kind kind;
    struct Waybill__V1__DelegationRow *row; /* as found, or as it will stand */
    size_t turn;                            /* of those held: RENEW, ANSWER */
    struct Waybill__V1__AcceptanceRow *parent_row;
    wb_token *leaf; /* of the parent's chain, parsed: the grant; NULL: none */
    wb_chain parent_chain;
    wb_delegate_token token;
    wb_handed hold; /* of the parent's grant, from signing to commit */
    uint64_t hold_epoch;
    struct Waybill__V1__DelegateReply *reply;
} wb_delegate;

/** The parent's grant: its accepted leaf, if the acceptance was verified. */
WB_MUST_USE wb_status wb_delegate_read_grant(wb_request *r, wb_delegate *d, wb_error *err);

/** A child is signed by whom its parent names (TOKENS section 9: C.iss = P.aud), any of our own ids. */
wb_slice wb_delegate_issuer(const wb_request *r, const wb_delegate *d);

/** Fill d->token for d->row's place in its trace. What is taken of the parent's grant is held until
 *  wb_delegate_let_go, which every way out calls.
 *  Errors  DENIED the ask is above the pool; `err` says the remainder | MALFORMED | NO_MEMORY
 *          REJECTED a dead token of a known message cannot be made afresh */
WB_MUST_USE wb_status wb_delegate_sign(wb_request *r, wb_delegate *d, wb_error *err);
/** The state is locked by the caller. Repeating it changes nothing. */
void wb_delegate_let_go(wb_state *state, wb_delegate *d);

/** Put d->token into `row` as d->kind says. NO_MEMORY arena limit. */
WB_MUST_USE wb_status wb_delegate_put(wb_request *r, wb_delegate *d,
                                      struct Waybill__V1__DelegationRow *row, wb_error *err);

/** Fill d->reply from the `turn`-th held message of `row`. */
WB_MUST_USE wb_status wb_delegate_answer(wb_request *r, wb_delegate *d,
                                         const struct Waybill__V1__DelegationRow *row, size_t turn,
                                         wb_error *err);

#endif
