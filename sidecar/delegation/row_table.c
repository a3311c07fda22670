/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing over an index of slot numbers, linear probing, load at most 1/2. Rows are single
 * allocations {length, hot, key, payload}, so that one row costs one malloc and the index moves
 * without touching them. Keys come from outside (a peer picks its jti), hence SipHash under a random
 * key: nobody can choose keys that collide. Slots are stable, which is what lets a snapshot be taken
 * in slices: a row that stays is met exactly once, and one that comes or goes meanwhile is put right
 * by the journal's frames after the snapshot's start. */
#include "sidecar/delegation/row_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { FIRST_INDEX = 64, FIRST_SLOTS = 32, SLICE_BYTES = 256 * 1024 };
static const uint32_t EMPTY = UINT32_MAX;

typedef struct row {
    uint32_t payload_len;
    _Alignas(8) uint8_t bytes[]; /* hot, then key, then payload */
} row;

struct wb_row_table {
    size_t key_len, hot_len;
    uint32_t max_rows, count;
    row **slots;
    uint32_t n_slots, cap_slots;
    uint32_t *free_slots; /* stack */
    uint32_t n_free;
    uint32_t *index;     /* slot numbers or EMPTY */
    uint32_t index_size; /* power of two, 0 before the first row */
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
};

static void *row_hot(row *r) { return r->bytes; }
static uint8_t *row_key(const wb_row_table *t, row *r) { return r->bytes + t->hot_len; }
static uint8_t *row_payload(const wb_row_table *t, row *r)
{
    return r->bytes + t->hot_len + t->key_len;
}

static uint32_t hash(const wb_row_table *t, const void *key)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint32_t h;
    crypto_shorthash(out, key, t->key_len, t->hash_key);
    memcpy(&h, out, sizeof h);
    return h;
}

wb_row_table *wb_row_table_new(size_t key_len, size_t hot_len, uint32_t max_rows)
{
    wb_row_table *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->key_len = key_len;
    t->hot_len = (hot_len + 7) & ~(size_t)7;
    t->max_rows = max_rows;
    randombytes_buf(t->hash_key, sizeof t->hash_key);
    return t;
}

void wb_row_table_reset(wb_row_table *t)
{
    for (uint32_t i = 0; i < t->n_slots; i++) free(t->slots[i]);
    free(t->slots);
    free(t->free_slots);
    free(t->index);
    t->slots = NULL;
    t->free_slots = t->index = NULL;
    t->count = t->n_slots = t->cap_slots = t->n_free = t->index_size = 0;
}

void wb_row_table_free(wb_row_table *t)
{
    if (!t) return;
    wb_row_table_reset(t);
    free(t);
}

/* Where `key` is in the index, or where it would go. Only with index_size > 0. */
static uint32_t probe(const wb_row_table *t, const void *key, bool *found)
{
    uint32_t mask = t->index_size - 1;
    for (uint32_t at = hash(t, key) & mask;; at = (at + 1) & mask) {
        uint32_t slot = t->index[at];
        *found = slot != EMPTY && memcmp(row_key(t, t->slots[slot]), key, t->key_len) == 0;
        if (slot == EMPTY || *found) return at;
    }
}

static wb_status grow_index(wb_row_table *t)
{
    if (t->index_size > 0 && t->count < t->index_size / 2) return WB_OK;
    uint32_t size = t->index_size ? t->index_size * 2 : FIRST_INDEX;
    uint32_t *index = malloc(size * sizeof *index);
    if (!index) return WB_ERR_NO_MEMORY;
    memset(index, 0xFF, size * sizeof *index);
    free(t->index);
    t->index = index;
    t->index_size = size;
    for (uint32_t slot = 0; slot < t->n_slots; slot++) {
        bool found;
        if (t->slots[slot]) t->index[probe(t, row_key(t, t->slots[slot]), &found)] = slot;
    }
    return WB_OK;
}

static wb_status grow_slots(wb_row_table *t)
{
    if (t->n_free > 0 || t->n_slots < t->cap_slots) return WB_OK;
    uint32_t cap = t->cap_slots ? t->cap_slots * 2 : FIRST_SLOTS;
    row **slots = realloc(t->slots, cap * sizeof(row *));
    if (!slots) return WB_ERR_NO_MEMORY;
    t->slots = slots;
    uint32_t *free_slots = realloc(t->free_slots, cap * sizeof *free_slots);
    if (!free_slots) return WB_ERR_NO_MEMORY;
    t->free_slots = free_slots;
    t->cap_slots = cap;
    return WB_OK;
}

static row *row_new(const wb_row_table *t, const void *key, wb_slice payload)
{
    if (payload.len > UINT32_MAX) return NULL;
    row *r = malloc(sizeof *r + t->hot_len + t->key_len + payload.len);
    if (!r) return NULL;
    r->payload_len = (uint32_t)payload.len;
    memset(row_hot(r), 0, t->hot_len);
    memcpy(row_key(t, r), key, t->key_len);
    if (payload.len) memcpy(row_payload(t, r), payload.ptr, payload.len);
    return r;
}

wb_status wb_row_put(wb_row_table *t, const void *key, wb_slice payload, void **hot)
{
    bool found = false;
    uint32_t at = t->index_size ? probe(t, key, &found) : 0;
    if (!found && t->count >= t->max_rows) return WB_ERR_FULL;
    row *fresh = row_new(t, key, payload);
    if (!fresh) return WB_ERR_NO_MEMORY;
    if (found) {
        row *old = t->slots[t->index[at]];
        memcpy(row_hot(fresh), row_hot(old), t->hot_len);
        t->slots[t->index[at]] = fresh;
        free(old);
    } else {
        if (grow_slots(t) != WB_OK || grow_index(t) != WB_OK) {
            free(fresh);
            return WB_ERR_NO_MEMORY;
        }
        uint32_t slot = t->n_free > 0 ? t->free_slots[--t->n_free] : t->n_slots++;
        t->slots[slot] = fresh;
        t->index[probe(t, key, &found)] = slot;
        t->count++;
    }
    if (hot) *hot = row_hot(fresh);
    return WB_OK;
}

bool wb_row_get(const wb_row_table *t, const void *key, wb_slice *payload, void **hot)
{
    bool found = false;
    if (t->index_size == 0) return false;
    uint32_t at = probe(t, key, &found);
    if (!found) return false;
    row *r = t->slots[t->index[at]];
    if (payload) *payload = wb_slice_of(row_payload(t, r), r->payload_len);
    if (hot) *hot = row_hot(r);
    return true;
}

/* Linear probing without tombstones: close the hole by moving back what may move. */
static void index_remove(wb_row_table *t, uint32_t hole)
{
    uint32_t mask = t->index_size - 1;
    for (uint32_t at = (hole + 1) & mask; t->index[at] != EMPTY; at = (at + 1) & mask) {
        uint32_t home = hash(t, row_key(t, t->slots[t->index[at]])) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            t->index[hole] = t->index[at];
            hole = at;
        }
    }
    t->index[hole] = EMPTY;
}

static void remove_at(wb_row_table *t, uint32_t at)
{
    uint32_t slot = t->index[at];
    index_remove(t, at); /* reads the keys of rows, so the row goes last */
    free(t->slots[slot]);
    t->slots[slot] = NULL;
    t->free_slots[t->n_free++] = slot;
    t->count--;
}

bool wb_row_remove(wb_row_table *t, const void *key)
{
    bool found = false;
    if (t->index_size == 0) return false;
    uint32_t at = probe(t, key, &found);
    if (found) remove_at(t, at);
    return found;
}

uint32_t wb_row_count(const wb_row_table *t) { return t->count; }
uint32_t wb_row_room(const wb_row_table *t) { return t->max_rows - t->count; }
uint32_t wb_row_slots(const wb_row_table *t) { return t->n_slots; }

bool wb_row_at(const wb_row_table *t, uint32_t slot, const void **key, wb_slice *payload,
               void **hot)
{
    row *r = slot < t->n_slots ? t->slots[slot] : NULL;
    if (!r) return false;
    if (key) *key = row_key(t, r);
    if (payload) *payload = wb_slice_of(row_payload(t, r), r->payload_len);
    if (hot) *hot = row_hot(r);
    return true;
}

wb_status wb_row_snapshot(const wb_row_table *t, wb_buffer *out, size_t *resume_at)
{
    size_t slot = *resume_at, start = out->len;
    for (; slot < t->n_slots && out->len - start < SLICE_BYTES; slot++) {
        row *r = t->slots[slot];
        if (!r) continue;
        WB_TRY(wb_buffer_add(out, &r->payload_len, sizeof r->payload_len));
        WB_TRY(wb_buffer_add(out, row_payload(t, r), r->payload_len));
    }
    *resume_at = slot < t->n_slots ? slot : 0;
    return WB_OK;
}

static wb_status next_row(wb_slice *rest, wb_slice *payload, wb_error *err)
{
    uint32_t len = 0;
    if (rest->len >= sizeof len) memcpy(&len, rest->ptr, sizeof len);
    if (rest->len < sizeof len || len > rest->len - sizeof len)
        return wb_fail(err, WB_ERR_CORRUPT, "a snapshot's row of %u bytes is cut off", len);
    *payload = wb_slice_of(rest->ptr + sizeof len, len);
    *rest = wb_slice_of(rest->ptr + sizeof len + len, rest->len - sizeof len - len);
    return WB_OK;
}

wb_status wb_row_load(wb_slice slice, wb_status (*put)(void *self, wb_slice payload, wb_error *err),
                      void *self, wb_error *err)
{
    while (slice.len > 0) {
        wb_slice payload;
        WB_TRY(next_row(&slice, &payload, err));
        WB_TRY(put(self, payload, err));
    }
    return WB_OK;
}

void wb_row_purge(wb_row_table *t, bool (*ended)(const void *hot, void *arg), void *arg)
{
    for (uint32_t slot = 0; slot < t->n_slots; slot++) {
        row *r = t->slots[slot];
        if (!r || !ended(row_hot(r), arg)) continue;
        bool found = false;
        uint32_t at = probe(t, row_key(t, r), &found);
        WB_ASSERT(found);
        remove_at(t, at);
    }
}

typedef struct eldest {
    uint64_t (*ended_at)(const void *hot);
    uint64_t until;
} eldest;

static bool is_eldest(const void *hot, void *arg)
{
    const eldest *e = arg;
    uint64_t at = e->ended_at(hot);
    return at != 0 && at <= e->until;
}

void wb_row_make_room(wb_row_table *t, uint64_t (*ended_at)(const void *hot))
{
    uint64_t first = UINT64_MAX, last = 0;
    if (t->count < t->max_rows) return;
    for (uint32_t slot = 0; slot < t->n_slots; slot++) {
        uint64_t at = t->slots[slot] ? ended_at(row_hot(t->slots[slot])) : 0;
        if (at == 0) continue;
        if (at < first) first = at;
        if (at > last) last = at;
    }
    if (last == 0) return;
    eldest e = {ended_at, first + (last - first) / 4};
    wb_row_purge(t, is_eldest, &e);
}

wb_status wb_row_unreadable(const char *what, size_t len, wb_error *err)
{
    if (errno == ENOMEM) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory to unpack a %s", what);
    return wb_fail(err, WB_ERR_CORRUPT, "%s of %zu bytes does not unpack", what, len);
}
