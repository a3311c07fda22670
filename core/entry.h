/* SPDX-License-Identifier: Apache-2.0 */
/* core/entry.h: what a journal frame is made of, what exporters are handed, and how state survives.
 *
 * One frame of the journal is one transaction of typed entries, applied whole or not at all. Some
 * kinds are records (spans, delegation, acceptance ...): exporters say which of them they take. The
 * others (replay, cursor ...) are state only. A delegation entry is both: its after-image is the row
 * that the state table keeps and the record that a store upserts. */
#ifndef WAYBILL_CORE_ENTRY_H
#define WAYBILL_CORE_ENTRY_H

#include "core/buffer.h"
#include "core/ids.h"
#include "core/slice.h"
#include "core/status.h"

/* Stored on disk: never renumber, never reuse. 1-31 are records, 32-63 state only. */
typedef enum wb_entry_kind {
    WB_ENTRY_SPANS = 1,      /* proto/span_batch.h: rendered OTLP and its span index */
    WB_ENTRY_LOGS = 2,       /* proto/log_batch.h: rendered OTLP and its index */
    WB_ENTRY_METRICS = 3,    /* an ExportMetricsServiceRequest, as it arrived */
    WB_ENTRY_DELEGATION = 4, /* waybill.v1.DelegationRow */
    WB_ENTRY_ACCEPTANCE = 5, /* waybill.v1.AcceptanceRow */
    WB_ENTRY_LEDGER = 6,     /* reserved */
    WB_ENTRY_RECEIPT = 7,    /* reserved */
    WB_ENTRY_AUDIT = 8,      /* reserved */
    WB_ENTRY_MARKERS = 9, /* proto/span_batch.h: spans that stand for delegations in flight, for far
                                sides that know finished spans only */
    WB_ENTRY_REPLAY = 32, /* waybill.v1.ReplayRow */
    WB_ENTRY_OWNER = 33,  /* waybill.v1.OwnerRow: of a trace or a task */
    WB_ENTRY_CURSOR = 34, /* waybill.v1.CursorRow */
    WB_ENTRY_REQUEST = 35, /* waybill.v1.RequestRow: an acknowledged Record's id */
    WB_ENTRY_PURGE = 36,   /* waybill.v1.PurgeRow: rows that time has ended leave the tables */
    WB_ENTRY_GAP = 37,     /* waybill.v1.GapRow: start-up found loss; state fails closed */
} wb_entry_kind;

enum { WB_RECORD_KIND_MAX = 31 };

#define WB_KIND_BIT(kind) (UINT64_C(1) << (kind))

typedef struct wb_entry {
    wb_entry_kind kind;
    wb_slice payload; /* borrowed for the call */
} wb_entry;

/** One record as a delivery runner hands it to an exporter. */
typedef struct wb_record_view {
    wb_entry_kind kind;
    uint64_t seq;     /* sequence of the frame it came in */
    uint32_t entry;   /* its place among the frame's entries, from 0 */
    wb_slice payload; /* borrowed until send returns */
} wb_record_view;

/** State that survives (delegations, acceptances, replay ...) changes only by applying entries, so
 *  that a restart and a running process reach the same tables. Called by one thread at a time. */
typedef struct wb_state_ops {
    const char *name; /* snapshot section; stable */
    uint64_t kinds;   /* WB_KIND_BIT of each kind that apply wants to see */
    /** An after-image: applying it twice equals once. */
    wb_status (*apply)(void *self, const wb_entry *entry, wb_error *err);
    /** Append one slice (at most ~256 KiB) of the table to `out`. *resume_at is 0 at first; leave
     *  another value to be called again, 0 when the table is through. Entries may be applied between
     *  slices; the journal replays them on top, so a slice may be newer than the snapshot's start. */
    wb_status (*snapshot)(void *self, wb_buffer *out, size_t *resume_at);
    /** Take back what one snapshot call appended. */
    wb_status (*load)(void *self, wb_slice slice, wb_error *err);
    /** Forget everything: start-up tries an older snapshot, or state is rebuilt. */
    void (*reset)(void *self);
} wb_state_ops;

typedef struct wb_state_table {
    const wb_state_ops *ops;
    void *self;
} wb_state_table;

#endif
