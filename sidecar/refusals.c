/* SPDX-License-Identifier: Apache-2.0 */
/* The file (format: propagation/refusal.c) is shared out: AREAS areas of AREA_SLOTS slots, a peer's by
 * its key, each a ring. Whoever floods overwrites the records of his own area, and of those few others
 * that fall into it. An area takes a burst that fills it, then AREA_RATE records a second, so that the
 * disk sees at most 1 MiB a second for long, whatever comes. What is not kept is counted and still has its
 * ref.
 *
 * Records go through a queue to a thread of their own: a refusal can happen on the writer, with the
 * state locked, where nobody may wait for a disk. The queue has room for four areas' bursts, 2 MiB, whose
 * pages are the kernel's until a burst needs them; beyond it the record that has waited longest goes.
 * Areas go on where they were at the last run: at the slot behind their newest record.
 *
 * A file that was unlinked under us takes records that nobody will find. The sandbox lets us make none,
 * so that is said, and what comes then counts as not kept. */
#include "sidecar/refusals.h"

#include "core/files.h"
#include "core/ids.h"
#include "core/log.h"
#include "sidecar/rate.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    AREAS = 32,
    NOTE_AREAS = 8, /* the last ones: for wb_refusals_note */
    AREA_SLOTS = WB_REFUSAL_SLOTS / AREAS,
    AREA_RATE = 32,
    AREA_BURST = AREA_SLOTS,
    QUEUE = 4 * AREA_BURST,
    READ_SLOTS = 64,
};

typedef struct queued {
    uint32_t area;
    uint8_t slot[WB_REFUSAL_SLOT_BYTES];
} queued;

struct wb_refusals {
    const wb_clock *clock;
    int fd; /* -1: none */
    wb_rate *areas;
    wb_log_gate refused, duplicate, denied;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    queued *queue;
    size_t head, count;
    bool started, stopping, failed;
    atomic_bool gone;
    uint32_t next[AREAS]; /* the thread's */
    atomic_ullong kept, not_kept, last_not_kept_ns;
};

static void count_not_kept(wb_refusals *r)
{
    atomic_fetch_add(&r->not_kept, 1);
    atomic_store(&r->last_not_kept_ns, wb_now(r->clock));
}

/* ---- the file ---- */

static wb_status check_file(int fd, const char *path, wb_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%.100s", path);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || !wb_owned_by_us(&st) || (st.st_mode & 0077))
        return wb_fail(err, WB_ERR_CONFIG, "%.100s: not a file of ours alone (0600)", path);
    if (st.st_size != WB_REFUSAL_FILE_BYTES && ftruncate(fd, WB_REFUSAL_FILE_BYTES) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", path);
    return WB_OK;
}

static wb_status open_file(const char *state_dir, int *out, wb_error *err)
{
    char path[512];
    if (snprintf(path, sizeof path, "%s/" WB_REFUSAL_FILE, state_dir) >= (int)sizeof path)
        return wb_fail(err, WB_ERR_CONFIG, "the state directory's name is too long");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", path);
    wb_status status = check_file(fd, path, err);
    if (status != WB_OK) {
        (void)close(fd);
        return status;
    }
    *out = fd;
    return WB_OK;
}

/* Behind each area's newest record. */
static void find_ends(wb_refusals *r)
{
    static uint8_t slots[READ_SLOTS][WB_REFUSAL_SLOT_BYTES]; /* the main thread's alone */
    wb_time_ns newest[AREAS] = {0};
    wb_refusal refusal;
    for (uint32_t i = 0; i < WB_REFUSAL_SLOTS; i++) {
        uint32_t area = i / AREA_SLOTS;
        off_t at = (off_t)i * WB_REFUSAL_SLOT_BYTES;
        if (i % READ_SLOTS == 0 && pread(r->fd, slots, sizeof slots, at) != (ssize_t)sizeof slots)
            memset(slots, 0, sizeof slots);
        if (wb_refusal_parse(slots[i % READ_SLOTS], &refusal) != WB_OK ||
            refusal.time_ns < newest[area])
            continue;
        newest[area] = refusal.time_ns;
        r->next[area] = (i + 1) % AREA_SLOTS;
    }
}

static bool write_one(wb_refusals *r, const queued *q)
{
    uint32_t slot = q->area * AREA_SLOTS + r->next[q->area];
    off_t at = (off_t)slot * WB_REFUSAL_SLOT_BYTES;
    r->next[q->area] = (r->next[q->area] + 1) % AREA_SLOTS;
    return pwrite(r->fd, q->slot, sizeof q->slot, at) == (ssize_t)sizeof q->slot;
}

static void say_failed(wb_refusals *r, bool failed)
{
    if (failed && !r->failed)
        WB_LOG(WARN, "refusals.not_kept", "`waybill token why` will not know new refusals",
               WB_KV("error", strerrordesc_np(errno)));
    r->failed = failed;
}

static void *run(void *arg)
{
    wb_refusals *r = arg;
    queued one;
    for (;;) {
        pthread_mutex_lock(&r->lock);
        while (r->count == 0 && !r->stopping) pthread_cond_wait(&r->wake, &r->lock);
        bool any = r->count > 0;
        if (any) {
            one = r->queue[r->head];
            r->head = (r->head + 1) % QUEUE;
            if (--r->count == 0) r->head = 0; /* a small load stays on the same pages */
        }
        pthread_mutex_unlock(&r->lock);
        if (!any) return NULL;
        bool written = write_one(r, &one);
        say_failed(r, !written);
        if (written && !atomic_load(&r->gone))
            atomic_fetch_add(&r->kept, 1);
        else
            count_not_kept(r);
    }
}

/* ---- public ---- */

wb_status wb_refusals_open(const char *state_dir, const wb_clock *clock, wb_refusals **out,
                           wb_error *err)
{
    wb_error why = {.status = WB_OK};
    wb_refusals *r = calloc(1, sizeof *r);
    if (!r) return wb_fail(err, WB_ERR_NO_MEMORY, "refusals");
    r->clock = clock;
    r->fd = -1;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, NULL);
    if (open_file(state_dir, &r->fd, &why) != WB_OK)
        WB_LOG(WARN, "refusals.no_file", "`waybill token why` will know nothing of this run",
               WB_KV("error", (const char *)why.detail));
    r->queue = calloc(QUEUE, sizeof *r->queue);
    wb_status status = wb_rate_new(AREAS, &r->areas, err);
    if (status == WB_OK && !r->queue) status = wb_fail(err, WB_ERR_NO_MEMORY, "refusals");
    if (status != WB_OK) {
        wb_refusals_close(r);
        return status;
    }
    if (r->fd >= 0) find_ends(r);
    *out = r;
    return WB_OK;
}

wb_status wb_refusals_start(wb_refusals *r, wb_error *err)
{
    if (r->fd < 0) return WB_OK;
    int rv = pthread_create(&r->thread, NULL, run, r);
    if (rv != 0) return wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "refusals thread");
    r->started = true;
    return WB_OK;
}

void wb_refusals_close(wb_refusals *r)
{
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_mutex_unlock(&r->lock);
    pthread_cond_signal(&r->wake);
    if (r->started) pthread_join(r->thread, NULL);
    if (r->fd >= 0) (void)close(r->fd);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    wb_rate_free(r->areas);
    free(r->queue);
    free(r);
}

/* Our log has the code and who it claims to be from; the wire has class and ref. */
static void say(wb_refusals *r, const wb_refusal *what, const char *ref, uint64_t mono)
{
    uint64_t held_back = 0;
    bool duplicate = what->kind == WB_REFUSAL_DUPLICATE;
    if (what->kind == WB_REFUSAL_DELEGATE) {
        if (wb_log_gate_pass(&r->denied, mono, &held_back))
            WB_LOG(WARN, "delegation.denied", "the agent asked for more than it may hand on",
                   WB_KV("ref", ref), WB_KV("why", what->detail), WB_KV("audience", what->issuer),
                   WB_KV("message_id", what->message_id), WB_KV("held_back", held_back));
        return;
    }
    if (!wb_log_gate_pass(duplicate ? &r->duplicate : &r->refused, mono, &held_back)) return;
    WB_LOG(WARN, duplicate ? "token.duplicate" : "token.refused",
           duplicate ? "this token was accepted before" : "an incoming token was refused",
           WB_KV("ref", ref), WB_KV("code", what->code), WB_KV("class", what->wire_class),
           WB_KV("peer", what->peer), WB_KV("message_id", what->message_id),
           WB_KV("claimed_issuer", what->issuer), WB_KV("claimed_key_id", what->key_id),
           WB_KV("warnings", what->detail), WB_KV("held_back", held_back));
}

static void keep(wb_refusals *r, uint32_t area, const wb_refusal *refusal)
{
    static const wb_rate_limit share = {.per_s = AREA_RATE, .burst = AREA_BURST};
    if (!r->started || !wb_rate_take(r->areas, area, &share, wb_mono(r->clock))) {
        count_not_kept(r);
        return;
    }
    pthread_mutex_lock(&r->lock);
    bool is_full = r->count == QUEUE;
    if (is_full) {
        r->head = (r->head + 1) % QUEUE;
        r->count--;
    }
    queued *q = &r->queue[(r->head + r->count++) % QUEUE];
    q->area = area;
    wb_refusal_format(refusal, q->slot);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    if (is_full) count_not_kept(r);
}

void wb_refusals_add(wb_refusals *r, uint64_t peer_key, wb_refusal *refusal,
                     char ref[WB_REF_HEX + 1])
{
    wb_random(refusal->ref, sizeof refusal->ref);
    wb_hex(refusal->ref, sizeof refusal->ref, ref);
    refusal->time_ns = wb_now(r->clock);
    say(r, refusal, ref, wb_mono(r->clock));
    keep(r, (uint32_t)(peer_key % (AREAS - NOTE_AREAS)), refusal);
}

void wb_refusals_note(wb_refusals *r, uint64_t peer_key, wb_refusal *lenience)
{
    wb_random(lenience->ref, sizeof lenience->ref);
    lenience->time_ns = wb_now(r->clock);
    keep(r, AREAS - NOTE_AREAS + (uint32_t)(peer_key % NOTE_AREAS), lenience);
}

static void notice_removal(wb_refusals *r)
{
    struct stat st;
    if (r->fd < 0 || atomic_load(&r->gone) || fstat(r->fd, &st) != 0 || st.st_nlink > 0) return;
    atomic_store(&r->gone, true);
    WB_LOG(WARN, "refusals.gone",
           "somebody removed " WB_REFUSAL_FILE ": `waybill token why` will not know new refusals; "
           "a restart makes it again");
}

void wb_refusals_tick(wb_refusals *r)
{
    notice_removal(r);
    uint64_t mono = wb_mono(r->clock);
    uint64_t refused = wb_log_gate_rest(&r->refused, mono);
    uint64_t duplicate = wb_log_gate_rest(&r->duplicate, mono);
    uint64_t denied = wb_log_gate_rest(&r->denied, mono);
    if (refused + duplicate + denied > 0)
        WB_LOG(WARN, "refusals.held_back", "refusals without a line of their own",
               WB_KV("refused", refused), WB_KV("duplicate", duplicate), WB_KV("denied", denied));
}

void wb_refusals_get_stats(wb_refusals *r, wb_refusals_stats *out)
{
    out->kept = atomic_load(&r->kept);
    out->not_kept = atomic_load(&r->not_kept);
    out->last_not_kept_ns = atomic_load(&r->last_not_kept_ns);
    out->file_gone = atomic_load(&r->gone);
}
