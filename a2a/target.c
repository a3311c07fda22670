/* SPDX-License-Identifier: Apache-2.0 */
/* The audience of a token must not come from what a server says about itself: any server could then
 * claim any name. So configuration decides, and a card speaks for its own https origin only. */
#include "a2a/target.h"

#include "propagation/token.h"

#include <stdio.h>

static char lower(uint8_t c) { return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

/* How long the host at the start of `text` is; 0 if there is none. RFC 3986 section 3.2.2: an address
 * in brackets, or a name of letters, digits, '-', '.', '_'. */
static size_t host_len(const char *text, size_t len)
{
    static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";
    static const char address_bytes[] = "abcdef0123456789:.";
    size_t n = 0;
    if (len > 0 && text[0] == '[') {
        for (n = 1; n < len && strchr(address_bytes, text[n]) && text[n]; n++) {}
        return n > 1 && n < len && text[n] == ']' ? n + 1 : 0;
    }
    while (n < len && text[n] && strchr(name_bytes, text[n])) n++;
    return n;
}

/* ":PORT" or nothing, and then the end. */
static bool is_port(const char *text, size_t len)
{
    if (len == 0) return true;
    if (len < 2 || len > 6 || text[0] != ':') return false;
    for (size_t i = 1; i < len; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return true;
}

static bool read_scheme(wb_slice url, bool *https, size_t *authority_at)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < WB_COUNT(schemes); i++) {
        size_t len = strlen(schemes[i]);
        bool same = url.len >= len;
        for (size_t at = 0; same && at < len; at++) same = lower(url.ptr[at]) == schemes[i][at];
        if (!same) continue;
        *https = i == 1;
        *authority_at = len;
        return true;
    }
    return false;
}

wb_status wb_origin_of(wb_slice url, char out[WB_ORIGIN_MAX + 1])
{
    bool https = false;
    size_t at = 0, len = 0;
    char authority[WB_ORIGIN_MAX];
    if (!read_scheme(url, &https, &at)) return WB_ERR_MALFORMED;
    for (; at < url.len && url.ptr[at] != '/' && url.ptr[at] != '?' && url.ptr[at] != '#'; at++) {
        if (len >= sizeof authority - sizeof "https://") return WB_ERR_MALFORMED;
        authority[len++] = lower(url.ptr[at]);
    }
    size_t host = host_len(authority, len), port_len = len - host;
    if (host == 0 || !is_port(authority + host, port_len)) return WB_ERR_MALFORMED;
    const char *own_port = https ? ":443" : ":80";
    if (port_len == strlen(own_port) && memcmp(authority + host, own_port, port_len) == 0)
        len = host;
    (void)snprintf(out, WB_ORIGIN_MAX + 1, "%s://%.*s", https ? "https" : "http", (int)len,
                   authority);
    return WB_OK;
}

wb_slice wb_peer_of_origin(const wb_peer *peers, size_t n_peers, wb_slice origin)
{
    for (size_t i = 0; i < n_peers; i++)
        for (size_t j = 0; j < peers[i].n_origins; j++)
            if (wb_slice_eq(peers[i].origins[j], origin)) return peers[i].id;
    return WB_S("");
}

/* The host of an origin, without scheme, port and the brackets of an address. */
static wb_slice host_of(wb_slice origin)
{
    bool https = false;
    size_t at = 0;
    if (!read_scheme(origin, &https, &at)) return WB_S("");
    wb_slice rest = {origin.ptr + at, origin.len - at};
    rest.len = host_len((const char *)rest.ptr, rest.len);
    bool brackets = rest.len > 2 && rest.ptr[0] == '[';
    return brackets ? (wb_slice){rest.ptr + 1, rest.len - 2} : rest;
}

static bool is_on_host(const wb_peer *peer, wb_slice host)
{
    for (size_t i = 0; i < peer->n_origins; i++)
        if (wb_slice_eq(host_of(peer->origins[i]), host)) return true;
    return false;
}

wb_slice wb_peer_of_sender(const wb_peer *peers, size_t n_peers, wb_slice sender)
{
    wb_slice found = WB_S("");
    if (sender.len == 0 || wb_agent_id_ok(sender)) return sender;
    for (size_t i = 0; i < n_peers; i++) {
        if (!is_on_host(&peers[i], sender)) continue;
        if (found.len > 0) return WB_S("");
        found = peers[i].id;
    }
    return found;
}

wb_status wb_target_audience(const wb_peer *peers, size_t n_peers, const wb_target *target,
                             wb_slice *out, const char **why)
{
    char origin[WB_ORIGIN_MAX + 1], card_origin[WB_ORIGIN_MAX + 1];
    *why = "bad_url";
    if (wb_origin_of(target->url, origin) != WB_OK) return WB_ERR_NOT_FOUND;
    wb_slice configured = wb_peer_of_origin(peers, n_peers, wb_slice_str(origin));
    if (configured.len > 0) {
        *out = configured;
        return WB_OK;
    }
    *why = "no_peer";
    if (!target->declares || !wb_slice_starts(target->agent_id, WB_S("https://")))
        return WB_ERR_NOT_FOUND;
    *why = "foreign_card_id";
    if (wb_origin_of(target->agent_id, card_origin) != WB_OK || strcmp(origin, card_origin) != 0)
        return WB_ERR_NOT_FOUND;
    *out = target->agent_id;
    return WB_OK;
}
