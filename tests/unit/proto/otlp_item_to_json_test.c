/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/JSON of messages that no exporter should be sent but an agent may. What a well-made message
 * becomes is compared with the published messages in tests/integration/test_cli_show.py. */
#include "proto/otlp_to_json.h"

#include "proto/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NESTED = 200, TEXT_BYTES = 1 << 20 };

static const char *text_of(wb_status (*write)(wb_slice, wb_buffer *), const char *bytes, size_t len)
{
    static char text[4096];
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, sizeof text - 1);
    assert_int_equal(write(wb_slice_of(bytes, len), &out), WB_OK);
    memcpy(text, out.ptr, out.len);
    text[out.len] = '\0';
    return text;
}
#define TEXT_OF(write, lit) text_of(write, lit, sizeof(lit) - 1)

static const struct {
    const char *bytes;
    size_t len;
    const char *json;
} spans[] = {
#define SPAN(lit, json)                                                                            \
    {                                                                                              \
        lit, sizeof(lit) - 1, json                                                                 \
    }
    SPAN("", "{}"),
    SPAN("\x0A\x02\xAB\x01\x2A\x01n", "{\"traceId\":\"ab01\",\"name\":\"n\"}"),
    SPAN("\x2A\x01"
         "a\x2A\x01"
         "b",
         "{\"name\":\"b\"}"),                                       /* a field twice: its last */
    SPAN("\x2A\x02\xFF\x00", "{\"name\":\"\xEF\xBF\xBD\\u0000\"}"), /* no text */
    SPAN("\x28\x01\x2A\x01n", "{\"name\":\"n\"}"),                  /* a name that is a number */
    SPAN("\x30\x07\xF8\x3F\x01", "{\"kind\":7}"),                   /* a kind and a field to come */
    SPAN("\x2A\x01n\x2A\x05", "{\"name\":\"n\"}"),                  /* cut off */
    SPAN("\x2A\x01n\x07", "{\"name\":\"n\"}"),                      /* no wire type */
    SPAN("\x39\x01\x00\x00\x00\x00\x00\x00\x80", "{\"startTimeUnixNano\":\"9223372036854775809\"}"),
    SPAN("\x85\x01\xFF\xFF\xFF\xFF", "{\"flags\":4294967295}"),
    SPAN("\x4A\x00\x4A\x03\x0A\x01k", "{\"attributes\":[{},{\"key\":\"k\"}]}"),
    /* attributes apart from each other still stand together */
    SPAN("\x4A\x03\x0A\x01k\x2A\x01n\x4A\x03\x0A\x01l",
         "{\"name\":\"n\",\"attributes\":[{\"key\":\"k\"},{\"key\":\"l\"}]}"),
    SPAN("\x7A\x00", "{\"status\":{}}"),
};

static void whatever_stands_for_a_span_becomes_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(spans); i++)
        assert_string_equal(text_of(wb_otlp_span_to_json, spans[i].bytes, spans[i].len),
                            spans[i].json);
}

static void resources_and_scopes_have_fields_of_their_own(void **state)
{
    (void)state;
    assert_string_equal(TEXT_OF(wb_otlp_resource_to_json, "\x10\x03\x1A\x03\x12\x01t"),
                        "{\"droppedAttributesCount\":3,\"entityRefs\":[{\"type\":\"t\"}]}");
    assert_string_equal(TEXT_OF(wb_otlp_scope_to_json, "\x0A\x01s\x12\x01v\x20\x02"),
                        "{\"name\":\"s\",\"version\":\"v\",\"droppedAttributesCount\":2}");
}

/* One attribute whose value is an array in an array in an array ... */
static wb_slice nested(uint8_t *room, size_t size)
{
    uint8_t *at = room + size, *end = at;
    for (int i = 0; i < NESTED; i++) {
        uint8_t head[24], *to = head;
        *to++ = WB_WIRE_TAG(5, WB_WIRE_LEN); /* AnyValue.array_value */
        uint8_t inner[12], *in = inner;
        *in++ = WB_WIRE_TAG(1, WB_WIRE_LEN); /* ArrayValue.values */
        in = wb_wire_put_varint(in, (uint64_t)(end - at));
        to = wb_wire_put_varint(to, (uint64_t)(end - at) + (uint64_t)(in - inner));
        at -= in - inner;
        memcpy(at, inner, (size_t)(in - inner));
        at -= to - head;
        memcpy(at, head, (size_t)(to - head));
    }
    uint8_t head[24], *to = head;
    size_t value = (size_t)(end - at);
    *to++ = WB_WIRE_TAG(9, WB_WIRE_LEN);
    to = wb_wire_put_varint(to, value + 1 + wb_wire_varint_size(value));
    *to++ = WB_WIRE_TAG(2, WB_WIRE_LEN);
    to = wb_wire_put_varint(to, value);
    at -= to - head;
    memcpy(at, head, (size_t)(to - head));
    return (wb_slice){at, (size_t)(end - at)};
}

static void a_value_too_deep_is_empty(void **state)
{
    (void)state;
    uint8_t room[4096];
    size_t arrays = 0;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, TEXT_BYTES);
    assert_int_equal(wb_otlp_span_to_json(nested(room, sizeof room), &out), WB_OK);
    for (size_t i = 0; i + 10 < out.len; i++) arrays += memcmp(out.ptr + i, "arrayValue", 10) == 0;
    assert_int_equal(arrays, 80);
}

static void a_full_buffer_is_no_memory_wherever_it_fills(void **state)
{
    (void)state;
    static const char span[] = "\x0A\x02\xAB\x01\x4A\x0B\x0A\x01k\x12\x06\x2A\x04\x0A\x02\x10\x01";
    WB_AUTO_BUFFER whole;
    wb_buffer_init(&whole, TEXT_BYTES);
    assert_int_equal(wb_otlp_span_to_json(wb_slice_of(span, sizeof span - 1), &whole), WB_OK);
    for (size_t limit = 0; limit < whole.len; limit++) {
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, limit);
        assert_int_equal(wb_otlp_span_to_json(wb_slice_of(span, sizeof span - 1), &out),
                         WB_ERR_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_stands_for_a_span_becomes_json),
        cmocka_unit_test(resources_and_scopes_have_fields_of_their_own),
        cmocka_unit_test(a_value_too_deep_is_empty),
        cmocka_unit_test(a_full_buffer_is_no_memory_wherever_it_fills),
    };
    return cmocka_run_group_tests_name("otlp item to json", tests, NULL, NULL);
}
