/* SPDX-License-Identifier: Apache-2.0 */
/* Re-homing, as receivers run it: walk, pipeline, render. A claimed trace is never in what comes out,
 * an own one always is, and a trace is moved whole or not at all. */
#include "sidecar/pipeline/rehome.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/pipeline.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum {
    ARENA_BYTES = 16 * 1024 * 1024,
    SEEDS = 300,
    SPANS_MAX = 40,
    OWN_TRACE = 1,
    CLAIMED_TRACE = 2,
    OWNED_TRACE = 3,
    LOCAL = 0x100,
    REMOTE = 0x300,
};

typedef struct fixture {
    wb_pipeline *pipeline;
    wb_arena *arena;
    wb_buffer out;
    wb_span_batch read;
    wb_rehome *rehome;
    char dir[64];
    wb_stage_view view;
    maker m;
} fixture;

static wb_trace_id trace_of(uint8_t n) { return (wb_trace_id){{n, 0xA5, n}}; }

static bool is_owned(void *ctx, const wb_trace_id *trace)
{
    (void)ctx;
    wb_trace_id owned = trace_of(OWNED_TRACE);
    return WB_ID_EQ(*trace, owned);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, ARENA_BYTES);
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/wb-rehome-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(wb_rehome_open(f->dir, &f->rehome, NULL), WB_OK);
    assert_int_equal(wb_pipeline_new(&f->pipeline, NULL), WB_OK);
    f->view = (wb_stage_view){.rehome = f->rehome, .is_owned = is_owned};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/" WB_REHOME_FILE, f->dir);
    (void)unlink(path);
    (void)rmdir(f->dir);
    wb_buffer_done(&f->out);
    wb_pipeline_free(f->pipeline);
    wb_rehome_free(f->rehome);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

/* A span by number: its id is (n, ...); parent 0: none. */
typedef struct spec {
    uint8_t trace, n, parent;
    uint32_t flags;
    bool marked;
} spec;

static wb_slice make_span(maker *m, const spec *s)
{
    wb_trace_id trace = trace_of(s->trace);
    uint8_t id[8] = {s->n, 1}, parent[8] = {s->parent, 1};
    uint8_t flags[4] = {3, (uint8_t)(s->flags >> 8)};
    static const uint8_t yes[] = {0x10, 1};
    wb_slice kv[] = {make_len(m, 1, WB_S("waybill.claimed")),
                     make_len(m, 2, wb_slice_of(yes, sizeof yes))};
    wb_slice fields[8];
    size_t n = 0;
    fields[n++] = make_len(m, 1, wb_slice_of(trace.b, sizeof trace.b));
    fields[n++] = make_len(m, 2, wb_slice_of(id, sizeof id));
    fields[n++] = make_len(m, 3, WB_S("theirs=1"));
    if (s->parent) fields[n++] = make_len(m, 4, wb_slice_of(parent, sizeof parent));
    fields[n++] = make_len(m, 5, WB_S("work"));
    fields[n++] = make_raw(m, 16, 5, wb_slice_of(flags, sizeof flags));
    if (s->marked) fields[n++] = make_len(m, 9, make_joined(m, kv, 2));
    return make_len(m, 2, make_joined(m, fields, n));
}

static void pass(fixture *f, const spec *specs, size_t n)
{
    wb_slice spans[SPANS_MAX];
    wb_batch *batch = NULL;
    for (size_t i = 0; i < n; i++) spans[i] = make_span(&f->m, &specs[i]);
    wb_slice body = in_envelope_all(&f->m, make_joined(&f->m, spans, n));
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_pipeline_run(f->pipeline, &f->view, batch, NULL), WB_OK);
    assert_int_equal(wb_span_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
    assert_int_equal(f->read.span_count, n);
}

static bool has(wb_slice span, wb_slice key)
{
    wb_value value;
    return wb_otlp_find_attr(span, WB_OTLP_SPAN, key, &value);
}

static bool stayed(const fixture *f, uint32_t i, uint8_t trace)
{
    wb_trace_id arrived = trace_of(trace);
    wb_span_row row = wb_span_batch_row(&f->read, i);
    assert_false(has(row.span, WB_S("waybill.claimed")));
    return WB_ID_EQ(row.trace_id, arrived);
}

static bool moved(const fixture *f, uint32_t i, uint8_t trace)
{
    char hex[WB_TRACE_HEX + 1];
    wb_trace_id arrived = trace_of(trace), home = wb_rehome_trace(f->rehome, &arrived);
    wb_span_row row = wb_span_batch_row(&f->read, i);
    wb_hex(arrived.b, sizeof arrived.b, hex);
    return WB_ID_EQ(row.trace_id, home) &&
           wb_slice_eq(wb_otlp_find_text(row.span, WB_OTLP_SPAN, WB_S("waybill.claimed.trace_id")),
                       wb_slice_str(hex)) &&
           wb_otlp_read_span(row.span).trace_state.len == 0;
}

static void an_own_trace_is_never_moved(void **state)
{
    fixture *f = *state;
    const spec specs[] = {{OWN_TRACE, 3, 2, LOCAL, false}, /* children end first */
                          {OWN_TRACE, 2, 1, LOCAL, false},
                          {OWN_TRACE, 1, 0, LOCAL, false},
                          {OWN_TRACE, 4, 9, 0, false}};
    pass(f, specs, 4);
    for (uint32_t i = 0; i < 4; i++) assert_true(stayed(f, i, OWN_TRACE));
    assert_false(has(wb_span_batch_row(&f->read, 0).span, WB_S("waybill.claimed.trace_id")));
}

static void what_descends_from_a_remote_parent_leaves_its_trace_with_a_link(void **state)
{
    fixture *f = *state;
    const spec specs[] = {{CLAIMED_TRACE, 3, 2, LOCAL, false}, /* by its parents in the batch */
                          {CLAIMED_TRACE, 4, 8, LOCAL, true},  /* by its client's mark */
                          {CLAIMED_TRACE, 2, 1, LOCAL, false},
                          {CLAIMED_TRACE, 1, 9, REMOTE, false}};
    pass(f, specs, 4);
    for (uint32_t i = 0; i < 4; i++) assert_true(moved(f, i, CLAIMED_TRACE));
    wb_span_row entry = wb_span_batch_row(&f->read, 3), child = wb_span_batch_row(&f->read, 2);
    wb_otlp_iter links = {entry.span};
    wb_otlp_link link;
    wb_trace_id claimed = trace_of(CLAIMED_TRACE);
    assert_true(WB_ID_ABSENT(entry.parent_id));
    assert_int_equal(entry.flags, LOCAL | 3);
    assert_true(wb_otlp_next_link(&links, &link));
    assert_true(WB_ID_EQ(link.trace_id, claimed) && link.span_id.b[0] == 9);
    assert_true(wb_slice_eq(link.trace_state, WB_S("theirs=1")));
    assert_false(wb_otlp_next_link(&links, &link));
    assert_int_equal(child.parent_id.b[0], 1);
    links = (wb_otlp_iter){child.span};
    assert_false(wb_otlp_next_link(&links, &link));
}

static void an_owned_trace_keeps_what_comes_under_it(void **state)
{
    fixture *f = *state;
    const spec specs[] = {{OWNED_TRACE, 1, 9, REMOTE, false}, {OWNED_TRACE, 2, 1, LOCAL, true}};
    pass(f, specs, 2);
    assert_true(stayed(f, 0, OWNED_TRACE) && stayed(f, 1, OWNED_TRACE));
    assert_int_equal(wb_span_batch_row(&f->read, 0).parent_id.b[0], 9);
}

static void a_trace_called_back_under_its_own_id_loses_only_the_callers_spans(void **state)
{
    fixture *f = *state;
    const spec specs[] = {{OWN_TRACE, 1, 0, LOCAL, false},
                          {OWN_TRACE, 2, 1, LOCAL, false},
                          {OWN_TRACE, 7, 2, REMOTE, false}, /* somebody calls, claiming our trace */
                          {OWN_TRACE, 8, 7, LOCAL, false}};
    pass(f, specs, 4);
    assert_true(stayed(f, 0, OWN_TRACE) && stayed(f, 1, OWN_TRACE));
    assert_true(moved(f, 2, OWN_TRACE) && moved(f, 3, OWN_TRACE));
}

static void observing_marks_and_moves_nothing(void **state)
{
    fixture *f = *state;
    f->view = (wb_stage_view){.observes = true, .is_owned = is_owned};
    const spec specs[] = {{CLAIMED_TRACE, 1, 9, REMOTE, false},
                          {CLAIMED_TRACE, 2, 1, LOCAL, false},
                          {OWN_TRACE, 3, 0, LOCAL, false},
                          {OWNED_TRACE, 4, 9, REMOTE, false}};
    pass(f, specs, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(stayed(f, i, specs[i].trace));
        assert_int_equal(has(wb_span_batch_row(&f->read, i).span, WB_S("waybill.unverified")),
                         specs[i].trace == CLAIMED_TRACE);
    }
}

static void switched_off_nothing_happens_but_the_mark_goes(void **state)
{
    fixture *f = *state;
    f->view = (wb_stage_view){.is_owned = is_owned};
    const spec specs[] = {{CLAIMED_TRACE, 1, 9, REMOTE, true}};
    pass(f, specs, 1);
    assert_true(stayed(f, 0, CLAIMED_TRACE));
}

static void rings_of_parents_and_repeated_ids_end(void **state)
{
    fixture *f = *state;
    const spec specs[] = {{CLAIMED_TRACE, 1, 2, LOCAL, false}, {CLAIMED_TRACE, 2, 1, LOCAL, false},
                          {CLAIMED_TRACE, 3, 3, LOCAL, false}, {CLAIMED_TRACE, 5, 5, REMOTE, false},
                          {CLAIMED_TRACE, 5, 5, LOCAL, false}, {CLAIMED_TRACE, 5, 5, LOCAL, false}};
    pass(f, specs, 6);
    for (uint32_t i = 0; i < 3; i++) assert_true(stayed(f, i, CLAIMED_TRACE));
    for (uint32_t i = 3; i < 6; i++) assert_true(moved(f, i, CLAIMED_TRACE));
}

/* A tree of work below one entry span and one below an own root, marked as a client marks, cut into two
 * batches anywhere and in any order: each span lands where all of its tree does. */
static void a_marked_trace_moves_whole_however_its_batches_are_cut(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t next = seed;
        spec specs[SPANS_MAX] = {{CLAIMED_TRACE, 1, 200, REMOTE, false},
                                 {OWN_TRACE, 2, 0, LOCAL, false}};
        for (unsigned i = 2; i < SPANS_MAX; i++) {
            const spec *parent = &specs[wb_sample_next(&next) % i];
            specs[i] = (spec){parent->trace, (uint8_t)(i + 1), parent->n, LOCAL,
                              parent->trace == CLAIMED_TRACE};
        }
        for (size_t i = SPANS_MAX - 1; i > 0; i--) {
            size_t k = wb_sample_next(&next) % (i + 1);
            spec other = specs[i];
            specs[i] = specs[k];
            specs[k] = other;
        }
        size_t cut = 1 + wb_sample_next(&next) % (SPANS_MAX - 1);
        for (size_t from = 0; from < SPANS_MAX; from += from ? SPANS_MAX : cut) {
            size_t n = from ? SPANS_MAX - cut : cut;
            pass(f, specs + from, n);
            for (uint32_t i = 0; i < n; i++)
                assert_true(specs[from + i].trace == CLAIMED_TRACE ? moved(f, i, CLAIMED_TRACE)
                                                                   : stayed(f, i, OWN_TRACE));
        }
        wb_arena_reset(f->arena);
    }
}

static void the_secret_is_made_once_kept_closed_and_refused_when_damaged(void **state)
{
    fixture *f = *state;
    char path[128];
    struct stat st;
    wb_trace_id claimed = trace_of(CLAIMED_TRACE), own = trace_of(OWN_TRACE);
    (void)snprintf(path, sizeof path, "%s/" WB_REHOME_FILE, f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    wb_trace_id first = wb_rehome_trace(f->rehome, &claimed), again, other;
    WB_AUTO(wb_rehome) reopened = NULL;
    assert_int_equal(wb_rehome_open(f->dir, &reopened, NULL), WB_OK);
    again = wb_rehome_trace(reopened, &claimed);
    other = wb_rehome_trace(reopened, &own);
    assert_true(WB_ID_EQ(first, again) && !WB_ID_EQ(first, other) && !WB_ID_EQ(first, claimed));
    WB_AUTO(wb_rehome) refused = NULL;
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(wb_rehome_open(f->dir, &refused, NULL), WB_ERR_CONFIG);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 20), 0);
    assert_int_equal(wb_rehome_open(f->dir, &refused, NULL), WB_ERR_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(wb_rehome_open(f->dir, &refused, NULL), WB_OK);
    other = wb_rehome_trace(refused, &claimed);
    assert_false(WB_ID_EQ(first, other));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_own_trace_is_never_moved),
        CASE(an_owned_trace_keeps_what_comes_under_it),
        CASE(a_trace_called_back_under_its_own_id_loses_only_the_callers_spans),
        CASE(observing_marks_and_moves_nothing),
        CASE(switched_off_nothing_happens_but_the_mark_goes),
        CASE(rings_of_parents_and_repeated_ids_end),
        CASE(what_descends_from_a_remote_parent_leaves_its_trace_with_a_link),
        CASE(a_marked_trace_moves_whole_however_its_batches_are_cut),
        CASE(the_secret_is_made_once_kept_closed_and_refused_when_damaged),
    };
    if (sodium_init() < 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
