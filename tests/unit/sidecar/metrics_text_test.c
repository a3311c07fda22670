/* SPDX-License-Identifier: Apache-2.0 */
/* What a scrape's text looks like, byte by byte, and what of the reference is printed. That other
 * programs read it: tests/integration/test_metrics.py. */
#include "sidecar/metrics.h"
#include "sidecar/metrics_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_text(wb_buffer *out, const char *expected)
{
    assert_int_equal(out->len, strlen(expected));
    assert_memory_equal(out->ptr, expected, out->len);
}

static void a_sample_has_its_labels_escaped(void **state)
{
    WB_AUTO_BUFFER out;
    const wb_label labels[] = {{"name", WB_S("a\\b\"c\nd")}, {"empty", WB_S("")}};
    (void)state;
    wb_buffer_init(&out, 1024);
    wb_metrics_text text = {.out = &out};
    wb_metrics_family(&text, "waybill_x", WB_METRIC_GAUGE, "What it is.");
    wb_metrics_number(&text, labels, 2, UINT64_MAX);
    wb_metrics_number(&text, NULL, 0, 0);
    wb_metrics_end(&text);
    if (text.status != WB_OK) return;
    assert_text(&out, "# HELP waybill_x What it is.\n# TYPE waybill_x gauge\n"
                      "waybill_x{name=\"a\\\\b\\\"c\\nd\",empty=\"\"} 18446744073709551615\n"
                      "waybill_x 0\n");
}

static void openmetrics_names_a_counters_family_without_total_and_says_the_end(void **state)
{
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 1024);
    wb_metrics_text text = {.out = &out, .open_metrics = true};
    wb_metrics_family(&text, "waybill_x_total", WB_METRIC_COUNTER, "What it is.");
    wb_metrics_number(&text, NULL, 0, 7);
    wb_metrics_end(&text);
    if (text.status != WB_OK) return;
    assert_text(&out, "# HELP waybill_x What it is.\n# TYPE waybill_x counter\n"
                      "waybill_x_total 7\n# EOF\n");
}

static void times_are_exact_seconds(void **state)
{
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 1024);
    wb_metrics_text text = {.out = &out};
    wb_metrics_family(&text, "waybill_s", WB_METRIC_GAUGE, "What it is.");
    wb_metrics_seconds(&text, NULL, 0, 1);
    wb_metrics_seconds(&text, NULL, 0, UINT64_C(1796007745460852421));
    if (text.status != WB_OK) return;
    assert_text(&out, "# HELP waybill_s What it is.\n# TYPE waybill_s gauge\n"
                      "waybill_s 0.000000001\nwaybill_s 1796007745.460852421\n");
}

static void bounds_have_one_decimal_at_least_and_none_in_vain(void **state)
{
    static const wb_bounds tokens = {.n = 1, .unit = WB_BOUNDS_NUMBER, .at = {67108864}};
    char text[WB_BOUND_TEXT];
    (void)state;
    wb_metrics_bound(&wb_bounds_short, 0, text);
    assert_string_equal(text, "0.00005");
    wb_metrics_bound(&wb_bounds_short, 13, text);
    assert_string_equal(text, "2.5");
    wb_metrics_bound(&wb_bounds_long, 14, text);
    assert_string_equal(text, "3600.0");
    wb_metrics_bound(&tokens, 0, text);
    assert_string_equal(text, "67108864.0");
}

static void a_histogram_is_its_buckets_its_sum_and_its_count(void **state)
{
    WB_AUTO_BUFFER out;
    static wb_histogram histogram;
    const wb_label verb = {"verb", WB_S("settle")};
    (void)state;
    wb_histogram_observe(&histogram, &wb_bounds_short, 1);
    wb_histogram_observe(&histogram, &wb_bounds_short, UINT64_C(20) * 1000 * 1000 * 1000);
    wb_buffer_init(&out, 4096);
    wb_metrics_text text = {.out = &out};
    wb_metrics_family(&text, "waybill_d_seconds", WB_METRIC_HISTOGRAM, "What it is.");
    wb_metrics_histogram(&text, &verb, 1, &histogram, &wb_bounds_short);
    if (text.status == WB_OK) text.status = wb_buffer_add(&out, "", 1);
    if (text.status != WB_OK) return;
    const char *written = (const char *)out.ptr;
    assert_non_null(
        strstr(written, "waybill_d_seconds_bucket{verb=\"settle\",le=\"0.00005\"} 1\n"));
    assert_non_null(strstr(written, "waybill_d_seconds_bucket{verb=\"settle\",le=\"10.0\"} 1\n"
                                    "waybill_d_seconds_bucket{verb=\"settle\",le=\"+Inf\"} 2\n"
                                    "waybill_d_seconds_sum{verb=\"settle\"} 20.000000001\n"
                                    "waybill_d_seconds_count{verb=\"settle\"} 2\n"));
}

static void what_does_not_fit_is_said_and_stays_said(void **state)
{
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 16);
    wb_metrics_text text = {.out = &out};
    wb_metrics_family(&text, "waybill_x", WB_METRIC_GAUGE, "What it is.");
    assert_int_equal(text.status, WB_ERR_NO_MEMORY);
    wb_metrics_number(&text, NULL, 0, 1);
    wb_metrics_seconds(&text, NULL, 0, 1);
    wb_metrics_family(&text, "x", WB_METRIC_GAUGE, "y");
    assert_int_equal(text.status, WB_ERR_NO_MEMORY);
    assert_int_equal(out.len, 0);
}

static void openmetrics_is_for_those_who_ask_for_it(void **state)
{
    static const struct {
        const char *accept;
        wb_metrics_format format;
    } cases[] = {
        {NULL, WB_METRICS_PROMETHEUS},
        {"*/*", WB_METRICS_PROMETHEUS},
        {"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", WB_METRICS_PROMETHEUS},
        {"application/openmetrics-text;version=0.0.1,text/plain;version=1.0",
         WB_METRICS_PROMETHEUS},
        {"application/openmetrics-text", WB_METRICS_PROMETHEUS},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8,text/plain", WB_METRICS_OPEN},
        {"application/openmetrics-text;version=1.0.0;q=0.75,application/openmetrics-text;"
         "version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.25",
         WB_METRICS_OPEN},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        assert_int_equal(wb_metrics_accepted(cases[i].accept), cases[i].format);
    assert_non_null(strstr(wb_metrics_content_type(WB_METRICS_PROMETHEUS), "version=0.0.4"));
    assert_non_null(strstr(wb_metrics_content_type(WB_METRICS_OPEN), "version=1.0.0"));
}

/* docs/metrics.md ends with what waybilld --print-metrics-reference prints. */
static void the_reference_page_is_the_table(void **state)
{
    static char page[256 * 1024];
    WB_AUTO_BUFFER table;
    (void)state;
    FILE *file = fopen(WAYBILL_SOURCE_DIR "/docs/metrics.md", "r");
    if (!file) fail_msg("docs/metrics.md is not there");
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    (void)fclose(file);
    wb_buffer_init(&table, sizeof page);
    assert_int_equal(wb_metrics_reference(&table), WB_OK);
    const char *printed = strstr(page, "### The process");
    assert_non_null(printed);
    if (strlen(printed) != table.len || memcmp(printed, table.ptr, table.len) != 0)
        fail_msg("docs/metrics.md is old; it must end with:\n%.*s",
                 WB_SLICE_ARG(wb_buffer_slice(&table)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_has_its_labels_escaped),
        cmocka_unit_test(openmetrics_names_a_counters_family_without_total_and_says_the_end),
        cmocka_unit_test(times_are_exact_seconds),
        cmocka_unit_test(bounds_have_one_decimal_at_least_and_none_in_vain),
        cmocka_unit_test(a_histogram_is_its_buckets_its_sum_and_its_count),
        cmocka_unit_test(what_does_not_fit_is_said_and_stays_said),
        cmocka_unit_test(openmetrics_is_for_those_who_ask_for_it),
        cmocka_unit_test(the_reference_page_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
