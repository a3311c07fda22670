/* SPDX-License-Identifier: Apache-2.0 */
/* A runner over a real journal and an exporter that does what the test says. */
#include "sidecar/delivery/runner.h"

#include "core/buffer.h"
#include "core/log.h"
#include "sidecar/journal/journal.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TAKEN_MAX = 8192, SENDS_MAX = 4096, PATIENCE_MS = 5000 };

/* ---- an exporter that follows a script ------------------------------------------------------ */

typedef struct script {
    pthread_mutex_t lock;
    /* what to do */
    wb_status open_status;
    uint32_t failures; /* so many sends fail first ... */
    wb_status failure; /* ... with this */
    bool took_anyway;  /* ... although the far side took the records */
    uint32_t retry_after_ms;
    uint64_t bad_seq[8]; /* records (seq, entry) that it refuses; seq 0: none */
    uint32_t bad_entry[8];
    bool all_bad;
    uint32_t drops; /* says yes, and that it dropped so many */
    uint32_t slow_ms;
    /* what happened */
    size_t n_taken, n_sends;
    struct {
        uint64_t seq;
        uint32_t entry;
        size_t len;
    } taken[TAKEN_MAX];
    struct {
        size_t n, bytes;
        uint64_t first_seq, last_seq, at_ns;
    } sends[SENDS_MAX];
    bool closed;
} script;

static wb_status script_open(const wb_config_section *cfg, const wb_exporter_origin *origin,
                             void **self, wb_error *err)
{
    const script *s = cfg->values;
    (void)origin;
    if (s->open_status != WB_OK) return wb_fail(err, s->open_status, "as the script says");
    *self = (void *)s;
    return WB_OK;
}

static bool is_bad(const script *s, const wb_record_view *record)
{
    for (size_t i = 0; i < WB_COUNT(s->bad_seq); i++)
        if (s->bad_seq[i] == record->seq && s->bad_entry[i] == record->entry) return true;
    return s->all_bad;
}

static void take(script *s, const wb_record_view *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        WB_ASSERT(s->n_taken < TAKEN_MAX);
        s->taken[s->n_taken].seq = records[i].seq;
        s->taken[s->n_taken].entry = records[i].entry;
        s->taken[s->n_taken++].len = records[i].payload.len;
    }
}

static void note_send(script *s, const wb_record_view *records, size_t n)
{
    WB_ASSERT(s->n_sends < SENDS_MAX && n > 0);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += records[i].payload.len;
    s->sends[s->n_sends].n = n;
    s->sends[s->n_sends].bytes = bytes;
    s->sends[s->n_sends].first_seq = records[0].seq;
    s->sends[s->n_sends].last_seq = records[n - 1].seq;
    s->sends[s->n_sends++].at_ns = wb_mono(&wb_system_clock);
}

static wb_status answer(script *s, const wb_record_view *records, size_t n,
                        wb_export_result *result, wb_error *err)
{
    if (s->failures > 0) {
        if (s->failures != UINT32_MAX) s->failures--;
        if (s->took_anyway) take(s, records, n);
        result->retry_after_ms = s->retry_after_ms;
        return wb_fail(err, s->failure, "away, as the script says");
    }
    for (size_t i = 0; i < n; i++)
        if (is_bad(s, &records[i])) return wb_fail(err, WB_ERR_REJECTED, "bad, as the script says");
    take(s, records, n);
    result->accepted = (uint32_t)n - s->drops;
    result->rejected = s->drops;
    return WB_OK;
}

static wb_status script_send(void *self, const wb_record_view *records, size_t n,
                             uint32_t timeout_ms, wb_export_result *result, wb_error *err)
{
    script *s = self;
    (void)timeout_ms;
    *result = (wb_export_result){0};
    pthread_mutex_lock(&s->lock);
    note_send(s, records, n);
    wb_status status = answer(s, records, n, result, err);
    uint32_t slow_ms = s->slow_ms;
    pthread_mutex_unlock(&s->lock);
    if (slow_ms) usleep(slow_ms * 1000);
    return status;
}

static void script_close(void *self) { ((script *)self)->closed = true; }

static const wb_exporter_ops script_ops = {
    .name = "script",
    .takes = WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_DELEGATION),
    .open = script_open,
    .send = script_send,
    .close = script_close,
};

/* ---- fixture -------------------------------------------------------------------------------- */

typedef struct fixture {
    char dir[64], parked_dir[96], parked[128];
    wb_journal *journal;
    script script;
    wb_config_section section;
    wb_exporter_origin origin;
    wb_runner_options options;
    wb_runner *runner;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    uint64_t advanced[1024];
    size_t n_advanced;
} fixture;

static void on_advance(void *ctx, const char *exporter, uint64_t seq)
{
    fixture *f = ctx;
    WB_ASSERT(strcmp(exporter, "main") == 0);
    pthread_mutex_lock(&f->lock);
    WB_ASSERT(f->n_advanced < WB_COUNT(f->advanced));
    f->advanced[f->n_advanced++] = seq;
    pthread_mutex_unlock(&f->lock);
}

static size_t advances(fixture *f)
{
    pthread_mutex_lock(&f->lock);
    size_t n = f->n_advanced;
    pthread_mutex_unlock(&f->lock);
    return n;
}

static uint64_t last_advance(fixture *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t seq = f->n_advanced ? f->advanced[f->n_advanced - 1] : 0;
    pthread_mutex_unlock(&f->lock);
    return seq;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    char journal_dir[96];
    wb_error err = {0};
    wb_log_setup(WB_LOG_ERROR, WB_LOG_LOGFMT);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/wb-runner-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(journal_dir, sizeof journal_dir, "%s/journal", f->dir);
    (void)snprintf(f->parked_dir, sizeof f->parked_dir, "%s/parked", f->dir);
    (void)snprintf(f->parked, sizeof f->parked, "%s/main.parked", f->parked_dir);
    wb_journal_options journal = {
        .dir = journal_dir, .segment_bytes = 4 << 20, .limit_bytes = 64 << 20};
    if (wb_journal_open(&journal, &f->journal, NULL, &err) != WB_OK) fail_msg("%s", err.detail);
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->script.lock, NULL);
    f->section = (wb_config_section){.name = "script", .values = &f->script};
    f->origin.journal_id = wb_journal_id(f->journal);
    f->options = (wb_runner_options){.name = "main",
                                     .ops = &script_ops,
                                     .config = &f->section,
                                     .origin = &f->origin,
                                     .journal = f->journal,
                                     .parked_dir = f->parked_dir,
                                     .clock = &wb_system_clock,
                                     .backoff_min_ms = 2,
                                     .backoff_max_ms = 20,
                                     .advance = on_advance,
                                     .ctx = f};
    *state = f;
    return 0;
}

static void *run(void *arg)
{
    wb_runner_run(arg);
    return NULL;
}

static void start(fixture *f)
{
    wb_error err = {0};
    if (wb_runner_new(&f->options, &f->runner, &err) != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f->runner), 0);
    f->running = true;
}

static void join(fixture *f)
{
    if (f->running) assert_int_equal(pthread_join(f->thread, NULL), 0);
    f->running = false;
}

static void finish(fixture *f)
{
    if (f->runner && f->running) wb_runner_stop(f->runner);
    join(f);
    wb_runner_free(f->runner);
    f->runner = NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    finish(f);
    wb_journal_close(f->journal);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    (void)nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* A frame of `n` entries of these kinds, each payload `len` bytes; committed. */
static uint64_t frame(fixture *f, const wb_entry_kind *kinds, size_t n, size_t len)
{
    static uint8_t bytes[1 << 20];
    wb_entry entries[64];
    uint64_t seq = 0;
    wb_error err = {0};
    memset(bytes, 'p', len);
    for (size_t i = 0; i < n; i++)
        entries[i] = (wb_entry){.kind = kinds[i], .payload = {bytes, len}};
    if (wb_journal_append(f->journal, WB_WORK_NEW, entries, n, &seq, &err) != WB_OK ||
        wb_journal_commit(f->journal, &err) != WB_OK)
        fail_msg("%s", err.detail);
    return seq;
}

static uint64_t spans(fixture *f)
{
    static const wb_entry_kind kind = WB_ENTRY_SPANS;
    return frame(f, &kind, 1, 100);
}

static wb_runner_stats stats(fixture *f)
{
    wb_runner_stats s;
    wb_runner_get_stats(f->runner, &s);
    return s;
}

#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        int left_ = PATIENCE_MS;                                                                   \
        while (!(condition) && left_-- > 0) usleep(1000);                                          \
        if (!(condition)) fail_msg("not within %d ms: %s", PATIENCE_MS, #condition);               \
    } while (0)

static bool cursor_is(fixture *f, uint64_t seq) { return stats(f).cursor == seq; }

static size_t taken(fixture *f)
{
    pthread_mutex_lock(&f->script.lock);
    size_t n = f->script.n_taken;
    pthread_mutex_unlock(&f->script.lock);
    return n;
}

/* In order, and none twice. */
static void assert_taken_once_in_order(const fixture *f)
{
    for (size_t i = 1; i < f->script.n_taken; i++) {
        uint64_t before = f->script.taken[i - 1].seq, seq = f->script.taken[i].seq;
        assert_true(seq > before ||
                    (seq == before && f->script.taken[i].entry > f->script.taken[i - 1].entry));
    }
}

static size_t parked_lines(const fixture *f)
{
    FILE *file = fopen(f->parked, "r");
    size_t n = 0;
    if (!file) return 0;
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) n += c == '\n';
    fclose(file);
    return n;
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void settings_that_the_exporter_refuses_make_no_runner(void **state)
{
    fixture *f = *state;
    wb_error err = {0};
    f->script.open_status = WB_ERR_CONFIG;
    assert_int_equal(wb_runner_new(&f->options, &f->runner, &err), WB_ERR_CONFIG);
    assert_null(f->runner);
    assert_false(f->script.closed);
}

static void a_refused_record_is_parked_alone(void **state)
{
    fixture *f = *state;
    char line[400] = "";
    for (int i = 0; i < 64; i++) (void)spans(f);
    f->script.bad_seq[0] = 23;
    start(f);
    EVENTUALLY(cursor_is(f, 64));
    wb_runner_stats s = stats(f);
    assert_int_equal(s.parked_records, 1);
    assert_int_equal(s.sent_records, 63);
    assert_true(f->script.n_sends <= 2 * 6 + 4); /* halving, not one by one */
    assert_int_equal(f->script.n_taken, 63);
    assert_taken_once_in_order(f);
    FILE *file = fopen(f->parked, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_non_null(
        strstr(line, "\"seq\":23,\"entry\":0,\"kind\":1,\"reason\":\"bad, as the script says\""));
    assert_non_null(strstr(line, "\"payload_hex\":\"7070"));
    assert_int_equal(parked_lines(f), 1);
    struct stat st;
    assert_int_equal(stat(f->parked, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(f->parked_dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void neighbours_within_the_frame_of_a_refused_record_get_through(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind kinds[] = {WB_ENTRY_SPANS, WB_ENTRY_REPLAY, WB_ENTRY_DELEGATION,
                                          WB_ENTRY_SPANS};
    for (int i = 0; i < 3; i++) (void)frame(f, kinds, 4, 10);
    f->script.bad_seq[0] = 2;
    f->script.bad_entry[0] = 2;
    start(f);
    EVENTUALLY(cursor_is(f, 3));
    assert_int_equal(f->script.n_taken, 8);
    assert_taken_once_in_order(f);
    assert_int_equal(stats(f).parked_records, 1);
}

static void a_far_side_that_refuses_everything_parks_everything_and_stops_nothing(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 40; i++) (void)spans(f);
    f->script.all_bad = true;
    start(f);
    EVENTUALLY(cursor_is(f, 40));
    assert_int_equal(stats(f).parked_records, 40);
    assert_int_equal(parked_lines(f), 40);
    assert_true(f->script.n_sends <= 40 + 8);
}

static void a_record_that_cannot_be_parked_keeps_its_place(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 4; i++) (void)spans(f);
    f->script.bad_seq[0] = 3;
    int fd = open(f->parked_dir, O_CREAT | O_WRONLY, 0600); /* a file where the directory goes */
    assert_true(fd >= 0);
    close(fd);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF && stats(f).cursor == 2);
    usleep(50000);
    assert_true(cursor_is(f, 2));
    assert_int_equal(stats(f).parked_records, 0);
    assert_int_equal(unlink(f->parked_dir), 0);
    EVENTUALLY(cursor_is(f, 4));
    assert_int_equal(stats(f).parked_records, 1);
    assert_int_equal(f->script.n_taken, 3);
}

static void dropped_records_are_counted(void **state)
{
    fixture *f = *state;
    (void)spans(f);
    f->script.drops = 1;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_int_equal(stats(f).dropped_records, 1);
}

/* ---- outage --------------------------------------------------------------------------------- */

static void an_outage_loses_and_doubles_nothing(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 10; i++) (void)spans(f);
    f->script.failures = 7;
    f->script.failure = WB_ERR_UNAVAILABLE;
    start(f);
    for (int i = 0; i < 10; i++) (void)spans(f);
    EVENTUALLY(cursor_is(f, 20));
    assert_int_equal(f->script.n_taken, 20);
    assert_taken_once_in_order(f);
    wb_runner_stats s = stats(f);
    assert_int_equal(s.failed_sends, 7);
    assert_int_equal(s.parked_records, 0);
    assert_int_equal(s.last_error.status, WB_OK);
}

static void while_the_far_side_is_away_the_cursor_stays_and_says_why(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 3; i++) (void)spans(f);
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_TIMEOUT;
    start(f);
    EVENTUALLY(stats(f).failed_sends > 4);
    wb_runner_stats s = stats(f);
    assert_int_equal(s.cursor, 0);
    assert_int_equal(s.lag_seq, 3);
    assert_true(s.lag_ns > 0);
    assert_int_equal(s.last_error.status, WB_ERR_TIMEOUT);
    assert_string_equal(s.last_error.detail, "away, as the script says");
    assert_int_equal(advances(f), 0);
}

static void any_other_failure_is_waited_out_too(void **state)
{
    fixture *f = *state;
    static const wb_status failures[] = {WB_ERR_NO_MEMORY, WB_ERR_CONFIG, WB_ERR_CORRUPT,
                                         WB_ERR_FULL, WB_ERR_DENIED};
    start(f);
    for (size_t i = 0; i < WB_COUNT(failures); i++) {
        pthread_mutex_lock(&f->script.lock);
        f->script.failures = 2;
        f->script.failure = failures[i];
        pthread_mutex_unlock(&f->script.lock);
        uint64_t seq = spans(f);
        EVENTUALLY(cursor_is(f, seq));
    }
    assert_int_equal(f->script.n_taken, WB_COUNT(failures));
    assert_int_equal(stats(f).parked_records, 0);
}

static void an_unknown_outcome_is_sent_again_whole(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 5; i++) (void)spans(f);
    f->script.failures = 1;
    f->script.failure = WB_ERR_TIMEOUT;
    f->script.took_anyway = true;
    start(f);
    EVENTUALLY(cursor_is(f, 5));
    assert_int_equal(f->script.n_sends, 2);
    assert_int_equal(f->script.sends[0].n, 5);
    assert_int_equal(f->script.sends[1].n, 5);
    assert_int_equal(f->script.sends[1].first_seq, 1);
}

static void waits_double_up_to_the_bound(void **state)
{
    fixture *f = *state;
    (void)spans(f);
    f->options.backoff_min_ms = 8;
    f->options.backoff_max_ms = 64;
    f->script.failures = 8;
    f->script.failure = WB_ERR_UNAVAILABLE;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    static const uint32_t bounds_ms[] = {8, 16, 32, 64, 64, 64, 64, 64};
    for (size_t i = 0; i < WB_COUNT(bounds_ms); i++) {
        uint64_t waited_ms =
            (f->script.sends[i + 1].at_ns - f->script.sends[i].at_ns) / WB_NS_PER_MS;
        assert_true(waited_ms + 1 >= bounds_ms[i] / 2); /* jitter takes at most half */
    }
}

static void a_far_side_that_asks_for_time_gets_it(void **state)
{
    fixture *f = *state;
    (void)spans(f);
    f->script.failures = 1;
    f->script.failure = WB_ERR_UNAVAILABLE;
    f->script.retry_after_ms = 120;
    start(f);
    EVENTUALLY(cursor_is(f, 1));
    assert_true(f->script.sends[1].at_ns - f->script.sends[0].at_ns >= 119 * WB_NS_PER_MS);
}

/* ---- selecting and batching ----------------------------------------------------------------- */

static void only_the_kinds_it_takes_are_sent_and_the_cursor_passes_the_others(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind mixed[] = {WB_ENTRY_REPLAY, WB_ENTRY_DELEGATION, WB_ENTRY_ACCEPTANCE,
                                          WB_ENTRY_SPANS};
    static const wb_entry_kind state_only = WB_ENTRY_OWNER;
    (void)frame(f, mixed, 4, 20);
    (void)frame(f, &state_only, 1, 20);
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(f->script.n_taken, 2);
    assert_int_equal(f->script.taken[0].entry, 1);
    assert_int_equal(f->script.taken[1].entry, 3);
}

static void a_batch_ends_at_its_limits_and_never_within_a_frame(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind two[] = {WB_ENTRY_SPANS, WB_ENTRY_SPANS};
    for (int i = 0; i < 30; i++) (void)frame(f, two, 2, 1000);
    f->options.batch_records = 7;
    start(f);
    EVENTUALLY(cursor_is(f, 30));
    for (size_t i = 0; i < f->script.n_sends; i++) assert_true(f->script.sends[i].n <= 8);
    assert_int_equal(f->script.sends[0].n, 8); /* the frame that passed the limit is whole */
    finish(f);
    f->script.n_sends = f->script.n_taken = 0;
    f->options.batch_records = 0;
    f->options.batch_bytes = 5000;
    start(f);
    EVENTUALLY(cursor_is(f, 30));
    for (size_t i = 0; i < f->script.n_sends; i++) {
        assert_true(f->script.sends[i].bytes <= 6000);
        if (i > 0) assert_true(f->script.sends[i].first_seq > f->script.sends[i - 1].last_seq);
    }
}

static void a_frame_larger_than_a_batch_travels_alone(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind kind = WB_ENTRY_SPANS;
    (void)frame(f, &kind, 1, 1 << 20);
    (void)spans(f);
    f->options.batch_bytes = 4096;
    start(f);
    EVENTUALLY(cursor_is(f, 2));
    assert_int_equal(f->script.taken[0].len, 1 << 20);
    assert_int_equal(f->script.sends[0].n, 1);
}

/* ---- the cursor ----------------------------------------------------------------------------- */

static void delivery_begins_behind_the_cursor(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 9; i++) (void)spans(f);
    f->options.cursor = 6;
    start(f);
    EVENTUALLY(cursor_is(f, 9));
    assert_int_equal(f->script.n_taken, 3);
    assert_int_equal(f->script.taken[0].seq, 7);
}

static void the_cursor_is_told_seldom_and_at_the_end(void **state)
{
    fixture *f = *state;
    start(f);
    for (uint64_t i = 1; i <= 40; i++) {
        (void)spans(f);
        EVENTUALLY(cursor_is(f, i));
    }
    assert_true(advances(f) <= 8); /* one a second at most, on a slow machine */
    wb_runner_stop(f->runner);
    join(f);
    assert_int_equal(last_advance(f), 40);
}

static void a_pause_tells_the_cursor_within_two_seconds(void **state)
{
    fixture *f = *state;
    start(f);
    (void)spans(f);
    int left_ms = 2500;
    while (last_advance(f) != 1 && left_ms-- > 0) usleep(1000);
    assert_int_equal(last_advance(f), 1);
}

/* Each cursor is itself a frame; if that counted as news the journal would grow by itself. */
static void a_cursor_frame_is_not_a_reason_for_another(void **state)
{
    fixture *f = *state;
    start(f);
    (void)spans(f);
    for (size_t seen = 0, ms = 0; ms < 3500; ms++, usleep(1000)) {
        if (advances(f) == seen) continue;
        seen = advances(f);
        WB_AUTO_BUFFER payload;
        wb_entry entry;
        uint64_t seq;
        wb_error err = {0};
        wb_buffer_init(&payload, 256);
        assert_int_equal(wb_cursor_entry("main", last_advance(f), &payload, &entry), WB_OK);
        assert_int_equal(wb_journal_append(f->journal, WB_WORK_NEW, &entry, 1, &seq, &err), WB_OK);
        assert_int_equal(wb_journal_commit(f->journal, &err), WB_OK);
    }
    assert_int_equal(advances(f), 1);
    assert_int_equal(stats(f).lag_seq, 0);
}

/* Frames in which it takes nothing must not hold the journal's oldest segment for ever. */
static void much_that_it_does_not_take_moves_the_cursor_too(void **state)
{
    fixture *f = *state;
    static const wb_entry_kind kind = WB_ENTRY_OWNER;
    start(f);
    for (int i = 0; i < 6; i++) (void)frame(f, &kind, 1, 300000);
    EVENTUALLY(last_advance(f) >= 4);
    assert_int_equal(taken(f), 0);
}

/* ---- stopping ------------------------------------------------------------------------------- */

static void a_drain_delivers_what_is_there_and_returns(void **state)
{
    fixture *f = *state;
    f->script.slow_ms = 5;
    f->options.batch_records = 3;
    for (int i = 0; i < 30; i++) (void)spans(f);
    start(f);
    wb_runner_drain(f->runner, PATIENCE_MS);
    join(f);
    assert_int_equal(f->script.n_taken, 30);
    assert_int_equal(last_advance(f), 30);
    assert_int_equal(stats(f).state, WB_RUNNER_STOPPED);
}

static void a_drain_of_a_dead_far_side_ends_at_its_deadline(void **state)
{
    fixture *f = *state;
    f->options.backoff_min_ms = f->options.backoff_max_ms = 30000;
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    (void)spans(f);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF);
    uint64_t before = wb_mono(&wb_system_clock);
    wb_runner_drain(f->runner, 300);
    join(f);
    uint64_t took_ms = (wb_mono(&wb_system_clock) - before) / WB_NS_PER_MS;
    assert_true(took_ms >= 250 && took_ms < 2000);
    assert_int_equal(stats(f).cursor, 0);
}

static void a_drain_tries_at_once_and_does_not_sit_out_a_wait(void **state)
{
    fixture *f = *state;
    f->options.backoff_min_ms = f->options.backoff_max_ms = 30000;
    f->script.failures = 1;
    f->script.failure = WB_ERR_UNAVAILABLE;
    (void)spans(f);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF);
    wb_runner_drain(f->runner, PATIENCE_MS);
    join(f);
    assert_int_equal(f->script.n_taken, 1);
    assert_int_equal(stats(f).cursor, 1);
}

static void a_stop_ends_a_wait_at_once(void **state)
{
    fixture *f = *state;
    f->options.backoff_min_ms = f->options.backoff_max_ms = 30000;
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    (void)spans(f);
    start(f);
    EVENTUALLY(stats(f).state == WB_RUNNER_BACKOFF);
    uint64_t before = wb_mono(&wb_system_clock);
    wb_runner_stop(f->runner);
    join(f);
    assert_true(wb_mono(&wb_system_clock) - before < WB_NS_PER_S);
}

static void waits_that_the_journal_ends_do_not_spin(void **state)
{
    fixture *f = *state;
    start(f);
    (void)spans(f);
    EVENTUALLY(cursor_is(f, 1));
    wb_journal_stop_waits(f->journal);
    struct timespec before, after;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(300000);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t cpu_ms =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(cpu_ms < 100);
    (void)spans(f);
    EVENTUALLY(cursor_is(f, 2));
}

#define RUNNER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNER_TEST(settings_that_the_exporter_refuses_make_no_runner),
        RUNNER_TEST(a_refused_record_is_parked_alone),
        RUNNER_TEST(neighbours_within_the_frame_of_a_refused_record_get_through),
        RUNNER_TEST(a_far_side_that_refuses_everything_parks_everything_and_stops_nothing),
        RUNNER_TEST(a_record_that_cannot_be_parked_keeps_its_place),
        RUNNER_TEST(dropped_records_are_counted),
        RUNNER_TEST(an_outage_loses_and_doubles_nothing),
        RUNNER_TEST(while_the_far_side_is_away_the_cursor_stays_and_says_why),
        RUNNER_TEST(any_other_failure_is_waited_out_too),
        RUNNER_TEST(an_unknown_outcome_is_sent_again_whole),
        RUNNER_TEST(waits_double_up_to_the_bound),
        RUNNER_TEST(a_far_side_that_asks_for_time_gets_it),
        RUNNER_TEST(only_the_kinds_it_takes_are_sent_and_the_cursor_passes_the_others),
        RUNNER_TEST(a_batch_ends_at_its_limits_and_never_within_a_frame),
        RUNNER_TEST(a_frame_larger_than_a_batch_travels_alone),
        RUNNER_TEST(delivery_begins_behind_the_cursor),
        RUNNER_TEST(the_cursor_is_told_seldom_and_at_the_end),
        RUNNER_TEST(a_pause_tells_the_cursor_within_two_seconds),
        RUNNER_TEST(a_cursor_frame_is_not_a_reason_for_another),
        RUNNER_TEST(much_that_it_does_not_take_moves_the_cursor_too),
        RUNNER_TEST(a_drain_delivers_what_is_there_and_returns),
        RUNNER_TEST(a_drain_of_a_dead_far_side_ends_at_its_deadline),
        RUNNER_TEST(a_drain_tries_at_once_and_does_not_sit_out_a_wait),
        RUNNER_TEST(a_stop_ends_a_wait_at_once),
        RUNNER_TEST(waits_that_the_journal_ends_do_not_spin),
    };
    return cmocka_run_group_tests_name("runner", tests, NULL, NULL);
}
