/* SPDX-License-Identifier: Apache-2.0 */
/* proto/key_set.h: the attribute keys that stages asked for, as one lookup the walk can afford. */
#ifndef WAYBILL_PROTO_KEY_SET_H
#define WAYBILL_PROTO_KEY_SET_H

#include "core/slice.h"
#include "core/status.h"

typedef struct wb_key_set wb_key_set;

enum { WB_KEY_SET_MAX = 4096, WB_KEY_PREFIX_MAX = 16 };

/** Exact keys and prefixes ("waybill." takes every key that starts so). The slices are borrowed for
 *  the life of the set. Immutable once made: any thread may look up.
 *  Errors  NO_MEMORY | CONFIG more than WB_KEY_SET_MAX keys or WB_KEY_PREFIX_MAX prefixes, or an
 *          empty one */
WB_MUST_USE wb_status wb_key_set_new(const wb_slice *keys, size_t n, const wb_slice *prefixes,
                                     size_t n_prefixes, wb_key_set **out, wb_error *err);
void wb_key_set_free(wb_key_set *set);
WB_DEFINE_AUTO(wb_key_set)

/* All of it private; here, so that what nobody asked for costs no call. */
struct wb_key_set {
    uint8_t starts[256]; /* what starts with that byte: keys, prefixes */
    wb_slice prefixes[WB_KEY_PREFIX_MAX];
    size_t prefix_count, key_count;
    uint32_t mask;    /* slots - 1 */
    uint16_t *places; /* of each slot */
    wb_slice slots[]; /* open addressing; an empty slice is a free slot */
};
uint16_t wb_key_set_look_up(const wb_key_set *set, wb_slice key); /* of a key with a byte */

/** Its place in the list that the set was made of, from 1 on, of a repeated key the first; of what only a prefix
 *  takes the number of keys in that list and the prefix's place, from 1 on; 0: neither. */
static inline uint16_t wb_key_set_find(const wb_key_set *set, wb_slice key)
{
    return key.len > 0 && set->starts[key.ptr[0]] ? wb_key_set_look_up(set, key) : 0;
}

#endif
