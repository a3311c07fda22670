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

/* Space that is held (reserve.c). */
enum { WB_RESERVE_SEGMENT, WB_RESERVE_SNAPSHOT_A, WB_RESERVE_SNAPSHOT_B, WB_RESERVE_PIECES };

typedef enum wb_piece_state {
    WB_PIECE_NONE,
    WB_PIECE_BUSY, /* being made, or in use as a snapshot's draft */
    WB_PIECE_READY,
} wb_piece_state;

typedef struct wb_piece {
    wb_piece_state state;
    uint64_t bytes;
} wb_piece;

/* A file under the name of the next segment, without a header: a crash leaves it unborn. */
typedef struct wb_secured {
    int file; /* -1: none */
    bool from_reserve;
} wb_secured;

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
    int file;                 /* of the current segment, the last in the list; -1: none */
    wb_buffer pending;        /* built frames, not yet durable */
    uint64_t next_seq;        /* of the next append */
    uint64_t group_mono;      /* when the pending group began */
    wb_histogram commit_time; /* anybody may read it */
    uint64_t safe_seq;      /* all at or below it is durable or, if lost or left out, never comes */
    uint64_t next_number;   /* of the next segment; no number is used twice */
    uint64_t planned_end;   /* of the segment that the pending frames will end in */
    uint32_t planned_rolls; /* segments that they will begin */
    bool no_room;           /* the disk failed because it is full */
    bool must_roll;         /* the current file may not be written any more */
    bool tables_stale;      /* the tables hold what never became durable */
    bool trim_unsynced;     /* the last trim is not safe yet */
    uint64_t untrimmed;     /* a trimmed segment whose name may still be there; 0: none */
    uint64_t gap;           /* frames and entries of the state that are lost, not yet said so */
    bool proven;            /* a later frame or header says that the last frame is durable */
    uint64_t state_bytes;   /* applied since the last snapshot began */
    uint64_t snapshot_mono; /* when the last one began */
    wb_snapshot_draft draft;
    wb_snapshot_info kept[WB_SNAPSHOTS_KEPT]; /* the newest last */
    size_t n_kept;
    bool draft_through; /* all of the tables is in the draft */
    int draft_piece;    /* of the reserve, that the draft is; -1: none */

    pthread_mutex_t lock; /* guards all below, and `readers`, `end`, `last_seq` of segments */
    pthread_cond_t committed, spare_changed;
    wb_segment **segments; /* in the order of their numbers; writer changes, others read */
    size_t n_segments, segments_cap;
    wb_spare spare;
    wb_secured secured; /* the writer's; others look whether it is there */
    wb_piece reserve[WB_RESERVE_PIECES];
    uint64_t quarantined_bytes;
    wb_journal_full full; /* new work is refused */
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

/** Within the limit, are that many segments more? House-keeping may go beyond when nothing else is
 *  left. */
bool wb_journal_limit_allows(wb_journal *journal, uint64_t segments, wb_work work);

/** New work is refused from now on. Returns FULL and why. */
wb_status wb_journal_say_full(wb_journal *journal, wb_journal_full why, wb_error *err);

/** Have a file for the next segment: the spare, a new one, or, for what is not new work, the reserve.
 *  Errors  FULL neither the disk nor the limit has room | UNAVAILABLE the disk fails */
WB_MUST_USE wb_status wb_journal_secure(wb_journal *journal, wb_work work, wb_error *err);
/** Give the secured file, if there is one, back to where it can be used again. */
void wb_journal_unsecure(wb_journal *journal);

/** Begin a segment whose first frame will be `first_seq`; everything below it is durable.
 *  Errors  FULL there is no room | UNAVAILABLE; nothing has changed but that the spare or the reserve
 *          may be used up */
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

/** Say durably that the state has a gap, so that it fails closed, then take a snapshot, if that can be,
 *  so that the next start does not find the same gap. Errors UNAVAILABLE */
WB_MUST_USE wb_status wb_journal_note_gap(wb_journal *journal, wb_error *err);

/* ---- housekeeping.c ---- */

wb_snapshot_place wb_journal_snapshot_place(const wb_journal *journal);
/** Stop the snapshot that is being taken, if one is. */
void wb_journal_abandon_snapshot(wb_journal *journal);
/** Take a whole snapshot now. Errors as the snapshot's. */
WB_MUST_USE wb_status wb_journal_snapshot_now(wb_journal *journal, wb_error *err);
/** Keep a damaged file out of the way, for a human to look at. */
void wb_journal_quarantine(wb_journal *journal, uint64_t number);
/** Look how large what was set aside is. */
void wb_journal_count_quarantined(wb_journal *journal);

/* ---- reserve.c ---- */

const char *wb_reserve_name(unsigned piece);
/** Does this answer of the disk mean that it is full? */
bool wb_journal_no_room(int rv);
/** Of all pieces; the lock is held. */
uint64_t wb_reserve_bytes(const wb_journal *journal);
/** Is all of it there, or in use as it should be? The lock is held. */
bool wb_reserve_is_whole(const wb_journal *journal);
/** Make a piece busy, if it is there: the caller renames it away or puts it back. */
bool wb_reserve_take(wb_journal *journal, unsigned piece);
/** The file `from` becomes the piece; NULL: the piece is as it was. */
void wb_reserve_put(wb_journal *journal, unsigned piece, const char *from);
/** The piece is used up. */
void wb_reserve_gone(wb_journal *journal, unsigned piece);
/** At a start, with all segments listed: may the file become the next one? Numbers in its header are not
 *  given out again. */
bool wb_journal_may_reuse(wb_journal *journal, int file);
/** At a start: what is there; a snapshot's draft becomes a piece that is missing. */
void wb_reserve_adopt(wb_journal *journal);
/** At a start: a segment that was never begun becomes the held one, if that is missing, or goes. */
void wb_reserve_adopt_unborn(wb_journal *journal, const char *name);
/** Is it full no more? The lock is held. */
void wb_journal_settle_full(wb_journal *journal);

/* ---- recover.c ---- */

/** Everything of wb_journal_open behind the lock. */
WB_MUST_USE wb_status wb_journal_recover(wb_journal *journal, wb_journal_report *report,
                                         wb_error *err);

#endif
