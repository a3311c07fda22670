/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/otlp/grpc_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the three above first */
#include <cmocka.h>

enum { LIMIT = 16 * 1024 };

typedef struct field {
    const char *name, *value;
} field;

#define TRACES "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

static const field good[] = {{":method", "POST"},    {":scheme", "http"},
                             {":path", TRACES},      {":authority", "127.0.0.1:4317"},
                             {"te", "trailers"},     {"content-type", "application/grpc"},
                             {"grpc-timeout", "5S"}, {"grpc-encoding", "gzip"}};

/* The good fields with `other` in the place of its namesake, or behind them. */
static wb_grpc_head head_with(const field *other)
{
    wb_grpc_head head = {.bytes = 0};
    bool put = other == NULL;
    for (size_t i = 0; i < WB_COUNT(good); i++) {
        bool it = other && strcmp(good[i].name, other->name) == 0;
        const field *f = it ? other : &good[i];
        wb_grpc_head_take(&head, wb_slice_str(f->name), wb_slice_str(f->value));
        put = put || it;
    }
    if (!put) wb_grpc_head_take(&head, wb_slice_str(other->name), wb_slice_str(other->value));
    return head;
}

static const wb_grpc_refusal *check(const wb_grpc_head *head, size_t limit)
{
    const wb_grpc_refusal *refusal = wb_grpc_head_check_form(head, limit);
    return refusal ? refusal : wb_grpc_head_check(head);
}

static void timeouts_that_are_none_are_refused(void **state)
{
    const char *const none[] = {"",     "S",   "1",          "1s",    "1h",  "-1S", "+1S",
                                "1.5S", " 1S", "123456789S", "0x10S", "1S ", "1SS", "\3771S"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(none); i++) {
        uint64_t ns = 77;
        assert_false(wb_grpc_timeout_parse(wb_slice_str(none[i]), &ns));
        assert_int_equal(ns, 77);
    }
}

static void timeouts_are_read_in_their_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"0n", 0},
        {"1n", 1},
        {"99999999u", UINT64_C(99999999000)},
        {"250m", 250000000},
        {"10S", UINT64_C(10000000000)},
        {"00000010S", UINT64_C(10000000000)},
        {"2M", UINT64_C(120000000000)},
        {"1H", UINT64_C(3600000000000)},
        {"24H", WB_GRPC_TIMEOUT_MAX_NS},
        {"25H", WB_GRPC_TIMEOUT_MAX_NS},
        {"99999999H", WB_GRPC_TIMEOUT_MAX_NS},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        uint64_t ns = 77;
        assert_true(wb_grpc_timeout_parse(wb_slice_str(cases[i].text), &ns));
        assert_int_equal(ns, cases[i].ns);
    }
}

static void each_fault_has_its_answer(void **state)
{
    static const struct {
        field other;
        uint16_t http;
        wb_grpc_code code;
    } cases[] = {
        {{":method", "GET"}, 405, WB_GRPC_OK},
        {{"content-type", "application/json"}, 415, WB_GRPC_OK},
        {{"content-type", "application/grpc-web"}, 415, WB_GRPC_OK},
        {{"content-type", "application/grpc+json"}, 415, WB_GRPC_OK},
        {{"content-type", "application/grpcx"}, 415, WB_GRPC_OK},
        {{"content-type", ""}, 415, WB_GRPC_OK},
        {{":path", "/"}, 0, WB_GRPC_UNIMPLEMENTED},
        {{":path", TRACES "2"}, 0, WB_GRPC_UNIMPLEMENTED},
        {{":path", "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"},
         0,
         WB_GRPC_UNIMPLEMENTED},
        {{"grpc-encoding", "deflate"}, 0, WB_GRPC_UNIMPLEMENTED},
        {{"grpc-encoding", "GZIP"}, 0, WB_GRPC_UNIMPLEMENTED},
        {{"grpc-timeout", "soon"}, 0, WB_GRPC_INTERNAL},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_grpc_head head = head_with(&cases[i].other);
        const wb_grpc_refusal *refusal = check(&head, LIMIT);
        assert_non_null(refusal);
        assert_int_equal(refusal->http, cases[i].http);
        assert_int_equal(refusal->code, cases[i].code);
    }
}

static void what_only_who_may_send_is_told_does_not_show_in_the_form(void **state)
{
    const field faults[] = {{":path", "/"}, {"grpc-encoding", "br"}, {"grpc-timeout", "x"}};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(faults); i++) {
        wb_grpc_head head = head_with(&faults[i]);
        assert_null(wb_grpc_head_check_form(&head, LIMIT));
        assert_non_null(wb_grpc_head_check(&head));
    }
}

static void fields_are_counted_as_the_settings_count_them(void **state)
{
    static char long_value[LIMIT];
    wb_grpc_head head = head_with(NULL);
    size_t bytes = 0;
    (void)state;
    for (size_t i = 0; i < WB_COUNT(good); i++)
        bytes += strlen(good[i].name) + strlen(good[i].value) + 32;
    assert_int_equal(head.bytes, bytes);
    assert_null(check(&head, bytes));
    assert_int_equal(check(&head, bytes - 1)->code, WB_GRPC_RESOURCE_EXHAUSTED);
    memset(long_value, 'x', sizeof long_value - 1);
    head = head_with(&(field){"x-long", long_value});
    assert_int_equal(check(&head, LIMIT)->code, WB_GRPC_RESOURCE_EXHAUSTED);
}

static void good_heads_are_understood(void **state)
{
    static const struct {
        const char *path;
        wb_signal signal;
    } paths[] = {
        {TRACES, WB_SIGNAL_TRACES},
        {"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", WB_SIGNAL_METRICS},
        {"/opentelemetry.proto.collector.logs.v1.LogsService/Export", WB_SIGNAL_LOGS},
    };
    const char *const types[] = {"application/grpc", "application/grpc+proto",
                                 "application/grpc;charset=utf-8", "application/grpc+proto;a=b"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(paths); i++) {
        wb_grpc_head head = head_with(&(field){":path", paths[i].path});
        assert_null(check(&head, LIMIT));
        assert_int_equal(head.signal, paths[i].signal);
        assert_int_equal(head.encoding, WB_GRPC_GZIP);
        assert_true(head.has_timeout);
        assert_int_equal(head.timeout_ns, UINT64_C(5000000000));
    }
    for (size_t i = 0; i < WB_COUNT(types); i++) {
        wb_grpc_head head = head_with(&(field){"content-type", types[i]});
        assert_null(check(&head, LIMIT));
    }
    wb_grpc_head head = head_with(&(field){"grpc-encoding", "identity"});
    assert_null(check(&head, LIMIT));
    assert_int_equal(head.encoding, WB_GRPC_IDENTITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_that_are_none_are_refused),
        cmocka_unit_test(timeouts_are_read_in_their_unit),
        cmocka_unit_test(each_fault_has_its_answer),
        cmocka_unit_test(what_only_who_may_send_is_told_does_not_show_in_the_form),
        cmocka_unit_test(fields_are_counted_as_the_settings_count_them),
        cmocka_unit_test(good_heads_are_understood),
    };
    return cmocka_run_group_tests_name("grpc_head", tests, NULL, NULL);
}
