/* SPDX-License-Identifier: Apache-2.0 */
/* Three things happen by time alone: a delegation whose deadline + grace has passed is lost; an
 * acceptance that nobody finished by then is given up; rows that are over leave the tables.
 *
 * Each closing is a transaction of its own, so that one look never makes a frame of unbounded size;
 * a look takes at most BATCH of each and the next second takes more.
 *
 * When wall time may be trusted with purging: clock_watch.h. */
#include "sidecar/sweep.h"

#include "core/log.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/clock_watch.h"
#include "sidecar/closing.h"
#include "sidecar/delegation/purge.h"

#include <stdlib.h>

enum {
    BATCH = 64,
    PURGE_EVERY_S = 60,
    PRESSED_EVERY_S = 10, /* while closed rows are kept shorter than usual */
    STATE_SHARE = 9,      /* a snapshot may have that part of the journal's limit */
    DIVISOR_MAX = 16,     /* 225 s: longer than a token of the usual 120 s can be presented */
    ARENA_BYTES = 1024 * 1024,
    SPANS_BYTES = 1024 * 1024,
};

/* One row that is due. */
typedef struct due_txn {
    wb_txn txn;
    wb_sweep *sweep;
    wb_id id;
    wb_arena *arena;
    wb_buffer spans;
    const char
        *lost; /* the target of a delegation that is lost once this is committed; in the arena */
    uint64_t in_flight_ns; /* of that */
} due_txn;

typedef struct purge_txn {
    wb_txn txn;
    wb_sweep *sweep;
    uint8_t payload[32];
    size_t len;
} purge_txn;

struct wb_sweep {
    wb_sidecar *sidecar;
    due_txn due[2 * BATCH];
    purge_txn purge;
    atomic_uint in_hand; /* transactions of the last look that are not done */
    uint64_t last_purge_mono;
    uint32_t kept_divisor; /* of the next purge; 1: closed rows stay their full time */
    wb_clock_watch clock_watch;
};

static void say_lost(const due_txn *due)
{
    char id[WB_ID_HEX + 1];
    wb_hex(due->id.b, sizeof due->id.b, id);
    WB_LOG(WARN, "delegation.lost", "no answer came before the deadline",
           WB_KV("delegation", (const char *)id), WB_KV("target", due->lost));
    wb_count_closed(&due->sweep->sidecar->counters, WB_DELEGATION_LOST, due->in_flight_ns);
}

static void due_done(wb_txn *txn, wb_status status, const wb_error *err)
{
    due_txn *due = (due_txn *)(void *)txn;
    if (status == WB_OK && due->lost) say_lost(due);
    if (status != WB_OK && status != WB_ERR_NOT_FOUND)
        WB_LOG(WARN, "sweep.failed",
               "a passed deadline could not be recorded; the next look tries again",
               WB_KV("error", (const char *)err->detail));
    wb_arena_free(due->arena);
    due->arena = NULL;
    wb_buffer_done(&due->spans);
    atomic_fetch_sub(&due->sweep->in_hand, 1);
}

static wb_status lose_delegation(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    static char timeout[] = "delegation.timeout";
    due_txn *due = (due_txn *)(void *)txn;
    wb_slice packed;
    if (!wb_delegations_get(state->delegations, &due->id, &packed)) return WB_ERR_NOT_FOUND;
    Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(due->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (row->closed_ns != 0) return WB_OK; /* settled since the look */
    const wb_closing closing = {due->sweep->sidecar, due->arena, &due->spans, out};
    WB_TRY(wb_close_delegation(&closing, row, WB_DELEGATION_LOST, timeout, err));
    due->lost = row->target_url;
    due->in_flight_ns = row->closed_ns - row->opened_ns;
    return WB_OK;
}

static wb_status give_up_acceptance(wb_txn *txn, wb_state *state, wb_txn_entries *out,
                                    wb_error *err)
{
    static char error[] = "error", abandoned[] = "acceptance.abandoned";
    due_txn *due = (due_txn *)(void *)txn;
    wb_slice packed;
    if (!wb_acceptances_get(state->acceptances, &due->id, &packed)) return WB_ERR_NOT_FOUND;
    Waybill__V1__AcceptanceRow *row =
        waybill__v1__acceptance_row__unpack(wb_arena_allocator(due->arena), packed.len, packed.ptr);
    if (!row) return wb_fail(err, WB_ERR_NO_MEMORY, "arena limit");
    if (row->finished_ns != 0) return WB_OK;
    const wb_closing closing = {due->sweep->sidecar, due->arena, &due->spans, out};
    return wb_finish_acceptance(&closing, row, error, abandoned, err);
}

static void submit_due(wb_sweep *sweep, due_txn *due,
                       wb_status (*prepare)(wb_txn *, wb_state *, wb_txn_entries *, wb_error *))
{
    due->arena = wb_arena_new(ARENA_BYTES);
    if (!due->arena) return; /* the next look tries again */
    due->sweep = sweep;
    due->lost = NULL;
    wb_buffer_init(&due->spans, SPANS_BYTES);
    due->txn.prepare = prepare;
    due->txn.done = due_done;
    due->txn.work = WB_WORK_FINISHING;
    atomic_fetch_add(&sweep->in_hand, 1);
    wb_writer_submit(sweep->sidecar->writer, &due->txn);
}

static wb_status purge_prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    purge_txn *purge = (purge_txn *)(void *)txn;
    (void)state;
    (void)err;
    wb_txn_add(out, WB_ENTRY_PURGE, wb_slice_of(purge->payload, purge->len));
    return WB_OK;
}

static void purge_done(wb_txn *txn, wb_status status, const wb_error *err)
{
    (void)err; /* rows that stay a minute longer are no loss */
    (void)status;
    atomic_fetch_sub(&((purge_txn *)(void *)txn)->sweep->in_hand, 1);
}

/* Two snapshots and the space for two more are in the journal's limit: half of it at most. Where state
 * needs more, closed rows go earlier. */
static void choose_divisor(wb_sweep *sweep)
{
    wb_journal_stats journal;
    wb_journal_get_stats(sweep->sidecar->journal, &journal);
    uint64_t share = journal.limit_bytes / STATE_SHARE;
    if (journal.snapshot_bytes > share && sweep->kept_divisor < DIVISOR_MAX)
        sweep->kept_divisor *= 2;
    else if (journal.snapshot_bytes < share / 2 && sweep->kept_divisor > 1)
        sweep->kept_divisor /= 2;
}

static void purge_if_time(wb_sweep *sweep, wb_time_ns now, uint64_t mono)
{
    const wb_world *world = wb_world_take(sweep->sidecar->worlds);
    const wb_purge purge = {now / WB_NS_PER_S, world->config.trust_skew_s, sweep->kept_divisor};
    wb_world_drop(world);
    wb_state *state = &sweep->sidecar->state;
    int64_t moved_s;
    bool agree = wb_clock_watch_agrees(&sweep->clock_watch, now, mono, &moved_s);
    atomic_store(&sweep->sidecar->clock_jumped, !agree);
    if (moved_s != 0)
        WB_LOG(WARN, "clock.jumped",
               "wall time moved against monotonic time: nothing is purged for now",
               WB_KV("moved_s", (long long)moved_s));
    uint64_t every_s = sweep->kept_divisor > 1 ? PRESSED_EVERY_S : PURGE_EVERY_S;
    if (!agree || mono - sweep->last_purge_mono < every_s * WB_NS_PER_S) return;
    sweep->last_purge_mono = mono;
    choose_divisor(sweep);
    wb_state_lock(state);
    bool any = wb_delegations_count(state->delegations) > wb_delegations_open(state->delegations) ||
               wb_acceptances_count(state->acceptances) > wb_acceptances_open(state->acceptances) ||
               wb_owners_count(state->owners) > 0 ||
               wb_replay_has_ended(state->replay, purge.now_s, purge.skew_s);
    wb_state_unlock(state);
    if (!any) return;
    sweep->purge.sweep = sweep;
    sweep->purge.len = wb_purge_pack(&purge, sweep->purge.payload);
    sweep->purge.txn.prepare = purge_prepare;
    sweep->purge.txn.done = purge_done;
    sweep->purge.txn.work = WB_WORK_HOUSE;
    atomic_fetch_add(&sweep->in_hand, 1);
    wb_writer_submit(sweep->sidecar->writer, &sweep->purge.txn);
}

void wb_sweep_tick(wb_sweep *sweep)
{
    wb_sidecar *sidecar = sweep->sidecar;
    wb_id delegations[BATCH], acceptances[BATCH];
    wb_time_ns now = wb_now(sidecar->clock);
    uint64_t grace_ns = sidecar->config->delegation_grace_s * WB_NS_PER_S;
    wb_time_ns oldest_ns;
    if (atomic_load(&sweep->in_hand) > 0) return;
    wb_look_renew(&sidecar->look);
    wb_state_lock(&sidecar->state);
    size_t lost = wb_delegations_due(sidecar->state.delegations, now, grace_ns, delegations, BATCH,
                                     &oldest_ns);
    size_t left = wb_acceptances_due(sidecar->state.acceptances, now, grace_ns, acceptances, BATCH);
    wb_state_unlock(&sidecar->state);
    atomic_store(&sidecar->oldest_open_ns, oldest_ns);
    for (size_t i = 0; i < lost; i++) {
        sweep->due[i].id = delegations[i];
        submit_due(sweep, &sweep->due[i], lose_delegation);
    }
    for (size_t i = 0; i < left; i++) {
        sweep->due[BATCH + i].id = acceptances[i];
        submit_due(sweep, &sweep->due[BATCH + i], give_up_acceptance);
    }
    purge_if_time(sweep, now, wb_mono(sidecar->clock));
}

wb_status wb_sweep_new(wb_sidecar *sidecar, wb_sweep **out, wb_error *err)
{
    wb_sweep *sweep = calloc(1, sizeof *sweep);
    if (!sweep) return wb_fail(err, WB_ERR_NO_MEMORY, "deadline sweep");
    uint64_t mono = wb_mono(sidecar->clock);
    sweep->sidecar = sidecar;
    sweep->kept_divisor = 1;
    sweep->last_purge_mono = mono;
    wb_clock_watch_init(&sweep->clock_watch, wb_now(sidecar->clock), mono);
    *out = sweep;
    return WB_OK;
}

void wb_sweep_free(wb_sweep *sweep) { free(sweep); }
