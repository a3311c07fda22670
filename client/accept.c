/* SPDX-License-Identifier: Apache-2.0 */
/* The called side: Accept, Finish. What a request's headers claim is for the sidecar to judge: the W3C ones go
 * along as they came, all of them, since two of a kind make none.
 *
 * Without a sidecar the work goes on in a trace of its own with a link to the claimed one, and nothing is
 * verified; not if the sidecar enforced when it was last there: no valid token, no entry, also while it
 * restarts. */
#include "client/client.h"

#include "core/ids.h"
#include "proto/waybill/v1/ipc.pb-c.h"

#include <stdlib.h>
#include <strings.h>

enum { HEADERS_MAX = 64 }; /* of each of the three names: more are one too many anyway */

/* The request's parts, which must live until it is packed. */
typedef struct asked {
    waybill_accept_request given;
    uint8_t id[WB_ID_LEN];
    char *parents[HEADERS_MAX], *states[HEADERS_MAX], *baggage[HEADERS_MAX];
    Waybill__V1__Accept body;
    Waybill__V1__Request request;
} asked;

static size_t collect(const waybill_accept_request *given, const char *name, char **values)
{
    size_t n = 0;
    for (size_t i = 0; i < given->n_headers && n < HEADERS_MAX; i++)
        if (given->headers[i].name && strcasecmp(given->headers[i].name, name) == 0)
            values[n++] = wb_text(given->headers[i].value);
    return n;
}

static void fill(asked *a)
{
    const waybill_accept_request *g = &a->given;
    Waybill__V1__Accept *b = &a->body;
    waybill__v1__accept__init(b);
    waybill__v1__request__init(&a->request);
    a->request.body_case = WAYBILL__V1__REQUEST__BODY_ACCEPT;
    a->request.accept = b;
    if (g->acceptance_id)
        memcpy(a->id, g->acceptance_id, sizeof a->id);
    else
        wb_random(a->id, sizeof a->id);
    size_t parents = collect(g, "traceparent", a->parents);
    size_t states = collect(g, "tracestate", a->states);
    b->acceptance_id = wb_bytes(a->id, sizeof a->id);
    b->carrier = wb_text(g->carrier);
    b->traceparent = wb_text(parents > 0 ? a->parents[0] : NULL);
    b->tracestate = wb_text(states > 0 ? a->states[0] : NULL);
    b->more_traceparents = a->parents + 1;
    b->n_more_traceparents = parents > 1 ? parents - 1 : 0;
    b->more_tracestates = a->states + 1;
    b->n_more_tracestates = states > 1 ? states - 1 : 0;
    b->baggage = a->baggage;
    b->n_baggage = collect(g, "baggage", a->baggage);
    b->method = wb_text(g->method);
    b->message_id = wb_text(g->message_id);
    b->context_id = wb_text(g->context_id);
    b->task_id = wb_text(g->task_id);
    b->body_digest = wb_bytes(g->body_digest, WAYBILL_DIGEST_BYTES);
    b->peer = wb_text(g->peer);
}

/* ---- what is made of the answer ---- */

static size_t room_for(const Waybill__V1__AcceptReply *said)
{
    size_t room = (said->n_warnings + 1) * sizeof(char *) + wb_shelf_room(said->issuer) +
                  wb_shelf_room(said->baggage) + wb_shelf_room(said->tracestate);
    for (size_t i = 0; i < said->n_warnings; i++) room += wb_shelf_room(said->warnings[i]);
    return room;
}

/* The list of warnings stands directly behind the result, where it is aligned. */
static waybill_acceptance *keep(const asked *a, const Waybill__V1__AcceptReply *said)
{
    size_t room = room_for(said);
    waybill_acceptance *found = calloc(1, sizeof *found + room);
    if (!found) return NULL;
    const char **warnings = (const char **)(found + 1);
    wb_shelf shelf = {.at = (char *)(warnings + said->n_warnings + 1),
                      .end = (char *)(found + 1) + room};
    for (size_t i = 0; i < said->n_warnings; i++)
        warnings[i] = wb_shelf_put(&shelf, said->warnings[i]);
    memcpy(found->id, said->acceptance_id.len == WB_ID_LEN ? said->acceptance_id.data : a->id,
           sizeof found->id);
    found->verdict = (waybill_verdict)said->verdict;
    found->verified = said->verified;
    found->issuer = wb_shelf_put(&shelf, said->issuer);
    found->baggage = wb_shelf_put(&shelf, said->baggage);
    found->warnings = warnings;
    found->context = wb_context_of(said->trace_id.data, said->span_id.data, said->traceparent,
                                   wb_shelf_put(&shelf, said->tracestate));
    memcpy(found->context.acceptance_id, found->id, sizeof found->id);
    return found;
}

static bool has_context(const Waybill__V1__Reply *reply)
{
    return reply->body_case == WAYBILL__V1__REPLY__BODY_ACCEPT &&
           reply->accept->trace_id.len == 16 && reply->accept->span_id.len == 8;
}

/* In trust mode `observe` a reply may tell a class and ref, and let the message pass. */
static waybill_status take_answer(const asked *a, const Waybill__V1__Reply *reply, bool again,
                                  waybill_acceptance **out, waybill_error *err)
{
    if (!has_context(reply))
        return wb_client_say(err, WAYBILL_MALFORMED, "the answer to Accept lacks its body");
    if (!reply->accept->pass && !again) {
        wb_error why = {.status = WB_ERR_DENIED, .detail = "refused"};
        return wb_client_fail(err, &why, reply);
    }
    *out = keep(a, reply->accept);
    return *out ? WAYBILL_OK : wb_client_say(err, WAYBILL_NO_MEMORY, "no memory for an acceptance");
}

static bool is_again(const waybill_client *client, const Waybill__V1__Reply *reply)
{
    return client->pass_duplicates && reply && has_context(reply) &&
           reply->accept->verdict == WAYBILL__V1__VERDICT__VERDICT_DUPLICATE;
}

/* ---- without a sidecar ---- */

static void mark(waybill_client *client, const asked *a, waybill_acceptance *found)
{
    char id[2 * WB_ID_LEN + 1];
    waybill_context claimed;
    waybill_span span;
    wb_hex(found->id, sizeof found->id, id);
    const char *method = a->given.method && *a->given.method ? a->given.method : "accept";
    waybill_span_start(client, &span, method, NULL, WAYBILL_AGENT);
    waybill_span_set_kind(&span, WAYBILL_SERVER);
    waybill_span_set_text(&span, "waybill.acceptance.id", id);
    waybill_span_set_text(&span, "waybill.token.error", "unavailable");
    if (a->body.n_more_traceparents == 0 &&
        waybill_context_parse(a->body.traceparent, a->body.tracestate, &claimed))
        waybill_span_add_link(&span, &claimed);
    found->context = span.context;
    (void)waybill_span_end(&span);
}

static waybill_status go_on(waybill_client *client, const asked *a, waybill_acceptance **out,
                            waybill_error *err)
{
    static const char *const warnings[] = {"unavailable", NULL};
    waybill_acceptance *found = calloc(1, sizeof *found);
    if (!found) return wb_client_say(err, WAYBILL_NO_MEMORY, "no memory for an acceptance");
    memcpy(found->id, a->id, sizeof found->id);
    found->verdict = WAYBILL_LINK;
    found->local = true;
    found->issuer = found->baggage = "";
    found->warnings = warnings;
    mark(client, a, found);
    memcpy(found->context.acceptance_id, found->id, sizeof found->id);
    (void)atomic_fetch_add(&client->unverified_acceptances, 1);
    *out = found;
    return WAYBILL_OK;
}

/* ---- Accept, Finish ---- */

static waybill_status say_finish(waybill_client *client, const uint8_t id[WB_ID_LEN],
                                 const char *outcome, const waybill_seen *seen, waybill_error *err)
{
    Waybill__V1__Finish finish = WAYBILL__V1__FINISH__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    finish.acceptance_id = wb_bytes(id, WB_ID_LEN);
    finish.outcome = wb_text(outcome);
    finish.task_state = wb_text(seen->task_state);
    finish.error_type = wb_text(seen->error_type);
    finish.task_id = wb_text(seen->task_id);
    request.body_case = WAYBILL__V1__REQUEST__BODY_FINISH;
    request.finish = &finish;
    return wb_client_tell(client, &request, seen->no_wait ? 0 : WB_FINISH_WAIT_MS, err);
}

waybill_status waybill_accept(waybill_client *client, const waybill_accept_request *request,
                              waybill_acceptance **out, waybill_error *err)
{
    static const waybill_seen timed_out = {.error_type = "client.timeout", .no_wait = true};
    asked a = {.given = {.size = 0}};
    bool reached;
    wb_error why = {.status = WB_OK};
    Waybill__V1__Reply *reply = NULL;
    memcpy(&a.given, request, request->size < sizeof a.given ? request->size : sizeof a.given);
    fill(&a);
    wb_status status = wb_client_ask(client, &a.request, &reply, &reached, &why);
    bool again = is_again(client, reply);
    waybill_status said;
    if (status == WB_OK || again) {
        said = take_answer(&a, reply, again, out, err);
    } else if (status != WB_ERR_UNAVAILABLE) {
        said = wb_client_fail(err, &why, reply);
    } else {
        if (reached) (void)say_finish(client, a.id, "canceled", &timed_out, NULL);
        said = wb_client_goes_on(client, true) ? go_on(client, &a, out, err)
                                               : wb_client_fail(err, &why, reply);
    }
    wb_reply_free(reply);
    return said;
}

void waybill_acceptance_free(waybill_acceptance *acceptance) { free(acceptance); }

waybill_status waybill_finish(waybill_client *client, const waybill_acceptance *acceptance,
                              const char *outcome, const waybill_seen *seen, waybill_error *err)
{
    waybill_seen all = wb_seen_of(seen);
    if (acceptance->local || acceptance->verdict == WAYBILL_DUPLICATE) return WAYBILL_OK;
    if (wb_client_is_ours(client)) wb_recorder_hurry(client->recorder);
    return say_finish(client, acceptance->id, outcome, &all, err);
}
