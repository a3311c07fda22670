/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delivery/hold.h"

#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MS WB_NS_PER_MS

static void without_a_hold_all_is_ripe(void **state)
{
    (void)state;
    wb_hold h;
    wb_hold_init(&h, 0, 3);
    assert_int_equal(wb_hold_look(&h, 1000, 17), 17);
}

static void nothing_is_ripe_before_its_time(void **state)
{
    (void)state;
    wb_hold h;
    wb_hold_init(&h, 100 * MS, 5);
    assert_int_equal(wb_hold_look(&h, 0, 5), 5);
    assert_int_equal(wb_hold_look(&h, 10 * MS, 6), 5);
    assert_int_equal(wb_hold_look(&h, 50 * MS, 9), 5);
    assert_int_equal(wb_hold_look(&h, 110 * MS - 1, 9), 5);
    assert_int_equal(wb_hold_look(&h, 110 * MS, 9), 6);
    assert_int_equal(wb_hold_look(&h, 150 * MS - 1, 9), 6);
    assert_int_equal(wb_hold_look(&h, 150 * MS, 20), 9);
    assert_int_equal(wb_hold_look(&h, 1000 * MS, 20), 20);
}

/* Whatever the rhythm: never early, and late by a 32nd and one look at most. */
static void what_is_seen_ripens_in_time_whatever_the_rhythm(void **state)
{
    (void)state;
    enum { STEPS = 20000 };
    static uint64_t written_at[STEPS + 1];
    for (uint64_t step_ms = 1; step_ms <= 250; step_ms = step_ms * 2 + 1) {
        wb_hold h;
        wb_hold_init(&h, 5000 * MS, 0);
        uint64_t late_ms = 5000 + 5000 / WB_HOLD_LOOKS + 2 * step_ms;
        for (uint64_t i = 1; i <= STEPS; i++) {
            uint64_t now = i * step_ms * MS;
            written_at[i] = now;
            uint64_t ripe = wb_hold_look(&h, now, i);
            if (ripe > 0) assert_true(now - written_at[ripe] >= 5000 * MS);
            if (ripe < i) assert_true(now - written_at[ripe + 1] <= late_ms * MS);
        }
    }
}

static void the_next_look_is_soon_enough(void **state)
{
    (void)state;
    wb_hold h;
    wb_hold_init(&h, 3200 * MS, 0);
    assert_int_equal(wb_hold_next_ns(&h, 0), 100 * MS);
    (void)wb_hold_look(&h, 0, 1);
    assert_int_equal(wb_hold_next_ns(&h, 1000 * MS), 100 * MS);
    assert_int_equal(wb_hold_next_ns(&h, 3190 * MS), 10 * MS);
    assert_int_equal(wb_hold_next_ns(&h, 4000 * MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_hold_all_is_ripe),
        cmocka_unit_test(nothing_is_ripe_before_its_time),
        cmocka_unit_test(what_is_seen_ripens_in_time_whatever_the_rhythm),
        cmocka_unit_test(the_next_look_is_soon_enough),
    };
    return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
