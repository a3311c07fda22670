/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing: options, the lock, and who is told what when the directory is not ours to use.
 * The lock belongs to the open file, so it goes with the process however that ends; the pid in it is
 * for people. What is found behind the lock is recover.c's. */
#include "sidecar/journal/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* Is it the directory's owner who must act, or can waiting help? */
static wb_status open_failure(int rv)
{
    switch (-rv) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP: return WB_ERR_CONFIG;
    default: return WB_ERR_UNAVAILABLE;
    }
}

static wb_status lock_directory(wb_journal *j, const char *dir, wb_error *err)
{
    const wb_file_ops *ops = j->ops;
    char text[24] = {0};
    size_t got = 0;
    j->dir = ops->open_dir(ops, dir);
    if (j->dir < 0) return wb_fail_errno(err, open_failure(j->dir), -j->dir, "journal: %s", dir);
    j->lock_file = ops->open(ops, j->dir, WB_LOCK_FILE, WB_FILE_ENSURE);
    if (j->lock_file < 0)
        return wb_fail_errno(err, open_failure(j->lock_file), -j->lock_file,
                             "journal: cannot write to %s", dir);
    int rv = ops->lock(ops, j->lock_file);
    if (rv == -EWOULDBLOCK) {
        (void)ops->read_at(ops, j->lock_file, text, sizeof text - 1, 0, &got);
        long pid = strtol(text, NULL, 10); /* 0 if it is not known */
        if (pid > 0)
            return wb_fail(err, WB_ERR_UNAVAILABLE, "journal: process %ld has %s", pid, dir);
        return wb_fail(err, WB_ERR_UNAVAILABLE, "journal: another process has %s", dir);
    }
    if (rv != 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, -rv, "journal: lock in %s", dir);
    (void)snprintf(text, sizeof text, "%-20ld\n", (long)getpid());
    rv = ops->write_at(ops, j->lock_file, text, strlen(text), 0);
    if (rv != 0 && !wb_journal_no_room(rv)) /* the lock is what counts, the text is for people */
        return wb_fail_errno(err, open_failure(rv), -rv, "journal: cannot write to %s", dir);
    return WB_OK;
}

static wb_status check_options(const wb_journal_options *o, wb_journal *j, wb_error *err)
{
    j->ops = o->ops ? o->ops : &wb_real_disk;
    j->clock = o->clock ? o->clock : &wb_system_clock;
    j->segment_bytes = o->segment_bytes ? o->segment_bytes : WB_JOURNAL_SEGMENT_BYTES;
    j->limit_bytes = o->limit_bytes ? o->limit_bytes : WB_JOURNAL_LIMIT_BYTES;
    if (j->segment_bytes < WB_SEGMENT_MIN_BYTES || j->segment_bytes > WB_SEGMENT_MAX_BYTES ||
        j->segment_bytes % WB_SEGMENT_SECOND != 0)
        return wb_fail(err, WB_ERR_CONFIG, "journal: segment_bytes is 64 KiB to 1 GiB, in pages");
    if (j->limit_bytes / 4 < j->segment_bytes)
        return wb_fail(err, WB_ERR_CONFIG, "journal: limit_bytes is at least 4 segments");
    j->tables = calloc(o->n_tables + 1, sizeof(wb_state_table));
    if (!j->tables) return wb_fail(err, WB_ERR_NO_MEMORY, "journal");
    j->tables[j->n_tables++] = (wb_state_table){&wb_cursors_ops, &j->cursors};
    for (size_t i = 0; i < o->n_tables; i++) j->tables[j->n_tables++] = o->tables[i];
    return WB_OK;
}

static void init_waits(wb_journal *j)
{
    pthread_condattr_t monotonic;
    pthread_mutex_init(&j->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&j->committed, &monotonic);
    pthread_cond_init(&j->spare_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void free_journal(wb_journal *j)
{
    wb_journal_abandon_snapshot(j);
    wb_journal_unsecure(j);
    if (j->file >= 0) j->ops->close(j->ops, j->file);
    if (j->lock_file >= 0) j->ops->close(j->ops, j->lock_file);
    if (j->dir >= 0) j->ops->close(j->ops, j->dir);
    for (size_t i = 0; i < j->n_segments; i++) free(j->segments[i]);
    free(j->segments);
    free(j->tables);
    wb_buffer_done(&j->pending);
    pthread_cond_destroy(&j->committed);
    pthread_cond_destroy(&j->spare_changed);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

wb_status wb_journal_open(const wb_journal_options *options, wb_journal **out,
                          wb_journal_report *report, wb_error *err)
{
    wb_journal_report found = {.created = false};
    wb_journal *j = calloc(1, sizeof *j);
    if (!j) return wb_fail(err, WB_ERR_NO_MEMORY, "journal");
    j->dir = j->lock_file = j->file = j->secured.file = j->draft_piece = -1;
    wb_buffer_init(&j->pending, WB_PENDING_MAX);
    init_waits(j);
    wb_status status = check_options(options, j, err);
    if (status == WB_OK) status = lock_directory(j, options->dir, err);
    if (status == WB_OK) {
        uint64_t started = wb_mono(j->clock);
        status = wb_journal_recover(j, &found, err);
        found.took_ms = (wb_mono(j->clock) - started) / WB_NS_PER_MS;
    }
    if (status != WB_OK) {
        free_journal(j);
        return status;
    }
    if (report) *report = found;
    *out = j;
    return WB_OK;
}

/* Behind a clean stop a frame without entries says that all before it were safe, so that damage to
 * them can be told from a torn end. */
static void mark_end(wb_journal *j)
{
    if (j->proven || j->tables_stale || j->must_roll) return;
    wb_journal_forget_pending(j);
    wb_status status = wb_journal_mark(j, NULL);
    (void)status; /* without it nothing is lost but that */
}

void wb_journal_close(wb_journal *j)
{
    if (!j) return;
    mark_end(j);
    free_journal(j);
}
