/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever an agent says of its peer, the host in it is short, lower case, the same for the same text in
 * other case, and no IPv6 address finer than a network of 64 bits: what one customer has counts as one. */
#include "sidecar/peer_key.h"

#include "core/status.h"

#include <arpa/inet.h>

enum { TEXT_MAX = 1024 }; /* as Accept takes it */

static void check_address(const char *host)
{
    static const uint8_t none[8];
    struct in6_addr address;
    if (inet_pton(AF_INET6, host, &address) != 1) return;
    WB_ASSERT(memcmp(&address.s6_addr[8], none, sizeof none) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const wb_peer_secret secret = {.bytes = {1}};
    char host[WB_PEER_HOST_MAX], again[WB_PEER_HOST_MAX];
    uint8_t lower[TEXT_MAX];
    if (size > TEXT_MAX || memchr(data, '\0', size)) return 0; /* a protobuf string ends at a NUL */
    for (size_t i = 0; i < size; i++)
        lower[i] = data[i] >= 'A' && data[i] <= 'Z' ? (uint8_t)(data[i] | 0x20) : data[i];
    size_t len = wb_peer_host(wb_slice_of(data, size), host);
    WB_ASSERT(len < sizeof host && strlen(host) == len);
    for (size_t i = 0; i < len; i++) WB_ASSERT(!(host[i] >= 'A' && host[i] <= 'Z'));
    check_address(host);
    if (wb_slice_starts(wb_slice_of(lower, size), WB_S("spiffe://"))) return 0;
    WB_ASSERT(wb_peer_host(wb_slice_of(lower, size), again) == len && strcmp(host, again) == 0);
    uint64_t a = wb_peer_key(&secret, wb_slice_of(data, size), 7);
    if (len > 0) WB_ASSERT(a == wb_peer_key(&secret, wb_slice_of(lower, size), 8));
    WB_ASSERT(size == 0 || a == wb_peer_key(&secret, wb_slice_of(data, size), 8));
    return 0;
}
