/* SPDX-License-Identifier: Apache-2.0 */
/* The audience of a token must not come from what a server says about itself: any server could then
 * claim any name. So configuration decides, and a card speaks for its own https origin only. */
#include "a2a/target.h"

#include <stdio.h>

static char lower(uint8_t c) { return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); }

/* Letters, digits, '-', '.', and what an IPv6 literal has. */
static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '[' || c == ']' || c == ':';
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
        char c = lower(url.ptr[at]);
        if (!is_host_byte(c) || len >= sizeof authority - sizeof "https://")
            return WB_ERR_MALFORMED;
        authority[len++] = c;
    }
    const char *own_port = https ? ":443" : ":80";
    size_t port_len = strlen(own_port);
    if (len > port_len && memcmp(authority + len - port_len, own_port, port_len) == 0)
        len -= port_len;
    if (len == 0 || authority[0] == ':') return WB_ERR_MALFORMED;
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
