/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/framing.h"

#include "core/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first */
#include <cmocka.h>

enum { LIMIT = 1000 };

static void another_handshake_is_refused(void **state)
{
    const uint8_t good[] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    (void)state;
    assert_null(wb_framing_check_handshake(good));
    for (size_t i = 0; i < sizeof good; i++) {
        uint8_t bad[sizeof good];
        memcpy(bad, good, sizeof bad);
        bad[i] ^= 1;
        assert_string_equal(wb_framing_check_handshake(bad), "not nng's REQ protocol");
    }
    assert_non_null(wb_framing_check_handshake(wb_framing_greeting)); /* REP to REP */
}

static void lengths_out_of_range_are_refused_before_anything_is_taken(void **state)
{
    static const struct {
        uint64_t len;
        const char *fault;
    } cases[] = {
        {0, "a message without request id"},
        {3, "a message without request id"},
        {LIMIT + 1, "a message larger than the limit"},
        {UINT64_C(1) << 32, "a message larger than the limit"},
        {UINT64_MAX, "a message larger than the limit"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        uint8_t head[WB_FRAMING_HEAD];
        uint64_t len = 77;
        wb_framing_put_head(cases[i].len, head);
        assert_string_equal(wb_framing_read_head(head, LIMIT, &len), cases[i].fault);
        assert_int_equal(len, 77);
    }
}

static void a_head_is_read_as_it_was_written(void **state)
{
    const uint64_t lens[] = {4, 5, 255, 256, LIMIT};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(lens); i++) {
        uint8_t head[WB_FRAMING_HEAD];
        uint64_t len = 0;
        wb_framing_put_head(lens[i], head);
        assert_null(wb_framing_read_head(head, LIMIT, &len));
        assert_int_equal(len, lens[i]);
        head[0] = 2;
        assert_string_equal(wb_framing_read_head(head, LIMIT, &len), "not nng's framing");
    }
}

static void what_came_through_a_device_is_refused(void **state)
{
    const uint8_t direct[] = {0x80, 0, 0, 0}, hop[] = {0x7f, 0xff, 0xff, 0xff};
    (void)state;
    assert_null(wb_framing_check_message(direct));
    assert_non_null(wb_framing_check_message(hop));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_handshake_is_refused),
        cmocka_unit_test(lengths_out_of_range_are_refused_before_anything_is_taken),
        cmocka_unit_test(a_head_is_read_as_it_was_written),
        cmocka_unit_test(what_came_through_a_device_is_refused),
    };
    return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
