/* SPDX-License-Identifier: Apache-2.0 */
#include "core/histogram.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { THREADS = 4, EACH = 10000, SHORT = 15 };

static void a_bound_belongs_to_its_bucket(void **state)
{
    wb_histogram h = {0};
    wb_histogram_view v;
    (void)state;
    for (size_t i = 0; i < SHORT; i++)
        wb_histogram_observe(&h, &wb_bounds_short, wb_bounds_short.at[i]);
    wb_histogram_read(&h, &wb_bounds_short, &v);
    for (size_t i = 0; i < SHORT; i++) assert_int_equal(v.upto[i], i + 1);
    assert_int_equal(v.count, SHORT);
    for (size_t i = 0; i < SHORT; i++)
        wb_histogram_observe(&h, &wb_bounds_short, wb_bounds_short.at[i] + 1);
    wb_histogram_read(&h, &wb_bounds_short, &v);
    assert_int_equal(v.upto[0], 1);
    for (size_t i = 1; i < SHORT; i++) assert_int_equal(v.upto[i], 2 * i + 1);
    assert_int_equal(v.count, 2 * SHORT);
}

static void what_is_above_every_bound_is_in_the_count_and_the_sum_alone(void **state)
{
    wb_histogram h = {0};
    wb_histogram_view v;
    uint64_t day = UINT64_C(86400) * 1000 * 1000 * 1000;
    (void)state;
    wb_histogram_observe(&h, &wb_bounds_long, day);
    wb_histogram_observe(&h, &wb_bounds_long, 0);
    wb_histogram_read(&h, &wb_bounds_long, &v);
    assert_int_equal(v.upto[0], 1);
    assert_int_equal(v.upto[SHORT - 1], 1);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.sum, day);
}

static void bounds_rise(void **state)
{
    const wb_bounds *all[] = {&wb_bounds_short, &wb_bounds_long};
    (void)state;
    for (size_t b = 0; b < 2; b++)
        for (size_t i = 1; i < SHORT; i++) assert_true(all[b]->at[i] > all[b]->at[i - 1]);
}

static void fewer_bounds_have_their_last_bucket_behind_them(void **state)
{
    static const wb_bounds few = {.n = 3, .unit = WB_BOUNDS_NUMBER, .at = {1, 4, 16}};
    wb_histogram h = {0};
    wb_histogram_view v;
    (void)state;
    for (uint64_t value = 0; value <= 17; value++) wb_histogram_observe_alone(&h, &few, value);
    wb_histogram_read(&h, &few, &v);
    assert_int_equal(v.upto[0], 2);
    assert_int_equal(v.upto[1], 5);
    assert_int_equal(v.upto[2], 17);
    assert_int_equal(v.count, 18);
    assert_int_equal(v.sum, 17 * 18 / 2);
}

static void *observe_often(void *arg)
{
    for (int i = 0; i < EACH; i++) wb_histogram_observe(arg, &wb_bounds_short, (uint64_t)i * 1000);
    return NULL;
}

static void threads_lose_no_observation_and_a_reader_meets_no_falling_bucket(void **state)
{
    static wb_histogram h;
    pthread_t threads[THREADS];
    wb_histogram_view v;
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, observe_often, &h), 0);
    for (int n = 0; n < 1000; n++) {
        wb_histogram_read(&h, &wb_bounds_short, &v);
        for (size_t i = 1; i < SHORT; i++) assert_true(v.upto[i] >= v.upto[i - 1]);
        assert_true(v.count >= v.upto[SHORT - 1]);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    wb_histogram_read(&h, &wb_bounds_short, &v);
    assert_int_equal(v.count, THREADS * EACH);
    assert_int_equal(v.sum, (uint64_t)THREADS * EACH * (EACH - 1) / 2 * 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_belongs_to_its_bucket),
        cmocka_unit_test(what_is_above_every_bound_is_in_the_count_and_the_sum_alone),
        cmocka_unit_test(bounds_rise),
        cmocka_unit_test(fewer_bounds_have_their_last_bucket_behind_them),
        cmocka_unit_test(threads_lose_no_observation_and_a_reader_meets_no_falling_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
