/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/json_value.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/number.h"
#include "proto/otlp_schema.h"
#include "tests/support/otlp_sample.h"

static void integers_are_taken_in_every_way_of_writing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t magnitude;
        bool negative;
    } cases[] = {
        {"0", 0, false},
        {"-0", 0, false},
        {"7", 7, false},
        {"-7", 7, true},
        {"18446744073709551615", UINT64_MAX, false},
        {"-18446744073709551615", UINT64_MAX, true},
        {"9999999999999999999", UINT64_C(9999999999999999999), false},
        {"1.0", 1, false},
        {"1.000000000000000000000000000000", 1, false},
        {"120e-1", 12, false},
        {"1.5e1", 15, false},
        {"0.00015E+5", 15, false},
        {"0e999999999999999999999", 0, false},
        {"0.000e-5", 0, false},
        {"1844674407370955161.5e1", UINT64_MAX, false},
        {"1e19", UINT64_C(10000000000000000000), false},
        {"100000000000000000000000e-23", 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wb_json_integer n = {99, true};
        if (!wb_json_integer_of(wb_slice_str(cases[i].text), &n)) fail_msg("%s", cases[i].text);
        assert_true(n.magnitude == cases[i].magnitude && n.negative == cases[i].negative);
    }
}

static void what_is_no_whole_number_below_two_to_the_64_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "-",
                                        "+1",
                                        "01",
                                        "-01",
                                        "1.",
                                        ".5",
                                        "1e",
                                        "1e+",
                                        "0x1",
                                        "1 ",
                                        " 1",
                                        "1.5",
                                        "15e-2",
                                        "1a",
                                        "--1",
                                        "1e-1",
                                        "1e20",
                                        "18446744073709551616",
                                        "1e999999999999999999999999",
                                        "1e-999999999999999999999999",
                                        "0.1",
                                        "NaN",
                                        "100000000000000000000",
                                        "1.0000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wb_json_integer n = {99, true};
        if (wb_json_integer_of(wb_slice_str(cases[i]), &n)) fail_msg("%s", cases[i]);
        assert_true(n.magnitude == 99);
    }
}

static double real_of(const char *text)
{
    char room[1024];
    double value = 0;
    assert_true(strlen(text) + WB_NUMBER_MAX <= sizeof room);
    if (!wb_json_real_of(wb_slice_str(text), room, &value)) fail_msg("%s", text);
    return value;
}

static void assert_reads_as_strtod(const char *text)
{
    double got = real_of(text), want = strtod(text, NULL);
    uint64_t got_bits, want_bits; /* -0 is not 0 */
    memcpy(&got_bits, &got, sizeof got);
    memcpy(&want_bits, &want, sizeof want);
    if (got_bits != want_bits) fail_msg("%s: %a", text, got);
}

static void doubles_are_those_of_strtod(void **state)
{
    (void)state;
    static const char *const cases[] = {"0",
                                        "-0",
                                        "0.7",
                                        "1e22",
                                        "1e23",
                                        "-1e-22",
                                        "123456.789",
                                        "9007199254740992",
                                        "9007199254740993",
                                        "9007199254740993e-22",
                                        "5e-324",
                                        "1.7976931348623157e308",
                                        "0.30000000000000004",
                                        "2.2250738585072011e-308",
                                        "1E+2",
                                        "0.000001",
                                        "3.14159",
                                        "99999999999999999999999e-23",
                                        "1234567890123456789",
                                        "0.1e1",
                                        "1e-400"};
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) assert_reads_as_strtod(cases[i]);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        unsigned long long digits = wb_sample_next(&seed) >> (wb_sample_next(&seed) % 60);
        int exponent = (int)(wb_sample_next(&seed) % 61) - 30;
        (void)snprintf(text, sizeof text, "%llue%d", digits, exponent);
        assert_reads_as_strtod(text);
    }
    double value = 1;
    char room[64];
    assert_false(wb_json_real_of(wb_slice_str("1e309"), room, &value));
    assert_false(wb_json_real_word(wb_slice_str("infinity"), &value));
    assert_true(value == 1);
    assert_true(wb_json_real_word(wb_slice_str("Infinity"), &value) && value == (double)INFINITY);
    assert_true(wb_json_real_word(wb_slice_str("-Infinity"), &value) && value == -(double)INFINITY);
    assert_true(wb_json_real_word(wb_slice_str("NaN"), &value) && isnan(value));
}

static void hex_and_base64_are_read_and_nothing_else(void **state)
{
    (void)state;
    uint8_t out[16];
    size_t len;
    assert_true(wb_json_hex_of(WB_S("00fFA9a0"), out));
    assert_memory_equal(out, "\0\xff\xa9\xa0", 4);
    for (unsigned c = 0; c < 256; c++) {
        uint8_t pair[2] = {'0', (uint8_t)c};
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        assert_true(wb_json_hex_of(wb_slice_of(pair, 2), out) == hex);
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c && strchr("+-/_", (int)c));
        assert_true(wb_json_base64_of(wb_slice_of(pair, 2), out, &len) == digit);
    }
    assert_false(wb_json_hex_of(WB_S("abc"), out));
    assert_true(wb_json_base64_of(WB_S(""), out, &len) && len == 0);
    assert_true(wb_json_base64_of(WB_S("Zg=="), out, &len) && len == 1 && out[0] == 'f');
    assert_true(wb_json_base64_of(WB_S("Zm8"), out, &len) && len == 2 && out[1] == 'o');
    assert_true(wb_json_base64_of(WB_S("Zm9vYg"), out, &len) && len == 4 && out[3] == 'b');
    static const char *const bad[] = {"Z",    "Zg=",      "Zm9=v", "=",
                                      "====", "Zg==Zg==", "Zm9vY", "Z==="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (wb_json_base64_of(wb_slice_str(bad[i]), out, &len)) fail_msg("%s", bad[i]);
}

/* ---- the tables ------------------------------------------------------------------------------ */

/* What the readers rely on. */
static void check_message(const wb_otlp_message *type, unsigned depth)
{
    assert_true(depth < 12 && type->count <= 32);
    assert_int_equal(type->fields[0].kind, WB_FIELD_NONE);
    for (unsigned n = 1; n < type->count; n++) {
        const wb_otlp_field *field = &type->fields[n];
        if (field->kind == WB_FIELD_NONE) continue;
        assert_int_equal(strlen(field->name), field->name_len);
        assert_true(field->name_len >= 3 && field->name_len <= 24);
        assert_true((field->kind == WB_FIELD_MESSAGE) == (field->message != NULL));
        assert_true(!field->repeated || !field->oneof);
        for (unsigned k = 1; k < n; k++)
            assert_true(type->fields[k].kind == WB_FIELD_NONE ||
                        strcmp(type->fields[k].name, field->name) != 0);
        if (field->message && field->message->role != WB_MESSAGE_VALUE)
            check_message(field->message, depth + 1);
    }
}

static void the_tables_hold_what_the_readers_rely_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WB_SIGNALS; i++) check_message(wb_otlp_requests[i], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_taken_in_every_way_of_writing),
        cmocka_unit_test(what_is_no_whole_number_below_two_to_the_64_is_refused),
        cmocka_unit_test(doubles_are_those_of_strtod),
        cmocka_unit_test(hex_and_base64_are_read_and_nothing_else),
        cmocka_unit_test(the_tables_hold_what_the_readers_rely_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
