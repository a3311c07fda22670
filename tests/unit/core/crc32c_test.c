/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crc32c.h"
#include "core/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct answer {
    uint8_t first, step; /* 32 bytes: first, first + step, ... */
    uint32_t crc;
} answer;

/* RFC 3720 appendix B.4 */
static const answer answers[] = {
    {0x00, 0, 0x8A9136AA},
    {0xFF, 0, 0x62A8AB43},
    {0x00, 1, 0x46DD794E},
    {0x1F, 0xFF, 0x113FDB5C},
};

static void both_ways_give_the_answers_of_the_rfc(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(answers); i++) {
        uint8_t bytes[32];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (uint8_t)(answers[i].first + k * answers[i].step);
        assert_int_equal(wb_crc32c(0, bytes, sizeof bytes), answers[i].crc);
        assert_int_equal(wb_crc32c_portable(0, bytes, sizeof bytes), answers[i].crc);
    }
}

static void nothing_has_the_crc_0(void **state)
{
    (void)state;
    assert_int_equal(wb_crc32c(0, "", 0), 0);
    assert_int_equal(wb_crc32c_portable(0, "", 0), 0);
}

static void both_ways_agree_on_every_length_alignment_and_cut(void **state)
{
    (void)state;
    uint8_t bytes[96];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 151 + 7);
    for (size_t from = 0; from < 9; from++) {
        for (size_t len = 0; from + len <= sizeof bytes; len++) {
            uint32_t whole = wb_crc32c_portable(0, bytes + from, len);
            size_t cut = len / 3;
            uint32_t begun = wb_crc32c(0, bytes + from, cut);
            assert_int_equal(wb_crc32c(0, bytes + from, len), whole);
            assert_int_equal(wb_crc32c(begun, bytes + from + cut, len - cut), whole);
            assert_int_equal(wb_crc32c_portable(begun, bytes + from + cut, len - cut), whole);
        }
    }
}

/* Long enough for several lanes, and around where they begin and end. */
static void both_ways_agree_on_long_input(void **state)
{
    (void)state;
    static uint8_t bytes[3 * 3 * 1024 + 64];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 151 + i / 251 + 7);
    for (size_t lanes = 0; lanes <= 9; lanes++) {
        for (size_t more = 0; more < 40; more++) {
            size_t len = lanes * 1024 + more, from = more % 9;
            assert_int_equal(wb_crc32c((uint32_t)more, bytes + from, len),
                             wb_crc32c_portable((uint32_t)more, bytes + from, len));
        }
    }
}

static void one_bit_changes_it(void **state)
{
    (void)state;
    uint8_t bytes[40] = {0};
    uint32_t before = wb_crc32c(0, bytes, sizeof bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(wb_crc32c(0, bytes, sizeof bytes), before);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_give_the_answers_of_the_rfc),
        cmocka_unit_test(nothing_has_the_crc_0),
        cmocka_unit_test(both_ways_agree_on_every_length_alignment_and_cut),
        cmocka_unit_test(both_ways_agree_on_long_input),
        cmocka_unit_test(one_bit_changes_it),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
