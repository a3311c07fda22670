/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver over real sockets, with a sink that answers from another thread when a test lets it. Every
 * test ends with all of the budget given back. */
#include "sidecar/receivers/otlp/grpc_code.h"
#include "tests/support/grpc_host.h"
#include "tests/support/h2_client.h"

#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
/* cmocka wants three of the above first */
#include <cmocka.h>

enum { PATIENCE_MS = 5000, MANY = 20 };

#define TRACES "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define METRICS "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
#define LOGS "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

static const uint8_t small_body[] = {0, 0, 0, 0, 4, 'b', 'o', 'd', 'y'};

static h2_request small_request(void)
{
    return (h2_request){.path = TRACES, .body = {small_body, sizeof small_body}};
}

typedef struct fixture {
    grpc_host *host;
    h2_client *client;
} fixture;

static fixture begin(const grpc_host_options *options)
{
    fixture f = {.host = grpc_host_start(options)};
    assert_non_null(f.host);
    f.client = h2_connect(grpc_host_port(f.host));
    if (!f.client) (void)grpc_host_stop(f.host);
    assert_non_null(f.client);
    return f;
}

static void end(fixture *f)
{
    h2_close(f->client);
    size_t held = grpc_host_stop(f->host);
    assert_int_equal(held, 0);
}

/* One request and its answer, with everything taken down before it is looked at. */
static h2_answer ask(const grpc_host_options *options, const h2_request *request,
                     grpc_host_seen *seen)
{
    fixture f = begin(options);
    h2_answer answer = *h2_wait(f.client, h2_send(f.client, request), PATIENCE_MS);
    *seen = grpc_host_look(f.host);
    end(&f);
    return answer;
}

static void each_signal_is_handed_on_and_answered(void **state)
{
    const char *const paths[WB_SIGNALS] = {
        [WB_SIGNAL_TRACES] = TRACES, [WB_SIGNAL_METRICS] = METRICS, [WB_SIGNAL_LOGS] = LOGS};
    (void)state;
    for (int i = 0; i < 2 * WB_SIGNALS; i++) {
        grpc_host_seen seen;
        h2_request request = small_request();
        request.path = paths[i / 2];
        h2_answer answer = ask(&(grpc_host_options){.at_once = i % 2}, &request, &seen);
        assert_int_equal(answer.http, 200);
        assert_int_equal(answer.grpc, WB_GRPC_OK);
        assert_int_equal(answer.body_len, 5); /* the empty message */
        assert_int_equal(answer.error, 0);
        assert_int_equal(seen.exports, 1);
        assert_int_equal(seen.signal, i / 2);
        assert_int_equal(seen.len, 4);
        assert_int_equal(seen.sum, grpc_host_sum(WB_S("body")));
        assert_true(seen.is_agent);
    }
}

static void a_large_body_arrives_whole_however_it_is_framed(void **state)
{
    enum { BODY = 700 * 1000 };
    static uint8_t bytes[5 + BODY];
    const size_t frames[] = {0, 16384, 1000, 3};
    (void)state;
    for (size_t i = 0; i < BODY; i++) bytes[5 + i] = (uint8_t)(i * 7 >> 3);
    for (size_t i = 0; i < WB_COUNT(frames); i++) {
        size_t len = frames[i] == 3 ? 3000 : BODY;
        for (int k = 0; k < 4; k++) bytes[1 + k] = (uint8_t)(len >> (24 - 8 * k));
        grpc_host_seen seen;
        h2_request request = {.path = TRACES, .body = {bytes, 5 + len}, .frame_bytes = frames[i]};
        h2_answer answer = ask(&(grpc_host_options){.held = false}, &request, &seen);
        assert_int_equal(answer.grpc, WB_GRPC_OK);
        assert_int_equal(seen.len, len);
        assert_int_equal(seen.sum, grpc_host_sum(wb_slice_of(bytes + 5, len)));
    }
}

static void what_the_sink_refuses_is_said_in_trailers_only(void **state)
{
    const grpc_host_options options = {
        .answer = {.status = WB_ERR_FULL, .message = "full\n", .retry_after_s = 5}};
    grpc_host_seen seen;
    h2_request request = small_request();
    (void)state;
    h2_answer answer = ask(&options, &request, &seen);
    assert_int_equal(answer.http, 200);
    assert_int_equal(answer.grpc, WB_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(answer.message, "full%0A");
    assert_string_equal(answer.retry_info, "CgIIBQ");
    assert_true(strlen(answer.details) > 60);
    assert_int_equal(answer.body_len, 0);
}

static void a_partial_success_is_a_message(void **state)
{
    const grpc_host_options options = {.answer = {.rejected = 3, .message = "bad ids"}};
    grpc_host_seen seen;
    h2_request request = small_request();
    (void)state;
    h2_answer answer = ask(&options, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_OK);
    assert_int_equal(answer.body_len, 18);
    assert_memory_equal(answer.body + 5, "\n\013\b\003\022\abad ids", 13);
}

static void what_is_no_export_is_answered_before_it_ends(void **state)
{
    static const struct {
        h2_field field;
        int http, grpc;
    } cases[] = {
        {{"content-type", "text/plain"}, 415, -1},
        {{":method", "GET"}, 405, -1},
        {{":path", "/a.B/C"}, 200, WB_GRPC_UNIMPLEMENTED},
        {{"grpc-encoding", "snappy"}, 200, WB_GRPC_UNIMPLEMENTED},
        {{"grpc-timeout", "x"}, 200, WB_GRPC_INTERNAL},
        {{"authorization", "Bearer wrong"}, 200, -1}, /* our uid is enough: never answered */
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        h2_request request = small_request();
        request.fields[0] = cases[i].field;
        request.stays_open = true;
        fixture f = begin(&(grpc_host_options){.held = false});
        bool is_answered = i + 1 < WB_COUNT(cases);
        h2_answer answer =
            *h2_wait(f.client, h2_send(f.client, &request), is_answered ? PATIENCE_MS : 50);
        unsigned exports = grpc_host_look(f.host).exports;
        end(&f);
        assert_int_equal(answer.closed, is_answered);
        assert_int_equal(answer.http, is_answered ? cases[i].http : -1);
        assert_int_equal(answer.grpc, cases[i].grpc);
        assert_int_equal(answer.error, 0); /* RST_STREAM(NO_ERROR) */
        assert_int_equal(exports, 0);
    }
}

static void only_the_bearer_lets_in_who_is_not_the_agent(void **state)
{
    const grpc_host_options options = {.bearer = "open sesame"};
    const char *const wrong[] = {"Bearer open", "open sesame", "Basic open sesame"};
    grpc_host_seen seen;
    h2_request request = small_request();
    (void)state;
    h2_answer answer = ask(&options, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_UNAUTHENTICATED);
    assert_int_equal(seen.exports, 0);
    for (size_t i = 0; i < WB_COUNT(wrong); i++) {
        request.fields[0] = (h2_field){"authorization", wrong[i]};
        answer = ask(&options, &request, &seen);
        assert_int_equal(answer.grpc, WB_GRPC_UNAUTHENTICATED);
    }
    request.fields[0] = (h2_field){"authorization", "Bearer open sesame"};
    answer = ask(&options, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_OK);
    assert_true(seen.is_agent);
}

static void a_page_in_the_agents_browser_is_not_the_agent(void **state)
{
    const grpc_host_options options = {.bearer = "open sesame"};
    grpc_host_seen seen;
    h2_request request = small_request();
    (void)state;
    request.fields[0] = (h2_field){"origin", "http://evil.example"};
    h2_answer answer = ask(&(grpc_host_options){.held = false}, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_UNAUTHENTICATED);
    assert_int_equal(seen.exports, 0);
    request.fields[1] = (h2_field){"authorization", "Bearer open sesame"};
    answer = ask(&options, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_OK);
}

static void bodies_that_are_none_are_refused(void **state)
{
    static const uint8_t flag[] = {7, 0, 0, 0, 0}, packed[] = {1, 0, 0, 0, 1, 'x'};
    static const uint8_t cut[] = {0, 0, 0, 0, 9, 'x'}, two[] = {0, 0, 0, 0, 1, 'x', 'y'};
    static const uint8_t large[] = {0, 0, 0x80, 0, 1};
    static const struct {
        wb_slice body;
        bool gzip;
        int grpc;
    } cases[] = {
        {{NULL, 0}, false, WB_GRPC_INTERNAL},
        {{flag, sizeof flag}, false, WB_GRPC_INTERNAL},
        {{packed, sizeof packed}, false, WB_GRPC_INTERNAL},
        {{packed, sizeof packed}, true, WB_GRPC_INTERNAL},
        {{cut, sizeof cut}, false, WB_GRPC_INTERNAL},
        {{two, sizeof two}, false, WB_GRPC_INTERNAL},
        {{large, sizeof large}, false, WB_GRPC_RESOURCE_EXHAUSTED},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        grpc_host_seen seen;
        h2_request request = {.path = TRACES, .body = cases[i].body};
        if (cases[i].gzip) request.fields[0] = (h2_field){"grpc-encoding", "gzip"};
        h2_answer answer = ask(&(grpc_host_options){.held = false}, &request, &seen);
        assert_int_equal(answer.grpc, cases[i].grpc);
        assert_string_equal(answer.retry_info, "");
        assert_int_equal(seen.exports, 0);
    }
}

static void a_gzip_body_is_inflated_within_the_budget(void **state)
{
    /* "waybill waybill waybill waybill", as gzip packs it */
    static const uint8_t body[] = {1,    0,    0,    0,    31,   0x1f, 0x8b, 0x08, 0x00,
                                   0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0x4f, 0xac,
                                   0x4c, 0xca, 0xcc, 0xc9, 0x51, 0x28, 0xc7, 0x4e, 0x03,
                                   0x00, 0x24, 0xbe, 0x78, 0x0b, 0x1f, 0x00, 0x00, 0x00};
    h2_request request = {
        .path = TRACES, .body = {body, sizeof body}, .fields = {{"grpc-encoding", "gzip"}}};
    grpc_host_seen seen;
    (void)state;
    h2_answer answer = ask(&(grpc_host_options){.held = false}, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_OK);
    assert_int_equal(seen.len, 31);
    assert_int_equal(seen.sum, grpc_host_sum(WB_S("waybill waybill waybill waybill")));
    answer = ask(&(grpc_host_options){.room_bytes = 40}, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_UNAVAILABLE);
    assert_string_equal(answer.retry_info, "CgIIAQ");
    assert_int_equal(seen.exports, 0);
}

static void without_room_a_request_is_to_be_sent_again(void **state)
{
    grpc_host_seen seen;
    h2_request request = small_request();
    (void)state;
    h2_answer answer = ask(&(grpc_host_options){.room_bytes = 3}, &request, &seen);
    assert_int_equal(answer.grpc, WB_GRPC_UNAVAILABLE);
    assert_string_equal(answer.retry_info, "CgIIAQ");
}

static void a_request_outlives_its_connection(void **state)
{
    fixture f = begin(&(grpc_host_options){.held = true});
    h2_request request = small_request();
    (void)state;
    (void)h2_send(f.client, &request);
    bool came = grpc_host_wait(f.host, 1);
    h2_close(f.client);
    f.client = NULL;
    h2_client *other = h2_connect(grpc_host_port(f.host)); /* serves on meanwhile */
    h2_request refused = small_request();
    refused.path = "/none";
    h2_answer answer = {.grpc = -1};
    if (other) answer = *h2_wait(other, h2_send(other, &refused), PATIENCE_MS);
    h2_close(other);
    grpc_host_let_go(f.host);
    end(&f);
    assert_true(came);
    assert_int_equal(answer.grpc, WB_GRPC_UNIMPLEMENTED);
}

static void requests_that_are_reset_count_until_they_are_answered(void **state)
{
    fixture f = begin(&(grpc_host_options){.held = true, .streams = 4});
    h2_request request = small_request();
    (void)state;
    for (unsigned i = 0; i < 4; i++) h2_reset(f.client, h2_send(f.client, &request));
    bool came = grpc_host_wait(f.host, 4);
    h2_answer refused = *h2_wait(f.client, h2_send(f.client, &request), PATIENCE_MS);
    grpc_host_let_go(f.host);
    h2_answer last = {.grpc = -1};
    for (int i = 0; i < 100 && last.grpc != 0; i++) /* until those four are through */
        last = *h2_wait(f.client, h2_send(f.client, &request), PATIENCE_MS);
    end(&f);
    assert_true(came);
    assert_int_equal(refused.error, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(last.grpc, WB_GRPC_OK);
}

static void a_deadline_ends_a_request_that_the_sink_still_has(void **state)
{
    const char *const timeouts[] = {"30m", "300m", "3S"}; /* until it gets there in time */
    fixture f = begin(&(grpc_host_options){.held = true});
    h2_request request = small_request();
    h2_answer answer = {.grpc = -1};
    unsigned exports = 0;
    (void)state;
    for (size_t i = 0; i < WB_COUNT(timeouts) && exports == 0; i++) {
        request.fields[0] = (h2_field){"grpc-timeout", timeouts[i]};
        answer = *h2_wait(f.client, h2_send(f.client, &request), PATIENCE_MS);
        exports = grpc_host_look(f.host).exports;
    }
    request.stays_open = true;
    h2_answer open = *h2_wait(f.client, h2_send(f.client, &request), PATIENCE_MS);
    end(&f);
    assert_int_equal(exports, 1);
    assert_int_equal(answer.error, NGHTTP2_CANCEL);
    assert_int_equal(open.grpc, WB_GRPC_DEADLINE_EXCEEDED); /* while its body arrived */
}

static void a_request_that_stalls_is_refused(void **state)
{
    fixture f = begin(&(grpc_host_options){.stall_ms = 30});
    h2_request request = small_request();
    request.body.len -= 2;
    request.stays_open = true;
    (void)state;
    h2_answer answer = *h2_wait(f.client, h2_send(f.client, &request), PATIENCE_MS);
    end(&f);
    assert_int_equal(answer.grpc, WB_GRPC_DEADLINE_EXCEEDED);
    assert_int_equal(answer.error, 0);
}

static uint32_t in_hand_after(grpc_host *host, uint32_t wanted)
{
    uint32_t in_hand = UINT32_MAX;
    for (int i = 0; i < PATIENCE_MS && in_hand != wanted; i++) {
        in_hand = wb_otlp_grpc_in_hand(grpc_host_receiver(host));
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return in_hand;
}

static void who_reads_no_answers_is_closed(void **state)
{
    enum { REQUESTS = 80 }; /* each answer has 250 bytes that cannot be packed */
    static char words[241];
    memset(words, 'x', sizeof words - 1);
    const grpc_host_options options = {
        .narrow = true, .stall_ms = 100, .answer = {.rejected = 1, .message = words}};
    grpc_host *host = grpc_host_start(&options);
    (void)state;
    assert_non_null(host);
    h2_client *client = h2_connect_narrow(grpc_host_port(host));
    h2_request request = small_request();
    for (int i = 0; client && i < REQUESTS; i++) (void)h2_send(client, &request);
    bool came = client && grpc_host_wait(host, REQUESTS);
    uint32_t in_hand = in_hand_after(host, 0); /* it is still there, and was cut */
    unsigned long long closed_out =
        atomic_load(&wb_otlp_grpc_counters(grpc_host_receiver(host))->closed_out);
    h2_close(client);
    size_t held = grpc_host_stop(host);
    assert_true(came);
    assert_int_equal(in_hand, 0);
    assert_int_equal(closed_out, 1);
    assert_int_equal(held, 0);
}

static void who_does_not_begin_takes_no_room_for_ever(void **state)
{
    fixture f = begin(&(grpc_host_options){.narrow = true});
    h2_client *silent = h2_connect(grpc_host_port(f.host)); /* sends not even its preface */
    h2_request request = small_request();
    (void)state;
    h2_answer answer = *h2_wait(f.client, h2_send(f.client, &request), PATIENCE_MS);
    wb_otlp_grpc_stop(grpc_host_receiver(f.host)); /* nobody to be told: closed at once */
    bool closed = silent && h2_wait_closed(f.client, PATIENCE_MS);
    h2_close(f.client);
    f.client = NULL;
    uint32_t in_hand = in_hand_after(f.host, 0);
    h2_close(silent);
    end(&f);
    assert_int_equal(answer.grpc, WB_GRPC_OK);
    assert_true(closed);
    assert_int_equal(in_hand, 0);
}

static void who_says_nothing_is_told_to_go(void **state)
{
    fixture f = begin(&(grpc_host_options){.idle_ms = 30});
    h2_request request = small_request();
    int32_t last = 0;
    uint32_t error = 1;
    (void)state;
    h2_answer answer = *h2_wait(f.client, h2_send(f.client, &request), PATIENCE_MS);
    bool closed = h2_wait_closed(f.client, PATIENCE_MS);
    unsigned goaways = h2_goaways(f.client, &last, &error);
    end(&f);
    assert_int_equal(answer.grpc, WB_GRPC_OK);
    assert_true(closed);
    assert_int_equal(goaways,
                     1); /* of two: the client's library reads no further when it is idle */
    assert_int_equal(error, NGHTTP2_NO_ERROR);
}

static void a_drain_answers_what_is_in_hand(void **state)
{
    fixture f = begin(&(grpc_host_options){.held = true});
    h2_request request = small_request();
    int32_t streams[MANY], last = 0;
    h2_answer answers[MANY];
    uint32_t error = 1;
    (void)state;
    for (int i = 0; i < MANY; i++) streams[i] = h2_send(f.client, &request);
    bool came = grpc_host_wait(f.host, MANY);
    wb_otlp_grpc_stop(grpc_host_receiver(f.host));
    bool closed_early = false;
    for (int i = 0; i < 250 && h2_goaways(f.client, &last, &error) < 2; i++)
        closed_early = h2_wait_closed(f.client, 20);
    grpc_host_let_go(f.host);
    for (int i = 0; i < MANY; i++) answers[i] = *h2_wait(f.client, streams[i], PATIENCE_MS);
    bool closed = h2_wait_closed(f.client, PATIENCE_MS);
    unsigned goaways = h2_goaways(f.client, &last, &error);
    h2_client *late = h2_connect(grpc_host_port(f.host));
    bool took_late = late != NULL;
    h2_close(late);
    h2_close(f.client);
    f.client = NULL;
    uint32_t in_hand = in_hand_after(f.host, 0);
    end(&f);
    assert_true(came && closed && !closed_early && !took_late);
    assert_int_equal(in_hand, 0);
    assert_int_equal(goaways, 2);
    assert_int_equal(last, streams[MANY - 1]);
    for (int i = 0; i < MANY; i++) assert_int_equal(answers[i].grpc, WB_GRPC_OK);
}

static void a_close_waits_for_the_sink(void **state)
{
    fixture f = begin(&(grpc_host_options){.held = true});
    h2_request request = small_request();
    (void)state;
    for (int i = 0; i < MANY; i++) (void)h2_send(f.client, &request);
    bool came = grpc_host_wait(f.host, MANY);
    end(&f);
    assert_true(came);
}

static void a_flood_of_pings_is_told_to_be_calm(void **state)
{
    fixture f = begin(&(grpc_host_options){.held = false});
    int32_t last = 0;
    uint32_t error = 0;
    bool closed = false;
    (void)state;
    for (int i = 0; i < 3000 && !closed; i++) {
        h2_ping(f.client);
        if (i % 20 == 19) closed = h2_wait_closed(f.client, 0);
    }
    closed = closed || h2_wait_closed(f.client, PATIENCE_MS);
    unsigned goaways = h2_goaways(f.client, &last, &error);
    end(&f);
    assert_true(closed);
    assert_int_equal(goaways, 1);
    assert_int_equal(error, NGHTTP2_ENHANCE_YOUR_CALM);
}

typedef struct crowd {
    uint16_t port;
    unsigned answered;
} crowd;

/* Some answers are waited for, some requests are reset, some connections just end. */
static void *press(void *arg)
{
    crowd *c = arg;
    h2_request request = small_request();
    for (int round = 0; round < 5; round++) {
        h2_client *client = h2_connect(c->port);
        if (!client) return NULL;
        int32_t streams[MANY];
        for (int i = 0; i < MANY; i++) streams[i] = h2_send(client, &request);
        for (int i = 0; i < MANY; i += 3) h2_reset(client, streams[i]);
        for (int i = 1; i < MANY && round % 2 == 0; i += 3)
            c->answered += h2_wait(client, streams[i], PATIENCE_MS)->grpc == WB_GRPC_OK;
        h2_close(client);
    }
    return NULL;
}

static void a_crowd_that_comes_and_goes_is_served(void **state)
{
    enum { THREADS = 4 };
    fixture f = begin(&(grpc_host_options){.held = false});
    pthread_t threads[THREADS];
    crowd crowds[THREADS];
    int n = 0;
    (void)state;
    for (; n < THREADS; n++) {
        crowds[n] = (crowd){.port = grpc_host_port(f.host)};
        if (pthread_create(&threads[n], NULL, press, &crowds[n]) != 0) break;
    }
    for (int i = 0; i < n; i++) (void)pthread_join(threads[i], NULL);
    end(&f);
    assert_int_equal(n, THREADS);
    for (int i = 0; i < n; i++) assert_int_equal(crowds[i].answered, 3 * 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_signal_is_handed_on_and_answered),
        cmocka_unit_test(a_large_body_arrives_whole_however_it_is_framed),
        cmocka_unit_test(what_the_sink_refuses_is_said_in_trailers_only),
        cmocka_unit_test(a_partial_success_is_a_message),
        cmocka_unit_test(what_is_no_export_is_answered_before_it_ends),
        cmocka_unit_test(only_the_bearer_lets_in_who_is_not_the_agent),
        cmocka_unit_test(a_page_in_the_agents_browser_is_not_the_agent),
        cmocka_unit_test(bodies_that_are_none_are_refused),
        cmocka_unit_test(a_gzip_body_is_inflated_within_the_budget),
        cmocka_unit_test(without_room_a_request_is_to_be_sent_again),
        cmocka_unit_test(a_request_outlives_its_connection),
        cmocka_unit_test(requests_that_are_reset_count_until_they_are_answered),
        cmocka_unit_test(a_deadline_ends_a_request_that_the_sink_still_has),
        cmocka_unit_test(a_request_that_stalls_is_refused),
        cmocka_unit_test(who_reads_no_answers_is_closed),
        cmocka_unit_test(who_does_not_begin_takes_no_room_for_ever),
        cmocka_unit_test(who_says_nothing_is_told_to_go),
        cmocka_unit_test(a_drain_answers_what_is_in_hand),
        cmocka_unit_test(a_close_waits_for_the_sink),
        cmocka_unit_test(a_flood_of_pings_is_told_to_be_calm),
        cmocka_unit_test(a_crowd_that_comes_and_goes_is_served),
    };
    return cmocka_run_group_tests_name("grpc_receiver", tests, NULL, NULL);
}
