/* SPDX-License-Identifier: Apache-2.0 */
/* Calls wait in one lane per connection, and the lanes are served in turn: a client that sends without end
 * makes itself wait, and others only for one call of his. There are as many places as the receiver has
 * contexts, so nothing overflows. Each context owns one request with its arena, which the reply
 * leaves empty for the next call in that slot.
 *
 * A lane of which a call met an empty rate bucket is flooded for FLOOD_NS. Refusing costs little, but a
 * flood comes faster than anything: without a bound it takes all processors, and those whose tokens are
 * good wait for their threads' turns. So all flooded lanes together get a call each FLOOD_PACE_NS, and
 * only when no other lane has one; the rest of the flood stays in the clients' socket buffers. */
#include "sidecar/workers.h"

#include "core/log.h"
#include "proto/arena_alloc.h"
#include "proto/texts.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "sidecar/request.h"

#include <stdlib.h>
#include <time.h>

enum {
    PROTOCOL = 1,
    TEXT_BYTES = 1024,
    /* More than twice the largest carrier that could verify; headers are cut where they are read. */
    LONG_TEXT_BYTES = 64 * 1024,
    /* A Record of 8 MiB is unpacked (a copy), indexed and rendered. */
    ARENA_BYTES = 40 * 1024 * 1024,
    SPANS_BYTES = 16 * 1024 * 1024, /* rendered, with its index */
    FLOOD_PACE_NS = 200 * 1000,     /* 5000 a second */
    FLOOD_NS = 100 * 1000 * 1000,
    NS_PER_S = 1000 * 1000 * 1000,
};

typedef struct lane {
    uint64_t connection;
    wb_ipc_call *first, *last; /* linked by `behind` */
    uint64_t flooded_mono;     /* flooded until then */
} lane;

struct wb_workers {
    wb_sidecar *sidecar;
    pthread_mutex_t lock; /* guards lanes, n_lanes, turn, flood_mono, behind, stopping */
    pthread_cond_t wake;  /* waits by monotonic time */
    lane *lanes;          /* those with calls, in the order of their turns */
    uint32_t n_lanes, turn;
    uint64_t flood_mono;  /* when a flooded lane may have a call again */
    wb_ipc_call **behind; /* by slot: the next call of the same connection */
    uint32_t size;        /* slots */
    bool stopping;
    wb_request *requests; /* one per slot */
    Waybill__V1__Reply *replies;
    pthread_t *threads;
    uint32_t n_threads;
};

static lane *find_lane(wb_workers *w, uint64_t connection)
{
    for (uint32_t i = 0; i < w->n_lanes; i++)
        if (w->lanes[i].connection == connection) return &w->lanes[i];
    return NULL;
}

void wb_workers_take(wb_workers *w, wb_ipc_call *call)
{
    uint64_t connection = wb_ipc_connection(call);
    w->requests[wb_ipc_slot(call)].arrived_mono = wb_mono(w->sidecar->clock);
    pthread_mutex_lock(&w->lock);
    lane *l = find_lane(w, connection);
    w->behind[wb_ipc_slot(call)] = NULL;
    if (l) {
        w->behind[wb_ipc_slot(l->last)] = call;
        l->last = call;
    } else {
        WB_ASSERT(w->n_lanes < w->size);
        w->lanes[w->n_lanes++] = (lane){.connection = connection, .first = call, .last = call};
    }
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

/* Whose turn it is: the next lane that is not flooded, else, when its time has come, the next one. Not found:
 * n_lanes. */
static uint32_t find_turn(const wb_workers *w, uint64_t mono)
{
    for (uint32_t i = 0; i < w->n_lanes; i++) {
        uint32_t at = (w->turn + i) % w->n_lanes;
        if (w->lanes[at].flooded_mono <= mono) return at;
    }
    return w->n_lanes > 0 && (mono >= w->flood_mono || w->stopping) ? w->turn % w->n_lanes
                                                                    : w->n_lanes;
}

/* The first call of the lane `at`; a lane without calls is closed up. */
static wb_ipc_call *take_turn(wb_workers *w, uint32_t at, uint64_t mono)
{
    lane *l = &w->lanes[at];
    wb_ipc_call *call = l->first;
    if (l->flooded_mono > mono) w->flood_mono = mono + FLOOD_PACE_NS;
    l->first = w->behind[wb_ipc_slot(call)];
    w->turn = at;
    if (l->first)
        w->turn++;
    else
        memmove(l, l + 1, (--w->n_lanes - at) * sizeof *l);
    return call;
}

static void wait_until(wb_workers *w, uint64_t mono)
{
    struct timespec t = {(time_t)(mono / NS_PER_S), (long)(mono % NS_PER_S)};
    (void)pthread_cond_timedwait(&w->wake, &w->lock, &t);
}

static wb_ipc_call *next_call(wb_workers *w)
{
    const wb_clock *clock = w->sidecar->clock;
    wb_ipc_call *call = NULL;
    pthread_mutex_lock(&w->lock);
    while (!call && (w->n_lanes > 0 || !w->stopping)) {
        uint64_t mono = wb_mono(clock);
        uint32_t at = find_turn(w, mono);
        if (at < w->n_lanes)
            call = take_turn(w, at, mono);
        else if (w->n_lanes > 0)
            wait_until(w, w->flood_mono);
        else
            pthread_cond_wait(&w->wake, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return call;
}

static void mark_flooded(wb_workers *w, uint64_t connection)
{
    pthread_mutex_lock(&w->lock);
    lane *l = find_lane(w, connection);
    if (l) l->flooded_mono = wb_mono(w->sidecar->clock) + FLOOD_NS;
    pthread_mutex_unlock(&w->lock);
}

static void refuse(wb_request *r, const char *why)
{
    wb_count(&r->sidecar->counters.requests_malformed);
    wb_request_reply(r, WB_ERR_MALFORMED, why);
}

/* Ids and texts end up in rows, logs and spans: none is longer than an id may reasonably be. */
static wb_text_rule rule_of(const char *field)
{
    static const char *const long_ones[] = {"carrier",    "traceparent",      "more_traceparents",
                                            "tracestate", "more_tracestates", "baggage"};
    for (size_t i = 0; i < WB_COUNT(long_ones); i++)
        if (strcmp(field, long_ones[i]) == 0)
            return (wb_text_rule){.most = LONG_TEXT_BYTES, .any_bytes = true};
    return (wb_text_rule){.most = TEXT_BYTES};
}

/* A verb that is not named here changes the sidecar itself. */
static unsigned role_for(const wb_request *r)
{
    switch (r->in->body_case) {
    case WAYBILL__V1__REQUEST__BODY_HELLO:
    case WAYBILL__V1__REQUEST__BODY_STATUS:
    case WAYBILL__V1__REQUEST__BODY__NOT_SET: return WB_ROLE_ANY;
    case WAYBILL__V1__REQUEST__BODY_RECORD:
    case WAYBILL__V1__REQUEST__BODY_DELEGATE:
    case WAYBILL__V1__REQUEST__BODY_OBSERVE:
    case WAYBILL__V1__REQUEST__BODY_ACCEPT:
    case WAYBILL__V1__REQUEST__BODY_FINISH:
    case WAYBILL__V1__REQUEST__BODY_SETTLE: return WB_ROLE_AGENT;
    default: return WB_ROLE_ADMIN;
    }
}

/* Our own user may administer without being the agent, the agent's may be it without administering. */
static bool may_ask(const wb_request *r)
{
    unsigned role = role_for(r);
    uid_t uid = wb_ipc_peer_uid(r->call);
    if ((wb_access_roles(&r->sidecar->access, uid) & role) == role) return true;
    static wb_log_gate gate;
    uint64_t held_back = 0;
    if (!wb_log_gate_pass(&gate, wb_mono(r->sidecar->clock), &held_back)) return false;
    WB_LOG(WARN, "ipc.role_refused", "a request that its user may not make",
           WB_KV("peer_uid", (uint64_t)uid), WB_KV("own_uid", (uint64_t)r->sidecar->access.own),
           WB_KV("todo", role == WB_ROLE_AGENT
                             ? "let the agent run as one of ipc.allow_uids, or add this user to it"
                             : "ask as the sidecar's own user"),
           WB_KV("held_back", held_back));
    return false;
}

static wb_verb verb_of(const Waybill__V1__Request *request)
{
    switch (request->body_case) {
    case WAYBILL__V1__REQUEST__BODY_HELLO: return WB_VERB_HELLO;
    case WAYBILL__V1__REQUEST__BODY_RECORD: return WB_VERB_RECORD;
    case WAYBILL__V1__REQUEST__BODY_DELEGATE: return WB_VERB_DELEGATE;
    case WAYBILL__V1__REQUEST__BODY_OBSERVE: return WB_VERB_OBSERVE;
    case WAYBILL__V1__REQUEST__BODY_ACCEPT: return WB_VERB_ACCEPT;
    case WAYBILL__V1__REQUEST__BODY_FINISH: return WB_VERB_FINISH;
    case WAYBILL__V1__REQUEST__BODY_SETTLE: return WB_VERB_SETTLE;
    case WAYBILL__V1__REQUEST__BODY_STATUS: return WB_VERB_STATUS;
    case WAYBILL__V1__REQUEST__BODY_RELOAD: return WB_VERB_RELOAD;
    case WAYBILL__V1__REQUEST__BODY_FORGET_EXPORTER: return WB_VERB_FORGET_EXPORTER;
    case WAYBILL__V1__REQUEST__BODY__NOT_SET:
    case _WAYBILL__V1__REQUEST__BODY__CASE_IS_INT_SIZE: break;
    }
    return WB_VERB_NONE;
}

static void dispatch(wb_request *r)
{
    if (!may_ask(r)) {
        wb_request_reply(r, WB_ERR_DENIED, "not for this user: the sidecar's log says more");
        return;
    }
    switch (r->in->body_case) {
    case WAYBILL__V1__REQUEST__BODY_HELLO: wb_on_hello(r); return;
    case WAYBILL__V1__REQUEST__BODY_RECORD: wb_on_record(r); return;
    case WAYBILL__V1__REQUEST__BODY_DELEGATE: wb_on_delegate(r); return;
    case WAYBILL__V1__REQUEST__BODY_OBSERVE: wb_on_observe(r); return;
    case WAYBILL__V1__REQUEST__BODY_ACCEPT: wb_on_accept(r); return;
    case WAYBILL__V1__REQUEST__BODY_FINISH: wb_on_finish(r); return;
    case WAYBILL__V1__REQUEST__BODY_SETTLE: wb_on_settle(r); return;
    case WAYBILL__V1__REQUEST__BODY_STATUS: wb_on_status(r); return;
    case WAYBILL__V1__REQUEST__BODY_RELOAD: wb_on_reload(r); return;
    case WAYBILL__V1__REQUEST__BODY_FORGET_EXPORTER: wb_on_forget(r); return;
    case WAYBILL__V1__REQUEST__BODY__NOT_SET:
    case _WAYBILL__V1__REQUEST__BODY__CASE_IS_INT_SIZE: break;
    }
    refuse(r, "the request has no body that this sidecar knows");
}

/* What ends work that was begun goes on when space is short. */
static wb_work work_of(const Waybill__V1__Request *request)
{
    bool ends = request->body_case == WAYBILL__V1__REQUEST__BODY_FINISH ||
                request->body_case == WAYBILL__V1__REQUEST__BODY_SETTLE;
    return ends ? WB_WORK_FINISHING : WB_WORK_NEW;
}

static void begin(wb_workers *w, wb_ipc_call *call, bool *flooding)
{
    wb_request *r = &w->requests[wb_ipc_slot(call)];
    wb_slice bytes = wb_ipc_request(call);
    wb_id id;
    waybill__v1__reply__init(r->reply);
    r->sidecar = w->sidecar;
    r->call = call;
    r->world = wb_world_take(w->sidecar->worlds);
    r->flooding = flooding;
    r->verb = NULL;
    r->kind = WB_VERB_NONE;
    wb_buffer_init(&r->spans, SPANS_BYTES);
    wb_count(&w->sidecar->counters.requests);
    r->in = waybill__v1__request__unpack(wb_arena_allocator(r->arena), bytes.len, bytes.ptr);
    if (!r->in) {
        refuse(r, "this is no waybill.v1.Request");
    } else if (r->in->protocol != PROTOCOL || !wb_request_id(&r->in->id, &id)) {
        refuse(r, "protocol must be 1 and id 16 bytes, not all 0");
    } else {
        r->reply->id = r->in->id;
        r->kind = verb_of(r->in);
        r->txn.work = work_of(r->in);
        const char *fault = wb_texts_fault(&waybill__v1__request__descriptor, bytes, rule_of);
        if (fault)
            refuse(r, fault);
        else if (!wb_request_mask_texts(r))
            wb_request_reply(r, WB_ERR_NO_MEMORY, "arena limit");
        else
            dispatch(r);
    }
}

static void *run(void *arg)
{
    wb_workers *w = arg;
    for (wb_ipc_call *call; (call = next_call(w));) {
        uint64_t connection = wb_ipc_connection(call); /* the call is gone when it is answered */
        bool flooding = false;
        begin(w, call, &flooding);
        if (flooding) mark_flooded(w, connection);
    }
    return NULL;
}

static wb_status make_slots(wb_workers *w, uint32_t slots)
{
    w->size = slots;
    w->lanes = calloc(slots, sizeof *w->lanes);
    w->behind = calloc(slots, sizeof *w->behind);
    w->requests = calloc(slots, sizeof *w->requests);
    w->replies = calloc(slots, sizeof *w->replies);
    if (!w->lanes || !w->behind || !w->requests || !w->replies) return WB_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < slots; i++) {
        w->requests[i].reply = &w->replies[i];
        w->requests[i].arena = wb_arena_new(ARENA_BYTES);
        if (!w->requests[i].arena) return WB_ERR_NO_MEMORY;
    }
    return WB_OK;
}

static void init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(wake, &attr);
    (void)pthread_condattr_destroy(&attr);
}

wb_status wb_workers_start(wb_sidecar *sidecar, uint32_t threads, uint32_t slots, wb_workers **out,
                           wb_error *err)
{
    wb_workers *w = calloc(1, sizeof *w);
    if (!w) return wb_fail(err, WB_ERR_NO_MEMORY, "workers");
    w->sidecar = sidecar;
    pthread_mutex_init(&w->lock, NULL);
    init_wake(&w->wake);
    w->threads = calloc(threads, sizeof *w->threads);
    if (!w->threads || make_slots(w, slots) != WB_OK) {
        wb_workers_stop(w);
        return wb_fail(err, WB_ERR_NO_MEMORY, "workers");
    }
    for (; w->n_threads < threads; w->n_threads++) {
        int rv = pthread_create(&w->threads[w->n_threads], NULL, run, w);
        if (rv != 0) {
            wb_workers_stop(w);
            return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "worker thread");
        }
    }
    *out = w;
    return WB_OK;
}

void wb_workers_stop(wb_workers *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_broadcast(&w->wake);
    for (uint32_t i = 0; i < w->n_threads; i++) pthread_join(w->threads[i], NULL);
    for (uint32_t i = 0; w->requests && i < w->size; i++) wb_arena_free(w->requests[i].arena);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w->threads);
    free(w->lanes);
    free(w->behind);
    free(w->requests);
    free(w->replies);
    free(w);
}
