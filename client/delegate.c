/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side: Delegate, Observe, Settle. What the sidecar says is copied into one block of memory with
 * the result in front and its texts behind, so that one free ends it.
 *
 * Without a sidecar a delegation goes on in plain W3C context and without baggage: nobody is there to say
 * what may pass. One that was only slow may have opened it all the same, and nobody else will close it: it
 * is told that the delegation was canceled. */
#include "client/client.h"

#include "core/ids.h"
#include "proto/waybill/v1/ipc.pb-c.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- limits ---- */

static void fill_limits(Waybill__V1__Limits *out, const waybill_limits *ask)
{
    waybill__v1__limits__init(out);
    out->currency = wb_text(ask->currency);
    if (ask->cost_micros >= 0) {
        out->cost_case = WAYBILL__V1__LIMITS__COST_COST_MICROS;
        out->cost_micros = (uint64_t)ask->cost_micros;
    }
    if (ask->tokens >= 0) {
        out->token_count_case = WAYBILL__V1__LIMITS__TOKEN_COUNT_TOKENS;
        out->tokens = (uint64_t)ask->tokens;
    }
    if (ask->work_ms >= 0) {
        out->work_case = WAYBILL__V1__LIMITS__WORK_WORK_MS;
        out->work_ms = (uint64_t)ask->work_ms;
    }
}

static waybill_limits limits_of(const Waybill__V1__Limits *said)
{
    waybill_limits out = {.cost_micros = -1, .tokens = -1, .work_ms = -1};
    (void)snprintf(out.currency, sizeof out.currency, "%s", said->currency);
    if (said->cost_case == WAYBILL__V1__LIMITS__COST_COST_MICROS)
        out.cost_micros = (int64_t)said->cost_micros;
    if (said->token_count_case == WAYBILL__V1__LIMITS__TOKEN_COUNT_TOKENS)
        out.tokens = (int64_t)said->tokens;
    if (said->work_case == WAYBILL__V1__LIMITS__WORK_WORK_MS) out.work_ms = (int64_t)said->work_ms;
    return out;
}

/* ---- Delegate ---- */

/* The request's parts, which must live until it is packed. */
typedef struct asked {
    waybill_delegate_request given;
    uint8_t id[WB_ID_LEN];
    char *baggage[1];
    Waybill__V1__Limits limits;
    Waybill__V1__Delegate body;
    Waybill__V1__Request request;
} asked;

static void place(asked *a, const waybill_context *where)
{
    a->body.trace_flags = where ? where->flags : WB_TRACE_FLAGS_NEW;
    if (!where) return;
    a->body.parent_acceptance = wb_id_bytes(where->acceptance_id, sizeof where->acceptance_id);
    a->body.trace_id = wb_id_bytes(where->trace_id, sizeof where->trace_id);
    a->body.parent_span_id = wb_id_bytes(where->span_id, sizeof where->span_id);
    a->body.trace_claimed = where->claimed;
    a->body.tracestate = wb_text(where->tracestate);
}

static void fill(asked *a)
{
    const waybill_delegate_request *g = &a->given;
    Waybill__V1__Delegate *d = &a->body;
    waybill__v1__delegate__init(d);
    waybill__v1__request__init(&a->request);
    a->request.body_case = WAYBILL__V1__REQUEST__BODY_DELEGATE;
    a->request.delegate = d;
    if (g->delegation_id)
        memcpy(a->id, g->delegation_id, sizeof a->id);
    else
        wb_random(a->id, sizeof a->id);
    d->delegation_id = wb_bytes(a->id, sizeof a->id);
    d->target_url = wb_text(g->target_url);
    d->target_agent_id = wb_text(g->target_agent_id);
    d->target_name = wb_text(g->target_name);
    d->target_declares = g->target_declares;
    d->method = wb_text(g->method);
    d->message_id = wb_text(g->message_id);
    d->context_id = wb_text(g->context_id);
    d->task_id = wb_text(g->task_id);
    d->body_digest = wb_bytes(g->body_digest, WAYBILL_DIGEST_BYTES);
    d->salt = wb_bytes(g->salt, WAYBILL_SALT_BYTES);
    d->turn_of = wb_bytes(g->turn_of, WB_ID_LEN);
    d->deadline_s = g->deadline_s;
    if (g->ask) {
        fill_limits(&a->limits, g->ask);
        d->ask = &a->limits;
    }
    a->baggage[0] = wb_text(g->baggage);
    d->baggage = a->baggage;
    d->n_baggage = *a->baggage[0] ? 1 : 0;
    place(a, g->parent);
}

static waybill_status take_answer(const asked *a, const Waybill__V1__Reply *reply,
                                  waybill_delegation **out, waybill_error *err)
{
    const Waybill__V1__DelegateReply *said = reply->delegate;
    if (reply->body_case != WAYBILL__V1__REPLY__BODY_DELEGATE || said->trace_id.len != 16 ||
        said->span_id.len != 8)
        return wb_client_say(err, WAYBILL_MALFORMED, "the answer to Delegate lacks its body");
    size_t room = wb_shelf_room(said->carrier) + wb_shelf_room(said->traceparent) +
                  wb_shelf_room(said->tracestate) + wb_shelf_room(said->baggage) +
                  wb_shelf_room(said->unsigned_reason);
    waybill_delegation *d = calloc(1, sizeof *d + room);
    if (!d) return wb_client_say(err, WAYBILL_NO_MEMORY, "no memory for a delegation");
    wb_shelf shelf = {.at = (char *)(d + 1), .end = (char *)(d + 1) + room};
    memcpy(d->id, said->delegation_id.len == WB_ID_LEN ? said->delegation_id.data : a->id,
           sizeof d->id);
    d->carrier = wb_shelf_put(&shelf, said->carrier);
    d->traceparent = wb_shelf_put(&shelf, said->traceparent);
    d->tracestate = wb_shelf_put(&shelf, said->tracestate);
    d->baggage = wb_shelf_put(&shelf, said->baggage);
    d->unsigned_reason = wb_shelf_put(&shelf, said->unsigned_reason);
    d->context =
        wb_context_of(said->trace_id.data, said->span_id.data, d->traceparent, d->tracestate);
    d->deadline_s = said->deadline_s;
    d->turn = said->turn > 0 ? said->turn : 1;
    d->has_granted = said->granted != NULL;
    if (said->granted) d->granted = limits_of(said->granted);
    *out = d;
    return WAYBILL_OK;
}

/* A span that shows what went on without a sidecar, once there is one again. */
static void mark(waybill_client *client, const asked *a, waybill_delegation *d)
{
    char id[2 * WB_ID_LEN + 1];
    waybill_span span;
    wb_hex(d->id, sizeof d->id, id);
    const char *method = a->given.method && *a->given.method ? a->given.method : "delegate";
    waybill_span_start(client, &span, method, a->given.parent, WAYBILL_PLAIN);
    waybill_span_set_kind(&span, WAYBILL_CLIENT);
    waybill_span_set_text(&span, "waybill.span.type", "delegation");
    waybill_span_set_text(&span, "waybill.delegation.id", id);
    waybill_span_set_text(&span, "waybill.token.error", "unavailable");
    d->context = span.context;
    (void)waybill_span_end(&span);
}

static waybill_status go_on(waybill_client *client, const asked *a, waybill_delegation **out,
                            waybill_error *err)
{
    size_t room = WAYBILL_TRACEPARENT_LEN + 1 +
                  wb_shelf_room(a->given.parent ? a->given.parent->tracestate : NULL);
    waybill_delegation *d = calloc(1, sizeof *d + room);
    if (!d) return wb_client_say(err, WAYBILL_NO_MEMORY, "no memory for a delegation");
    char header[WAYBILL_TRACEPARENT_LEN + 1];
    wb_shelf shelf = {.at = (char *)(d + 1), .end = (char *)(d + 1) + room};
    memcpy(d->id, a->id, sizeof d->id);
    mark(client, a, d);
    waybill_context_format(&d->context, header);
    d->traceparent = wb_shelf_put(&shelf, header);
    d->tracestate = wb_shelf_put(&shelf, d->context.tracestate);
    d->context.tracestate = d->tracestate;
    d->carrier = d->baggage = "";
    d->unsigned_reason = "unavailable";
    d->turn = 1;
    d->local = true;
    (void)atomic_fetch_add(&client->unsigned_delegations, 1);
    *out = d;
    return WAYBILL_OK;
}

static void cancel(waybill_client *client, const uint8_t id[WB_ID_LEN])
{
    Waybill__V1__Settle settle = WAYBILL__V1__SETTLE__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    settle.delegation_id = wb_bytes(id, WB_ID_LEN);
    settle.outcome = wb_text("canceled");
    settle.error_type = wb_text("client.timeout");
    request.body_case = WAYBILL__V1__REQUEST__BODY_SETTLE;
    request.settle = &settle;
    (void)wb_client_tell(client, &request, 0, NULL);
}

waybill_status waybill_delegate(waybill_client *client, const waybill_delegate_request *request,
                                waybill_delegation **out, waybill_error *err)
{
    asked a = {.given = {.size = 0}};
    bool reached;
    wb_error why = {.status = WB_OK};
    Waybill__V1__Reply *reply = NULL;
    size_t size = request->size < sizeof a.given ? request->size : sizeof a.given;
    memcpy(&a.given, request, size);
    if (!a.given.salt != !a.given.body_digest)
        return wb_client_say(err, WAYBILL_MALFORMED, "a salt and a body digest go together");
    fill(&a);
    wb_status status = wb_client_ask(client, &a.request, &reply, &reached, &why);
    waybill_status said;
    if (status == WB_OK) {
        said = take_answer(&a, reply, out, err);
    } else if (status != WB_ERR_UNAVAILABLE) {
        said = wb_client_fail(err, &why, reply);
    } else {
        if (reached) cancel(client, a.id);
        said = wb_client_goes_on(client, false) ? go_on(client, &a, out, err)
                                                : wb_client_fail(err, &why, reply);
    }
    wb_reply_free(reply);
    return said;
}

void waybill_delegation_free(waybill_delegation *delegation) { free(delegation); }

/* ---- Observe, Settle ---- */

waybill_status waybill_observe(waybill_client *client, const waybill_delegation *delegation,
                               const waybill_seen *seen, waybill_error *err)
{
    waybill_seen all = wb_seen_of(seen);
    Waybill__V1__Observe observe = WAYBILL__V1__OBSERVE__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    if (delegation->local) return WAYBILL_OK; /* the sidecar knows nothing of it */
    observe.delegation_id = wb_bytes(delegation->id, WB_ID_LEN);
    observe.task_state = wb_text(all.task_state);
    observe.task_id = wb_text(all.task_id);
    observe.context_id = wb_text(all.context_id);
    observe.event = wb_text(all.event);
    request.body_case = WAYBILL__V1__REQUEST__BODY_OBSERVE;
    request.observe = &observe;
    return wb_client_tell(client, &request, all.no_wait ? 0 : WB_TELL_WAIT_MS, err);
}

waybill_status waybill_settle(waybill_client *client, const waybill_delegation *delegation,
                              const char *outcome, const waybill_seen *seen, waybill_error *err)
{
    waybill_seen all = wb_seen_of(seen);
    Waybill__V1__Settle settle = WAYBILL__V1__SETTLE__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    if (delegation->local) return WAYBILL_OK;
    settle.delegation_id = wb_bytes(delegation->id, WB_ID_LEN);
    settle.outcome = wb_text(outcome);
    settle.task_state = wb_text(all.task_state);
    settle.error_type = wb_text(all.error_type);
    settle.task_id = wb_text(all.task_id);
    settle.context_id = wb_text(all.context_id);
    request.body_case = WAYBILL__V1__REQUEST__BODY_SETTLE;
    request.settle = &settle;
    return wb_client_tell(client, &request, all.no_wait ? 0 : WB_TELL_WAIT_MS, err);
}
