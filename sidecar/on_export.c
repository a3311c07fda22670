/* SPDX-License-Identifier: Apache-2.0 */
/* An Export of OTLP. It has no request id: a client that resends after a lost answer sends again what is there
 * already, as OTLP allows; our stores know a span by its ids. So there is no row to keep, and a body in which
 * nothing is acceptable, or nothing at all, is answered without a commit. */
#include "sidecar/on_export.h"

#include "sidecar/intake.h"

typedef struct taken {
    wb_txn txn;
    wb_intake intake;
    wb_export *export;
    wb_receiver receiver;
} taken;

/* All of `t` is gone with the answer. */
static void answer(taken *t, wb_status status, const char *why)
{
    wb_export *export = t->export;
    wb_counters *counters = &t->intake.sidecar->counters;
    wb_export_answer said = {.status = status, .message = why};
    if (status == WB_OK) {
        wb_count_items(counters, t->receiver, export->signal, t->intake.accepted,
                       t->intake.rejected);
        wb_intake_count(&t->intake);
        said.rejected = t->intake.rejected;
        said.message = t->intake.first_rejection;
    }
    wb_count_answer(counters, t->receiver, status);
    wb_intake_done(&t->intake);
    wb_world_drop(t->intake.world);
    export->answer(export, &said);
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    taken *t = (taken *)(void *)txn;
    (void)err;
    wb_intake_add(&t->intake, state, out);
    return WB_OK;
}

static void done(wb_txn *txn, wb_status status, const wb_error *err)
{
    answer((taken *)(void *)txn, status, status == WB_OK ? NULL : err->detail);
}

static void take(wb_sidecar *sidecar, wb_export *export, wb_receiver receiver)
{
    wb_error err = {.status = WB_OK};
    taken *t = wb_arena_alloc(export->arena, sizeof *t);
    if (!t) {
        const wb_export_answer said = {.status = WB_ERR_NO_MEMORY, .message = "no memory"};
        wb_count_answer(&sidecar->counters, receiver, said.status);
        export->answer(export, &said);
        return;
    }
    t->export = export;
    t->receiver = receiver;
    wb_intake_init(&t->intake, sidecar, wb_world_take(sidecar->worlds), export->arena);
    wb_status status = wb_intake_take(&t->intake, export->signal, export->body, &err);
    if (status != WB_OK || t->intake.payload.len == 0) {
        answer(t, status, err.detail);
        return;
    }
    t->txn.prepare = prepare;
    t->txn.done = done;
    t->txn.work = WB_WORK_NEW;
    wb_writer_submit(sidecar->writer, &t->txn);
}

static void on_http(void *self, wb_export *export) { take(self, export, WB_RECEIVER_OTLP_HTTP); }
static void on_grpc(void *self, wb_export *export) { take(self, export, WB_RECEIVER_OTLP_GRPC); }

static bool reserve(void *self, size_t bytes)
{
    wb_sidecar *sidecar = self;
    unsigned long long before = atomic_fetch_add(&sidecar->export_bytes, bytes);
    if (before + bytes <= WB_EXPORT_ROOM_BYTES) return true;
    atomic_fetch_sub(&sidecar->export_bytes, bytes);
    return false;
}

static void release(void *self, size_t bytes)
{
    atomic_fetch_sub(&((wb_sidecar *)self)->export_bytes, bytes);
}

wb_export_sink wb_export_sink_of(wb_sidecar *sidecar, wb_receiver receiver)
{
    return (wb_export_sink){.on_export = receiver == WB_RECEIVER_OTLP_GRPC ? on_grpc : on_http,
                            .reserve = reserve,
                            .release = release,
                            .self = sidecar};
}
