/* SPDX-License-Identifier: Apache-2.0 */
/* One number per bucket, as in the generic cell rate algorithm (ITU-T I.371): the time at which it will
 * be full again. Taking one pushes that time by 1/rate; a bucket that would need more than burst/rate to
 * fill is empty. So an idle bucket ages without anybody looking, and a full one is worth nothing: it
 * can be thrown away, and found again as new, without a difference.
 *
 * That is the whole rule of eviction: sets of WAYS buckets, a newcomer takes the place of a full one, and
 * of no other. A peer cannot be made to lose what it used up, so no peer refills its own bucket by naming
 * itself often or by having others push it out. Where a set has no full one, newcomers share one bucket
 * of the set: whoever comes from very many addresses at once shares with those alone that fall into
 * the same set, and cannot choose it, as keys are hashed under a secret. */
#include "sidecar/rate.h"

#include "core/clock.h"

#include <pthread.h>
#include <stdlib.h>

enum { WAYS = 7 };

typedef struct bucket {
    uint64_t key;
    uint64_t full_mono; /* in the past: full */
} bucket;

typedef struct set {
    bucket ways[WAYS];
    bucket shared; /* of peers that found no place; its key says nothing */
} set;

struct wb_rate {
    pthread_mutex_t lock; /* held for a set's length */
    size_t n;
    set *sets;
};

wb_status wb_rate_new(size_t buckets, wb_rate **out, wb_error *err)
{
    wb_rate *rate = calloc(1, sizeof *rate);
    if (!rate) return wb_fail(err, WB_ERR_NO_MEMORY, "rate buckets");
    rate->n = (buckets + WAYS - 1) / WAYS;
    rate->sets = calloc(rate->n, sizeof *rate->sets);
    if (!rate->sets) {
        free(rate);
        return wb_fail(err, WB_ERR_NO_MEMORY, "rate buckets");
    }
    pthread_mutex_init(&rate->lock, NULL);
    *out = rate;
    return WB_OK;
}

void wb_rate_free(wb_rate *rate)
{
    if (!rate) return;
    pthread_mutex_destroy(&rate->lock);
    free(rate->sets);
    free(rate);
}

static bucket *find(set *s, uint64_t key, uint64_t mono)
{
    bucket *full = NULL;
    for (size_t i = 0; i < WAYS; i++) {
        if (s->ways[i].key == key && s->ways[i].full_mono > mono) return &s->ways[i];
        if (!full && s->ways[i].full_mono <= mono) full = &s->ways[i];
    }
    if (!full) return &s->shared;
    *full = (bucket){.key = key, .full_mono = mono};
    return full;
}

static bool take(bucket *b, const wb_rate_limit *limit, uint64_t mono)
{
    uint64_t one_ns = WB_NS_PER_S / limit->per_s;
    if (one_ns == 0) one_ns = 1;
    uint64_t from = b->full_mono > mono ? b->full_mono : mono;
    if (from - mono > (limit->burst > 0 ? limit->burst - 1 : 0) * one_ns) return false;
    b->full_mono = from + one_ns;
    return true;
}

bool wb_rate_take(wb_rate *rate, uint64_t key, const wb_rate_limit *limit, uint64_t mono)
{
    if (limit->per_s == 0) return true;
    pthread_mutex_lock(&rate->lock);
    bool taken = take(find(&rate->sets[key % rate->n], key, mono), limit, mono);
    pthread_mutex_unlock(&rate->lock);
    return taken;
}
