/* SPDX-License-Identifier: Apache-2.0 */
/* Delegate: hand a task on, or send the next message of one. The worker decides everything that needs
 * no lock (who stands behind the URL, which claims, the signature); the writer then looks whether the
 * same message was opened meanwhile, and opens it. So a signature may be made in vain in a race of two
 * equal requests, and never waits for the writer.
 *
 * Which delegation a request is, TOKENS section 7, rules 5 and 6, in this order:
 *
 *   the client's id, or (parent, audience, message id, digest), of a message known
 *                                        that message: its token while it can still be accepted, then a
 *                                        fresh one. The same id with other facts is refused
 *   `turn_of`, or (target, task id), of an open delegation in whose trace the parent stands
 *                                        its next turn: a new token in the same row and span
 *   nothing of that                      a new delegation
 *
 * A row holds its newest messages (delegation/turns.h). What a turn adds is put into the row as it then
 * stands, by the writer: an Observe that came between worker and writer is not undone. */
#include "sidecar/delegate.h"

#include "a2a/target.h"
#include "core/log.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/context.h"

#define OTHER_MESSAGE "this delegation_id was used for another message"
#define CHANGED "the delegation changed meanwhile: send again"

typedef struct delegate {
    wb_delegate d;
    wb_slice packed, owner_packed; /* OPEN: the new row; its trace's owner */
    Waybill__V1__DelegateReply reply;
    wb_error refused; /* what decide said */
    bool changed;     /* the transaction opens or changes a row */
} delegate;

static const char *fault_of_ids(const Waybill__V1__Delegate *in, wb_delegate *d)
{
    if (!wb_request_id(&in->delegation_id, &d->id))
        return "delegation_id must be 16 bytes, not all 0";
    if (in->parent_acceptance.len > 0 && !wb_request_id(&in->parent_acceptance, &d->parent))
        return "parent_acceptance must be 16 bytes, not all 0, or left out";
    if (in->turn_of.len > 0 && !wb_request_id(&in->turn_of, &d->named))
        return "turn_of must be 16 bytes, not all 0, or left out";
    if (in->turn_of.len > 0 && !in->task_id[0]) return "turn_of needs the task_id";
    if (in->trace_id.len != 0 && (in->trace_id.len != sizeof(wb_trace_id) ||
                                  wb_id_is_zero(in->trace_id.data, in->trace_id.len)))
        return "trace_id must be 16 bytes, not all 0, or left out";
    if (in->parent_span_id.len != 0 &&
        (in->parent_span_id.len != sizeof(wb_span_id) ||
         wb_id_is_zero(in->parent_span_id.data, in->parent_span_id.len)))
        return "parent_span_id must be 8 bytes, not all 0, or left out";
    return NULL;
}

static const char *fault_of(const Waybill__V1__Delegate *in, wb_delegate *d)
{
    const char *fault = fault_of_ids(in, d);
    if (fault) return fault;
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

/* ---- which delegation ----------------------------------------------------------------------- */

/* The agent id, or the URL where nobody's id stands behind it. */
static wb_slice whom(const wb_request *r, const wb_delegate *d)
{
    return d->audience.len > 0 ? d->audience : wb_slice_str(r->in->delegate->target_url);
}

static void find_audience(wb_request *r, wb_delegate *d)
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
    wb_delegation_facts(WB_ID_ABSENT(d->parent) ? NULL : &d->parent, whom(r, d),
                        wb_slice_str(in->message_id),
                        wb_slice_of(in->body_digest.data, in->body_digest.len), d->facts);
}

/* The row of a message that is known. */
static bool find_message(const wb_delegate *d, const wb_state *state, wb_slice *packed)
{
    const wb_delegations *table = state->delegations;
    wb_id same;
    return wb_delegations_get(table, &d->id, packed) ||
           (wb_delegations_of_turn(table, &d->id, &same) &&
            wb_delegations_get(table, &same, packed)) ||
           (wb_delegations_find(table, d->facts, &same) &&
            wb_delegations_get(table, &same, packed));
}

/* The row of the task that a new message goes to: what the client says, else what we know. */
static bool find_task(const wb_request *r, const wb_delegate *d, const wb_state *state,
                      wb_slice *packed)
{
    wb_slice task_id = wb_slice_str(r->in->delegate->task_id);
    wb_id same;
    if (task_id.len == 0) return false;
    if (!WB_ID_ABSENT(d->named) && wb_delegations_get(state->delegations, &d->named, packed))
        return true;
    return wb_delegations_of_task(state->delegations, whom(r, d), task_id, &same) &&
           wb_delegations_get(state->delegations, &same, packed);
}

/* A root may only be minted in a trace that is ours or nobody's. */
static bool is_foreign_trace(const wb_request *r, const wb_state *state, const wb_trace_id *trace)
{
    const wb_sidecar_config *config = &r->world->config;
    wb_owner owner;
    if (!wb_owners_of_trace(state->owners, trace, r->arena, &owner)) return false;
    for (size_t i = 0; i < config->n_self_ids; i++)
        if (wb_slice_eq(owner.subject, config->self_ids[i])) return false;
    return true;
}

static wb_status unpack_row(wb_request *r, wb_slice packed, Waybill__V1__DelegationRow **row,
                            wb_error *err)
{
    *row =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    return *row ? WB_OK : wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
}

/* The same id with other facts is refused, by whichever request comes second; so is an id so long
 * past that its row does not hold the message any more. */
static wb_status same_message(const wb_request *r, wb_delegate *d,
                              const Waybill__V1__DelegationRow *row, wb_error *err)
{
    uint8_t facts[WB_FACTS_BYTES];
    Waybill__V1__DelegationTurn turn;
    if (!wb_turns_find(row, &d->id, d->facts, &d->turn))
        return wb_fail(err, WB_ERR_REJECTED, OTHER_MESSAGE);
    wb_turns_facts(row, d->turn, facts);
    wb_turns_get(row, d->turn, &turn);
    if (memcmp(facts, d->facts, sizeof facts) == 0 &&
        strcmp(turn.method, r->in->delegate->method) == 0)
        return WB_OK;
    return wb_fail(err, WB_ERR_REJECTED, OTHER_MESSAGE);
}

/* An open delegation whose message's token died gets a fresh one under a new jti. */
static bool wants_fresh_token(const wb_request *r, const wb_delegate *d,
                              const Waybill__V1__DelegationRow *row)
{
    Waybill__V1__DelegationTurn turn;
    wb_turns_get(row, d->turn, &turn);
    return row->closed_ns == 0 && turn.n_chain > 0 &&
           turn.token_exp_s <= wb_now(r->sidecar->clock) / WB_NS_PER_S;
}

/* A turn stays in its delegation's trace; in another one it is another delegation. */
static bool takes_turn(const wb_request *r, const wb_delegate *d, const wb_state *state,
                       const Waybill__V1__DelegationRow *row)
{
    const Waybill__V1__AcceptanceRow *under = d->parent_row;
    wb_trace_id trace;
    if (row->closed_ns != 0 || row->trace_id.len != sizeof trace.b) return false;
    memcpy(trace.b, row->trace_id.data, sizeof trace.b);
    if (under)
        return under->trace_id.len == sizeof trace.b &&
               memcmp(under->trace_id.data, trace.b, sizeof trace.b) == 0;
    return row->parent_acceptance.len == 0 && !is_foreign_trace(r, state, &trace);
}

static wb_status check_named(const wb_request *r, const wb_delegate *d,
                             const Waybill__V1__DelegationRow *row, wb_error *err)
{
    wb_slice of_row =
        wb_slice_str(row->target_agent_id[0] ? row->target_agent_id : row->target_url);
    if (!wb_slice_eq(of_row, whom(r, d)))
        return wb_fail(err, WB_ERR_REJECTED, "turn_of is a delegation to another agent");
    if (row->task_id[0] && strcmp(row->task_id, r->in->delegate->task_id) != 0)
        return wb_fail(err, WB_ERR_REJECTED, "turn_of is a delegation of another task");
    return WB_OK;
}

/* The trace in which the client stands. */
typedef struct trace_look {
    bool owned;   /* by anybody */
    bool foreign; /* not by us */
} trace_look;

/* ---- on the worker -------------------------------------------------------------------------- */

static wb_status read_parent(wb_request *r, wb_delegate *d, const wb_state *state, wb_error *err)
{
    wb_slice packed;
    if (WB_ID_ABSENT(d->parent)) return WB_OK;
    if (!wb_acceptances_get(state->acceptances, &d->parent, &packed))
        return wb_fail(err, WB_ERR_NOT_FOUND,
                       "parent_acceptance is unknown here: it was never made, or long finished");
    d->parent_row =
        waybill__v1__acceptance_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    return d->parent_row ? WB_OK : wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
}

/* What the state has of this message, of its task and of its parent. */
static wb_status look(wb_request *r, wb_delegate *d, const wb_state *state, trace_look *seen,
                      wb_error *err)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    Waybill__V1__DelegationRow *row;
    wb_trace_id trace;
    wb_slice packed;
    d->kind = WB_DELEGATE_OPEN;
    WB_TRY(read_parent(r, d, state, err));
    if (in->trace_id.len == sizeof trace.b) {
        memcpy(trace.b, in->trace_id.data, sizeof trace.b);
        seen->owned = wb_owners_has_trace(state->owners, &trace);
        seen->foreign = is_foreign_trace(r, state, &trace);
    }
    if (find_message(d, state, &packed)) {
        WB_TRY(unpack_row(r, packed, &d->row, err));
        WB_TRY(same_message(r, d, d->row, err));
        d->kind = wants_fresh_token(r, d, d->row) ? WB_DELEGATE_RENEW : WB_DELEGATE_ANSWER;
        return WB_OK;
    }
    if (!find_task(r, d, state, &packed)) return WB_OK;
    WB_TRY(unpack_row(r, packed, &row, err));
    WB_TRY(check_named(r, d, row, err));
    if (!takes_turn(r, d, state, row)) return WB_OK;
    d->row = row;
    d->kind = WB_DELEGATE_TURN;
    return WB_OK;
}

static wb_status look_up(wb_request *r, wb_delegate *d, trace_look *seen, wb_error *err)
{
    wb_state *state = &r->sidecar->state;
    wb_state_lock(state);
    wb_status status = look(r, d, state, seen, err);
    wb_state_unlock(state);
    return status;
}

/* A trace that the agent itself only has from a caller, and that nobody owns, is left for the one that
 * stands for it, as its spans are (docs/design/rehoming.md). trust.mode observe leaves none. */
static void leave_claimed(const wb_request *r, wb_delegate *d, const trace_look *look,
                          wb_trace_id *trace)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    if (!in->trace_claimed || look->owned) return;
    if (r->world->config.trust_mode == WB_MODE_OBSERVE)
        d->unsigned_reason = "claimed_trace";
    else if (r->world->config.trust_rehome)
        *trace = wb_rehome_trace(r->sidecar->rehome, trace);
}

/* Trace, parent span and flags of a delegation that is new. */
static void place_in_trace(const wb_request *r, wb_delegate *d, const trace_look *look,
                           wb_trace_id *trace, wb_span_id *parent)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    const Waybill__V1__AcceptanceRow *under = d->parent_row;
    bool local = in->trace_id.len == sizeof trace->b && !(look->foreign && !under);
    if (under) { /* the acceptance's own trace, whatever the client says */
        memcpy(trace->b, under->trace_id.data, sizeof trace->b);
        memcpy(parent->b, under->span_id.data, sizeof parent->b);
        local = local && memcmp(in->trace_id.data, trace->b, sizeof trace->b) == 0;
    } else if (local) {
        memcpy(trace->b, in->trace_id.data, sizeof trace->b);
        leave_claimed(r, d, look, trace);
    } else {
        *trace = wb_trace_id_new();
    }
    if (local && in->parent_span_id.len == sizeof parent->b)
        memcpy(parent->b, in->parent_span_id.data, sizeof parent->b);
}

/* A trace that goes on keeps its flags as they are, random bit included; one that starts here has its
 * own. */
static uint32_t flags_of(const wb_delegate *d, const wb_trace_id *trace,
                         const Waybill__V1__Delegate *in)
{
    if (d->parent_row) return d->parent_row->trace_flags;
    bool goes_on = in->trace_id.len == sizeof trace->b &&
                   memcmp(in->trace_id.data, trace->b, sizeof trace->b) == 0;
    return goes_on ? in->trace_flags & WB_TRACE_FLAGS_KNOWN : WB_TRACE_FLAGS_NEW;
}

static wb_status new_row(wb_request *r, wb_delegate *d, const trace_look *look, wb_error *err)
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
    place_in_trace(r, d, look, &made->trace, &made->parent);
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
    row->context_id = in->context_id;
    row->task_id = in->task_id;
    row->opened_ns = wb_now(r->sidecar->clock);
    row->issuer = wb_arena_printf(r->arena, "%.*s", WB_SLICE_ARG(wb_delegate_issuer(r, d)));
    row->target_agent_id = wb_arena_printf(r->arena, "%.*s", WB_SLICE_ARG(d->audience));
    d->row = row;
    return row->issuer && row->target_agent_id ? WB_OK
                                               : wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
}

/* TOKENS section 10: minting a root makes the minter the trace's owner. */
static wb_status pack_owner(wb_request *r, delegate *call, wb_error *err)
{
    const wb_delegate *d = &call->d;
    if (d->token.chain.n == 0 || d->token.claims.dep > 0) return WB_OK;
    Waybill__V1__OwnerRow owner = WAYBILL__V1__OWNER_ROW__INIT;
    owner.trace_id = d->row->trace_id;
    owner.subject = wb_arena_printf(r->arena, "%.*s", WB_SLICE_ARG(d->token.claims.iss));
    owner.used_s = wb_now(r->sidecar->clock) / WB_NS_PER_S;
    if (!owner.subject) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    return wb_request_pack(r->arena, &owner, &call->owner_packed, err);
}

static wb_status decide(wb_request *r, delegate *call, wb_error *err)
{
    wb_delegate *d = &call->d;
    trace_look seen = {.owned = false};
    find_audience(r, d);
    WB_TRY(look_up(r, d, &seen, err));
    if (d->kind == WB_DELEGATE_ANSWER) return WB_OK; /* the writer answers from the row */
    WB_TRY(wb_delegate_read_grant(r, d, err));
    if (d->kind == WB_DELEGATE_OPEN) WB_TRY(new_row(r, d, &seen, err));
    WB_TRY(wb_delegate_sign(r, d, err));
    WB_TRY(pack_owner(r, call, err));
    if (d->kind != WB_DELEGATE_OPEN) return WB_OK; /* the writer has the row as it then stands */
    WB_TRY(wb_delegate_put(r, d, d->row, err));
    return wb_request_pack(r->arena, d->row, &call->packed, err);
}

/* ---- on the writer -------------------------------------------------------------------------- */

/* Another became the owner of a root's trace since the worker looked. */
static bool is_taken(const wb_request *r, const delegate *call, const wb_state *state)
{
    wb_trace_id trace;
    if (call->owner_packed.len == 0 || call->d.parent_row) return false;
    memcpy(trace.b, call->d.row->trace_id.data, sizeof trace.b);
    return is_foreign_trace(r, state, &trace);
}

/* Never takes a trace from its owner; without room the trace just has none. */
static bool may_own(const wb_request *r, const delegate *call, const wb_state *state)
{
    const wb_delegate *d = &call->d;
    wb_trace_id trace;
    wb_owner owner;
    if (call->owner_packed.len == 0) return false;
    memcpy(trace.b, d->row->trace_id.data, sizeof trace.b);
    if (!wb_owners_of_trace(state->owners, &trace, r->arena, &owner))
        return wb_owners_room(state->owners) > 0;
    return wb_slice_eq(owner.subject, d->token.claims.iss);
}

static bool fits(uint64_t granted, uint64_t handed, uint64_t amount)
{
    return granted == WB_NOLIM || (handed <= granted && amount <= granted - handed);
}

/* What was held of the grant is handed on: the acceptance's row says so in the same frame. A failed commit
 * ends all holds, so others may have taken it since. */
static wb_status hand_on(wb_request *r, wb_delegate *d, wb_handed amount, wb_state *state,
                         wb_txn_entries *out, wb_error *err)
{
    wb_slice packed;
    if (amount.cost == 0 && amount.tokens == 0) return WB_OK;
    if (!wb_acceptances_get(state->acceptances, &d->parent, &packed))
        return wb_fail(err, WB_ERR_NOT_FOUND, "parent_acceptance went meanwhile");
    Waybill__V1__AcceptanceRow *row =
        waybill__v1__acceptance_row__unpack(wb_arena_allocator(r->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    const wb_token_limits *granted = &d->leaf->claims.lim; /* nothing is held without a grant */
    if (!fits(granted->cost, row->handed_cost, amount.cost) ||
        !fits(granted->tok, row->handed_tokens, amount.tokens))
        return wb_fail(err, WB_ERR_UNAVAILABLE, CHANGED);
    row->handed_cost += amount.cost;
    row->handed_tokens += amount.tokens;
    row->version++;
    WB_TRY(wb_request_pack(r->arena, row, &packed, err));
    wb_txn_add(out, WB_ENTRY_ACCEPTANCE, packed);
    return WB_OK;
}

static wb_status open_new(wb_request *r, delegate *call, wb_handed amount, wb_state *state,
                          wb_txn_entries *out, wb_error *err)
{
    wb_delegate *d = &call->d;
    if (call->packed.len == 0 || is_taken(r, call, state))
        return wb_fail(err, WB_ERR_UNAVAILABLE, CHANGED);
    if (wb_delegations_room(state->delegations) == 0) {
        r->reply->retry_after_ms = 1000;
        return wb_fail(err, WB_ERR_FULL, "%u delegations are open: no room for more",
                       wb_delegations_open(state->delegations));
    }
    WB_TRY(hand_on(r, d, amount, state, out, err));
    wb_txn_add(out, WB_ENTRY_DELEGATION, call->packed);
    if (may_own(r, call, state)) wb_txn_add(out, WB_ENTRY_OWNER, call->owner_packed);
    call->changed = true;
    return wb_delegate_answer(r, d, d->row, 0, err);
}

/* A turn, or a fresh token, goes into the row as it stands now. */
static wb_status change_row(wb_request *r, delegate *call, Waybill__V1__DelegationRow *row,
                            wb_handed amount, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_delegate *d = &call->d;
    wb_slice packed;
    bool is_turn = d->kind == WB_DELEGATE_TURN;
    WB_TRY(wb_delegate_put(r, d, row, err));
    WB_TRY(wb_request_pack(r->arena, row, &packed, err));
    if (is_turn) WB_TRY(hand_on(r, d, amount, state, out, err));
    wb_txn_add(out, WB_ENTRY_DELEGATION, packed);
    if (may_own(r, call, state)) wb_txn_add(out, WB_ENTRY_OWNER, call->owner_packed);
    call->changed = true;
    return wb_delegate_answer(r, d, row, is_turn ? wb_turns_held(row) - 1 : d->turn, err);
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    delegate *call = r->verb;
    wb_delegate *d = &call->d;
    wb_handed amount = d->hold;
    Waybill__V1__DelegationRow *row;
    wb_slice packed;
    wb_id id;
    wb_delegate_let_go(state, d); /* from here on nobody looks in between */
    if (find_message(d, state, &packed)) {
        WB_TRY(unpack_row(r, packed, &row, err));
        WB_TRY(same_message(r, d, row, err));
        if (d->kind == WB_DELEGATE_RENEW && wants_fresh_token(r, d, row))
            return change_row(r, call, row, amount, state, out, err);
        return wb_delegate_answer(r, d, row, d->turn, err);
    }
    if (d->kind != WB_DELEGATE_TURN) return open_new(r, call, amount, state, out, err);
    memcpy(id.b, d->row->id.data, sizeof id.b);
    if (!wb_delegations_get(state->delegations, &id, &packed))
        return wb_fail(err, WB_ERR_UNAVAILABLE, CHANGED);
    WB_TRY(unpack_row(r, packed, &row, err));
    if (!takes_turn(r, d, state, row)) return wb_fail(err, WB_ERR_UNAVAILABLE, CHANGED);
    return change_row(r, call, row, amount, state, out, err);
}

static void count(wb_request *r, const wb_delegate *d)
{
    wb_counters *counters = &r->sidecar->counters;
    wb_count(d->token.chain.n > 0 ? &counters->delegations_signed
                                  : &counters->delegations_unsigned);
}

/* The agent asked for more than it holds. It hears the remainder; the ref is for whoever looks later. */
static void say_denied(wb_request *r, const wb_delegate *d, const wb_error *err)
{
    const Waybill__V1__Delegate *in = r->in->delegate;
    wb_refusal refusal = {.kind = WB_REFUSAL_DELEGATE,
                          .wire_class = WB_S("budget"),
                          .peer = wb_slice_str(in->target_url),
                          .issuer = d->audience,
                          .message_id = wb_slice_str(in->message_id),
                          .detail = wb_slice_str(err->detail)};
    wb_request_refuse(r, &refusal);
    wb_count(&r->sidecar->counters.delegations_denied);
}

/* What the worker refused for what the tables say. That is an answer only if they are what the disk says,
 * which the commit behind this knows. */
static wb_status prepare_refused(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    delegate *call = wb_request_of(txn)->verb;
    (void)out;
    wb_delegate_let_go(state, &call->d);
    *err = call->refused;
    return call->refused.status;
}

static void ended(wb_request *r, wb_status status, const wb_error *err)
{
    const delegate *call = r->verb;
    if (status == WB_ERR_DENIED) say_denied(r, &call->d, err);
    if (status == WB_OK && call->changed) count(r, &call->d);
}

void wb_on_delegate(wb_request *r)
{
    wb_error err = {.status = WB_OK};
    delegate *call = wb_arena_alloc(r->arena, sizeof *call);
    const char *fault = call ? fault_of(r->in->delegate, &call->d) : "arena limit";
    if (fault) {
        wb_request_reply(r, call ? WB_ERR_MALFORMED : WB_ERR_NO_MEMORY, fault);
        return;
    }
    waybill__v1__delegate_reply__init(&call->reply);
    call->d.reply = &call->reply;
    wb_status status = decide(r, call, &err);
    r->verb = call;
    r->ended = ended;
    if (status == WB_ERR_NOT_FOUND || status == WB_ERR_REJECTED || status == WB_ERR_DENIED) {
        call->refused = err;
        call->refused.status = status;
        wb_request_submit(r, prepare_refused);
        return;
    }
    if (status != WB_OK) {
        wb_state_lock(&r->sidecar->state);
        wb_delegate_let_go(&r->sidecar->state, &call->d);
        wb_state_unlock(&r->sidecar->state);
        wb_request_reply(r, status, err.detail);
        return;
    }
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_DELEGATE;
    r->reply->delegate = &call->reply;
    wb_request_submit(r, prepare);
}
