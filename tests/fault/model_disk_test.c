/* SPDX-License-Identifier: Apache-2.0 */
/* The crash search: nothing promised is lost, nothing is doubled, wherever the power goes; and the
 * search itself is proven, by a journal that forgets one sync at a time or answers too early.
 *
 * WAYBILL_CRASH_POINTS=n asks for more than the 10 000 of the core tier; WAYBILL_SEED=n for others. */
#include "tests/fault/journal_trial.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CRASH_POINTS = 10000, CRASHES_A_DISK = 500, SEARCH_POINTS = 40000, SITES_MAX = 16 };

static uint64_t from_environment(const char *name, uint64_t fallback)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe): there is one thread */
    return text ? strtoull(text, NULL, 10) : fallback;
}

static void add(wb_trial_result *sum, const wb_trial_result *one)
{
    sum->crashes += one->crashes;
    sum->kills += one->kills;
    sum->acknowledged += one->acknowledged;
    sum->lost += one->lost;
    sum->doubled += one->doubled;
    sum->invented += one->invented;
    sum->wrong_state += one->wrong_state;
    sum->false_alarms += one->false_alarms;
    sum->rolls += one->rolls;
    sum->snapshots += one->snapshots;
    sum->trims += one->trims;
    sum->faults += one->faults;
    sum->refusals += one->refusals;
}

static void print_counts(const wb_trial_result *r)
{
    print_message("model disk: %" PRIu64 " crash points, %" PRIu64 " lost, %" PRIu64 " doubled "
                  "(%" PRIu64 " invented, %" PRIu64 " wrong states, %" PRIu64 " false alarms)\n",
                  r->crashes, r->lost, r->doubled, r->invented, r->wrong_state, r->false_alarms);
    print_message("model disk: %" PRIu64 " frames promised, %" PRIu64 " kills, %" PRIu64 " rolls, "
                  "%" PRIu64 " snapshots, %" PRIu64 " trims, %" PRIu64 " failed calls, %" PRIu64
                  " times full\n",
                  r->acknowledged, r->kills, r->rolls, r->snapshots, r->trims, r->faults,
                  r->refusals);
}

/* Many disks one after the other; stops at the first finding and says how to see it again. */
static wb_trial_result search(wb_trial_options options, uint64_t points)
{
    wb_trial_result sum = {.crashes = 0};
    uint64_t seed = options.seed;
    for (; sum.crashes < points && wb_trial_findings(&sum) == 0; options.seed++) {
        wb_trial_result one;
        uint64_t left = points - sum.crashes;
        options.crashes = left < CRASHES_A_DISK ? (unsigned)left : CRASHES_A_DISK;
        wb_trial_run(&options, &one);
        add(&sum, &one);
        seed = options.seed;
    }
    if (wb_trial_findings(&sum) > 0)
        print_message("found with seed %" PRIu64 " after %" PRIu64 " crash points\n", seed,
                      sum.crashes);
    return sum;
}

static void nothing_promised_is_lost_or_doubled_wherever_the_power_goes(void **state)
{
    (void)state;
    wb_trial_options options = {.seed = from_environment("WAYBILL_SEED", 1)};
    uint64_t points = from_environment("WAYBILL_CRASH_POINTS", CRASH_POINTS);
    wb_trial_result sum = search(options, points);
    print_counts(&sum);
    assert_int_equal(wb_trial_findings(&sum), 0);
    assert_true(sum.crashes >= points);
    assert_true(sum.rolls > 0 && sum.snapshots > 0 && sum.trims > 0);
    assert_true(sum.faults > 0 && sum.refusals > 0 && sum.kills > 0);
}

static void starts_at_full_disks_lose_nothing_either(void **state)
{
    (void)state;
    wb_trial_options options = {.seed = from_environment("WAYBILL_SEED", 1), .tight = true};
    wb_trial_result sum =
        search(options, from_environment("WAYBILL_CRASH_POINTS", CRASH_POINTS) / 2);
    print_counts(&sum);
    assert_int_equal(wb_trial_findings(&sum), 0);
}

static void answering_before_the_commit_is_found(void **state)
{
    (void)state;
    wb_trial_result sum = search((wb_trial_options){.seed = 1, .early_ack = true}, SEARCH_POINTS);
    assert_true(sum.lost > 0);
}

static void removing_any_one_sync_is_found(void **state)
{
    (void)state;
    const char *sites[SITES_MAX];
    unsigned n = wb_trial_sites(sites, SITES_MAX - 1);
    assert_true(n > 0 && n < SITES_MAX);
    sites[n++] = "recover.wipe"; /* only a start on a full disk goes there */
    unsigned found = 0;
    for (unsigned i = 0; i < n; i++) {
        bool wipe = i + 1 == n;
        wb_trial_result sum = search(
            (wb_trial_options){.seed = 1, .ignored_site = sites[i], .tight = wipe}, SEARCH_POINTS);
        print_message("without the sync \"%s\": %" PRIu64 " lost, %" PRIu64
                      " wrong states, %" PRIu64 " false alarms\n",
                      sites[i], sum.lost, sum.wrong_state, sum.false_alarms);
        found += wb_trial_findings(&sum) > 0;
    }
    assert_int_equal(found, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_promised_is_lost_or_doubled_wherever_the_power_goes),
        cmocka_unit_test(starts_at_full_disks_lose_nothing_either),
        cmocka_unit_test(answering_before_the_commit_is_found),
        cmocka_unit_test(removing_any_one_sync_is_found),
    };
    return cmocka_run_group_tests_name("model_disk", tests, NULL, NULL);
}
