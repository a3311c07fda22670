/* SPDX-License-Identifier: Apache-2.0 */
/* A list under a mutex: there are a few hundred at most, and it is walked when one comes and once a second.
 * `fd` is shut down under the same mutex under which its visitor leaves, so it cannot be another's by then. */
#include "sidecar/receivers/otlp/peers.h"

#include "sidecar/receivers/listen.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Of a peer on loopback its user; of another its address. */
typedef struct peer_key {
    bool local;
    uint64_t uid;
    uint8_t network[8]; /* an IPv4 address, or the upper half of an IPv6 one */
} peer_key;

struct wb_otlp_visitor {
    wb_otlp_visitor *prev, *next;
    int fd;
    bool is_agent;
    bool ended; /* shut down: it leaves soon, and takes no place any more */
    peer_key key;
    atomic_ullong until_mono; /* 0: no end */
    atomic_ullong since_mono; /* of its phase */
    atomic_uint phase;        /* wb_otlp_phase */
};

struct wb_otlp_peers {
    wb_otlp_access *access;
    const wb_clock *clock;
    uint32_t connections;
    pthread_mutex_t lock; /* guards the list */
    wb_otlp_visitor *first;
};

wb_status wb_otlp_peers_new(wb_otlp_access *access, const wb_clock *clock, uint32_t connections,
                            wb_otlp_peers **out, wb_error *err)
{
    wb_otlp_peers *p = calloc(1, sizeof *p);
    if (!p) return wb_fail(err, WB_ERR_NO_MEMORY, "OTLP connections");
    p->access = access;
    p->clock = clock;
    p->connections = connections;
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return WB_OK;
}

void wb_otlp_peers_free(wb_otlp_peers *p)
{
    if (!p) return;
    WB_ASSERT(!p->first);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static peer_key key_of(int fd, uint64_t uid)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
    socklen_t len = sizeof at;
    peer_key key = {.uid = uid};
    memset(&at, 0, sizeof at);
    if (getpeername(fd, &at.any, &len) != 0) return key;
    key.local = wb_address_is_loopback(&at.any);
    if (key.local) return key;
    if (at.any.sa_family == AF_INET)
        memcpy(key.network, &at.v4.sin_addr, sizeof at.v4.sin_addr);
    else if (IN6_IS_ADDR_V4MAPPED(&at.v6.sin6_addr))
        memcpy(key.network, &at.v6.sin6_addr.s6_addr[12], 4);
    else
        memcpy(key.network, &at.v6.sin6_addr, sizeof key.network);
    return key;
}

static bool same_key(const peer_key *a, const peer_key *b)
{
    return a->local == b->local && a->uid == b->uid &&
           memcmp(a->network, b->network, sizeof a->network) == 0;
}

static void end_visit(wb_otlp_visitor *v)
{
    (void)shutdown(v->fd, SHUT_RDWR);
    v->ended = true;
}

/* The one that did nothing for longest: a stranger before the agent, and for a stranger only a stranger. */
static wb_otlp_visitor *find_idle(const wb_otlp_peers *p, bool for_agent)
{
    wb_otlp_visitor *found = NULL;
    unsigned long long since = 0;
    for (wb_otlp_visitor *v = p->first; v; v = v->next) {
        unsigned long long idle = atomic_load(&v->since_mono);
        if (v->ended || atomic_load(&v->phase) != WB_OTLP_IDLE || (v->is_agent && !for_agent))
            continue;
        bool better = !found || (found->is_agent && !v->is_agent) ||
                      (found->is_agent == v->is_agent && idle < since);
        if (!better) continue;
        found = v;
        since = idle;
    }
    return found;
}

static bool has_place(const wb_otlp_peers *p, const wb_otlp_visitor *new)
{
    uint32_t all = 0, strangers = 0, same = 0;
    for (const wb_otlp_visitor *v = p->first; v; v = v->next) {
        if (v->ended) continue;
        all++;
        strangers += !v->is_agent;
        same += !v->is_agent && same_key(&v->key, &new->key);
    }
    if (!new->is_agent && (same >= WB_OTLP_PEER_MAX || strangers >= p->connections / 2))
        return false;
    if (all < p->connections) return true;
    wb_otlp_visitor *leaves = find_idle(p, new->is_agent);
    if (leaves) end_visit(leaves);
    return leaves != NULL;
}

wb_otlp_visitor *wb_otlp_peers_enter(wb_otlp_peers *p, int fd)
{
    wb_otlp_visitor *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    uint64_t uid = wb_otlp_peer(p->access, fd);
    v->fd = fd;
    atomic_init(&v->since_mono, wb_mono(p->clock));
    v->key = key_of(fd, uid);
    v->is_agent = wb_otlp_admit(p->access, uid, (wb_slice){0}) == WB_OTLP_AGENT;
    pthread_mutex_lock(&p->lock);
    bool place = has_place(p, v);
    if (place) {
        v->next = p->first;
        if (v->next) v->next->prev = v;
        p->first = v;
    }
    pthread_mutex_unlock(&p->lock);
    if (place) return v;
    free(v);
    return NULL;
}

void wb_otlp_peers_leave(wb_otlp_peers *p, wb_otlp_visitor *v)
{
    if (!v) return;
    pthread_mutex_lock(&p->lock);
    if (v->prev)
        v->prev->next = v->next;
    else
        p->first = v->next;
    if (v->next) v->next->prev = v->prev;
    pthread_mutex_unlock(&p->lock);
    free(v);
}

uint64_t wb_otlp_visitor_uid(const wb_otlp_visitor *v) { return v->key.uid; }

void wb_otlp_visitor_now(wb_otlp_visitor *v, const wb_clock *clock, wb_otlp_phase phase,
                         uint32_t ms)
{
    uint64_t now = wb_mono(clock);
    atomic_store(&v->until_mono, ms == 0 ? 0 : now + (uint64_t)ms * WB_NS_PER_MS);
    atomic_store(&v->since_mono, now);
    atomic_store(&v->phase, phase);
}

/* libmicrohttpd asks epoll for edges, and takes a short read for the end of what there is: where the last bytes
 * and the end of the connection come at once it never sees the end, and keeps what it read. Who is amid
 * an answer may have closed his half in order, and gets it. */
static bool has_left(const wb_otlp_visitor *v)
{
    char byte;
    return atomic_load(&v->phase) != WB_OTLP_ANSWERING &&
           recv(v->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Who is idle since `before` or longer: how many, and in *oldest the first of them. */
static uint32_t find_spare(const wb_otlp_peers *p, uint64_t before, wb_otlp_visitor **oldest)
{
    uint32_t n = 0;
    *oldest = NULL;
    for (wb_otlp_visitor *v = p->first; v; v = v->next) {
        unsigned long long since = atomic_load(&v->since_mono);
        if (v->ended || atomic_load(&v->phase) != WB_OTLP_IDLE || since > before) continue;
        n++;
        if (!*oldest || since < atomic_load(&(*oldest)->since_mono)) *oldest = v;
    }
    return n;
}

static void thin_out(wb_otlp_peers *p, uint64_t now)
{
    wb_otlp_visitor *oldest;
    uint64_t before = now - WB_OTLP_IDLE_SPARE_MS * WB_NS_PER_MS;
    while (find_spare(p, before, &oldest) > WB_OTLP_IDLE_KEPT) end_visit(oldest);
}

uint32_t wb_otlp_peers_tick(wb_otlp_peers *p)
{
    uint32_t n = 0;
    uint64_t now = wb_mono(p->clock);
    pthread_mutex_lock(&p->lock);
    for (wb_otlp_visitor *v = p->first; v; v = v->next) {
        uint64_t until = atomic_load(&v->until_mono);
        bool late = until > 0 && until <= now;
        if (v->ended || (!late && !has_left(v))) continue;
        end_visit(v);
        n += late;
    }
    if (now > WB_OTLP_IDLE_SPARE_MS * WB_NS_PER_MS) thin_out(p, now);
    pthread_mutex_unlock(&p->lock);
    return n;
}
