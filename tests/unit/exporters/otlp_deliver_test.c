/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of records that a server refuses, falls over or answers oddly: with a real server, in a
 * thread, that looks into what it gets, and with a clock that this test holds. */
#include "exporters/otlp/deliver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/log_batch.h"
#include "proto/otlp_split.h"
#include "tests/support/loopback.h"
#include "tests/support/records.h"

#include <curl/curl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REQUEST_MAX = 64 * 1024,
    LONG_ANSWER = WB_OTLP_REPLY_MAX_BYTES + 1000,
    SEND_MS = 5000,
    ARENA_BYTES = 8 * 1024 * 1024,
};

/* ---- a server ------------------------------------------------------------------------------- */

typedef struct server {
    loopback_server at;
    char bytes[REQUEST_MAX]; /* the request in hand */
    size_t len;
    /* what it does; set between sends */
    atomic_int status;    /* of requests that have no "bad" in them */
    atomic_bool hangs_up; /* after each answer, without saying so before */
    atomic_bool says_much;
    /* what it got */
    atomic_uint requests, items;
} server;

static bool has(const char *bytes, size_t len, const char *word)
{
    return memmem(bytes, len, word, strlen(word)) != NULL;
}

/* A request with its body, at the start of s->bytes; 0: the connection is over. */
static size_t read_request(server *s, int fd, size_t *head)
{
    for (;;) {
        const char *end = memmem(s->bytes, s->len, "\r\n\r\n", 4);
        if (end) {
            const char *length = memmem(s->bytes, (size_t)(end - s->bytes), "Content-Length: ", 16);
            *head = (size_t)(end - s->bytes) + 4;
            size_t whole = *head + (length ? strtoul(length + 16, NULL, 10) : 0);
            if (s->len >= whole) return whole;
        }
        struct pollfd on[] = {{fd, POLLIN, 0}, {s->at.stop[0], POLLIN, 0}};
        if (poll(on, 2, -1) < 0 || on[1].revents) return 0;
        ssize_t got = recv(fd, s->bytes + s->len, sizeof s->bytes - s->len, 0);
        if (got <= 0) return 0;
        s->len += (size_t)got;
    }
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = send(fd, bytes, len, MSG_NOSIGNAL);
        if (put <= 0) return;
        bytes += put;
        len -= (size_t)put;
    }
}

static void answer(server *s, int fd, const char *body, size_t len)
{
    static const char zeros[4096];
    char head[128];
    bool bad = has(body, len, "bad");
    int status = bad ? 400 : atomic_load(&s->status);
    size_t much = atomic_load(&s->says_much) ? LONG_ANSWER : 0;
    atomic_fetch_add(&s->requests, 1);
    if (status == 200) atomic_fetch_add(&s->items, wb_otlp_count_items(wb_slice_of(body, len)));
    int n =
        snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n", status, much);
    send_all(fd, head, (size_t)n);
    for (; much > 0; much -= much < sizeof zeros ? much : sizeof zeros)
        send_all(fd, zeros, much < sizeof zeros ? much : sizeof zeros);
}

static void serve(server *s, int fd)
{
    size_t head, whole;
    s->len = 0;
    while ((whole = read_request(s, fd, &head)) > 0) {
        answer(s, fd, s->bytes + head, whole - head);
        memmove(s->bytes, s->bytes + whole, s->len - whole);
        s->len -= whole;
        if (atomic_load(&s->hangs_up)) break;
    }
    close(fd);
}

static void *run_server(void *arg)
{
    server *s = arg;
    for (;;) {
        struct pollfd on[] = {{s->at.listener, POLLIN, 0}, {s->at.stop[0], POLLIN, 0}};
        if (poll(on, 2, -1) < 0 || on[1].revents) return NULL;
        int fd = accept4(s->at.listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) serve(s, fd);
    }
}

static bool server_start(server *s)
{
    atomic_init(&s->status, 200);
    return loopback_start(&s->at, run_server, s);
}

/* ---- a delivery ----------------------------------------------------------------------------- */

static uint64_t held_ns = 1000 * WB_NS_PER_S;
static uint64_t held(const wb_clock *clock)
{
    (void)clock;
    return held_ns;
}
static const wb_clock held_clock = {.wall = held, .monotonic = held};

typedef struct fixture {
    server server;
    char endpoint[64];
    wb_arena *arena;
    wb_otlp_export_config config;
    wb_otlp_settings settings;
    wb_otlp_secrets secrets;
    wb_exporter_origin origin;
    wb_otlp_delivery delivery;
    wb_buffer payload, second;
    wb_error err;
    wb_export_result result;
} fixture;

static const wb_slice signals[] = {WB_S("traces"), WB_S("logs")};

static void open_delivery(fixture *f, size_t max_request_bytes)
{
    wb_otlp_delivery *d = &f->delivery;
    f->config = (wb_otlp_export_config){.endpoint = f->endpoint,
                                        .signals = signals,
                                        .n_signals = 2,
                                        .delegation_logs = true,
                                        .max_request_bytes = max_request_bytes};
    wb_arena_reset(f->arena);
    assert_int_equal(
        wb_otlp_settings_make("out", &f->config, NULL, f->arena, &f->settings, &f->err), WB_OK);
    d->secrets = &f->secrets;
    if (!d->transport) d->transport = wb_otlp_transport_new(&f->settings, &f->secrets, NULL);
    assert_non_null(d->transport);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    wb_otlp_delivery *d = &f->delivery;
    wb_otlp_transport_free(d->transport);
    wb_otlp_encoder_done(&d->encoder);
    wb_otlp_reply_done(&d->reply);
    wb_buffer_done(&d->part);
    wb_arena_free(d->arena);
    wb_arena_free(d->row_arena);
    wb_arena_free(f->arena);
    wb_buffer_done(&f->payload);
    wb_buffer_done(&f->second);
    loopback_stop(&f->server.at);
    free(f);
    return 0;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    *state = f;
    wb_otlp_delivery *d = &f->delivery;
    f->origin = (wb_exporter_origin){.agent_id = "spiffe://waybill.local/test",
                                     .name = "agent",
                                     .version = "0.0.0",
                                     .isolation = "none"};
    f->arena = wb_arena_new(ARENA_BYTES);
    *d = (wb_otlp_delivery){.settings = &f->settings, .origin = &f->origin, .clock = &held_clock};
    wb_otlp_encoder_init(&d->encoder);
    wb_otlp_reply_init(&d->reply);
    wb_buffer_init(&d->part, ARENA_BYTES);
    wb_buffer_init(&f->payload, ARENA_BYTES);
    wb_buffer_init(&f->second, ARENA_BYTES);
    wb_otlp_secrets_init(&f->secrets, &f->settings);
    d->arena = wb_arena_new(ARENA_BYTES);
    d->row_arena = wb_arena_new(ARENA_BYTES);
    bool started = server_start(&f->server);
    (void)snprintf(f->endpoint, sizeof f->endpoint, "http://127.0.0.1:%u", f->server.at.port);
    if (f->arena && d->arena && d->row_arena && started) return 0;
    (void)tear_down(state);
    return -1;
}

static void put_logs(wb_buffer *out, const char *const *bodies, size_t n)
{
    const wb_span_origin origin = {.scope_name = WB_S("test")};
    wb_log_draft drafts[16] = {0};
    for (size_t i = 0; i < n; i++)
        drafts[i] = (wb_log_draft){.time_ns = 1 + i, .body = wb_slice_str(bodies[i])};
    wb_buffer_clear(out);
    assert_int_equal(wb_log_batch_build(&origin, drafts, n, out, NULL), WB_OK);
}

static void put_spans(wb_buffer *out, uint32_t first, uint32_t n)
{
    test_span_spec specs[4] = {0};
    for (uint32_t i = 0; i < n; i++)
        specs[i] = (test_span_spec){.trace = 1, .span = first + i, .name = "work", .end_ms = 1};
    wb_buffer_clear(out);
    test_spans_payload(out, specs, n);
}

static wb_record_view view(wb_entry_kind kind, uint64_t seq, const wb_buffer *payload)
{
    return (wb_record_view){.kind = kind, .seq = seq, .payload = wb_buffer_slice(payload)};
}

static wb_status deliver(fixture *f, const wb_record_view *records, size_t n)
{
    f->err = (wb_error){0};
    wb_status status = wb_otlp_deliver(&f->delivery, records, n, SEND_MS, &f->result, &f->err);
    if (status != WB_OK) assert_true(f->err.detail[0] != '\0');
    return status;
}

/* ---- refused items -------------------------------------------------------------------------- */

static const char *const some_bad[] = {"a", "bad 1", "b", "c", "bad 2"};
static const char *const only_bad[] = {"bad 1", "bad 2", "bad 3"};

static void log_records_that_are_refused_are_counted_and_the_others_go(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_logs(&f->payload, some_bad, WB_COUNT(some_bad));
    wb_record_view record = view(WB_ENTRY_LOGS, 7, &f->payload);
    assert_int_equal(deliver(f, &record, 1), WB_OK);
    assert_int_equal(f->result.rejected, 2);
    assert_int_equal(f->err.status, WB_OK);
    assert_non_null(strstr(f->err.detail, "400")); /* it says why */
    assert_int_equal(atomic_load(&f->server.items), 3);
}

static void a_record_of_refused_items_alone_is_refused(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_logs(&f->payload, only_bad, WB_COUNT(only_bad));
    wb_record_view record = view(WB_ENTRY_LOGS, 7, &f->payload);
    assert_int_equal(deliver(f, &record, 1), WB_ERR_REJECTED);
    assert_int_equal(atomic_load(&f->server.items), 0);
}

/* With others beside it the runner has to halve first. */
static void a_window_is_refused_as_a_whole(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_logs(&f->payload, some_bad, WB_COUNT(some_bad));
    put_logs(&f->second, some_bad, 1);
    const wb_record_view records[] = {view(WB_ENTRY_LOGS, 7, &f->payload),
                                      view(WB_ENTRY_LOGS, 8, &f->second)};
    assert_int_equal(deliver(f, records, 2), WB_ERR_REJECTED);
    assert_int_equal(atomic_load(&f->server.requests), 1);
}

static void a_delegation_that_does_not_unpack_is_refused(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    const wb_record_view record = {
        .kind = WB_ENTRY_DELEGATION, .seq = 1, .payload = WB_S("\xFF\xFF")};
    assert_int_equal(deliver(f, &record, 1), WB_ERR_REJECTED);
    assert_int_equal(atomic_load(&f->server.requests), 0);
}

/* ---- server errors -------------------------------------------------------------------------- */

static void a_server_error_is_an_outage_for_a_minute(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_spans(&f->payload, 1, 1);
    wb_record_view record = view(WB_ENTRY_SPANS, 7, &f->payload);
    atomic_store(&f->server.status, 500);
    for (int i = 0; i < 8; i++) assert_int_equal(deliver(f, &record, 1), WB_ERR_UNAVAILABLE);
    held_ns += 59 * WB_NS_PER_S;
    assert_int_equal(deliver(f, &record, 1), WB_ERR_UNAVAILABLE);
    held_ns += 2 * WB_NS_PER_S;
    assert_int_equal(deliver(f, &record, 1), WB_ERR_REJECTED);    /* one is found */
    assert_int_equal(deliver(f, &record, 1), WB_ERR_UNAVAILABLE); /* the next minute */
    atomic_store(&f->server.status, 200);
    assert_int_equal(deliver(f, &record, 1), WB_OK);
}

static void under_suspicion_a_window_is_halved_at_once(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_spans(&f->payload, 1, 1);
    put_spans(&f->second, 2, 2);
    const wb_record_view records[] = {view(WB_ENTRY_SPANS, 7, &f->payload),
                                      view(WB_ENTRY_SPANS, 8, &f->second)};
    atomic_store(&f->server.status, 500);
    for (int i = 0; i < 5; i++) assert_int_equal(deliver(f, records, 2), WB_ERR_UNAVAILABLE);
    held_ns += 61 * WB_NS_PER_S;
    assert_int_equal(deliver(f, records, 2), WB_ERR_REJECTED);
    atomic_store(&f->server.status, 200);
    assert_int_equal(deliver(f, records, 1), WB_OK);
    atomic_store(&f->server.status, 500);
    assert_int_equal(deliver(f, records + 1, 1), WB_ERR_REJECTED); /* of two spans: not found yet */
    assert_int_equal(deliver(f, records + 1, 1), WB_ERR_REJECTED);
}

/* ---- odd answers ---------------------------------------------------------------------------- */

static void an_answer_without_end_is_cut_and_counts(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_spans(&f->payload, 1, 2);
    wb_record_view record = view(WB_ENTRY_SPANS, 7, &f->payload);
    atomic_store(&f->server.says_much, true);
    assert_int_equal(deliver(f, &record, 1), WB_OK);
    assert_true(f->delivery.reply.body.len <= WB_OTLP_REPLY_MAX_BYTES);
}

static void a_kept_connection_that_is_gone_is_made_anew(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    atomic_store(&f->server.hangs_up, true);
    for (uint64_t seq = 1; seq <= 4; seq++) {
        put_spans(&f->payload, (uint32_t)seq, 1);
        wb_record_view record = view(WB_ENTRY_SPANS, seq, &f->payload);
        assert_int_equal(deliver(f, &record, 1), WB_OK);
    }
    assert_int_equal(atomic_load(&f->server.items), 4);
}

static void no_time_left_is_said(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_spans(&f->payload, 1, 1);
    wb_record_view record = view(WB_ENTRY_SPANS, 1, &f->payload);
    assert_int_equal(wb_otlp_deliver(&f->delivery, &record, 1, 0, &f->result, &f->err),
                     WB_ERR_TIMEOUT);
    assert_int_equal(atomic_load(&f->server.requests), 0);
}

/* ---- places --------------------------------------------------------------------------------- */

static void what_is_through_is_skipped_and_a_part_of_it_is_not(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    put_spans(&f->payload, 1, 3);
    put_spans(&f->second, 1, 2);
    wb_record_view whole = view(WB_ENTRY_SPANS, 7, &f->payload);
    wb_record_view part = view(WB_ENTRY_SPANS, 7, &f->second);
    assert_int_equal(deliver(f, &whole, 1), WB_OK);
    assert_int_equal(deliver(f, &whole, 1), WB_OK);
    assert_int_equal(atomic_load(&f->server.requests), 1);
    assert_int_equal(deliver(f, &part, 1), WB_OK);
    assert_int_equal(atomic_load(&f->server.items), 5);
}

static void records_that_do_not_fit_into_one_request_go_in_several(void **state)
{
    fixture *f = *state;
    put_spans(&f->payload, 1, 4);
    put_spans(&f->second, 5, 4);
    open_delivery(f, f->payload.len); /* one of them, not two */
    const wb_record_view records[] = {view(WB_ENTRY_SPANS, 7, &f->payload),
                                      view(WB_ENTRY_SPANS, 8, &f->second)};
    assert_int_equal(deliver(f, records, 2), WB_OK);
    assert_int_equal(f->result.accepted, 2);
    assert_int_equal(atomic_load(&f->server.requests), 2);
    assert_int_equal(atomic_load(&f->server.items), 8);
}

static void records_without_items_send_nothing(void **state)
{
    fixture *f = *state;
    open_delivery(f, 1 << 20);
    const wb_record_view records[] = {{.kind = WB_ENTRY_METRICS, .seq = 1},
                                      {.kind = WB_ENTRY_CURSOR, .seq = 2}};
    assert_int_equal(deliver(f, records, 2), WB_OK);
    assert_int_equal(atomic_load(&f->server.requests), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_delegation_that_does_not_unpack_is_refused),
        TEST(a_record_of_refused_items_alone_is_refused),
        TEST(a_window_is_refused_as_a_whole),
        TEST(log_records_that_are_refused_are_counted_and_the_others_go),
        TEST(a_server_error_is_an_outage_for_a_minute),
        TEST(under_suspicion_a_window_is_halved_at_once),
        TEST(an_answer_without_end_is_cut_and_counts),
        TEST(a_kept_connection_that_is_gone_is_made_anew),
        TEST(no_time_left_is_said),
        TEST(what_is_through_is_skipped_and_a_part_of_it_is_not),
        TEST(records_that_do_not_fit_into_one_request_go_in_several),
        TEST(records_without_items_send_nothing),
    };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
