/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/peer_key.h"

#include "core/ids.h"

#include <arpa/inet.h>
#include <sodium.h>

_Static_assert(WB_PEER_SECRET_BYTES == crypto_shorthash_KEYBYTES, "SipHash-2-4");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "SipHash-2-4");

void wb_peer_secret_make(wb_peer_secret *out) { wb_random(out->bytes, sizeof out->bytes); }

static wb_slice after(wb_slice text, size_t n) { return (wb_slice){text.ptr + n, text.len - n}; }

static wb_slice before(wb_slice text, char end)
{
    const uint8_t *at = text.len ? memchr(text.ptr, end, text.len) : NULL;
    return at ? (wb_slice){text.ptr, (size_t)(at - text.ptr)} : text;
}

static bool is_v6(wb_slice text)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    text = before(text, '%');
    if (text.len >= sizeof copy) return false;
    if (text.len > 0) memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1;
}

static bool is_port(wb_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    return text.len >= 1 && text.len <= 5;
}

/* Letters of a host name, or of an IPv4 address. */
static bool is_host(wb_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i], low = c | 0x20;
        bool plain = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9');
        if (!plain && c != '.' && c != '-' && c != '_') return false;
    }
    return text.len > 0 && text.len < WB_PEER_HOST_MAX;
}

/* The host of host, host:port, [v6], [v6]:port, v6, each perhaps behind a scheme. Whatever is more than
 * that is a name that somebody authenticated, as https://idp.example/users/alice or tenant:alice, and
 * others have names beside it: empty. */
static wb_slice find_host(wb_slice peer)
{
    const uint8_t *scheme = peer.len ? memmem(peer.ptr, peer.len, "://", 3) : NULL;
    if (wb_slice_starts(peer, WB_S("spiffe://"))) return (wb_slice){0};
    if (scheme) peer = after(peer, (size_t)(scheme + 3 - peer.ptr));
    if (scheme && peer.len > 0 && peer.ptr[peer.len - 1] == '/') peer.len--; /* no path */
    if (is_v6(peer)) return peer;
    bool bracket = peer.len > 0 && peer.ptr[0] == '[';
    wb_slice host = bracket ? before(after(peer, 1), ']') : before(peer, ':');
    size_t used = host.len + (bracket ? 2 : 0);
    if (used > peer.len || !(bracket ? is_v6(host) : is_host(host))) return (wb_slice){0};
    wb_slice rest = after(peer, used);
    if (rest.len > 0 && (rest.ptr[0] != ':' || !is_port(after(rest, 1)))) return (wb_slice){0};
    return host;
}

/* False: not an IPv6 address. */
static bool shorten_v6(char host[WB_PEER_HOST_MAX])
{
    struct in6_addr address;
    char *zone = strchr(host, '%');
    if (zone) *zone = '\0';
    bool is_v6 = inet_pton(AF_INET6, host, &address) == 1;
    if (zone) *zone = '%';
    if (!is_v6) return false;
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        WB_ASSERT(inet_ntop(AF_INET, &address.s6_addr[12], host, WB_PEER_HOST_MAX));
        return true;
    }
    memset(&address.s6_addr[8], 0, 8);
    WB_ASSERT(inet_ntop(AF_INET6, &address, host, WB_PEER_HOST_MAX));
    return true;
}

size_t wb_peer_host(wb_slice peer, char out[WB_PEER_HOST_MAX])
{
    wb_slice host = find_host(peer);
    size_t len = host.len < WB_PEER_HOST_MAX - 1 ? host.len : WB_PEER_HOST_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = host.ptr[i];
        out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : (char)c;
    }
    out[len] = '\0';
    return shorten_v6(out) ? strlen(out) : len;
}

uint64_t wb_peer_key(const wb_peer_secret *secret, wb_slice peer, uint64_t connection)
{
    char host[WB_PEER_HOST_MAX];
    size_t len = wb_peer_host(peer, host);
    const uint8_t *name = len > 0 ? (const uint8_t *)host : peer.ptr;
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t key;
    if (peer.len > 0)
        (void)crypto_shorthash(hash, name, len > 0 ? len : peer.len, secret->bytes);
    else
        (void)crypto_shorthash(hash, (const uint8_t *)&connection, sizeof connection,
                               secret->bytes);
    memcpy(&key, hash, sizeof key);
    return key;
}
