/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/keep_table.h: the traces that a rule wants kept, and since where in the journal that
 * is known. One thread at a time. */
#ifndef WAYBILL_SIDECAR_DELIVERY_KEEP_TABLE_H
#define WAYBILL_SIDECAR_DELIVERY_KEEP_TABLE_H

#include "core/ids.h"

enum { WB_KEEP_TRACES_MAX = 65536 };

typedef struct wb_keep_table wb_keep_table;

/** Takes next to no memory until the first trace; 3 MiB when full. NULL when memory is out. */
WB_MUST_USE wb_keep_table *wb_keep_table_new(void);
void wb_keep_table_free(wb_keep_table *table);

/** A reason to keep `trace` stands at `seq`. When the table is full, traces whose last reason lies at or
 *  below `passed` go first, the oldest of them; if there are none, or memory is out, the table notes
 *  that it knows too little about what is at or below `seq`. */
void wb_keep_table_add(wb_keep_table *table, const wb_trace_id *trace, uint64_t seq,
                       uint64_t passed);

/** Whether it is to be kept. One that is stays as if it had been added at `seq`: a trace that goes on is
 *  remembered longer than one that is over. */
bool wb_keep_table_has(wb_keep_table *table, const wb_trace_id *trace, uint64_t seq);

/** Up to here a trace that the table does not have may still be one to keep; 0: nowhere. */
uint64_t wb_keep_table_blind_until(const wb_keep_table *table);

size_t wb_keep_table_count(const wb_keep_table *table);

#endif
