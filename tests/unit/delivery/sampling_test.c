/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delivery/sampling.h"

#include "core/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { IDS = 100000 };

static uint64_t threshold(const char *ratio)
{
    uint64_t th = 1;
    wb_error err = {0};
    if (wb_sampling_threshold(wb_slice_str(ratio), &th, &err) != WB_OK)
        fail_msg("%s: %s", ratio, err.detail);
    return th;
}

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static wb_trace_id random_trace(uint64_t *state)
{
    wb_trace_id id;
    for (size_t i = 0; i < sizeof id.b; i += 8) {
        uint64_t half = next_random(state);
        memcpy(id.b + i, &half, 8);
    }
    return id;
}

/* What is written for a span of this tracestate; NULL: it is left out. */
static const char *after(const char *trace_state, uint64_t randomness, uint64_t th,
                         wb_sampling_cause cause)
{
    static char text[2048];
    WB_AUTO_BUFFER out;
    wb_trace_id id = {{0xFF, 1, 2, 3, 4, 5, 6, 7, 8}};
    for (int i = 0; i < 7; i++) id.b[9 + i] = (uint8_t)(randomness >> (48 - 8 * i));
    wb_slice state = wb_slice_str(trace_state);
    wb_sampling_verdict verdict = wb_sampling_decide(wb_sampling_read(state, &id), th, cause);
    if (verdict.mark == WB_SAMPLING_LEFT_OUT) return NULL;
    if (verdict.mark == WB_SAMPLING_AS_IT_IS) return trace_state;
    wb_buffer_init(&out, sizeof text);
    assert_int_equal(wb_sampling_write(state, verdict, &out), WB_OK);
    (void)snprintf(text, sizeof text, "%.*s", (int)out.len, out.len ? (char *)out.ptr : "");
    return text;
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void what_is_no_ratio_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "-0.1",
                                      "+1",
                                      "1.1",
                                      "2",
                                      "1e-3",
                                      "0.1.2",
                                      "0,5",
                                      "nan",
                                      "50%",
                                      " 0.5",
                                      "0.5 ",
                                      "99999999999999999999999",
                                      "0.1234567890123456789",
                                      "1.000000000000000001"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        uint64_t out = 77;
        wb_error err;
        assert_int_equal(wb_sampling_threshold(wb_slice_str(bad[i]), &out, &err), WB_ERR_CONFIG);
        assert_int_equal(out, 77);
        assert_non_null(strstr(err.detail, "sampling.ratio"));
    }
}

static void sub_keys_that_break_their_grammar_count_as_absent(void **state)
{
    static const char *const bad[] = {"ot=th:",
                                      "ot=th:0123456789abcde",
                                      "ot=th:xyz",
                                      "ot=th: c",
                                      "ot=TH:c",
                                      "OT=th:c",
                                      "xot=th:c",
                                      "ot=rv:123",
                                      "ot=rv:0123456789abcde",
                                      "ot=rv:0123456789abcg",
                                      "ot",
                                      "=",
                                      ",,,"};
    (void)state;
    wb_trace_id id = {.b = {[9] = 0x12, [15] = 0x34}};
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        wb_sampled span = wb_sampling_read(wb_slice_str(bad[i]), &id);
        assert_false(span.has_th);
        assert_int_equal(span.randomness, UINT64_C(0x12000000000034));
    }
    wb_sampled span = wb_sampling_read((wb_slice){NULL, 0}, &id);
    assert_false(span.has_th);
}

/* ---- the threshold -------------------------------------------------------------------------- */

/* (1 - p) * 2^56 to 5 hex digits behind the leading f's, worked out by hand from the definition. */
static void thresholds_are_those_of_the_specification(void **state)
{
    static const struct {
        const char *ratio, *th;
    } cases[] = {
        {"1", "0"},
        {"1.0", "0"},
        {"1.", "0"},
        {"0.5", "8"},
        {".5", "8"},
        {"0.3333333333333333", "aaaab"},
        {"0.25", "c"},
        {"0.2", "ccccd"},
        {"0.125", "e"},
        {"0.1", "e6666"},
        {"0.0625", "f"},
        {"0.05", "f33333"},
        {"0.01", "fd70a4"},
        {"0.001", "ffbe76d"},
        {"0.0001", "fff97247"},
        {"0.00001", "ffff583a5"},
        {"0.000001", "ffffef391"},
        {"0.75", "4"},
        {"0.9", "1999a"},
        {"0.999999999999999999", "0"},
        {"0.000000000000000001", "ffffffffffffff"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "ot=th:%s", cases[i].th);
        uint64_t th = threshold(cases[i].ratio);
        assert_string_equal(after("", WB_SAMPLING_NEVER - 1, th, WB_SAMPLING_BY_CHANCE), want);
    }
    assert_true(threshold("0") == WB_SAMPLING_NEVER);
    assert_true(threshold("0.000") == WB_SAMPLING_NEVER);
}

static void a_threshold_is_as_near_as_its_digits_allow(void **state)
{
    (void)state;
    for (int i = 1; i < 1000; i++) {
        char ratio[16];
        (void)snprintf(ratio, sizeof ratio, "0.%03d", i);
        double p = 1 - (double)threshold(ratio) / (double)WB_SAMPLING_NEVER;
        assert_true(fabs(p - i / 1000.0) <= i / 1000.0 / 16384 + 1.0 / (2 << 20));
    }
}

/* ---- the sample ----------------------------------------------------------------------------- */

static void of_random_traces_the_ratio_is_kept(void **state)
{
    static const char *const ratios[] = {"0.001", "0.01", "0.1", "0.25", "0.5", "0.9"};
    (void)state;
    for (size_t k = 0; k < WB_COUNT(ratios); k++) {
        uint64_t seed = 7 + k, th = threshold(ratios[k]);
        size_t kept = 0;
        for (size_t i = 0; i < IDS; i++) {
            wb_trace_id id = random_trace(&seed);
            wb_sampled span = wb_sampling_read(WB_S(""), &id);
            kept += wb_sampling_decide(span, th, WB_SAMPLING_BY_CHANCE).mark == WB_SAMPLING_SET;
        }
        double p = atof(ratios[k]), sigma = sqrt(IDS * p * (1 - p)); /* NOLINT(cert-err34-c) */
        assert_true(fabs((double)kept - IDS * p) < 5 * sigma);
    }
}

/* Another sidecar, another ratio, spans that say nothing: whatever it keeps, those that keep more do. */
static void whoever_keeps_less_keeps_a_part_of_what_others_keep(void **state)
{
    (void)state;
    static const char *const ratios[] = {"0", "0.001", "0.05", "0.3", "0.301", "1"};
    uint64_t seed = 99;
    for (size_t i = 0; i < IDS; i++) {
        wb_trace_id id = random_trace(&seed);
        bool before = false;
        for (size_t k = 0; k < WB_COUNT(ratios); k++) {
            wb_sampled span = wb_sampling_read(WB_S(""), &id);
            wb_sampling_verdict v =
                wb_sampling_decide(span, threshold(ratios[k]), WB_SAMPLING_BY_CHANCE);
            bool kept = v.mark != WB_SAMPLING_LEFT_OUT;
            assert_true(kept || !before);
            before = kept;
        }
        assert_true(before);
    }
}

/* The number of spans is estimated right, however often they are sampled on the way. */
static void adjusted_counts_add_up(void **state)
{
    (void)state;
    static const char *const ratios[] = {"0.5", "0.1", "0.2"};
    uint64_t seed = 4711;
    double sum = 0;
    for (size_t i = 0; i < IDS; i++) {
        wb_trace_id id = random_trace(&seed);
        char trace_state[64] = "";
        bool kept = true;
        for (size_t k = 0; kept && k < WB_COUNT(ratios); k++) {
            WB_AUTO_BUFFER out;
            wb_buffer_init(&out, 256);
            wb_slice old = wb_slice_str(trace_state);
            wb_sampling_verdict v = wb_sampling_decide(wb_sampling_read(old, &id),
                                                       threshold(ratios[k]), WB_SAMPLING_BY_CHANCE);
            kept = v.mark != WB_SAMPLING_LEFT_OUT;
            if (v.mark != WB_SAMPLING_SET) continue;
            assert_int_equal(wb_sampling_write(old, v, &out), WB_OK);
            (void)snprintf(trace_state, sizeof trace_state, "%.*s", (int)out.len, (char *)out.ptr);
        }
        if (!kept) continue;
        wb_sampled span = wb_sampling_read(wb_slice_str(trace_state), &id);
        assert_true(span.has_th && span.th == threshold("0.1"));
        sum += (double)WB_SAMPLING_NEVER / (double)(WB_SAMPLING_NEVER - span.th);
    }
    assert_true(fabs(sum - IDS) < IDS * 0.05);
}

static void randomness_of_the_tracestate_goes_before_that_of_the_id(void **state)
{
    (void)state;
    uint64_t c = threshold("0.25"), none = 0, all = WB_SAMPLING_NEVER - 1;
    assert_string_equal(after("ot=rv:c0000000000000", none, c, WB_SAMPLING_BY_CHANCE),
                        "ot=th:c;rv:c0000000000000");
    assert_string_equal(after("ot=rv:C0000000000000", none, c, WB_SAMPLING_BY_CHANCE),
                        "ot=th:c;rv:C0000000000000");
    assert_null(after("ot=rv:bfffffffffffff", all, c, WB_SAMPLING_BY_CHANCE));
}

/* ---- th ------------------------------------------------------------------------------------- */

static void a_threshold_is_only_ever_raised(void **state)
{
    (void)state;
    uint64_t c = threshold("0.25"), r = UINT64_C(0xf8000000000000);
    assert_string_equal(after("ot=th:8", r, c, WB_SAMPLING_BY_CHANCE), "ot=th:c");
    assert_string_equal(after("ot=th:c", r, c, WB_SAMPLING_BY_CHANCE), "ot=th:c");
    assert_string_equal(after("ot=th:f", r, c, WB_SAMPLING_BY_CHANCE), "ot=th:f");
    assert_string_equal(after("ot=th:0", r, c, WB_SAMPLING_BY_CHANCE), "ot=th:c");
    assert_string_equal(after("", r, c, WB_SAMPLING_BY_CHANCE), "ot=th:c");
    assert_null(after("ot=th:8", UINT64_C(0xbfffffffffffff), c, WB_SAMPLING_BY_CHANCE));
    assert_string_equal(after("", c, c, WB_SAMPLING_BY_CHANCE), "ot=th:c"); /* R >= T */
    assert_null(after("", c - 1, c, WB_SAMPLING_BY_CHANCE));
}

static void a_threshold_that_the_randomness_contradicts_is_erased(void **state)
{
    (void)state;
    uint64_t c = threshold("0.25"), r = UINT64_C(0xd0000000000000);
    assert_string_equal(after("ot=th:f", r, c, WB_SAMPLING_BY_CHANCE), "");
    assert_string_equal(after("ot=th:f;p:8,a=b", r, c, WB_SAMPLING_BY_CHANCE), "ot=p:8,a=b");
    assert_null(after("ot=th:f", UINT64_C(0xb0000000000000), c, WB_SAMPLING_BY_CHANCE));
    assert_string_equal(after("ot=th:f", r, c, WB_SAMPLING_BY_RULE), "");
}

static void what_a_rule_keeps_was_kept_for_certain(void **state)
{
    (void)state;
    uint64_t c = threshold("0.25");
    for (uint64_t r = 0; r < WB_SAMPLING_NEVER; r += WB_SAMPLING_NEVER / 64) {
        assert_string_equal(after("", r, c, WB_SAMPLING_BY_RULE), "ot=th:0");
        assert_string_equal(after("a=b", r, WB_SAMPLING_NEVER, WB_SAMPLING_BY_RULE), "ot=th:0,a=b");
    }
    uint64_t r = UINT64_C(0x90000000000000);
    assert_string_equal(after("ot=th:8", r, c, WB_SAMPLING_BY_RULE), "ot=th:8"); /* the SDK's own */
}

static void what_is_kept_without_knowing_has_no_threshold(void **state)
{
    (void)state;
    uint64_t c = threshold("0.25");
    assert_string_equal(after("", 0, c, WB_SAMPLING_UNKNOWN), "");
    assert_string_equal(after("x=1,ot=th:8;rv:c0000000000000,y=2", 0, c, WB_SAMPLING_UNKNOWN),
                        "ot=rv:c0000000000000,x=1,y=2");
    assert_string_equal(after("x=1", UINT64_C(0xf8000000000000), c, WB_SAMPLING_UNKNOWN), "x=1");
}

/* ---- the tracestate ------------------------------------------------------------------------- */

static void other_members_and_sub_keys_stay(void **state)
{
    (void)state;
    uint64_t c = threshold("0.25"), r = WB_SAMPLING_NEVER - 1;
    static const char *const cases[][2] = {
        {"wb=0123,a=1", "ot=th:c,wb=0123,a=1"},
        {"a=1,ot=p:8;th:8;r:62,b=2", "ot=th:c;p:8;r:62,a=1,b=2"},
        {" a=1 ,\tb=2,,", "ot=th:c,a=1,b=2"},
        {"ot=th:8,ot=th:f,a=1", "ot=th:c,a=1"}, /* the first counts, a key comes once */
        {"ot=", "ot=th:c"},
        {"no member at all", "ot=th:c,no member at all"},
        {"tenant@ot=th:f", "ot=th:c,tenant@ot=th:f"},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        assert_string_equal(after(cases[i][0], r, c, WB_SAMPLING_BY_CHANCE), cases[i][1]);
}

static void a_member_too_many_pushes_the_last_one_out(void **state)
{
    (void)state;
    char many[512], want[512];
    size_t n = 0, w = (size_t)snprintf(want, sizeof want, "ot=th:c");
    for (int i = 0; i < 32; i++) {
        n += (size_t)snprintf(many + n, sizeof many - n, "%sm%d=%d", i > 0 ? "," : "", i, i);
        if (i < 31) w += (size_t)snprintf(want + w, sizeof want - w, ",m%d=%d", i, i);
    }
    assert_string_equal(
        after(many, WB_SAMPLING_NEVER - 1, threshold("0.25"), WB_SAMPLING_BY_CHANCE), want);
}

static void a_member_that_would_be_too_long_loses_what_is_not_needed(void **state)
{
    (void)state;
    char long_one[400], want[400];
    uint64_t th = threshold("0.01");
    (void)snprintf(long_one, sizeof long_one, "ot=k:%0235d;rv:ffffffffffffff,a=1", 0);
    assert_string_equal(after(long_one, 0, th, WB_SAMPLING_BY_CHANCE),
                        "ot=th:fd70a4;rv:ffffffffffffff,a=1");
    (void)snprintf(long_one, sizeof long_one, "ot=k:%0226d;rv:ffffffffffffff", 0);
    (void)snprintf(want, sizeof want, "ot=th:fd70a4;k:%0226d;rv:ffffffffffffff", 0);
    assert_string_equal(after(long_one, 0, th, WB_SAMPLING_BY_CHANCE), want); /* 256 in all */
}

static void a_buffer_at_its_limit_is_no_memory(void **state)
{
    (void)state;
    wb_sampling_verdict verdict = {WB_SAMPLING_SET, threshold("0.25")};
    for (size_t limit = 0; limit < 13; limit++) {
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, limit);
        assert_int_equal(wb_sampling_write(WB_S("a=1,b=2"), verdict, &out), WB_ERR_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_ratio_is_refused),
        cmocka_unit_test(sub_keys_that_break_their_grammar_count_as_absent),
        cmocka_unit_test(thresholds_are_those_of_the_specification),
        cmocka_unit_test(a_threshold_is_as_near_as_its_digits_allow),
        cmocka_unit_test(of_random_traces_the_ratio_is_kept),
        cmocka_unit_test(whoever_keeps_less_keeps_a_part_of_what_others_keep),
        cmocka_unit_test(adjusted_counts_add_up),
        cmocka_unit_test(randomness_of_the_tracestate_goes_before_that_of_the_id),
        cmocka_unit_test(a_threshold_is_only_ever_raised),
        cmocka_unit_test(a_threshold_that_the_randomness_contradicts_is_erased),
        cmocka_unit_test(what_a_rule_keeps_was_kept_for_certain),
        cmocka_unit_test(what_is_kept_without_knowing_has_no_threshold),
        cmocka_unit_test(other_members_and_sub_keys_stay),
        cmocka_unit_test(a_member_too_many_pushes_the_last_one_out),
        cmocka_unit_test(a_member_that_would_be_too_long_loses_what_is_not_needed),
        cmocka_unit_test(a_buffer_at_its_limit_is_no_memory),
    };
    return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
