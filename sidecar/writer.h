/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/writer.h: the one thread that appends to the journal.
 *
 * A transaction is prepared on the writer thread, with the state locked and with everything before it
 * applied; its entries become one frame; it is done when its group is durable. A transaction without
 * entries is a question to the state, answered behind everything that it could have seen. */
#ifndef WAYBILL_SIDECAR_WRITER_H
#define WAYBILL_SIDECAR_WRITER_H

#include "sidecar/journal/journal.h"
#include "sidecar/state.h"

typedef struct wb_writer wb_writer;
typedef struct wb_txn wb_txn;

enum { WB_TXN_ENTRIES_MAX = 8 };

typedef struct wb_txn_entries {
    wb_entry items[WB_TXN_ENTRIES_MAX]; /* payloads live until `done` */
    size_t n;
} wb_txn_entries;

/** One frame's worth of change. The submitter owns it; it must stay until `done` was called. */
struct wb_txn {
    wb_txn *next; /* the writer's */
    /* Look at the state and say what to append. Not WB_OK: nothing is appended, `done` hears of it. */
    wb_status (*prepare)(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err);
    wb_work
        work; /* what it gets when space is short; new work unless the submitter says otherwise */
    /* Called once, on the writer thread, after the commit; be quick. It may free the txn. */
    void (*done)(wb_txn *txn, wb_status status, const wb_error *err);
    wb_status status; /* the writer's */
    wb_error err;     /* the writer's */
};

/** journal_dir  watched: once it is removed nothing is acknowledged any more
 *  Errors  CONFIG the directory cannot be opened | NO_MEMORY */
WB_MUST_USE wb_status wb_writer_start(wb_journal *journal, const char *journal_dir, wb_state *state,
                                      wb_writer **out, wb_error *err);
/** Asked once a group, on the writer thread, whether new work is held back; if so `err` says why. Before
 *  the first submission. */
void wb_writer_set_gate(wb_writer *writer, bool (*is_shut)(void *ctx, wb_error *err), void *ctx);
/** Queue; any thread, never blocks on the disk. Transactions run in the order of submission. */
void wb_writer_submit(wb_writer *writer, wb_txn *txn);
/** Whether the journal's directory was removed: nothing is accepted until a restart. Any thread. */
bool wb_writer_lost_its_journal(wb_writer *writer);
/** Look after the journal soon although nothing is queued: it failed, or is full. Any thread. */
void wb_writer_nudge(wb_writer *writer);
/** Finish what is queued, then stop and free. Nothing may be submitted any more. */
void wb_writer_stop(wb_writer *writer);

/** Add an entry in `prepare`. Asserts on WB_TXN_ENTRIES_MAX: how many there are is ours to know. */
void wb_txn_add(wb_txn_entries *entries, wb_entry_kind kind, wb_slice payload);

#endif
