/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/kv_table.h: the smallest state table that can go wrong: numbered slots with a number
 * each, rows that a purge removes, snapshots in several slices. */
#ifndef WAYBILL_TESTS_SUPPORT_KV_TABLE_H
#define WAYBILL_TESTS_SUPPORT_KV_TABLE_H

#include "core/entry.h"

enum { WB_KV_KEYS = 64, WB_KV_ROW = 12 };

typedef struct wb_kv_table {
    uint64_t values[WB_KV_KEYS]; /* 0: no row */
    unsigned gaps;               /* WB_ENTRY_GAP entries seen */
    unsigned refuse_after;       /* apply fails at the n-th call from now; 0: never */
} wb_kv_table;

/** DELEGATION entries set a row, PURGE entries remove all rows up to a value. */
extern const wb_state_ops wb_kv_ops;

/** Payload of a DELEGATION: key (4), value (8), and whatever follows. */
void wb_kv_row(uint8_t out[WB_KV_ROW], uint32_t key, uint64_t value);
/** Payload of a PURGE: rows with values at or below `value` go. */
void wb_kv_purge(uint8_t out[8], uint64_t value);

#endif
