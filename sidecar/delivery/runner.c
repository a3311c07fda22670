/* SPDX-License-Identifier: Apache-2.0 */
/* One loop: fill a batch of whole frames, send it until it is through, move the cursor.
 *
 * - Halving. A send covers a window of the batch. When one is REJECTED, its first half is tried: if
 *   that goes through, the bad record is in the second, and so on down to a single record, which is
 *   parked. Behind it windows grow from 1 by doubling, since bad records come in runs. One bad record
 *   among n costs about 2 log2 n sends more, n bad ones about n. The order of records never changes,
 *   which exporters rely on.
 * - The cursor passes a frame when all its wanted records are through. It becomes a journal entry by
 *   the sidecar's callback, at most once a second or a MiB: each costs a commit, and its own frame
 *   wakes this very loop. Frames in which this exporter takes nothing move the cursor in memory alone
 *   until a MiB of them could be trimmed; so an idle sidecar writes nothing.
 * - Outage. The batch stays in memory and is sent again after a wait that doubles from 100 ms to 30 s,
 *   each one drawn from its upper half, so that the sidecars of a host do not return in step. A
 *   far side that says how long to wait is believed up to 5 minutes.
 * - What a crash leaves: a durable cursor behind what was delivered. The rest is delivered again. */
#include "sidecar/delivery/runner.h"

#include "core/log.h"
#include "sidecar/delivery/batch.h"
#include "sidecar/delivery/parked.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    BATCH_RECORDS = 1024,
    BATCH_BYTES = 1024 * 1024,
    BATCH_BYTES_MAX = 32 * 1024 * 1024,
    TIMEOUT_MS = 10000,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 30000,
    RETRY_AFTER_MAX_MS = 300000,
    LOOK_MS = 250,  /* how long a wait may overlook a stop */
    GATHER_MS = 50, /* between batches that are not full */
    ADVANCE_MS = 1000,
    ADVANCE_BYTES = 1024 * 1024,
    LOG_AGAIN_MS = 60000,
};

struct wb_runner {
    wb_runner_options options;
    void *exporter;
    wb_journal_reader *reader;

    /* the runner's thread alone */
    wb_delivery_batch batch;
    uint64_t position;      /* read up to here */
    uint64_t advanced;      /* what `advance` was last told */
    uint64_t advanced_at;   /* monotonic */
    uint64_t bytes_since;   /* of frames passed since then */
    bool has_news;          /* records went through since then */
    uint64_t failing_since; /* monotonic; 0: it answers */
    uint64_t logged_at;     /* of the last warning about it */
    uint32_t backoff_ms;    /* of the next wait */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    uint64_t drain_until_ns; /* monotonic; 0: not draining */
    uint64_t drain_to_seq;   /* what the journal held then */
    uint64_t caught_up_at;   /* monotonic */
    uint64_t claimed;        /* up to here records are this thread's to send, or through */
    uint64_t in_hand;        /* records of the batch that are not through */
    uint64_t skip_to;        /* up to here nothing is sent any more; 0: never asked to */
    wb_runner_stats stats;
};

static uint64_t mono(const wb_runner *r) { return wb_mono(r->options.clock); }

static uint32_t or_else(uint32_t value, uint32_t fallback) { return value ? value : fallback; }

static void fill_defaults(wb_runner_options *o)
{
    o->batch_records = or_else(o->batch_records, BATCH_RECORDS);
    o->batch_bytes = or_else(o->batch_bytes, BATCH_BYTES);
    if (o->batch_bytes > BATCH_BYTES_MAX) o->batch_bytes = BATCH_BYTES_MAX;
    o->timeout_ms = or_else(o->timeout_ms, TIMEOUT_MS);
    o->backoff_min_ms = or_else(o->backoff_min_ms, BACKOFF_MIN_MS);
    o->backoff_max_ms = or_else(o->backoff_max_ms, BACKOFF_MAX_MS);
}

static bool init_waiting(wb_runner *r)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) return false;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* fails for unknown clocks only */
    bool ok = pthread_cond_init(&r->changed, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    if (ok && pthread_mutex_init(&r->lock, NULL) == 0) return true;
    if (ok) (void)pthread_cond_destroy(&r->changed);
    return false;
}

wb_status wb_runner_new(const wb_runner_options *options, wb_runner **out, wb_error *err)
{
    wb_runner *r = calloc(1, sizeof *r);
    if (!r || !init_waiting(r)) {
        free(r);
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a runner");
    }
    r->options = *options;
    fill_defaults(&r->options);
    wb_delivery_batch_init(&r->batch);
    r->position = r->advanced = r->claimed = r->stats.cursor = options->cursor;
    r->stats.skipped_records = options->skipped_records;
    r->stats.skipped_ns = options->skipped_ns;
    r->advanced_at = r->caught_up_at = mono(r);
    r->backoff_ms = r->options.backoff_min_ms;
    wb_status status = options->ops->open(options->config, options->origin, &r->exporter, err);
    if (status != WB_OK) {
        wb_runner_free(r);
        return status;
    }
    *out = r;
    return WB_OK;
}

void wb_runner_free(wb_runner *r)
{
    if (!r) return;
    if (r->exporter && r->options.ops->close) r->options.ops->close(r->exporter);
    wb_delivery_batch_done(&r->batch);
    (void)pthread_cond_destroy(&r->changed);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- stopping ------------------------------------------------------------------------------- */

void wb_runner_stop(wb_runner *r)
{
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void wb_runner_drain(wb_runner *r, uint32_t timeout_ms)
{
    wb_journal_stats journal;
    wb_journal_get_stats(r->options.journal, &journal);
    pthread_mutex_lock(&r->lock);
    r->drain_to_seq = journal.durable_seq;
    r->drain_until_ns = mono(r) + timeout_ms * WB_NS_PER_MS;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* Time to return, with `position` read and through? */
static bool is_over(wb_runner *r, bool nothing_left)
{
    pthread_mutex_lock(&r->lock);
    bool drained = nothing_left && r->position >= r->drain_to_seq;
    bool over = r->stop || (r->drain_until_ns && (drained || mono(r) >= r->drain_until_ns));
    pthread_mutex_unlock(&r->lock);
    return over;
}

/* Milliseconds until a drain gives up, at most `ms`, at least 1. */
static uint32_t within_drain(wb_runner *r, uint32_t ms)
{
    pthread_mutex_lock(&r->lock);
    uint64_t until = r->drain_until_ns, now = mono(r);
    pthread_mutex_unlock(&r->lock);
    if (until == 0) return ms;
    uint64_t left_ms = until > now ? (until - now) / WB_NS_PER_MS : 0;
    if (left_ms < 1) left_ms = 1;
    return left_ms < ms ? (uint32_t)left_ms : ms;
}

static void set_state(wb_runner *r, wb_runner_state state)
{
    pthread_mutex_lock(&r->lock);
    r->stats.state = state;
    pthread_mutex_unlock(&r->lock);
}

/* ---- the cursor ----------------------------------------------------------------------------- */

static void pass(wb_runner *r, uint64_t seq)
{
    pthread_mutex_lock(&r->lock);
    if (seq > r->stats.cursor) r->stats.cursor = seq;
    pthread_mutex_unlock(&r->lock);
}

static uint64_t cursor_of(wb_runner *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t cursor = r->stats.cursor;
    pthread_mutex_unlock(&r->lock);
    return cursor;
}

/* Then new work waits for this cursor. */
static bool is_full(const wb_runner *r)
{
    wb_journal_stats journal;
    wb_journal_get_stats(r->options.journal, &journal);
    return journal.full != WB_JOURNAL_FULL_NOT;
}

static void advance(wb_runner *r, bool at_the_end)
{
    uint64_t now = mono(r), cursor = cursor_of(r);
    bool soon = at_the_end || now - r->advanced_at >= ADVANCE_MS * WB_NS_PER_MS;
    bool is_due = r->bytes_since >= ADVANCE_BYTES || (r->has_news && (soon || is_full(r)));
    if (!is_due || cursor == r->advanced) return;
    r->options.advance(r->options.ctx, r->options.name, cursor);
    r->advanced = cursor;
    r->advanced_at = now;
    r->bytes_since = 0;
    r->has_news = false;
}

/* ---- sending -------------------------------------------------------------------------------- */

static void note_success(wb_runner *r, const wb_record_view *records, size_t n,
                         const wb_export_result *result)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += records[i].payload.len;
    pthread_mutex_lock(&r->lock);
    r->stats.sends++;
    r->stats.sent_records += n;
    r->in_hand -= n;
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
               WB_KV("failed_ms", (mono(r) - r->failing_since) / WB_NS_PER_MS));
        r->failing_since = 0;
    }
    if (result->rejected > 0)
        WB_LOG(WARN, "delivery.dropped", "the far side dropped records that it took",
               WB_KV("exporter", r->options.name), WB_KV("records", result->rejected));
}

static void note_failure(wb_runner *r, wb_status status, wb_error *why)
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
    uint64_t now = mono(r);
    if (r->failing_since && now - r->logged_at < LOG_AGAIN_MS * WB_NS_PER_MS) return;
    if (!r->failing_since) r->failing_since = now;
    r->logged_at = now;
    WB_LOG(WARN, "delivery.unavailable", "the exporter cannot deliver; records stay in the journal",
           WB_KV("exporter", r->options.name), WB_KV("error", (const char *)why->detail),
           WB_KV("failed_ms", (now - r->failing_since) / WB_NS_PER_MS), WB_KV("retry_ms", wait_ms));
}

static void wait_until(wb_runner *r, uint64_t ns_from_now)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail for this id */
    uint64_t ns = (uint64_t)until.tv_nsec + ns_from_now;
    until.tv_sec += (time_t)(ns / WB_NS_PER_S);
    until.tv_nsec = (long)(ns % WB_NS_PER_S);
    pthread_mutex_lock(&r->lock);
    bool was_draining = r->drain_until_ns != 0;
    uint64_t skip_to = r->skip_to;
    while (!r->stop && (r->drain_until_ns != 0) == was_draining && r->skip_to == skip_to)
        if (pthread_cond_timedwait(&r->changed, &r->lock, &until) == ETIMEDOUT) break;
    pthread_mutex_unlock(&r->lock);
}

/* Wait before the next try; a stop, a drain that begins, or being told to skip ends the wait. */
static void back_off(wb_runner *r, const wb_error *why, uint32_t retry_after_ms)
{
    uint32_t random, wait_ms = r->backoff_ms;
    wb_random(&random, sizeof random);
    wait_ms = wait_ms / 2 + random % (wait_ms / 2 + 1);
    if (retry_after_ms > RETRY_AFTER_MAX_MS) retry_after_ms = RETRY_AFTER_MAX_MS;
    if (wait_ms < retry_after_ms) wait_ms = retry_after_ms;
    wait_ms = within_drain(r, wait_ms);
    log_outage(r, why, wait_ms);
    r->backoff_ms = r->backoff_ms > r->options.backoff_max_ms / 2 ? r->options.backoff_max_ms
                                                                  : r->backoff_ms * 2;
    pthread_mutex_lock(&r->lock);
    r->stats.state = WB_RUNNER_BACKOFF;
    r->stats.backoff_ms = wait_ms;
    pthread_mutex_unlock(&r->lock);
    advance(r, true); /* nothing else happens for a while */
    wait_until(r, wait_ms * WB_NS_PER_MS);
    set_state(r, WB_RUNNER_SENDING);
}

/* False: could not, and waited. */
static bool park(wb_runner *r, const wb_record_view *record, const wb_error *why)
{
    wb_error err = {0};
    wb_status status = wb_park(r->options.parked_dir, r->options.name, record,
                               wb_now(r->options.clock), why, &err);
    if (status != WB_OK) {
        note_failure(r, status, &err);
        back_off(r, &err, 0);
        return false;
    }
    pthread_mutex_lock(&r->lock);
    r->stats.parked_records++;
    r->in_hand--;
    pthread_mutex_unlock(&r->lock);
    r->has_news = true;
    WB_LOG(WARN, "delivery.parked", "a record that the far side refuses was set aside",
           WB_KV("exporter", r->options.name), WB_KV("seq", record->seq),
           WB_KV("entry", record->entry), WB_KV("kind", (int)record->kind),
           WB_KV("error", (const char *)why->detail), WB_KV("file_in", r->options.parked_dir));
    return true;
}

/* Where in the batch delivery stands. */
typedef struct window {
    size_t at;
    size_t width;       /* of the next send */
    size_t suspect_end; /* [at, suspect_end) is known to hold a bad record; 0: nothing is known */
} window;

static size_t window_size(const wb_runner *r, const window *w)
{
    size_t left = r->batch.n - w->at, n = w->width < left ? w->width : left;
    if (w->suspect_end > w->at) n = (w->suspect_end - w->at) / 2;
    return n > 0 ? n : 1;
}

static void send_window(wb_runner *r, window *w)
{
    const wb_record_view *records = r->batch.records + w->at;
    size_t n = window_size(r, w);
    wb_export_result result = {0};
    wb_error why = {0};
    wb_status status = r->options.ops->send(r->exporter, records, n,
                                            within_drain(r, r->options.timeout_ms), &result, &why);
    if (status == WB_OK) {
        note_success(r, records, n, &result);
        w->at += n;
        w->width = n * 2;
        return;
    }
    note_failure(r, status, &why);
    if (status != WB_ERR_REJECTED) {
        back_off(r, &why, result.retry_after_ms);
        return;
    }
    r->backoff_ms = r->options.backoff_min_ms; /* it answers */
    w->suspect_end = w->at + n;
    if (n == 1 && park(r, records, &why)) *w = (window){.at = w->at + 1, .width = 1};
}

/* Records of the batch that were given up while it was in hand. */
static void drop_skipped(wb_runner *r, window *w)
{
    uint64_t n = 0;
    pthread_mutex_lock(&r->lock);
    for (; w->at < r->batch.n && r->batch.records[w->at].seq <= r->skip_to; w->at++) n++;
    if (n > 0) r->stats.skipped_ns = wb_now(r->options.clock);
    r->stats.skipped_records += n;
    r->in_hand -= n;
    pthread_mutex_unlock(&r->lock);
    if (n > 0) r->has_news = true;
}

/* All of the batch, or until it is time to return: false. */
static bool deliver(wb_runner *r)
{
    window w = {.width = r->batch.n};
    set_state(r, WB_RUNNER_SENDING);
    while (w.at < r->batch.n) {
        send_window(r, &w);
        drop_skipped(r, &w);
        if (w.at == r->batch.n) break;
        /* The frame of the next record is not through yet, those before it are. */
        if (w.at > 0) pass(r, r->batch.records[w.at].seq - 1);
        if (is_over(r, false)) return false;
    }
    return true;
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void mark_caught_up(wb_runner *r)
{
    pthread_mutex_lock(&r->lock);
    r->stats.state = WB_RUNNER_IDLE;
    r->caught_up_at = mono(r);
    pthread_mutex_unlock(&r->lock);
}

static void close_reader(wb_runner *r)
{
    wb_journal_reader_close(r->reader);
    r->reader = NULL;
}

/* What was read is this thread's to send, unless all of it up to somewhere was given up meanwhile. */
static bool claim(wb_runner *r)
{
    pthread_mutex_lock(&r->lock);
    bool skipped = r->skip_to > r->position;
    if (skipped)
        r->position = r->skip_to;
    else
        r->claimed = r->batch.end_seq;
    if (!skipped) r->in_hand = r->batch.n;
    pthread_mutex_unlock(&r->lock);
    if (skipped) close_reader(r);
    return !skipped;
}

static bool read_batch(wb_runner *r)
{
    wb_error err = {0};
    wb_status status = WB_OK;
    if (!r->reader)
        status = wb_journal_reader_open(r->options.journal, r->position, &r->reader, &err);
    if (status == WB_OK)
        status = wb_delivery_batch_fill(&r->batch, r->reader, r->position, r->options.ops->takes,
                                        r->options.batch_records, r->options.batch_bytes, &err);
    if (status == WB_OK) return claim(r);
    close_reader(r);
    note_failure(r, status, &err);
    back_off(r, &err, 0);
    return false;
}

/* Nothing to send: sleep until there is. */
static void idle(wb_runner *r)
{
    mark_caught_up(r);
    advance(r, false);
    wb_status status = wb_journal_wait(r->options.journal, r->position, within_drain(r, LOOK_MS));
    if (status == WB_ERR_UNAVAILABLE) wait_until(r, LOOK_MS * WB_NS_PER_MS); /* told not to block */
}

/* A trickle sent one by one costs a sync at the far side for each record, on a disk that may be the
 * journal's own: Delegate takes half as long again for it. The first record after a pause never waits. */
static void gather(wb_runner *r)
{
    bool full =
        r->batch.n >= r->options.batch_records || r->batch.bytes.len >= r->options.batch_bytes;
    if (!full) wait_until(r, GATHER_MS * WB_NS_PER_MS);
}

void wb_runner_run(wb_runner *r)
{
    bool nothing_left = false;
    while (!is_over(r, nothing_left)) {
        if (!read_batch(r)) continue;
        nothing_left = r->batch.end_seq == r->position;
        if (nothing_left) {
            if (!is_over(r, true)) idle(r);
            continue;
        }
        if (!deliver(r)) break;
        r->bytes_since += r->batch.read_bytes;
        r->position = r->batch.end_seq;
        pass(r, r->position);
        advance(r, false);
        gather(r);
    }
    advance(r, true);
    close_reader(r);
    set_state(r, WB_RUNNER_STOPPED);
}

/* ---- skipping ------------------------------------------------------------------------------- */

uint64_t wb_runner_skip(wb_runner *r, uint64_t seq)
{
    pthread_mutex_lock(&r->lock);
    uint64_t from = r->claimed > r->skip_to ? r->claimed : r->skip_to;
    if (seq > r->skip_to) r->skip_to = seq;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    return from;
}

void wb_runner_note_skipped(wb_runner *r, uint64_t seq, uint64_t records)
{
    pthread_mutex_lock(&r->lock);
    r->stats.skipped_records += records;
    if (records > 0) r->stats.skipped_ns = wb_now(r->options.clock);
    if (seq > r->stats.cursor) r->stats.cursor = seq;
    pthread_mutex_unlock(&r->lock);
}

/* ---- watching ------------------------------------------------------------------------------- */

void wb_runner_get_stats(wb_runner *r, wb_runner_stats *out)
{
    wb_journal_stats journal;
    wb_journal_get_stats(r->options.journal, &journal);
    pthread_mutex_lock(&r->lock);
    *out = r->stats;
    out->undecided_records = r->skip_to >= r->claimed ? r->in_hand : 0;
    uint64_t caught_up_at = r->caught_up_at;
    pthread_mutex_unlock(&r->lock);
    out->lag_seq = journal.durable_seq > out->cursor ? journal.durable_seq - out->cursor : 0;
    out->lag_ns = out->lag_seq > 0 ? mono(r) - caught_up_at : 0;
}

const char *wb_runner_state_name(wb_runner_state state)
{
    static const char *const names[] = {
        [WB_RUNNER_IDLE] = "idle",
        [WB_RUNNER_SENDING] = "sending",
        [WB_RUNNER_BACKOFF] = "backoff",
        [WB_RUNNER_STOPPED] = "stopped",
    };
    return (size_t)state < WB_COUNT(names) ? names[state] : "unknown";
}
