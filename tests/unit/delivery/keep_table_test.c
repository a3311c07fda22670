/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delivery/keep_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static size_t place = 0; /* of what differs between the ids */

/* Neighbours, so that a table without a good hash would fill one corner. */
static wb_trace_id trace(uint32_t n)
{
    wb_trace_id id = {{0}};
    for (size_t i = 0; i < 4; i++) id.b[place + i] = (uint8_t)(n >> (24 - 8 * i));
    id.b[place ^ 8] |= 1;
    return id;
}

static void add(wb_keep_table *t, uint32_t n, uint64_t seq, uint64_t passed)
{
    wb_trace_id id = trace(n);
    wb_keep_table_add(t, &id, seq, passed);
}

static bool has(wb_keep_table *t, uint32_t n)
{
    wb_trace_id id = trace(n);
    return wb_keep_table_has(t, &id, 0);
}

static void what_was_never_added_is_not_there(void **state)
{
    (void)state;
    wb_keep_table *t = wb_keep_table_new();
    assert_non_null(t);
    assert_false(has(t, 1));
    add(t, 1, 10, 0);
    assert_true(has(t, 1));
    assert_false(has(t, 2));
    assert_int_equal(wb_keep_table_count(t), 1);
    assert_int_equal(wb_keep_table_blind_until(t), 0);
    wb_keep_table_free(t);
    wb_keep_table_free(NULL);
}

static void all_that_fit_are_known_and_then_it_is_blind(void **state)
{
    (void)state;
    wb_keep_table *t = wb_keep_table_new();
    for (uint32_t n = 1; n <= WB_KEEP_TRACES_MAX; n++) add(t, n, n, 0);
    assert_int_equal(wb_keep_table_count(t), WB_KEEP_TRACES_MAX);
    assert_int_equal(wb_keep_table_blind_until(t), 0);
    add(t, 1, WB_KEEP_TRACES_MAX + 7, 0); /* again: needs no room */
    assert_int_equal(wb_keep_table_blind_until(t), 0);
    add(t, WB_KEEP_TRACES_MAX + 1, WB_KEEP_TRACES_MAX + 9, 0);
    assert_int_equal(wb_keep_table_blind_until(t), WB_KEEP_TRACES_MAX + 9);
    for (uint32_t n = 1; n <= WB_KEEP_TRACES_MAX; n++) assert_true(has(t, n));
    assert_false(has(t, WB_KEEP_TRACES_MAX + 1));
    wb_keep_table_free(t);
}

static void what_delivery_has_passed_makes_room_the_oldest_first(void **state)
{
    (void)state;
    wb_keep_table *t = wb_keep_table_new();
    uint64_t passed = WB_KEEP_TRACES_MAX / 2;
    for (uint32_t n = 1; n <= WB_KEEP_TRACES_MAX; n++) add(t, n, n, 0);
    add(t, 1000000, WB_KEEP_TRACES_MAX + 1, passed);
    assert_int_equal(wb_keep_table_blind_until(t), 0);
    assert_true(has(t, 1000000));
    assert_false(has(t, 1));
    assert_true(has(t, (uint32_t)passed)); /* of the younger half */
    for (uint32_t n = (uint32_t)passed + 1; n <= WB_KEEP_TRACES_MAX; n++) assert_true(has(t, n));
    wb_keep_table_free(t);
}

static void a_trace_that_goes_on_is_remembered_longer(void **state)
{
    (void)state;
    wb_keep_table *t = wb_keep_table_new();
    for (uint32_t n = 1; n <= WB_KEEP_TRACES_MAX; n++) add(t, n, n, 0);
    wb_trace_id first = trace(1);
    assert_true(wb_keep_table_has(t, &first, WB_KEEP_TRACES_MAX));
    add(t, 1000000, WB_KEEP_TRACES_MAX + 1, WB_KEEP_TRACES_MAX - 1);
    assert_true(has(t, 1));
    assert_false(has(t, 2));
    wb_keep_table_free(t);
}

/* Were they to meet in one place, this would take hours. */
static void ids_that_count_up_anywhere_are_spread(void **state)
{
    (void)state;
    for (place = 0; place <= 12; place++) {
        wb_keep_table *t = wb_keep_table_new();
        for (uint32_t n = 1; n <= WB_KEEP_TRACES_MAX; n++) add(t, n, n, 0);
        for (uint32_t n = 1; n <= WB_KEEP_TRACES_MAX; n++) assert_true(has(t, n));
        assert_false(has(t, WB_KEEP_TRACES_MAX + 1));
        wb_keep_table_free(t);
    }
    place = 0;
}

static void a_flood_that_never_ends_keeps_its_bound(void **state)
{
    (void)state;
    wb_keep_table *t = wb_keep_table_new();
    uint64_t behind = WB_KEEP_TRACES_MAX / 4;
    for (uint32_t n = 1; n <= 20 * WB_KEEP_TRACES_MAX; n++) {
        add(t, n, n, n > behind ? n - behind : 0);
        assert_true(has(t, n));
        assert_true(wb_keep_table_count(t) <= WB_KEEP_TRACES_MAX);
    }
    assert_int_equal(wb_keep_table_blind_until(t), 0);
    wb_keep_table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_never_added_is_not_there),
        cmocka_unit_test(all_that_fit_are_known_and_then_it_is_blind),
        cmocka_unit_test(what_delivery_has_passed_makes_room_the_oldest_first),
        cmocka_unit_test(a_trace_that_goes_on_is_remembered_longer),
        cmocka_unit_test(ids_that_count_up_anywhere_are_spread),
        cmocka_unit_test(a_flood_that_never_ends_keeps_its_bound),
    };
    return cmocka_run_group_tests_name("keep_table", tests, NULL, NULL);
}
