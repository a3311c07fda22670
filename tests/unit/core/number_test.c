/* SPDX-License-Identifier: Apache-2.0 */
/* tests/vectors/test_digest_in_c.py compares 100 000 random doubles with Python's repr; here are the
 * published samples and the corners. */
#include "core/number.h"

#include "core/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <float.h>
#include <math.h>

static double of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_format(double value, const char *expected)
{
    char text[WB_NUMBER_MAX];
    size_t len = wb_number_format(value, text);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
}

static void the_samples_of_rfc_8785_come_out(void **state)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } samples[] = {
        /* appendix B */
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(samples); i++)
        check_format(of_bits(samples[i].bits), samples[i].text);
}

static void a_power_of_two_may_need_the_decimal_above(void **state)
{
    (void)state;
    check_format(ldexp(1, -44), "5.684341886080802e-14");
    check_format(ldexp(1, 89), "6.189700196426902e+26");
    check_format(ldexp(1, -24), "5.960464477539063e-8");
    check_format(ldexp(1, -1074), "5e-324");
    check_format(ldexp(1, -1030), "8.691694759794e-311"); /* 9 and 10 come first */
    check_format(ldexp(1, -1022), "2.2250738585072014e-308");
    check_format(ldexp(1, 1023), "8.98846567431158e+307");
}

static void the_places_where_exponents_begin_are_ecmascript_s(void **state)
{
    (void)state;
    check_format(1e20, "100000000000000000000");
    check_format(1e21, "1e+21");
    check_format(1.5e21, "1.5e+21");
    check_format(123456789012345680000.0, "123456789012345680000");
    check_format(1e-6, "0.000001");
    check_format(1.25e-6, "0.00000125");
    check_format(1e-7, "1e-7");
    check_format(-1.25e-7, "-1.25e-7");
    check_format(0.1, "0.1");
    check_format(-0.5, "-0.5");
    check_format(4.50, "4.5");
    check_format(123.456, "123.456");
    check_format(10, "10");
    check_format(DBL_MIN / 2, "1.1125369292536007e-308");
    check_format(9.5e-322, "9.5e-322");
}

static wb_status parse(const char *text, double *out)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 16);
    assert_non_null(arena);
    return wb_number_parse(wb_slice_str(text), arena, out);
}

static void numbers_beyond_the_doubles_are_refused(void **state)
{
    static const char *const bad[] = {"1e309", "-1e309", "1.7976931348623159e308",
                                      "1e99999999999999999999999999", "10000e305"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        double value = 7;
        assert_int_equal(parse(bad[i], &value), WB_ERR_MALFORMED);
        assert_true(value == 7);
    }
}

static void numbers_are_rounded_to_the_nearest_double(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"-0", 0},
        {"0e999999999999999999999", 0},
        {"1e-99999999999999999999", 0},
        {"-12.5e3", -12500},
        {"1.5E+2", 150},
        {"0.00000000000000000000001e23", 1},
        {"9007199254740993", 9007199254740992}, /* half way: to even */
        {"9007199254740993.0000000001", 9007199254740994},
        {"1.7976931348623158e308", DBL_MAX},
        {"2.4703282292062327e-324", 0}, /* just below half of the least */
        {"2.4703282292062328e-324", 4.9406564584124654e-324},
        {"0.1", 0.1},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        double value = 7;
        assert_int_equal(parse(cases[i].text, &value), WB_OK);
        if (value != cases[i].value) fail_msg("%s is %.17g", cases[i].text, value);
    }
}

static void digits_and_exponents_that_cancel_out_are_summed_up(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 20);
    WB_AUTO_BUFFER text;
    double value = 0;
    (void)state;
    assert_non_null(arena);
    wb_buffer_init(&text, 1 << 20);
    assert_int_equal(wb_buffer_printf(&text, "0.%0100000d1e100001", 0), WB_OK);
    assert_int_equal(wb_number_parse(wb_buffer_slice(&text), arena, &value), WB_OK);
    assert_true(value == 1);
    wb_buffer_clear(&text);
    assert_int_equal(wb_buffer_printf(&text, "7%0100000de-100000", 0), WB_OK);
    assert_int_equal(wb_number_parse(wb_buffer_slice(&text), arena, &value), WB_OK);
    assert_true(value == 7);
}

static void a_full_arena_says_so(void **state)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(16);
    double value;
    (void)state;
    assert_non_null(arena);
    assert_int_equal(wb_number_parse(WB_S("1.5"), arena, &value), WB_ERR_NO_MEMORY);
}

static void every_text_reads_as_its_number_again(void **state)
{
    uint64_t bits = UINT64_C(0x9e3779b97f4a7c15);
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[WB_NUMBER_MAX];
        bits = bits * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double value = of_bits(bits);
        if (!isfinite(value)) continue;
        assert_in_range(wb_number_format(value, text), 1, 25);
        assert_true(strtod(text, NULL) == value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_beyond_the_doubles_are_refused),
        cmocka_unit_test(a_full_arena_says_so),
        cmocka_unit_test(numbers_are_rounded_to_the_nearest_double),
        cmocka_unit_test(digits_and_exponents_that_cancel_out_are_summed_up),
        cmocka_unit_test(the_samples_of_rfc_8785_come_out),
        cmocka_unit_test(a_power_of_two_may_need_the_decimal_above),
        cmocka_unit_test(the_places_where_exponents_begin_are_ecmascript_s),
        cmocka_unit_test(every_text_reads_as_its_number_again),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
