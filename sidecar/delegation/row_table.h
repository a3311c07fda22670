/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/row_table.h: a hash table of packed rows, the shape of all durable state.
 *
 * A row is a fixed-size key, the packed after-image as it stands in the journal, and a few unpacked
 * ("hot") bytes that sweeps look at. Not thread-safe: the owner locks. */
#ifndef WAYBILL_SIDECAR_DELEGATION_ROW_TABLE_H
#define WAYBILL_SIDECAR_DELEGATION_ROW_TABLE_H

#include "core/buffer.h"
#include "core/slice.h"
#include "core/status.h"

typedef struct wb_row_table wb_row_table;

/** A table of at most `max_rows` rows with keys of `key_len` and hot parts of `hot_len` bytes.
 *  Allocates next to nothing until the first row. NULL when memory is out. */
WB_MUST_USE wb_row_table *wb_row_table_new(size_t key_len, size_t hot_len, uint32_t max_rows);
void wb_row_table_free(wb_row_table *table);
/** Remove every row and give the memory back. */
void wb_row_table_reset(wb_row_table *table);

/** Insert or replace. *hot (if wanted) points at the row's hot bytes, zeroed for a new row, kept for
 *  a replaced one; good until the row is next put or removed.
 *  Errors  FULL the cap is reached | NO_MEMORY; the table is unchanged in both cases */
WB_MUST_USE wb_status wb_row_put(wb_row_table *table, const void *key, wb_slice payload,
                                 void **hot);

/** The row of `key`; false if there is none. `payload` and `hot` (either may be NULL) are borrowed
 *  until the row is next put or removed. */
bool wb_row_get(const wb_row_table *table, const void *key, wb_slice *payload, void **hot);

/** True if there was such a row. */
bool wb_row_remove(wb_row_table *table, const void *key);

uint32_t wb_row_count(const wb_row_table *table);
/** Rows that may still be put before FULL. */
uint32_t wb_row_room(const wb_row_table *table);

/** Slots never move: a row keeps its slot until it is removed, so a walk may pause between slots
 *  while rows come and go. For slot in [0, wb_row_slots): false means empty. */
uint32_t wb_row_slots(const wb_row_table *table);
bool wb_row_at(const wb_row_table *table, uint32_t slot, const void **key, wb_slice *payload,
               void **hot);

/** Append rows from slot *resume_at on to `out`, each as u32 length (little-endian) + payload, until
 *  `out` holds about 256 KiB; *resume_at becomes the next slot, or 0 behind the last. */
WB_MUST_USE wb_status wb_row_snapshot(const wb_row_table *table, wb_buffer *out, size_t *resume_at);
/** Hand each row of one wb_row_snapshot's output to `put`, which gets `self`.
 *  Errors  CORRUPT the slice's lengths do not add up | whatever `put` returned */
WB_MUST_USE wb_status wb_row_load(wb_slice slice,
                                  wb_status (*put)(void *self, wb_slice payload, wb_error *err),
                                  void *self, wb_error *err);

/** Why an entry could not be unpacked: `errno` was 0 before and is ENOMEM behind it if the heap ran out;
 *  else the bytes are damaged. Returns NO_MEMORY or CORRUPT. */
WB_MUST_USE wb_status wb_row_unreadable(const char *what, size_t len, wb_error *err);

/** If the table is full, remove the oldest quarter (by time) of the rows that ended, as told by
 *  `ended_at` from the hot part: when, or 0 while the row is live. Live rows stay, whatever that
 *  leaves. The same table always loses the same rows. */
void wb_row_make_room(wb_row_table *table, uint64_t (*ended_at)(const void *hot));

/** Remove every row of which `ended` says so; it sees the hot part and may not touch the table. */
void wb_row_purge(wb_row_table *table, bool (*ended)(const void *hot, void *arg), void *arg);

#endif
