/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/journal.h: the one durable log of a sidecar (DESIGN section 4).
 *
 * Spans, delegations, acceptances and all other state changes are entries; one frame of entries is one
 * transaction. Format, start-up and the argument about crashes: docs/design/journal.md.
 *
 * Threads: append, commit, idle and set-up belong to ONE thread, the writer. Readers, wait, stats and
 * the spare may be used by any thread. */
#ifndef WAYBILL_SIDECAR_JOURNAL_JOURNAL_H
#define WAYBILL_SIDECAR_JOURNAL_JOURNAL_H

#include "core/clock.h"
#include "core/entry.h"
#include "core/file_ops.h"
#include "core/histogram.h"
#include "sidecar/journal/frame.h"

typedef struct wb_journal wb_journal;
typedef struct wb_journal_reader wb_journal_reader;

#define WB_JOURNAL_SEGMENT_BYTES (UINT64_C(64) << 20)
#define WB_JOURNAL_LIMIT_BYTES (UINT64_C(1) << 30)
enum { WB_JOURNAL_CURSORS = 32, WB_CURSOR_NAME_MAX = 64 };

typedef struct wb_journal_options {
    const char *dir;        /* made with mode 0700 if missing; the directory above it must exist */
    uint64_t segment_bytes; /* 0: WB_JOURNAL_SEGMENT_BYTES; a multiple of 4096, 64 KiB to 1 GiB */
    uint64_t limit_bytes;   /* 0: WB_JOURNAL_LIMIT_BYTES; at least 4 segments; on disk, all files */
    const wb_file_ops *ops; /* NULL: wb_real_disk */
    const wb_clock *clock;  /* NULL: wb_system_clock */
    const wb_state_table *tables; /* copied; their `self` outlives the journal */
    size_t n_tables;
} wb_journal_options;

/** What start-up found. */
typedef struct wb_journal_report {
    wb_id journal_id;     /* random, made once */
    bool created;         /* there was no journal */
    bool gap;             /* state was lost: a WB_ENTRY_GAP was applied, so that it fails closed */
    uint64_t frames;      /* good frames found */
    uint64_t replayed;    /* of them: applied on top of the snapshot */
    uint64_t lost_frames; /* frames that were once safe and are gone or damaged */
    uint64_t lost_segments; /* whole files set aside, with unknown contents */
    uint64_t torn_bytes;    /* of frames nobody was told about, cut from the end */
    uint64_t took_ms;
} wb_journal_report;

/** Lock the directory, find what is there, bring the tables to its state. The tables must be empty.
 *  report   may be NULL
 *  Errors   UNAVAILABLE another process has the journal (the text says which), or the disk fails
 *           CONFIG      wrong options; the directory cannot be written; a newer version of Waybill wrote
 *                       it: it was left untouched, and the program exits with 78
 *           NO_MEMORY */
WB_MUST_USE wb_status wb_journal_open(const wb_journal_options *options, wb_journal **out,
                                      wb_journal_report *report, wb_error *err);
/** Writer; every reader is closed and nobody waits any more. What was not committed is forgotten. */
void wb_journal_close(wb_journal *journal);

/** Made once, kept for the journal's life. */
wb_id wb_journal_id(const wb_journal *journal);

/* ---- the writer ---- */

/** What a transaction is for decides what it gets when space is short. */
typedef enum wb_work {
    WB_WORK_NEW,       /* refused first, so that the rest goes on */
    WB_WORK_FINISHING, /* ends what was begun: may use the reserve */
    WB_WORK_HOUSE, /* cursors, purges, gaps: the way out of being full; never refused for space */
} wb_work;

/** Add one transaction to the pending group and apply it to the tables. Nobody outside may be told of
 *  it before wb_journal_commit returned WB_OK. Hold whatever guards the tables.
 *  seq      of the new frame
 *  Errors   FULL        the journal's limit, the disk, or 32 MiB pending; nothing was changed. Once new
 *                       work was refused for space all of it is, until there is room for a segment and
 *                       the reserve is whole
 *           REJECTED    more than a frame can hold; nothing was changed
 *           UNAVAILABLE the disk failed; call wb_journal_idle to try again
 *           other       what a table's apply said: the group will not commit */
WB_MUST_USE wb_status wb_journal_append(wb_journal *journal, wb_work work, const wb_entry *entries,
                                        size_t n, uint64_t *seq, wb_error *err);

/** Make the pending group durable: one write and one fdatasync (two if a segment ends in between). Need
 *  not hold what guards the tables. Nothing pending: WB_OK.
 *  Errors   UNAVAILABLE the disk failed, twice. Frames of the group may or may not be durable; the
 *           tables are ahead of the disk until wb_journal_idle put them back */
WB_MUST_USE wb_status wb_journal_commit(wb_journal *journal, wb_error *err);

/** Whether somebody removed the file that the last commit went to. The writer's. */
bool wb_journal_is_unlinked(const wb_journal *journal);

/** Housekeeping between commits; hold whatever guards the tables. Copies one slice of a snapshot; after
 *  a failure brings the tables back to what is durable and tries the disk again. Returns true if there
 *  is more to do now. */
bool wb_journal_idle(wb_journal *journal);
/** The part of it that needs no tables: syncs a snapshot that is complete, trims one segment. Returns
 *  true if there is more to do now. */
bool wb_journal_tidy(wb_journal *journal);

/** An exporter of this name exists: frames above its cursor are kept for it. Before the first idle.
 *  seq      all at or below it are delivered; before the first wb_cursor_entry it is the end of what
 *           was trimmed
 *  Errors   FULL WB_JOURNAL_CURSORS names | CONFIG name empty or longer than WB_CURSOR_NAME_MAX */
WB_MUST_USE wb_status wb_journal_register_cursor(wb_journal *journal, const char *name,
                                                 uint64_t *seq, wb_error *err);

/** The entry that moves a cursor: append it like any other; a cursor never moves back. `payload` lives
 *  in `out`. A runner should not write one just to step over frames without records. */
WB_MUST_USE wb_status wb_cursor_entry(const char *name, uint64_t seq, wb_buffer *out,
                                      wb_entry *entry);

/** What is known of an exporter's name. */
typedef struct wb_cursor_row {
    char name[WB_CURSOR_NAME_MAX + 1];
    uint64_t seq;
    uint64_t dropped_records; /* ever, for being too far behind; never falls */
    wb_time_ns dropped_ns;    /* when last; 0: never */
    bool registered;          /* it is configured; the others hold nothing back */
} wb_cursor_row;

/** The entry that says all of `row`; `registered` is not part of it. */
WB_MUST_USE wb_status wb_cursor_row_entry(const wb_cursor_row *row, wb_buffer *out,
                                          wb_entry *entry);
/** The entry that gives a name up; it changes nothing while that is registered. */
WB_MUST_USE wb_status wb_cursor_forget_entry(const char *name, wb_buffer *out, wb_entry *entry);
/** All names, registered or not; returns how many. Hold what guards the tables. */
size_t wb_journal_cursors(wb_journal *journal, wb_cursor_row out[WB_JOURNAL_CURSORS]);

/* ---- readers, any thread; one reader is used by one thread at a time ---- */

/** Read committed frames with sequences above `after_seq`.
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_journal_reader_open(wb_journal *journal, uint64_t after_seq,
                                             wb_journal_reader **out, wb_error *err);
void wb_journal_reader_close(wb_journal_reader *reader);

/** The next committed frame, borrowed until the next call. Frames that were lost or trimmed are
 *  skipped: view->seq says so. The buffer holds at most 2 MiB, or one frame that is larger.
 *  Errors  NOT_FOUND caught up | UNAVAILABLE the disk fails | NO_MEMORY */
WB_MUST_USE wb_status wb_journal_reader_next(wb_journal_reader *reader, wb_frame_view *view,
                                             wb_error *err);

/** Block until a frame above `after_seq` is durable.
 *  Errors  TIMEOUT | UNAVAILABLE wb_journal_stop_waits was called */
WB_MUST_USE wb_status wb_journal_wait(wb_journal *journal, uint64_t after_seq, uint32_t timeout_ms);
/** Every wait, now and later, returns at once. For shutdown. */
void wb_journal_stop_waits(wb_journal *journal);

/* ---- the next segment, off the writer; any thread ---- */

/** Block until a spare segment is wanted: true. False: timeout, or wb_journal_stop_waits. */
bool wb_journal_wait_spare_wanted(wb_journal *journal, uint32_t timeout_ms);
/** A cursor moved: block until trimming has left a spare. False: it is still wanted when the time is over. */
bool wb_journal_wait_spare_left(wb_journal *journal, uint32_t timeout_ms);
/** Make the spare if one is wanted and the limit has room for it: creates and zero-fills a file of
 *  segment_bytes. Without one the writer makes its next segment itself, a little slower.
 *  Errors  UNAVAILABLE the disk failed; it is not wanted again before the next segment */
WB_MUST_USE wb_status wb_journal_prepare_spare(wb_journal *journal, wb_error *err);

/** Now and then: make what is missing of the reserve, and see whether a full journal still is. One
 *  thread at a time. */
void wb_journal_upkeep(wb_journal *journal);

/* ---- any thread ---- */

typedef enum wb_journal_full {
    WB_JOURNAL_FULL_NOT,
    WB_JOURNAL_FULL_LIMIT, /* limit_bytes is reached */
    WB_JOURNAL_FULL_DISK,  /* the disk has no room for a segment, or for what the reserve lacks */
} wb_journal_full;

typedef struct wb_journal_stats {
    uint64_t durable_seq; /* the last committed frame; 0: none yet */
    uint64_t first_seq;   /* the oldest frame still there; durable_seq + 1: none */
    uint64_t used_bytes;  /* all files of the journal, with reserve and quarantine */
    uint64_t limit_bytes;
    uint32_t segments;
    uint32_t snapshots_taken; /* since the start */
    uint64_t lost_frames;     /* found lost at the start */
    uint64_t commits;
    uint64_t last_commit_ns; /* what write and fdatasync took */
    uint64_t failed_syncs;
    uint64_t reserve_bytes;
    uint64_t quarantined_bytes;
    uint64_t snapshot_bytes; /* the newest */
    bool reserve_whole;      /* else new work is refused until it is */
    wb_journal_full full;    /* why new work gets FULL */
    bool failed;             /* appends get UNAVAILABLE */
} wb_journal_stats;
void wb_journal_get_stats(wb_journal *journal, wb_journal_stats *out);

/** From the first append of each group to the end of its sync, by wb_bounds_short: what a request waits for
 *  the journal. Groups that failed are not in it. */
const wb_histogram *wb_journal_commit_time(const wb_journal *journal);

/** Up to where somebody gives up who may be `bytes` behind, in the sense of wb_journal_bytes_after: the first end of
 *  a segment that at most so much is above or, if that leaves less than half of it, the place that leaves all. */
uint64_t wb_journal_give_up_to(wb_journal *journal, uint64_t bytes);

/** How many records of these kinds, as bits, the durable frames above `after_seq` up to `upto_seq` have. Of whole
 *  segments that is known, of others the part is read; nothing above `after_seq` may be trimmed meanwhile.
 *  Errors  UNAVAILABLE the disk fails | NO_MEMORY; *n is not set */
WB_MUST_USE wb_status wb_journal_count_records(wb_journal *journal, uint64_t after_seq,
                                               uint64_t upto_seq, uint64_t kinds, uint64_t *n,
                                               wb_error *err);

/** Bytes of frames above `seq`, durable ones: how far somebody who is at `seq` lies behind. Exact at the
 *  ends of segments, in proportion between them; 0 only for whoever has all. */
uint64_t wb_journal_bytes_after(wb_journal *journal, uint64_t seq);

#endif
