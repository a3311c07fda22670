/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd with epoll, a few threads. One of them reads a request, walks it, hands it to the sink and
 * suspends the connection; whoever commits it answers, which resumes the connection; the thread then sends the
 * answer. A request of which the head is at fault is read to its end all the same (BODY_THROWN at most),
 * because a client that is cut off amid its body reads no answer and tries again for ever; only one that
 * waits for leave to send (Expect: 100-continue) is answered at once.
 *
 * Whose time is over is shut down: HEAD_MS from the connection to the end of the first head, BODY_MS from
 * there to the end of the body, REPLY_MS for the answer, IDLE_MS to the end of the next head. Byte by byte
 * does not help. A commit takes as long as it takes.
 *
 * A body is read in pieces of half of CONNECTION_MEMORY, so too little of it costs throughput; and libmicrohttpd clears
 * all of it behind each request, so too much does. It is mapped when a connection opens and filled when it is used. */
#include "sidecar/receivers/otlp/http_inside.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTION_MEMORY = 128 * 1024,
    BACKLOG = 1024,
    PLACES =
        2 *
        WB_OTLP_HTTP_CONNECTIONS, /* of libmicrohttpd, which deals them out to its threads evenly */
    HEAD_MS = 15 * 1000,
    BODY_MS = 30 * 1000,
    REPLY_MS = 15 * 1000,
    IDLE_MS = 120 * 1000,
    BODY_THROWN = 64 * 1024 * 1024, /* what OTLP lets a client send by default */
    ARENA_BYTES = 40 * 1024 * 1024, /* of the index over a body, as for a Record */
    WAIT_NS = 1000 * 1000,
};

/* RFC 8996: no TLS before 1.2. */
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* ---- connections ---- */

static void link_opened(wb_otlp_http *http, struct MHD_Connection *connection, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd = info->connect_fd;
    wb_http_link *link = calloc(1, sizeof *link);
    if (link) link->visitor = wb_otlp_peers_enter(http->peers, fd);
    if (!link || !link->visitor) {
        free(link);
        atomic_fetch_add(&http->counters.closed_out, 1);
        (void)shutdown(fd, SHUT_RDWR);
        return;
    }
    wb_otlp_visitor_now(link->visitor, http->options.clock, WB_OTLP_IDLE, HEAD_MS);
    atomic_fetch_add(&http->counters.connections, 1);
    *context = link;
}

static void on_link(void *self, struct MHD_Connection *connection, void **context,
                    enum MHD_ConnectionNotificationCode what)
{
    wb_otlp_http *http = self;
    wb_http_link *link = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        link_opened(http, connection, context);
    } else if (link) {
        wb_otlp_peers_leave(http->peers, link->visitor);
        free(link);
        *context = NULL;
    }
}

static wb_http_link *link_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* ---- requests ---- */

static void free_request(wb_http_request *r)
{
    wb_body_done(&r->body);
    wb_arena_free(r->export.arena);
    free(r);
}

/* On the writer's thread, mostly: note it and wake the one that sends it. */
static void on_answer(wb_export *export, const wb_export_answer *answer)
{
    wb_http_request *r = (wb_http_request *)(void *)export;
    wb_otlp_http *http = r->http;
    r->said = *answer;
    r->said.message = NULL;
    r->detail[0] = '\0';
    if (answer->message) (void)snprintf(r->detail, sizeof r->detail, "%s", answer->message);
    atomic_store(&r->answered, true);
    MHD_resume_connection(r->connection); /* from here on it may be gone */
    atomic_fetch_sub(&http->at_sink, 1);
}

static wb_http_request *begin(wb_otlp_http *http, struct MHD_Connection *connection,
                              const char *path, const char *method)
{
    wb_http_link *link = link_of(connection);
    if (!link) return NULL; /* it is shut down, but what it had sent before can still be read */
    wb_http_request *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->http = http;
    r->connection = connection;
    r->link = link;
    r->export.answer = on_answer;
    atomic_fetch_add(&http->counters.requests, 1);
    atomic_fetch_add(&http->in_hand, 1);
    wb_otlp_visitor_now(link->visitor, http->options.clock, WB_OTLP_READING, BODY_MS);
    wb_http_read_head(r, path, method);
    return r;
}

static enum MHD_Result take_bytes(wb_http_request *r, const char *bytes, size_t *len)
{
    r->body.seen += *len;
    if (r->body.seen > BODY_THROWN) return MHD_NO;
    wb_http_add_bytes(r, bytes, *len);
    *len = 0;
    return MHD_YES;
}

static enum MHD_Result reply(wb_http_request *r)
{
    wb_body_drop(&r->body);
    wb_otlp_visitor_now(r->link->visitor, r->http->options.clock, WB_OTLP_ANSWERING, REPLY_MS);
    return wb_http_reply(r) ? MHD_YES : MHD_NO;
}

static enum MHD_Result hand_on(wb_http_request *r)
{
    wb_otlp_http *http = r->http;
    atomic_fetch_add(&http->counters.bytes, r->body.seen);
    if (r->fault.code == 0) wb_http_read_body(r);
    if (r->fault.code == 0) r->export.arena = wb_arena_new(ARENA_BYTES);
    if (r->fault.code == 0 && !r->export.arena)
        wb_http_refuse(r, MHD_HTTP_SERVICE_UNAVAILABLE, WB_OTLP_REFUSED_BUSY, "no memory");
    if (r->fault.code != 0) return reply(r);
    r->at_sink = true;
    wb_otlp_visitor_now(r->link->visitor, http->options.clock, WB_OTLP_ANSWERING, 0);
    atomic_fetch_add(&http->at_sink, 1);
    MHD_suspend_connection(
        r->connection); /* first: the answer may come before the next line returns */
    http->options.sink.on_export(http->options.sink.self, &r->export);
    return MHD_YES;
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len, void **context)
{
    wb_http_request *r = *context;
    (void)version;
    if (!r) {
        *context = r = begin(self, connection, path, method);
        if (!r) return MHD_NO;
        return r->fault.code != 0 && (r->waits_for_leave || r->is_ambiguous) ? reply(r) : MHD_YES;
    }
    if (*len > 0) return take_bytes(r, bytes, len);
    if (!r->at_sink) return hand_on(r);
    return atomic_load(&r->answered) ? reply(r) : MHD_YES;
}

static void on_completed(void *self, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
    wb_otlp_http *http = self;
    wb_http_request *r = *context;
    (void)connection;
    (void)how;
    if (!r) return;
    *context = NULL;
    wb_otlp_visitor_now(r->link->visitor, http->options.clock, WB_OTLP_IDLE, IDLE_MS);
    free_request(r);
    atomic_fetch_sub(&http->in_hand, 1);
}

/* ---- public ---- */

static struct MHD_Daemon *start(wb_otlp_http *http, int fd, uint16_t port)
{
    const wb_otlp_http_options *o = &http->options;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)o->cert.ptr},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITIES},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)o->key.ptr},
        {o->client_ca.len > 0 ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
         (void *)o->client_ca.ptr},
        {MHD_OPTION_END, 0, NULL}};
    if (o->cert.len > 0)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon(
        flags, port, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_THREAD_POOL_SIZE, o->threads > 1 ? (unsigned)o->threads : 0U,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)PLACES, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(IDLE_MS / 1000),
        MHD_OPTION_NOTIFY_CONNECTION, on_link, http, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        http, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static wb_status prepare(wb_otlp_http *http, wb_error *err)
{
    const wb_otlp_http_options *o = &http->options;
    for (int i = WB_OTLP_PROTOBUF; i <= WB_OTLP_JSON; i++) {
        http->taken[i] = wb_http_taken((wb_otlp_encoding)i);
        if (!http->taken[i]) return wb_fail(err, WB_ERR_NO_MEMORY, "OTLP/HTTP receiver");
    }
    return wb_otlp_peers_new(o->access, o->clock, WB_OTLP_HTTP_CONNECTIONS, &http->peers, err);
}

wb_status wb_otlp_http_open(const wb_otlp_http_options *options, wb_otlp_http **out, uint16_t *port,
                            wb_error *err)
{
    int fd = -1;
    wb_otlp_http *http = calloc(1, sizeof *http);
    if (!http) return wb_fail(err, WB_ERR_NO_MEMORY, "OTLP/HTTP receiver");
    http->options = *options;
    wb_status status = prepare(http, err);
    if (status == WB_OK)
        status = wb_listen_open("otlp.http.listen", options->listen, BACKLOG, &fd, port, err);
    if (status == WB_OK && !(http->daemon = start(http, fd, *port))) /* which closes fd */
        status = options->cert.len > 0
                     ? wb_fail(err, WB_ERR_CONFIG,
                               "otlp.tls: cert_file, key_file or client_ca_file is not PEM, or the "
                               "key is another certificate's")
                     : wb_fail(err, WB_ERR_UNAVAILABLE, "the OTLP/HTTP receiver does not start");
    if (status != WB_OK) {
        wb_otlp_http_close(http);
        return status;
    }
    *out = http;
    return WB_OK;
}

void wb_otlp_http_tick(wb_otlp_http *http)
{
    atomic_fetch_add(&http->counters.closed_out, wb_otlp_peers_tick(http->peers));
}

void wb_otlp_http_stop(wb_otlp_http *http)
{
    if (atomic_exchange(&http->stopping, true)) return;
    MHD_socket fd = MHD_quiesce_daemon(http->daemon);
    if (fd != MHD_INVALID_SOCKET)
        (void)shutdown(fd, SHUT_RDWR); /* who waits in the queue is told */
    http->quiesced = fd;
}

uint32_t wb_otlp_http_in_hand(wb_otlp_http *http) { return atomic_load(&http->in_hand); }

void wb_otlp_http_close(wb_otlp_http *http)
{
    const struct timespec pause = {.tv_nsec = WAIT_NS};
    if (!http) return;
    if (http->daemon) {
        wb_otlp_http_stop(http);
        while (atomic_load(&http->at_sink) > 0) (void)nanosleep(&pause, NULL);
        MHD_stop_daemon(http->daemon);
        if (http->quiesced != MHD_INVALID_SOCKET) (void)close(http->quiesced);
    }
    for (int i = WB_OTLP_PROTOBUF; i <= WB_OTLP_JSON; i++)
        if (http->taken[i]) MHD_destroy_response(http->taken[i]);
    wb_otlp_peers_free(http->peers);
    free(http);
}

const wb_otlp_counters *wb_otlp_http_counters(const wb_otlp_http *http) { return &http->counters; }
