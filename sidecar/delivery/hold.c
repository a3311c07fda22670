/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delivery/hold.h"

#include "core/status.h"

#include <string.h>

void wb_hold_init(wb_hold *h, uint64_t ns, uint64_t ripe)
{
    *h = (wb_hold){.ns = ns, .ripe = ripe};
}

static uint64_t last_seen(const wb_hold *h) { return h->n > 0 ? h->looks[h->n - 1].seq : h->ripe; }

uint64_t wb_hold_look(wb_hold *h, uint64_t now, uint64_t durable_seq)
{
    size_t ripe = 0;
    if (h->ns == 0) return h->ripe = durable_seq;
    while (ripe < h->n && now - h->looks[ripe].at >= h->ns) ripe++;
    if (ripe > 0) {
        h->ripe = h->looks[ripe - 1].seq;
        h->n -= ripe;
        memmove(h->looks, h->looks + ripe, h->n * sizeof h->looks[0]);
    }
    bool is_soon = h->n > 0 && now - h->looks[h->n - 1].at < h->ns / WB_HOLD_LOOKS;
    if (durable_seq > last_seen(h) && !is_soon) {
        WB_ASSERT(h->n < WB_COUNT(h->looks));
        h->looks[h->n].at = now;
        h->looks[h->n++].seq = durable_seq;
    }
    return h->ripe;
}

uint64_t wb_hold_next_ns(const wb_hold *h, uint64_t now)
{
    uint64_t look = h->ns / WB_HOLD_LOOKS;
    if (h->n == 0) return look;
    uint64_t age = now - h->looks[0].at, left = age < h->ns ? h->ns - age : 0;
    return left < look ? left : look;
}
