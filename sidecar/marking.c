/* SPDX-License-Identifier: Apache-2.0 */
/* Who is due is looked up on the caller's thread; the rows are read again on the writer's, where nothing
 * can change any more before the frame: a delegation that was closed in between is not marked.
 *
 * A marker that cannot be written, because the journal is full or held back, is not waited for: the next
 * look finds the same delegation again, with the latest marker that is due by then. */
#include "sidecar/marking.h"

#include "proto/arena_alloc.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/markers.h"

#include <stdlib.h>

enum {
    FRAME_MARKERS = 2048,
    ARENA_BYTES = 8 * 1024 * 1024,
    ROW_BYTES = 1024 * 1024,
    PAYLOAD_BYTES = 8 * 1024 * 1024,
};

struct wb_marking {
    wb_txn txn;
    wb_sidecar *sidecar;
    wb_marker_due due[FRAME_MARKERS];
    size_t n;
    wb_arena *arena,
        *row; /* while a frame is in the writer's hands; the second for a row at a time */
    wb_buffer payload;
    atomic_bool in_hand;
};

/* *any is false: there is nothing to mark any more. */
static wb_status draft_one(wb_marking *m, const wb_state *state, const wb_marker_due *due,
                           wb_span_draft *out, bool *any)
{
    wb_slice packed;
    *any = false;
    if (!wb_delegations_get(state->delegations, &due->id, &packed)) return WB_OK;
    wb_arena_reset(m->row);
    Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(m->row), packed.len, packed.ptr);
    if (!row) return WB_ERR_NO_MEMORY;
    if (row->closed_ns != 0 || row->markers > due->n) return WB_OK;
    WB_TRY(wb_marker_draft(row, due->n, m->arena, out));
    *any = !WB_ID_ABSENT(out->trace_id);
    return WB_OK;
}

static wb_status draft_all(wb_marking *m, const wb_state *state, wb_span_draft *drafts, size_t *n)
{
    for (size_t i = 0; i < m->n; i++) {
        bool any;
        WB_TRY(draft_one(m, state, &m->due[i], &drafts[*n], &any));
        *n += any;
    }
    return WB_OK;
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_marking *m = (wb_marking *)(void *)txn;
    size_t n = 0;
    wb_span_draft *drafts = wb_arena_array(m->arena, m->n, sizeof *drafts);
    if (!drafts || draft_all(m, state, drafts, &n) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for markers");
    if (n == 0) return WB_OK;
    const wb_world *world = wb_world_take(m->sidecar->worlds);
    wb_status status =
        wb_own_spans(drafts, n, wb_sidecar_agent_in(m->sidecar, world), &m->payload, err);
    wb_world_drop(world);
    if (status != WB_OK) return status;
    wb_txn_add(out, WB_ENTRY_MARKERS, wb_buffer_slice(&m->payload));
    return WB_OK;
}

static void let_go(wb_marking *m)
{
    wb_arena_free(m->arena);
    wb_arena_free(m->row);
    m->arena = m->row = NULL;
    wb_buffer_done(&m->payload);
}

static void done(wb_txn *txn, wb_status status, const wb_error *err)
{
    wb_marking *m = (wb_marking *)(void *)txn;
    (void)status;
    (void)err; /* the writer's other work says what is wrong with the journal */
    let_go(m);
    atomic_store(&m->in_hand, false);
}

void wb_marking_tick(wb_marking *m)
{
    wb_state *state = &m->sidecar->state;
    if (!m->sidecar->markers || atomic_load(&m->in_hand)) return;
    wb_state_lock(state);
    m->n = wb_delegations_unmarked(state->delegations, wb_now(m->sidecar->clock), m->due,
                                   FRAME_MARKERS);
    wb_state_unlock(state);
    if (m->n == 0) return;
    m->arena = wb_arena_new(ARENA_BYTES);
    m->row = wb_arena_new(ROW_BYTES);
    if (!m->arena || !m->row) {
        let_go(m); /* the next look tries again */
        return;
    }
    atomic_store(&m->in_hand, true);
    wb_writer_submit(m->sidecar->writer, &m->txn);
}

wb_status wb_marking_new(wb_sidecar *sidecar, wb_marking **out, wb_error *err)
{
    wb_marking *m = calloc(1, sizeof *m);
    if (!m) return wb_fail(err, WB_ERR_NO_MEMORY, "markers");
    m->sidecar = sidecar;
    m->txn.prepare = prepare;
    m->txn.done = done;
    m->txn.work = WB_WORK_NEW;
    wb_buffer_init(&m->payload, PAYLOAD_BYTES);
    *out = m;
    return WB_OK;
}

void wb_marking_free(wb_marking *m)
{
    if (!m) return;
    let_go(m);
    free(m);
}
