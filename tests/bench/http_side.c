/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 as the programs under test speak it: Content-Length both ways, keep-alive, nothing chunked. */
#include "tests/bench/http_side.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/bench.h"

enum {
    MESSAGE_MAX = 20 * 1024 * 1024,
    FIRST_BUFFER = 256 * 1024,
    EVENTS = 64,
    LOAD_MAX = 256,
    WAIT_PORT_S = 30,
    AGAIN_US = 2000,
};

/* ---- a message that is read ------------------------------------------------------------------- */

typedef struct message {
    int fd;
    uint8_t *buffer;
    size_t len, cap;
} message;

static void grow(message *m)
{
    size_t cap = m->cap ? 2 * m->cap : FIRST_BUFFER;
    uint8_t *grown = cap <= MESSAGE_MAX ? realloc(m->buffer, cap) : NULL;
    if (!grown) wb_bench_give_up("an HTTP message is too large");
    m->buffer = grown;
    m->cap = cap;
}

/* False: the other side closed. */
static bool fill(message *m)
{
    if (m->len == m->cap) grow(m);
    ssize_t n = recv(m->fd, m->buffer + m->len, m->cap - m->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) return false;
    m->len += (size_t)n;
    return true;
}

/* The first whole message: its head's and its body's length; false if it is not all there. */
static bool whole(const message *m, size_t *head, size_t *body)
{
    const char *text = (const char *)m->buffer;
    const char *end = m->len > 3 ? memmem(text, m->len, "\r\n\r\n", 4) : NULL;
    if (!end) return false;
    *head = (size_t)(end - text) + 4;
    *body = 0;
    for (const char *line = text; line < end; line = (const char *)memchr(line, '\n', *head) + 1)
        if (strncasecmp(line, "content-length:", 15) == 0) *body = strtoul(line + 15, NULL, 10);
    return m->len >= *head + *body;
}

static void drop(message *m, size_t n)
{
    m->len -= n;
    memmove(m->buffer, m->buffer + n, m->len);
}

static void send_all(int fd, const void *bytes, size_t n)
{
    for (const char *p = bytes; n > 0;) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) wb_bench_give_up("the forwarder closed its connection");
        p += sent;
        n -= (size_t)sent;
    }
}

static int loopback(uint16_t port, struct sockaddr_in *address)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (fd < 0) wb_bench_give_up("no socket: %s", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void watch(int epoll, int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = what}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) wb_bench_give_up("epoll");
}

/* ---- how many spans a body has ---------------------------------------------------------------- */

static uint64_t varint(const uint8_t **p, const uint8_t *end)
{
    uint64_t value = 0;
    for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) break;
    }
    return value;
}

/* Fields of `depth` levels of messages: resource_spans 1, scope_spans 2, spans 2. */
static uint64_t count_spans(const uint8_t *p, const uint8_t *end, int depth)
{
    static const uint64_t tags[] = {(1 << 3) | 2, (2 << 3) | 2, (2 << 3) | 2};
    uint64_t n = 0;
    while (p < end) {
        uint64_t tag = varint(&p, end), len = varint(&p, end);
        if ((tag & 7) != 2 || len > (uint64_t)(end - p)) wb_bench_give_up("the sink got no OTLP");
        if (tag == tags[depth]) n += depth == 2 ? 1 : count_spans(p, p + len, depth + 1);
        p += len;
    }
    return n;
}

/* ---- the sink --------------------------------------------------------------------------------- */

struct wb_http_sink {
    int listener, epoll;
    uint16_t port;
    atomic_bool stopped;
    atomic_ullong spans, requests;
    pthread_t thread;
};

static bool serve(wb_http_sink *sink, message *m)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                             "Content-Length: 0\r\n\r\n";
    size_t head, body;
    if (!fill(m)) return false;
    while (whole(m, &head, &body)) {
        const uint8_t *p = m->buffer + head;
        atomic_fetch_add(&sink->spans, count_spans(p, p + body, 0));
        atomic_fetch_add(&sink->requests, 1);
        drop(m, head + body);
        send_all(m->fd, ok, sizeof ok - 1);
    }
    return true;
}

static void take_client(wb_http_sink *sink)
{
    message *m = calloc(1, sizeof *m);
    int one = 1, fd = accept4(sink->listener, NULL, NULL, SOCK_CLOEXEC);
    if (!m || fd < 0) wb_bench_give_up("accept: %s", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    m->fd = fd;
    watch(sink->epoll, fd, m);
} /* NOLINT(clang-analyzer-unix.Malloc): epoll keeps `m` */

static void *run_sink(void *arg)
{
    wb_http_sink *sink = arg;
    struct epoll_event events[EVENTS];
    while (!atomic_load(&sink->stopped)) {
        int n = epoll_wait(sink->epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            message *m = events[i].data.ptr;
            if (!m) {
                take_client(sink);
            } else if (!serve(sink, m)) {
                (void)close(m->fd);
                free(m->buffer);
                free(m);
            }
        }
    }
    return NULL;
}

wb_http_sink *wb_http_sink_start(void)
{
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    wb_http_sink *sink = calloc(1, sizeof *sink);
    if (!sink) wb_bench_give_up("no memory");
    sink->listener = loopback(0, &address);
    sink->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (bind(sink->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(sink->listener, 64) != 0 ||
        getsockname(sink->listener, (struct sockaddr *)&address, &len) != 0)
        wb_bench_give_up("the sink cannot listen");
    sink->port = ntohs(address.sin_port);
    watch(sink->epoll, sink->listener, NULL);
    if (pthread_create(&sink->thread, NULL, run_sink, sink) != 0) wb_bench_give_up("thread");
    return sink;
}

uint16_t wb_http_sink_port(const wb_http_sink *sink) { return sink->port; }
uint64_t wb_http_sink_spans(wb_http_sink *sink) { return atomic_load(&sink->spans); }
uint64_t wb_http_sink_requests(wb_http_sink *sink) { return atomic_load(&sink->requests); }

void wb_http_sink_stop(wb_http_sink *sink)
{
    atomic_store(&sink->stopped, true);
    (void)pthread_join(sink->thread, NULL);
    (void)close(sink->listener);
    (void)close(sink->epoll);
    free(sink);
}

/* ---- the load --------------------------------------------------------------------------------- */

typedef struct sender {
    message in;
    size_t body; /* the one in flight */
} sender;

static void post(const wb_http_load *load, sender *s)
{
    char head[256];
    const wb_slice *body = &load->bodies[s->body];
    int n = snprintf(head, sizeof head,
                     "POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: %s\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     load->port, load->content_type, body->len);
    send_all(s->in.fd, head, (size_t)n);
    send_all(s->in.fd, body->ptr, body->len);
}

/* One answer, if it is there: 200 counts; 429 and 503 are asked again. */
static bool answered(sender *s, bool *again)
{
    size_t head, body;
    if (!fill(&s->in)) wb_bench_give_up("the forwarder closed its connection");
    if (!whole(&s->in, &head, &body)) return false;
    long code = strtol((const char *)s->in.buffer + sizeof "HTTP/1.1", NULL, 10);
    if (code != 200 && code != 429 && code != 503)
        wb_bench_give_up("the forwarder answered %ld: %.*s", code, (int)body, s->in.buffer + head);
    *again = code != 200;
    drop(&s->in, head + body);
    return true;
}

static sender *open_senders(const wb_http_load *load, int epoll)
{
    struct sockaddr_in address;
    sender *senders = calloc(load->connections, sizeof *senders);
    if (!senders) wb_bench_give_up("no memory");
    for (uint32_t i = 0; i < load->connections; i++) {
        sender *s = &senders[i];
        s->body = i % load->n;
        s->in.fd = loopback(load->port, &address);
        if (connect(s->in.fd, (struct sockaddr *)&address, sizeof address) != 0)
            wb_bench_give_up("port %u: %s", load->port, strerror(errno));
        watch(epoll, s->in.fd, s);
        post(load, s);
    }
    return senders;
}

uint64_t wb_http_load_run(const wb_http_load *load)
{
    struct epoll_event events[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->connections > LOAD_MAX) wb_bench_give_up("too many connections");
    uint64_t done = 0, end = wb_bench_now_ns() + (uint64_t)(load->seconds * 1e9);
    sender *senders = open_senders(load, epoll);
    for (uint32_t open = load->connections; open > 0;) {
        int n = epoll_wait(epoll, events, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            sender *s = events[i].data.ptr;
            bool again = false;
            if (!answered(s, &again)) continue;
            done += !again;
            if (!again) s->body = (s->body + load->connections) % load->n;
            if (again) (void)usleep(AGAIN_US);
            if (wb_bench_now_ns() < end) {
                post(load, s);
                continue;
            }
            (void)close(s->in.fd);
            free(s->in.buffer);
            open--;
        }
    }
    free(senders);
    (void)close(epoll);
    return done;
}

void wb_http_wait_port(uint16_t port)
{
    for (uint64_t start = wb_bench_now_ns();; (void)usleep(2000)) {
        struct sockaddr_in address;
        int fd = loopback(port, &address);
        int rv = connect(fd, (struct sockaddr *)&address, sizeof address);
        (void)close(fd);
        if (rv == 0) return;
        if (wb_bench_now_ns() - start > WAIT_PORT_S * UINT64_C(1000000000))
            wb_bench_give_up("nothing listens on port %u", port);
    }
}
