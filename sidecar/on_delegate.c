/* SPDX-License-Identifier: Apache-2.0 */
/* Delegate: hand a task on. The worker decides everything that needs no lock (who stands behind the
 * URL, which claims, the signature); the writer then looks whether the same delegation was opened
 * meanwhile, and opens it. So a signature may be made in vain in a race of two equal requests, and
 * never waits for the writer.
 *
 * TOKENS section 7. The same id, or the same (parent, audience, message id, digest), is the same
 * delegation: it is answered with its token while that can still be accepted, then with a fresh one.
 * A delegation for which no token can be made is opened without one, traced and marked. */
#include "sidecar/context.h"
#include "sidecar/request.h"

#include "a2a/carrier.h"
#include "a2a/target.h"
#include "core/delegation_state.h"
#include "core/log.h"
#include "propagation/mint.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/turns.h"

#define OTHER_MESSAGE "this delegation_id was used for another message"

typedef struct delegate {
    wb_id id;          /* the client's; also the first jti */
    wb_id parent;      /* acceptance; absent: none */
    wb_id jti;         /* of the token to mint */
    wb_slice audience; /* agent id; empty: none, so no token */
    const char *unsigned_reason;
    bool foreign_trace; /* the client's trace belongs to another agent */
    uint8_t facts[WB_FACTS_BYTES];
    Waybill__V1__DelegationRow *row; /* as it will stand */
    Waybill__V1__AcceptanceRow *parent_row;
    wb_token *leaf; /* of the parent's chain, parsed */
    wb_chain parent_chain;
    wb_claims claims;
    wb_slice packed, owner_packed;
    Waybill__V1__DelegateReply reply;
} delegate;

static wb_status copy_text(wb_arena *arena, wb_slice s, char **out)
{
    wb_slice copy;
    WB_TRY(wb_arena_dup(arena, s, &copy));
    *out = (char *)copy.ptr;
    return WB_OK;
}

static const char *fault_of(const Waybill__V1__Delegate *in, delegate *d)
{
    if (!wb_request_id(&in->delegation_id, &d->id))
        return "delegation_id must be 16 bytes, not all 0";
    if (in->parent_acceptance.len > 0 && !wb_request_id(&in->parent_acceptance, &d->parent))
        return "parent_acceptance must be 16 bytes, not all 0, or left out";
    if (in->trace_id.len != 0 && (in->trace_id.len != sizeof(wb_trace_id) ||
                                  wb_id_is_zero(in->trace_id.data, in->trace_id.len)))
        return "trace_id must be 16 bytes, not all 0, or left out";
    if (in->parent_span_id.len != 0 &&
        (in->parent_span_id.len != sizeof(wb_span_id) ||
         wb_id_is_zero(in->parent_span_id.data, in->parent_span_id.len)))
        return "parent_span_id must be 8 bytes, not all 0, or left out";
    if (wb_method_parse(wb_slice_str(in->method)) == WB_METHOD_NONE)
        return "method must be SendMessage or SendStreamingMessage";
    if (!in->message_id[0] || strlen(in->message_id) > WB_TEXT_MAX_BYTES)
        return "message_id must have 1 to 128 bytes";
    if (in->body_digest.len != 0 && in->body_digest.len != WB_HASH_BYTES)
        return "body_digest must be 32 bytes, or left out";
    if (in->salt.len != (in->body_digest.len ? WB_SALT_BYTES : 0))
        return "salt must be 16 bytes with a body_digest, and left out without";
    if (strlen(in->target_url) > 2048) return "target_url is longer than 2048 bytes";
    return NULL;
}

static void find_audience(wb_request *r, delegate *d)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    const wb_sidecar_config *config = &r->world->config;
    const wb_target target = {.url = wb_slice_str(in->target_url),
                              .agent_id = wb_slice_str(in->target_agent_id),
                              .declares = in->target_declares};
    if (wb_target_audience(config->peers, config->n_peers, &target, &d->audience,
                           &d->unsigned_reason) != WB_OK)
        d->audience = WB_S("");
    else if (in->body_digest.len == 0)
        d->unsigned_reason = "no_digest";
    else
        d->unsigned_reason = NULL;
    wb_delegation_facts(WB_ID_ABSENT(d->parent) ? NULL : &d->parent,
                        d->audience.len > 0 ? d->audience : target.url,
                        wb_slice_str(in->message_id),
                        wb_slice_of(in->body_digest.data, in->body_digest.len), d->facts);
}

/* A root may only be minted in a trace that is ours or nobody's. */
static bool is_foreign_trace(const wb_request *r, const wb_state *state)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    const wb_sidecar_config *config = &r->world->config;
    wb_trace_id trace;
    wb_owner owner;
    if (in->trace_id.len != sizeof trace.b) return false;
    memcpy(trace.b, in->trace_id.data, sizeof trace.b);
    if (!wb_owners_of_trace(state->owners, &trace, r->arena, &owner)) return false;
    for (size_t i = 0; i < config->n_self_ids; i++)
        if (wb_slice_eq(owner.subject, config->self_ids[i])) return false;
    return true;
}

/* Read what the state has of this delegation and of its parent. */
static wb_status look_up(wb_request *r, delegate *d, wb_error *err)
{
    wb_state *state = &r->sidecar->state;
    wb_slice row = WB_S(""), parent = WB_S("");
    wb_status status = WB_OK;
    wb_id same;
    bool parent_known = true;
    wb_state_lock(state);
    if (wb_delegations_get(state->delegations, &d->id, &row) ||
        (wb_delegations_find(state->delegations, d->facts, &same) &&
         wb_delegations_get(state->delegations, &same, &row)))
        status = wb_arena_dup(r->arena, row, &row);
    if (!WB_ID_ABSENT(d->parent)) {
        parent_known = wb_acceptances_get(state->acceptances, &d->parent, &parent);
        if (parent_known && status == WB_OK) status = wb_arena_dup(r->arena, parent, &parent);
    }
    d->foreign_trace = is_foreign_trace(r, state);
    wb_state_unlock(state);
    if (!parent_known)
        return wb_fail(err, WB_ERR_NOT_FOUND,
                       "parent_acceptance is unknown here: it was never made, or long finished");
    ProtobufCAllocator *allocator = wb_arena_allocator(r->arena);
    if (status != WB_OK || !allocator) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (row.len > 0) {
        d->row = waybill__v1__delegation_row__unpack(allocator, row.len, row.ptr);
        if (!d->row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    }
    if (parent.len > 0) {
        d->parent_row = waybill__v1__acceptance_row__unpack(allocator, parent.len, parent.ptr);
        if (!d->parent_row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    }
    return WB_OK;
}

/* The parent's grant: its accepted leaf, if the acceptance was verified. */
static wb_status read_grant(wb_request *r, delegate *d, wb_error *err)
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

/* Trace, parent span and flags of a delegation that is new. */
static void place_in_trace(wb_request *r, delegate *d, wb_trace_id *trace, wb_span_id *parent)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    const Waybill__V1__AcceptanceRow *under = d->parent_row;
    bool local = in->trace_id.len == sizeof trace->b && !(d->foreign_trace && !under);
    if (under) { /* the acceptance's own trace, whatever the client says */
        memcpy(trace->b, under->trace_id.data, sizeof trace->b);
        memcpy(parent->b, under->span_id.data, sizeof parent->b);
        local = local && memcmp(in->trace_id.data, trace->b, sizeof trace->b) == 0;
    } else if (local) {
        memcpy(trace->b, in->trace_id.data, sizeof trace->b);
    } else {
        *trace = wb_trace_id_new();
    }
    if (local && in->parent_span_id.len == sizeof parent->b)
        memcpy(parent->b, in->parent_span_id.data, sizeof parent->b);
}

/* A trace that goes on keeps its flags as they are, random bit included; one that starts here has its
 * own. */
static uint32_t flags_of(const delegate *d, const wb_trace_id *trace,
                         const Waybill__V1__Delegate *in)
{
    if (d->parent_row) return d->parent_row->trace_flags;
    bool goes_on = in->trace_id.len == sizeof trace->b &&
                   memcmp(in->trace_id.data, trace->b, sizeof trace->b) == 0;
    return goes_on ? in->trace_flags & WB_TRACE_FLAGS_KNOWN : WB_TRACE_FLAGS_NEW;
}

/* A child is signed by whom its parent names (TOKENS section 9: C.iss = P.aud), any of our own ids. */
static wb_slice issuer_of(const wb_request *r, const delegate *d)
{
    bool child = d->leaf && d->parent_row->verdict == WAYBILL__V1__VERDICT__VERDICT_CONTINUE;
    return child ? d->leaf->claims.aud : r->sidecar->config->self_ids[0];
}

static wb_status new_row(wb_request *r, delegate *d, wb_error *err)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    struct {
        Waybill__V1__DelegationRow row;
        wb_trace_id trace;
        wb_span_id span, parent;
    } *made = wb_arena_alloc(r->arena, sizeof *made);
    if (!made) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    Waybill__V1__DelegationRow *row = &made->row;
    waybill__v1__delegation_row__init(row);
    place_in_trace(r, d, &made->trace, &made->parent);
    made->span = wb_span_id_new();
    row->id = wb_request_bytes(d->id.b, sizeof d->id.b);
    row->state = WB_DELEGATION_SENT;
    row->trace_id = wb_request_bytes(made->trace.b, sizeof made->trace.b);
    row->span_id = wb_request_bytes(made->span.b, sizeof made->span.b);
    if (!WB_ID_ABSENT(made->parent))
        row->parent_span_id = wb_request_bytes(made->parent.b, sizeof made->parent.b);
    row->trace_flags = flags_of(d, &made->trace, in);
    if (!WB_ID_ABSENT(d->parent))
        row->parent_acceptance = wb_request_bytes(d->parent.b, sizeof d->parent.b);
    row->target_url = in->target_url;
    row->target_name = in->target_name;
    row->method = in->method;
    row->message_id = in->message_id;
    row->context_id = in->context_id;
    row->task_id = in->task_id;
    row->body_digest = in->body_digest;
    row->opened_ns = wb_now(r->sidecar->clock);
    d->row = row;
    if (d->audience.len > 0) WB_TRY(copy_text(r->arena, d->audience, &row->target_agent_id));
    return copy_text(r->arena, issuer_of(r, d), &row->issuer);
}

/* No ask: a root gets the configured time, a child what is left of its grant (section 7.3). */
static uint64_t deadline_of(const wb_request *r, const delegate *d)
{
    uint64_t asked_s = r->in->delegate->deadline_s;
    if (asked_s != 0 || d->leaf) return asked_s;
    return wb_now(r->sidecar->clock) / WB_NS_PER_S + r->sidecar->config->delegation_deadline_s;
}

static wb_status read_ask(wb_request *r, const delegate *d, wb_mint_ask *ask, wb_error *err)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    const Waybill__V1__DelegationRow *row = d->row;
    *ask = (wb_mint_ask){.now_s = wb_now(r->sidecar->clock) / WB_NS_PER_S,
                         .skew_s = r->world->config.trust_skew_s,
                         .iss = wb_slice_str(row->issuer),
                         .kid = wb_key_ring_kid(r->world->ring),
                         .aud = d->audience,
                         .jti = d->jti,
                         .tfl = (uint8_t)row->trace_flags,
                         .method = wb_slice_str(in->method),
                         .message_id = wb_slice_str(in->message_id),
                         .context_id = wb_slice_str(in->context_id),
                         .task_id = wb_slice_str(in->task_id),
                         .deadline_s = deadline_of(r, d),
                         .lifetime_s = r->sidecar->config->token_expiry_s,
                         .has_max_depth = true,
                         .max_depth = (uint8_t)r->sidecar->config->token_max_depth,
                         .callbacks = r->world->config.policies.callbacks};
    memcpy(ask->tid.b, row->trace_id.data, sizeof ask->tid.b);
    memcpy(ask->psid.b, row->span_id.data, sizeof ask->psid.b);
    memcpy(ask->digest, in->body_digest.data, sizeof ask->digest);
    if (!in->ask) return WB_OK;
    if (in->ask->currency[0] && strlen(in->ask->currency) != WB_CURRENCY_LEN)
        return wb_fail(err, WB_ERR_MALFORMED, "currency must be three letters, as in ISO 4217");
    memcpy(ask->cur, in->ask->currency, strlen(in->ask->currency));
    ask->has_cost = in->ask->cost_case != 0;
    ask->has_tok = in->ask->token_count_case != 0;
    ask->has_ms = in->ask->work_case != 0;
    ask->cost = in->ask->cost_micros;
    ask->tok = in->ask->tokens;
    ask->ms = in->ask->work_ms;
    return WB_OK;
}

static wb_status put_chain(wb_request *r, delegate *d, const wb_chain *chain, wb_error *err)
{
    Waybill__V1__DelegationRow *row = d->row;
    row->chain = wb_arena_array(r->arena, chain->n, sizeof *row->chain);
    uint8_t *hash = wb_arena_alloc(r->arena, WB_HASH_BYTES);
    if (!row->chain || !hash) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    for (size_t i = 0; i < chain->n; i++)
        WB_TRY(copy_text(r->arena, chain->links[i], &row->chain[i]));
    wb_token_hash(chain->links[chain->n - 1], hash);
    row->n_chain = chain->n;
    row->token_hash = wb_request_bytes(hash, WB_HASH_BYTES);
    row->token_exp_s = d->claims.exp;
    row->deadline_ns = d->claims.dln * WB_NS_PER_S;
    row->depth = d->claims.dep;
    return copy_text(r->arena, wb_slice_str(wb_key_ring_kid(r->world->ring)), &row->key_id);
}

/* REJECTED with `code`: no token can be made, and the delegation goes without. */
static wb_status mint(wb_request *r, delegate *d, wb_token_code *code, wb_error *err)
{
    wb_mint_ask ask;
    wb_mint_parent parent;
    wb_chain chain = {.n = 0};
    wb_slice jws;
    WB_TRY(read_ask(r, d, &ask, err));
    if (d->leaf) {
        parent = (wb_mint_parent){.leaf = &d->leaf->claims,
                                  .chain = &d->parent_chain,
                                  .linked = d->parent_row->verdict !=
                                            WAYBILL__V1__VERDICT__VERDICT_CONTINUE,
                                  .free = d->leaf->claims.lim};
        memcpy(parent.leaf_hash, d->leaf->hash, sizeof parent.leaf_hash);
    }
    WB_TRY(wb_mint_fill(d->leaf ? &parent : NULL, &ask, r->arena, &d->claims, code, err));
    WB_TRY(wb_token_mint(r->world->ring, &d->claims, r->arena, &jws, code, err));
    wb_trust_policy policy = wb_policy_for(&r->world->config.policies, d->audience);
    WB_TRY(wb_mint_chain(d->leaf ? &parent : NULL, policy.chain, jws, &chain, code));
    return put_chain(r, d, &chain, err);
}

static void go_unsigned(wb_request *r, delegate *d, const char *reason)
{
    static char none[] = "";
    uint64_t opened_s = d->row->opened_ns / WB_NS_PER_S, deadline_s = deadline_of(r, d);
    if (deadline_s == 0) deadline_s = opened_s + r->sidecar->config->delegation_deadline_s;
    if (deadline_s > opened_s + WB_DLN_MAX_S) deadline_s = opened_s + WB_DLN_MAX_S;
    d->row->deadline_ns = deadline_s * WB_NS_PER_S;
    d->row->unsigned_reason = wb_arena_printf(r->arena, "%s", reason);
    if (!d->row->unsigned_reason) d->row->unsigned_reason = none;
}

static wb_status sign(wb_request *r, delegate *d, wb_error *err)
{
    wb_token_code code = WB_E_NONE;
    const Waybill__V1__AcceptanceRow *under = d->parent_row;
    /* trust.mode observe keeps a claimed trace, in which we may not sign as a root */
    if (under && under->verdict != WAYBILL__V1__VERDICT__VERDICT_CONTINUE &&
        under->parent_span_id.len > 0)
        d->unsigned_reason = "claimed_trace";
    if (d->unsigned_reason) {
        go_unsigned(r, d, d->unsigned_reason);
        return WB_OK;
    }
    wb_status status = mint(r, d, &code, err);
    if (status != WB_ERR_REJECTED) return status;
    WB_LOG(WARN, "delegation.unsigned", "no token can be made for this delegation",
           WB_KV("code", wb_token_code_name(code)), WB_KV("audience", d->audience));
    go_unsigned(r, d, wb_token_code_name(code));
    return WB_OK;
}

static wb_status pack_rows(wb_request *r, delegate *d, wb_error *err)
{
    bool plain_root = d->row->n_chain > 0 && d->claims.dep == 0;
    d->row->version++;
    d->row->updated_ns = wb_now(r->sidecar->clock);
    WB_TRY(wb_request_pack(r->arena, d->row, &d->packed, err));
    if (!plain_root) return WB_OK;
    /* TOKENS section 10: minting a root makes the minter the trace's owner. */
    Waybill__V1__OwnerRow owner = WAYBILL__V1__OWNER_ROW__INIT;
    owner.trace_id = d->row->trace_id;
    owner.subject = d->row->issuer;
    owner.used_s = d->row->updated_ns / WB_NS_PER_S;
    return wb_request_pack(r->arena, &owner, &d->owner_packed, err);
}

static bool is_peer(const wb_sidecar_config *config, const char *agent_id)
{
    for (size_t i = 0; i < config->n_peers; i++)
        if (wb_slice_eq(config->peers[i].id, wb_slice_str(agent_id))) return true;
    return false;
}

/* The client's tracestate belongs to the client's trace: in another it means nothing. */
static wb_status put_context(wb_request *r, const Waybill__V1__DelegationRow *row,
                             Waybill__V1__DelegateReply *reply)
{
    static const wb_headers none = {NULL, 0};
    const Waybill__V1__Delegate *in = r->in->delegate;
    const wb_baggage_border *border = &r->world->config.send_baggage;
    wb_traceparent context = {.flags = (uint8_t)row->trace_flags};
    wb_headers tracestate, baggage;
    wb_id id;
    WB_ASSERT(wb_request_id(&row->id, &id) && row->trace_id.data && row->span_id.data);
    memcpy(context.trace.b, row->trace_id.data, sizeof context.trace.b);
    memcpy(context.span.b, row->span_id.data, sizeof context.span.b);
    WB_TRY(wb_headers_of(in->tracestate, NULL, 0, r->arena, &tracestate));
    WB_TRY(wb_headers_of("", in->baggage, in->n_baggage, r->arena, &baggage));
    bool same_trace = in->trace_id.len == sizeof context.trace.b &&
                      memcmp(in->trace_id.data, context.trace.b, sizeof context.trace.b) == 0;
    reply->traceparent = wb_context_traceparent(&context, r->arena);
    reply->tracestate = wb_context_tracestate(same_trace ? &tracestate : &none,
                                              WB_TRACESTATE_DELEGATION, &id, r->arena);
    reply->baggage = wb_context_baggage(
        &baggage,
        is_peer(&r->world->config, row->target_agent_id) ? &border->known : &border->others,
        r->arena);
    return reply->traceparent && reply->tracestate && reply->baggage ? WB_OK : WB_ERR_NO_MEMORY;
}

static wb_status answer_from(wb_request *r, delegate *d, const Waybill__V1__DelegationRow *row,
                             wb_error *err)
{
    Waybill__V1__DelegateReply *reply = &d->reply;
    wb_carrier carrier = {.chain = {.n = row->n_chain}};
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, WB_CHAIN_MAX_BYTES + 1024);
    reply->delegation_id = row->id;
    reply->trace_id = row->trace_id;
    reply->span_id = row->span_id;
    reply->unsigned_reason = row->unsigned_reason;
    reply->deadline_s = row->deadline_ns / WB_NS_PER_S;
    wb_status status = put_context(r, row, reply);
    if (status != WB_OK) return wb_fail(err, status, "arena limit");
    if (row->n_chain == 0) return WB_OK;
    WB_ASSERT(row->n_chain <= WB_CHAIN_MAX_LINKS);
    for (size_t i = 0; i < row->n_chain; i++) carrier.chain.links[i] = wb_slice_str(row->chain[i]);
    memcpy(carrier.salt, r->in->delegate->salt.data, sizeof carrier.salt);
    WB_TRY(wb_carrier_format(&carrier, &text));
    return copy_text(r->arena, wb_buffer_slice(&text), &reply->carrier);
}

/* TOKENS section 7.5: the same id with other facts is refused, by whichever request comes second. */
static bool same_facts(const wb_request *r, const delegate *d,
                       const Waybill__V1__DelegationRow *row)
{
    uint8_t facts[WB_FACTS_BYTES];
    wb_turns_facts(row, wb_turns_held(row) - 1, facts);
    return memcmp(facts, d->facts, sizeof facts) == 0 &&
           strcmp(row->method, r->in->delegate->method) == 0;
}

/* An open delegation whose token died unanswered gets a fresh one under a new jti. */
static bool wants_fresh_token(const wb_request *r, const Waybill__V1__DelegationRow *row)
{
    return row->closed_ns == 0 && row->n_chain > 0 &&
           row->token_exp_s <= wb_now(r->sidecar->clock) / WB_NS_PER_S;
}

static bool find_row(const delegate *d, const wb_state *state, const wb_id *id, wb_slice *packed)
{
    wb_id same;
    return wb_delegations_get(state->delegations, id, packed) ||
           (wb_delegations_find(state->delegations, d->facts, &same) &&
            wb_delegations_get(state->delegations, &same, packed));
}

/* Another request with this id or these facts came first; or this one renews the row's token. */
static wb_status answer_row(wb_request *r, delegate *d, wb_slice packed, bool *renews,
                            wb_error *err)
{
    Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (!same_facts(r, d, row)) return wb_fail(err, WB_ERR_REJECTED, OTHER_MESSAGE);
    *renews = d->packed.len > 0 && row->version + 1 == d->row->version &&
              row->id.len == d->row->id.len &&
              memcmp(row->id.data, d->row->id.data, row->id.len) == 0;
    if (*renews) return WB_OK;
    if (wants_fresh_token(r, row)) /* it changed while the worker signed: look again */
        return wb_fail(err, WB_ERR_UNAVAILABLE, "the delegation changed meanwhile: send again");
    return answer_from(r, d, row, err);
}

/* Never takes a trace from its owner; without room the trace just has none. */
static bool may_own(const wb_request *r, const delegate *d, const wb_state *state)
{
    wb_trace_id trace;
    wb_owner owner;
    if (d->owner_packed.len == 0) return false;
    memcpy(trace.b, d->row->trace_id.data, sizeof trace.b);
    if (!wb_owners_of_trace(state->owners, &trace, r->arena, &owner))
        return wb_owners_room(state->owners) > 0;
    return wb_slice_eq(owner.subject, wb_slice_str(d->row->issuer));
}

/* On the writer: the delegation may have been opened, or closed, since the worker looked. */
static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    delegate *d = r->verb;
    wb_slice packed;
    wb_id id;
    memcpy(id.b, d->row->id.data, sizeof id.b);
    if (find_row(d, state, &id, &packed)) {
        bool renews = false;
        WB_TRY(answer_row(r, d, packed, &renews, err));
        if (!renews) return WB_OK;
    } else if (d->packed.len == 0) {
        return wb_fail(err, WB_ERR_UNAVAILABLE, "the delegation changed meanwhile: send again");
    } else if (wb_delegations_room(state->delegations) == 0) {
        r->reply->retry_after_ms = 1000;
        return wb_fail(err, WB_ERR_FULL, "%u delegations are open: no room for more",
                       wb_delegations_open(state->delegations));
    }
    wb_txn_add(out, WB_ENTRY_DELEGATION, d->packed);
    if (may_own(r, d, state)) wb_txn_add(out, WB_ENTRY_OWNER, d->owner_packed);
    return answer_from(r, d, d->row, err);
}

static wb_status decide(wb_request *r, delegate *d, wb_error *err)
{
    find_audience(r, d);
    WB_TRY(look_up(r, d, err));
    WB_TRY(read_grant(r, d, err));
    bool fresh_token = d->row && wants_fresh_token(r, d->row);
    if (d->row && !same_facts(r, d, d->row)) return wb_fail(err, WB_ERR_REJECTED, OTHER_MESSAGE);
    if (d->row && !fresh_token) return WB_OK; /* the writer answers from the row */
    d->jti = d->row ? wb_id_new() : d->id;
    if (!d->row) WB_TRY(new_row(r, d, err));
    WB_TRY(sign(r, d, err));
    return pack_rows(r, d, err);
}

void wb_on_delegate(wb_request *r)
{
    wb_error err = {.status = WB_OK};
    wb_counters *counters = &r->sidecar->counters;
    delegate *d = wb_arena_alloc(r->arena, sizeof *d);
    const char *fault = d ? fault_of(r->in->delegate, d) : "arena limit";
    if (fault) {
        wb_request_reply(r, d ? WB_ERR_MALFORMED : WB_ERR_NO_MEMORY, fault);
        return;
    }
    waybill__v1__delegate_reply__init(&d->reply);
    wb_status status = decide(r, d, &err);
    if (status != WB_OK) {
        if (status == WB_ERR_DENIED) wb_count(&counters->delegations_denied);
        wb_request_reply(r, status, err.detail);
        return;
    }
    if (d->packed.len > 0)
        wb_count(d->row->n_chain > 0 ? &counters->delegations_signed
                                     : &counters->delegations_unsigned);
    r->verb = d;
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_DELEGATE;
    r->reply->delegate = &d->reply;
    wb_request_submit(r, prepare);
}
