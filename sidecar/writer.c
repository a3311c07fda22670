/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit without a timer: while one group is being synced the next one gathers in the queue, so
 * the group grows with the load and a lone request waits for nobody. Requests are told only after the
 * sync (DESIGN section 2, rule 5). When the journal cannot write, every transaction of the group with
 * entries fails with its status, and so do those behind it, until the journal says otherwise. */
#include "sidecar/writer.h"

#include "core/log.h"

#include <stdlib.h>

struct wb_writer {
    wb_journal *journal;
    wb_state *state;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the three below */
    pthread_cond_t wake;
    wb_txn *first, **last;
    bool stopping;
};

void wb_txn_add(wb_txn_entries *entries, wb_entry_kind kind, wb_slice payload)
{
    WB_ASSERT(entries->n < WB_TXN_ENTRIES_MAX);
    entries->items[entries->n++] = (wb_entry){kind, payload};
}

void wb_writer_submit(wb_writer *w, wb_txn *txn)
{
    txn->next = NULL;
    pthread_mutex_lock(&w->lock);
    bool was_empty = w->first == NULL;
    *w->last = txn;
    w->last = &txn->next;
    if (was_empty) pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

/* The whole queue, which is empty only when stopping or, with `housekeeping`, when none waits. */
static wb_txn *take_group(wb_writer *w, bool housekeeping, bool *stopping)
{
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->stopping && !housekeeping) pthread_cond_wait(&w->wake, &w->lock);
    wb_txn *group = w->first;
    w->first = NULL;
    w->last = &w->first;
    *stopping = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return group;
}

static void append_one(wb_writer *w, wb_txn *txn)
{
    wb_txn_entries entries = {.n = 0};
    uint64_t seq;
    txn->err = (wb_error){.status = WB_OK};
    wb_state_lock(w->state);
    txn->status = txn->prepare(txn, w->state, &entries, &txn->err);
    if (txn->status == WB_OK && entries.n > 0)
        txn->status = wb_journal_append(w->journal, entries.items, entries.n, &seq, &txn->err);
    wb_state_unlock(w->state);
}

static void commit_group(wb_writer *w, wb_txn *group)
{
    wb_error err = {.status = WB_OK};
    wb_status committed;
    for (wb_txn *txn = group; txn; txn = txn->next) append_one(w, txn);
    /* Also when none appended: a question must not be answered from tables ahead of the disk. */
    committed = wb_journal_commit(w->journal, &err);
    if (committed != WB_OK)
        WB_LOG(ERROR, "journal.commit_failed", "nothing of this group was acknowledged",
               WB_KV("error", (const char *)err.detail));
    while (group) {
        wb_txn *txn = group;
        group = txn->next; /* done may free it */
        if (txn->status == WB_OK && committed != WB_OK)
            txn->done(txn, committed, &err);
        else
            txn->done(txn, txn->status, &txn->err);
    }
}

static void *run(void *arg)
{
    wb_writer *w = arg;
    bool housekeeping = false, stopping = false;
    for (;;) {
        wb_txn *group = take_group(w, housekeeping, &stopping);
        if (!group && stopping) return NULL;
        commit_group(w, group);
        wb_state_lock(w->state); /* a snapshot's slice reads the tables */
        housekeeping = wb_journal_idle(w->journal);
        wb_state_unlock(w->state);
    }
}

wb_status wb_writer_start(wb_journal *journal, wb_state *state, wb_writer **out, wb_error *err)
{
    wb_writer *w = calloc(1, sizeof *w);
    if (!w) return wb_fail(err, WB_ERR_NO_MEMORY, "writer");
    w->journal = journal;
    w->state = state;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    int rv = pthread_create(&w->thread, NULL, run, w);
    if (rv != 0) {
        free(w);
        return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "writer thread");
    }
    *out = w;
    return WB_OK;
}

void wb_writer_stop(wb_writer *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_mutex_unlock(&w->lock);
    pthread_cond_signal(&w->wake);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w);
}
