/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "sidecar/peer_key.h"
#include "sidecar/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BUCKETS = 700, START = 1000 };
static const wb_rate_limit limit = {.per_s = 10, .burst = 5};

static int setup(void **state)
{
    wb_rate *rate = NULL;
    if (wb_rate_new(BUCKETS, &rate, NULL) != WB_OK) return -1;
    *state = rate;
    return 0;
}

static int teardown(void **state)
{
    wb_rate_free(*state);
    return 0;
}

static unsigned drain(wb_rate *rate, uint64_t key, uint64_t mono)
{
    unsigned n = 0;
    while (n < 1000 && wb_rate_take(rate, key, &limit, mono)) n++;
    return n;
}

static void a_bucket_gives_its_burst_and_then_its_rate(void **state)
{
    uint64_t now = START * WB_NS_PER_S;
    assert_int_equal(drain(*state, 7, now), 5);
    assert_int_equal(drain(*state, 7, now + 99 * WB_NS_PER_MS), 0);
    assert_int_equal(drain(*state, 7, now + 100 * WB_NS_PER_MS), 1);
    assert_int_equal(drain(*state, 7, now + 400 * WB_NS_PER_MS), 3);
    assert_int_equal(drain(*state, 7, now + 3600 * WB_NS_PER_S), 5);
}

static void no_rate_is_no_limit(void **state)
{
    static const wb_rate_limit none = {.per_s = 0, .burst = 1};
    for (int i = 0; i < 10000; i++) assert_true(wb_rate_take(*state, 7, &none, WB_NS_PER_S));
}

static void one_peer_does_not_drain_another(void **state)
{
    uint64_t now = START * WB_NS_PER_S;
    for (uint64_t key = 1; key <= 100; key++) assert_int_equal(drain(*state, key, now), 5);
}

/* The attack: use up the bucket, have a million other names push it out, come back as new. */
static void a_million_names_do_not_refill_a_bucket(void **state)
{
    uint64_t now = START * WB_NS_PER_S;
    assert_int_equal(drain(*state, 7, now), 5);
    for (uint64_t name = 0; name < 1000000; name++)
        (void)wb_rate_take(*state, 0x9E3779B97F4A7C15 * (name + 100), &limit, now);
    assert_int_equal(drain(*state, 7, now), 0);
}

/* ... nor gain more from all these names together than the table holds buckets. */
static void names_without_end_share_what_there_is(void **state)
{
    uint64_t now = START * WB_NS_PER_S, taken = 0;
    for (uint64_t name = 0; name < 1000000; name++)
        taken += wb_rate_take(*state, 0x9E3779B97F4A7C15 * (name + 100), &limit, now);
    assert_true(taken <= BUCKETS + 5 * (BUCKETS / 7));
}

static void a_host_is_the_same_however_it_is_written(void **state)
{
    static const struct {
        const char *peer, *host;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7:4711", "192.0.2.7"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"[::ffff:192.0.2.7]:80", "192.0.2.7"},
        {"https://Example.ORG:443", "example.org"},
        {"https://example.org/", "example.org"},
        {"https://example.org/users/alice", ""},
        {"tenant:alice", ""},
        {"a b", ""},
        {"example.org:1", "example.org"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        {"[2001:db8:1:2:ffff::9]:443", "2001:db8:1:2::"},
        {"http://[2001:DB8:1:2::1]/", "2001:db8:1:2::"},
        {"fe80::1%eth0", "fe80::"},
        {"spiffe://example.org/a", ""},
        {"", ""},
        {"://", ""},
        {"[", ""},
        {":", ""},
    };
    char host[WB_PEER_HOST_MAX];
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        size_t len = wb_peer_host(wb_slice_str(cases[i].peer), host);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(len, strlen(host));
    }
}

static void a_peer_without_a_name_is_its_connection(void **state)
{
    wb_peer_secret secret, other;
    (void)state;
    wb_peer_secret_make(&secret);
    wb_peer_secret_make(&other);
    assert_true(wb_peer_key(&secret, WB_S(""), 1) != wb_peer_key(&secret, WB_S(""), 2));
    assert_true(wb_peer_key(&secret, WB_S("tenant:alice"), 1) !=
                wb_peer_key(&secret, WB_S("tenant:mallory"), 1));
    assert_true(wb_peer_key(&secret, WB_S("https://idp.example/users/alice"), 1) !=
                wb_peer_key(&secret, WB_S("https://idp.example/users/mallory"), 1));
    assert_true(wb_peer_key(&secret, WB_S("tenant:alice"), 1) ==
                wb_peer_key(&secret, WB_S("tenant:alice"), 2));
    assert_true(wb_peer_key(&secret, WB_S("a:1"), 1) == wb_peer_key(&secret, WB_S("a:2"), 2));
    assert_true(wb_peer_key(&secret, WB_S("a"), 1) != wb_peer_key(&other, WB_S("a"), 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bucket_gives_its_burst_and_then_its_rate, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(no_rate_is_no_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(one_peer_does_not_drain_another, setup, teardown),
        cmocka_unit_test_setup_teardown(a_million_names_do_not_refill_a_bucket, setup, teardown),
        cmocka_unit_test_setup_teardown(names_without_end_share_what_there_is, setup, teardown),
        cmocka_unit_test(a_host_is_the_same_however_it_is_written),
        cmocka_unit_test(a_peer_without_a_name_is_its_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
