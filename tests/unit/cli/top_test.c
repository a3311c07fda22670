/* SPDX-License-Identifier: Apache-2.0 */
/* Rates belong to one process: never over a restart, never negative. */
#include "cli/top.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static wb_top_sidecar look(uint64_t at_ms, uint64_t spans, uint64_t sent)
{
    wb_top_sidecar s = {.result = WB_PROBE_ANSWERS,
                        .taken_ns = at_ms * WB_NS_PER_MS,
                        .pid = 7,
                        .started_ns = 100,
                        .n_exporters = 1};
    s.counters[WB_TOP_SPANS] = spans;
    (void)snprintf(s.exporters[0].name, sizeof s.exporters[0].name, "sqlite");
    s.exporters[0].sent_records = sent;
    s.exporters[0].sent_per_s = -1;
    return s;
}

static void no_rate_without_two_looks_at_one_process(void **state)
{
    (void)state;
    wb_top_sidecar before = look(1000, 50, 5);
    wb_top_sidecar cases[] = {look(2000, 60, 6), look(2000, 60, 6), look(2000, 60, 6),
                              look(1000, 60, 6)};
    cases[0].pid = 8;
    cases[1].started_ns = 101; /* the pid was given again */
    cases[2].result = WB_PROBE_SILENT;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_top_rate(&cases[i], &before);
        assert_false(cases[i].has_rates);
        assert_true(cases[i].exporters[0].sent_per_s < 0);
    }
    wb_top_sidecar now = look(2000, 60, 6);
    before.result = WB_PROBE_DEAD;
    wb_top_rate(&now, &before);
    assert_false(now.has_rates);
}

static void a_rate_is_a_difference_over_the_time_between(void **state)
{
    (void)state;
    wb_top_sidecar before = look(1000, 50, 5), now = look(3000, 80, 6);
    wb_top_rate(&now, &before);
    assert_true(now.has_rates);
    assert_true(now.rates[WB_TOP_SPANS] > 14.999 && now.rates[WB_TOP_SPANS] < 15.001);
    assert_true(now.rates[WB_TOP_REFUSED] == 0);
    assert_true(now.exporters[0].sent_per_s > 0.499 && now.exporters[0].sent_per_s < 0.501);
}

static void a_counter_that_fell_has_no_negative_rate(void **state)
{
    (void)state;
    wb_top_sidecar before = look(1000, 50, 5), now = look(2000, 40, 4);
    wb_top_rate(&now, &before);
    assert_true(now.rates[WB_TOP_SPANS] == 0);
    assert_true(now.exporters[0].sent_per_s < 0);
}

static void an_exporter_that_is_new_has_no_rate(void **state)
{
    (void)state;
    wb_top_sidecar before = look(1000, 50, 5), now = look(2000, 60, 6);
    (void)snprintf(now.exporters[0].name, sizeof now.exporters[0].name, "other");
    wb_top_rate(&now, &before);
    assert_true(now.exporters[0].sent_per_s < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_without_two_looks_at_one_process),
        cmocka_unit_test(a_rate_is_a_difference_over_the_time_between),
        cmocka_unit_test(a_counter_that_fell_has_no_negative_rate),
        cmocka_unit_test(an_exporter_that_is_new_has_no_rate),
    };
    return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
