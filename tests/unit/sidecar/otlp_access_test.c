/* SPDX-License-Identifier: Apache-2.0 */
/* Who is at the other end, asked of the real kernel about real sockets. */
#include "core/clock.h"
#include "sidecar/receivers/listen.h"
#include "sidecar/receivers/otlp/access.h"
#include "sidecar/receivers/otlp/peers.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PLACES = 40, CLIENTS_MAX = 64 };
static const char TOKEN[] = "c2VjcmV0";

typedef struct held_clock {
    wb_clock clock;
    uint64_t mono;
} held_clock;

static uint64_t held_mono(const wb_clock *clock)
{
    return ((const held_clock *)(const void *)clock)->mono;
}
static wb_time_ns held_wall(const wb_clock *clock) { return held_mono(clock); }

typedef struct fixture {
    held_clock clock;
    wb_otlp_access *access;
    wb_otlp_peers *peers;
    bool we_are_the_agent;
    int listener;
    uint16_t port;
    int near[CLIENTS_MAX], far[CLIENTS_MAX]; /* of each connection: ours, the client's */
    wb_otlp_visitor *visitors[CLIENTS_MAX];
    int n;
} fixture;

static bool is_agent(void *self, uint64_t uid)
{
    return ((fixture *)self)->we_are_the_agent && uid == geteuid();
}

static int teardown(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < f->n; i++) {
        wb_otlp_peers_leave(f->peers, f->visitors[i]);
        (void)close(f->near[i]);
        if (f->far[i] >= 0) (void)close(f->far[i]);
    }
    if (f->listener >= 0) (void)close(f->listener);
    wb_otlp_peers_free(f->peers);
    wb_otlp_access_free(f->access);
    free(f);
    return 0;
}

static wb_status open_all(fixture *f, const char *host)
{
    wb_listen where;
    const wb_otlp_access_options options = {
        .bearer = wb_slice_str(TOKEN), .is_agent = is_agent, .self = f};
    WB_TRY(wb_listen_make("test", host, 0, false, &where, NULL));
    WB_TRY(wb_listen_open("test", &where, CLIENTS_MAX, &f->listener, &f->port, NULL));
    WB_TRY(wb_otlp_access_open(&options, &f->access, NULL));
    return wb_otlp_peers_new(f->access, &f->clock.clock, PLACES, &f->peers, NULL);
}

static int setup_at(void **state, const char *host)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    *state = f;
    f->clock = (held_clock){{held_wall, held_mono}, 1000 * WB_NS_PER_S};
    f->we_are_the_agent = true;
    f->listener = -1;
    if (open_all(f, host) == WB_OK) return 0;
    (void)teardown(state); /* after a setup that fails there is none */
    return -1;
}

static int setup(void **state) { return setup_at(state, "127.0.0.1:0"); }
static int setup_six(void **state) { return setup_at(state, "[::1]:0"); }
static int setup_both(void **state) { return setup_at(state, "[::]:0"); }

/* A client connects; returns its number. */
static int connect_to(fixture *f, int family)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(f->port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    int i = f->n, rv;
    f->far[i] = socket(family, SOCK_STREAM, 0);
    assert_true(f->far[i] >= 0);
    rv = family == AF_INET ? connect(f->far[i], (void *)&v4, sizeof v4)
                           : connect(f->far[i], (void *)&v6, sizeof v6);
    assert_int_equal(rv, 0);
    f->near[i] = accept(f->listener, NULL, NULL);
    assert_true(f->near[i] >= 0);
    f->visitors[i] = NULL;
    f->n++;
    return i;
}

static void the_kernel_names_the_user(void **state)
{
    fixture *f = *state;
    if (!wb_otlp_access_knows_users(f->access)) fail_msg("this kernel has no SOCK_DIAG");
    int i = connect_to(f, AF_INET);
    assert_int_equal(wb_otlp_peer(f->access, f->near[i]), geteuid());
    (void)shutdown(f->far[i], SHUT_WR); /* it is still his */
    assert_int_equal(wb_otlp_peer(f->access, f->near[i]), geteuid());
}

static void the_kernel_names_the_user_over_ipv6(void **state)
{
    fixture *f = *state;
    int i = connect_to(f, AF_INET6);
    assert_int_equal(wb_otlp_peer(f->access, f->near[i]), geteuid());
}

static void one_socket_for_both_families_knows_both(void **state)
{
    fixture *f = *state;
    int four = connect_to(f, AF_INET), six = connect_to(f, AF_INET6);
    assert_int_equal(wb_otlp_peer(f->access, f->near[four]), geteuid());
    assert_int_equal(wb_otlp_peer(f->access, f->near[six]), geteuid());
}

static void who_has_closed_is_nobody(void **state)
{
    fixture *f = *state;
    int i = connect_to(f, AF_INET);
    (void)close(f->far[i]);
    f->far[i] = -1;
    assert_true(wb_otlp_peer(f->access, f->near[i]) == WB_OTLP_PEER_UNKNOWN);
    assert_true(wb_otlp_peer(f->access, f->listener) == WB_OTLP_PEER_UNKNOWN);
    assert_true(wb_otlp_peer(f->access, -1) == WB_OTLP_PEER_UNKNOWN);
}

static void the_agent_needs_nothing_and_others_the_bearer(void **state)
{
    static const struct {
        const char *header;
        wb_otlp_caller caller;
    } cases[] = {
        {"", WB_OTLP_DENIED},
        {"Bearer", WB_OTLP_DENIED},
        {"Bearer ", WB_OTLP_DENIED},
        {"Bearer c2VjcmV", WB_OTLP_DENIED},
        {"Bearer c2VjcmV0x", WB_OTLP_DENIED},
        {"Bearer C2VjcmV0", WB_OTLP_DENIED},
        {"Basic c2VjcmV0", WB_OTLP_DENIED},
        {"c2VjcmV0", WB_OTLP_DENIED},
        {"Bearer c2VjcmV0", WB_OTLP_AGENT},
        {"bearer   c2VjcmV0  ", WB_OTLP_AGENT},
    };
    fixture *f = *state;
    assert_int_equal(wb_otlp_admit(f->access, geteuid(), WB_S("")), WB_OTLP_AGENT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wb_slice header = wb_slice_str(cases[i].header);
        assert_int_equal(wb_otlp_admit(f->access, 12345, header), cases[i].caller);
        assert_int_equal(wb_otlp_admit(f->access, WB_OTLP_PEER_UNKNOWN, header), cases[i].caller);
    }
    assert_true(wb_otlp_access_has_bearer(f->access));
    assert_non_null(strstr(wb_otlp_access_advice(f->access, 12345, false), "otlp.bearer_file"));
}

static void without_a_bearer_none_is_right(void **state)
{
    fixture *f = *state;
    wb_otlp_access *bare = NULL;
    const wb_otlp_access_options options = {.is_agent = is_agent, .self = f};
    if (wb_otlp_access_open(&options, &bare, NULL) != WB_OK) return; /* only on purpose */
    assert_int_equal(wb_otlp_admit(bare, 12345, WB_S("Bearer ")), WB_OTLP_DENIED);
    assert_int_equal(wb_otlp_admit(bare, 12345, WB_S("Bearer x")), WB_OTLP_DENIED);
    assert_int_equal(wb_otlp_admit(bare, geteuid(), WB_S("")), WB_OTLP_AGENT);
    assert_non_null(strstr(wb_otlp_access_advice(bare, 12345, false), "ipc.allow_uids"));
    assert_non_null(
        strstr(wb_otlp_access_advice(bare, WB_OTLP_PEER_UNKNOWN, false), "otlp.bearer_file"));
    assert_non_null(strstr(wb_otlp_access_advice(bare, 12345, true), "Origin"));
    char who[WB_OTLP_UID_TEXT];
    assert_string_equal(wb_otlp_uid_text(12345, who), "12345");
    assert_string_equal(wb_otlp_uid_text(WB_OTLP_PEER_UNKNOWN, who), "unknown");
    wb_otlp_access_free(bare);
}

/* ---- places ---- */

static wb_otlp_visitor *enter(fixture *f)
{
    int i = connect_to(f, AF_INET);
    f->clock.mono += WB_NS_PER_MS;
    f->visitors[i] = wb_otlp_peers_enter(f->peers, f->near[i]);
    return f->visitors[i];
}

static bool is_shut(const fixture *f, int i)
{
    char byte;
    return recv(f->far[i], &byte, 1, MSG_DONTWAIT) == 0;
}

static void a_stranger_has_his_number_of_places(void **state)
{
    fixture *f = *state;
    f->we_are_the_agent = false;
    for (int i = 0; i < PLACES / 2; i++) assert_non_null(enter(f));
    assert_null(enter(f)); /* half of all */
    f->we_are_the_agent = true;
    assert_non_null(enter(f));
}

static void the_agent_has_all_and_the_idlest_makes_room(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < PLACES; i++) {
        wb_otlp_visitor *v = enter(f);
        assert_non_null(v);
        wb_otlp_visitor_now(v, &f->clock.clock, i == 0 ? WB_OTLP_READING : WB_OTLP_IDLE, 0);
    }
    assert_non_null(enter(f));
    assert_false(is_shut(f, 0)); /* it has something in hand */
    assert_true(is_shut(f, 1));
    assert_false(is_shut(f, 2));
    assert_non_null(enter(f));
    assert_true(is_shut(f, 2));
}

static void where_all_are_at_work_there_is_no_place(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < PLACES; i++) {
        wb_otlp_visitor *v = enter(f);
        assert_non_null(v);
        wb_otlp_visitor_now(v, &f->clock.clock, WB_OTLP_ANSWERING, 0);
    }
    assert_null(enter(f));
    f->we_are_the_agent = false;
    assert_null(enter(f)); /* nor does a stranger drive the agent out */
    wb_otlp_visitor_now(f->visitors[3], &f->clock.clock, WB_OTLP_IDLE, 0);
    assert_null(enter(f));
    assert_false(is_shut(f, 3));
}

static void whose_time_is_over_is_shut(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        wb_otlp_visitor *v = enter(f);
        assert_non_null(v);
        wb_otlp_visitor_now(v, &f->clock.clock, WB_OTLP_READING,
                            i == 2 ? 0 : 1000 * (unsigned)(i + 1));
    }
    assert_int_equal(wb_otlp_peers_tick(f->peers), 0);
    f->clock.mono += WB_NS_PER_S;
    assert_int_equal(wb_otlp_peers_tick(f->peers), 1);
    assert_true(is_shut(f, 0));
    assert_int_equal(wb_otlp_peers_tick(f->peers), 0); /* once */
    f->clock.mono += 1000 * WB_NS_PER_S;
    assert_int_equal(wb_otlp_peers_tick(f->peers), 1);
    assert_true(is_shut(f, 1));
    assert_false(is_shut(f, 2));
}

static void who_left_unheard_is_shut_unless_he_waits_for_his_answer(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        wb_otlp_visitor *v = enter(f);
        assert_non_null(v);
        wb_otlp_visitor_now(v, &f->clock.clock, i == 0 ? WB_OTLP_READING : WB_OTLP_ANSWERING, 0);
        (void)shutdown(f->far[i], SHUT_WR);
    }
    assert_int_equal(wb_otlp_peers_tick(f->peers), 0);
    assert_true(is_shut(f, 0));
    assert_false(is_shut(f, 1));
}

static void of_those_that_idle_for_long_some_are_kept(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < WB_OTLP_IDLE_KEPT + 4; i++) {
        wb_otlp_visitor *v = enter(f);
        assert_non_null(v);
        wb_otlp_visitor_now(v, &f->clock.clock, i == 1 ? WB_OTLP_ANSWERING : WB_OTLP_IDLE, 0);
    }
    f->clock.mono += WB_OTLP_IDLE_SPARE_MS * WB_NS_PER_MS - 3 * WB_NS_PER_MS;
    assert_int_equal(wb_otlp_peers_tick(f->peers), 0);
    assert_false(is_shut(f, 0)); /* three of them are not idle for so long */
    f->clock.mono += 3 * WB_NS_PER_MS;
    assert_int_equal(wb_otlp_peers_tick(f->peers), 0);
    assert_true(is_shut(f, 0) && is_shut(f, 2) && is_shut(f, 3));
    assert_false(is_shut(f, 1) || is_shut(f, 4));
}

#define WITH(test, up) cmocka_unit_test_setup_teardown(test, up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(the_kernel_names_the_user, setup),
        WITH(the_kernel_names_the_user_over_ipv6, setup_six),
        WITH(one_socket_for_both_families_knows_both, setup_both),
        WITH(who_has_closed_is_nobody, setup),
        WITH(the_agent_needs_nothing_and_others_the_bearer, setup),
        WITH(without_a_bearer_none_is_right, setup),
        WITH(a_stranger_has_his_number_of_places, setup),
        WITH(the_agent_has_all_and_the_idlest_makes_room, setup),
        WITH(where_all_are_at_work_there_is_no_place, setup),
        WITH(whose_time_is_over_is_shut, setup),
        WITH(of_those_that_idle_for_long_some_are_kept, setup),
        WITH(who_left_unheard_is_shut_unless_he_waits_for_his_answer, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
