/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table in which nearly every look-up misses: most attributes of a span are asked for by
 * nobody. So a byte's look at the key's first one goes before it, the hash takes only the length and the ends
 * of the key, and the table is kept nearly empty: the processor guesses the tests right. (With a quarter of
 * the slots taken it did not, and look-ups took a fifth of the walk.) Keys come from our own source code and
 * never from outside, so nobody can choose them to collide. */
#include "proto/key_set.h"

#include <stdlib.h>

enum { SLOTS_PER_KEY = 16, SLOTS_MIN = 64, A_KEY = 1, A_PREFIX = 2 };

static uint32_t hash(wb_slice key)
{
    uint32_t first = 0, last = 0;
    size_t n = key.len < 4 ? key.len : 4;
    if (n == 4) {
        memcpy(&first, key.ptr, 4);
        memcpy(&last, key.ptr + key.len - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++) first = first << 8 | key.ptr[i];
    }
    uint64_t mixed = (first ^ (uint64_t)last << 32 ^ key.len) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(mixed >> 32);
}

static void insert(wb_key_set *set, wb_slice key, size_t place)
{
    uint32_t i = hash(key) & set->mask;
    while (set->slots[i].len != 0 && !wb_slice_eq(set->slots[i], key)) i = (i + 1) & set->mask;
    if (set->slots[i].len == 0) set->places[i] = (uint16_t)place;
    set->slots[i] = key;
    set->starts[key.ptr[0]] |= A_KEY;
}

static bool any_empty(const wb_slice *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].len == 0) return true;
    return false;
}

wb_status wb_key_set_new(const wb_slice *keys, size_t n, const wb_slice *prefixes,
                         size_t n_prefixes, wb_key_set **out, wb_error *err)
{
    if (n > WB_KEY_SET_MAX || n_prefixes > WB_KEY_PREFIX_MAX)
        return wb_fail(err, WB_ERR_CONFIG, "stages ask for %zu keys and %zu prefixes", n,
                       n_prefixes);
    if (any_empty(keys, n) || any_empty(prefixes, n_prefixes))
        return wb_fail(err, WB_ERR_CONFIG, "a stage asks for the empty key");
    size_t slots = SLOTS_MIN;
    while (slots < n * SLOTS_PER_KEY) slots *= 2;
    wb_key_set *set =
        calloc(1, sizeof *set + slots * (sizeof set->slots[0] + sizeof set->places[0]));
    if (!set) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for %zu keys", n);
    set->mask = (uint32_t)(slots - 1);
    set->places = (uint16_t *)(void *)(set->slots + slots);
    set->key_count = n;
    for (size_t i = 0; i < n_prefixes; i++) {
        set->prefixes[set->prefix_count++] = prefixes[i];
        set->starts[prefixes[i].ptr[0]] |= A_PREFIX;
    }
    for (size_t i = 0; i < n; i++) insert(set, keys[i], i + 1);
    *out = set;
    return WB_OK;
}

void wb_key_set_free(wb_key_set *set) { free(set); }

static uint16_t find_prefix(const wb_key_set *set, wb_slice key)
{
    for (size_t i = 0; i < set->prefix_count; i++)
        if (wb_slice_starts(key, set->prefixes[i])) return (uint16_t)(set->key_count + i + 1);
    return 0;
}

static uint16_t find_key(const wb_key_set *set, wb_slice key)
{
    for (uint32_t i = hash(key) & set->mask; set->slots[i].len != 0; i = (i + 1) & set->mask)
        if (wb_slice_eq_short(set->slots[i], key)) return set->places[i];
    return 0;
}

uint16_t wb_key_set_look_up(const wb_key_set *set, wb_slice key)
{
    uint8_t starts = set->starts[key.ptr[0]];
    uint16_t place = starts & A_KEY ? find_key(set, key) : 0;
    return place == 0 && starts & A_PREFIX ? find_prefix(set, key) : place;
}
