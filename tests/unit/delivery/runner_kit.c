/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/delivery/runner_kit.h"

#include "core/log.h"
#include "proto/span_batch.h"
#include "tests/support/records.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- an exporter that follows a script ------------------------------------------------------ */

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

static uint64_t number_in(const uint8_t *id)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++) n = n << 8 | id[i];
    return n;
}

static bool has_bad_span(const script *s, const wb_record_view *record)
{
    wb_span_batch batch;
    if (wb_span_batch_open(record->payload, &batch, NULL) != WB_OK) return false;
    for (uint32_t i = 0; i < batch.span_count; i++)
        for (size_t k = 0; k < WB_COUNT(s->bad_span); k++)
            if (s->bad_span[k] &&
                number_in(wb_span_batch_row(&batch, i).span_id.b) == s->bad_span[k])
                return true;
    return false;
}

static void take_spans(script *s, const wb_record_view *record)
{
    wb_span_batch batch;
    if (wb_span_batch_open(record->payload, &batch, NULL) != WB_OK) return;
    for (uint32_t i = 0; i < batch.span_count && s->n_spans < TAKEN_MAX; i++) {
        wb_span_row row = wb_span_batch_row(&batch, i);
        wb_slice state = wb_otlp_read_span(row.span).trace_state;
        s->spans[s->n_spans].seq = record->seq;
        s->spans[s->n_spans].trace = number_in(row.trace_id.b + 8);
        s->spans[s->n_spans].span = number_in(row.span_id.b);
        (void)snprintf(s->spans[s->n_spans++].trace_state, sizeof s->spans[0].trace_state, "%.*s",
                       (int)state.len, state.len ? (const char *)state.ptr : "");
    }
}

static void take(script *s, const wb_record_view *records, size_t n)
{
    if (s->n_taken == 0 && s->first_payload.len == 0)
        assert_int_equal(wb_buffer_add_slice(&s->first_payload, records[0].payload), WB_OK);
    for (size_t i = 0; i < n; i++) {
        WB_ASSERT(s->n_taken < TAKEN_MAX);
        s->taken[s->n_taken].seq = records[i].seq;
        s->taken[s->n_taken].entry = records[i].entry;
        s->taken[s->n_taken++].len = records[i].payload.len;
        take_spans(s, &records[i]);
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
    if (s->failures > 0 && s->n_sends > s->fail_send_from) {
        if (s->failures != UINT32_MAX) s->failures--;
        if (s->took_anyway) take(s, records, n);
        result->retry_after_ms = s->retry_after_ms;
        return wb_fail(err, s->failure, "away, as the script says");
    }
    for (size_t i = 0; i < n; i++)
        if (is_bad(s, &records[i]) || has_bad_span(s, &records[i]))
            return wb_fail(err, WB_ERR_REJECTED, "bad, as the script says");
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
    while (s->stuck) {
        pthread_mutex_unlock(&s->lock);
        usleep(1000);
        pthread_mutex_lock(&s->lock);
    }
    wb_status status = answer(s, records, n, result, err);
    uint32_t slow_ms = s->slow_ms;
    pthread_mutex_unlock(&s->lock);
    if (slow_ms) usleep(slow_ms * 1000);
    return status;
}

static void script_close(void *self) { ((script *)self)->closed = true; }

const wb_exporter_ops script_ops = {
    .name = "script",
    .takes = WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_DELEGATION),
    .open = script_open,
    .send = script_send,
    .close = script_close,
};

const wb_exporter_ops script_parts_ops = {
    .name = "script",
    .takes = WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_DELEGATION) |
             WB_KIND_BIT(WB_ENTRY_MARKERS),
    .parts = true,
    .open = script_open,
    .send = script_send,
    .close = script_close,
};

/* ---- fixture -------------------------------------------------------------------------------- */

static void on_advance(void *ctx, const char *exporter, uint64_t seq)
{
    fixture *f = ctx;
    WB_ASSERT(strcmp(exporter, "main") == 0);
    pthread_mutex_lock(&f->lock);
    WB_ASSERT(f->n_advanced < WB_COUNT(f->advanced));
    f->advanced[f->n_advanced++] = seq;
    pthread_mutex_unlock(&f->lock);
}

size_t advances(fixture *f)
{
    pthread_mutex_lock(&f->lock);
    size_t n = f->n_advanced;
    pthread_mutex_unlock(&f->lock);
    return n;
}

uint64_t last_advance(fixture *f)
{
    pthread_mutex_lock(&f->lock);
    uint64_t seq = f->n_advanced ? f->advanced[f->n_advanced - 1] : 0;
    pthread_mutex_unlock(&f->lock);
    return seq;
}

int set_up(void **state)
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
        .dir = journal_dir, .segment_bytes = 4 << 20, .limit_bytes = 256 << 20};
    if (wb_journal_open(&journal, &f->journal, NULL, &err) != WB_OK) fail_msg("%s", err.detail);
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->script.lock, NULL);
    wb_buffer_init(&f->script.first_payload, 64 << 20);
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

void start(fixture *f)
{
    wb_error err = {0};
    if (wb_runner_new(&f->options, &f->runner, &err) != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f->runner), 0);
    f->running = true;
}

void join(fixture *f)
{
    if (f->running) assert_int_equal(pthread_join(f->thread, NULL), 0);
    f->running = false;
}

void finish(fixture *f)
{
    set_stuck(f, false);
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

int tear_down(void **state)
{
    fixture *f = *state;
    finish(f);
    wb_journal_close(f->journal);
    wb_buffer_done(&f->script.first_payload);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    (void)nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

uint64_t frame(fixture *f, const wb_entry_kind *kinds, size_t n, size_t len)
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

uint64_t frame_of(fixture *f, wb_entry_kind kind, wb_slice payload)
{
    wb_entry entry = {.kind = kind, .payload = payload};
    uint64_t seq = 0;
    wb_error err = {0};
    if (wb_journal_append(f->journal, WB_WORK_NEW, &entry, 1, &seq, &err) != WB_OK ||
        wb_journal_commit(f->journal, &err) != WB_OK)
        fail_msg("%s", err.detail);
    return seq;
}

static void put_number(uint8_t *id, uint64_t n)
{
    for (int i = 0; i < 8; i++) id[i] = (uint8_t)(n >> (56 - 8 * i));
}

void make_spans(wb_buffer *out, const span_spec *specs, size_t n)
{
    const wb_otlp_attr service[] = {WB_ATTR_TEXT("service.name", WB_S("agent"))};
    const wb_span_origin origin = {.resource = service, .resource_count = 1};
    wb_span_draft *drafts = calloc(n, sizeof *drafts);
    wb_otlp_attr *attrs = calloc(n, sizeof *attrs);
    assert_true(drafts && attrs);
    for (size_t i = 0; i < n; i++) {
        drafts[i].trace_id.b[0] = 0xAA;
        put_number(drafts[i].trace_id.b + 8, specs[i].trace);
        put_number(drafts[i].span_id.b, specs[i].span);
        drafts[i].name = WB_S("work");
        drafts[i].start_ns = TEST_T0;
        drafts[i].end_ns = TEST_T0 + specs[i].ms * WB_NS_PER_MS;
        drafts[i].status_code = specs[i].error ? WB_SPAN_ERROR : WB_SPAN_UNSET;
        drafts[i].trace_state = wb_slice_str(specs[i].trace_state);
        if (!specs[i].attr) continue;
        attrs[i] = (wb_otlp_attr){wb_slice_str(specs[i].attr),
                                  {.type = WB_VALUE_TEXT, .text = WB_S("value")}};
        drafts[i].attrs = &attrs[i];
        drafts[i].attr_count = 1;
    }
    assert_int_equal(wb_span_batch_build(&origin, drafts, n, out, NULL), WB_OK);
    free(drafts);
    free(attrs);
}

uint64_t record_of(fixture *f, const span_spec *specs, size_t n)
{
    WB_AUTO_BUFFER payload;
    wb_buffer_init(&payload, 16 << 20);
    make_spans(&payload, specs, n);
    return frame_of(f, WB_ENTRY_SPANS, wb_buffer_slice(&payload));
}

uint64_t spans(fixture *f)
{
    static const wb_entry_kind kind = WB_ENTRY_SPANS;
    return frame(f, &kind, 1, 100);
}

wb_runner_stats stats(fixture *f)
{
    wb_runner_stats s;
    wb_runner_get_stats(f->runner, &s);
    return s;
}

bool cursor_is(fixture *f, uint64_t seq) { return stats(f).cursor == seq; }

size_t taken(fixture *f)
{
    pthread_mutex_lock(&f->script.lock);
    size_t n = f->script.n_taken;
    pthread_mutex_unlock(&f->script.lock);
    return n;
}

size_t send_count(fixture *f)
{
    pthread_mutex_lock(&f->script.lock);
    size_t n = f->script.n_sends;
    pthread_mutex_unlock(&f->script.lock);
    return n;
}

void set_stuck(fixture *f, bool stuck)
{
    pthread_mutex_lock(&f->script.lock);
    f->script.stuck = stuck;
    pthread_mutex_unlock(&f->script.lock);
}

size_t spans_taken(fixture *f)
{
    pthread_mutex_lock(&f->script.lock);
    size_t n = f->script.n_spans;
    pthread_mutex_unlock(&f->script.lock);
    return n;
}

bool has_span(fixture *f, uint64_t span)
{
    bool has = false;
    pthread_mutex_lock(&f->script.lock);
    for (size_t i = 0; i < f->script.n_spans; i++) has |= f->script.spans[i].span == span;
    pthread_mutex_unlock(&f->script.lock);
    return has;
}

void assert_taken_once_in_order(const fixture *f)
{
    for (size_t i = 1; i < f->script.n_taken; i++) {
        uint64_t before = f->script.taken[i - 1].seq, seq = f->script.taken[i].seq;
        assert_true(seq > before ||
                    (seq == before && f->script.taken[i].entry > f->script.taken[i - 1].entry));
    }
}

size_t lines_in(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t n = 0;
    if (!file) return 0;
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) n += c == '\n';
    fclose(file);
    return n;
}

size_t parked_lines(const fixture *f) { return lines_in(f->parked); }
