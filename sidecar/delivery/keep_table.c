/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table with open addressing, doubled as it fills, never above half full. Nothing is deleted
 * one by one: when 65 536 traces are in it, it is built anew without those that time has passed, the
 * older half of them or, if that is too little, all of them. That costs a walk over the table, so it is
 * done again only once delivery has moved on.
 *
 * Trace ids are chosen by whoever starts a trace. The hash is keyed, so that nobody can choose ids that
 * meet in one place. */
#include "sidecar/delivery/keep_table.h"

#include <stdlib.h>

enum { SLOTS_MIN = 1024, SLOTS_MAX = 2 * WB_KEEP_TRACES_MAX, WORTH_IT = WB_KEEP_TRACES_MAX / 8 };

typedef struct slot {
    wb_trace_id trace;
    uint64_t seq; /* of the last reason; 0: the slot is empty */
} slot;

struct wb_keep_table {
    slot *slots;
    size_t n_slots, n;
    uint64_t key[2]; /* odd */
    uint64_t blind_until;
    uint64_t forgot_at; /* `passed` when it was last built anew for want of room */
};

wb_keep_table *wb_keep_table_new(void)
{
    wb_keep_table *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    wb_random(t->key, sizeof t->key);
    t->key[0] |= 1;
    t->key[1] |= 1;
    return t;
}

void wb_keep_table_free(wb_keep_table *t)
{
    if (!t) return;
    free(t->slots);
    free(t);
}

/* Every bit of the id reaches the low bits, wherever a maker of ids puts what differs. */
static size_t hash_of(const wb_keep_table *t, const wb_trace_id *trace)
{
    uint64_t half[2];
    memcpy(half, trace->b, sizeof half);
    uint64_t h = half[0] ^ t->key[1];
    for (int round = 0; round < 3; round++) {
        h = (h ^ (h >> 32)) * t->key[round & 1];
        if (round == 0) h ^= half[1];
    }
    return (size_t)(h ^ (h >> 32));
}

/* The slot that has the trace, or the empty one where it would be. */
static slot *find(const wb_keep_table *t, const wb_trace_id *trace)
{
    size_t i = hash_of(t, trace) & (t->n_slots - 1);
    while (t->slots[i].seq != 0 && !WB_ID_EQ(t->slots[i].trace, *trace))
        i = (i + 1) & (t->n_slots - 1);
    return &t->slots[i];
}

/* Build it anew with what was added after `cut`. */
static bool rebuild(wb_keep_table *t, size_t n_slots, uint64_t cut)
{
    slot *old = t->slots;
    size_t n_old = t->n_slots;
    slot *made = calloc(n_slots, sizeof *made);
    if (!made) return false;
    t->slots = made;
    t->n_slots = n_slots;
    t->n = 0;
    for (size_t i = 0; i < n_old; i++) {
        if (old[i].seq <= cut) continue;
        *find(t, &old[i].trace) = old[i];
        t->n++;
    }
    free(old);
    return true;
}

static size_t count_upto(const wb_keep_table *t, uint64_t cut, uint64_t *oldest)
{
    size_t n = 0;
    *oldest = UINT64_MAX;
    for (size_t i = 0; i < t->n_slots; i++) {
        uint64_t seq = t->slots[i].seq;
        if (seq == 0 || seq > cut) continue;
        if (seq < *oldest) *oldest = seq;
        n++;
    }
    return n;
}

static bool forget(wb_keep_table *t, uint64_t passed)
{
    uint64_t oldest, ignored;
    if (passed <= t->forgot_at) return false;
    t->forgot_at = passed;
    size_t n = count_upto(t, passed, &oldest);
    if (n == 0) return false;
    uint64_t half = oldest + (passed - oldest) / 2;
    if (count_upto(t, half, &ignored) < WORTH_IT) half = passed;
    return rebuild(t, SLOTS_MAX, half);
}

static bool make_room(wb_keep_table *t, uint64_t passed)
{
    if (t->n >= WB_KEEP_TRACES_MAX) return forget(t, passed);
    if (t->n_slots == 0) return rebuild(t, SLOTS_MIN, 0);
    if (t->n < t->n_slots / 2) return true;
    return rebuild(t, 2 * t->n_slots, 0);
}

void wb_keep_table_add(wb_keep_table *t, const wb_trace_id *trace, uint64_t seq, uint64_t passed)
{
    if (wb_keep_table_has(t, trace, seq)) return;
    if (!make_room(t, passed)) {
        if (seq > t->blind_until) t->blind_until = seq;
        return;
    }
    *find(t, trace) = (slot){*trace, seq};
    t->n++;
}

bool wb_keep_table_has(wb_keep_table *t, const wb_trace_id *trace, uint64_t seq)
{
    if (t->n == 0) return false;
    slot *s = find(t, trace);
    if (s->seq == 0) return false;
    if (seq > s->seq) s->seq = seq;
    return true;
}

uint64_t wb_keep_table_blind_until(const wb_keep_table *t) { return t->blind_until; }

size_t wb_keep_table_count(const wb_keep_table *t) { return t->n; }
