/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses are compared as IPv6, with IPv4 mapped into it. 0.0.0.0 and :: as a target are this machine's
 * loopback (Linux); as a place to listen at they are all of its addresses, :: those of IPv4 too. Our own name
 * may stand for any of our addresses but 127.0.0.1, so it counts for receivers beyond loopback. Another name
 * that leads here (an alias, a port that a container runtime maps) cannot be known before something is sent:
 * then the receiver knows the request by its header (proto/sender.h). */
#include "sidecar/receivers/reach.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

typedef struct in6_addr in6;

static in6 mapped(const struct in_addr *v4)
{
    in6 out = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&out.s6_addr[12], v4, sizeof *v4);
    return out;
}

static bool parse(const char *text, in6 *out)
{
    struct in_addr v4;
    if (inet_pton(AF_INET6, text, out) == 1) return true;
    if (inet_pton(AF_INET, text, &v4) != 1) return false;
    *out = mapped(&v4);
    return true;
}

static bool is_any_v4(const in6 *at)
{
    const struct in_addr any = {.s_addr = INADDR_ANY};
    in6 zero = mapped(&any);
    return IN6_ARE_ADDR_EQUAL(at, &zero);
}

static bool is_loopback(const in6 *at)
{
    return IN6_IS_ADDR_LOOPBACK(at) || (IN6_IS_ADDR_V4MAPPED(at) && at->s6_addr[12] == 127);
}

static bool is_interface(const in6 *at)
{
    struct ifaddrs *list = NULL;
    bool found = false;
    if (getifaddrs(&list) != 0) return false;
    for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
        in6 own;
        if (!i->ifa_addr) continue;
        if (i->ifa_addr->sa_family == AF_INET)
            own = mapped(&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr);
        else if (i->ifa_addr->sa_family == AF_INET6)
            own = ((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr;
        else
            continue;
        found = IN6_ARE_ADDR_EQUAL(&own, at);
    }
    freeifaddrs(list);
    return found;
}

static bool takes(const in6 *listener, const in6 *target)
{
    bool all = IN6_IS_ADDR_UNSPECIFIED(listener);
    bool all_v4 = all || is_any_v4(listener);
    if (IN6_ARE_ADDR_EQUAL(listener, target)) return true;
    if (!(IN6_IS_ADDR_V4MAPPED(target) ? all_v4 : all)) return false;
    return is_loopback(target) || is_interface(target);
}

/* RFC 6761 section 6.3: localhost, and whatever ends in .localhost, is loopback. */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host), n = sizeof name - 1;
    if (len > 0 && host[len - 1] == '.') len--;
    if (len < n || strncasecmp(host + len - n, name, n) != 0) return false;
    return len == n || host[len - n - 1] == '.';
}

static bool is_own_name(const char *host)
{
    char name[HOST_NAME_MAX + 1] = "";
    return gethostname(name, sizeof name - 1) == 0 && *name && strcasecmp(name, host) == 0;
}

bool wb_listen_is_reached(const wb_listen *where, const char *host, uint16_t port)
{
    in6 listener, target;
    const in6 six = IN6ADDR_LOOPBACK_INIT;
    const struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
    const in6 four = mapped(&loopback);
    if (where->off || where->port == 0 || where->port != port) return false;
    if (!parse(where->host, &listener)) return false;
    if (is_localhost(host)) return takes(&listener, &four) || takes(&listener, &six);
    if (!parse(host, &target)) return !is_loopback(&listener) && is_own_name(host);
    if (is_any_v4(&target)) target = four;
    if (IN6_IS_ADDR_UNSPECIFIED(&target)) return takes(&listener, &four) || takes(&listener, &six);
    return takes(&listener, &target);
}

bool wb_listen_is_same(const wb_listen *a, const wb_listen *b)
{
    in6 at, bt;
    if (a->off || b->off || a->port == 0 || a->port != b->port) return false;
    if (!parse(a->host, &at) || !parse(b->host, &bt)) return false;
    if (IN6_ARE_ADDR_EQUAL(&at, &bt)) return true;
    if (IN6_IS_ADDR_UNSPECIFIED(&at) || IN6_IS_ADDR_UNSPECIFIED(&bt)) return true;
    return (is_any_v4(&at) && IN6_IS_ADDR_V4MAPPED(&bt)) ||
           (is_any_v4(&bt) && IN6_IS_ADDR_V4MAPPED(&at));
}
