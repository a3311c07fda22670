/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a run of the benches red: a figure over its limit, unless a dated reason excuses it. */
#include "core/status.h"
#include "tests/bench/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct judged {
    const char *what;
    wb_bench_figure figure;
    int over;
} judged;

static const judged cases[] = {
    {"over, no excuse", {.value = 2, .limit = 1}, 1},
    {"over, an excuse without a day", {.value = 2, .limit = 1, .excuse = "it is slow here"}, 1},
    {"over, a day without a reason", {.value = 2, .limit = 1, .excuse = "2026-11-29"}, 1},
    {"over, a day that is none", {.value = 2, .limit = 1, .excuse = "2026-13-40: slow disk"}, 1},
    {"over, excused", {.value = 2, .limit = 1, .excuse = "2026-11-29: this disk syncs slowly"}, 0},
    {"too little", {.value = 1, .limit = 2, .bound = WB_BENCH_AT_LEAST}, 1},
    {"enough", {.value = 2, .limit = 2, .bound = WB_BENCH_AT_LEAST}, 0},
    {"not credible",
     {.value = 0.5, .limit = 1, .credible = 0.8, .excuse = "2026-11-29: this disk syncs slowly"},
     1},
    {"within", {.value = 1, .limit = 1}, 0},
    {"no limit", {.value = 9}, 0},
    {"the median over operations", {.stats = {.p50 = 200}, .per = 100, .limit = 1}, 1},
    {"the same within", {.stats = {.p50 = 200}, .per = 200, .limit = 1}, 0},
};

static void a_figure_is_red_unless_a_dated_reason_excuses_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_bench_figure figure = cases[i].figure;
        figure.name = cases[i].what;
        figure.unit = "x";
        if (wb_bench_report(&figure) != cases[i].over) fail_msg("%s", cases[i].what);
    }
}

static void the_median_and_the_99th_percentile_are_of_what_was_measured(void **state)
{
    uint64_t ns[200];
    (void)state;
    for (size_t i = 0; i < WB_COUNT(ns); i++) ns[i] = WB_COUNT(ns) - i; /* 200 .. 1 */
    wb_bench_stats stats = wb_bench_stats_of(ns, WB_COUNT(ns));
    assert_int_equal((int)stats.p50, 101);
    assert_int_equal((int)stats.p99, 198);
    assert_int_equal(stats.samples, WB_COUNT(ns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_figure_is_red_unless_a_dated_reason_excuses_it),
        cmocka_unit_test(the_median_and_the_99th_percentile_are_of_what_was_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
