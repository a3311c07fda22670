/* SPDX-License-Identifier: Apache-2.0 */
/* What a span becomes on the wire, read by protobuf-c, which knows nothing of how it was written; with the
 * recorder's place taken, so that the bytes can be looked at. */
#include "client/client.h"
#include "tests/support/otlp_oracle.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- what span.c calls ---- */

static uint8_t taken[1024 * 1024];
static size_t taken_len;
static bool ours = true;
static uint8_t next_id;

bool wb_recorder_add(wb_recorder *recorder, const uint8_t *span, size_t len)
{
    (void)recorder;
    assert_true(len <= sizeof taken);
    memcpy(taken, span, len);
    taken_len = len;
    return true;
}

bool wb_client_is_ours(const waybill_client *client)
{
    (void)client;
    return ours;
}

void wb_client_span_id(waybill_client *client, uint8_t out[8])
{
    (void)client;
    memset(out, 0x10 + next_id++, 8);
}

uint64_t wb_client_wall(waybill_client *client, uint64_t mono)
{
    (void)client;
    return mono + UINT64_C(1700000000000000000);
}

/* ---- */

static struct waybill_client client;
static waybill_span span;

static Oracle__Span *ended(void)
{
    taken_len = 0;
    assert_true(waybill_span_end(&span));
    Oracle__Span *read = oracle__span__unpack(NULL, taken_len, taken);
    assert_non_null(read);
    return read;
}

static void done(Oracle__Span *read) { oracle__span__free_unpacked(read, NULL); }

static const Oracle__AnyValue *value_of(const Oracle__Span *read, const char *key)
{
    for (size_t i = 0; i < read->n_attributes; i++)
        if (strcmp(read->attributes[i]->key, key) == 0) return read->attributes[i]->value;
    return NULL;
}

static const char *text_of(const Oracle__Span *read, const char *key)
{
    const Oracle__AnyValue *value = value_of(read, key);
    return value && value->value_case == ORACLE__ANY_VALUE__VALUE_STRING_VALUE ? value->string_value
                                                                               : NULL;
}

/* ---- refusals ---- */

static void what_finds_no_room_is_counted_and_the_span_still_ends_right(void **state)
{
    (void)state;
    char long_text[600];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    waybill_span_start(&client, &span, "full", NULL, WAYBILL_PLAIN);
    for (int i = 0; i < 40; i++)
        waybill_span_put_text(&span, "key", 3, long_text, i < 8 ? 500 : 60);
    waybill_span_add_event(&span, long_text);
    waybill_span_set_error(&span, "no.room.for.this.attribute", "but for the message there is");
    Oracle__Span *read = ended();
    assert_true(taken_len <= WAYBILL_SPAN_BYTES);
    assert_in_range(read->n_attributes, 3, 8);
    assert_int_equal(read->dropped_attributes_count, 40 - read->n_attributes + 1 + 1);
    assert_int_equal(read->status->code, 2);
    assert_string_equal(read->status->message, "but for the message there is");
    assert_true(read->end_time_unix_nano >= read->start_time_unix_nano);
    done(read);
}

static void a_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    static char text[3 * WAYBILL_SPAN_BYTES];
    for (size_t i = 0; i + 3 <= sizeof text; i += 3) memcpy(text + i, "\xE2\x82\xAC", 3);
    waybill_span_start(&client, &span, "cut", NULL, WAYBILL_PLAIN);
    waybill_span_put_text(&span, "prompt", 6, text, sizeof text);
    Oracle__Span *read = ended();
    const char *kept = text_of(read, "prompt");
    assert_non_null(kept); /* as text, so what is left of it is UTF-8 */
    assert_in_range(strlen(kept), 1000, WAYBILL_SPAN_BYTES);
    assert_int_equal(strlen(kept) % 3, 0);
    done(read);
}

static void what_is_not_utf8_goes_as_bytes_and_is_no_key_and_no_name(void **state)
{
    (void)state;
    waybill_span_start(&client, &span, "name \xFF\xFE tail", NULL, WAYBILL_PLAIN);
    waybill_span_set_text(&span, "short", "\xC3(");
    waybill_span_put_text(&span, "nul", 3, "a\0b", 3);
    waybill_span_set_text(&span, "k\xFF", "no key");
    waybill_span_set_error(&span, "bad", "half \xE2\x82");
    Oracle__Span *read = ended();
    assert_string_equal(read->name, "name ");
    const Oracle__AnyValue *value = value_of(read, "short");
    assert_int_equal(value->value_case, ORACLE__ANY_VALUE__VALUE_BYTES_VALUE);
    assert_int_equal(value->bytes_value.len, 2);
    assert_null(text_of(read, "k\xFF"));
    assert_int_equal(read->dropped_attributes_count, 1);
    assert_string_equal(read->status->message, "half ");
    done(read);
}

static void no_more_than_128_attributes_are_kept(void **state)
{
    (void)state;
    static uint8_t room[16384];
    waybill_span_start(&client, &span, "many", NULL, WAYBILL_PLAIN);
    waybill_span_use_buffer(&span, room, sizeof room);
    for (int i = 0; i < 200; i++) waybill_span_set_int(&span, "n", i);
    Oracle__Span *read = ended();
    assert_int_equal(read->n_attributes, WAYBILL_ATTRIBUTES_MAX);
    assert_int_equal(read->dropped_attributes_count, 200 - WAYBILL_ATTRIBUTES_MAX);
    done(read);
}

static void a_span_ends_once_and_not_in_a_forked_child(void **state)
{
    (void)state;
    waybill_span_start(&client, &span, "once", NULL, WAYBILL_PLAIN);
    done(ended());
    assert_false(waybill_span_end(&span));
    waybill_span_set_text(&span, "late", "is nothing");
    waybill_span_put_text(&span, "late", 4, (const char *)taken, 4000);
    waybill_span_set_int(&span, "late", 1);
    waybill_span_add_event(&span, "late");
    waybill_span_add_link(&span, &span.context);
    waybill_span_set_error(&span, "late", "late");
    assert_false(waybill_span_end(&span));
    waybill_span_start(&client, &span, "dropped", NULL, WAYBILL_PLAIN);
    waybill_span_drop(&span);
    assert_false(waybill_span_end(&span));
    waybill_span_start(&client, &span, "forked", NULL, WAYBILL_PLAIN);
    ours = false;
    assert_false(waybill_span_end(&span));
    ours = true;
}

/* ---- what is kept ---- */

static void every_kind_of_value_is_read_back(void **state)
{
    (void)state;
    char longer[300];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    waybill_span_start(&client, &span, "values", NULL, WAYBILL_LLM_CALL);
    waybill_span_set_kind(&span, WAYBILL_CLIENT);
    waybill_span_set_text(&span, "text", "some text");
    waybill_span_set_text(&span, "umlaut", "\xC3\xBC");
    waybill_span_set_text(&span, "empty", "");
    waybill_span_set_text(&span, "longer", longer);
    waybill_span_set_int(&span, "int", -7);
    waybill_span_set_int(&span, "big", INT64_MAX);
    waybill_span_set_double(&span, "double", -0.25);
    waybill_span_set_bool(&span, "yes", true);
    waybill_span_set_bool(&span, "no", false);
    waybill_span_add_event(&span, "happened");
    waybill_span_set_ok(&span);
    Oracle__Span *read = ended();
    assert_string_equal(read->name, "values");
    assert_int_equal(read->kind, 3);
    assert_string_equal(text_of(read, "waybill.span.type"), "llm_call");
    assert_string_equal(text_of(read, "text"), "some text");
    assert_string_equal(text_of(read, "umlaut"), "\xC3\xBC");
    assert_string_equal(text_of(read, "empty"), "");
    assert_string_equal(text_of(read, "longer"), longer);
    assert_int_equal(value_of(read, "int")->int_value, -7);
    assert_int_equal(value_of(read, "big")->int_value, INT64_MAX);
    assert_true(value_of(read, "double")->double_value == -0.25);
    assert_true(value_of(read, "yes")->bool_value);
    assert_int_equal(value_of(read, "no")->value_case, ORACLE__ANY_VALUE__VALUE_BOOL_VALUE);
    assert_int_equal(read->n_events, 1);
    assert_string_equal(read->events[0]->name, "happened");
    assert_true(read->events[0]->time_unix_nano >= read->start_time_unix_nano);
    assert_int_equal(read->status->code, 1);
    assert_int_equal(read->dropped_attributes_count, 0);
    done(read);
}

static void a_child_stands_below_its_parent_and_in_its_acceptance(void **state)
{
    (void)state;
    waybill_context parent = {.flags = 1, .tracestate = "vendor=1"};
    memset(parent.trace_id, 0xAB, sizeof parent.trace_id);
    memset(parent.span_id, 0xCD, sizeof parent.span_id);
    memset(parent.acceptance_id, 0x5A, sizeof parent.acceptance_id);
    waybill_span_start(&client, &span, "child", &parent, WAYBILL_TOOL_CALL);
    waybill_span_add_link(&span, &parent);
    Oracle__Span *read = ended();
    assert_memory_equal(read->trace_id.data, parent.trace_id, 16);
    assert_memory_equal(read->parent_span_id.data, parent.span_id, 8);
    assert_memory_equal(read->span_id.data, span.context.span_id, 8);
    assert_string_equal(read->trace_state, "vendor=1");
    assert_string_equal(text_of(read, "waybill.acceptance.id"), "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
    assert_int_equal(read->flags, 0x101);
    assert_null(value_of(read, "waybill.claimed"));
    assert_int_equal(read->n_links, 1);
    assert_memory_equal(read->links[0]->trace_id.data, parent.trace_id, 16);
    assert_memory_equal(span.context.acceptance_id, parent.acceptance_id, 16);
    done(read);
}

static void a_claimed_context_is_marked_all_the_way_down(void **state)
{
    (void)state;
    waybill_context claimed;
    assert_true(waybill_context_parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                      NULL, &claimed));
    waybill_span_start(&client, &span, "server", &claimed, WAYBILL_PLAIN);
    waybill_context below = span.context;
    Oracle__Span *read = ended();
    assert_true(value_of(read, "waybill.claimed")->bool_value);
    assert_int_equal(read->flags, 0x301);
    done(read);
    waybill_span_start(&client, &span, "inner", &below, WAYBILL_PLAIN);
    read = ended();
    assert_true(value_of(read, "waybill.claimed")->bool_value);
    done(read);
}

static void a_root_has_a_random_trace_id_and_says_so(void **state)
{
    (void)state;
    uint8_t first[16];
    waybill_span_start(&client, &span, "root", NULL, WAYBILL_PLAIN);
    memcpy(first, span.context.trace_id, sizeof first);
    Oracle__Span *read = ended();
    assert_int_equal(read->flags & 0xFF, 3);
    assert_int_equal(read->parent_span_id.len, 0);
    done(read);
    waybill_span_start(&client, &span, "root", NULL, WAYBILL_PLAIN);
    assert_memory_not_equal(first, span.context.trace_id, sizeof first);
    waybill_span_drop(&span);
}

static void a_larger_buffer_holds_a_larger_span(void **state)
{
    (void)state;
    static uint8_t room[65536];
    static char text[50000];
    memset(text, 'z', sizeof text - 1);
    waybill_span_start(&client, &span, "prompt", NULL, WAYBILL_LLM_CALL);
    waybill_span_use_buffer(&span, room, 10); /* too small: as before */
    waybill_span_use_buffer(&span, room, sizeof room);
    waybill_span_set_text(&span, "gen_ai.prompt", text);
    waybill_span_set_error(&span, "late", "and a message");
    Oracle__Span *read = ended();
    assert_string_equal(text_of(read, "gen_ai.prompt"), text);
    assert_string_equal(text_of(read, "waybill.span.type"), "llm_call");
    assert_string_equal(read->status->message, "and a message");
    done(read);
}

static void of_a_huge_buffer_no_more_is_used_than_the_client_takes(void **state)
{
    (void)state;
    static uint8_t room[2 * 1024 * 1024];
    static char text[1024 * 1024];
    memset(text, 'z', sizeof text - 1);
    waybill_span_start(&client, &span, "prompt", NULL, WAYBILL_LLM_CALL);
    waybill_span_use_buffer(&span, room, sizeof room);
    waybill_span_set_text(&span, "gen_ai.prompt", text);
    Oracle__Span *read = ended();
    assert_in_range(taken_len, 200 * 1024, WAYBILL_SPAN_BYTES_MAX);
    assert_in_range(strlen(text_of(read, "gen_ai.prompt")), 200 * 1024, WAYBILL_SPAN_BYTES_MAX);
    done(read);
}

/* ---- traceparent ---- */

static void only_a_good_traceparent_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {NULL, false},
        {"", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false},
        {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
        {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false},
        {"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more", false},
        {"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", true},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        waybill_context c = {.flags = 0x77};
        char again[WAYBILL_TRACEPARENT_LEN + 1];
        assert_int_equal(waybill_context_parse(cases[i].text, NULL, &c), cases[i].good);
        if (!cases[i].good) assert_int_equal(c.flags, 0x77); /* untouched */
        if (!cases[i].good) continue;
        waybill_context_format(&c, again);
        assert_memory_equal(again + 2, cases[i].text + 2, WAYBILL_TRACEPARENT_LEN - 2);
        assert_true(c.claimed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_finds_no_room_is_counted_and_the_span_still_ends_right),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(what_is_not_utf8_goes_as_bytes_and_is_no_key_and_no_name),
        cmocka_unit_test(no_more_than_128_attributes_are_kept),
        cmocka_unit_test(a_span_ends_once_and_not_in_a_forked_child),
        cmocka_unit_test(every_kind_of_value_is_read_back),
        cmocka_unit_test(a_child_stands_below_its_parent_and_in_its_acceptance),
        cmocka_unit_test(a_claimed_context_is_marked_all_the_way_down),
        cmocka_unit_test(a_root_has_a_random_trace_id_and_says_so),
        cmocka_unit_test(a_larger_buffer_holds_a_larger_span),
        cmocka_unit_test(of_a_huge_buffer_no_more_is_used_than_the_client_takes),
        cmocka_unit_test(only_a_good_traceparent_is_read),
    };
    return cmocka_run_group_tests_name("client_span", tests, NULL, NULL);
}
