/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/internal.h: what the journal's own files share. Private to the journal. */
#ifndef WAYBILL_SIDECAR_JOURNAL_INTERNAL_H
#define WAYBILL_SIDECAR_JOURNAL_INTERNAL_H

#include "sidecar/journal/cursors.h"
#include "sidecar/journal/journal.h"
#include "sidecar/journal/segment.h"
#include "sidecar/journal/snapshot.h"

#include <pthread.h>

enum {
    WB_PENDING_MAX = 32 * 1024 * 1024,
    WB_PENDING_KEPT = 1024 * 1024, /* a pending buffer larger than this is given back */
    WB_SNAPSHOTS_KEPT = 2,
    WB_QUARANTINE_KEPT = 4, /* files set aside; the oldest makes room */
};

typedef enum wb_spare {
    WB_SPARE_NONE,
    WB_SPARE_WANTED, /* the current segment is half full */
    WB_SPARE_BUILDING,
    WB_SPARE_READY,
    WB_SPARE_REFUSED, /* could not be made; not wanted before the next segment */
} wb_spare;

struct wb_journal {
    const wb_file_ops *ops;
    const wb_clock *clock;
    int dir, lock_file;
    wb_id id;
    uint64_t segment_bytes, limit_bytes;
    wb_state_table *tables; /* owned array; the first is the cursors */
    size_t n_tables;
    wb_cursors cursors;

    /* the writer's */
    int file;               /* of the current segment, the last in the list; -1: none */
    wb_buffer pending;      /* built frames, not yet durable */
    uint64_t next_seq;      /* of the next append */
    uint64_t safe_seq;      /* all at or below it is durable or, if lost or left out, never comes */
    uint64_t next_number;   /* of the next segment; no number is used twice */
    uint64_t planned_end;   /* of the segment that the pending frames will end in */
    uint32_t planned_rolls; /* segments that they will begin */
    bool must_roll;         /* the current file may not be written any more */
    bool tables_stale;      /* the tables hold what never became durable */
    bool trim_unsynced;     /* the last trim's sync failed */
    uint64_t gap;           /* frames and entries of the state that are lost, not yet said so */
    bool proven;            /* a later frame or header says that the last frame is durable */
    uint64_t state_bytes;   /* applied since the last snapshot began */
    wb_snapshot_draft draft;
    wb_snapshot_info kept[WB_SNAPSHOTS_KEPT]; /* the newest last */
    size_t n_kept;

    pthread_mutex_t lock; /* guards all below, and `readers`, `end`, `last_seq` of segments */
    pthread_cond_t committed, spare_wanted;
    wb_segment **segments; /* in the order of their numbers; writer changes, others read */
    size_t n_segments, segments_cap;
    wb_spare spare;
    bool stopping;
    wb_journal_stats stats;
};

/* ---- journal.c ---- */

/** The segment that is written to; NULL before the first. */
static inline wb_segment *wb_journal_current(const wb_journal *journal)
{
    return journal->n_segments ? journal->segments[journal->n_segments - 1] : NULL;
}

/** Apply to every table that wants it. Errors: the first table's. */
WB_MUST_USE wb_status wb_journal_apply(wb_journal *journal, const wb_entry *entry, wb_error *err);

/** Begin a segment whose first frame will be `first_seq`; everything below it is durable.
 *  Errors  UNAVAILABLE nothing has changed but that the spare may be used up */
WB_MUST_USE wb_status wb_journal_roll(wb_journal *journal, uint64_t first_seq, uint64_t skipped,
                                      wb_error *err);

/** Commit a frame without entries. Errors as append and commit. */
WB_MUST_USE wb_status wb_journal_mark(wb_journal *journal, wb_error *err);

/** Take over a segment at the list's end; *segment becomes NULL. */
WB_MUST_USE wb_status wb_journal_push_segment(wb_journal *journal, wb_segment **segment);

/** Sizes of all files; the lock is held. */
uint64_t wb_journal_used_bytes(const wb_journal *journal);

/** Drop the pending group; its sequences are given out again unless they became durable. */
void wb_journal_forget_pending(wb_journal *journal);

/** The pending group is planned from the current segment's end on. */
void wb_journal_plan_anew(wb_journal *journal);

/* ---- state.c ---- */

typedef struct wb_replay_count {
    uint64_t applied; /* frames */
    uint64_t missing; /* frames that should be there and are not */
    uint64_t refused; /* entries that a table would not take */
    uint64_t from;    /* the snapshot it started with; 0: none */
} wb_replay_count;

/** Empty the tables, load the newest snapshot that loads, and apply the frames above it up to
 *  `upto_seq`. Errors UNAVAILABLE | NO_MEMORY */
WB_MUST_USE wb_status wb_journal_load_state(wb_journal *journal, uint64_t upto_seq,
                                            wb_replay_count *count, wb_error *err);

/** Say durably that the state has a gap, so that it fails closed, then take a snapshot, so that the
 *  next start does not find the same gap. Errors UNAVAILABLE */
WB_MUST_USE wb_status wb_journal_note_gap(wb_journal *journal, wb_error *err);

/* ---- housekeeping.c ---- */

wb_snapshot_place wb_journal_snapshot_place(const wb_journal *journal);
/** Take a whole snapshot now. Errors as the snapshot's. */
WB_MUST_USE wb_status wb_journal_snapshot_now(wb_journal *journal, wb_error *err);
/** Keep a damaged file out of the way, for a human to look at. */
void wb_journal_quarantine(wb_journal *journal, uint64_t number);

/* ---- recover.c ---- */

/** Everything of wb_journal_open behind the lock. */
WB_MUST_USE wb_status wb_journal_recover(wb_journal *journal, wb_journal_report *report,
                                         wb_error *err);

#endif
