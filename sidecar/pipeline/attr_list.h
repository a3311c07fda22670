/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/attr_list.h: attributes that are the same for every span or resource, encoded once, so that
 * what has none of them gets all in one append of ready bytes. */
#ifndef WAYBILL_SIDECAR_PIPELINE_ATTR_LIST_H
#define WAYBILL_SIDECAR_PIPELINE_ATTR_LIST_H

#include "core/batch.h"
#include "proto/otlp_read.h"

enum { WB_ATTR_LIST_MAX = 64 }; /* a set of them is one word */

/** One that is to be in a list. */
typedef struct wb_attr_wish {
    wb_otlp_attr attr;
    wb_slice unless; /* whoever arrived with this key does not get it; empty: none */
} wb_attr_wish;

typedef struct wb_attr_item {
    wb_slice key, unless;
    wb_slice value, field; /* as of a wb_attr; in `whole` */
} wb_attr_item;

/** Immutable once made: any thread may append it. Private but for `n`. */
typedef struct wb_attr_list {
    size_t n;
    const wb_attr_item *items;
    wb_slice whole;                /* all fields, one behind the other */
    wb_otlp_owner kind;            /* that it is encoded for */
    uint8_t starts[UINT8_MAX + 1]; /* 1: a key, or `unless`, begins so; others are not compared */
} wb_attr_list;

/** Encode `n` <= WB_ATTR_LIST_MAX attributes with different keys for owners of that kind. All of it, keys
 *  and values too, is copied into `arena`, for the life of the list. NO_MEMORY arena limit. */
WB_MUST_USE wb_status wb_attr_list_make(const wb_attr_wish *wishes, size_t n, wb_otlp_owner kind,
                                        wb_arena *arena, const wb_attr_list **out);

/** What may still be added to a batch: nothing is refused for what we add to it. */
typedef struct wb_attr_room {
    size_t bytes;
} wb_attr_room;

/** Whom a list is appended to. */
typedef struct wb_attr_target {
    wb_batch *batch;
    wb_attrs *attrs;
    wb_slice message;   /* as it arrived, whose attributes `attrs` are */
    wb_attr_room *room; /* what does not fit is left out */
} wb_attr_target;

/** Append what the target does not have: an attribute of that key, whatever its value, stays as it is.
 *  `list` may be NULL: nothing. NO_MEMORY the batch's arena is at its limit. */
WB_MUST_USE wb_status wb_attr_list_append(const wb_attr_list *list, const wb_attr_target *to);

#endif
