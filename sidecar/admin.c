/* SPDX-License-Identifier: Apache-2.0 */
/* Four fixed paths, GET and HEAD only, no request body, nothing parsed beyond what libmicrohttpd does:
 * an admin plane is where other daemons were broken into. /healthz is about the process (200 while it
 * can still write, or only time will help), /readyz about taking requests, /status is the whole report,
 * /metrics is it as numbers. None waits for a disk (sidecar/look.h), so one thread serves all: a stuck
 * sidecar still says that it is. Nobody but this machine asks unless admin.listen says so; a page in a browser can then be made to ask, so a Host
 * header that is a name other than localhost is refused (DNS rebinding). */
#include "sidecar/admin.h"

#include "sidecar/metrics.h"
#include "sidecar/status_report.h"
#include "sidecar/trouble.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16, CONNECTION_MEMORY = 16 * 1024, IDLE_TIMEOUT_S = 10 };

struct wb_admin {
    wb_sidecar *sidecar;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
                              char *body, size_t len, enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, body, mode);
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
    return answer(connection, code, "text/plain; charset=utf-8", (char *)text, strlen(text),
                  MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer_metrics(wb_sidecar *sidecar, struct MHD_Connection *connection)
{
    wb_metrics_format format = wb_metrics_accepted(
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
    wb_buffer text;
    wb_buffer_init(&text, WB_METRICS_MAX_BYTES);
    if (wb_metrics_print(sidecar, format, &text) != WB_OK) {
        wb_buffer_done(&text);
        return MHD_NO;
    }
    return answer(connection, MHD_HTTP_OK, wb_metrics_content_type(format), (char *)text.ptr,
                  text.len, MHD_RESPMEM_MUST_FREE); /* the buffer's memory is the response's now */
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
    if (strcmp(url, "/metrics") == 0) return answer_metrics(sidecar, connection);
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
        return answer(connection, MHD_HTTP_OK, "application/json", json, strlen(json),
                      MHD_RESPMEM_MUST_FREE);
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND,
                       "try /healthz, /readyz, /status or /metrics\n");
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

wb_status wb_admin_open(wb_sidecar *sidecar, wb_admin **out, uint16_t *port, wb_error *err)
{
    int fd = -1;
    WB_TRY(
        wb_listen_open("admin.listen", &sidecar->config->admin, CONNECTIONS_MAX, &fd, port, err));
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
