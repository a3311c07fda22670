/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void anything_but_lower_case_hex_of_the_right_length_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",     "0",    "000",   "00000", "00A0", "000g", "g000", "0x00",
        " 000", "000 ", "00\n0", "00-0",  "00/0", "00:0", "00`0", "\xff\xff\xff\xff",
    };
    for (size_t i = 0; i < WB_COUNT(refused); i++) {
        uint8_t out[2] = {7, 7};
        assert_int_equal(wb_unhex(wb_slice_str(refused[i]), out, 2), WB_ERR_MALFORMED);
        assert_int_equal(out[0], 7); /* untouched */
        assert_int_equal(out[1], 7);
    }
}

static void all_zeros_is_absent(void **state)
{
    (void)state;
    wb_span_id id = {{0}};
    assert_true(WB_ID_ABSENT(id));
    for (size_t i = 0; i < sizeof id.b; i++) {
        id.b[i] = 1;
        assert_false(WB_ID_ABSENT(id));
        id.b[i] = 0;
    }
}

static void hex_comes_back_as_it_went(void **state)
{
    (void)state;
    uint8_t bytes[256], again[256];
    char hex[2 * sizeof bytes + 1];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)i;
    wb_hex(bytes, sizeof bytes, hex);
    assert_memory_equal(hex, "000102030405060708090a0b0c0d0e0f10", 34);
    assert_int_equal(strlen(hex), 512);
    assert_int_equal(wb_unhex(wb_slice_str(hex), again, sizeof again), WB_OK);
    assert_memory_equal(again, bytes, sizeof bytes);
}

static void new_ids_are_there_and_differ(void **state)
{
    (void)state;
    wb_id ids[64];
    for (size_t i = 0; i < WB_COUNT(ids); i++) {
        ids[i] = wb_id_new();
        assert_false(WB_ID_ABSENT(ids[i]));
        for (size_t k = 0; k < i; k++) assert_false(WB_ID_EQ(ids[i], ids[k]));
    }
    assert_false(WB_ID_ABSENT(wb_trace_id_new()));
    assert_false(WB_ID_ABSENT(wb_span_id_new()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anything_but_lower_case_hex_of_the_right_length_is_refused),
        cmocka_unit_test(all_zeros_is_absent),
        cmocka_unit_test(hex_comes_back_as_it_went),
        cmocka_unit_test(new_ids_are_there_and_differ),
    };
    return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
