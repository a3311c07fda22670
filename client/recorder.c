/* SPDX-License-Identifier: Apache-2.0 */
/* Spans are collected as they will be sent. A chunk is the end of an ExportTraceServiceRequest in the
 * making: finished spans stand one behind the other, each with the tag and length that make it a
 * field of ScopeSpans, and in front there is room for what encloses them, whose lengths are known only
 * when the chunk is closed:
 *
 *     [ free | 0A len  resource  12 len  scope | 12 len span | 12 len span | ... ]
 *              ResourceSpans     ScopeSpans      fields of ScopeSpans
 *
 * So a span is copied twice on its way to the socket: into the chunk, and with its chunk into the message.
 *
 * Chunks are pieces of one mapping that is made when the client is opened: nothing is allocated for a span, and
 * pages that were never used cost nothing. One chunk is open, those behind it wait in order, and the oldest is
 * with the sidecar. It stays until the answer is there. A Record that the sidecar will never take is dropped
 * and counted: to wait for another answer would stop all that follows.
 *
 * The lock is tried, and tried again: it is held for a copy of some hundred bytes. Whoever does not get it in
 * 5 ms, because its holder lost its processor say, drops the span. */
#include "client/recorder.h"

#include "core/clock.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/wire.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum {
    CHUNKS = WB_RECORDER_BYTES / WB_RECORDER_CHUNK,
    FLUSH_MS = 200,          /* after a chunk's first span */
    ANSWER_MS = 3600 * 1000, /* a Record is asked again until then, and then anew */
    FIELD_MAX = 1 + WB_WIRE_LENGTH_MAX,
    LENGTHS_ROOM = 2 * FIELD_MAX,
    SPANS_FIELD = 2, /* of ScopeSpans; the same number has ScopeSpans in ResourceSpans */
    RESOURCE_SPANS_FIELD = 1,
    LOOK_AGAIN_NS = 20000, /* for the lock: a copy takes less than a microsecond */
    WARM_CHUNKS = 2,       /* free ones whose pages stay */
};

typedef struct chunk {
    struct chunk *next; /* in the queue */
    uint8_t *bytes;
    bool used;  /* open or closed, else free */
    bool warm;  /* free, with the pages that it had */
    size_t len; /* the end of what is used */
    uint32_t spans;
    uint64_t first_mono; /* when its first span came */
} chunk;

struct wb_recorder {
    wb_link *link;
    uint8_t *mapping;
    uint8_t *head; /* the resource and scope fields */
    size_t resource_len, scope_len;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake, settled;
    chunk chunks[CHUNKS];
    chunk *open;
    chunk *first, **last; /* closed, the first of them maybe in flight */
    uint32_t n_warm, flushing;
    bool hurry, stopping;
    uint64_t said_dropped; /* of all that were dropped, how many acknowledged Records have told */
    wb_recorder_stats stats;
    atomic_ullong missed; /* dropped without the lock: it is what could not be had */
    pthread_t thread;
};

static uint64_t mono(void) { return wb_mono(&wb_system_clock); }

static struct timespec at_mono(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / WB_NS_PER_S), (long)(ns % WB_NS_PER_S)};
}

static size_t room_in_front(const wb_recorder *r)
{
    return LENGTHS_ROOM + r->resource_len + r->scope_len;
}

/* ---- the agent's side ---- */

static bool take_lock(wb_recorder *r)
{
    if (pthread_mutex_trylock(&r->lock) == 0) return true;
    uint64_t until = mono() + WB_RECORDER_WAIT_MS * WB_NS_PER_MS;
    do {
        struct timespec pause = {0, LOOK_AGAIN_NS};
        (void)nanosleep(&pause, NULL);
        if (pthread_mutex_trylock(&r->lock) == 0) return true;
    } while (mono() < until);
    return false;
}

static void close_open(wb_recorder *r)
{
    *r->last = r->open;
    r->last = &r->open->next;
    r->open = NULL;
    pthread_cond_signal(&r->wake);
}

/* A free one, with its pages if there is such a one; NULL: none. */
static chunk *take_free(wb_recorder *r)
{
    chunk *found = NULL;
    for (size_t i = 0; i < CHUNKS && !(found && found->warm); i++)
        if (!r->chunks[i].used && (!found || r->chunks[i].warm)) found = &r->chunks[i];
    if (found && found->warm) r->n_warm--;
    return found;
}

static chunk *chunk_for(wb_recorder *r, size_t len)
{
    if (r->open && len > WB_RECORDER_CHUNK - r->open->len) close_open(r);
    chunk *c = r->open ? NULL : take_free(r);
    if (!c) return r->open;
    *c = (chunk){.bytes = c->bytes, .used = true, .len = room_in_front(r), .first_mono = mono()};
    r->open = c;
    pthread_cond_signal(&r->wake); /* it has a time now */
    return c;
}

static bool add_locked(wb_recorder *r, const uint8_t *span, size_t len)
{
    r->stats.recorded++;
    size_t field = 1 + wb_wire_varint_size(len) + len;
    chunk *c = NULL;
    if (field <= WB_RECORDER_CHUNK - room_in_front(r)) c = chunk_for(r, field);
    if (!c) {
        r->stats.dropped++;
        return false;
    }
    uint8_t *at = c->bytes + c->len;
    *at++ = WB_WIRE_TAG(SPANS_FIELD, WB_WIRE_LEN);
    at = wb_wire_put_varint(at, len);
    memcpy(at, span, len);
    c->len += field;
    c->spans++;
    return true;
}

bool wb_recorder_add(wb_recorder *r, const uint8_t *span, size_t len)
{
    if (!take_lock(r)) {
        (void)atomic_fetch_add_explicit(&r->missed, 1, memory_order_relaxed);
        return false;
    }
    bool added = add_locked(r, span, len);
    pthread_mutex_unlock(&r->lock);
    return added;
}

/* ---- the thread's side ---- */

/* Write what encloses the spans directly in front of them. */
static wb_slice enclose(const wb_recorder *r, chunk *c)
{
    size_t spans_at = room_in_front(r), spans_len = c->len - spans_at;
    uint64_t scope_spans = r->scope_len + spans_len;
    uint64_t resource_spans = r->resource_len + 1 + wb_wire_varint_size(scope_spans) + scope_spans;
    size_t front = 1 + wb_wire_varint_size(resource_spans) + r->resource_len + 1 +
                   wb_wire_varint_size(scope_spans) + r->scope_len;
    uint8_t *begin = c->bytes + spans_at - front, *at = begin;
    *at++ = WB_WIRE_TAG(RESOURCE_SPANS_FIELD, WB_WIRE_LEN);
    at = wb_wire_put_varint(at, resource_spans);
    memcpy(at, r->head, r->resource_len);
    at += r->resource_len;
    *at++ = WB_WIRE_TAG(SPANS_FIELD, WB_WIRE_LEN);
    at = wb_wire_put_varint(at, scope_spans);
    memcpy(at, r->head + r->resource_len, r->scope_len);
    return wb_slice_of(begin, front + spans_len);
}

/* UNAVAILABLE: no answer; ask again, with what is then unsaid. Sets *rejected. */
static wb_status send_chunk(wb_recorder *r, chunk *c, uint64_t dropped, uint64_t *rejected)
{
    wb_call *call = NULL;
    Waybill__V1__Reply *reply = NULL;
    Waybill__V1__Record record = WAYBILL__V1__RECORD__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    wb_slice traces = enclose(r, c);
    record.traces = (ProtobufCBinaryData){.len = traces.len, .data = (uint8_t *)traces.ptr};
    record.dropped_spans = dropped;
    request.body_case = WAYBILL__V1__REQUEST__BODY_RECORD;
    request.record = &record;
    wb_status status = wb_call_begin(r->link, &request, ANSWER_MS, &call, NULL);
    if (status == WB_OK) status = wb_call_wait(&call, ANSWER_MS, &reply, NULL);
    *rejected = c->spans;
    if (status == WB_OK && reply->body_case == WAYBILL__V1__REPLY__BODY_RECORD)
        *rejected =
            reply->record->rejected_spans < c->spans ? reply->record->rejected_spans : c->spans;
    wb_reply_free(reply);
    return status;
}

static void pause_for(wb_recorder *r, uint32_t ms)
{
    struct timespec until = at_mono(mono() + ms * WB_NS_PER_MS);
    while (!r->stopping && pthread_cond_clockwait(&r->wake, &r->lock, CLOCK_MONOTONIC, &until) == 0)
        continue;
}

/* What a burst took goes back to the system, but for a little: pages that are asked for again cost more than
 * the spans that are put on them. */
static void free_first(wb_recorder *r)
{
    chunk *c = r->first;
    r->first = c->next;
    if (!r->first) r->last = &r->first;
    c->used = false;
    c->warm = r->n_warm < WARM_CHUNKS;
    if (c->warm)
        r->n_warm++;
    else
        (void)madvise(c->bytes, WB_RECORDER_CHUNK, MADV_DONTNEED);
}

/* The oldest closed chunk, until it has an answer. The lock is held, and let go meanwhile. */
static void send_first(wb_recorder *r)
{
    chunk *c = r->first;
    uint64_t dropped = r->stats.dropped + atomic_load(&r->missed) - r->said_dropped, rejected = 0;
    pthread_mutex_unlock(&r->lock);
    wb_status status = send_chunk(r, c, dropped, &rejected);
    pthread_mutex_lock(&r->lock);
    if (status == WB_ERR_UNAVAILABLE || status == WB_ERR_FULL || status == WB_ERR_TIMEOUT ||
        status == WB_ERR_NO_MEMORY) {
        pause_for(r, FLUSH_MS);
        return;
    }
    if (status == WB_OK) r->said_dropped += dropped;
    r->stats.rejected += rejected;
    r->stats.acknowledged += c->spans - rejected;
    free_first(r);
    pthread_cond_broadcast(&r->settled);
}

static bool open_is_due(const wb_recorder *r)
{
    if (!r->open) return false;
    return r->hurry || r->flushing > 0 || r->stopping ||
           mono() >= r->open->first_mono + FLUSH_MS * WB_NS_PER_MS;
}

static void wait_for_work(wb_recorder *r)
{
    if (!r->open) {
        pthread_cond_wait(&r->wake, &r->lock);
        return;
    }
    struct timespec until = at_mono(r->open->first_mono + FLUSH_MS * WB_NS_PER_MS);
    (void)pthread_cond_clockwait(&r->wake, &r->lock, CLOCK_MONOTONIC, &until);
}

static void *run(void *arg)
{
    wb_recorder *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        if (!r->first && open_is_due(r)) {
            close_open(r);
            r->hurry = false;
        }
        if (r->first)
            send_first(r);
        else
            wait_for_work(r);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- both ---- */

void wb_recorder_hurry(wb_recorder *r)
{
    if (!take_lock(r)) return;
    if (r->open || r->first) r->hurry = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
}

static uint64_t settled(const wb_recorder *r) { return r->stats.acknowledged + r->stats.rejected; }

static uint64_t buffered(const wb_recorder *r)
{
    uint64_t spans = r->open ? r->open->spans : 0;
    for (const chunk *c = r->first; c; c = c->next) spans += c->spans;
    return spans;
}

bool wb_recorder_flush(wb_recorder *r, uint32_t timeout_ms)
{
    struct timespec until = at_mono(mono() + timeout_ms * WB_NS_PER_MS);
    int rv = 0;
    pthread_mutex_lock(&r->lock);
    uint64_t goal = settled(r) + buffered(r);
    r->flushing++;
    pthread_cond_signal(&r->wake);
    while (settled(r) < goal && rv == 0)
        rv = pthread_cond_clockwait(&r->settled, &r->lock, CLOCK_MONOTONIC, &until);
    r->flushing--;
    bool flushed = settled(r) >= goal;
    pthread_mutex_unlock(&r->lock);
    return flushed;
}

void wb_recorder_get_stats(wb_recorder *r, wb_recorder_stats *out)
{
    pthread_mutex_lock(&r->lock);
    uint64_t missed = atomic_load(&r->missed);
    *out = r->stats;
    out->recorded += missed;
    out->dropped += missed;
    out->buffered = buffered(r);
    pthread_mutex_unlock(&r->lock);
}

/* ---- birth and end ---- */

static void free_memory(wb_recorder *r)
{
    if (r->mapping) (void)munmap(r->mapping, WB_RECORDER_BYTES);
    free(r->head);
    free(r);
}

static wb_recorder *make(wb_link *link, wb_slice resource, wb_slice scope)
{
    wb_recorder *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    void *mapping = mmap(NULL, WB_RECORDER_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    r->mapping = mapping == MAP_FAILED ? NULL : mapping;
    r->head = malloc(resource.len + scope.len);
    if (!r->mapping || !r->head) {
        free_memory(r);
        return NULL;
    }
    memcpy(r->head, resource.ptr, resource.len);
    memcpy(r->head + resource.len, scope.ptr, scope.len);
    r->resource_len = resource.len;
    r->scope_len = scope.len;
    r->link = link;
    r->last = &r->first;
    for (size_t i = 0; i < CHUNKS; i++)
        r->chunks[i] = (chunk){.bytes = r->mapping + i * WB_RECORDER_CHUNK};
    return r;
}

wb_status wb_recorder_new(wb_link *link, wb_slice resource, wb_slice scope, wb_recorder **out,
                          wb_error *err)
{
    wb_recorder *r = NULL;
    if (resource.len + scope.len <= WB_RECORDER_CHUNK / 4) r = make(link, resource, scope);
    if (!r) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for spans");
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_cond_init(&r->wake, NULL);
    (void)pthread_cond_init(&r->settled, NULL);
    int rv = pthread_create(&r->thread, NULL, run, r);
    if (rv != 0) {
        free_memory(r);
        return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "a thread for spans");
    }
    *out = r;
    return WB_OK;
}

void wb_recorder_free(wb_recorder *r)
{
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->lock);
    (void)pthread_join(r->thread, NULL);
    (void)pthread_cond_destroy(&r->settled);
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->lock);
    free_memory(r);
}
