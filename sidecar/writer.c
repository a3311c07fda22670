/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit without a timer: while one group is being synced the next one gathers in the queue, so
 * the group grows with the load and a lone request waits for nobody. Requests are told only after the
 * sync (DESIGN section 2, rule 5). When the journal cannot write, every transaction of the group with
 * entries fails with its status, and so do those behind it, until the journal says otherwise. */
#include "sidecar/writer.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct wb_writer {
    wb_journal *journal;
    wb_state *state;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below, to the gate */
    pthread_cond_t wake;
    wb_txn *first, **last;
    bool stopping, nudged;
    bool (*is_shut)(void *ctx, wb_error *err); /* NULL: new work is never held back */
    void *gate;
    int dir;                 /* the journal's, to see it go */
    char path[WB_PATH_MAX];  /* where it must be */
    atomic_bool gone;        /* it went: what is written now nobody will ever find */
    atomic_ullong full_mono; /* when the journal last said FULL; 0: never */
};

enum { FULL_IS_NEWS_S = 10 };

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

/* The whole queue, which is empty only when stopping, nudged or, with `housekeeping`, when none waits. */
static wb_txn *take_group(wb_writer *w, bool housekeeping, bool *stopping)
{
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->stopping && !w->nudged && !housekeeping)
        pthread_cond_wait(&w->wake, &w->lock);
    w->nudged = false;
    wb_txn *group = w->first;
    w->first = NULL;
    w->last = &w->first;
    *stopping = w->stopping;
    pthread_mutex_unlock(&w->lock);
    return group;
}

static void say_full(wb_writer *w, const wb_error *err)
{
    uint64_t now = wb_mono(&wb_system_clock), before = atomic_exchange(&w->full_mono, now);
    if (before == 0 || now - before > FULL_IS_NEWS_S * WB_NS_PER_S)
        WB_LOG(ERROR, "journal.full", "new work is refused until an exporter catches up",
               WB_KV("error", (const char *)err->detail));
}

/* Removed, or moved: another directory, or none, stands where the next start will look. Or the segment
 * alone was removed. */
static bool is_gone(wb_writer *w)
{
    struct stat held, there;
    if (fstat(w->dir, &held) != 0 || held.st_nlink == 0) return true;
    if (stat(w->path, &there) != 0 || there.st_dev != held.st_dev || there.st_ino != held.st_ino)
        return true;
    return wb_journal_is_unlinked(w->journal);
}

bool wb_writer_lost_its_journal(wb_writer *w) { return atomic_load(&w->gone); }

void wb_writer_nudge(wb_writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->nudged = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void wb_writer_set_gate(wb_writer *w, bool (*is_shut)(void *ctx, wb_error *err), void *ctx)
{
    pthread_mutex_lock(&w->lock);
    w->is_shut = is_shut;
    w->gate = ctx;
    pthread_mutex_unlock(&w->lock);
}

static bool is_shut(wb_writer *w, wb_error *why)
{
    pthread_mutex_lock(&w->lock);
    bool (*ask)(void *ctx, wb_error *err) = w->is_shut;
    void *ctx = w->gate;
    pthread_mutex_unlock(&w->lock);
    return ask && ask(ctx, why);
}

/* `shut`: NULL, or why new work is held back. */
static void append_one(wb_writer *w, wb_txn *txn, const wb_error *shut)
{
    wb_txn_entries entries = {.n = 0};
    uint64_t seq;
    txn->err = (wb_error){.status = WB_OK};
    wb_state_lock(w->state);
    txn->status = txn->prepare(txn, w->state, &entries, &txn->err);
    if (txn->status == WB_OK && entries.n > 0 && shut && txn->work == WB_WORK_NEW) {
        txn->err = *shut;
        txn->status = WB_ERR_FULL;
        say_full(w, &txn->err);
    } else if (txn->status == WB_OK && entries.n > 0) {
        txn->status =
            wb_journal_append(w->journal, txn->work, entries.items, entries.n, &seq, &txn->err);
        if (txn->status == WB_ERR_FULL) say_full(w, &txn->err);
    }
    wb_state_unlock(w->state);
}

static void commit_group(wb_writer *w, wb_txn *group)
{
    wb_error err = {.status = WB_OK}, why = {.status = WB_ERR_FULL};
    wb_status committed;
    bool shut = group && is_shut(w, &why);
    for (wb_txn *txn = group; txn; txn = txn->next) append_one(w, txn, shut ? &why : NULL);
    /* Also when none appended: a question must not be answered from tables ahead of the disk. */
    committed = wb_journal_commit(w->journal, &err);
    if (committed == WB_OK && is_gone(w)) {
        atomic_store(&w->gone, true);
        committed =
            wb_fail(&err, WB_ERR_UNAVAILABLE, "the journal was removed under waybilld: restart it");
    }
    if (committed != WB_OK)
        WB_LOG(ERROR, "journal.commit_failed", "nothing of this group was acknowledged",
               WB_KV("error", (const char *)err.detail));
    while (group) {
        wb_txn *txn = group;
        group = txn->next; /* done may free it */
        /* A refusal too came from tables that are ahead of the disk, or not whole. */
        if (committed != WB_OK)
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
        housekeeping |= wb_journal_tidy(w->journal);
    }
}

wb_status wb_writer_start(wb_journal *journal, const char *journal_dir, wb_state *state,
                          wb_writer **out, wb_error *err)
{
    wb_writer *w = calloc(1, sizeof *w);
    if (!w) return wb_fail(err, WB_ERR_NO_MEMORY, "writer");
    w->journal = journal;
    w->state = state;
    (void)snprintf(w->path, sizeof w->path, "%s", journal_dir);
    w->dir = open(journal_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->dir < 0) {
        free(w);
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", journal_dir);
    }
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    int rv = pthread_create(&w->thread, NULL, run, w);
    if (rv != 0) {
        (void)close(w->dir);
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
    (void)close(w->dir);
    free(w);
}
