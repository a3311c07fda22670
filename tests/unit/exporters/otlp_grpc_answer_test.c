/* SPDX-License-Identifier: Apache-2.0 */
/* Which answers over gRPC count as delivered, and which do not: a server that plays frames from a script,
 * whatever it was sent, and libcurl in between as it is. It neither decodes heads nor looks into requests; a
 * frame with END_STREAM of the client's is its cue. Each case is followed by a plain success on the same
 * transport: whatever came before, the next request gets through. */
#include "exporters/otlp/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/loopback.h"
#include <cmocka.h>

#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_BYTES = 9, /* of a frame: RFC 9113 section 4.1 */
    PREFACE_BYTES = 24,
    FRAME_MAX = 16384,
    STEPS_MAX = 5,
    CONNECTIONS_MAX = 16, /* libcurl tries again five times at most */
    SEND_MS = 10000,
    ARENA_BYTES = 1024 * 1024,
};
enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7, CLOSE = 0x100 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

/* ---- a server ------------------------------------------------------------------------------- */

/* A frame, or the end of the connection. */
typedef struct step {
    unsigned type;
    uint8_t flags;
    const char *bytes; /* of HEADERS: lines "name: value\n" */
    size_t len;
} step;

typedef struct server server;

typedef struct connection {
    server *server;
    int fd;
    pthread_t thread;
} connection;

/* libcurl may keep a connection that it does not use any more: each has a thread. */
struct server {
    loopback_server at;
    connection connections[CONNECTIONS_MAX]; /* of the thread that takes them */
    size_t n;
    const step *script; /* of the first request; the next ones get a success */
    bool stubborn;      /* the script is for all of them */
    atomic_uint requests;
};

#define H(flags, lines)                                                                            \
    {                                                                                              \
        HEADERS, END_HEADERS | (flags), lines, sizeof(lines) - 1                                   \
    }
#define D(flags, data)                                                                             \
    {                                                                                              \
        DATA, flags, data, sizeof(data) - 1                                                        \
    }
#define RESET(code)                                                                                \
    {                                                                                              \
        RST_STREAM, 0, "\0\0\0" code, 4                                                            \
    }
#define GO_AWAY(last)                                                                              \
    {                                                                                              \
        GOAWAY, 0, "\0\0\0" last "\0\0\0\0", 8                                                     \
    }
#define END                                                                                        \
    {                                                                                              \
        CLOSE, 0, "", 0                                                                            \
    }
#define OF_GRPC ":status: 200\ncontent-type: application/grpc\n"
#define EMPTY "\0\0\0\0\0" /* an ExportTraceServiceResponse */
#define TRAILER(code) "grpc-status: " code "\n"

static const step success[STEPS_MAX] = {H(0, OF_GRPC), D(0, EMPTY), H(END_STREAM, TRAILER("0"))};

static bool send_all(int fd, const void *bytes, size_t len)
{
    for (const char *at = bytes; len > 0;) {
        ssize_t put = send(fd, at, len, MSG_NOSIGNAL);
        if (put <= 0) return false;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

static bool read_all(const server *s, int fd, uint8_t *out, size_t len)
{
    while (len > 0) {
        struct pollfd on[] = {{fd, POLLIN, 0}, {s->at.stop[0], POLLIN, 0}};
        if (poll(on, 2, -1) < 0 || on[1].revents) return false;
        ssize_t got = recv(fd, out, len, 0);
        if (got <= 0) return false;
        out += got;
        len -= (size_t)got;
    }
    return true;
}

static bool send_frame(int fd, unsigned type, uint8_t flags, uint8_t stream, const void *bytes,
                       size_t len)
{
    const uint8_t head[HEAD_BYTES] = {
        0, (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)type, flags, 0, 0, 0, stream};
    return send_all(fd, head, sizeof head) && send_all(fd, bytes, len);
}

/* RFC 7541 section 6.2.2: literals that nobody remembers, with a new name; none is longer than 126 bytes. */
static size_t pack_lines(const char *lines, uint8_t *out)
{
    size_t at = 0;
    for (const char *line = lines; *line; line += strcspn(line, "\n") + 1) {
        size_t name = 1 + strcspn(line + 1, ":"); /* it may begin with one */
        const char *value = line + name + 2;
        size_t len = strcspn(value, "\n");
        out[at++] = 0;
        out[at++] = (uint8_t)name;
        memcpy(out + at, line, name);
        at += name;
        out[at++] = (uint8_t)len;
        memcpy(out + at, value, len);
        at += len;
    }
    return at;
}

static bool play(int fd, const step *script, uint8_t stream)
{
    uint8_t packed[512];
    for (size_t i = 0; i < STEPS_MAX && script[i].bytes; i++) {
        const step *one = &script[i];
        if (one->type == CLOSE) return false;
        bool head = one->type == HEADERS;
        size_t len = head ? pack_lines(one->bytes, packed) : one->len;
        if (!send_frame(fd, one->type, one->flags, one->type == GOAWAY ? 0 : stream,
                        head ? (const void *)packed : one->bytes, len))
            return false;
    }
    return true;
}

/* One frame; false: the connection is over. */
static bool serve_frame(server *s, int fd)
{
    uint8_t head[HEAD_BYTES], body[FRAME_MAX];
    if (!read_all(s, fd, head, sizeof head)) return false;
    size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    if (len > sizeof body || !read_all(s, fd, body, len)) return false;
    if (head[3] == SETTINGS && !(head[4] & ACK)) return send_frame(fd, SETTINGS, ACK, 0, "", 0);
    if (head[3] > HEADERS || !(head[4] & END_STREAM)) return true;
    bool scripted = atomic_fetch_add(&s->requests, 1) == 0 || s->stubborn;
    return play(fd, scripted ? s->script : success, head[8]);
}

static void *serve(void *arg)
{
    const connection *c = arg;
    uint8_t preface[PREFACE_BYTES];
    if (read_all(c->server, c->fd, preface, sizeof preface) &&
        send_frame(c->fd, SETTINGS, 0, 0, "", 0))
        while (serve_frame(c->server, c->fd)) {}
    (void)shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

static void *run_server(void *arg)
{
    server *s = arg;
    while (s->n < CONNECTIONS_MAX) {
        struct pollfd on[] = {{s->at.listener, POLLIN, 0}, {s->at.stop[0], POLLIN, 0}};
        if (poll(on, 2, -1) < 0 || on[1].revents) break;
        connection *c = &s->connections[s->n];
        *c = (connection){.server = s, .fd = accept4(s->at.listener, NULL, NULL, SOCK_CLOEXEC)};
        if (c->fd < 0) break;
        if (pthread_create(&c->thread, NULL, serve, c) == 0)
            s->n++;
        else
            close(c->fd);
    }
    for (size_t i = 0; i < s->n; i++) {
        pthread_join(s->connections[i].thread, NULL);
        close(s->connections[i].fd);
    }
    return NULL;
}

/* ---- what sends to it ----------------------------------------------------------------------- */

typedef struct fixture {
    server server;
    wb_arena *arena;
    wb_otlp_settings settings;
    wb_otlp_secrets secrets;
    wb_otlp_transport *transport;
    wb_otlp_reply reply;
} fixture;

static int tear_down(void **state)
{
    fixture *f = *state;
    wb_otlp_transport_free(f->transport);
    loopback_stop(&f->server.at);
    wb_otlp_reply_done(&f->reply);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    *state = f;
    wb_otlp_reply_init(&f->reply);
    wb_otlp_secrets_init(&f->secrets, &f->settings);
    f->arena = wb_arena_new(ARENA_BYTES);
    return f->arena ? 0 : -1;
}

static void open_transport(fixture *f, const step *script, bool stubborn)
{
    static const wb_slice signals[] = {WB_S("traces")};
    char endpoint[64];
    wb_error err = {0};
    wb_otlp_transport_free(f->transport);
    loopback_stop(&f->server.at);
    f->server = (server){.script = script, .stubborn = stubborn};
    assert_true(loopback_start(&f->server.at, run_server, &f->server));
    (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", f->server.at.port);
    const wb_otlp_export_config config = {.endpoint = endpoint,
                                          .protocol = WB_OTLP_PROTOCOL_GRPC,
                                          .signals = signals,
                                          .n_signals = 1,
                                          .max_request_bytes = 1 << 20};
    wb_arena_reset(f->arena);
    assert_int_equal(wb_otlp_settings_make("out", &config, NULL, f->arena, &f->settings, &err),
                     WB_OK);
    f->transport = wb_otlp_transport_new(&f->settings, &f->secrets, NULL);
    assert_non_null(f->transport);
}

/* Whether it counts as delivered, and what else came of it. */
static wb_status deliver(fixture *f, wb_otlp_answer *answer)
{
    const wb_slice message = {(const uint8_t *)EMPTY, sizeof EMPTY - 1};
    const wb_otlp_body body = {.pieces = &message, .n = 1, .bytes = message.len};
    wb_error err = {0};
    wb_status status =
        wb_otlp_transport_post(f->transport, WB_SIGNAL_TRACES, &body, SEND_MS, &f->reply, &err);
    *answer = (wb_otlp_answer){0};
    if (status == WB_OK) wb_otlp_reply_read(&f->reply, WB_OTLP_GRPC, WB_SIGNAL_TRACES, 0, answer);
    return status == WB_OK ? answer->status : status;
}

/* ---- answers -------------------------------------------------------------------------------- */

typedef struct script_case {
    const char *name;
    step script[STEPS_MAX];
} script_case;

static void play_all(fixture *f, const script_case *cases, size_t n, wb_status wanted)
{
    for (size_t i = 0; i < n; i++) {
        wb_otlp_answer answer;
        open_transport(f, cases[i].script, false);
        wb_status status = deliver(f, &answer);
        if (status != wanted)
            fail_msg("%s: %s (%s)", cases[i].name, wb_status_name(status), answer.text);
        status = deliver(f, &answer);
        if (status != WB_OK)
            fail_msg("after %s: %s (%s)", cases[i].name, wb_status_name(status), answer.text);
    }
}

static void a_whole_answer_is_delivered(void **state)
{
    static const script_case cases[] = {
        {"plain", {H(0, OF_GRPC), D(0, EMPTY), H(END_STREAM, TRAILER("0"))}},
        {"in pieces", {H(0, OF_GRPC), D(0, "\0\0"), D(0, "\0\0\0"), H(END_STREAM, TRAILER("0"))}},
    };
    play_all(*state, cases, WB_COUNT(cases), WB_OK);
}

/* libcurl 7.88 may lose the trailers then. It is sent again, at worst. */
static void a_server_that_goes_away_behind_its_answer_stops_nothing(void **state)
{
    static const step closes[STEPS_MAX] = {H(0, OF_GRPC), D(0, EMPTY), H(END_STREAM, TRAILER("0")),
                                           END};
    static const step goes[STEPS_MAX] = {H(0, OF_GRPC), D(0, EMPTY), H(END_STREAM, TRAILER("0")),
                                         GO_AWAY("\1"), END};
    const step *const scripts[] = {closes, goes};
    for (size_t i = 0; i < WB_COUNT(scripts); i++) {
        wb_otlp_answer answer;
        open_transport(*state, scripts[i], false);
        wb_status status = deliver(*state, &answer);
        assert_true(status == WB_OK || status == WB_ERR_UNAVAILABLE);
        assert_int_equal(deliver(*state, &answer), WB_OK);
    }
}

static void what_is_missing_is_not_made_up(void **state)
{
    static const script_case cases[] = {
        {"a head, and closed", {H(0, OF_GRPC), END}},
        {"a head, and reset", {H(0, OF_GRPC), RESET("\2")}},
        {"a head alone", {H(END_STREAM, OF_GRPC)}},
        {"no trailers, and closed", {H(0, OF_GRPC), D(0, EMPTY), END}},
        {"no trailers, and reset", {H(0, OF_GRPC), D(0, EMPTY), RESET("\2")}},
        {"no trailers, and cancelled", {H(0, OF_GRPC), D(0, EMPTY), RESET("\x08")}},
        {"no trailers", {H(0, OF_GRPC), D(END_STREAM, EMPTY)}},
        {"no trailers, and gone away", {H(0, OF_GRPC), D(0, EMPTY), GO_AWAY("\0"), END}},
        {"OK in the head alone", {H(END_STREAM, OF_GRPC TRAILER("0"))}},
        {"OK in the head, closed", {H(0, OF_GRPC TRAILER("0")), D(0, EMPTY), END}},
        {"OK in the head, reset", {H(0, OF_GRPC TRAILER("0")), D(0, "\0\0"), RESET("\2")}},
        {"OK in the head, no trailers", {H(0, OF_GRPC TRAILER("0")), D(END_STREAM, EMPTY)}},
        {"no message", {H(0, OF_GRPC), H(END_STREAM, TRAILER("0"))}},
        {"a message that is cut",
         {H(0, OF_GRPC), D(0, "\0\0\0\0\7\x0a"), H(END_STREAM, TRAILER("0"))}},
        {"a proxy's error",
         {H(0, ":status: 502\ncontent-type: application/grpc\n"), D(0, EMPTY),
          H(END_STREAM, TRAILER("0"))}},
        {"another server",
         {H(0, ":status: 200\ncontent-type: text/plain\n"), D(0, EMPTY),
          H(END_STREAM, TRAILER("0"))}},
        {"trailers that end nothing", {H(0, OF_GRPC), D(0, EMPTY), H(0, TRAILER("0")), END}},
        {"a failure", {H(0, OF_GRPC), D(0, EMPTY), H(END_STREAM, TRAILER("14"))}},
        {"a failure in the head", {H(END_STREAM, OF_GRPC TRAILER("14"))}},
        {"a failure behind an OK",
         {H(0, OF_GRPC TRAILER("0")), D(0, EMPTY), H(END_STREAM, TRAILER("14"))}},
    };
    play_all(*state, cases, WB_COUNT(cases), WB_ERR_UNAVAILABLE);
}

/* libcurl makes these again by itself, so the server says so each time. */
static void a_server_that_answers_nothing_has_nothing(void **state)
{
    static const script_case cases[] = {
        {"closed", {END}},
        {"gone away", {GO_AWAY("\0"), END}},
        {"refused", {RESET("\7"), END}},
    };
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_otlp_answer answer;
        open_transport(f, cases[i].script, true);
        wb_status status = deliver(f, &answer);
        if (status != WB_ERR_UNAVAILABLE) fail_msg("%s: %s", cases[i].name, wb_status_name(status));
    }
}

static void a_partial_success_that_is_compressed_is_counted(void **state)
{
    static const step script[STEPS_MAX] = {
        H(0, OF_GRPC "grpc-encoding: gzip\n"),
        D(0, "\1\0\0\0\x1d"
             "\x1f\x8b\x08\0\0\0\0\0\x02\x03\xe3\x62\xe7\x60\x16\x62\xce\xcf\x49\x01\x00\x1b\xcd"
             "\x10\x04\x09\0\0\0"),
        H(END_STREAM, TRAILER("0")),
    };
    wb_otlp_answer answer;
    open_transport(*state, script, false);
    assert_int_equal(deliver(*state, &answer), WB_OK);
    assert_int_equal(answer.rejected, 3);
    assert_string_equal(answer.text, "old");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_answer_is_delivered),
        TEST(a_server_that_goes_away_behind_its_answer_stops_nothing),
        TEST(what_is_missing_is_not_made_up),
        TEST(a_server_that_answers_nothing_has_nothing),
        TEST(a_partial_success_that_is_compressed_is_counted),
    };
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
