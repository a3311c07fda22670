/* SPDX-License-Identifier: Apache-2.0 */
/* Accept: a message came in; may the agent work on it, and in whose trace? The worker runs steps 1 to
 * 14 of TOKENS section 8, all that needs no durable state but looks; the writer does steps 15 to 17
 * with every earlier acceptance applied, so of many equal tokens exactly one is accepted.
 *
 * Nothing durable is written for a refused token (section 8). What was wrong goes to our log under a
 * random `ref`; the caller learns the class and the `ref`, no more. */
#include "sidecar/context.h"
#include "sidecar/request.h"

#include "a2a/carrier.h"
#include "a2a/target.h"
#include "core/log.h"
#include "propagation/verify.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

#define REFUSED "refused by Waybill"

typedef struct accept {
    wb_id id;
    wb_verify_result result;
    bool verified; /* the result is there */
    bool accepted; /* a new row: by `verdict` */
    wb_verdict verdict;
    wb_headers traceparents, tracestates, baggage;
    wb_traceparent claimed;
    bool has_claimed;
    wb_trace_id own_trace; /* that a LINK starts */
    wb_span_id server_span;
    uint64_t now_s;
    Waybill__V1__AcceptanceRow row;
    wb_id link_ids[2];
    Waybill__V1__AcceptReply reply;
} accept_call;

static char *text_of(wb_arena *arena, wb_slice s)
{
    static char none[] = "";
    wb_slice copy;
    return wb_arena_dup(arena, s, &copy) == WB_OK ? (char *)copy.ptr : none;
}

static const char *fault_of(const Waybill__V1__Accept *in, accept_call *a)
{
    if (!wb_request_id(&in->acceptance_id, &a->id))
        return "acceptance_id must be 16 bytes, not all 0";
    if (in->body_digest.len != 0 && in->body_digest.len != WB_HASH_BYTES)
        return "body_digest must be 32 bytes, or left out";
    if (strlen(in->message_id) > 1024 || strlen(in->context_id) > 1024 ||
        strlen(in->task_id) > 1024 || strlen(in->peer) > 1024 || strlen(in->method) > 128)
        return "an id is longer than 1024 bytes";
    return NULL;
}

/* What the caller claims: a hint until the token says the same. */
static wb_status read_context(wb_request *r, accept_call *a, wb_error *err)
{
    const Waybill__V1__Accept *in = r->in->accept;
    wb_status status = wb_headers_of(in->traceparent, in->more_traceparents,
                                     in->n_more_traceparents, r->arena, &a->traceparents);
    if (status == WB_OK)
        status = wb_headers_of(in->tracestate, in->more_tracestates, in->n_more_tracestates,
                               r->arena, &a->tracestates);
    if (status == WB_OK)
        status = wb_headers_of("", in->baggage, in->n_baggage, r->arena, &a->baggage);
    a->has_claimed = status == WB_OK &&
                     wb_traceparent_parse(wb_headers_only(&a->traceparents), &a->claimed) == WB_OK;
    return status == WB_OK ? WB_OK : wb_fail(err, status, "arena limit");
}

static wb_message_facts facts_of(const Waybill__V1__Accept *in, const accept_call *a)
{
    wb_message_facts facts = {.method = wb_slice_str(in->method),
                              .message_id = wb_slice_str(in->message_id),
                              .context_id = wb_slice_str(in->context_id),
                              .task_id = wb_slice_str(in->task_id),
                              .has_digest = in->body_digest.len == WB_HASH_BYTES,
                              .traceparent = wb_headers_only(&a->traceparents)};
    if (facts.has_digest) memcpy(facts.digest, in->body_digest.data, sizeof facts.digest);
    return facts;
}

/* Step 11. */
static bool take_from_bucket(void *self)
{
    wb_request *r = self;
    wb_sidecar *sidecar = r->sidecar;
    const wb_rate_limit limit = {.per_s = r->world->config.trust_rate_per_s,
                                 .burst = r->world->config.trust_rate_burst};
    uint64_t key = wb_peer_key(&sidecar->peer_secret, wb_slice_str(r->in->accept->peer),
                               wb_ipc_connection(r->call));
    *r->flooding = !wb_rate_take(sidecar->rate, key, &limit, wb_mono(sidecar->clock));
    return !*r->flooding;
}

static wb_status verify(wb_request *r, accept_call *a, wb_error *err)
{
    const Waybill__V1__Accept *in = r->in->accept;
    wb_sidecar *sidecar = r->sidecar;
    const wb_world *world = r->world;
    const wb_sidecar_config *config = &world->config;
    wb_carrier carrier = {.chain = {.n = 0}};
    wb_owner task = {.used_s = 0};
    wb_verify_input input = {
        .now_s = a->now_s,
        .skew_s = config->trust_skew_s,
        .self_ids = config->self_ids,
        .n_self_ids = config->n_self_ids,
        .ring = world->ring,
        .trust = world->trust,
        .revoked = world->revoked,
        .policies = &config->policies,
        .peer_id = wb_peer_of_sender(config->peers, config->n_peers, wb_slice_str(in->peer)),
        .message = facts_of(in, a),
        .rate_take = take_from_bucket,
        .rate_self = r};
    wb_status status =
        wb_carrier_parse(wb_slice_str(in->carrier), r->arena, &carrier, &input.carrier);
    if (status != WB_OK) return wb_fail(err, status, "no room to read the carrier");
    input.chain = carrier.chain;
    wb_state_lock(&sidecar->state);
    if (in->task_id[0] &&
        wb_owners_of_task(sidecar->state.owners, wb_slice_str(in->task_id), r->arena, &task)) {
        input.task_sub = task.subject;
        input.task_iss = task.issuer;
    }
    input.purged_exp_s = wb_replay_purged_exp_s(sidecar->state.replay);
    input.recovered_s = wb_replay_recovered_s(sidecar->state.replay);
    wb_state_unlock(&sidecar->state);
    status = wb_token_verify(&input, r->arena, &a->result);
    a->verified = status == WB_OK;
    if (a->verified)
        wb_count_by(&sidecar->counters.signatures_checked, a->result.signatures_checked);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no room to verify the chain");
}

/* "WB_W_CHAIN_UNVERIFIED WB_W_TRACEPARENT" */
static const char *warning_names(wb_arena *arena, uint32_t bits)
{
    const char *names = "";
    for (unsigned i = 0; i < WB_TOKEN_WARNINGS && names; i++)
        if (bits & (1u << i))
            names = wb_arena_printf(arena, "%s%s%s", names, names[0] ? " " : "",
                                    wb_token_warning_name(i));
    return names ? names : "";
}

/* trust.mode observe (TOKENS section 10): the verdict is made and recorded, the message passes and
 * keeps the context that it claims, marked unverified. */
static bool observes(const accept_call *a, const wb_verdict *verdict)
{
    return a->result.policy.mode == WB_MODE_OBSERVE && verdict->kind != WB_VERDICT_CONTINUE;
}

static wb_refusal describe(wb_request *r, const accept_call *a, const wb_verdict *verdict)
{
    const wb_claims *claims = a->result.leaf ? &a->result.leaf->claims : NULL;
    return (wb_refusal){.code = wb_slice_str(wb_token_code_name(verdict->code)),
                        .wire_class = wb_slice_str(verdict->wire_class),
                        .mode = wb_slice_str(wb_trust_mode_name(a->result.policy.mode)),
                        .peer = wb_slice_str(r->in->accept->peer),
                        .issuer = claims ? claims->iss : WB_S(""),
                        .key_id = wb_slice_str(claims ? claims->kid : ""),
                        .message_id = wb_slice_str(r->in->accept->message_id),
                        .detail = wb_slice_str(warning_names(r->arena, verdict->warnings))};
}

/* Our log has the code and who it claims to be from; the wire has class and ref. */
static void say_refused(wb_request *r, accept_call *a, const wb_verdict *verdict)
{
    bool duplicate = verdict->kind == WB_VERDICT_DUPLICATE;
    wb_refusal refusal = describe(r, a, verdict);
    refusal.kind = observes(a, verdict) ? WB_REFUSAL_PASSED
                   : duplicate          ? WB_REFUSAL_DUPLICATE
                                        : WB_REFUSAL_REJECT;
    wb_request_refuse(r, &refusal);
    r->reply->wire_class = text_of(r->arena, wb_slice_str(verdict->wire_class));
    wb_count(duplicate ? &r->sidecar->counters.duplicates : &r->sidecar->counters.refused);
    wb_count(&r->sidecar->counters.refused_by_code[verdict->code]);
}

static void refuse(wb_request *r, accept_call *a, const wb_verdict *verdict)
{
    say_refused(r, a, verdict);
    a->reply.verdict = (Waybill__V1__Verdict)verdict->kind;
    a->reply.verified = verdict->verified;
}

/* CONTINUE, or a claimed trace in trust.mode observe. A trace of our own has no parent. */
static bool is_joined(const Waybill__V1__AcceptanceRow *row) { return row->parent_span_id.len > 0; }

/* tracestate belongs to the claimed trace: without that, or in another, it means nothing. */
static wb_status put_context(wb_request *r, const accept_call *a,
                             const Waybill__V1__AcceptanceRow *row, Waybill__V1__AcceptReply *reply)
{
    static const wb_headers none = {NULL, 0};
    const wb_baggage_border *border = &r->world->config.accept_baggage;
    wb_traceparent context = {.flags = (uint8_t)row->trace_flags};
    wb_id id;
    WB_ASSERT(wb_request_id(&row->id, &id) && row->trace_id.data && row->span_id.data);
    memcpy(context.trace.b, row->trace_id.data, sizeof context.trace.b);
    memcpy(context.span.b, row->span_id.data, sizeof context.span.b);
    bool same_trace = a->has_claimed && WB_ID_EQ(a->claimed.trace, context.trace);
    reply->traceparent = wb_context_traceparent(&context, r->arena);
    reply->tracestate = wb_context_tracestate(same_trace ? &a->tracestates : &none,
                                              WB_TRACESTATE_ACCEPTANCE, &id, r->arena);
    reply->baggage = wb_context_baggage(
        &a->baggage, is_joined(row) ? &border->known : &border->others, r->arena);
    return reply->traceparent && reply->tracestate && reply->baggage ? WB_OK : WB_ERR_NO_MEMORY;
}

static wb_status answer_from(wb_request *r, accept_call *a, const Waybill__V1__AcceptanceRow *row,
                             wb_error *err)
{
    wb_status status = put_context(r, a, row, &a->reply);
    if (status != WB_OK) return wb_fail(err, status, "arena limit");
    a->reply.acceptance_id = row->id;
    a->reply.verdict = (Waybill__V1__Verdict)row->verdict;
    a->reply.verified = row->verified;
    a->reply.trace_id = row->trace_id;
    a->reply.span_id = row->span_id;
    a->reply.issuer = row->verified ? row->issuer : text_of(r->arena, WB_S(""));
    a->reply.pass = row->pass;
    a->reply.n_warnings = row->n_warnings;
    a->reply.warnings = row->warnings;
    return WB_OK;
}

static wb_status fill_warnings(wb_request *r, Waybill__V1__AcceptanceRow *row, uint32_t bits)
{
    row->warnings = wb_arena_array(r->arena, WB_TOKEN_WARNINGS, sizeof *row->warnings);
    if (!row->warnings) return WB_ERR_NO_MEMORY;
    for (unsigned i = 0; i < WB_TOKEN_WARNINGS; i++)
        if (bits & (1u << i))
            row->warnings[row->n_warnings++] =
                text_of(r->arena, wb_slice_str(wb_token_warning_name(i)));
    return WB_OK;
}

static wb_status fill_token(wb_request *r, accept_call *a, const wb_verdict *verdict)
{
    Waybill__V1__AcceptanceRow *row = &a->row;
    const wb_token *leaf = a->result.leaf;
    char jti[WB_ID_HEX + 1];
    if (!verdict->verified || !leaf) return WB_OK;
    wb_hex(leaf->claims.jti.b, sizeof leaf->claims.jti.b, jti);
    row->issuer = text_of(r->arena, leaf->claims.iss);
    row->subject = text_of(r->arena, leaf->claims.sub);
    row->jti = text_of(r->arena, wb_slice_str(jti));
    row->token_hash = wb_request_bytes(leaf->hash, sizeof leaf->hash);
    row->token_exp_s = leaf->claims.exp;
    row->deadline_ns = leaf->claims.dln * WB_NS_PER_S;
    row->depth = leaf->claims.dep;
    row->chain = wb_arena_array(r->arena, a->result.n_links, sizeof *row->chain);
    if (!row->chain) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < a->result.n_links; i++)
        row->chain[row->n_chain++] = text_of(r->arena, a->result.links[i].jws);
    return WB_OK;
}

static void link_to(ProtobufCBinaryData *trace, ProtobufCBinaryData *span, const wb_trace_id *to,
                    const wb_span_id *to_span)
{
    *trace = wb_request_bytes(to->b, sizeof to->b);
    *span = wb_request_bytes(to_span->b, sizeof to_span->b);
}

/* A LINK starts, or goes on with, the trace that stands for the claimed one: spans that came under the
 * claim before the verdict are there already (docs/design/rehoming.md). Its flags are its own: a
 * stranger's must not switch anything here on or off. It points at what was signed, and at what the
 * header claimed besides. */
static void fill_own_trace(wb_request *r, accept_call *a, const wb_claims *claims)
{
    Waybill__V1__AcceptanceRow *row = &a->row;
    const wb_trace_id *claimed = claims ? &claims->tid : a->has_claimed ? &a->claimed.trace : NULL;
    if (claimed) a->own_trace = wb_rehome_trace(r->sidecar->rehome, claimed);
    row->trace_id = wb_request_bytes(a->own_trace.b, sizeof a->own_trace.b);
    row->trace_flags = WB_TRACE_FLAGS_NEW;
    if (claims) link_to(&row->link_trace_id, &row->link_span_id, &claims->tid, &claims->psid);
    if (!a->has_claimed) return;
    if (!claims)
        link_to(&row->link_trace_id, &row->link_span_id, &a->claimed.trace, &a->claimed.span);
    else if (!WB_ID_EQ(claims->tid, a->claimed.trace))
        link_to(&row->claimed_trace_id, &row->claimed_span_id, &a->claimed.trace, &a->claimed.span);
}

/* CONTINUE joins the signed trace, with its flags. */
static void fill_trace(wb_request *r, accept_call *a, const wb_verdict *verdict)
{
    Waybill__V1__AcceptanceRow *row = &a->row;
    const wb_claims *claims = verdict->verified ? &a->result.leaf->claims : NULL;
    row->span_id = wb_request_bytes(a->server_span.b, sizeof a->server_span.b);
    if (observes(a, verdict) && a->has_claimed) {
        row->trace_id = wb_request_bytes(a->claimed.trace.b, sizeof a->claimed.trace.b);
        row->parent_span_id = wb_request_bytes(a->claimed.span.b, sizeof a->claimed.span.b);
        row->trace_flags = a->claimed.flags;
        return;
    }
    if (verdict->kind != WB_VERDICT_CONTINUE) {
        fill_own_trace(r, a, claims);
        return;
    }
    WB_ASSERT(claims); /* CONTINUE is verified */
    row->trace_id = wb_request_bytes(claims->tid.b, sizeof claims->tid.b);
    row->parent_span_id = wb_request_bytes(claims->psid.b, sizeof claims->psid.b);
    row->trace_flags = claims->tfl & WB_TRACE_FLAGS_KNOWN;
    if (verdict->warnings & WB_W_TRACEPARENT)
        link_to(&row->link_trace_id, &row->link_span_id, &a->claimed.trace, &a->claimed.span);
}

static wb_status fill_row(wb_request *r, accept_call *a, const wb_verdict *verdict, wb_error *err)
{
    const Waybill__V1__Accept *in = r->in->accept;
    Waybill__V1__AcceptanceRow *row = &a->row;
    waybill__v1__acceptance_row__init(row);
    row->id = wb_request_bytes(a->id.b, sizeof a->id.b);
    row->version = 1;
    row->verdict = verdict->kind;
    row->verified = verdict->verified;
    row->code = text_of(r->arena, wb_slice_str(wb_token_code_name(verdict->code)));
    row->method = in->method;
    row->message_id = in->message_id;
    row->context_id = in->context_id;
    row->task_id = in->task_id;
    row->peer = in->peer;
    row->opened_ns = wb_now(r->sidecar->clock);
    row->pass = true;
    row->agent_id = text_of(r->arena, r->sidecar->config->self_ids[0]);
    row->body_digest = in->body_digest;
    wb_status status = fill_warnings(r, row, verdict->warnings);
    if (status == WB_OK) status = fill_token(r, a, verdict);
    if (status != WB_OK) return wb_fail(err, status, "arena limit");
    fill_trace(r, a, verdict);
    return WB_OK;
}

static wb_status add_owner(wb_request *r, wb_txn_entries *out, Waybill__V1__OwnerRow *owner,
                           uint64_t now_s, wb_error *err)
{
    wb_slice packed;
    owner->used_s = now_s;
    WB_TRY(wb_request_pack(r->arena, owner, &packed, err));
    wb_txn_add(out, WB_ENTRY_OWNER, packed);
    return WB_OK;
}

/* Replay row and owners go into the acceptance's own frame, before any side effect of it. */
static wb_status add_rows(wb_request *r, accept_call *a, const wb_verdict *verdict, bool with_task,
                          wb_txn_entries *out, wb_error *err)
{
    wb_slice packed;
    Waybill__V1__ReplayRow replay = WAYBILL__V1__REPLAY_ROW__INIT;
    Waybill__V1__OwnerRow trace = WAYBILL__V1__OWNER_ROW__INIT, task = WAYBILL__V1__OWNER_ROW__INIT;
    WB_TRY(wb_request_pack(r->arena, &a->row, &packed, err));
    wb_txn_add(out, WB_ENTRY_ACCEPTANCE, packed);
    if (!verdict->verified) return WB_OK;
    replay.issuer = a->row.issuer;
    replay.jti = a->row.jti;
    replay.token_hash = a->row.token_hash;
    replay.acceptance_id = a->row.id;
    replay.exp_s = a->row.token_exp_s;
    WB_TRY(wb_request_pack(r->arena, &replay, &packed, err));
    wb_txn_add(out, WB_ENTRY_REPLAY, packed);
    if (verdict->kind == WB_VERDICT_CONTINUE) {
        trace.trace_id = a->row.trace_id;
        trace.subject = text_of(r->arena, a->result.speaks_for);
        WB_TRY(add_owner(r, out, &trace, a->now_s, err));
    }
    if (!with_task) return WB_OK;
    task.task_id = a->row.task_id;
    task.subject = a->row.subject;
    task.issuer = a->row.issuer;
    return add_owner(r, out, &task, a->now_s, err);
}

static wb_replay_outcome replay_outcome(const wb_state *state, const wb_claims *claims,
                                        const uint8_t hash[WB_HASH_BYTES], wb_id *first)
{
    uint8_t held[WB_REPLAY_HASH_BYTES];
    char jti[WB_ID_HEX + 1];
    wb_hex(claims->jti.b, sizeof claims->jti.b, jti);
    if (wb_replay_find(state->replay, claims->iss, wb_slice_str(jti), held, first))
        return memcmp(held, hash, sizeof held) == 0 ? WB_REPLAY_SAME : WB_REPLAY_OTHER;
    return wb_replay_room(state->replay) > 0 ? WB_REPLAY_NEW : WB_REPLAY_NO_ROOM;
}

static bool owner_conflict(wb_request *r, const wb_state *state, const accept_call *a)
{
    wb_owner owner;
    const wb_trace_id *trace = &a->result.leaf->claims.tid;
    if (wb_owners_of_trace(state->owners, trace, r->arena, &owner))
        return !wb_slice_eq(owner.subject, a->result.speaks_for);
    return wb_owners_room(state->owners) == 0;
}

/* Finish may have put in the task's id, and rewrites no other of these. */
static bool same_message(const Waybill__V1__Accept *in, const Waybill__V1__AcceptanceRow *row)
{
    return strcmp(in->method, row->method) == 0 && strcmp(in->message_id, row->message_id) == 0 &&
           strcmp(in->context_id, row->context_id) == 0 &&
           wb_slice_eq(wb_slice_of(in->body_digest.data, in->body_digest.len),
                       wb_slice_of(row->body_digest.data, row->body_digest.len));
}

static wb_status answer_known(wb_request *r, accept_call *a, wb_slice packed, wb_error *err)
{
    Waybill__V1__AcceptanceRow *row =
        waybill__v1__acceptance_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (!same_message(r->in->accept, row))
        return wb_fail(err, WB_ERR_REJECTED, "this acceptance_id was used for another message");
    return answer_from(r, a, row, err);
}

/* Another copy of this very request came first: its answer is ours. */
static wb_status answer_again(wb_request *r, accept_call *a, wb_slice packed, wb_error *err)
{
    Waybill__V1__AcceptanceRow *row =
        waybill__v1__acceptance_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    return answer_from(r, a, row, err);
}

/* What the worker looked up may have changed since: the purge mark, a gap, the task's owner. */
static wb_token_code recheck(wb_request *r, const wb_state *state, const accept_call *a)
{
    const wb_claims *claims = &a->result.leaf->claims;
    uint64_t recovered_s = wb_replay_recovered_s(state->replay);
    wb_owner owner;
    if (claims->exp <= wb_replay_purged_exp_s(state->replay)) return WB_E_EXPIRED;
    if (recovered_s > 0 && claims->iat < recovered_s + r->world->config.trust_skew_s)
        return WB_E_EXPIRED;
    if (claims->tsk.len > 0 && wb_owners_of_task(state->owners, claims->tsk, r->arena, &owner) &&
        !(wb_slice_eq(owner.subject, claims->sub) && wb_slice_eq(owner.issuer, claims->iss)))
        return WB_E_BIND_TASK;
    return WB_E_NONE;
}

static wb_verdict decide(wb_request *r, wb_state *state, accept_call *a, wb_id *first)
{
    wb_replay_outcome replay = WB_REPLAY_NEW;
    bool conflict = false;
    if (a->result.code == WB_E_NONE) {
        a->result.code = recheck(r, state, a);
        replay = replay_outcome(state, &a->result.leaf->claims, a->result.leaf->hash, first);
        conflict = owner_conflict(r, state, a);
    }
    return wb_verdict_decide(&a->result, replay, conflict);
}

/* The first verified acceptance that names a task owns it (TOKENS section 10), if there is room
 * beside the row of the trace. */
static bool owns_task(wb_request *r, const wb_state *state)
{
    wb_owner owner;
    const char *task_id = r->in->accept->task_id;
    return task_id[0] && wb_owners_room(state->owners) > 1 &&
           !wb_owners_of_task(state->owners, wb_slice_str(task_id), r->arena, &owner);
}

/* DUPLICATE: the first acceptance's id and context, for a client that lets such messages pass. */
static wb_status name_first(wb_request *r, accept_call *a, const wb_state *state,
                            const wb_id *first, wb_error *err)
{
    wb_slice packed;
    if (wb_acceptances_get(state->acceptances, first, &packed)) {
        WB_TRY(answer_again(r, a, packed, err));
    } else { /* finished long ago: the replay row outlives it */
        uint8_t *id = wb_arena_alloc(r->arena, sizeof first->b);
        if (!id) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
        memcpy(id, first->b, sizeof first->b);
        a->reply.acceptance_id = wb_request_bytes(id, sizeof first->b);
    }
    a->reply.verdict = WAYBILL__V1__VERDICT__VERDICT_DUPLICATE;
    a->reply.pass = false;
    return WB_OK;
}

static wb_status refuse_here(wb_request *r, accept_call *a, const wb_state *state,
                             const wb_verdict *verdict, const wb_id *first, wb_error *err)
{
    refuse(r, a, verdict);
    if (verdict->kind == WB_VERDICT_DUPLICATE) WB_TRY(name_first(r, a, state, first, err));
    return wb_fail(err, WB_ERR_DENIED, REFUSED);
}

/* Let in unverified: `doctor` says who would be refused by the next mode. */
static void say_unverified(wb_request *r, const accept_call *a, const wb_verdict *verdict)
{
    static wb_log_gate gate;
    uint64_t held_back = 0;
    wb_refusal lenience = describe(r, a, verdict);
    lenience.kind = WB_REFUSAL_UNVERIFIED;
    wb_refusals_note(
        r->sidecar->refusals,
        wb_peer_key(&r->sidecar->peer_secret, lenience.peer, wb_ipc_connection(r->call)),
        &lenience);
    if (wb_log_gate_pass(&gate, wb_mono(r->sidecar->clock), &held_back))
        WB_LOG(INFO, "token.unverified", "the caller's context is linked, not joined",
               WB_KV("code", wb_token_code_name(verdict->code)), WB_KV("peer", r->in->accept->peer),
               WB_KV("message_id", r->in->accept->message_id), WB_KV("held_back", held_back));
}

static void say_accepted(wb_request *r, const accept_call *a, const wb_verdict *verdict)
{
    wb_counters *counters = &r->sidecar->counters;
    wb_count(verdict->kind == WB_VERDICT_CONTINUE ? &counters->accepted_continue
             : verdict->verified                  ? &counters->accepted_link
                                                  : &counters->accepted_unverified);
    if (verdict->kind == WB_VERDICT_LINK && !verdict->verified) say_unverified(r, a, verdict);
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    accept_call *a = r->verb;
    wb_id first = {{0}};
    wb_slice packed;
    if (wb_acceptances_get(state->acceptances, &a->id, &packed))
        return answer_known(r, a, packed, err);
    if (!a->verified) /* its row was there when the worker looked, and went */
        return wb_fail(err, WB_ERR_UNAVAILABLE, "the acceptance changed meanwhile: send again");
    wb_verdict verdict = decide(r, state, a, &first);
    bool refused = verdict.kind == WB_VERDICT_REJECT || verdict.kind == WB_VERDICT_DUPLICATE;
    if (refused && !observes(a, &verdict)) return refuse_here(r, a, state, &verdict, &first, err);
    if (refused) {
        say_refused(r, a, &verdict);
        verdict.verified = false;
    }
    if (wb_acceptances_room(state->acceptances) == 0) {
        r->reply->retry_after_ms = 1000;
        return wb_fail(err, WB_ERR_FULL, "%u acceptances are open: no room for more",
                       wb_acceptances_open(state->acceptances));
    }
    WB_TRY(fill_row(r, a, &verdict, err));
    WB_TRY(add_rows(r, a, &verdict, owns_task(r, state), out, err));
    WB_TRY(answer_from(r, a, &a->row, err));
    a->accepted = true;
    a->verdict = verdict;
    return WB_OK;
}

static void ended(wb_request *r, wb_status status, const wb_error *err)
{
    const accept_call *a = r->verb;
    (void)err;
    if (status == WB_OK && a->accepted) say_accepted(r, a, &a->verdict);
}

static bool is_known(wb_request *r, const accept_call *a)
{
    wb_state_lock(&r->sidecar->state);
    bool known = wb_acceptances_get(r->sidecar->state.acceptances, &a->id, NULL);
    wb_state_unlock(&r->sidecar->state);
    return known;
}

void wb_on_accept(wb_request *r)
{
    wb_error err = {.status = WB_OK};
    accept_call *a = wb_arena_alloc(r->arena, sizeof *a);
    const char *fault = a ? fault_of(r->in->accept, a) : "arena limit";
    if (fault) {
        wb_request_reply(r, a ? WB_ERR_MALFORMED : WB_ERR_NO_MEMORY, fault);
        return;
    }
    waybill__v1__accept_reply__init(&a->reply);
    a->now_s = wb_now(r->sidecar->clock) / WB_NS_PER_S;
    a->own_trace = wb_trace_id_new();
    a->server_span = wb_span_id_new();
    r->verb = a;
    r->ended = ended;
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_ACCEPT;
    r->reply->accept = &a->reply;
    wb_status status = read_context(r, a, &err);
    if (status == WB_OK &&
        is_known(r, a)) { /* sent again: the writer answers from the row, however old the token */
        wb_request_submit(r, prepare);
        return;
    }
    if (status == WB_OK) status = verify(r, a, &err);
    if (status != WB_OK) {
        wb_request_reply(r, status, err.detail);
        return;
    }
    /* A hard refusal needs no state: the writer never hears of it. */
    wb_verdict verdict = wb_verdict_decide(&a->result, WB_REPLAY_NEW, false);
    if (a->result.code != WB_E_NONE && verdict.kind == WB_VERDICT_REJECT &&
        !observes(a, &verdict)) {
        refuse(r, a, &verdict);
        wb_request_reply(r, WB_ERR_DENIED, REFUSED);
        return;
    }
    wb_request_submit(r, prepare);
}
