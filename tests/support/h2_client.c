/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/h2_client.h"

#include "core/clock.h"
#include "core/status.h"

#include <arpa/inet.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS = 512, USUAL = 6 };

typedef struct one_stream {
    h2_request request;
    size_t sent;
    h2_answer answer;
} one_stream;

struct h2_client {
    int fd;
    nghttp2_session *session;
    one_stream streams[STREAMS]; /* by number / 2 */
    bool lost;
    unsigned goaways;
    int32_t last_stream;
    uint32_t goaway_error;
};

static one_stream *stream_of(h2_client *c, int32_t id)
{
    return id > 0 && id / 2 < STREAMS ? &c->streams[id / 2] : NULL;
}

static void copy(char *to, size_t size, const uint8_t *from, size_t len)
{
    if (len >= size) len = size - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    one_stream *s = stream_of(user, frame->hd.stream_id);
    wb_slice n = wb_slice_of(name, name_len);
    char text[16];
    (void)session;
    (void)flags;
    if (!s) return 0;
    copy(text, sizeof text, value, value_len);
    if (wb_slice_eq(n, WB_S(":status"))) s->answer.http = (int)strtol(text, NULL, 10);
    if (wb_slice_eq(n, WB_S("grpc-status"))) s->answer.grpc = (int)strtol(text, NULL, 10);
    if (wb_slice_eq(n, WB_S("grpc-message")))
        copy(s->answer.message, sizeof s->answer.message, value, value_len);
    if (wb_slice_eq(n, WB_S("grpc-status-details-bin")))
        copy(s->answer.details, sizeof s->answer.details, value, value_len);
    if (wb_slice_eq(n, WB_S("google.rpc.retryinfo-bin")))
        copy(s->answer.retry_info, sizeof s->answer.retry_info, value, value_len);
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                    size_t len, void *user)
{
    one_stream *s = stream_of(user, id);
    (void)session;
    (void)flags;
    if (!s || len > sizeof s->answer.body - s->answer.body_len) return 0;
    memcpy(s->answer.body + s->answer.body_len, bytes, len);
    s->answer.body_len += len;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    one_stream *s = stream_of(user, id);
    (void)session;
    if (!s) return 0;
    s->answer.closed = true;
    s->answer.error = code;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    h2_client *c = user;
    (void)session;
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    c->goaways++;
    c->last_stream = frame->goaway.last_stream_id;
    c->goaway_error = frame->goaway.error_code;
    return 0;
}

static int make_session(h2_client *c)
{
    nghttp2_session_callbacks *cb = NULL;
    if (nghttp2_session_callbacks_new(&cb) != 0) return -1;
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    int rv = nghttp2_session_client_new(&c->session, cb, c);
    nghttp2_session_callbacks_del(cb);
    return rv != 0 ? rv : nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

static h2_client *connect_to(uint16_t port, bool narrow)
{
    const int least = 1;
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    h2_client *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (narrow) (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    if (c->fd >= 0 && connect(c->fd, (const struct sockaddr *)&at, sizeof at) == 0 &&
        make_session(c) == 0)
        return c;
    h2_close(c);
    return NULL;
}

h2_client *h2_connect(uint16_t port) { return connect_to(port, false); }

h2_client *h2_connect_narrow(uint16_t port) { return connect_to(port, true); }

void h2_close(h2_client *c)
{
    if (!c) return;
    nghttp2_session_del(c->session);
    if (c->fd >= 0) (void)close(c->fd);
    free(c);
}

static void write_some(h2_client *c)
{
    while (!c->lost) {
        const uint8_t *bytes = NULL;
        ssize_t n = nghttp2_session_mem_send(c->session, &bytes);
        if (n <= 0) return;
        for (ssize_t at = 0; at < n && !c->lost;) {
            ssize_t sent = send(c->fd, bytes + at, (size_t)(n - at), MSG_NOSIGNAL);
            c->lost = sent < 0;
            at += sent;
        }
    }
}

/* False: nothing came. */
static bool read_some(h2_client *c, int timeout_ms)
{
    uint8_t in[16384];
    struct pollfd poll_fd = {.fd = c->fd, .events = POLLIN};
    if (c->lost || poll(&poll_fd, 1, timeout_ms) != 1) return false;
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n <= 0 || nghttp2_session_mem_recv(c->session, in, (size_t)n) < 0) c->lost = true;
    return true;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    one_stream *s = source->ptr;
    size_t n = s->request.body.len - s->sent;
    (void)session;
    (void)id;
    (void)user;
    if (s->request.frame_bytes > 0 && len > s->request.frame_bytes) len = s->request.frame_bytes;
    if (n > len) n = len;
    if (n == 0 && s->request.stays_open) return NGHTTP2_ERR_DEFERRED;
    if (n > 0) memcpy(to, s->request.body.ptr + s->sent, n);
    s->sent += n;
    if (s->sent == s->request.body.len && !s->request.stays_open) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)name,
                        .value = (uint8_t *)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

static bool is_given(const h2_request *request, const char *name)
{
    for (size_t i = 0; i < WB_COUNT(request->fields); i++)
        if (request->fields[i].name && strcmp(request->fields[i].name, name) == 0) return true;
    return false;
}

int32_t h2_send(h2_client *c, const h2_request *request)
{
    const h2_field usual[USUAL] = {{":method", "POST"},      {":scheme", "http"},
                                   {":path", request->path}, {":authority", "localhost"},
                                   {"te", "trailers"},       {"content-type", "application/grpc"}};
    nghttp2_nv fields[USUAL + WB_COUNT(request->fields)];
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) { /* names that begin with a colon come first */
        for (size_t i = 0; i < WB_COUNT(request->fields) && request->fields[i].name; i++)
            if ((request->fields[i].name[0] == ':') == (pass == 0))
                fields[n++] = field(request->fields[i].name, request->fields[i].value);
        for (size_t i = 0; i < USUAL; i++)
            if ((usual[i].name[0] == ':') == (pass == 0) && !is_given(request, usual[i].name))
                fields[n++] = field(usual[i].name, usual[i].value);
    }
    int32_t next = (int32_t)nghttp2_session_get_next_stream_id(c->session);
    one_stream *s = stream_of(c, next);
    if (!s) return -1;
    *s = (one_stream){.request = *request, .answer = {.http = -1, .grpc = -1}};
    const nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_body};
    int32_t id = nghttp2_submit_request(c->session, NULL, fields, n, &body, NULL);
    write_some(c);
    return c->lost ? -1 : id;
}

void h2_reset(h2_client *c, int32_t stream)
{
    (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    write_some(c);
}

void h2_ping(h2_client *c)
{
    (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
    write_some(c);
}

static int left_ms(uint64_t end)
{
    uint64_t now = wb_mono(&wb_system_clock);
    return now >= end ? 0 : (int)((end - now) / WB_NS_PER_MS) + 1;
}

const h2_answer *h2_wait(h2_client *c, int32_t stream, int timeout_ms)
{
    static const h2_answer none = {.lost = true, .http = -1, .grpc = -1};
    one_stream *s = stream_of(c, stream);
    uint64_t end = wb_mono(&wb_system_clock) + (uint64_t)timeout_ms * WB_NS_PER_MS;
    if (!s) return &none;
    write_some(c);
    while (!s->answer.closed && !c->lost && left_ms(end) > 0)
        if (read_some(c, left_ms(end))) write_some(c);
    s->answer.lost = !s->answer.closed && c->lost;
    return &s->answer;
}

bool h2_wait_closed(h2_client *c, int timeout_ms)
{
    uint64_t end = wb_mono(&wb_system_clock) + (uint64_t)timeout_ms * WB_NS_PER_MS;
    while (!c->lost && left_ms(end) > 0)
        if (read_some(c, left_ms(end))) write_some(c);
    return c->lost;
}

unsigned h2_goaways(const h2_client *c, int32_t *last_stream, uint32_t *error)
{
    *last_stream = c->last_stream;
    *error = c->goaway_error;
    return c->goaways;
}
