/* SPDX-License-Identifier: Apache-2.0 */
/* One loop: fill a batch of whole frames, send it until it is through (send.c), move the cursor.
 *
 * - The cursor passes a frame when all its wanted records are through. It becomes a journal entry by
 *   the sidecar's callback, at most once a second or a MiB: each costs a commit, and its own frame
 *   wakes this very loop. Frames in which this exporter takes nothing move the cursor in memory alone
 *   until a MiB of them could be trimmed; so an idle sidecar writes nothing.
 * - With a hold, frames younger than that are not read for sending. They are read ahead, for the traces
 *   that are to be kept; the lookahead comes first in each turn, so it has seen at least what was there
 *   when the oldest record of the batch became ripe. A drain holds nothing back.
 * - A reload may change what the exporter may have while a batch waits for a far side that is away. Then what is left
 *   of the batch is given back and read once more; entries of a frame that is half through go twice.
 * - What a crash leaves: a durable cursor behind what was delivered. The rest is delivered again, held
 *   again first, and looked ahead of again from the cursor on: what was decided about traces before it
 *   is forgotten. */
#include "sidecar/delivery/runner.h"

#include "core/log.h"
#include "sidecar/delivery/runner_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    BATCH_RECORDS = 1024,
    BATCH_BYTES = 1024 * 1024,
    BATCH_BYTES_MAX = 32 * 1024 * 1024,
    TIMEOUT_MS = 10000,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 30000,
    LOOK_MS = 250,  /* how long a wait may overlook a stop */
    GATHER_MS = 50, /* between batches that are not full */
    ADVANCE_MS = 1000,
    ADVANCE_BYTES = 1024 * 1024,
    PART_BYTES = 192 * 1024 * 1024, /* a batch's own limit: no record is larger */
};

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

static wb_status open_delivery(wb_runner *r, wb_error *err)
{
    static const wb_delivery_config as_it_is = {.markers = false};
    const wb_delivery_config *config = r->options.delivery ? r->options.delivery : &as_it_is;
    wb_delivery_rules rules;
    WB_TRY(wb_delivery_rules_read(config, &rules, err));
    WB_TRY(wb_select_new(config, &rules, r->options.less, &r->select, err));
    wb_hold_init(&r->hold, rules.hold_ns, r->position);
    wb_lookahead_init(&r->ahead, r->options.journal, r->select, r->position);
    const wb_exporter_ops *ops = r->options.ops;
    r->takes = ops->takes_of ? ops->takes_of(r->options.config) : ops->takes;
    if (!config->markers) r->takes &= ~WB_KIND_BIT(WB_ENTRY_MARKERS);
    return WB_OK;
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
    r->advanced_at = r->caught_up_at = wb_runner_mono(r);
    r->backoff_ms = r->options.backoff_min_ms;
    wb_buffer_init(&r->part, PART_BYTES);
    wb_status status = open_delivery(r, err);
    if (status == WB_OK)
        status = options->ops->open(options->config, options->origin, &r->exporter, err);
    if (status != WB_OK) {
        wb_runner_free(r);
        return status;
    }
    *out = r;
    return WB_OK;
}

uint64_t wb_runner_takes(const wb_runner *r) { return r->takes; }

void wb_runner_free(wb_runner *r)
{
    if (!r) return;
    if (r->exporter && r->options.ops->close) r->options.ops->close(r->exporter);
    wb_lookahead_done(&r->ahead);
    wb_select_free(r->select);
    wb_delivery_batch_done(&r->batch);
    wb_arena_free(r->part_arena);
    wb_buffer_done(&r->part);
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
    r->drain_until_ns = wb_runner_mono(r) + timeout_ms * WB_NS_PER_MS;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    if (r->options.ops->hurry) /* an exporter knows no clock but the system's */
        r->options.ops->hurry(r->exporter, wb_mono(&wb_system_clock) + timeout_ms * WB_NS_PER_MS);
}

/* Time to return, with `position` read and through? */
bool wb_runner_is_over(wb_runner *r, bool nothing_left)
{
    pthread_mutex_lock(&r->lock);
    bool drained = nothing_left && r->position >= r->drain_to_seq;
    bool over =
        r->stop || (r->drain_until_ns && (drained || wb_runner_mono(r) >= r->drain_until_ns));
    pthread_mutex_unlock(&r->lock);
    return over;
}

/* Milliseconds until a drain gives up, at most `ms`, at least 1. */
uint32_t wb_runner_within_drain(wb_runner *r, uint32_t ms)
{
    pthread_mutex_lock(&r->lock);
    uint64_t until = r->drain_until_ns, now = wb_runner_mono(r);
    pthread_mutex_unlock(&r->lock);
    if (until == 0) return ms;
    uint64_t left_ms = until > now ? (until - now) / WB_NS_PER_MS : 0;
    if (left_ms < 1) left_ms = 1;
    return left_ms < ms ? (uint32_t)left_ms : ms;
}

void wb_runner_set_state(wb_runner *r, wb_runner_state state)
{
    pthread_mutex_lock(&r->lock);
    r->stats.state = state;
    pthread_mutex_unlock(&r->lock);
}

/* ---- the cursor ----------------------------------------------------------------------------- */

void wb_runner_pass(wb_runner *r, uint64_t seq)
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

void wb_runner_advance(wb_runner *r, bool at_the_end)
{
    uint64_t now = wb_runner_mono(r), cursor = cursor_of(r);
    bool soon = at_the_end || now - r->advanced_at >= ADVANCE_MS * WB_NS_PER_MS;
    bool is_due = r->bytes_since >= ADVANCE_BYTES || (r->has_news && (soon || is_full(r)));
    if (!is_due || cursor == r->advanced) return;
    r->options.advance(r->options.ctx, r->options.name, cursor);
    r->advanced = cursor;
    r->advanced_at = now;
    r->bytes_since = 0;
    r->has_news = false;
}

void wb_runner_wait(wb_runner *r, uint64_t ns_from_now)
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

/* ---- the loop ------------------------------------------------------------------------------- */

static void mark_caught_up(wb_runner *r)
{
    pthread_mutex_lock(&r->lock);
    r->stats.state = WB_RUNNER_IDLE;
    r->caught_up_at = wb_runner_mono(r);
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
    while (r->skipping) pthread_cond_wait(&r->changed, &r->lock);
    bool skipped = r->skip_to > r->position;
    if (skipped)
        r->position = r->skip_to;
    else
        r->claimed = r->batch.end_seq;
    if (!skipped) r->in_hand = r->batch.n;
    if (r->select) {
        wb_select_stats selected = wb_select_get_stats(r->select);
        r->stats.unsampled_spans = selected.spans_left_out;
        r->stats.unsure_spans = selected.spans_unsure;
    }
    pthread_mutex_unlock(&r->lock);
    if (skipped) {
        close_reader(r);
        wb_lookahead_jump(&r->ahead, r->position);
    }
    return !skipped;
}

static bool is_draining(wb_runner *r)
{
    pthread_mutex_lock(&r->lock);
    bool draining = r->drain_until_ns != 0;
    pthread_mutex_unlock(&r->lock);
    return draining;
}

/* The end of what may be sent now; notes whether there is more. */
static uint64_t look_at_hold(wb_runner *r)
{
    wb_journal_stats journal;
    if (r->hold.ns == 0) return UINT64_MAX;
    wb_journal_get_stats(r->options.journal, &journal);
    uint64_t ripe = wb_hold_look(&r->hold, wb_runner_mono(r), journal.durable_seq);
    bool draining = is_draining(r);
    r->holding = !draining && journal.durable_seq > ripe;
    return draining ? UINT64_MAX : ripe;
}

static void log_missing(wb_runner *r)
{
    static wb_log_gate gate;
    uint64_t held_back;
    if (r->batch.missing == 0 || !wb_log_gate_pass(&gate, wb_runner_mono(r), &held_back)) return;
    WB_LOG(ERROR, "delivery.frames_missing",
           "frames of the journal cannot be read: they are not sent",
           WB_KV("exporter", r->options.name), WB_KV("frames", r->batch.missing),
           WB_KV("before_seq", r->batch.end_seq), WB_KV("held_back", held_back));
}

bool wb_runner_give_back(wb_runner *r, size_t at)
{
    uint64_t seq = r->batch.records[at].seq; /* all before it is through */
    pthread_mutex_lock(&r->lock);
    while (r->skipping) pthread_cond_wait(&r->changed, &r->lock);
    bool given_up = seq <= r->skip_to;
    if (!given_up) {
        r->claimed = r->position = seq - 1;
        r->in_hand = 0;
    }
    pthread_mutex_unlock(&r->lock);
    if (given_up) return false;
    close_reader(r);
    wb_lookahead_jump(&r->ahead, r->position);
    return true;
}

static wb_status fill(wb_runner *r, uint64_t until_seq, wb_error *err)
{
    const wb_delivery_wants wants = {.takes = r->takes,
                                     .until_seq = until_seq,
                                     .max_records = r->options.batch_records,
                                     .max_bytes = r->options.batch_bytes,
                                     .max_read_bytes = wb_lookahead_step(&r->ahead),
                                     .select = r->select};
    if (r->select) r->rules = wb_select_rules(r->select);
    if (!r->reader)
        WB_TRY(wb_journal_reader_open(r->options.journal, r->position, &r->reader, err));
    WB_TRY(wb_delivery_batch_fill(&r->batch, r->reader, r->position, &wants, err));
    if (r->batch.overran) close_reader(r);
    return WB_OK;
}

static bool read_batch(wb_runner *r)
{
    wb_error err = {0};
    uint64_t until_seq = look_at_hold(r);
    wb_status status = wb_lookahead_run(&r->ahead, r->position, &err);
    if (status == WB_OK) status = fill(r, until_seq, &err);
    if (status == WB_OK) {
        bool claimed = claim(
            r); /* or it was given up, and trimmed, while it was read: nothing is wrong then */
        if (claimed) log_missing(r);
        return claimed;
    }
    close_reader(r);
    wb_runner_note_failure(r, status, &err);
    wb_runner_back_off(r, &err, 0);
    return false;
}

/* Nothing to send: sleep until there is. */
static void idle(wb_runner *r)
{
    mark_caught_up(r);
    wb_runner_advance(r, false);
    if (r->options.ops->idle) r->options.ops->idle(r->exporter);
    if (r->holding) {
        uint64_t next_ns = wb_hold_next_ns(&r->hold, wb_runner_mono(r));
        if (!is_draining(r))
            wb_runner_wait(r, next_ns < LOOK_MS * WB_NS_PER_MS ? next_ns : LOOK_MS * WB_NS_PER_MS);
        return;
    }
    wb_status status =
        wb_journal_wait(r->options.journal, r->position, wb_runner_within_drain(r, LOOK_MS));
    if (status == WB_ERR_UNAVAILABLE)
        wb_runner_wait(r, LOOK_MS * WB_NS_PER_MS); /* told not to block */
}

/* A trickle sent one by one costs a sync at the far side for each record, on a disk that may be the
 * journal's own: Delegate takes half as long again for it. The first record after a pause never waits. */
static void gather(wb_runner *r)
{
    bool full =
        r->batch.n >= r->options.batch_records || r->batch.bytes.len >= r->options.batch_bytes;
    if (!full) wb_runner_wait(r, GATHER_MS * WB_NS_PER_MS);
}

void wb_runner_run(wb_runner *r)
{
    bool nothing_left = false;
    while (!wb_runner_is_over(r, nothing_left)) {
        if (!read_batch(r)) continue;
        nothing_left = r->batch.end_seq == r->position;
        if (nothing_left) {
            if (!wb_runner_is_over(r, true)) idle(r);
            continue;
        }
        if (!wb_runner_deliver(r)) break;
        if (r->made_anew) continue;
        r->bytes_since += r->batch.read_bytes;
        r->position = r->batch.end_seq;
        wb_lookahead_passed(&r->ahead, r->position, r->batch.read_bytes);
        wb_runner_pass(r, r->position);
        wb_runner_advance(r, false);
        gather(r);
    }
    wb_runner_advance(r, true);
    close_reader(r);
    wb_runner_set_state(r, WB_RUNNER_STOPPED);
}

/* ---- skipping ------------------------------------------------------------------------------- */

uint64_t wb_runner_skip_begin(wb_runner *r)
{
    pthread_mutex_lock(&r->lock);
    r->skipping = true;
    uint64_t from = r->claimed > r->skip_to ? r->claimed : r->skip_to;
    pthread_mutex_unlock(&r->lock);
    return from;
}

/* The cursor passes what is undecided, so that count and cursor are one change: whoever writes both down
 * loses nothing untold. */
void wb_runner_skip_end(wb_runner *r, uint64_t seq, uint64_t records)
{
    pthread_mutex_lock(&r->lock);
    r->skipping = false;
    if (seq > r->skip_to) r->skip_to = seq;
    r->stats.skipped_records += records;
    if (records > 0) r->stats.skipped_ns = wb_now(r->options.clock);
    if (seq > r->stats.cursor) r->stats.cursor = seq;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* Of the batch in hand, those that were given up; the lock is held. While `in_hand` is not 0 nobody changes
 * the batch. */
static uint64_t count_undecided(const wb_runner *r)
{
    const wb_delivery_batch *batch = &r->batch;
    size_t first = batch->n - (size_t)r->in_hand, at = first;
    while (at < batch->n && batch->records[at].seq <= r->skip_to) at++;
    return at - first;
}

/* ---- watching ------------------------------------------------------------------------------- */

void wb_runner_get_stats(wb_runner *r, wb_runner_stats *out)
{
    wb_journal_stats journal;
    wb_journal_get_stats(r->options.journal, &journal);
    pthread_mutex_lock(&r->lock);
    *out = r->stats;
    out->undecided_records = r->in_hand > 0 ? count_undecided(r) : 0;
    uint64_t caught_up_at = r->caught_up_at;
    pthread_mutex_unlock(&r->lock);
    out->lag_seq = journal.durable_seq > out->cursor ? journal.durable_seq - out->cursor : 0;
    out->lag_ns = out->lag_seq > 0 ? wb_runner_mono(r) - caught_up_at : 0;
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
