/* SPDX-License-Identifier: Apache-2.0 */
/* What an exporter over gRPC does, as cheaply as nghttp2 lets us: on each connection one unary Export after
 * another, no compression, the answer's status out of its trailers. */
#include "tests/bench/http_side.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/status.h"
#include "tests/bench/bench.h"

enum { CONNECTIONS_MAX = 64, PREFIX = 5, WINDOW = 16 * 1024 * 1024, READ_BYTES = 64 * 1024 };

typedef struct connection {
    const wb_http_load *load;
    nghttp2_session *session;
    int fd;
    uint8_t prefix[PREFIX];
    size_t body, sent; /* the one in flight, and how much of it with its prefix is out */
    bool busy, failed;
    uint64_t done;
} connection;

static ssize_t on_send(nghttp2_session *session, const uint8_t *bytes, size_t n, int flags,
                       void *self)
{
    const connection *c = self;
    (void)session, (void)flags;
    ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    return errno == EAGAIN ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *self)
{
    connection *c = self;
    (void)session, (void)frame, (void)flags;
    if (wb_slice_eq(wb_slice_of(name, name_len), WB_S("grpc-status")))
        c->failed = !wb_slice_eq(wb_slice_of(value, value_len), WB_S("0"));
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *self)
{
    connection *c = self;
    (void)session, (void)stream;
    if (code != NGHTTP2_NO_ERROR || c->failed) wb_bench_give_up("gRPC: an Export failed");
    c->busy = false;
    c->done++;
    c->body = (c->body + c->load->connections) % c->load->n;
    return 0;
}

static ssize_t on_read(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *self)
{
    connection *c = self;
    const wb_slice *body = &c->load->bodies[c->body];
    size_t n = 0;
    (void)session, (void)stream, (void)source;
    for (; c->sent < PREFIX && n < room; n++) to[n] = c->prefix[c->sent++];
    size_t rest = PREFIX + body->len - c->sent, part = rest < room - n ? rest : room - n;
    memcpy(to + n, body->ptr + (c->sent - PREFIX), part);
    c->sent += part;
    if (part == rest) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)(n + part);
}

#define FIELD(n, v)                                                                                \
    {                                                                                              \
        (uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, sizeof(v) - 1,                              \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                           \
    }

static void begin(connection *c)
{
    static const nghttp2_nv head[] = {
        FIELD(":method", "POST"),
        FIELD(":scheme", "http"),
        FIELD(":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        FIELD(":authority", "127.0.0.1"),
        FIELD("te", "trailers"),
        FIELD("content-type", "application/grpc"),
    };
    const nghttp2_data_provider provider = {.read_callback = on_read};
    uint32_t len = htonl((uint32_t)c->load->bodies[c->body].len);
    c->prefix[0] = 0;
    memcpy(c->prefix + 1, &len, sizeof len);
    c->sent = 0;
    c->busy = true;
    if (nghttp2_submit_request(c->session, NULL, head, WB_COUNT(head), &provider, NULL) < 0)
        wb_bench_give_up("gRPC: no request");
}

static void open_connection(connection *c, const wb_http_load *load, size_t i)
{
    nghttp2_session_callbacks *callbacks;
    const nghttp2_settings_entry settings = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW};
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(load->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = 1;
    *c = (connection){.load = load, .body = i % load->n};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        wb_bench_give_up("port %u: %s", load->port, strerror(errno));
    if (nghttp2_session_callbacks_new(&callbacks) != 0) wb_bench_give_up("no memory");
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_client_new(&c->session, callbacks, c) != 0) wb_bench_give_up("no memory");
    nghttp2_session_callbacks_del(callbacks);
    (void)nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &settings, 1);
    begin(c);
}

static void receive(connection *c)
{
    uint8_t bytes[READ_BYTES];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || nghttp2_session_mem_recv(c->session, bytes, (size_t)n) < 0)
        wb_bench_give_up("gRPC: the forwarder closed its connection");
}

/* What the connections wait for; how many are not through. */
static uint32_t step(connection *all, uint32_t n, bool over)
{
    struct pollfd polls[CONNECTIONS_MAX];
    uint32_t busy = 0;
    for (uint32_t i = 0; i < n; i++) {
        connection *c = &all[i];
        if (!c->busy && !over) begin(c);
        if (nghttp2_session_send(c->session) != 0) wb_bench_give_up("gRPC: cannot send");
        polls[i] = (struct pollfd){
            .fd = c->fd,
            .events = (short)(POLLIN | (nghttp2_session_want_write(c->session) ? POLLOUT : 0))};
        busy += c->busy;
    }
    if (busy == 0) return 0;
    (void)poll(polls, n, 1000);
    for (uint32_t i = 0; i < n; i++)
        if (polls[i].revents & (POLLIN | POLLHUP | POLLERR)) receive(&all[i]);
    return busy;
}

uint64_t wb_grpc_load_run(const wb_http_load *load)
{
    static connection all[CONNECTIONS_MAX];
    uint64_t done = 0, end = wb_bench_now_ns() + (uint64_t)(load->seconds * 1e9);
    if (load->connections > CONNECTIONS_MAX) wb_bench_give_up("too many connections");
    for (uint32_t i = 0; i < load->connections; i++) open_connection(&all[i], load, i);
    while (step(all, load->connections, wb_bench_now_ns() >= end) > 0) continue;
    for (uint32_t i = 0; i < load->connections; i++) {
        done += all[i].done;
        nghttp2_session_del(all[i].session);
        (void)close(all[i].fd);
    }
    return done;
}
