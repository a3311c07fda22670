/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one request: HEAD, BODY, IN_SINK, ANSWERED, and each of the first three may end in a refusal.
 *
 * Its memory is the loop's thread's, but while the sink has it: then `said`, `answer` and the place in the list
 * are written by whoever answers, the last of them under the receiver's lock, and nobody frees it. Its
 * stream may close meanwhile, or its time may be over: `stream` becomes 0, and when the answer comes there is
 * nobody to tell. It still counts among its connection's requests as long as that lives, so that a client
 * that starts requests only to reset them has no more in hand than one that waits. */
#include "sidecar/receivers/otlp/grpc_inside.h"

#include "proto/sender.h"

#include <stdlib.h>

enum { FREE_CALLS_KEPT = 32 };

static const wb_grpc_refusal cannot_inflate = {.code = WB_GRPC_INTERNAL,
                                               .message = "the message is not gzip",
                                               .why = WB_OTLP_REFUSED_MALFORMED};
static const wb_grpc_refusal inflated_too_large = {
    .code = WB_GRPC_RESOURCE_EXHAUSTED,
    .message = "the message is larger than the limit once it is inflated",
    .why = WB_OTLP_REFUSED_TOO_LARGE};
static const wb_grpc_refusal no_room = {.code = WB_GRPC_UNAVAILABLE,
                                        .message = "no room to inflate the message: send it again",
                                        .why = WB_OTLP_REFUSED_BUSY,
                                        .retry_after_s = 1};
static const wb_grpc_refusal too_late = {.code = WB_GRPC_DEADLINE_EXCEEDED,
                                         .message = "grpc-timeout is over",
                                         .why = WB_OTLP_REFUSED_BUSY};
static const wb_grpc_refusal too_slow = {.code = WB_GRPC_DEADLINE_EXCEEDED,
                                         .message = "the request did not arrive in time",
                                         .why = WB_OTLP_REFUSED_BUSY};

/* "Again later" though no time mends it: our exporter then keeps what it has for the right endpoint. */
static const wb_grpc_refusal of_our_own = {.code = WB_GRPC_UNAVAILABLE,
                                           .message = WB_OTLP_OWN_ADVICE,
                                           .why = WB_OTLP_REFUSED_LOOP,
                                           .retry_after_s = 10};

static wb_grpc_call *take_free(wb_otlp_grpc *grpc)
{
    wb_grpc_call *call = grpc->free_calls;
    if (call) {
        grpc->free_calls = call->next;
        grpc->n_free--;
        return call;
    }
    call = calloc(1, sizeof *call);
    if (call) call->export.arena = wb_arena_new(grpc->options.arena_bytes);
    if (call && call->export.arena) return call;
    free(call);
    return NULL;
}

static void free_call(wb_grpc_call *call)
{
    wb_arena_free(call->export.arena);
    free(call);
}

static void give_back_body(wb_grpc_call *call)
{
    const wb_export_sink *sink = &call->grpc->options.sink;
    wb_grpc_message_done(&call->message, sink);
    wb_inflated_free(&call->inflated, sink);
}

static void release(wb_grpc_call *call)
{
    wb_otlp_grpc *grpc = call->grpc;
    give_back_body(call);
    if (grpc->n_free >= FREE_CALLS_KEPT) {
        free_call(call);
        return;
    }
    wb_arena_reset(call->export.arena);
    call->next = grpc->free_calls;
    grpc->free_calls = call;
    grpc->n_free++;
}

void wb_grpc_calls_free(wb_otlp_grpc *grpc)
{
    while (grpc->free_calls) {
        wb_grpc_call *call = grpc->free_calls;
        grpc->free_calls = call->next;
        free_call(call);
    }
}

/* Called by the sink, on any thread. Behind the unlock `call` is the loop's, and so is the receiver: the
 * loop may free both as soon as it has the lock. */
static void on_answer(wb_export *export, const wb_export_answer *answer)
{
    wb_grpc_call *call = (wb_grpc_call *)(void *)export;
    wb_otlp_grpc *grpc = call->grpc;
    call->said = answer->status;
    wb_grpc_answer_of(answer, &call->answer); /* its words are gone when this returns */
    call->next_answered = NULL;
    pthread_mutex_lock(&grpc->lock);
    *grpc->last_answered = call;
    grpc->last_answered = &call->next_answered;
    wb_grpc_wake(grpc);
    pthread_mutex_unlock(&grpc->lock);
}

wb_grpc_call *wb_grpc_call_new(wb_grpc_connection *from, int32_t stream)
{
    wb_otlp_grpc *grpc = from->grpc;
    if (from->n_calls >= grpc->options.streams) return NULL;
    wb_grpc_call *call = take_free(grpc);
    if (!call) return NULL;
    uint64_t now = from->active_ns;
    wb_grpc_count(&grpc->counters.requests);
    wb_arena *arena = call->export.arena;
    *call = (wb_grpc_call){.export = {.arena = arena, .answer = on_answer},
                           .grpc = grpc,
                           .from = from,
                           .next = from->calls,
                           .stream = stream,
                           .began_ns = now,
                           .progress_ns = now};
    if (from->calls) from->calls->prev = call;
    from->calls = call;
    if (from->n_calls++ == 0)
        wb_otlp_visitor_now(from->visitor, grpc->options.clock, WB_OTLP_ANSWERING, 0);
    wb_grpc_tick_by(grpc, now + grpc->options.stall_ms * WB_NS_PER_MS);
    return call;
}

static void ask_access(wb_grpc_call *call, wb_slice authorization)
{
    const wb_otlp_access *access = call->grpc->options.access;
    uint64_t uid = wb_otlp_visitor_uid(call->from->visitor);
    call->has_bearer = true;
    call->by_bearer = wb_otlp_admit(access, WB_OTLP_PEER_UNKNOWN, authorization);
    call->by_anybody = wb_otlp_admit(access, uid, authorization);
}

void wb_grpc_call_field(wb_grpc_call *call, wb_slice name, wb_slice value)
{
    if (call->phase != WB_GRPC_HEAD) return; /* a trailer */
    wb_grpc_head_take(&call->head, name, value);
    if (wb_slice_eq(name, WB_S("origin"))) call->is_browsers = true;
    if (wb_slice_eq(name, WB_S(WB_SENDER_HEADER)))
        call->is_own = wb_otlp_is_own(call->grpc->options.access, value);
    if (wb_slice_eq(name, WB_S("authorization")) && !call->has_bearer) ask_access(call, value);
}

/* A page in a browser can be made to send here, and its process may be the agent's user's: as http_request.c
 * has it. */
static wb_otlp_caller caller_of(wb_grpc_call *call)
{
    if (!call->has_bearer) ask_access(call, WB_S(""));
    if (call->is_browsers) return call->by_bearer;
    bool certified = call->by_anybody == WB_OTLP_DENIED && call->from->io.is_verified;
    return certified ? WB_OTLP_OTHER : call->by_anybody;
}

static void deny(wb_grpc_call *call)
{
    const wb_otlp_grpc_options *options = &call->grpc->options;
    uint64_t uid = wb_otlp_visitor_uid(call->from->visitor);
    const wb_grpc_refusal stranger = {
        .code = WB_GRPC_UNAUTHENTICATED,
        .message = wb_otlp_access_advice(options->access, uid, call->is_browsers),
        .why = WB_OTLP_REFUSED_DENIED};
    if (options->on_denied) options->on_denied(options->self, stranger.message, uid);
    wb_grpc_call_refuse(call, &stranger);
}

void wb_grpc_call_headed(wb_grpc_call *call)
{
    if (call->phase != WB_GRPC_HEAD) return; /* refused already: too slow */
    wb_otlp_caller caller = caller_of(call);
    const wb_grpc_refusal *refusal = wb_grpc_head_check_form(&call->head, WB_GRPC_HEADER_BYTES);
    call->phase = WB_GRPC_BODY;
    if (!refusal && caller == WB_OTLP_DENIED) {
        deny(call);
        return;
    }
    if (!refusal) refusal = wb_grpc_head_check(&call->head);
    if (!refusal && call->is_own) refusal = &of_our_own;
    if (refusal) {
        wb_grpc_call_refuse(call, refusal);
        return;
    }
    call->export.signal = call->head.signal;
    call->export.is_agent = caller == WB_OTLP_AGENT;
    if (!call->head.has_timeout) return;
    call->deadline_ns = call->began_ns + call->head.timeout_ns;
    wb_grpc_tick_by(call->grpc, call->deadline_ns);
}

void wb_grpc_call_chunk(wb_grpc_call *call, wb_slice chunk)
{
    const wb_otlp_grpc_options *options = &call->grpc->options;
    if (call->phase != WB_GRPC_BODY) return; /* answered already: what still comes is dropped */
    call->progress_ns = call->from->active_ns;
    atomic_fetch_add_explicit(&call->grpc->counters.bytes, chunk.len, memory_order_relaxed);
    const wb_grpc_refusal *refusal =
        wb_grpc_message_take(&call->message, chunk, options->max_message_bytes,
                             call->head.encoding == WB_GRPC_GZIP, &options->sink);
    if (refusal) wb_grpc_call_refuse(call, refusal);
}

static const wb_grpc_refusal *make_body(wb_grpc_call *call)
{
    const wb_otlp_grpc_options *options = &call->grpc->options;
    const wb_grpc_refusal *refusal = wb_grpc_message_end(&call->message);
    wb_error err;
    if (refusal) return refusal;
    call->export.body = wb_slice_of(call->message.bytes, call->message.len);
    if (!wb_grpc_message_is_compressed(&call->message)) return NULL;
    wb_status status = wb_inflate_gzip(call->export.body, options->max_message_bytes,
                                       &options->sink, &call->inflated, &err);
    if (status == WB_ERR_REJECTED) return &inflated_too_large;
    if (status == WB_ERR_MALFORMED) return &cannot_inflate;
    if (status != WB_OK) return &no_room;
    wb_grpc_message_done(&call->message, &options->sink);
    call->export.body = wb_slice_of(call->inflated.ptr, call->inflated.len);
    return NULL;
}

void wb_grpc_call_complete(wb_grpc_call *call)
{
    const wb_export_sink *sink = &call->grpc->options.sink;
    if (call->phase != WB_GRPC_BODY) return;
    const wb_grpc_refusal *refusal = make_body(call);
    if (refusal) {
        wb_grpc_call_refuse(call, refusal);
        return;
    }
    call->phase = WB_GRPC_IN_SINK;
    atomic_fetch_add(&call->grpc->in_sink, 1);
    sink->on_export(sink->self, &call->export);
}

/* The answer is with the HTTP/2 library from here on. */
static void pass_on(wb_grpc_call *call)
{
    wb_otlp_grpc *grpc = call->grpc;
    call->phase = WB_GRPC_ANSWERED;
    call->progress_ns = wb_grpc_now(grpc);
    wb_grpc_tick_by(grpc, call->progress_ns + grpc->options.stall_ms * WB_NS_PER_MS);
    wb_grpc_session_answer(call->from, call);
}

void wb_grpc_call_refuse(wb_grpc_call *call, const wb_grpc_refusal *refusal)
{
    wb_grpc_count(&call->grpc->counters.refused[refusal->why]);
    give_back_body(call);
    wb_grpc_answer_refuse(refusal, &call->answer);
    pass_on(call);
}

static void unlink_call(wb_grpc_call *call)
{
    wb_grpc_connection *c = call->from;
    if (!c) return;
    if (call->prev)
        call->prev->next = call->next;
    else
        c->calls = call->next;
    if (call->next) call->next->prev = call->prev;
    if (--c->n_calls == 0 && c->visitor) /* it may make room for another one */
        wb_otlp_visitor_now(c->visitor, call->grpc->options.clock, WB_OTLP_IDLE, 0);
    call->from = NULL;
}

void wb_grpc_call_answered(wb_grpc_call *call)
{
    wb_otlp_grpc *grpc = call->grpc;
    if (call->said != WB_OK) wb_grpc_count(&grpc->counters.refused[wb_grpc_why(call->said)]);
    atomic_fetch_sub(&grpc->in_sink, 1);
    give_back_body(call);
    if (call->from && call->stream > 0) {
        pass_on(call);
        return;
    }
    unlink_call(call);
    release(call);
}

void wb_grpc_call_leave(wb_grpc_call *call)
{
    wb_grpc_connection *c = call->from;
    c->active_ns = wb_grpc_now(call->grpc);
    wb_grpc_tick_by(call->grpc, c->active_ns + call->grpc->options.idle_ms * WB_NS_PER_MS);
    call->stream = 0;
    if (call->phase == WB_GRPC_IN_SINK) return;
    unlink_call(call);
    release(call);
}

void wb_grpc_call_forsake(wb_grpc_call *call)
{
    unlink_call(call);
    if (call->phase != WB_GRPC_IN_SINK) release(call);
}

static uint64_t tick_arriving(wb_grpc_call *call, uint64_t now)
{
    const wb_otlp_grpc_options *options = &call->grpc->options;
    uint64_t due = call->progress_ns + options->stall_ms * WB_NS_PER_MS;
    uint64_t whole = call->began_ns + options->arrive_ms * WB_NS_PER_MS;
    if (whole < due) due = whole;
    if (now < due) return due;
    wb_grpc_call_refuse(call, &too_slow);
    return UINT64_MAX;
}

/* Refusing does not take it out of the connection's list: that its stream closes does, and later. */
uint64_t wb_grpc_call_tick(wb_grpc_call *call, uint64_t now)
{
    bool late = call->deadline_ns > 0 && now >= call->deadline_ns;
    uint64_t due = call->deadline_ns > 0 ? call->deadline_ns : UINT64_MAX;
    uint64_t stalled = call->progress_ns + call->grpc->options.stall_ms * WB_NS_PER_MS;
    if (call->stream == 0) return UINT64_MAX;
    switch (call->phase) {
    case WB_GRPC_HEAD:
    case WB_GRPC_BODY:
        if (late) {
            wb_grpc_call_refuse(call, &too_late);
            return UINT64_MAX;
        }
        uint64_t arriving = tick_arriving(call, now);
        return arriving < due ? arriving : due;
    case WB_GRPC_IN_SINK: /* its client has given it up by the same clock */
        if (!late) return due;
        break;
    default: /* the client does not take its answer */
        if (now < stalled) return stalled;
    }
    wb_grpc_session_reset(call->from, call->stream);
    return UINT64_MAX;
}
