/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel is asked for one socket: the peer's, whose own address is the far address of our connection.
 * Its answer counts only if that socket still belongs to somebody (an inode) and is connected: of a socket
 * that its process closed, and of one in TIME_WAIT, the kernel says uid 0 and inode 0, so a caller who sends
 * and leaves would else pass for root; and SYN_SENT is somebody who tries to take over the port of one who
 * left. Source: linux/inet_diag.h, linux/sock_diag.h, sock_diag(7); states: include/net/tcp_states.h.
 *
 * One netlink socket and one mutex for all threads: a question takes some microseconds, once a connection.
 * The socket is opened with the process's user namespace, so uids come as we see them.
 *
 * A bearer is compared by its SHA-256, so that the time taken says nothing of the bytes. */
#include "sidecar/receivers/otlp/access.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/sha256.h"
#include "sidecar/receivers/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_BYTES = 4096, ANSWER_LIMIT_MS = 200, ANSWERS_MAX = 16 };

typedef struct kept_bearer {
    pthread_mutex_t lock; /* guards the rest */
    bool is_set;
    uint8_t hash[WB_SHA256_LEN];
} kept_bearer;

struct wb_otlp_access {
    wb_otlp_access_options options; /* but for the bearer */
    kept_bearer *bearer;            /* a reload replaces what is in it */
    int netlink;                    /* -1: the kernel has none */
    pthread_mutex_t lock;           /* guards the netlink socket and `seq` */
    uint32_t seq;
};

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

typedef struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 ask;
} question;

static void hash_of(wb_slice bytes, uint8_t out[WB_SHA256_LEN])
{
    wb_sha256_state state;
    wb_sha256_start(&state);
    wb_sha256_add(&state, bytes);
    wb_sha256_end(&state, out);
}

static int open_netlink(void)
{
    const struct timeval limit = {.tv_usec = ANSWER_LIMIT_MS * 1000L};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

wb_status wb_otlp_access_open(const wb_otlp_access_options *options, wb_otlp_access **out,
                              wb_error *err)
{
    wb_otlp_access *a = calloc(1, sizeof *a);
    kept_bearer *bearer = calloc(1, sizeof *bearer);
    if (!a || !bearer) {
        free(a);
        free(bearer);
        return wb_fail(err, WB_ERR_NO_MEMORY, "OTLP access");
    }
    a->options = *options;
    a->options.bearer = (wb_slice){0};
    a->bearer = bearer;
    pthread_mutex_init(&bearer->lock, NULL);
    wb_otlp_access_set_bearer(a, options->bearer);
    pthread_mutex_init(&a->lock, NULL);
    a->netlink = open_netlink();
    *out = a;
    return WB_OK;
}

void wb_otlp_access_free(wb_otlp_access *a)
{
    if (!a) return;
    if (a->netlink >= 0) (void)close(a->netlink);
    pthread_mutex_destroy(&a->lock);
    pthread_mutex_destroy(&a->bearer->lock);
    free(a->bearer);
    free(a);
}

bool wb_otlp_access_knows_users(const wb_otlp_access *a) { return a->netlink >= 0; }

bool wb_otlp_access_has_bearer(const wb_otlp_access *a)
{
    pthread_mutex_lock(&a->bearer->lock);
    bool is_set = a->bearer->is_set;
    pthread_mutex_unlock(&a->bearer->lock);
    return is_set;
}

void wb_otlp_access_set_bearer(wb_otlp_access *a, wb_slice bearer)
{
    uint8_t hash[WB_SHA256_LEN];
    hash_of(bearer, hash);
    pthread_mutex_lock(&a->bearer->lock);
    a->bearer->is_set = bearer.len > 0;
    memcpy(a->bearer->hash, hash, sizeof hash);
    pthread_mutex_unlock(&a->bearer->lock);
}

/* ---- who is at the other end ---- */

/* An IPv4 address written as IPv6 becomes IPv4: so the kernel has the socket in its tables. */
static void unmap(address *at)
{
    if (at->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&at->v6.sin6_addr)) return;
    struct sockaddr_in plain = {.sin_family = AF_INET, .sin_port = at->v6.sin6_port};
    memcpy(&plain.sin_addr, &at->v6.sin6_addr.s6_addr[12], sizeof plain.sin_addr);
    at->v4 = plain;
}

static void put_address(const address *at, __be32 out[4], __be16 *port)
{
    if (at->any.sa_family == AF_INET) {
        memcpy(out, &at->v4.sin_addr, sizeof at->v4.sin_addr);
        *port = at->v4.sin_port;
    } else {
        memcpy(out, &at->v6.sin6_addr, sizeof at->v6.sin6_addr);
        *port = at->v6.sin6_port;
    }
}

static bool ends_of(int fd, address *peer, address *own)
{
    socklen_t peer_len = sizeof *peer, own_len = sizeof *own;
    if (getpeername(fd, &peer->any, &peer_len) != 0 || getsockname(fd, &own->any, &own_len) != 0)
        return false;
    if (!wb_address_is_loopback(&peer->any) || !wb_address_is_loopback(&own->any)) return false;
    unmap(peer);
    unmap(own);
    return peer->any.sa_family == own->any.sa_family;
}

/* tcp_states.h has them for user space in netinet/tcp.h. */
static bool is_connected(unsigned state)
{
    return state == TCP_ESTABLISHED || state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 ||
           state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSING;
}

static uint64_t uid_in(const struct nlmsghdr *head, size_t len, const question *asked)
{
    struct inet_diag_msg about;
    if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || len < NLMSG_LENGTH(sizeof about))
        return WB_OTLP_PEER_UNKNOWN; /* NLMSG_ERROR: there is no such socket */
    memcpy(&about, NLMSG_DATA(head), sizeof about);
    if (about.idiag_inode == 0 || !is_connected(about.idiag_state)) return WB_OTLP_PEER_UNKNOWN;
    /* The socket that was asked for, and not a listener that would take such a connection. */
    if (about.id.idiag_sport != asked->ask.id.idiag_sport ||
        about.id.idiag_dport != asked->ask.id.idiag_dport)
        return WB_OTLP_PEER_UNKNOWN;
    return about.idiag_uid;
}

/* Answers to questions that were given up on may still be in the queue. */
static uint64_t await_answer(const wb_otlp_access *a, const question *asked)
{
    union {
        struct nlmsghdr head;
        uint8_t bytes[ANSWER_BYTES];
    } in;
    for (int i = 0; i < ANSWERS_MAX; i++) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof from;
        ssize_t n =
            recvfrom(a->netlink, &in, sizeof in, 0, (struct sockaddr *)(void *)&from, &from_len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return WB_OTLP_PEER_UNKNOWN;
        if (from.nl_pid != 0 || (size_t)n < sizeof in.head || in.head.nlmsg_len > (size_t)n ||
            in.head.nlmsg_seq != asked->head.nlmsg_seq)
            continue;
        return uid_in(&in.head, in.head.nlmsg_len, asked);
    }
    return WB_OTLP_PEER_UNKNOWN;
}

uint64_t wb_otlp_peer(wb_otlp_access *a, int fd)
{
    address peer, own;
    memset(&peer, 0, sizeof peer);
    memset(&own, 0, sizeof own);
    if (a->netlink < 0 || !ends_of(fd, &peer, &own)) return WB_OTLP_PEER_UNKNOWN;
    question q = {.head = {.nlmsg_len = sizeof q,
                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                           .nlmsg_flags = NLM_F_REQUEST},
                  .ask = {.sdiag_family = (uint8_t)peer.any.sa_family,
                          .sdiag_protocol = IPPROTO_TCP,
                          .idiag_states = UINT32_MAX}};
    put_address(&peer, q.ask.id.idiag_src, &q.ask.id.idiag_sport);
    put_address(&own, q.ask.id.idiag_dst, &q.ask.id.idiag_dport);
    q.ask.id.idiag_cookie[0] = q.ask.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    uint64_t uid = WB_OTLP_PEER_UNKNOWN;
    pthread_mutex_lock(&a->lock);
    q.head.nlmsg_seq = ++a->seq;
    if (sendto(a->netlink, &q, sizeof q, 0, (const struct sockaddr *)(const void *)&kernel,
               sizeof kernel) == (ssize_t)sizeof q)
        uid = await_answer(a, &q);
    pthread_mutex_unlock(&a->lock);
    return uid;
}

/* ---- may it come in ---- */

/* RFC 6750 section 2.1: "Bearer" 1*SP b64token; the scheme's case does not matter (RFC 9110 11.1). */
static wb_slice bearer_of(wb_slice authorization)
{
    static const char scheme[] = "Bearer ";
    size_t n = sizeof scheme - 1;
    if (authorization.len < n || strncasecmp((const char *)authorization.ptr, scheme, n) != 0)
        return (wb_slice){0};
    while (n < authorization.len && authorization.ptr[n] == ' ') n++;
    wb_slice token = {authorization.ptr + n, authorization.len - n};
    while (token.len > 0 && token.ptr[token.len - 1] == ' ') token.len--;
    return token;
}

static bool is_bearer(const wb_otlp_access *a, wb_slice token)
{
    uint8_t hash[WB_SHA256_LEN];
    unsigned differs = 0;
    hash_of(token, hash);
    pthread_mutex_lock(&a->bearer->lock);
    bool is_set = a->bearer->is_set;
    for (size_t i = 0; i < sizeof hash; i++) differs |= (unsigned)(hash[i] ^ a->bearer->hash[i]);
    pthread_mutex_unlock(&a->bearer->lock);
    return is_set && differs == 0;
}

wb_otlp_caller wb_otlp_admit(const wb_otlp_access *a, uint64_t peer_uid, wb_slice authorization)
{
    if (peer_uid != WB_OTLP_PEER_UNKNOWN && a->options.is_agent(a->options.self, peer_uid))
        return WB_OTLP_AGENT;
    wb_slice token = bearer_of(authorization);
    return token.len > 0 && is_bearer(a, token) ? WB_OTLP_AGENT : WB_OTLP_DENIED;
}

bool wb_otlp_is_own(const wb_otlp_access *a, wb_slice mark)
{
    static wb_log_gate gate;
    uint64_t held_back = 0;
    if (!a->options.mark || !wb_slice_eq(mark, wb_slice_str(a->options.mark))) return false;
    if (wb_log_gate_pass(&gate, wb_mono(&wb_system_clock), &held_back))
        WB_LOG(ERROR, "otlp.loop",
               "an exporter of this sidecar sends to this sidecar: nothing of it was taken",
               WB_KV("todo", "see `waybill status` for the exporter, and correct its endpoint"),
               WB_KV("held_back", held_back));
    return true;
}

const char *wb_otlp_access_advice(const wb_otlp_access *a, uint64_t peer_uid, bool is_browsers)
{
    if (is_browsers)
        return "a request with an Origin, as browsers send it, needs the bearer of "
               "otlp.bearer_file, "
               "whoever's process it is of";
    if (wb_otlp_access_has_bearer(a))
        return "send the bearer of otlp.bearer_file: "
               "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20TOKEN";
    if (peer_uid == WB_OTLP_PEER_UNKNOWN)
        return "the kernel does not say who you are: set otlp.bearer_file at the sidecar, and send "
               "its bearer";
    return "you are not the agent's user: run as one of ipc.allow_uids, or set otlp.bearer_file at "
           "the sidecar and send its bearer";
}

const char *wb_otlp_uid_text(uint64_t peer_uid, char out[WB_OTLP_UID_TEXT])
{
    if (peer_uid == WB_OTLP_PEER_UNKNOWN) return "unknown";
    (void)snprintf(out, WB_OTLP_UID_TEXT, "%llu", (unsigned long long)peer_uid);
    return out;
}
