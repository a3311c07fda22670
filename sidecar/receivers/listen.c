/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/receivers/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

static bool parse_port(const char *text, uint16_t *out)
{
    uint32_t port = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        port = port * 10 + (uint32_t)(*text - '0');
        if (port > UINT16_MAX) return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool parse_listen(const char *text, wb_listen *out)
{
    struct in6_addr ignored;
    const char *colon = strrchr(text, ':');
    if (!colon || !parse_port(colon + 1, &out->port)) return false;
    size_t len = (size_t)(colon - text);
    bool brackets = len > 2 && text[0] == '[' && text[len - 1] == ']';
    if (brackets) {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof out->host) return false;
    memcpy(out->host, text, len);
    out->host[len] = '\0';
    return inet_pton(brackets ? AF_INET6 : AF_INET, out->host, &ignored) == 1;
}

wb_status wb_listen_make(const char *key, const char *text, uint16_t port, bool may_be_off,
                         wb_listen *out, wb_error *err)
{
    *out = (wb_listen){.host = "127.0.0.1", .port = port, .defaulted = true};
    if (!text) return WB_OK;
    out->defaulted = false;
    out->off = may_be_off && strcmp(text, "off") == 0;
    if (out->off || parse_listen(text, out)) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG, "%s: \"%.80s\" is no address:port", key, text);
}

static bool address_of(const wb_listen *listen, uint16_t port, address *out, socklen_t *len)
{
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, listen->host, &out->v4.sin_addr) == 1) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        *len = sizeof out->v4;
        return true;
    }
    if (inet_pton(AF_INET6, listen->host, &out->v6.sin6_addr) == 1) {
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(port);
        *len = sizeof out->v6;
        return true;
    }
    return false;
}

bool wb_address_is_loopback(const struct sockaddr *any)
{
    static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
    const address *at = (const address *)(const void *)any;
    if (any->sa_family == AF_INET) return ntohl(at->v4.sin_addr.s_addr) >> 24 == 127;
    return any->sa_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(&at->v6.sin6_addr) ||
                                          memcmp(&at->v6.sin6_addr, mapped, sizeof mapped) == 0);
}

bool wb_listen_is_loopback(const wb_listen *where)
{
    address at;
    socklen_t len;
    return address_of(where, where->port, &at, &len) && wb_address_is_loopback(&at.any);
}

/* A bound, listening socket, or -1 with errno. */
static int listen_at(const address *at, socklen_t len, int backlog)
{
    int on = 1;
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, &at->any, len) == 0 && listen(fd, backlog) == 0) return fd;
    int why = errno;
    (void)close(fd);
    errno = why;
    return -1;
}

wb_status wb_listen_open(const char *key, const wb_listen *where, int backlog, int *out,
                         uint16_t *port, wb_error *err)
{
    address at;
    socklen_t len;
    if (!address_of(where, where->port, &at, &len))
        return wb_fail(err, WB_ERR_CONFIG, "%s: %s is no numeric address", key, where->host);
    int fd = listen_at(&at, len, backlog);
    if (fd < 0 && errno == EADDRINUSE && where->defaulted) {
        (void)address_of(where, 0, &at, &len);
        fd = listen_at(&at, len, backlog);
    }
    if (fd < 0)
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s: cannot listen on %s:%u", key,
                             where->host, where->port);
    if (getsockname(fd, &at.any, &len) != 0) {
        int why = errno;
        (void)close(fd);
        return wb_fail_errno(err, WB_ERR_CONFIG, why, "%s: the port is unknown", key);
    }
    *port = ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port);
    *out = fd;
    return WB_OK;
}
