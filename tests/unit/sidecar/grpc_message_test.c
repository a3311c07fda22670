/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/otlp/grpc_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first */
#include <cmocka.h>

enum { LIMIT = 1 << 20, FIRST = 256 * 1024 };

/* A budget that counts. */
typedef struct budget {
    size_t held, most, limit;
} budget;

static bool reserve(void *self, size_t bytes)
{
    budget *b = self;
    if (bytes > b->limit - b->held) return false;
    b->held += bytes;
    if (b->held > b->most) b->most = b->held;
    return true;
}

static void give_back(void *self, size_t bytes)
{
    budget *b = self;
    assert_true(bytes <= b->held);
    b->held -= bytes;
}

static wb_export_sink sink_of(budget *b)
{
    return (wb_export_sink){.reserve = reserve, .release = give_back, .self = b};
}

static const wb_grpc_refusal *take(wb_grpc_message *m, const void *bytes, size_t len,
                                   const wb_export_sink *sink)
{
    return wb_grpc_message_take(m, wb_slice_of(bytes, len), LIMIT, true, sink);
}

static void what_is_no_message_is_refused(void **state)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
        bool compressed;
        wb_grpc_code code;
        const char *message;
    } cases[] = {
        {{2, 0, 0, 0, 0},
         5,
         true,
         WB_GRPC_INTERNAL,
         "the message's compressed flag is neither 0 nor 1"},
        {{0xff, 0, 0, 0, 0},
         5,
         true,
         WB_GRPC_INTERNAL,
         "the message's compressed flag is neither 0 nor 1"},
        {{1, 0, 0, 0, 0}, 5, false, WB_GRPC_INTERNAL, "a compressed message without grpc-encoding"},
        {{0, 0, 0x10, 0, 1},
         5,
         true,
         WB_GRPC_RESOURCE_EXHAUSTED,
         "the message is larger than the limit"},
        {{1, 0, 0x08, 0, 1},
         5,
         true,
         WB_GRPC_RESOURCE_EXHAUSTED,
         "the message is larger than the limit"},
        {{0, 0xff, 0xff, 0xff, 0xff},
         5,
         true,
         WB_GRPC_RESOURCE_EXHAUSTED,
         "the message is larger than the limit"},
        {{0, 0, 0, 0, 1, 'a', 'b'},
         7,
         true,
         WB_GRPC_INTERNAL,
         "more bytes than one message: Export is unary"},
        {{0, 0, 0, 0, 0, 0},
         6,
         true,
         WB_GRPC_INTERNAL,
         "more bytes than one message: Export is unary"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        budget b = {.limit = LIMIT};
        const wb_export_sink sink = sink_of(&b);
        wb_grpc_message m = {.bytes = NULL};
        const wb_grpc_refusal *refusal = wb_grpc_message_take(
            &m, wb_slice_of(cases[i].bytes, cases[i].len), LIMIT, cases[i].compressed, &sink);
        assert_non_null(refusal);
        assert_string_equal(refusal->message, cases[i].message);
        assert_int_equal(refusal->code, cases[i].code);
        assert_int_equal(refusal->retry_after_s, 0);
        wb_grpc_message_done(&m, &sink);
        assert_int_equal(b.held, 0);
        assert_true(b.most <= 1); /* an announcement takes nothing */
    }
}

static void a_body_that_ends_early_is_refused(void **state)
{
    const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    (void)state;
    for (size_t cut = 0; cut < sizeof bytes; cut++) {
        budget b = {.limit = LIMIT};
        const wb_export_sink sink = sink_of(&b);
        wb_grpc_message m = {.bytes = NULL};
        const wb_grpc_refusal *refusal = take(&m, bytes, cut, &sink);
        if (!refusal) refusal = wb_grpc_message_end(&m);
        wb_grpc_message_done(&m, &sink);
        assert_non_null(refusal);
        assert_int_equal(b.held, 0);
    }
}

static void a_message_is_the_same_however_it_is_cut(void **state)
{
    const uint8_t bytes[] = {1, 0, 0, 0, 4, 'a', 'b', 'c', 'd'};
    (void)state;
    for (unsigned cuts = 0; cuts < 1U << (sizeof bytes - 1); cuts++) {
        budget b = {.limit = LIMIT};
        const wb_export_sink sink = sink_of(&b);
        wb_grpc_message m = {.bytes = NULL};
        const wb_grpc_refusal *refusal = NULL;
        size_t from = 0;
        for (size_t i = 1; i <= sizeof bytes && !refusal; i++) {
            if (i < sizeof bytes && !(cuts & 1U << (i - 1))) continue;
            refusal = take(&m, bytes + from, i - from, &sink);
            from = i;
        }
        bool good = !refusal && !wb_grpc_message_end(&m) && m.len == 4 &&
                    memcmp(m.bytes, "abcd", 4) == 0 && wb_grpc_message_is_compressed(&m);
        wb_grpc_message_done(&m, &sink);
        assert_true(good);
    }
}

static void the_empty_message_is_one(void **state)
{
    const uint8_t bytes[] = {0, 0, 0, 0, 0};
    budget b = {.limit = LIMIT};
    const wb_export_sink sink = sink_of(&b);
    wb_grpc_message m = {.bytes = NULL};
    (void)state;
    assert_null(take(&m, bytes, sizeof bytes, &sink));
    assert_null(take(&m, NULL, 0, &sink));
    assert_null(wb_grpc_message_end(&m));
    assert_int_equal(m.len, 0);
    wb_grpc_message_done(&m, &sink);
    assert_int_equal(b.most, 0);
}

static void memory_follows_what_came_and_not_what_was_announced(void **state)
{
    const uint8_t prefix[] = {0, 0, 0x10, 0, 0}; /* LIMIT */
    static uint8_t part[FIRST / 2];
    budget b = {.limit = 2 * LIMIT};
    const wb_export_sink sink = sink_of(&b);
    wb_grpc_message m = {.bytes = NULL};
    (void)state;
    const wb_grpc_refusal *refusal = take(&m, prefix, sizeof prefix, &sink);
    size_t announced = b.held, after_byte = 0, came = 0;
    if (!refusal) refusal = take(&m, part, 1, &sink);
    after_byte = b.held;
    for (came = 1; !refusal && came < LIMIT; came += sizeof part) {
        size_t n = LIMIT - came < sizeof part ? LIMIT - came : sizeof part;
        refusal = take(&m, part, n, &sink);
        if (b.held > 2 * (came + n) && b.held > FIRST) break;
    }
    bool whole = !refusal && !wb_grpc_message_end(&m) && b.held == LIMIT;
    wb_grpc_message_done(&m, &sink);
    assert_null(refusal);
    assert_int_equal(announced, 0);
    assert_int_equal(after_byte, FIRST);
    assert_true(whole);
    assert_int_equal(b.held, 0);
}

static void without_room_it_is_to_be_sent_again(void **state)
{
    const uint8_t bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    budget b = {.limit = 2};
    const wb_export_sink sink = sink_of(&b);
    wb_grpc_message m = {.bytes = NULL};
    (void)state;
    const wb_grpc_refusal *refusal = take(&m, bytes, sizeof bytes, &sink);
    assert_non_null(refusal);
    assert_int_equal(refusal->code, WB_GRPC_UNAVAILABLE);
    assert_int_equal(refusal->retry_after_s, 1);
    wb_grpc_message_done(&m, &sink);
    assert_int_equal(b.held, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_body_that_ends_early_is_refused),
        cmocka_unit_test(a_message_is_the_same_however_it_is_cut),
        cmocka_unit_test(the_empty_message_is_one),
        cmocka_unit_test(memory_follows_what_came_and_not_what_was_announced),
        cmocka_unit_test(without_room_it_is_to_be_sent_again),
    };
    return cmocka_run_group_tests_name("grpc_message", tests, NULL, NULL);
}
