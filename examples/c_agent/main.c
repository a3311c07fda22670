/* SPDX-License-Identifier: Apache-2.0 */
/* proofreader, an A2A agent in C that takes part in Waybill's traces. This file: options, the HTTP server
 * (libmicrohttpd, one thread a connection, since work waits for another agent), the end by SIGTERM.
 *
 *     GET  /.well-known/agent-card.json    the card
 *     POST /                               JSON-RPC
 *
 * The end: no new connections, up to 10 s for the requests that are being worked on, then the client of the
 * sidecar, whose last spans go out with it. */
#include "agent.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <microhttpd.h>

enum {
    CONNECTIONS = 64,
    IDLE_S = 60,
    DISCARD_MAX = 8 * BODY_MAX, /* of a body that is too large: read to its end, but no further */
    HEADERS_MAX = 100,
    DRAIN_MS = 10000,
    CLOSE_MS = 2000,
};

static const char usage[] =
    "Usage: proofreader [--port N] [--agent-id ID] [--next URL]\n"
    "An A2A 1.0 agent on 127.0.0.1 that says whether a claim holds.\n\n"
    "  --port N       listen here (default: a free port); printed once the port is open\n"
    "  --agent-id ID  our own id, as the sidecar's self_ids has it; declared in the card\n"
    "  --next URL     ask the agent there; its card is at URL/.well-known/agent-card.json\n\n"
    "The sidecar is found by WAYBILL_SOCKET or WAYBILL_NAME. Exit codes: 0 ended by SIGTERM or "
    "SIGINT,\n"
    "1 could not start, 2 wrong usage.\n";

static atomic_int busy; /* requests that were begun and whose answer has not left */

/* cJSON's calls then never fail, and nothing in this program answers with half of what it should. */
static void *must_have(size_t size)
{
    void *found = malloc(size);
    if (!found) abort();
    return found;
}

/* ---- a request ----------------------------------------------------------------------------- */

typedef struct exchange {
    char *body;
    size_t len, seen; /* kept, and of what came */
} exchange;

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status, char *taken,
                                 const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(taken), taken, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(taken);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
    enum MHD_Result queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result send_json(struct MHD_Connection *connection, unsigned status, char *taken)
{
    return send_text(connection, status, taken, "application/json");
}

static enum MHD_Result take_body(exchange *x, const char *bytes, size_t n)
{
    x->seen += n;
    if (x->seen > DISCARD_MAX) return MHD_NO; /* closes the connection */
    if (x->seen > BODY_MAX) return MHD_YES;
    char *longer = realloc(x->body, x->len + n + 1);
    if (!longer) return MHD_NO;
    memcpy(longer + x->len, bytes, n);
    x->body = longer;
    x->len += n;
    longer[x->len] = '\0';
    return MHD_YES;
}

typedef struct header_list {
    waybill_header of[HEADERS_MAX];
    size_t n;
} header_list;

static enum MHD_Result keep_header(void *into, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    header_list *list = into;
    (void)kind;
    if (list->n == HEADERS_MAX) return MHD_NO;
    list->of[list->n++] = (waybill_header){.name = name, .value = value ? value : ""};
    return MHD_YES;
}

/* Without the port, which is another for the same peer's next connection. */
static void peer_of(struct MHD_Connection *connection, char out[INET_ADDRSTRLEN])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    out[0] = '\0';
    if (info && info->client_addr->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr,
                  out, INET_ADDRSTRLEN);
}

static enum MHD_Result answer_call(agent *self, struct MHD_Connection *connection, exchange *x)
{
    char peer[INET_ADDRSTRLEN];
    header_list headers = {.n = 0};
    if (x->seen > BODY_MAX)
        return send_json(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                         a2a_error(NULL, -32600, "the body is larger than 1 MiB", NULL));
    peer_of(connection, peer);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, keep_header, &headers);
    request in = {.body = x->body ? x->body : "",
                  .len = x->len,
                  .headers = headers.of,
                  .n_headers = headers.n,
                  .peer = peer};
    return send_json(connection, MHD_HTTP_OK, a2a_answer(self, &in));
}

/* libmicrohttpd calls this when the headers are there, for each piece of the body, and at its end. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *n, void **state)
{
    agent *self = cls;
    exchange *x = *state;
    (void)version;
    if (!x) {
        *state = calloc(1, sizeof *x);
        if (*state) atomic_fetch_add(&busy, 1);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*n > 0) {
        enum MHD_Result taken = take_body(x, bytes, *n);
        *n = 0;
        return taken;
    }
    bool card = strcmp(path, "/.well-known/agent-card.json") == 0;
    if (!card && strcmp(path, "/") != 0)
        return send_text(connection, MHD_HTTP_NOT_FOUND, a2a_format("not here\n"), "text/plain");
    if (card && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
        return send_json(connection, MHD_HTTP_OK, a2a_card(self));
    if (!card && strcmp(method, "POST") == 0) return answer_call(self, connection, x);
    return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                     a2a_format("GET the card, POST to /\n"), "text/plain");
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how)
{
    exchange *x = *state;
    (void)cls, (void)connection, (void)how;
    if (!x) return;
    free(x->body);
    free(x);
    *state = NULL;
    atomic_fetch_sub(&busy, 1);
}

/* ---- the process --------------------------------------------------------------------------- */

/* A listening socket, and its port if that was 0; -1: none. */
static int open_port(uint16_t *port)
{
    const int yes = 1;
    struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) == 0 && listen(fd, CONNECTIONS) == 0 &&
        getsockname(fd, (struct sockaddr *)&here, &len) == 0) {
        *port = ntohs(here.sin_port);
        return fd;
    }
    close(fd);
    return -1;
}

/* Our URL must stand before there is a thread that shows it. */
static struct MHD_Daemon *listen_on(agent *self, uint16_t port)
{
    int fd = open_port(&port);
    if (fd < 0) return NULL;
    snprintf(self->url, sizeof self->url, "http://127.0.0.1:%u/", (unsigned)port);
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC, port, NULL,
        NULL, on_request, self, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
}

static void drain(struct MHD_Daemon *daemon)
{
    const struct timespec step = {.tv_nsec = 10 * 1000 * 1000};
    MHD_socket listening = MHD_quiesce_daemon(daemon);
    for (int ms = 0; atomic_load(&busy) > 0 && ms < DRAIN_MS; ms += 10) nanosleep(&step, NULL);
    MHD_stop_daemon(daemon);
    if (listening != MHD_INVALID_SOCKET) close(listening);
}

static bool read_port(const char *text, uint16_t *port)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    *port = (uint16_t)number;
    if (*text && !*end && number <= UINT16_MAX) return true;
    fprintf(stderr, "proofreader: --port wants a number up to 65535, not %s\n", text);
    return false;
}

enum { GO_ON = -1 }; /* instead of an exit code */

static int parse_options(int argc, char **argv, agent *self, uint16_t *port)
{
    static const struct option known[] = {{"port", required_argument, NULL, 'p'},
                                          {"agent-id", required_argument, NULL, 'i'},
                                          {"next", required_argument, NULL, 'n'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    int option; /* there is one thread as yet: NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'i') {
            self->agent_id = optarg;
        } else if (option == 'n') {
            self->next_url = optarg;
        } else if (option == 'h') {
            return fputs(usage, stdout) < 0;
        } else if (option != 'p') {
            return 2; /* getopt_long has said why */
        } else if (!read_port(optarg, port)) {
            return 2;
        }
    }
    if (optind == argc) return GO_ON;
    fputs(usage, stderr);
    return 2;
}

/* Until told to end. */
static int serve(agent *self, uint16_t port, const sigset_t *ends)
{
    int signal_number;
    struct MHD_Daemon *daemon = listen_on(self, port);
    if (!daemon) {
        fprintf(stderr, "proofreader: cannot listen on 127.0.0.1:%u; is the port taken?\n", port);
        return 1;
    }
    printf("{\"event\":\"ready\",\"url\":\"%s\"}\n", self->url);
    fflush(stdout);
    sigwait(ends, &signal_number);
    drain(daemon);
    return 0;
}

int main(int argc, char **argv)
{
    agent self = {0};
    waybill_error why;
    sigset_t ends;
    uint16_t port = 0;
    int code = parse_options(argc, argv, &self, &port);
    if (code != GO_ON) return code;
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = must_have, .free_fn = free});
    curl_global_init(CURL_GLOBAL_DEFAULT);
    sigemptyset(&ends); /* blocked before there are threads, which all inherit that */
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    if (waybill_open(NULL, &self.waybill, &why) != WAYBILL_OK) {
        fprintf(stderr, "proofreader: %s\n", why.detail);
        return 1;
    }
    code = serve(&self, port, &ends);
    waybill_close(self.waybill, CLOSE_MS);
    curl_global_cleanup();
    return code;
}
