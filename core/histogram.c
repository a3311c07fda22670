/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds are part of the interface: dashboards and alerts name them, and a sum over sidecars of
 * different versions is right only while they are the same. Buckets are kept each alone, so that an
 * observation touches one of them, and are added up by whoever reads. */
#include "core/histogram.h"

#define US UINT64_C(1000)
#define MS (1000 * US)
#define S (1000 * MS)

const wb_bounds wb_bounds_short = {.n = 15,
                                   .at = {50 * US, 100 * US, 250 * US, 500 * US, 1 * MS, 2500 * US,
                                          5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
                                          1 * S, 2500 * MS, 10 * S}};
const wb_bounds wb_bounds_long = {.n = 15,
                                  .at = {50 * MS, 100 * MS, 250 * MS, 500 * MS, 1 * S, 2500 * MS,
                                         5 * S, 10 * S, 30 * S, 60 * S, 120 * S, 300 * S, 600 * S,
                                         1800 * S, 3600 * S}};

static size_t bucket_of(const wb_bounds *bounds, uint64_t value)
{
    size_t at = 0;
    while (at < bounds->n && value > bounds->at[at]) at++;
    return at;
}

void wb_histogram_observe(wb_histogram *h, const wb_bounds *bounds, uint64_t value)
{
    atomic_fetch_add_explicit(&h->counts[bucket_of(bounds, value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum, value, memory_order_relaxed);
}

static void add_alone(atomic_ullong *to, uint64_t n)
{
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

void wb_histogram_observe_alone(wb_histogram *h, const wb_bounds *bounds, uint64_t value)
{
    add_alone(&h->counts[bucket_of(bounds, value)], 1);
    add_alone(&h->sum, value);
}

void wb_histogram_read(const wb_histogram *h, const wb_bounds *bounds, wb_histogram_view *out)
{
    uint64_t n = 0;
    out->sum = atomic_load_explicit(&h->sum, memory_order_relaxed);
    for (size_t i = 0; i < bounds->n; i++) {
        n += atomic_load_explicit(&h->counts[i], memory_order_relaxed);
        out->upto[i] = n;
    }
    out->count = n + atomic_load_explicit(&h->counts[bounds->n], memory_order_relaxed);
}
