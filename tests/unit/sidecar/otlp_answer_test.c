/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/otlp/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void encodings_are_told_by_their_type_alone(void **state)
{
    static const struct {
        const char *type;
        int encoding; /* -1: none */
    } cases[] = {{NULL, -1},
                 {"", -1},
                 {"text/plain", -1},
                 {"application/jsonx", -1},
                 {"application/jso", -1},
                 {"application/x-protobuf", WB_OTLP_PROTOBUF},
                 {"application/protobuf", WB_OTLP_PROTOBUF},
                 {"Application/X-Protobuf", WB_OTLP_PROTOBUF},
                 {"application/json", WB_OTLP_JSON},
                 {"application/json; charset=utf-8", WB_OTLP_JSON},
                 {"application/json ;charset=utf-8", WB_OTLP_JSON}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wb_otlp_encoding encoding = WB_OTLP_JSON;
        bool known = wb_otlp_encoding_of(cases[i].type, &encoding);
        assert_int_equal(known ? (int)encoding : -1, cases[i].encoding);
    }
    assert_string_equal(wb_otlp_content_type(WB_OTLP_JSON), "application/json");
    assert_string_equal(wb_otlp_content_type(WB_OTLP_PROTOBUF), "application/x-protobuf");
}

static void signals_are_told_by_the_whole_path(void **state)
{
    static const char *const wrong[] = {"",          "/",           "/v1",       "/v1/",
                                        "/v1/trace", "/v1/traces/", "v1/traces", "/V1/traces"};
    wb_signal signal;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(wb_otlp_signal_of(wrong[i], &signal));
    assert_true(wb_otlp_signal_of("/v1/traces", &signal) && signal == WB_SIGNAL_TRACES);
    assert_true(wb_otlp_signal_of("/v1/metrics", &signal) && signal == WB_SIGNAL_METRICS);
    assert_true(wb_otlp_signal_of("/v1/logs", &signal) && signal == WB_SIGNAL_LOGS);
}

/* A client drops what it gets any other code than 429, 502, 503, 504 for. */
static void only_what_may_pass_is_said_to_pass(void **state)
{
    static const struct {
        wb_status status;
        unsigned code;
        wb_otlp_refusal why;
    } cases[] = {{WB_ERR_MALFORMED, 400, WB_OTLP_REFUSED_MALFORMED},
                 {WB_ERR_DENIED, 403, WB_OTLP_REFUSED_DENIED},
                 {WB_ERR_REJECTED, 413, WB_OTLP_REFUSED_TOO_LARGE},
                 {WB_ERR_FULL, 503, WB_OTLP_REFUSED_FULL},
                 {WB_ERR_UNAVAILABLE, 503, WB_OTLP_REFUSED_BUSY},
                 {WB_ERR_TIMEOUT, 503, WB_OTLP_REFUSED_BUSY},
                 {WB_ERR_NO_MEMORY, 503, WB_OTLP_REFUSED_BUSY},
                 {WB_ERR_CORRUPT, 503, WB_OTLP_REFUSED_BUSY}};
    (void)state;
    wb_otlp_refusal why = WB_OTLP_REFUSALS;
    assert_int_equal(wb_otlp_http_code(WB_OK, &why), 200);
    assert_int_equal(why, WB_OTLP_REFUSALS);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(wb_otlp_http_code(cases[i].status, &why), cases[i].code);
        assert_int_equal(why, cases[i].why);
    }
}

static void expect(wb_status status, const wb_buffer *out, const void *bytes, size_t len)
{
    if (status == WB_ERR_NO_MEMORY) return; /* only where allocations are made to fail */
    assert_int_equal(status, WB_OK);
    assert_int_equal(out->len, len);
    if (len > 0) assert_memory_equal(out->ptr, bytes, len);
}

static void success_is_empty_unless_something_was_left_out(void **state)
{
    (void)state;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 1024);
    wb_status st = wb_otlp_answer_success(WB_OTLP_PROTOBUF, WB_SIGNAL_LOGS, 0, NULL, &out);
    expect(st, &out, "", 0);
    st = wb_otlp_answer_success(WB_OTLP_JSON, WB_SIGNAL_LOGS, 0, NULL, &out);
    expect(st, &out, "{}", 2);
    wb_buffer_clear(&out);
    st = wb_otlp_answer_success(WB_OTLP_PROTOBUF, WB_SIGNAL_TRACES, 300, "why", &out);
    expect(st, &out, "\x0a\x08\x08\xac\x02\x12\x03why", 10);
    wb_buffer_clear(&out);
    st = wb_otlp_answer_success(WB_OTLP_PROTOBUF, WB_SIGNAL_TRACES, 0, "w", &out); /* a warning */
    expect(st, &out, "\x0a\x03\x12\x01w", 5);
}

static void json_names_what_was_left_out_by_signal(void **state)
{
    static const struct {
        wb_signal signal;
        const char *says;
    } cases[] = {
        {WB_SIGNAL_TRACES,
         "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"a\\\"b\"}}"},
        {WB_SIGNAL_LOGS,
         "{\"partialSuccess\":{\"rejectedLogRecords\":\"2\",\"errorMessage\":\"a\\\"b\"}}"},
        {WB_SIGNAL_METRICS,
         "{\"partialSuccess\":{\"rejectedDataPoints\":\"2\",\"errorMessage\":\"a\\\"b\"}}"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, 1024);
        wb_status st = wb_otlp_answer_success(WB_OTLP_JSON, cases[i].signal, 2, "a\"b", &out);
        expect(st, &out, cases[i].says, strlen(cases[i].says));
    }
}

static void a_refusal_is_a_status_of_googles(void **state)
{
    static const struct {
        unsigned http, rpc;
    } cases[] = {{400, 3}, {401, 16}, {403, 7}, {404, 5}, {405, 12}, {413, 8}, {415, 3}, {503, 14}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t packed[] = {0x08, (uint8_t)cases[i].rpc, 0x12, 0x01, 'n'};
        char json[64];
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, 1024);
        expect(wb_otlp_answer_failure(WB_OTLP_PROTOBUF, cases[i].http, "n", &out), &out, packed,
               sizeof packed);
        wb_buffer_clear(&out);
        int len = snprintf(json, sizeof json, "{\"code\":%u,\"message\":\"n\"}", cases[i].rpc);
        expect(wb_otlp_answer_failure(WB_OTLP_JSON, cases[i].http, "n", &out), &out, json,
               (size_t)len);
    }
}

static void a_message_is_text_and_not_long(void **state)
{
    char message[2000];
    (void)state;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 4096);
    wb_status st = wb_otlp_answer_failure(WB_OTLP_JSON, 400, "a\xff\xc3\xa9\xe2\x82", &out);
    static const char said[] = "{\"code\":3,\"message\":\"a?\xc3\xa9??\"}";
    expect(st, &out, said, sizeof said - 1);
    memset(message, 'm', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    wb_buffer_clear(&out);
    st = wb_otlp_answer_failure(WB_OTLP_PROTOBUF, 400, message, &out);
    if (st == WB_OK) assert_true(out.len < 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodings_are_told_by_their_type_alone),
        cmocka_unit_test(signals_are_told_by_the_whole_path),
        cmocka_unit_test(only_what_may_pass_is_said_to_pass),
        cmocka_unit_test(success_is_empty_unless_something_was_left_out),
        cmocka_unit_test(json_names_what_was_left_out_by_signal),
        cmocka_unit_test(a_refusal_is_a_status_of_googles),
        cmocka_unit_test(a_message_is_text_and_not_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
