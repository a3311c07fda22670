/* SPDX-License-Identifier: Apache-2.0 */
/* Three fixed paths, GET and HEAD only, no request body, nothing parsed beyond what libmicrohttpd does:
 * an admin plane is where other daemons were broken into. /healthz is about the process (200 while it
 * can still write, or only time will help), /readyz about taking requests, /status is the whole report. Nobody but this
 * machine asks unless admin.listen says so; a page in a browser can then be made to ask, so a Host
 * header that is a name other than localhost is refused (DNS rebinding). */
#include "sidecar/admin.h"

#include "sidecar/status_report.h"
#include "sidecar/trouble.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16, CONNECTION_MEMORY = 16 * 1024, IDLE_TIMEOUT_S = 10 };

struct wb_admin {
    wb_sidecar *sidecar;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
                              char *body, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, mode);
    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE) free(body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned code,
                                   const char *text)
{
    return answer(connection, code, "text/plain; charset=utf-8", (char *)text,
                  MHD_RESPMEM_MUST_COPY);
}

/* An address, or localhost, with any port: what a rebinding page cannot send. */
static bool host_is_fair(struct MHD_Connection *connection)
{
    char host[64];
    struct in6_addr address;
    const char *sent =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (!sent) return true;
    bool bracketed = sent[0] == '[';
    size_t len = strcspn(sent + bracketed, bracketed ? "]" : ":");
    if (len >= sizeof host) return false;
    memcpy(host, sent + bracketed, len);
    host[len] = '\0';
    return strcasecmp(host, "localhost") == 0 ||
           inet_pton(bracketed ? AF_INET6 : AF_INET, host, &address) == 1;
}

static enum MHD_Result route(wb_sidecar *sidecar, struct MHD_Connection *connection,
                             const char *url)
{
    char trouble[WB_TROUBLE_TEXT];
    wb_trouble found = wb_sidecar_trouble(sidecar, trouble);
    bool troubled = found != WB_TROUBLE_NONE;
    if (strcmp(url, "/healthz") == 0) {
        bool well = found != WB_TROUBLE_STAYS || atomic_load(&sidecar->draining);
        return answer_text(connection, well ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                           well ? "ok\n" : trouble);
    }
    if (strcmp(url, "/readyz") == 0)
        return answer_text(connection, troubled ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                           troubled ? trouble : "ready\n");
    if (strcmp(url, "/status") == 0) {
        char *json = wb_status_report(sidecar, false);
        if (!json) return MHD_NO;
        return answer(connection, MHD_HTTP_OK, "application/json", json, MHD_RESPMEM_MUST_FREE);
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "try /healthz, /readyz or /status\n");
}

static enum MHD_Result on_request(void *self, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **seen)
{
    static char headers_seen;
    wb_admin *admin = self;
    (void)version;
    (void)upload;
    if (*seen == NULL) { /* headers only: wait for the end of the request */
        *seen = &headers_seen;
        return MHD_YES;
    }
    *upload_len = 0; /* a body is read and thrown away */
    if (!host_is_fair(connection))
        return answer_text(connection, MHD_HTTP_FORBIDDEN, "ask by address or as localhost\n");
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
    return route(admin->sidecar, connection, url);
}

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

static wb_status address_of(const wb_listen *listen, uint16_t port, address *out, socklen_t *len,
                            wb_error *err)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, listen->host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *len = sizeof out->v4;
        return WB_OK;
    }
    if (inet_pton(AF_INET6, listen->host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *len = sizeof out->v6;
        return WB_OK;
    }
    return wb_fail(err, WB_ERR_CONFIG, "admin.listen: %s is no numeric address", listen->host);
}

/* A bound, listening socket, or -1 with errno. */
static int listen_at(const address *at, socklen_t len)
{
    int on = 1;
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &at->any, len) == 0 && listen(fd, CONNECTIONS_MAX) == 0) return fd;
    int why = errno;
    (void)close(fd);
    errno = why;
    return -1;
}

static wb_status open_socket(const wb_listen *where, int *out, uint16_t *port, wb_error *err)
{
    address at;
    socklen_t len;
    WB_TRY(address_of(where, where->port, &at, &len, err));
    int fd = listen_at(&at, len);
    if (fd < 0 && errno == EADDRINUSE && where->defaulted) {
        WB_TRY(address_of(where, 0, &at, &len, err));
        fd = listen_at(&at, len);
    }
    if (fd < 0)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "admin.listen: cannot listen on %s:%u",
                             where->host, where->port);
    if (getsockname(fd, &at.any, &len) != 0) {
        int why = errno;
        (void)close(fd);
        return wb_fail_errno(err, WB_ERR_CONFIG, why, "admin.listen: the port is unknown");
    }
    *port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    *out = fd;
    return WB_OK;
}

wb_status wb_admin_open(wb_sidecar *sidecar, wb_admin **out, uint16_t *port, wb_error *err)
{
    int fd = -1;
    WB_TRY(open_socket(&sidecar->config->admin, &fd, port, err));
    wb_admin *admin = calloc(1, sizeof *admin);
    if (!admin) {
        (void)close(fd);
        return wb_fail(err, WB_ERR_NO_MEMORY, "admin endpoint");
    }
    admin->sidecar = sidecar;
    admin->daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, *port, NULL, NULL, on_request, admin,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_END);
    if (!admin->daemon) { /* MHD closes the socket when it fails to start */
        free(admin);
        return wb_fail(err, WB_ERR_UNAVAILABLE, "the admin endpoint does not start");
    }
    *out = admin;
    return WB_OK;
}

void wb_admin_close(wb_admin *admin)
{
    if (!admin) return;
    MHD_stop_daemon(admin->daemon);
    free(admin);
}
