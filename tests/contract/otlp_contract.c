/* SPDX-License-Identifier: Apache-2.0 */
/* The battery against any OTLP backend that somebody else started, then what only OTLP does: asking to
 * wait, refusing, taking a part. A program and no test of ctest: tests/integration/test_otlp_contract.py
 * starts the backends and runs this once for each protocol. Environment:
 *
 *   WAYBILL_CONTRACT_ENDPOINT   as the key `endpoint`
 *   WAYBILL_CONTRACT_PROTOCOL   http/protobuf, http/json or grpc
 *   WAYBILL_CONTRACT_CONTROL    port on 127.0.0.1 that takes one line and answers one: "away", "back",
 *                               "clear" -> "ok"; "spans", "all_spans", "delegations" -> how many (of spans
 *                               the different ones, or each time one came), -1: it does not count them
 *   WAYBILL_CONTRACT_SCRIPTED   set: the control also takes "script JSON" (tests/support/otlp_backend.py) */
#include "exporters/otlp/otlp.h"
#include "proto/span_batch.h"
#include "tests/contract/exporter_contract.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LONG_MS = 30000 }; /* for a busy machine */

static const wb_slice all_signals[] = {WB_S("traces"), WB_S("logs"), WB_S("metrics")};

typedef struct backend_far {
    int control;
    wb_otlp_export_config config;
} backend_far;

static const char *setting(const char *name)
{
    const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */
    if (!value) {
        (void)fprintf(stderr, "%s is not set; the head of %s says what it is\n", name, __FILE__);
        exit(2); /* NOLINT(concurrency-mt-unsafe): one thread */
    }
    return value;
}

static bool is_grpc(void) { return strcmp(setting("WAYBILL_CONTRACT_PROTOCOL"), "grpc") == 0; }

/* ---- the control ---------------------------------------------------------------------------- */

static int control_open(void)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(setting("WAYBILL_CONTRACT_CONTROL"), NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void ask(const backend_far *far, const char *line, char answer[64])
{
    size_t n = 0;
    assert_int_equal(send(far->control, line, strlen(line), MSG_NOSIGNAL), (ssize_t)strlen(line));
    assert_int_equal(send(far->control, "\n", 1, MSG_NOSIGNAL), 1);
    for (; n < 63; n++) {
        assert_int_equal(recv(far->control, answer + n, 1, 0), 1);
        if (answer[n] == '\n') break;
    }
    answer[n] = '\0';
}

static void tell(const backend_far *far, const char *line)
{
    char answer[64];
    ask(far, line, answer);
    if (strcmp(answer, "ok") != 0) fail_msg("%s: %s", line, answer);
}

static int count(const backend_far *far, const char *what)
{
    char answer[64];
    ask(far, what, answer);
    return (int)strtol(answer, NULL, 10);
}

/* ---- the far side --------------------------------------------------------------------------- */

static wb_otlp_protocol_key protocol_key(void)
{
    const char *protocol = setting("WAYBILL_CONTRACT_PROTOCOL");
    if (strcmp(protocol, "http/json") == 0) return WB_OTLP_PROTOCOL_JSON;
    return is_grpc() ? WB_OTLP_PROTOCOL_GRPC : WB_OTLP_PROTOCOL_PROTOBUF;
}

static void *backend_start(const void **settings)
{
    backend_far *far = calloc(1, sizeof *far);
    assert_non_null(far);
    far->control = control_open();
    far->config = (wb_otlp_export_config){.endpoint = setting("WAYBILL_CONTRACT_ENDPOINT"),
                                          .protocol = protocol_key(),
                                          .signals = all_signals,
                                          .n_signals = 3,
                                          .delegation_logs = true,
                                          .max_request_bytes = 4 * 1024 * 1024};
    tell(far, "back");
    tell(far, "clear");
    *settings = &far->config;
    return far;
}

static void backend_stop(void *self)
{
    backend_far *far = self;
    tell(far, "back");
    close(far->control);
    free(far);
}

static void backend_away(void *self) { tell(self, "away"); }
static void backend_back(void *self) { tell(self, "back"); }
static int backend_spans(void *self) { return count(self, "spans"); }
static int backend_delegations(void *self) { return count(self, "delegations"); }
static int backend_acceptances(void *self)
{
    (void)self;
    return -1; /* they are spans, once they are done */
}

static const wb_otlp_export_config impossible = {
    .endpoint = "ftp://127.0.0.1", .signals = all_signals, .n_signals = 3};
static const far_side_ops backend_ops = {
    .exporter = &wb_exporter_otlp,
    .impossible_settings = &impossible,
    .send_ms = LONG_MS,
    .start = backend_start,
    .stop = backend_stop,
    .away = backend_away,
    .back = backend_back,
    .spans = backend_spans,
    .delegations = backend_delegations,
    .acceptances = backend_acceptances,
};

/* ---- answers -------------------------------------------------------------------------------- */

#define TAKEN "{\"rejected\": 0}, " /* in a script: as it was sent */

typedef struct sent {
    wb_status status;
    wb_export_result result;
    wb_error err;
} sent;

static sent send_records(contract_fixture *f, size_t from, size_t n, uint32_t timeout_ms)
{
    sent s = {.status = WB_OK};
    s.status =
        f->ops->exporter->send(f->exporter, f->records + from, n, timeout_ms, &s.result, &s.err);
    return s;
}

/* One answer that HTTP and gRPC give in their own ways. */
static void script(contract_fixture *f, const char *http, const char *grpc)
{
    char line[256];
    (void)snprintf(line, sizeof line, "script [%s]", is_grpc() ? grpc : http);
    tell(f->far, line);
}

static void a_backend_that_asks_for_time_gets_it(void **state)
{
    contract_fixture *f = *state;
    script(f, "{\"status\": 429, \"retry_after\": \"2\"}",
           "{\"grpc_status\": 14, \"retry_info_ms\": 2000}");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_ERR_UNAVAILABLE);
    assert_int_equal(s.result.retry_after_ms, 2000);
    assert_int_equal(send_records(f, 0, 1, LONG_MS).status, WB_OK);
}

static void overload_without_a_time_is_repeated(void **state)
{
    contract_fixture *f = *state;
    script(f, "{\"status\": 503}", "{\"grpc_status\": 14}");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_ERR_UNAVAILABLE);
    assert_int_equal(s.result.retry_after_ms, 0);
}

static void a_refused_request_is_the_records_fault(void **state)
{
    contract_fixture *f = *state;
    script(f, "{\"status\": 400, \"message\": \"no such thing\"}",
           "{\"grpc_status\": 3, \"message\": \"no such thing\"}");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_ERR_REJECTED);
    assert_non_null(strstr(s.err.detail, "no such thing"));
    assert_int_equal(backend_spans(f->far), 0);
}

/* Nothing may be parked because a token ran out. */
static void missing_credentials_are_not_the_records_fault(void **state)
{
    contract_fixture *f = *state;
    script(f, "{\"status\": 401}", "{\"grpc_status\": 16}");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_ERR_UNAVAILABLE);
    assert_non_null(strstr(s.err.detail, "bearer_file"));
}

static void a_wrong_address_is_not_the_records_fault(void **state)
{
    contract_fixture *f = *state;
    script(f, "{\"status\": 404}", "{\"grpc_status\": 12}");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_ERR_UNAVAILABLE);
    assert_non_null(strstr(s.err.detail, "endpoint"));
}

static void a_partial_success_is_counted_and_not_repeated(void **state)
{
    contract_fixture *f = *state;
    tell(f->far, "script [{\"rejected\": 3, \"message\": \"too old\"}]");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_OK);
    assert_int_equal(s.result.accepted, 1);
    assert_int_equal(s.result.rejected, 3);
    assert_non_null(strstr(s.err.detail, "too old"));
    assert_int_equal(backend_spans(f->far), 1);
}

static void a_stall_ends_at_the_time_for_a_send(void **state)
{
    contract_fixture *f = *state;
    tell(f->far, "script [{\"stall_s\": 1.5}]");
    sent s = send_records(f, 0, 1, 300);
    assert_int_equal(s.status, WB_ERR_TIMEOUT);
    assert_true(s.err.detail[0] != '\0');
}

static void a_connection_that_breaks_is_an_outage(void **state)
{
    contract_fixture *f = *state;
    tell(f->far, "script [{\"drop\": true}]");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_ERR_UNAVAILABLE);
    assert_int_equal(send_records(f, 0, 1, LONG_MS).status, WB_OK);
    assert_int_equal(count(f->far, "all_spans"), 4);
}

/* Traces went, logs did not: the repeat brings the logs alone. */
static void what_got_through_before_a_failure_does_not_go_twice(void **state)
{
    contract_fixture *f = *state;
    script(f, TAKEN "{\"status\": 503}", TAKEN "{\"grpc_status\": 14}");
    assert_int_equal(send_records(f, 0, 3, LONG_MS).status, WB_ERR_UNAVAILABLE);
    assert_int_equal(send_records(f, 0, 3, LONG_MS).status, WB_OK);
    assert_int_equal(count(f->far, "all_spans"), 8);
    assert_int_equal(backend_delegations(f->far), 1);
}

/* Spans 1000 to 1000 + n - 1, under one resource. */
static void many_spans(wb_buffer *payload, uint32_t n)
{
    const wb_otlp_attr resource[] = {WB_ATTR_TEXT("service.name", WB_S("agent"))};
    const wb_span_origin origin = {
        .resource = resource, .resource_count = 1, .scope_name = WB_S("test")};
    wb_span_draft *spans = calloc(n, sizeof *spans);
    assert_non_null(spans);
    for (uint32_t i = 0; i < n; i++)
        spans[i] = (wb_span_draft){.trace_id = test_trace(1),
                                   .span_id = test_span(1000 + i),
                                   .name = WB_S("one of many"),
                                   .start_ns = TEST_T0,
                                   .end_ns = TEST_T0 + 1};
    wb_buffer_init(payload, 8 * 1024 * 1024);
    assert_int_equal(wb_span_batch_build(&origin, spans, n, payload, NULL), WB_OK);
    free(spans);
}

static void open_again_with_limit(contract_fixture *f, size_t max_request_bytes)
{
    backend_far *far = f->far;
    contract_close(f);
    far->config.max_request_bytes = max_request_bytes;
    contract_open(f);
}

/* The server takes no more than it is told; each request has to fit. */
static void a_record_larger_than_a_request_goes_in_several(void **state)
{
    contract_fixture *f = *state;
    WB_AUTO_BUFFER payload;
    many_spans(&payload, 500);
    f->records[0].payload = wb_buffer_slice(&payload);
    tell(f->far, "script [{\"max_bytes\": 8192}]");
    open_again_with_limit(f, 8192);
    sent s = send_records(f, 0, 1, LONG_MS);
    if (s.status != WB_OK) fail_msg("%s", s.err.detail);
    assert_int_equal(count(f->far, "all_spans"), 500);
    assert_int_equal(backend_spans(f->far), 500);
}

static void a_large_record_goes_on_where_it_was_cut_off(void **state)
{
    contract_fixture *f = *state;
    WB_AUTO_BUFFER payload;
    many_spans(&payload, 500);
    f->records[0].payload = wb_buffer_slice(&payload);
    open_again_with_limit(f, 8192);
    script(f, TAKEN TAKEN "{\"status\": 503}", TAKEN TAKEN "{\"grpc_status\": 14}");
    assert_int_equal(send_records(f, 0, 1, LONG_MS).status, WB_ERR_UNAVAILABLE);
    assert_true(backend_spans(f->far) > 0);
    assert_int_equal(send_records(f, 0, 1, LONG_MS).status, WB_OK);
    assert_int_equal(count(f->far, "all_spans"), 500);
}

static void a_request_that_is_too_large_there_is_halved_by_the_runner(void **state)
{
    contract_fixture *f = *state;
    tell(f->far, "script [{\"max_bytes\": 64}]");
    sent s = send_records(f, 0, 1, LONG_MS);
    assert_int_equal(s.status, WB_ERR_REJECTED);
}

static void settings_say_which_kinds_it_takes(void **state)
{
    contract_fixture *f = *state;
    backend_far *far = f->far;
    far->config.n_signals = 1;
    uint64_t takes = wb_exporter_otlp.takes_of(&f->section);
    assert_int_equal(takes, WB_KIND_BIT(WB_ENTRY_SPANS) | WB_KIND_BIT(WB_ENTRY_MARKERS));
    contract_close(f);
    contract_open(f);
    assert_int_equal(send_records(f, 0, CONTRACT_RECORDS, LONG_MS).status, WB_OK);
    assert_int_equal(backend_delegations(far), 0);
    assert_int_equal(backend_spans(far), CONTRACT_SPANS);
}

#define OTLP_TEST(f)                                                                               \
    cmocka_unit_test_prestate_setup_teardown(f, contract_set_up, contract_tear_down,               \
                                             (void *)(uintptr_t)&backend_ops)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OTLP_TEST(a_backend_that_asks_for_time_gets_it),
        OTLP_TEST(overload_without_a_time_is_repeated),
        OTLP_TEST(a_refused_request_is_the_records_fault),
        OTLP_TEST(missing_credentials_are_not_the_records_fault),
        OTLP_TEST(a_wrong_address_is_not_the_records_fault),
        OTLP_TEST(a_partial_success_is_counted_and_not_repeated),
        OTLP_TEST(a_connection_that_breaks_is_an_outage),
        OTLP_TEST(what_got_through_before_a_failure_does_not_go_twice),
        OTLP_TEST(a_record_larger_than_a_request_goes_in_several),
        OTLP_TEST(a_large_record_goes_on_where_it_was_cut_off),
        OTLP_TEST(a_request_that_is_too_large_there_is_halved_by_the_runner),
        OTLP_TEST(settings_say_which_kinds_it_takes),
        OTLP_TEST(a_stall_ends_at_the_time_for_a_send), /* last: the server keeps the spans later */
    };
    if (wb_exporter_otlp.prepare(NULL) != WB_OK) return 1;
    int failed = exporter_contract_run(&backend_ops);
    if (getenv("WAYBILL_CONTRACT_SCRIPTED")) /* NOLINT(concurrency-mt-unsafe): one thread */
        failed += cmocka_run_group_tests_name("otlp", tests, NULL, NULL);
    return failed == 0 ? 0 : 1;
}
