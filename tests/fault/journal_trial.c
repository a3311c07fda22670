/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle keeps, for each sequence, the number of the transaction that was last appended under it
 * and whether that is promised: its commit said OK, or a start-up handed it out (readers may have
 * delivered it since). After each crash every frame above the cursor is read back:
 *
 *   promised and not there             lost
 *   there, but another transaction     invented; doubled, if it is known under another sequence
 *   there, and not promised            a group that was never answered: promised from now on
 *   not promised and not there         given up: it must never be seen again
 *
 * and the table must equal the sum of all promised frames from the beginning, which the oracle keeps in
 * a table of its own. The cursor stands for an exporter: what is at or below it may be gone. */
#include "tests/fault/journal_trial.h"

#include "sidecar/journal/journal.h"
#include "tests/support/kv_table.h"
#include "tests/support/model_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEGMENT_BYTES = 64 * 1024,
    LIMIT_SEGMENTS = 8,
    GROUP_MAX = 6,
    PAYLOAD_MAX = 6000,
    LARGE_PAYLOAD = 40000,
    ROW_TAIL = 2000,  /* makes state bytes, so that snapshots are due within a segment too */
    WINDOW = 1 << 16, /* sequences in flight at once */
};

typedef struct promise {
    uint64_t seq, txn;
    bool kept; /* promised */
} promise;

typedef struct trial {
    wb_trial_options options;
    wb_trial_result *result;
    wb_model_disk *disk;
    wb_journal *journal;
    wb_kv_table table, expected;
    wb_state_table tables[1];
    promise *promises;      /* by seq % WINDOW */
    uint64_t last_promised; /* sequence */
    uint64_t next_txn;
    uint64_t cursor;       /* delivered: promised durably by its own entry */
    uint64_t asked_cursor; /* in the pending group */
    uint64_t read_upto;    /* what the exporter has read */
    uint64_t group[GROUP_MAX];
    size_t n_group;
    bool stalled; /* the exporter's far side is away */
    bool refused; /* a commit was, and the journal did not get up since */
} trial;

static uint64_t dice(trial *t, uint64_t sides) { return wb_model_random(t->disk, sides); }

static promise *at(trial *t, uint64_t seq) { return &t->promises[seq % WINDOW]; }

/* ---- transactions ---- */

/* Every transaction has a number, from which its entries follow, so that any frame can be checked
 * against what was appended: a DELEGATION with the number as value, sometimes SPANS, a PURGE. */
typedef struct txn {
    uint8_t row[WB_KV_ROW + ROW_TAIL], purge[8], spans[LARGE_PAYLOAD];
    wb_entry entries[3];
    size_t n;
} txn;

static void make_txn(uint64_t number, txn *out)
{
    uint64_t hash = number * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t key = (uint32_t)(hash >> 58);
    wb_kv_row(out->row, key, number);
    out->n = 0;
    bool state_heavy = number >> 8 & 1; /* for a while */
    size_t row_len = state_heavy || (hash & 1) ? sizeof out->row : WB_KV_ROW;
    memset(out->row + WB_KV_ROW, 0x5A, sizeof out->row - WB_KV_ROW);
    out->entries[out->n++] = (wb_entry){WB_ENTRY_DELEGATION, {out->row, row_len}};
    if (!state_heavy && (hash >> 32 & 1)) {
        size_t len =
            (hash >> 40 & 0xFFFF) % (((hash >> 33) & 31) == 0 ? LARGE_PAYLOAD : PAYLOAD_MAX);
        memset(out->spans, (int)(number & 0xFF), len);
        out->entries[out->n++] = (wb_entry){WB_ENTRY_SPANS, {out->spans, len}};
    }
    if ((hash >> 20 & 15) == 0 && number > 40) {
        wb_kv_purge(out->purge, number - 40);
        out->entries[out->n++] = (wb_entry){WB_ENTRY_PURGE, {out->purge, sizeof out->purge}};
    }
}

/* The transaction a frame says it is: 0 if it is not one of ours; `cursor` frames are 0 too. */
static uint64_t txn_of(const wb_frame_view *frame)
{
    static txn made;
    wb_entry entry;
    size_t from = 0, i = 0;
    uint64_t number;
    if (!wb_frame_next_entry(frame, &from, &entry)) return 0;
    if (entry.kind != WB_ENTRY_DELEGATION || entry.payload.len < WB_KV_ROW) return 0;
    memcpy(&number, entry.payload.ptr + 4, sizeof number);
    make_txn(number, &made);
    from = 0;
    while (wb_frame_next_entry(frame, &from, &entry)) {
        if (i == made.n || entry.kind != made.entries[i].kind) return 0;
        if (!wb_slice_eq(entry.payload, made.entries[i].payload)) return 0;
        i++;
    }
    return i == made.n ? number : 0;
}

static bool is_own_frame(const wb_frame_view *frame)
{
    wb_entry entry;
    size_t from = 0;
    if (!wb_frame_next_entry(frame, &from, &entry)) return true; /* a clean stop's mark */
    return entry.kind == WB_ENTRY_CURSOR;
}

static void expect_applied(trial *t, uint64_t number)
{
    static txn made;
    if (number == 0) return;
    make_txn(number, &made);
    for (size_t i = 0; i < made.n; i++) {
        if (made.entries[i].kind == WB_ENTRY_SPANS) continue;
        wb_status status = wb_kv_ops.apply(&t->expected, &made.entries[i], NULL);
        WB_ASSERT(status == WB_OK);
    }
}

/* ---- the oracle ---- */

static void keep(trial *t, uint64_t seq, uint64_t number)
{
    *at(t, seq) = (promise){.seq = seq, .txn = number, .kept = true};
    expect_applied(t, number);
    if (seq > t->last_promised) t->last_promised = seq;
    t->result->acknowledged++;
}

static bool known_elsewhere(const trial *t, uint64_t number, uint64_t seq)
{
    for (size_t i = 0; i < WINDOW; i++)
        if (t->promises[i].kept && t->promises[i].txn == number && t->promises[i].seq != seq)
            return number != 0;
    return false;
}

static void check_frame(trial *t, const wb_frame_view *frame)
{
    promise *known = at(t, frame->seq);
    uint64_t number = txn_of(frame);
    bool own = number == 0 && is_own_frame(frame);
    bool same = known->seq == frame->seq && known->txn == number && (number != 0 || own);
    /* The journal appends its marks by itself, also under sequences that were given up. */
    bool mark = frame->n_entries == 0 && !(known->seq == frame->seq && known->kept);
    if (!same && known_elsewhere(t, number, frame->seq))
        t->result->doubled++;
    else if (!same && !mark && !(own && known->seq != frame->seq))
        t->result->invented++;
    else if (!known->kept || known->seq != frame->seq)
        keep(t, frame->seq, number);
}

/* Sequences from *expected up to `before` were not there: those promised are lost, unless delivered. */
static void check_missing(trial *t, uint64_t *expected, uint64_t before)
{
    for (; *expected < before; ++*expected) {
        promise *known = at(t, *expected);
        if (known->seq == *expected && known->kept && *expected > t->cursor) t->result->lost++;
    }
}

static void check_frames(trial *t)
{
    wb_journal_reader *reader;
    wb_frame_view frame;
    wb_status status;
    uint64_t expected = t->cursor + 1;
    status = wb_journal_reader_open(t->journal, t->cursor, &reader, NULL);
    WB_ASSERT(status == WB_OK);
    while ((status = wb_journal_reader_next(reader, &frame, NULL)) == WB_OK) {
        check_missing(t, &expected, frame.seq);
        if (frame.seq < expected) t->result->doubled++;
        check_frame(t, &frame);
        expected = frame.seq + 1;
    }
    wb_journal_reader_close(reader);
    if (status != WB_ERR_NOT_FOUND) t->result->lost++;
    check_missing(t, &expected, t->last_promised + 1);
    for (size_t i = 0; i < WINDOW; i++) /* what is not promised by now is given up */
        if (!t->promises[i].kept) t->promises[i].txn = UINT64_MAX;
    t->read_upto = t->last_promised;
}

/* The journal's cursor may be one of a group that was never answered, but no older than the promised
 * and none that nobody asked for. */
static void check_cursor(trial *t)
{
    uint64_t seq;
    wb_status status = wb_journal_register_cursor(t->journal, "exporter", &seq, NULL);
    WB_ASSERT(status == WB_OK);
    if (seq < t->cursor || seq > t->last_promised) t->result->wrong_state++;
    if (seq > t->cursor) t->cursor = seq;
}

static void check_all(trial *t)
{
    check_cursor(t);
    check_frames(t);
    if (memcmp(t->table.values, t->expected.values, sizeof t->table.values) != 0)
        t->result->wrong_state++;
}

/* ---- start and crash ---- */

static wb_status open_journal(trial *t, wb_journal_report *report)
{
    const wb_journal_options options = {
        .dir = "journal",
        .segment_bytes = SEGMENT_BYTES,
        .limit_bytes = (uint64_t)LIMIT_SEGMENTS * SEGMENT_BYTES,
        .ops = wb_model_disk_ops(t->disk),
        .tables = t->tables,
        .n_tables = WB_COUNT(t->tables),
    };
    t->table = (wb_kv_table){.gaps = 0};
    return wb_journal_open(&options, &t->journal, report, NULL);
}

/* The process is gone: what it held is closed by the disk, its memory is freed here. */
static void bury(trial *t)
{
    wb_model_disk_crash_after(t->disk, 0); /* its last calls must not change anything */
    wb_journal_close(t->journal);
    t->journal = NULL;
}

static void crash(trial *t)
{
    if (dice(t, 4) == 0) {
        wb_model_disk_kill(t->disk);
        t->result->kills++;
    } else {
        wb_model_disk_power_cut(t->disk);
        t->result->crashes++;
    }
}

/* Somebody took what was held, and all the rest. */
static void tighten(trial *t)
{
    const wb_file_ops *ops = wb_model_disk_ops(t->disk);
    wb_model_disk_limit(t->disk, UINT64_MAX);
    if (dice(t, 3) != 0 || t->last_promised == 0) return; /* a first start needs some room */
    wb_model_disk_drop(t->disk, "reserve-segment");
    wb_model_disk_drop(t->disk, "spare");
    int synced = ops->sync_dir(ops, ops->open_dir(ops, "journal"), "test");
    WB_ASSERT(synced == 0);
    wb_model_disk_limit(t->disk, wb_model_disk_used(t->disk));
}

/* Start again, through as many crashes as come on the way. */
static void restart(trial *t)
{
    wb_journal_report report;
    if (t->options.tight) tighten(t);
    for (;;) {
        if (dice(t, 3) == 0) wb_model_disk_crash_after(t->disk, dice(t, 12));
        wb_status status = open_journal(t, &report);
        if (status == WB_OK) break;
        if (!wb_model_disk_is_dead(t->disk)) {
            t->result->false_alarms++; /* it must always start */
            return;
        }
        crash(t);
    }
    wb_model_disk_run(t->disk);
    if (report.lost_frames != 0 || report.lost_segments != 0 || report.gap)
        t->result->false_alarms++;
    t->n_group = 0;
    t->asked_cursor = 0;
    t->refused = false;
    check_all(t);
}

/* ---- the load ---- */

static bool append(trial *t, wb_work work, const wb_entry *entries, size_t n, uint64_t number)
{
    uint64_t seq;
    wb_status status = wb_journal_append(t->journal, work, entries, n, &seq, NULL);
    if (status == WB_ERR_FULL) t->result->refusals++;
    if (status != WB_OK) return false;
    *at(t, seq) = (promise){.seq = seq, .txn = number};
    if (t->options.early_ack)
        keep(t, seq, number);
    else
        t->group[t->n_group++] = seq;
    return true;
}

static void append_txn(trial *t)
{
    static txn made;
    make_txn(t->next_txn, &made);
    wb_work work = dice(t, 3) == 0 ? WB_WORK_FINISHING : WB_WORK_NEW;
    (void)append(t, work, made.entries, made.n, t->next_txn++);
}

/* The exporter has read up to somewhere and says so. */
static void append_cursor(trial *t)
{
    wb_entry entry;
    wb_buffer bytes;
    uint64_t upto = t->cursor + dice(t, t->read_upto - t->cursor + 1);
    if (dice(t, 2) == 0) upto = t->read_upto;
    wb_buffer_init(&bytes, 256);
    wb_status status = wb_cursor_entry("exporter", upto, &bytes, &entry);
    WB_ASSERT(status == WB_OK);
    if (append(t, WB_WORK_HOUSE, &entry, 1, 0)) t->asked_cursor = upto;
    wb_buffer_done(&bytes);
}

static void settle_group(trial *t, wb_status status)
{
    for (size_t i = 0; status == WB_OK && i < t->n_group; i++)
        keep(t, t->group[i], at(t, t->group[i])->txn);
    if (status == WB_OK && t->asked_cursor > t->cursor) t->cursor = t->asked_cursor;
    if (status == WB_OK) t->read_upto = t->last_promised;
    t->n_group = 0;
    t->asked_cursor = 0;
}

static void idle(trial *t)
{
    wb_journal_stats stats;
    (void)wb_journal_idle(t->journal);
    (void)wb_journal_tidy(t->journal);
    wb_journal_get_stats(t->journal, &stats);
    if (!t->refused || stats.failed || wb_model_disk_is_dead(t->disk)) return;
    t->refused = false; /* the journal got up by itself: all must be as it was promised */
    check_all(t);
}

static void commit_group(trial *t)
{
    size_t n = 1 + dice(t, GROUP_MAX - 1);
    for (size_t i = 0; i < n; i++) append_txn(t);
    if (!t->stalled && dice(t, 4) == 0 && t->n_group < GROUP_MAX) append_cursor(t);
    if (dice(t, t->stalled ? 40 : 300) == 0) t->stalled = !t->stalled;
    wb_status status = wb_journal_commit(t->journal, NULL);
    settle_group(t, status);
    if (status != WB_OK) t->refused = true;
}

static void plan_faults(trial *t)
{
    static const int errnums[] = {EIO, ENOSPC, EDQUOT, EMFILE};
    wb_model_fault what = (wb_model_fault)dice(t, WB_MODEL_FAULTS);
    if (dice(t, 4) == 0) /* somebody else fills the disk, or makes room */
        wb_model_disk_limit(t->disk, dice(t, 2) == 0 ? UINT64_MAX
                                                     : wb_model_disk_used(t->disk) +
                                                           dice(t, 3) * SEGMENT_BYTES);
    if (dice(t, 8) != 0) return;
    wb_model_disk_fail(t->disk, what, (unsigned)dice(t, 8), 1 + (unsigned)dice(t, 3),
                       errnums[dice(t, WB_COUNT(errnums))]);
}

static void note_stats(trial *t, wb_journal_stats *before)
{
    wb_journal_stats now;
    wb_journal_get_stats(t->journal, &now);
    if (now.snapshots_taken > before->snapshots_taken)
        t->result->snapshots += now.snapshots_taken - before->snapshots_taken;
    if (now.first_seq > before->first_seq) t->result->trims++;
    if (now.segments > before->segments) t->result->rolls++;
    *before = now;
}

static void work_until_crash(trial *t)
{
    wb_journal_stats stats;
    wb_journal_get_stats(t->journal, &stats);
    /* What a start on a full disk did wrongly shows only in a crash soon after it. */
    uint64_t soon = t->options.tight ? 4 : 40;
    wb_model_disk_crash_after(t->disk, dice(t, dice(t, 4) == 0 ? 400 : soon));
    plan_faults(t);
    while (!wb_model_disk_is_dead(t->disk) && wb_trial_findings(t->result) == 0) {
        commit_group(t);
        if (dice(t, 8) == 0) {
            wb_status status = wb_journal_prepare_spare(t->journal, NULL);
            (void)status; /* without it the writer makes its own */
            wb_journal_upkeep(t->journal);
        }
        for (uint64_t i = dice(t, 5); i > 0; i--) idle(t);
        note_stats(t, &stats);
    }
}

/* A clean stop now and then, so that it is gone through too. */
static void end_process(trial *t)
{
    bury(t);
    crash(t);
}

static void start_trial(trial *t, const wb_trial_options *options, wb_trial_result *result)
{
    *t = (trial){.options = *options, .result = result, .next_txn = 1};
    t->disk = wb_model_disk_new(options->seed);
    t->promises = calloc(WINDOW, sizeof *t->promises);
    WB_ASSERT(t->promises != NULL);
    t->tables[0] = (wb_state_table){&wb_kv_ops, &t->table};
    wb_model_disk_ignore_site(t->disk, options->ignored_site);
}

void wb_trial_run(const wb_trial_options *options, wb_trial_result *result)
{
    trial t;
    *result = (wb_trial_result){.crashes = 0};
    start_trial(&t, options, result);
    while (result->crashes < options->crashes && wb_trial_findings(result) == 0) {
        restart(&t);
        if (wb_trial_findings(result) == 0) work_until_crash(&t);
        if (t.journal) end_process(&t);
    }
    result->faults = wb_model_disk_faults(t.disk);
    wb_model_disk_free(t.disk);
    free(t.promises);
}

unsigned wb_trial_sites(const char *out[], unsigned max)
{
    trial t;
    wb_trial_result result = {.crashes = 0};
    start_trial(&t, &(wb_trial_options){.seed = 1}, &result);
    for (int i = 0; i < 2; i++) {
        restart(&t);
        for (int k = 0; k < 400; k++) {
            commit_group(&t);
            idle(&t);
        }
        bury(&t);
        wb_model_disk_kill(t.disk);
    }
    unsigned n = (unsigned)wb_model_disk_sites(t.disk, out, max);
    wb_model_disk_free(t.disk);
    free(t.promises);
    return n;
}
