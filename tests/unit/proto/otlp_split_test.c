/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf-c is the oracle: it unpacks the whole and every part, and compares span by span. */
#include "proto/otlp_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/arena.h"

#include "tests/support/otlp_oracle.pb-c.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, OUT_BYTES = 16 * 1024 * 1024, SEEDS = 200 };

/* A span of a request, with what stands above it, packed again. */
typedef struct item {
    uint8_t *bytes;
    size_t len;
} item;

typedef struct item_list {
    item at[4096];
    size_t n;
} item_list;

static void add_item(item_list *list, const Oracle__ResourceSpans *r, const Oracle__ScopeSpans *s,
                     Oracle__Span *span)
{
    Oracle__ScopeSpans scope = *s;
    Oracle__ResourceSpans resource = *r;
    Oracle__ScopeSpans *scopes[] = {&scope};
    Oracle__Span *spans[] = {span};
    scope.n_spans = 1;
    scope.spans = spans;
    resource.n_scope_spans = 1;
    resource.scope_spans = scopes;
    assert_true(list->n < WB_COUNT(list->at));
    item *i = &list->at[list->n++];
    i->len = oracle__resource_spans__get_packed_size(&resource);
    i->bytes = malloc(i->len);
    assert_non_null(i->bytes);
    assert_int_equal(oracle__resource_spans__pack(&resource, i->bytes), i->len);
}

static void unpack(item_list *list, wb_slice body)
{
    Oracle__TracesRequest *request = oracle__traces_request__unpack(NULL, body.len, body.ptr);
    assert_non_null(request);
    for (size_t r = 0; r < request->n_resource_spans; r++)
        for (size_t s = 0; s < request->resource_spans[r]->n_scope_spans; s++) {
            Oracle__ScopeSpans *scope = request->resource_spans[r]->scope_spans[s];
            for (size_t i = 0; i < scope->n_spans; i++)
                add_item(list, request->resource_spans[r], scope, scope->spans[i]);
        }
    oracle__traces_request__free_unpacked(request, NULL);
}

static void forget(item_list *list)
{
    for (size_t i = 0; i < list->n; i++) free(list->at[i].bytes);
    list->n = 0;
}

static void same_items(const item_list *a, size_t from, const item_list *b)
{
    assert_true(from + b->n <= a->n);
    for (size_t i = 0; i < b->n; i++) {
        assert_int_equal(a->at[from + i].len, b->at[i].len);
        assert_memory_equal(a->at[from + i].bytes, b->at[i].bytes, b->at[i].len);
    }
}

typedef struct fixture {
    wb_arena *arena;
    wb_buffer out;
    item_list all, part;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    wb_buffer_init(&f->out, OUT_BYTES);
    *state = f;
    return f->arena ? 0 : -1;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->out);
    forget(&f->all);
    forget(&f->part);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static void parts_of_a_size_are_all_of_the_items(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        wb_arena_reset(f->arena);
        wb_slice body = wb_sample_random(seed, false, f->arena);
        size_t max = 64 + seed * 8;
        uint32_t at = 0;
        unpack(&f->all, body);
        assert_int_equal(wb_otlp_count_items(body), f->all.n);
        while (at < f->all.n) {
            uint32_t n = wb_otlp_fit_items(body, at, max);
            assert_true(n > 0);
            wb_buffer_clear(&f->out);
            assert_int_equal(wb_otlp_take_items(body, at, n, &f->out), WB_OK);
            assert_int_equal(f->out.len, wb_otlp_items_size(body, at, n));
            assert_true(f->out.len <= max || n == 1);
            if (at + n < f->all.n) assert_true(wb_otlp_items_size(body, at, n + 1) > max);
            unpack(&f->part, wb_buffer_slice(&f->out));
            assert_int_equal(f->part.n, n);
            same_items(&f->all, at, &f->part);
            forget(&f->part);
            at += n;
        }
        assert_int_equal(at, f->all.n);
        forget(&f->all);
    }
}

static void all_items_of_a_plain_request_are_the_request(void **state)
{
    fixture *f = *state;
    wb_slice body = wb_sample_llm_spans(50, 1, f->arena);
    assert_int_equal(wb_otlp_take_items(body, 0, UINT32_MAX, &f->out), WB_OK);
    assert_int_equal(f->out.len, body.len);
    assert_memory_equal(f->out.ptr, body.ptr, body.len);
}

static void requests_one_behind_the_other_are_cut_as_one(void **state)
{
    fixture *f = *state;
    wb_slice one = wb_sample_llm_spans(3, 1, f->arena), two = wb_sample_llm_spans(4, 2, f->arena);
    WB_AUTO_BUFFER both;
    wb_buffer_init(&both, OUT_BYTES);
    assert_int_equal(wb_buffer_add_slice(&both, one), WB_OK);
    assert_int_equal(wb_buffer_add_slice(&both, two), WB_OK);
    assert_int_equal(wb_otlp_count_items(wb_buffer_slice(&both)), 7);
    assert_int_equal(wb_otlp_take_items(wb_buffer_slice(&both), 3, 4, &f->out), WB_OK);
    assert_int_equal(f->out.len, two.len);
    assert_memory_equal(f->out.ptr, two.ptr, two.len);
}

static void nothing_is_taken_behind_the_end(void **state)
{
    fixture *f = *state;
    wb_slice body = wb_sample_llm_spans(2, 1, f->arena);
    assert_int_equal(wb_otlp_fit_items(body, 2, 1000), 0);
    assert_int_equal(wb_otlp_take_items(body, 2, 9, &f->out), WB_OK);
    assert_int_equal(f->out.len, 0);
    assert_int_equal(wb_otlp_count_items((wb_slice){0}), 0);
}

static void what_does_not_parse_ends_its_message(void **state)
{
    fixture *f = *state;
    maker m = {f->arena};
    wb_slice good = in_envelope(&m, good_ids(&m));
    const wb_slice parts[] = {good, WB_S("\xFF\xFF\xFF")};
    wb_slice body = make_joined(&m, parts, 2);
    assert_int_equal(wb_otlp_count_items(body), 1);
    assert_int_equal(wb_otlp_take_items(body, 0, 1, &f->out), WB_OK);
    assert_int_equal(f->out.len, good.len);
}

static void at_the_buffers_limit_nothing_is_appended(void **state)
{
    fixture *f = *state;
    wb_slice body = wb_sample_llm_spans(4, 1, f->arena);
    WB_AUTO_BUFFER small;
    wb_buffer_init(&small, 100);
    assert_int_equal(wb_otlp_take_items(body, 0, 4, &small), WB_ERR_NO_MEMORY);
    assert_int_equal(small.len, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_taken_behind_the_end),
        TEST(what_does_not_parse_ends_its_message),
        TEST(at_the_buffers_limit_nothing_is_appended),
        TEST(all_items_of_a_plain_request_are_the_request),
        TEST(requests_one_behind_the_other_are_cut_as_one),
        TEST(parts_of_a_size_are_all_of_the_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
