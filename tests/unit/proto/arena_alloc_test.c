/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/arena_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/waybill/v1/ipc.pb-c.h"

/* An AcceptReply that repeats the empty warning: two bytes of wire, 24 of memory each. */
static size_t many_warnings(uint8_t *wire, size_t n)
{
    for (size_t i = 0; i < n; i++) memcpy(wire + 2 * i, "\x52\x00", 2);
    return 2 * n;
}

static void unpack_stops_at_the_arenas_limit(void **state)
{
    (void)state;
    enum { WARNINGS = 100000 };
    uint8_t *wire = malloc(2 * WARNINGS);
    assert_non_null(wire);
    size_t len = many_warnings(wire, WARNINGS);
    WB_AUTO(wb_arena) small = wb_arena_new(64 * 1024);
    assert_non_null(small);
    assert_null(waybill__v1__accept_reply__unpack(wb_arena_allocator(small), len, wire));
    assert_true(wb_arena_used(small) <= 64 * 1024);
    WB_AUTO(wb_arena) large = wb_arena_new(64 * 2 * WARNINGS);
    assert_non_null(large);
    Waybill__V1__AcceptReply *reply =
        waybill__v1__accept_reply__unpack(wb_arena_allocator(large), len, wire);
    assert_non_null(reply);
    assert_int_equal(reply->n_warnings, WARNINGS);
    free(wire);
}

static void no_byte_of_wire_takes_more_than_sixty_four_of_arena(void **state)
{
    (void)state;
    enum { FIELDS = 50000 };
    uint8_t *wire = malloc(2 * FIELDS); /* unknown fields: a tag and a varint of one byte each */
    assert_non_null(wire);
    for (size_t i = 0; i < FIELDS; i++) memcpy(wire + 2 * i, "\x78\x01", 2);
    WB_AUTO(wb_arena) arena = wb_arena_new(64 * 2 * FIELDS);
    assert_non_null(arena);
    assert_non_null(waybill__v1__hello__unpack(wb_arena_allocator(arena), 2 * FIELDS, wire));
    free(wire);
}

static void an_exhausted_arena_unpacks_nothing_and_not_on_the_heap(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) none = wb_arena_new(8);
    assert_non_null(none);
    assert_null(waybill__v1__hello__unpack(wb_arena_allocator(none), 0, NULL));
}

static void what_is_unpacked_needs_no_free(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) arena = wb_arena_new(4096);
    Waybill__V1__Hello hello = WAYBILL__V1__HELLO__INIT;
    uint8_t wire[64];
    hello.client = (char *)"test/1";
    hello.pid = 42;
    size_t len = waybill__v1__hello__pack(&hello, wire);
    const Waybill__V1__Hello *back =
        waybill__v1__hello__unpack(wb_arena_allocator(arena), len, wire);
    assert_non_null(back);
    assert_string_equal(back->client, "test/1");
    assert_int_equal(back->pid, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpack_stops_at_the_arenas_limit),
        cmocka_unit_test(no_byte_of_wire_takes_more_than_sixty_four_of_arena),
        cmocka_unit_test(an_exhausted_arena_unpacks_nothing_and_not_on_the_heap),
        cmocka_unit_test(what_is_unpacked_needs_no_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
