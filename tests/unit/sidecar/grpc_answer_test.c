/* SPDX-License-Identifier: Apache-2.0 */
/* The expected bytes were made by Google's own protobuf library from google/rpc/status.proto,
 * error_details.proto and the collector's service files. */
#include "sidecar/receivers/otlp/grpc_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first */
#include <cmocka.h>

static void the_sinks_answer_becomes_a_code(void **state)
{
    static const struct {
        wb_status status;
        wb_grpc_code code;
        bool again;
        wb_otlp_refusal why;
    } cases[] = {
        {WB_ERR_MALFORMED, WB_GRPC_INVALID_ARGUMENT, false, WB_OTLP_REFUSED_MALFORMED},
        {WB_ERR_REJECTED, WB_GRPC_RESOURCE_EXHAUSTED, false, WB_OTLP_REFUSED_TOO_LARGE},
        {WB_ERR_DENIED, WB_GRPC_PERMISSION_DENIED, false, WB_OTLP_REFUSED_DENIED},
        {WB_ERR_FULL, WB_GRPC_RESOURCE_EXHAUSTED, true, WB_OTLP_REFUSED_FULL},
        {WB_ERR_UNAVAILABLE, WB_GRPC_UNAVAILABLE, true, WB_OTLP_REFUSED_BUSY},
        {WB_ERR_NO_MEMORY, WB_GRPC_UNAVAILABLE, true, WB_OTLP_REFUSED_BUSY},
        {WB_ERR_TIMEOUT, WB_GRPC_UNAVAILABLE, true, WB_OTLP_REFUSED_BUSY},
        {WB_ERR_CORRUPT, WB_GRPC_UNAVAILABLE, true, WB_OTLP_REFUSED_BUSY},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        const wb_export_answer said = {.status = cases[i].status};
        wb_grpc_answer out;
        wb_grpc_answer_of(&said, &out);
        assert_int_equal(out.http, 200);
        assert_int_equal(out.code, cases[i].code);
        assert_string_equal(out.retry_info, cases[i].again ? "CgIIAQ" : "");
        assert_int_equal(out.details[0] != '\0', cases[i].again);
        assert_int_equal(out.reply_len, 0);
        assert_int_equal(wb_grpc_why(cases[i].status), cases[i].why);
    }
}

static void retry_info_is_in_both_places(void **state)
{
    const wb_export_answer said = {
        .status = WB_ERR_FULL, .message = "the journal is full", .retry_after_s = 5};
    wb_grpc_answer out;
    (void)state;
    wb_grpc_answer_of(&said, &out);
    assert_string_equal(out.message, "the journal is full");
    assert_string_equal(out.retry_info, "CgIIBQ");
    assert_string_equal(out.details,
                        "CAgSE3RoZSBqb3VybmFsIGlzIGZ1bGwaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuc"
                        "nBjLlJldHJ5SW5mbxIECgIIBQ");
    wb_grpc_answer_of(&(wb_export_answer){.status = WB_ERR_UNAVAILABLE}, &out);
    assert_string_equal(out.message, "");
    assert_string_equal(out.details,
                        "CA4aMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ");
}

static void the_longest_explanation_and_delay_fit(void **state)
{
    static char text[1000];
    const wb_export_answer said = {
        .status = WB_ERR_UNAVAILABLE, .message = text, .retry_after_s = UINT32_MAX};
    wb_grpc_answer out;
    (void)state;
    memset(text, 'x', sizeof text - 1);
    wb_grpc_answer_of(&said, &out);
    assert_int_equal(strlen(out.message), WB_GRPC_MESSAGE_MAX);
    assert_int_equal(strlen(out.details), 399);
    assert_string_equal(out.retry_info, "CgYI/////w8");
    memset(text, '\n', sizeof text - 1); /* each is three characters */
    wb_grpc_answer_of(&said, &out);
    assert_int_equal(strlen(out.message), 3 * WB_GRPC_MESSAGE_MAX);
    wb_grpc_answer_of(&(wb_export_answer){.message = text, .rejected = UINT64_MAX}, &out);
    assert_int_equal(out.reply_len, 5 + 3 + 11 + 3 + WB_GRPC_MESSAGE_MAX);
}

static void explanations_are_percent_encoded(void **state)
{
    static const struct {
        const char *message, *sent;
    } cases[] = {
        {"plain ~ text", "plain ~ text"},
        {"100 % of\r\n\x7f", "100 %25 of%0D%0A%7F"},
        {"\xc3\xa4", "%C3%A4"},
        {"no \xff utf-8", ""},
        {NULL, ""},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        const wb_export_answer said = {.status = WB_ERR_MALFORMED, .message = cases[i].message};
        wb_grpc_answer out;
        wb_grpc_answer_of(&said, &out);
        assert_string_equal(out.message, cases[i].sent);
    }
}

static void an_explanation_is_cut_between_characters(void **state)
{
    char text[WB_GRPC_MESSAGE_MAX + 3];
    const wb_export_answer said = {.status = WB_ERR_MALFORMED, .message = text};
    wb_grpc_answer out;
    (void)state;
    memset(text, 'x', sizeof text);
    memcpy(text + WB_GRPC_MESSAGE_MAX - 1, "\xe2\x82\xac", 4); /* three bytes and the end */
    wb_grpc_answer_of(&said, &out);
    assert_int_equal(strlen(out.message), WB_GRPC_MESSAGE_MAX - 1);
}

static void assert_reply(uint64_t rejected, const char *message, const void *bytes, size_t len)
{
    const wb_export_answer said = {.rejected = rejected, .message = message};
    const uint8_t prefix[] = {0, 0, 0, 0, (uint8_t)len};
    wb_grpc_answer out;
    wb_grpc_answer_of(&said, &out);
    assert_int_equal(out.code, WB_GRPC_OK);
    assert_int_equal(out.reply_len, 5 + len);
    assert_memory_equal(out.reply, prefix, sizeof prefix);
    assert_memory_equal(out.reply + 5, bytes, len);
}

static void what_was_left_out_is_said_in_the_reply(void **state)
{
    (void)state;
    assert_reply(0, NULL, "", 0);
    assert_reply(3, "bad ids",
                 "\n\x0b\x08\x03\x12\x07"
                 "bad ids",
                 13);
    assert_reply(0, "w", "\n\x03\x12\x01w", 5);
    assert_reply(300, NULL, "\n\x03\x08\xac\x02", 5);
}

static void refusals_of_our_own_are_said_alike(void **state)
{
    const wb_grpc_refusal http = {.http = 415, .message = "no"};
    const wb_grpc_refusal later = {
        .code = WB_GRPC_UNAVAILABLE, .message = "later", .retry_after_s = 5};
    const wb_grpc_refusal never = {.code = WB_GRPC_RESOURCE_EXHAUSTED, .message = "too large"};
    wb_grpc_answer out;
    (void)state;
    wb_grpc_answer_refuse(&http, &out);
    assert_int_equal(out.http, 415);
    wb_grpc_answer_refuse(&later, &out);
    assert_int_equal(out.http, 200);
    assert_int_equal(out.code, WB_GRPC_UNAVAILABLE);
    assert_string_equal(out.retry_info, "CgIIBQ");
    wb_grpc_answer_refuse(&never, &out); /* with RetryInfo clients would send it again */
    assert_int_equal(out.code, WB_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(out.retry_info, "");
    assert_string_equal(out.details, "");
    assert_string_equal(out.message, "too large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sinks_answer_becomes_a_code),
        cmocka_unit_test(retry_info_is_in_both_places),
        cmocka_unit_test(the_longest_explanation_and_delay_fit),
        cmocka_unit_test(explanations_are_percent_encoded),
        cmocka_unit_test(an_explanation_is_cut_between_characters),
        cmocka_unit_test(what_was_left_out_is_said_in_the_reply),
        cmocka_unit_test(refusals_of_our_own_are_said_alike),
    };
    return cmocka_run_group_tests_name("grpc_answer", tests, NULL, NULL);
}
