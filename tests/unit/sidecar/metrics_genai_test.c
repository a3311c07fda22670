/* SPDX-License-Identifier: Apache-2.0 */
/* That as many series as there may be, with the worst labels and the largest numbers, fit into what /metrics has room
 * for. What the text says: tests/integration/test_measured.py. */
#include "sidecar/metrics_genai.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sidecar/metrics.h"

enum { SERIES = WB_SERIES_MAX, ARENA_BYTES = 64 * 1024 * 1024 };

/* A span of that kind with all labels, distinct by `n`, each of bytes that are escaped. */
static void note(wb_measured *m, wb_measured_kind kind, unsigned n, char filler, size_t len)
{
    char text[WB_LABEL_BYTES_MAX + 1];
    wb_observations *block = wb_arena_alloc(m->arena, sizeof *block);
    wb_measured_group *group = wb_arena_alloc(m->arena, sizeof *group);
    assert_true(block && group);
    (void)snprintf(text, sizeof text, "%06u", n);
    memset(text + 6, filler, WB_LABEL_BYTES_MAX - 6);
    for (size_t i = 0; i < WB_LABELS; i++) {
        assert_int_equal(wb_arena_dup(m->arena, wb_slice_of(text, len), &group->labels[i]), WB_OK);
        group->hashes[i] = n + 1;
    }
    group->kind = (uint8_t)kind;
    *block =
        (wb_observations){.next = m->first, .n = 1, .all = {{.group = group, .has = UINT32_MAX}}};
    for (size_t i = 0; i < WB_QUANTITIES; i++) block->all[0].of[i] = UINT64_MAX / 2;
    m->first = block;
}

static void fill(wb_series_table *table, char filler, size_t len)
{
    wb_measured m;
    wb_arena *arena = wb_arena_new(ARENA_BYTES);
    assert_non_null(arena);
    wb_measured_init(&m, arena);
    for (unsigned i = 0; i < 1500; i++)
        note(&m, (wb_measured_kind)(WB_MEASURED_MODEL + i % (WB_MEASURED_KINDS - 1)), i, filler,
             len);
    wb_series_count(table, &m, WB_NAMES_V1_41 | WB_NAMES_LATEST);
    wb_arena_free(arena);
}

/* Its bytes; and what of them is in overflow series. */
static size_t printed(const wb_series_table *table, bool open_metrics, size_t *overflow)
{
    wb_buffer out;
    wb_buffer_init(&out, WB_METRICS_SERIES_BYTES + WB_METRICS_SPARE_BYTES);
    wb_metrics_text text = {.out = &out, .open_metrics = open_metrics};
    wb_metrics_genai_print(&text, table);
    if (text.status == WB_OK) text.status = wb_buffer_add(&out, "", 1);
    size_t len = out.len;
    *overflow = 0;
    for (const char *at = (const char *)out.ptr; text.status == WB_OK && *at;
         at = strchr(at, '\n') + 1)
        if (strncmp(at, "# ", 2) == 0 ||
            memmem(at, (size_t)(strchr(at, '\n') - at), "otel_metric_overflow", 20))
            *overflow += (size_t)(strchr(at, '\n') + 1 - at);
    wb_buffer_done(&out);
    assert_int_equal(text.status, WB_OK);
    return len;
}

static void as_many_as_there_may_be_fit(void **state)
{
    static const struct {
        char filler;
        size_t len;
    } labels[] = {
        {'"', WB_LABEL_BYTES_MAX}, {'\n', WB_LABEL_BYTES_MAX}, {'x', WB_LABEL_BYTES_MAX}, {'x', 6}};
    (void)state;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        wb_series_table *table = NULL;
        size_t overflow;
        assert_int_equal(wb_series_table_new(SERIES, WB_METRICS_SERIES_BYTES, &table, NULL), WB_OK);
        fill(table, labels[i].filler, labels[i].len);
        for (int open = 0; open < 2; open++) {
            size_t len = printed(table, open, &overflow);
            assert_true(len - overflow <= WB_METRICS_SERIES_BYTES);
            assert_true(len - overflow >
                        WB_METRICS_SERIES_BYTES * 3 / 5); /* nor is much of it left unused */
            assert_true(overflow > 0 && overflow <= WB_METRICS_SPARE_BYTES);
        }
        assert_true(wb_series_overflow_text_bytes() < WB_METRICS_SPARE_BYTES / 2);
        wb_series_table_free(table);
    }
}

static void a_scrape_without_memory_says_so(void **state)
{
    wb_series_table *table = NULL;
    wb_buffer out;
    (void)state;
    assert_int_equal(wb_series_table_new(1, WB_METRICS_SERIES_BYTES, &table, NULL), WB_OK);
    wb_buffer_init(&out, 64);
    wb_metrics_text text = {.out = &out};
    wb_metrics_genai_print(&text, table);
    assert_int_equal(text.status, WB_ERR_NO_MEMORY);
    assert_int_equal(wb_metrics_genai_rows(&out), WB_ERR_NO_MEMORY);
    assert_int_equal(wb_metrics_genai_buckets(&out), WB_ERR_NO_MEMORY);
    wb_buffer_done(&out);
    wb_series_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_there_may_be_fit),
        cmocka_unit_test(a_scrape_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
