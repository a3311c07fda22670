/* SPDX-License-Identifier: Apache-2.0 */
/* One table of rows by acceptance id. The client makes the id, so an Accept that is sent again after
 * a lost reply finds its own row and is answered as the first time. */
#include "sidecar/delegation/acceptances.h"

#include "core/arena.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "proto/wire.h"
#include "sidecar/delegation/delegations.h"
#include "sidecar/delegation/purge.h"
#include "sidecar/delegation/row_table.h"

#include <errno.h>
#include <stdlib.h>

enum { UNPACK_LIMIT = 1024 * 1024, CONTEXT_ID_FIELD = 20 };

typedef struct hot_part {
    uint64_t version, deadline_ns, opened_ns, finished_ns;
    wb_handed handed; /* durable: the row's */
    wb_handed held;   /* by requests in hand; outlives a replaced row */
} hot_part;

struct wb_acceptances {
    wb_row_table *rows;
    uint32_t open;
    uint64_t epoch; /* of the holds: raised by reset */
    wb_arena *scratch;
};

wb_acceptances *wb_acceptances_new(uint32_t max_rows)
{
    wb_acceptances *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    a->rows = wb_row_table_new(sizeof(wb_id), sizeof(hot_part), max_rows);
    a->scratch = wb_arena_new(UNPACK_LIMIT);
    if (a->rows && a->scratch) return a;
    wb_acceptances_free(a);
    return NULL;
}

void wb_acceptances_free(wb_acceptances *a)
{
    if (!a) return;
    wb_row_table_free(a->rows);
    wb_arena_free(a->scratch);
    free(a);
}

static uint64_t finished_at(const void *hot) { return ((const hot_part *)hot)->finished_ns; }

static wb_status apply_row(void *self, wb_slice packed, wb_error *err)
{
    wb_acceptances *a = self;
    wb_arena_reset(a->scratch);
    errno = 0;
    ProtobufCAllocator *allocator = wb_arena_allocator(a->scratch);
    Waybill__V1__AcceptanceRow *row =
        waybill__v1__acceptance_row__unpack(allocator, packed.len, packed.ptr);
    if (!row || row->id.len != sizeof(wb_id))
        return wb_row_unreadable("acceptance row", packed.len, err);
    void *found;
    if (wb_row_get(a->rows, row->id.data, NULL, &found)) {
        hot_part *old = found;
        if (old->version >= row->version) return WB_OK;
        if (old->finished_ns == 0) a->open--;
    }
    wb_row_make_room(a->rows, finished_at);
    wb_status status = wb_row_put(a->rows, row->id.data, packed, &found);
    if (status != WB_OK) return wb_fail(err, status, "no room for an acceptance row");
    hot_part *hot = found;
    hot->version = row->version;
    hot->deadline_ns = row->deadline_ns;
    hot->opened_ns = row->opened_ns;
    hot->finished_ns = row->finished_ns;
    hot->handed = (wb_handed){row->handed_cost, row->handed_tokens};
    if (hot->finished_ns == 0) a->open++;
    return WB_OK;
}

static bool has_ended(const void *row_hot, void *arg)
{
    const hot_part *hot = row_hot;
    return hot->finished_ns != 0 && wb_purge_takes(arg, hot->finished_ns, WB_CLOSED_KEPT_NS);
}

static wb_status apply_purge(wb_acceptances *a, wb_slice packed, wb_error *err)
{
    wb_purge purge;
    WB_TRY(wb_purge_unpack(packed, &purge, err));
    wb_row_purge(a->rows, has_ended, &purge);
    return WB_OK;
}

static wb_status apply(void *self, const wb_entry *entry, wb_error *err)
{
    if (entry->kind == WB_ENTRY_PURGE) return apply_purge(self, entry->payload, err);
    return apply_row(self, entry->payload, err);
}

static wb_status snapshot(void *self, wb_buffer *out, size_t *resume_at)
{
    return wb_row_snapshot(((wb_acceptances *)self)->rows, out, resume_at);
}

static wb_status load(void *self, wb_slice slice, wb_error *err)
{
    return wb_row_load(slice, apply_row, self, err);
}

static void reset(void *self)
{
    wb_acceptances *a = self;
    wb_row_table_reset(a->rows);
    a->open = 0;
    a->epoch++;
}

const wb_state_ops wb_acceptances_ops = {
    .name = "acceptances",
    .kinds = WB_KIND_BIT(WB_ENTRY_ACCEPTANCE) | WB_KIND_BIT(WB_ENTRY_PURGE),
    .apply = apply,
    .snapshot = snapshot,
    .load = load,
    .reset = reset,
};

bool wb_acceptances_get(const wb_acceptances *a, const wb_id *id, wb_slice *packed)
{
    return wb_row_get(a->rows, id->b, packed, NULL);
}

/* Asked for with the state locked, for every acceptance of a batch: so the row is not unpacked. */
wb_status wb_acceptances_session(const wb_acceptances *a, const wb_id *id, wb_arena *arena,
                                 wb_slice *session)
{
    wb_slice packed, context = {NULL, 0};
    wb_wire_field f;
    *session = context;
    if (!wb_row_get(a->rows, id->b, &packed, NULL)) return WB_OK;
    while (packed.len > 0 && wb_wire_next(&packed, &f))
        if (f.number == CONTEXT_ID_FIELD && f.type == WB_WIRE_LEN) context = f.bytes;
    return context.len > 0 ? wb_arena_dup(arena, context, session) : WB_OK;
}

size_t wb_acceptances_due(const wb_acceptances *a, wb_time_ns now, uint64_t grace_ns, wb_id *out,
                          size_t max)
{
    size_t n = 0;
    for (uint32_t slot = 0; slot < wb_row_slots(a->rows) && n < max; slot++) {
        const void *key;
        void *row_hot;
        if (!wb_row_at(a->rows, slot, &key, NULL, &row_hot)) continue;
        const hot_part *hot = row_hot;
        if (hot->finished_ns != 0) continue;
        uint64_t end = hot->deadline_ns ? hot->deadline_ns + grace_ns
                                        : hot->opened_ns + WB_UNGRANTED_ACCEPTANCE_NS;
        if (end <= now) memcpy(out[n++].b, key, sizeof(wb_id));
    }
    return n;
}

bool wb_acceptances_handed(const wb_acceptances *a, const wb_id *id, wb_handed *out)
{
    void *found;
    if (!wb_row_get(a->rows, id->b, NULL, &found)) return false;
    const hot_part *hot = found;
    *out = (wb_handed){hot->handed.cost + hot->held.cost, hot->handed.tokens + hot->held.tokens};
    return true;
}

uint64_t wb_acceptances_hold(wb_acceptances *a, const wb_id *id, wb_handed amount)
{
    void *found;
    if (!wb_row_get(a->rows, id->b, NULL, &found)) return a->epoch;
    hot_part *hot = found;
    hot->held.cost += amount.cost;
    hot->held.tokens += amount.tokens;
    return a->epoch;
}

void wb_acceptances_let_go(wb_acceptances *a, const wb_id *id, wb_handed amount, uint64_t epoch)
{
    void *found;
    if (epoch != a->epoch || !wb_row_get(a->rows, id->b, NULL, &found))
        return; /* it was purged meanwhile, holds and all */
    hot_part *hot = found;
    hot->held.cost -= amount.cost;
    hot->held.tokens -= amount.tokens;
}

uint32_t wb_acceptances_count(const wb_acceptances *a) { return wb_row_count(a->rows); }
uint32_t wb_acceptances_open(const wb_acceptances *a) { return a->open; }
uint32_t wb_acceptances_room(const wb_acceptances *a)
{
    return wb_row_room(a->rows) + wb_row_count(a->rows) - a->open;
}
