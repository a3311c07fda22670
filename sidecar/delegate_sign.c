/* SPDX-License-Identifier: Apache-2.0 */
/* Limits and token of one message, on the worker.
 *
 * **What may be handed on.** Under a grant: its `lim`, less what the acceptance's row has handed to
 * delegations (durable, and it only grows) and what requests in hand hold. A request holds its share from
 * here to its commit, so a hundred at once never hand out more than there is; the commit that opens the
 * delegation writes the row's new sum in the same frame, so a crash neither loses nor doubles it. Under a
 * plain root: `limits.*` for each one alone; there is no account of an agent's own spending.
 *
 * **When there is no token.** Nobody's agent id stands behind the URL, no digest, a check that the far
 * side would fail, or an acceptance that may not be signed under any more: the delegation is opened all
 * the same, traced, and marked with the reason. Only an ask above the pool is DENIED. */
#include "sidecar/delegate.h"

#include "core/log.h"
#include "propagation/revoked.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

wb_status wb_delegate_read_grant(wb_request *r, wb_delegate *d, wb_error *err)
{
    const Waybill__V1__AcceptanceRow *parent = d->parent_row;
    wb_token_code code;
    if (!parent || !parent->verified || parent->n_chain == 0) return WB_OK;
    if (parent->n_chain > WB_CHAIN_MAX_LINKS)
        return wb_fail(err, WB_ERR_CORRUPT, "acceptance row with %zu links", parent->n_chain);
    for (size_t i = 0; i < parent->n_chain; i++)
        d->parent_chain.links[d->parent_chain.n++] = wb_slice_str(parent->chain[i]);
    d->leaf = wb_arena_alloc(r->arena, sizeof *d->leaf);
    if (!d->leaf) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    WB_TRY(wb_token_parse(d->parent_chain.links[d->parent_chain.n - 1], r->arena, d->leaf, &code));
    if (code != WB_E_NONE)
        return wb_fail(err, WB_ERR_CORRUPT, "accepted token does not parse: %s",
                       wb_token_code_name(code));
    return WB_OK;
}

static bool is_linked(const wb_delegate *d)
{
    return d->parent_row && d->parent_row->verdict != WAYBILL__V1__VERDICT__VERDICT_CONTINUE;
}

wb_slice wb_delegate_issuer(const wb_request *r, const wb_delegate *d)
{
    return d->leaf && !is_linked(d) ? d->leaf->claims.aud : r->sidecar->config->self_ids[0];
}

/* ---- the ask -------------------------------------------------------------------------------- */

/* No ask: the configured time, within the grant (section 7.3). */
static uint64_t deadline_of(const wb_request *r, const wb_delegate *d)
{
    uint64_t asked_s = r->in->delegate->deadline_s;
    if (asked_s != 0) return asked_s;
    uint64_t end =
        wb_now(r->sidecar->clock) / WB_NS_PER_S + r->sidecar->config->delegation_deadline_s;
    return d->leaf ? least(end, d->leaf->claims.dln) : end;
}

static wb_status read_limits(const Waybill__V1__Limits *in, wb_mint_ask *ask, wb_error *err)
{
    if (!in) return WB_OK;
    if (in->currency[0] && strlen(in->currency) != WB_CURRENCY_LEN)
        return wb_fail(err, WB_ERR_MALFORMED, "currency must be three letters, as in ISO 4217");
    memcpy(ask->cur, in->currency, strlen(in->currency));
    ask->has_cost = in->cost_case != 0;
    ask->has_tok = in->token_count_case != 0;
    ask->has_ms = in->work_case != 0;
    ask->cost = in->cost_micros;
    ask->tok = in->tokens;
    ask->ms = in->work_ms;
    return WB_OK;
}

static wb_status read_ask(wb_request *r, const wb_delegate *d, wb_mint_ask *ask, wb_error *err)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    const Waybill__V1__DelegationRow *row = d->row;
    const wb_sidecar_config *config = &r->world->config;
    *ask = (wb_mint_ask){.now_s = wb_now(r->sidecar->clock) / WB_NS_PER_S,
                         .skew_s = config->trust_skew_s,
                         .iss = wb_delegate_issuer(r, d),
                         .kid = wb_key_ring_kid(r->world->ring),
                         .aud = d->audience,
                         .jti = d->kind == WB_DELEGATE_RENEW ? wb_id_new() : d->id,
                         .tfl = (uint8_t)row->trace_flags,
                         .method = wb_slice_str(in->method),
                         .message_id = wb_slice_str(in->message_id),
                         .context_id = wb_slice_str(in->context_id),
                         .task_id = wb_slice_str(in->task_id),
                         .deadline_s = deadline_of(r, d),
                         .lifetime_s = r->sidecar->config->token_expiry_s,
                         .has_max_depth = true,
                         .max_depth = (uint8_t)r->sidecar->config->token_max_depth,
                         .callbacks = config->policies.callbacks,
                         .has_share = true,
                         .share_percent = r->sidecar->config->limits_share_percent};
    memcpy(ask->tid.b, row->trace_id.data, sizeof ask->tid.b);
    memcpy(ask->psid.b, row->span_id.data, sizeof ask->psid.b);
    memcpy(ask->digest, in->body_digest.data, sizeof ask->digest);
    return read_limits(in->ask, ask, err);
}

static void ask_exactly(wb_mint_ask *ask, const wb_token_limits *lim)
{
    memcpy(ask->cur, lim->cur, sizeof ask->cur);
    ask->has_cost = ask->has_tok = ask->has_ms = true;
    ask->cost = lim->cost;
    ask->tok = lim->tok;
    ask->ms = lim->ms;
}

/* A fresh token of a known message: what the dead one granted, until when it did. */
static wb_status ask_as_before(wb_request *r, const wb_delegate *d, wb_mint_ask *ask, wb_error *err)
{
    Waybill__V1__DelegationTurn turn;
    wb_token_code code = WB_E_NONE;
    wb_turns_get(d->row, d->turn, &turn);
    wb_token *dead = wb_arena_alloc(r->arena, sizeof *dead);
    if (!dead) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    WB_TRY(wb_token_parse(wb_slice_str(turn.chain[turn.n_chain - 1]), r->arena, dead, &code));
    if (code != WB_E_NONE)
        return wb_fail(err, WB_ERR_CORRUPT, "our own token does not parse: %s",
                       wb_token_code_name(code));
    ask_exactly(ask, &dead->claims.lim);
    ask->deadline_s = dead->claims.dln;
    return WB_OK;
}

/* ---- the pool ------------------------------------------------------------------------------- */

static uint64_t left_of(uint64_t granted, uint64_t handed)
{
    if (granted == WB_NOLIM) return WB_NOLIM;
    return handed < granted ? granted - handed : 0;
}

static uint64_t counted(uint64_t granted, uint64_t amount)
{
    return granted == WB_NOLIM ? 0 : amount; /* NOLIM from an unlimited pool takes nothing */
}

/* Look at what is free and hold what this request will hand on, in one breath. */
static wb_status take_of_grant(wb_request *r, wb_delegate *d, wb_mint_parent *parent,
                               wb_mint_ask *ask, wb_error *err)
{
    wb_state *state = &r->sidecar->state;
    const wb_token_limits *granted = &d->leaf->claims.lim;
    wb_token_limits lim;
    wb_handed handed = {0, 0};
    wb_state_lock(state);
    (void)wb_acceptances_handed(state->acceptances, &d->parent, &handed);
    parent->free.cost = left_of(granted->cost, handed.cost);
    parent->free.tok = left_of(granted->tok, handed.tokens);
    wb_status status = wb_mint_limits(parent, ask, &lim, err);
    if (status == WB_OK) {
        d->hold = (wb_handed){counted(granted->cost, lim.cost), counted(granted->tok, lim.tok)};
        d->hold_epoch = wb_acceptances_hold(state->acceptances, &d->parent, d->hold);
    }
    wb_state_unlock(state);
    if (status == WB_OK) ask_exactly(ask, &lim);
    return status;
}

void wb_delegate_let_go(wb_state *state, wb_delegate *d)
{
    wb_acceptances_let_go(state->acceptances, &d->parent, d->hold, d->hold_epoch);
    d->hold = (wb_handed){0, 0};
}

/* ---- the token ------------------------------------------------------------------------------ */

static bool was_proven(const Waybill__V1__AcceptanceRow *row)
{
    for (size_t i = 0; i < row->n_warnings; i++)
        if (strcmp(row->warnings[i], wb_token_warning_name(0)) == 0) return false;
    return true;
}

/* As the verifier looks it up, but at any time: a key that was dropped is revoked (section 13), one whose
 * window is over is not. Of an ancestor that was accepted unproven the key need not be known. */
static bool is_believed(const wb_request *r, const wb_claims *c, bool must_be_known)
{
    wb_slice kid = wb_slice_str(c->kid);
    const wb_sidecar_config *config = &r->world->config;
    for (size_t i = 0; i < config->n_self_ids; i++)
        if (wb_slice_eq(c->iss, config->self_ids[i]))
            return !must_be_known || wb_key_ring_find(r->world->ring, kid);
    const wb_trust_issuer *issuer = wb_trust_find(r->world->trust, c->iss);
    if (issuer && issuer->n_keys == 0) return false;
    return !must_be_known || (issuer && wb_trust_key_find(issuer, kid));
}

/* Section 7.8: nothing is signed under what is believed no longer. */
static wb_status check_parent(wb_request *r, const wb_delegate *d, wb_token_code *code)
{
    uint64_t now_s = wb_now(r->sidecar->clock) / WB_NS_PER_S;
    bool proven = was_proven(d->parent_row);
    *code = WB_E_KEY_REVOKED;
    for (size_t i = 0; i < d->parent_chain.n; i++) {
        wb_token *link = wb_arena_alloc(r->arena, sizeof *link);
        wb_token_code fault = WB_E_NONE;
        if (!link) return WB_ERR_NO_MEMORY;
        WB_TRY(wb_token_parse(d->parent_chain.links[i], r->arena, link, &fault));
        if (fault != WB_E_NONE) return WB_ERR_CORRUPT;
        if (wb_revoked_token(r->world->revoked, link->claims.iss, wb_slice_str(link->claims.kid),
                             link->hash, now_s) ||
            !is_believed(r, &link->claims, proven || i + 1 == d->parent_chain.n))
            return WB_OK;
    }
    *code = WB_E_NONE;
    return WB_OK;
}

/* REJECTED with `code`: no token can be made. */
static wb_status mint(wb_request *r, wb_delegate *d, wb_token_code *code, wb_error *err)
{
    const wb_sidecar_config *config = r->sidecar->config;
    const wb_token_limits own = {
        .cur = {config->limits_currency[0], config->limits_currency[1], config->limits_currency[2]},
        .cost = config->limits_cost_micros,
        .tok = config->limits_tokens,
        .ms = config->limits_work_ms};
    wb_mint_parent parent = {.leaf = NULL}, *under = NULL;
    wb_delegate_token *token = &d->token;
    wb_mint_ask ask;
    wb_slice jws;
    WB_TRY(read_ask(r, d, &ask, err));
    ask.own = &own;
    if (d->leaf) {
        parent = (wb_mint_parent){.leaf = &d->leaf->claims,
                                  .chain = &d->parent_chain,
                                  .linked = is_linked(d),
                                  .free = d->leaf->claims.lim};
        memcpy(parent.leaf_hash, d->leaf->hash, sizeof parent.leaf_hash);
        under = &parent;
        WB_TRY(check_parent(r, d, code));
        if (*code != WB_E_NONE) return WB_ERR_REJECTED;
    }
    if (d->kind == WB_DELEGATE_RENEW)
        WB_TRY(ask_as_before(r, d, &ask, err));
    else if (d->leaf)
        WB_TRY(take_of_grant(r, d, &parent, &ask, err));
    WB_TRY(wb_mint_fill(under, &ask, r->arena, &token->claims, code, err));
    WB_TRY(wb_token_sign(r->world->ring, &token->claims, r->arena, &jws, err));
    wb_trust_policy policy = wb_policy_for(&r->world->config.policies, d->audience);
    WB_TRY(wb_mint_chain(under, policy.chain, jws, &token->chain, code));
    wb_token_hash(jws, token->hash);
    token->deadline_ns = token->claims.dln * WB_NS_PER_S;
    return WB_OK;
}

static wb_status go_unsigned(wb_request *r, wb_delegate *d, const char *reason, wb_error *err)
{
    uint64_t now_s = wb_now(r->sidecar->clock) / WB_NS_PER_S;
    uint64_t deadline_s = deadline_of(r, d);
    if (d->kind == WB_DELEGATE_RENEW)
        return wb_fail(err, WB_ERR_REJECTED,
                       "the message's token is dead and no fresh one can be made: %s", reason);
    if (deadline_s < now_s) deadline_s = now_s;
    d->token =
        (wb_delegate_token){.unsigned_reason = reason,
                            .deadline_ns = least(deadline_s, now_s + WB_DLN_MAX_S) * WB_NS_PER_S};
    return WB_OK;
}

wb_status wb_delegate_sign(wb_request *r, wb_delegate *d, wb_error *err)
{
    wb_token_code code = WB_E_NONE;
    const Waybill__V1__AcceptanceRow *under = d->parent_row;
    /* trust.mode observe keeps a claimed trace, in which we may not sign as a root */
    if (under && is_linked(d) && under->parent_span_id.len > 0)
        d->unsigned_reason = "claimed_trace";
    if (d->unsigned_reason) return go_unsigned(r, d, d->unsigned_reason, err);
    wb_status status = mint(r, d, &code, err);
    if (status != WB_ERR_REJECTED) return status;
    WB_LOG(WARN, "delegation.unsigned", "no token can be made for this delegation",
           WB_KV("code", wb_token_code_name(code)), WB_KV("audience", d->audience));
    wb_state_lock(&r->sidecar->state);
    wb_delegate_let_go(&r->sidecar->state, d);
    wb_state_unlock(&r->sidecar->state);
    return go_unsigned(r, d, wb_token_code_name(code), err);
}

/* ---- the row -------------------------------------------------------------------------------- */

static wb_status copy_text(wb_arena *arena, wb_slice s, char **out)
{
    wb_slice copy;
    WB_TRY(wb_arena_dup(arena, s, &copy));
    *out = (char *)copy.ptr;
    return WB_OK;
}

static wb_status make_turn(wb_request *r, const wb_delegate *d, Waybill__V1__DelegationTurn *turn)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    const wb_delegate_token *token = &d->token;
    waybill__v1__delegation_turn__init(turn);
    turn->id = wb_request_bytes(d->id.b, sizeof d->id.b);
    if (!WB_ID_ABSENT(d->parent))
        turn->parent_acceptance = wb_request_bytes(d->parent.b, sizeof d->parent.b);
    turn->method = in->method;
    turn->message_id = in->message_id;
    turn->body_digest = in->body_digest;
    if (token->unsigned_reason)
        return copy_text(r->arena, wb_slice_str(token->unsigned_reason), &turn->unsigned_reason);
    turn->chain = wb_arena_array(r->arena, token->chain.n, sizeof *turn->chain);
    if (!turn->chain) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < token->chain.n; i++)
        WB_TRY(copy_text(r->arena, token->chain.links[i], &turn->chain[turn->n_chain++]));
    turn->token_hash = wb_request_bytes(token->hash, sizeof token->hash);
    turn->token_exp_s = token->claims.exp;
    return copy_text(r->arena, wb_slice_str(wb_key_ring_kid(r->world->ring)), &turn->key_id);
}

/* No limit plus anything is no limit. */
static uint64_t more(uint64_t granted, uint64_t lim)
{
    return lim >= WB_NOLIM || granted >= WB_NOLIM - lim ? WB_NOLIM : granted + lim;
}

/* Section 7.6: each message's lim adds to what the task was granted. */
static wb_status add_granted(wb_request *r, Waybill__V1__DelegationRow *row,
                             const wb_token_limits *lim)
{
    row->granted_cost = more(row->granted_cost, lim->cost);
    row->granted_tokens = more(row->granted_tokens, lim->tok);
    row->granted_ms = more(row->granted_ms, lim->ms);
    return copy_text(r->arena, wb_slice_str(lim->cur), &row->currency);
}

static wb_status put_turn(wb_request *r, wb_delegate *d, Waybill__V1__DelegationRow *row)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    Waybill__V1__DelegationTurn *turn = wb_arena_alloc(r->arena, sizeof *turn);
    if (!turn) return WB_ERR_NO_MEMORY;
    WB_TRY(make_turn(r, d, turn));
    if (d->kind == WB_DELEGATE_TURN) {
        WB_TRY(wb_turns_add(row, turn, r->arena));
        row->state = WB_DELEGATION_IN_FLIGHT;
        row->task_id = in->task_id;
        if (in->context_id[0]) row->context_id = in->context_id;
    } else {
        Waybill__V1__DelegationTurn before;
        wb_turns_get(row, d->turn, &before);
        turn->id = before.id;
        turn->parent_acceptance = before.parent_acceptance;
        wb_turns_replace(row, d->turn, turn);
    }
    if (turn->n_chain == 0) return WB_OK;
    row->depth = d->token.claims.dep;
    WB_TRY(copy_text(r->arena, d->token.claims.iss, &row->issuer));
    return d->kind == WB_DELEGATE_RENEW ? WB_OK : add_granted(r, row, &d->token.claims.lim);
}

wb_status wb_delegate_put(wb_request *r, wb_delegate *d, Waybill__V1__DelegationRow *row,
                          wb_error *err)
{
    wb_status status = put_turn(r, d, row);
    if (status != WB_OK) return wb_fail(err, status, "arena limit");
    if (d->token.deadline_ns > row->deadline_ns) row->deadline_ns = d->token.deadline_ns;
    row->version++;
    row->updated_ns = wb_now(r->sidecar->clock);
    return WB_OK;
}
