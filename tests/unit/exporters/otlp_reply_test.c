/* SPDX-License-Identifier: Apache-2.0 */
#include "exporters/otlp/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW (UINT64_C(1767323045) * WB_NS_PER_S) /* Fri, 02 Jan 2026 03:04:05 GMT */
#define PB "content-type: application/x-protobuf"
#define JSON "Content-Type: application/json; charset=utf-8"

/* An answer as it comes, and what it means. */
typedef struct answer_case {
    wb_otlp_protocol protocol;
    const char *head; /* lines, each ended by \n; behind an empty one trailers */
    wb_slice body;
    wb_status status;
    uint64_t rejected;
    uint32_t retry_after_ms;
    bool is_server_error;
    const char *text; /* some of it; NULL: there is none */
} answer_case;

#define BODY(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static void read_answer(const answer_case *c, wb_otlp_answer *out)
{
    wb_otlp_reply reply;
    wb_otlp_reply_init(&reply);
    for (const char *line = c->head; *line; line += strcspn(line, "\n") + 1)
        wb_otlp_reply_header(&reply, wb_slice_of(line, strcspn(line, "\n")));
    if (wb_buffer_add_slice(&reply.body, c->body) == WB_OK)
        wb_otlp_reply_read(&reply, c->protocol, WB_SIGNAL_TRACES, NOW, out);
    wb_otlp_reply_done(&reply);
}

static void means(const answer_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wb_otlp_answer a = {0};
        read_answer(&cases[i], &a);
        if (a.status != cases[i].status)
            fail_msg("%s: %s (%s)", cases[i].head, wb_status_name(a.status), a.text);
        assert_int_equal(a.rejected, cases[i].rejected);
        assert_int_equal(a.retry_after_ms, cases[i].retry_after_ms);
        assert_int_equal(a.is_server_error, cases[i].is_server_error);
        if (cases[i].text && !strstr(a.text, cases[i].text))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].head, a.text, cases[i].text);
        if (!cases[i].text) assert_string_equal(a.text, "");
    }
}

static void http_refusals(void **state)
{
    static const answer_case cases[] = {
        {WB_OTLP_PROTOBUF, "HTTP/1.1 400 Bad Request\n" PB "\n", BODY("\x12\x03no!"),
         WB_ERR_REJECTED, .text = "HTTP 400: no!"},
        {WB_OTLP_JSON, "HTTP/1.1 400 Bad Request\n" JSON "\n", BODY("{\"message\":\"no!\"}"),
         WB_ERR_REJECTED, .text = "HTTP 400: no!"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 413 Too Large\n", BODY(""), WB_ERR_REJECTED,
         .text = "HTTP 413"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 422 X\nContent-Type: text/plain\n", BODY("<nothing of it>"),
         WB_ERR_REJECTED, .text = "HTTP 422"},
    };
    (void)state;
    means(cases, WB_COUNT(cases));
}

static void http_waits(void **state)
{
    static const answer_case cases[] = {
        {WB_OTLP_PROTOBUF, "HTTP/1.1 429 X\nRetry-After: 2\n", BODY(""), WB_ERR_UNAVAILABLE,
         .retry_after_ms = 2000, .text = "HTTP 429"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 503 X\nretry-after:  Fri, 02 Jan 2026 03:04:35 GMT \r\n",
         BODY(""), WB_ERR_UNAVAILABLE, .retry_after_ms = 30000, .text = "HTTP 503"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 503 X\nRetry-After: Fri, 02 Jan 2026 03:04:00 GMT\n", BODY(""),
         WB_ERR_UNAVAILABLE, .text = "HTTP 503"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 502 X\nRetry-After: 99999999\n", BODY(""), WB_ERR_UNAVAILABLE,
         .retry_after_ms = 3600000, .text = "HTTP 502"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 504 X\nRetry-After: soon\n", BODY(""), WB_ERR_UNAVAILABLE,
         .text = "HTTP 504"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 408 X\n", BODY(""), WB_ERR_TIMEOUT, .text = "HTTP 408"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 500 X\n", BODY(""), WB_ERR_UNAVAILABLE,
         .is_server_error = true, .text = "HTTP 500"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 501 X\n", BODY(""), WB_ERR_UNAVAILABLE,
         .is_server_error = true, .text = "HTTP 501"},
    };
    (void)state;
    means(cases, WB_COUNT(cases));
}

static void what_a_person_has_to_put_right_is_said(void **state)
{
    static const answer_case cases[] = {
        {WB_OTLP_PROTOBUF, "HTTP/1.1 401 X\n", BODY(""), WB_ERR_UNAVAILABLE, .text = "bearer_file"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 403 X\n", BODY(""), WB_ERR_UNAVAILABLE, .text = "basic_file"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 404 X\n", BODY(""), WB_ERR_UNAVAILABLE, .text = "endpoint"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 405 X\n", BODY(""), WB_ERR_UNAVAILABLE, .text = "signals"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 407 X\n", BODY(""), WB_ERR_UNAVAILABLE, .text = "proxy"},
        {WB_OTLP_JSON, "HTTP/1.1 415 X\n", BODY(""), WB_ERR_UNAVAILABLE, .text = "protocol"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 426 X\n", BODY(""), WB_ERR_UNAVAILABLE, .text = "endpoint"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 301 X\nLocation: /\n", BODY(""), WB_ERR_UNAVAILABLE,
         .text = "elsewhere"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 200 OK\nContent-Type: text/html\n", BODY("<html>"),
         WB_ERR_UNAVAILABLE, .text = "web page"},
    };
    (void)state;
    means(cases, WB_COUNT(cases));
}

static void http_success_and_partial_success(void **state)
{
    static const answer_case cases[] = {
        {WB_OTLP_PROTOBUF, "HTTP/1.1 200 OK\n" PB "\n", BODY(""), WB_OK, .text = NULL},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 202 Accepted\n", BODY(""), WB_OK, .text = NULL},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 200 OK\n" PB "\n", BODY("\x0a\x07\x08\x03\x12\x03old"), WB_OK,
         .rejected = 3, .text = "old"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 200 OK\n", BODY("\x0a\x05\x12\x03odd"), WB_OK, .text = "odd"},
        {WB_OTLP_PROTOBUF, "HTTP/1.1 200 OK\n" PB "\n",
         BODY("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), WB_OK,
         .text = NULL}, /* -1 */
        {WB_OTLP_PROTOBUF, "HTTP/1.1 200 OK\n" PB "\n", BODY("\xff\xff\xff"), WB_OK, .text = NULL},
        {WB_OTLP_JSON, "HTTP/1.1 200 OK\n" JSON "\n", BODY("{}"), WB_OK, .text = NULL},
        {WB_OTLP_JSON, "HTTP/1.1 200 OK\n" JSON "\n",
         BODY("{\"partialSuccess\":{\"rejectedSpans\":\"7\",\"errorMessage\":\"old\"}}"), WB_OK,
         .rejected = 7, .text = "old"},
        {WB_OTLP_JSON, "HTTP/1.1 200 OK\n", BODY("{\"partialSuccess\":{\"rejectedSpans\":7}}"),
         WB_OK, .rejected = 7, .text = NULL},
        {WB_OTLP_JSON, "HTTP/1.1 200 OK\n" JSON "\n",
         BODY("{\"partialSuccess\":{\"rejectedSpans\":-7}}"), WB_OK, .text = NULL},
        {WB_OTLP_JSON, "HTTP/1.1 200 OK\n" JSON "\n", BODY("{\"partialSuccess\":"), WB_OK,
         .text = NULL},
        /* of a 100 Continue nothing stays */
        {WB_OTLP_PROTOBUF, "HTTP/1.1 100 Continue\nRetry-After: 5\nHTTP/1.1 503 X\n", BODY(""),
         WB_ERR_UNAVAILABLE, .text = "HTTP 503"},
    };
    (void)state;
    means(cases, WB_COUNT(cases));
}

#define GRPC "HTTP/2 200 \ncontent-type: application/grpc\n"
#define OK "\ngrpc-status: 0\n" /* a trailer */
/* google.rpc.Status {code: 14; details: RetryInfo {2 s, 500 ms}}, base64 */
#define RETRY_INFO                                                                                 \
    "grpc-status-details-bin: "                                                                    \
    "CA4aNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIAhCAyrXuAQ"

static void grpc_answers(void **state)
{
    static const answer_case cases[] = {
        {WB_OTLP_GRPC, GRPC OK, BODY("\0\0\0\0\0"), WB_OK, .text = NULL},
        {WB_OTLP_GRPC, GRPC OK, BODY("\0\0\0\0\x09\x0a\x07\x08\x03\x12\x03old"), WB_OK,
         .rejected = 3, .text = "old"},
        {WB_OTLP_GRPC, "HTTP/2 200 \ncontent-type: application/grpc+proto\r\n\r\ngrpc-status: 0\n",
         BODY("\0\0\0\0\x02\x0a\0"), WB_OK, .text = NULL},
        {WB_OTLP_GRPC, GRPC "grpc-status: 3\ngrpc-message: no%20such%3Ething%\n", BODY(""),
         WB_ERR_REJECTED, .text = "gRPC INVALID_ARGUMENT: no such>thing%"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 14\n" RETRY_INFO "\n", BODY(""), WB_ERR_UNAVAILABLE,
         .retry_after_ms = 2500, .text = "gRPC UNAVAILABLE"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 8\n" RETRY_INFO "==\n", BODY(""), WB_ERR_UNAVAILABLE,
         .retry_after_ms = 2500, .text = "RESOURCE_EXHAUSTED"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 8\n", BODY(""), WB_ERR_REJECTED,
         .text = "RESOURCE_EXHAUSTED"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 8\ngrpc-status-details-bin: !!\n", BODY(""),
         WB_ERR_REJECTED, .text = "RESOURCE_EXHAUSTED"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 4\n", BODY(""), WB_ERR_TIMEOUT, .text = "DEADLINE"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 16\n", BODY(""), WB_ERR_UNAVAILABLE,
         .text = "bearer_file"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 12\ngrpc-message: unknown\n", BODY(""),
         WB_ERR_UNAVAILABLE, .text = "signals: unknown"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 13\n", BODY(""), WB_ERR_UNAVAILABLE,
         .is_server_error = true, .text = "INTERNAL"},
        {WB_OTLP_GRPC, GRPC "grpc-status: 99\n", BODY(""), WB_ERR_UNAVAILABLE,
         .is_server_error = true, .text = "code 99"},
        {WB_OTLP_GRPC, GRPC, BODY(""), WB_ERR_UNAVAILABLE, .text = "no gRPC status"},
        {WB_OTLP_GRPC, GRPC "grpc-status: x\n", BODY(""), WB_ERR_UNAVAILABLE,
         .text = "no gRPC status"},
        {WB_OTLP_GRPC, "HTTP/2 503 \n", BODY(""), WB_ERR_UNAVAILABLE, .text = "HTTP 503"},
        {WB_OTLP_GRPC, "HTTP/2 404 \n", BODY(""), WB_ERR_UNAVAILABLE, .text = "endpoint"},
    };
    static const uint32_t retryable[] = {1, 10, 11, 14, 15}, refused[] = {3, 6, 9};
    (void)state;
    means(cases, WB_COUNT(cases));
    for (size_t i = 0; i < WB_COUNT(retryable) + WB_COUNT(refused); i++) {
        bool again = i < WB_COUNT(retryable);
        char head[96];
        (void)snprintf(head, sizeof head, GRPC "grpc-status: %u\n",
                       again ? retryable[i] : refused[i - WB_COUNT(retryable)]);
        const answer_case one = {.protocol = WB_OTLP_GRPC,
                                 .head = head,
                                 .status = again ? WB_ERR_UNAVAILABLE : WB_ERR_REJECTED,
                                 .text = "gRPC"};
        means(&one, 1);
    }
}

static void an_ok_of_grpc_without_a_whole_answer_is_none(void **state)
{
    static const struct {
        const char *head;
        wb_slice body;
    } cases[] = {
        {GRPC "grpc-status: 0\n", BODY("")}, /* a head alone */
        {GRPC "grpc-status: 0\n\n", BODY("\0\0\0\0\0")},
        {GRPC OK, BODY("")},
        {GRPC OK, BODY("\0\0\0\0")},
        {GRPC OK, BODY("\0\0\0\0\x04\x0a\x02\x08")},
        {GRPC OK, BODY("\0\xff\0\0\x04\x0a\x02\x08\x03")},
        {GRPC OK, BODY("\0\0\0\0\0\0\0\0\0\0")}, /* two */
        {GRPC OK, BODY("\2\0\0\0\0")},
        {"HTTP/2 503 \ncontent-type: application/grpc\n" OK, BODY("\0\0\0\0\0")},
        {"HTTP/2 200 \ncontent-type: text/html\n" OK, BODY("\0\0\0\0\0")},
        {"HTTP/2 200 \n" OK, BODY("\0\0\0\0\0")},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        const answer_case c = {WB_OTLP_GRPC, cases[i].head, cases[i].body, WB_ERR_UNAVAILABLE,
                               .text = "not a whole answer"};
        means(&c, 1);
    }
}

/* {partial_success {rejected_spans: 3; error_message: "old"}}, gzip, as Python writes it */
#define GZIP                                                                                       \
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03"                                                     \
    "\xe3\x62\xe7\x60\x16\x62\xce\xcf\x49\x01\x00"                                                 \
    "\x1b\xcd\x10\x04"                                                                             \
    "\x09\0\0\0"

static void a_compressed_message_of_grpc_is_read(void **state)
{
    static const answer_case cases[] = {
        {WB_OTLP_GRPC, GRPC "grpc-encoding: gzip\n" OK, BODY("\1\0\0\0\x1d" GZIP), WB_OK,
         .rejected = 3, .text = "old"},
        /* what cannot be read says nothing, and is an OK all the same */
        {WB_OTLP_GRPC, GRPC "grpc-encoding: zstd\n" OK, BODY("\1\0\0\0\x1d" GZIP), WB_OK,
         .text = NULL},
        {WB_OTLP_GRPC, GRPC OK, BODY("\1\0\0\0\x04\x0a\x02\x08\x03"), WB_OK, .text = NULL},
        {WB_OTLP_GRPC, GRPC "grpc-encoding: gzip\n" OK, BODY("\1\0\0\0\x04\x0a\x02\x08\x03"), WB_OK,
         .text = NULL},
        {WB_OTLP_GRPC, GRPC "grpc-encoding: gzip\n" OK,
         BODY("\1\0\0\0\x14\x1f\x8b\x08\0\0\0\0\0\2\xff\3\0\0\0\0\0\xff\xff\xff\x7f"), WB_OK,
         .text = NULL}, /* 2 GiB, by its own word */
        {WB_OTLP_GRPC, GRPC "grpc-encoding: gzip\n" OK,
         BODY("\1\0\0\0\x14\x1f\x8b\x08\0\0\0\0\0\2\xff\3\0\0\0\0\0\7\0\0\0"), WB_OK,
         .text = NULL}, /* its length is not so */
    };
    (void)state;
    means(cases, WB_COUNT(cases));
}

static void what_a_backend_says_moves_no_cursor(void **state)
{
    static const answer_case cases[] = {
        {WB_OTLP_PROTOBUF, "HTTP/1.1 400 X\n" PB "\n",
         BODY("\x12\x0f"
              "a\x1b[2J\xc2\x9b\xff\xe2\x82\xac\xf0\x9f\x98\x80"),
         WB_ERR_REJECTED, .text = "a?[2J??\xe2\x82\xac\xf0\x9f\x98\x80"},
    };
    (void)state;
    means(cases, WB_COUNT(cases));
    char body[4 + 300];
    body[0] = 0x12;
    body[1] = (char)0xAC;
    body[2] = 0x02;
    for (size_t i = 0; i < 300; i += 3) memcpy(body + 3 + i, "\xe2\x82\xac", 3);
    const answer_case long_one = {.protocol = WB_OTLP_PROTOBUF,
                                  .head = "HTTP/1.1 400 X\n" PB "\n",
                                  .body = {(const uint8_t *)body, 303},
                                  .status = WB_ERR_REJECTED};
    wb_otlp_answer a = {0};
    read_answer(&long_one, &a);
    size_t len = strlen(a.text);
    assert_true(len < sizeof a.text);
    assert_memory_equal(a.text + len - 3, "\xe2\x82\xac", 3); /* no half character */
}

static void a_backend_that_repeats_a_secret_is_not_repeated(void **state)
{
    static const struct {
        const char *said, *shown;
    } cases[] = {
        {"no such token sekret-token-77, sorry", "gRPC INVALID_ARGUMENT: no such token ***, sorry"},
        {"sekret-token-77sekret-token-77", "gRPC INVALID_ARGUMENT: ******"},
        {"Basic%20dTpw", "gRPC INVALID_ARGUMENT: Basic ***"},
        {"cut: sekret-tok", "gRPC INVALID_ARGUMENT: cut: ***"},
        {"nothing of it", "gRPC INVALID_ARGUMENT: nothing of it"},
    };
    const wb_slice secrets[] = {WB_S("sekret-token-77"), WB_S("dTpw"), WB_S("")};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_otlp_answer answer;
        wb_otlp_reply reply;
        wb_otlp_reply_init(&reply);
        reply.status = 200;
        (void)snprintf(reply.grpc_status, sizeof reply.grpc_status, "3");
        (void)snprintf(reply.grpc_message, sizeof reply.grpc_message, "%s", cases[i].said);
        reply.hidden = secrets;
        reply.n_hidden = WB_COUNT(secrets);
        wb_otlp_reply_read(&reply, WB_OTLP_GRPC, WB_SIGNAL_TRACES, NOW, &answer);
        assert_string_equal(answer.text, cases[i].shown);
        wb_otlp_reply_done(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_refusals),
        cmocka_unit_test(http_waits),
        cmocka_unit_test(what_a_person_has_to_put_right_is_said),
        cmocka_unit_test(http_success_and_partial_success),
        cmocka_unit_test(grpc_answers),
        cmocka_unit_test(an_ok_of_grpc_without_a_whole_answer_is_none),
        cmocka_unit_test(a_compressed_message_of_grpc_is_read),
        cmocka_unit_test(what_a_backend_says_moves_no_cursor),
        cmocka_unit_test(a_backend_that_repeats_a_secret_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
