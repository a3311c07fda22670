/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/cursors.h: how far each exporter is: a state table like any other, which the journal
 * keeps for itself because it decides what may be trimmed. Private to the journal; the writer's. */
#ifndef WAYBILL_SIDECAR_JOURNAL_CURSORS_H
#define WAYBILL_SIDECAR_JOURNAL_CURSORS_H

#include "sidecar/journal/journal.h"

typedef struct wb_cursor {
    wb_cursor_row row; /* empty name: the slot is free */
    bool written;      /* a row of it is in the journal */
} wb_cursor;

typedef struct wb_cursors {
    wb_cursor slots[WB_JOURNAL_CURSORS];
} wb_cursors;

extern const wb_state_ops wb_cursors_ops;

/** Errors as wb_journal_register_cursor; `trimmed_seq` is where a new one starts. */
WB_MUST_USE wb_status wb_cursors_register(wb_cursors *cursors, const char *name,
                                          uint64_t trimmed_seq, uint64_t *seq, wb_error *err);

/** All names; returns how many. */
size_t wb_cursors_rows(const wb_cursors *cursors, wb_cursor_row out[WB_JOURNAL_CURSORS]);

/** The lowest registered cursor; UINT64_MAX if none is registered. */
uint64_t wb_cursors_lowest(const wb_cursors *cursors);

#endif
