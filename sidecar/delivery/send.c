/* SPDX-License-Identifier: Apache-2.0 */
/* A batch, until it is through.
 *
 * - Halving. A send covers a window of the batch. When one is REJECTED, its first half is tried: if
 *   that goes through, the bad record is in the second, and so on down to a single record. Behind it
 *   windows grow from 1 by doubling, since bad records come in runs. One bad record among n costs about
 *   2 log2 n sends more, n bad ones about n. The order of records never changes, which exporters rely
 *   on.
 * - A single record that is refused is parked; but if it is made of spans, and the exporter takes parts
 *   of a record, the same search goes on among its spans, and only the bad ones are parked. Each part
 *   is made from the record in hand, so a repeat after a crash makes the same ones.
 * - Outage. The batch stays in memory and is sent again after a wait that doubles from 100 ms to 30 s,
 *   each one drawn from its upper half, so that the sidecars of a host do not return in step. A
 *   far side that says how long to wait is believed up to 5 minutes. */
#include "core/log.h"
#include "proto/span_batch_edit.h"
#include "sidecar/delivery/parked.h"
#include "sidecar/delivery/runner_parts.h"

enum {
    RETRY_AFTER_MAX_MS = 300000,
    LOG_AGAIN_MS = 60000,
    PART_ARENA_BYTES = 64 * 1024 * 1024,
};

/* ---- what came of a send -------------------------------------------------------------------- */

/* The far side said yes, and more. */
static void log_words(wb_runner *r, uint32_t n_dropped, const wb_error *why)
{
    static wb_log_gate gate;
    uint64_t held_back;
    if (n_dropped == 0 && !why->detail[0]) return;
    if (!wb_log_gate_pass(&gate, wb_runner_mono(r), &held_back)) return;
    if (n_dropped == 0)
        WB_LOG(WARN, "delivery.advice", "the far side took all, and warns",
               WB_KV("exporter", r->options.name), WB_KV("said", (const char *)why->detail),
               WB_KV("held_back", held_back));
    else
        WB_LOG(WARN, "delivery.dropped", "the far side dropped records that it took",
               WB_KV("exporter", r->options.name), WB_KV("records", n_dropped),
               WB_KV("error", (const char *)why->detail), WB_KV("held_back", held_back));
}

/* `through` of the batch's records went with it; `why` is what the far side said with its yes. */
static void note_success(wb_runner *r, size_t through, uint64_t bytes,
                         const wb_export_result *result, const wb_error *why)
{
    pthread_mutex_lock(&r->lock);
    r->stats.sends++;
    r->stats.sent_records += through;
    r->in_hand -= through;
    r->stats.sent_bytes += bytes;
    r->stats.dropped_records += result->rejected;
    r->stats.last_error = (wb_error){0};
    r->stats.backoff_ms = 0;
    pthread_mutex_unlock(&r->lock);
    r->has_news = true;
    r->backoff_ms = r->options.backoff_min_ms;
    if (r->failing_since) {
        WB_LOG(INFO, "delivery.recovered", "the exporter delivers again",
               WB_KV("exporter", r->options.name),
               WB_KV("failed_ms", (wb_runner_mono(r) - r->failing_since) / WB_NS_PER_MS));
        r->failing_since = 0;
    }
    log_words(r, result->rejected, why);
}

void wb_runner_note_failure(wb_runner *r, wb_status status, wb_error *why)
{
    why->status = status;
    pthread_mutex_lock(&r->lock);
    r->stats.sends++;
    r->stats.failed_sends++;
    r->stats.last_error = *why;
    pthread_mutex_unlock(&r->lock);
}

static void log_outage(wb_runner *r, const wb_error *why, uint32_t wait_ms)
{
    uint64_t now = wb_runner_mono(r);
    if (r->failing_since && now - r->logged_at < LOG_AGAIN_MS * WB_NS_PER_MS) return;
    if (!r->failing_since) r->failing_since = now;
    r->logged_at = now;
    WB_LOG(WARN, "delivery.unavailable", "the exporter cannot deliver; records stay in the journal",
           WB_KV("exporter", r->options.name), WB_KV("error", (const char *)why->detail),
           WB_KV("failed_ms", (now - r->failing_since) / WB_NS_PER_MS), WB_KV("retry_ms", wait_ms));
}

/* Wait before the next try; a stop, a drain that begins, or being told to skip ends the wait. */
void wb_runner_back_off(wb_runner *r, const wb_error *why, uint32_t retry_after_ms)
{
    uint32_t random, wait_ms = r->backoff_ms;
    wb_random(&random, sizeof random);
    wait_ms = wait_ms / 2 + random % (wait_ms / 2 + 1);
    if (retry_after_ms > RETRY_AFTER_MAX_MS) retry_after_ms = RETRY_AFTER_MAX_MS;
    if (wait_ms < retry_after_ms) wait_ms = retry_after_ms;
    wait_ms = wb_runner_within_drain(r, wait_ms);
    log_outage(r, why, wait_ms);
    r->backoff_ms = r->backoff_ms > r->options.backoff_max_ms / 2 ? r->options.backoff_max_ms
                                                                  : r->backoff_ms * 2;
    pthread_mutex_lock(&r->lock);
    r->stats.state = WB_RUNNER_BACKOFF;
    r->stats.backoff_ms = wait_ms;
    pthread_mutex_unlock(&r->lock);
    wb_runner_advance(r, true); /* nothing else happens for a while */
    wb_runner_wait(r, wait_ms * WB_NS_PER_MS);
    wb_runner_set_state(r, WB_RUNNER_SENDING);
}

static void log_parked(wb_runner *r, const wb_record_view *record, bool is_part,
                       const wb_error *why)
{
    uint64_t held_back = 0;
    if (!wb_log_gate_pass(&r->parked_gate, wb_runner_mono(r), &held_back)) return;
    WB_LOG(WARN, "delivery.parked", "a record that the far side refuses was set aside",
           WB_KV("exporter", r->options.name), WB_KV("seq", record->seq),
           WB_KV("entry", record->entry), WB_KV("kind", (int)record->kind),
           WB_KV("part", is_part ? "span" : "record"), WB_KV("error", (const char *)why->detail),
           WB_KV("file_in", r->options.parked_dir), WB_KV("held_back", held_back));
}

/* Before a record is parked; the oldest may have to go for it. */
static void make_room(wb_runner *r, const wb_parking *place, const wb_record_view *record)
{
    uint64_t gone = wb_parked_make_room(place, record);
    if (gone == 0) return;
    pthread_mutex_lock(&r->lock);
    r->stats.unparked_records += gone;
    pthread_mutex_unlock(&r->lock);
    WB_LOG(WARN, "delivery.parked_dropped",
           "the oldest parked records were removed, so that the disk does not fill up",
           WB_KV("exporter", r->options.name), WB_KV("records", gone),
           WB_KV("file_in", r->options.parked_dir));
}

/* A record, or a part of one with a single span. False: could not, and waited. */
static bool park(wb_runner *r, const wb_record_view *record, bool is_part, const wb_error *why)
{
    wb_error err = {0};
    const wb_parking place = {r->options.parked_dir, r->options.name, r->options.parked_max_bytes};
    make_room(r, &place, record);
    wb_status status = wb_park(&place, record, wb_now(r->options.clock), why, &err);
    if (status != WB_OK) {
        wb_runner_note_failure(r, status, &err);
        wb_runner_back_off(r, &err, 0);
        return false;
    }
    pthread_mutex_lock(&r->lock);
    r->stats.parked_records++;
    r->stats.last_error = (wb_error){0}; /* it answers, and nothing waits for it */
    if (!is_part) r->in_hand--;
    pthread_mutex_unlock(&r->lock);
    r->has_news = true;
    log_parked(r, record, is_part, why);
    return true;
}

/* ---- windows -------------------------------------------------------------------------------- */

/* Where in a row of `n` things delivery stands: records of the batch, or spans of one record. */
typedef struct window {
    size_t n, at;
    size_t width;       /* of the next send */
    size_t suspect_end; /* [at, suspect_end) is known to hold a bad one; 0: nothing is known */
} window;

static size_t window_size(const window *w)
{
    size_t left = w->n - w->at, n = w->width < left ? w->width : left;
    if (w->suspect_end > w->at) n = (w->suspect_end - w->at) / 2;
    return n > 0 ? n : 1;
}

static void window_passed(window *w, size_t n)
{
    w->at += n;
    w->width = n * 2;
}

static void window_parked(window *w) { *w = (window){.n = w->n, .at = w->at + 1, .width = 1}; }

/* The batch, and the record at its window's start if that goes span by span. */
typedef struct sending {
    window records;
    bool in_parts, part_taken; /* a span of it was */
    window spans;
    wb_span_batch record;
} sending;

typedef enum answer { ANSWER_TAKEN, ANSWER_REFUSED, ANSWER_AWAY } answer;

/* Hand `n` records over and note what came of it; `through` of the batch's are through if they are
 * taken. After AWAY it has waited. */
static answer hand_over(wb_runner *r, const wb_record_view *records, size_t n, size_t through,
                        wb_error *why)
{
    wb_export_result result = {0};
    uint32_t timeout_ms = wb_runner_within_drain(r, r->options.timeout_ms);
    uint64_t bytes = 0;
    wb_status status = r->options.ops->send(r->exporter, records, n, timeout_ms, &result, why);
    if (status == WB_OK) {
        for (size_t i = 0; i < n; i++) bytes += records[i].payload.len;
        note_success(r, through, bytes, &result, why);
        return ANSWER_TAKEN;
    }
    wb_runner_note_failure(r, status, why);
    if (status != WB_ERR_REJECTED) {
        wb_runner_back_off(r, why, result.retry_after_ms);
        return ANSWER_AWAY;
    }
    r->backoff_ms = r->options.backoff_min_ms; /* it answers */
    return ANSWER_REFUSED;
}

/* ---- parts of a record ---------------------------------------------------------------------- */

/* A refused record: can the search go on among its spans? */
static bool begin_parts(const wb_runner *r, sending *s, const wb_record_view *record)
{
    bool is_spans = record->kind == WB_ENTRY_SPANS || record->kind == WB_ENTRY_MARKERS;
    if (!r->options.ops->parts || !is_spans) return false;
    if (wb_span_batch_open(record->payload, &s->record, NULL) != WB_OK) return false;
    size_t n = s->record.span_count;
    if (n < 2) return false;
    s->spans = (window){.n = n, .width = n, .suspect_end = n};
    s->in_parts = true;
    s->part_taken = false;
    return true;
}

/* The record with `n` of its spans, from `at` on; in r->part. */
static wb_status make_part(wb_runner *r, const wb_span_batch *record, size_t at, size_t n,
                           wb_error *err)
{
    wb_batch *batch;
    if (!r->part_arena) r->part_arena = wb_arena_new(PART_ARENA_BYTES);
    if (!r->part_arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a part of a record");
    wb_arena_reset(r->part_arena);
    wb_buffer_clear(&r->part);
    bool *left_out = wb_arena_array(r->part_arena, record->span_count, sizeof *left_out);
    if (!left_out) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a part of a record");
    for (size_t i = 0; i < record->span_count; i++) left_out[i] = i < at || i >= at + n;
    WB_TRY(wb_span_batch_edit(record, left_out, r->part_arena, &batch, err));
    return wb_span_batch_write(batch, &r->part, err);
}

static void end_parts(wb_runner *r, sending *s)
{
    s->in_parts = false;
    s->records.at++;
    s->records.width = 1;
    s->records.suspect_end = 0;
    pthread_mutex_lock(&r->lock);
    if (s->part_taken) r->stats.sent_records++;
    r->in_hand--;
    pthread_mutex_unlock(&r->lock);
    wb_arena_free(r->part_arena);
    r->part_arena = NULL;
    wb_buffer_done(&r->part);
}

/* Its index does not fit its body: it is no use to anybody. */
static void park_whole(wb_runner *r, sending *s, const wb_error *why)
{
    s->in_parts = false;
    if (park(r, &r->batch.records[s->records.at], false, why)) window_parked(&s->records);
}

static void send_part(wb_runner *r, sending *s)
{
    window *w = &s->spans;
    wb_record_view part = r->batch.records[s->records.at];
    size_t n = window_size(w);
    wb_error why = {0};
    wb_status status = make_part(r, &s->record, w->at, n, &why);
    if (status == WB_ERR_CORRUPT) {
        park_whole(r, s, &why);
        return;
    }
    if (status != WB_OK) {
        wb_runner_note_failure(r, status, &why);
        wb_runner_back_off(r, &why, 0);
        return;
    }
    part.payload = wb_buffer_slice(&r->part);
    answer got = hand_over(r, &part, 1, 0, &why);
    if (got == ANSWER_TAKEN) window_passed(w, n);
    if (got == ANSWER_TAKEN) s->part_taken = true;
    if (got == ANSWER_REFUSED) w->suspect_end = w->at + n;
    if (got == ANSWER_REFUSED && n == 1 && park(r, &part, true, &why)) window_parked(w);
    if (w->at == w->n) end_parts(r, s);
}

/* ---- the batch ------------------------------------------------------------------------------ */

static void send_records(wb_runner *r, sending *s)
{
    window *w = &s->records;
    const wb_record_view *records = r->batch.records + w->at;
    size_t n = window_size(w);
    wb_error why = {0};
    answer got = hand_over(r, records, n, n, &why);
    if (got == ANSWER_TAKEN) window_passed(w, n);
    if (got != ANSWER_REFUSED) return;
    w->suspect_end = w->at + n;
    if (n > 1 || begin_parts(r, s, records)) return;
    if (park(r, records, false, &why)) window_parked(w);
}

/* Records of the batch that were given up while it was in hand. */
static void drop_skipped(wb_runner *r, sending *s)
{
    uint64_t n = 0;
    window *w = &s->records;
    pthread_mutex_lock(&r->lock);
    for (; w->at < w->n && r->batch.records[w->at].seq <= r->skip_to; w->at++) n++;
    if (n > 0) r->stats.skipped_ns = wb_now(r->options.clock);
    r->stats.skipped_records += n;
    r->in_hand -= n;
    pthread_mutex_unlock(&r->lock);
    if (n == 0) return;
    r->has_news = true;
    s->in_parts = false;
}

bool wb_runner_deliver(wb_runner *r)
{
    sending s = {.records = {.n = r->batch.n, .width = r->batch.n}};
    window *w = &s.records;
    wb_runner_set_state(r, WB_RUNNER_SENDING);
    r->made_anew = false;
    while (w->at < w->n) {
        if (r->select && wb_select_rules(r->select) != r->rules) {
            r->made_anew = wb_runner_give_back(r, w->at);
            if (r->made_anew) return true;
            drop_skipped(r, &s);
            continue;
        }
        if (s.in_parts)
            send_part(r, &s);
        else
            send_records(r, &s);
        drop_skipped(r, &s);
        if (w->at == w->n) break;
        /* The frame of the next record is not through yet, those before it are. */
        if (w->at > 0) wb_runner_pass(r, r->batch.records[w->at].seq - 1);
        if (wb_runner_is_over(r, false)) return false;
    }
    return true;
}
