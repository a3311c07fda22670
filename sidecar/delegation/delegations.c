/* SPDX-License-Identifier: Apache-2.0 */
/* Two tables: rows by id, and ids of open rows by whatever else a client may know one by: the facts of a
 * message (one that it repeats under a new id), its id of a later turn, the task. The second is derived
 * from the first on apply, so the journal need not know of it. Purging is an entry too: it names the
 * time, and every process that applies it removes the same rows. */
#include "sidecar/delegation/delegations.h"

#include "core/arena.h"
#include "core/delegation_state.h"
#include "proto/arena_alloc.h"
#include "proto/span_batch.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/markers.h"
#include "sidecar/delegation/purge.h"
#include "sidecar/delegation/row_table.h"
#include "sidecar/delegation/turns.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { UNPACK_LIMIT = 1024 * 1024 };

typedef struct hot_part {
    uint64_t version, opened_ns, deadline_ns, closed_ns, updated_ns;
    uint32_t
        markers; /* of the row, or more: one that was packed meanwhile may not know of the last */
    wb_delegation_state state;
} hot_part;

/* What one open row can be found by: the facts of each turn, the ids of the later ones, the task. */
enum { KEYS_MAX = 2 * WB_TURNS_HELD + 1 };

struct wb_delegations {
    wb_row_table *rows;   /* id -> packed row */
    wb_row_table *by_key; /* 32-byte key -> id, open rows only */
    uint32_t open;
    uint32_t open_in[WB_DELEGATION_ANSWERED]; /* by state; of another that is no state: in NONE's */
    wb_time_ns next_marker_ns;                /* before it no open row has one due */
    wb_arena *scratch;
};

wb_delegations *wb_delegations_new(uint32_t max_rows)
{
    wb_delegations *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->rows = wb_row_table_new(sizeof(wb_id), sizeof(hot_part), max_rows);
    d->by_key = wb_row_table_new(WB_FACTS_BYTES, 0, max_rows * KEYS_MAX); /* never the first full */
    d->scratch = wb_arena_new(UNPACK_LIMIT);
    d->next_marker_ns = UINT64_MAX;
    if (d->rows && d->by_key && d->scratch) return d;
    wb_delegations_free(d);
    return NULL;
}

void wb_delegations_free(wb_delegations *d)
{
    if (!d) return;
    wb_row_table_free(d->rows);
    wb_row_table_free(d->by_key);
    wb_arena_free(d->scratch);
    free(d);
}

static void hash_field(crypto_hash_sha256_state *hash, wb_slice field)
{
    uint8_t len[8];
    for (int i = 0; i < 8; i++) len[i] = (uint8_t)((uint64_t)field.len >> (56 - 8 * i));
    crypto_hash_sha256_update(hash, len, sizeof len);
    crypto_hash_sha256_update(hash, field.ptr, field.len);
}

/* The three kinds of keys cannot be mistaken for each other. */
static void start_key(crypto_hash_sha256_state *hash, char tag)
{
    crypto_hash_sha256_init(hash);
    crypto_hash_sha256_update(hash, (const uint8_t *)&tag, 1);
}

void wb_delegation_facts(const wb_id *parent, wb_slice audience, wb_slice message_id,
                         wb_slice digest, uint8_t facts[WB_FACTS_BYTES])
{
    static const wb_id none = {{0}};
    crypto_hash_sha256_state hash;
    start_key(&hash, 'f');
    crypto_hash_sha256_update(&hash, (parent ? parent : &none)->b, sizeof none.b);
    hash_field(&hash, audience);
    hash_field(&hash, message_id);
    hash_field(&hash, digest);
    crypto_hash_sha256_final(&hash, facts);
}

static void turn_key(wb_slice id, uint8_t key[WB_FACTS_BYTES])
{
    crypto_hash_sha256_state hash;
    start_key(&hash, 'i');
    hash_field(&hash, id);
    crypto_hash_sha256_final(&hash, key);
}

static void task_key(wb_slice audience, wb_slice task_id, uint8_t key[WB_FACTS_BYTES])
{
    crypto_hash_sha256_state hash;
    start_key(&hash, 't');
    hash_field(&hash, audience);
    hash_field(&hash, task_id);
    crypto_hash_sha256_final(&hash, key);
}

static size_t keys_of(const Waybill__V1__DelegationRow *row, uint8_t keys[][WB_FACTS_BYTES])
{
    size_t n = 0, held = wb_turns_held(row), from = held > WB_TURNS_HELD ? held - WB_TURNS_HELD : 0;
    wb_slice audience =
        wb_slice_str(row->target_agent_id[0] ? row->target_agent_id : row->target_url);
    for (size_t i = from; i < held; i++) {
        Waybill__V1__DelegationTurn turn;
        wb_turns_facts(row, i, keys[n++]);
        wb_turns_get(row, i, &turn);
        if (wb_turns_number(row, i) > 1)
            turn_key(wb_slice_of(turn.id.data, turn.id.len), keys[n++]);
    }
    if (row->task_id[0]) task_key(audience, wb_slice_str(row->task_id), keys[n++]);
    return n;
}

/* A key that a newer row took over stays its. */
static wb_status forget_keys(wb_delegations *d, const wb_id *id, wb_slice packed)
{
    uint8_t keys[KEYS_MAX][WB_FACTS_BYTES];
    Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(d->scratch), packed.len, packed.ptr);
    if (!row) return WB_ERR_NO_MEMORY;
    size_t n = keys_of(row, keys);
    for (size_t i = 0; i < n; i++) {
        wb_slice holder;
        if (wb_row_get(d->by_key, keys[i], &holder, NULL) &&
            memcmp(holder.ptr, id->b, sizeof id->b) == 0)
            wb_row_remove(d->by_key, keys[i]);
    }
    return WB_OK;
}

static wb_status remember_keys(wb_delegations *d, const wb_id *id,
                               const Waybill__V1__DelegationRow *row)
{
    uint8_t keys[KEYS_MAX][WB_FACTS_BYTES];
    size_t n = keys_of(row, keys);
    for (size_t i = 0; i < n; i++)
        WB_TRY(wb_row_put(d->by_key, keys[i], wb_slice_of(id->b, sizeof id->b), NULL));
    return WB_OK;
}

static uint32_t *count_in(wb_delegations *d, wb_delegation_state state)
{
    return &d->open_in[(unsigned)state < WB_COUNT(d->open_in) ? state : WB_DELEGATION_NONE];
}

static void expect_marker(wb_delegations *d, const hot_part *hot)
{
    wb_time_ns due = hot->opened_ns + wb_marker_due_ns(hot->markers);
    if (due < d->next_marker_ns) d->next_marker_ns = due;
}

static uint64_t closed_at(const void *hot) { return ((const hot_part *)hot)->closed_ns; }

static wb_status put(wb_delegations *d, const Waybill__V1__DelegationRow *row, wb_slice packed)
{
    wb_id id;
    hot_part *hot;
    void *found;
    memcpy(id.b, row->id.data, sizeof id.b);
    wb_slice before;
    if (wb_row_get(d->rows, id.b, &before, &found)) {
        hot_part *old = found;
        if (old->version >= row->version) return WB_OK;
        if (old->closed_ns == 0) {
            WB_TRY(forget_keys(d, &id, before));
            d->open--;
            --*count_in(d, old->state);
        }
    }
    wb_row_make_room(d->rows, closed_at);
    WB_TRY(wb_row_put(d->rows, id.b, packed, &found));
    hot = found;
    hot->version = row->version;
    hot->opened_ns = row->opened_ns;
    hot->deadline_ns = row->deadline_ns;
    hot->closed_ns = row->closed_ns;
    if (row->markers > hot->markers) hot->markers = row->markers;
    hot->updated_ns = row->updated_ns;
    hot->state = (wb_delegation_state)row->state;
    if (hot->closed_ns != 0) return WB_OK;
    d->open++;
    ++*count_in(d, hot->state);
    expect_marker(d, hot);
    return remember_keys(d, &id, row);
}

static wb_status apply_row(void *self, wb_slice packed, wb_error *err)
{
    wb_delegations *d = self;
    wb_arena_reset(d->scratch);
    errno = 0;
    ProtobufCAllocator *allocator = wb_arena_allocator(d->scratch);
    Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(allocator, packed.len, packed.ptr);
    if (!row || row->id.len != sizeof(wb_id))
        return wb_row_unreadable("delegation row", packed.len, err);
    wb_status status = put(d, row, packed);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no room for a delegation row");
}

static bool has_ended(const void *row_hot, void *arg)
{
    const hot_part *hot = row_hot;
    if (hot->closed_ns == 0) return false;
    uint64_t kept = hot->state == WB_DELEGATION_LOST ? WB_LOST_KEPT_NS : WB_CLOSED_KEPT_NS;
    return wb_purge_takes(arg, hot->updated_ns, kept);
}

static wb_status apply_purge(wb_delegations *d, wb_slice packed, wb_error *err)
{
    wb_purge purge;
    WB_TRY(wb_purge_unpack(packed, &purge, err));
    wb_row_purge(d->rows, has_ended, &purge);
    return WB_OK;
}

/* Say in the row how many of its markers were written. The rest of it stays as it is. */
static wb_status note_marker(wb_delegations *d, const wb_id *id, uint32_t markers)
{
    wb_slice packed, noted;
    void *row_hot;
    if (!wb_row_get(d->rows, id->b, &packed, &row_hot)) return WB_OK; /* purged since */
    if (((hot_part *)row_hot)->markers >= markers) return WB_OK;
    wb_arena_reset(d->scratch);
    WB_TRY(wb_marker_noted(packed, markers, d->scratch, &noted));
    WB_TRY(wb_row_put(d->rows, id->b, noted, &row_hot));
    ((hot_part *)row_hot)->markers = markers;
    return WB_OK;
}

static wb_status apply_markers(wb_delegations *d, wb_slice payload, wb_error *err)
{
    wb_span_batch spans;
    WB_TRY(wb_span_batch_open(payload, &spans, err));
    for (uint32_t i = 0; i < spans.span_count; i++) {
        wb_marker_due marker;
        wb_span_row row = wb_span_batch_row(&spans, i);
        if (!wb_marker_read(&row, &marker)) continue; /* of a later version */
        wb_status status = note_marker(d, &marker.id, marker.n + 1);
        if (status != WB_OK) return wb_fail(err, status, "no memory to note a marker");
    }
    return WB_OK;
}

static wb_status apply(void *self, const wb_entry *entry, wb_error *err)
{
    if (entry->kind == WB_ENTRY_PURGE) return apply_purge(self, entry->payload, err);
    if (entry->kind == WB_ENTRY_MARKERS) return apply_markers(self, entry->payload, err);
    return apply_row(self, entry->payload, err);
}

static wb_status snapshot(void *self, wb_buffer *out, size_t *resume_at)
{
    return wb_row_snapshot(((wb_delegations *)self)->rows, out, resume_at);
}

static wb_status load(void *self, wb_slice slice, wb_error *err)
{
    return wb_row_load(slice, apply_row, self, err);
}

static void reset(void *self)
{
    wb_delegations *d = self;
    wb_row_table_reset(d->rows);
    wb_row_table_reset(d->by_key);
    d->open = 0;
    memset(d->open_in, 0, sizeof d->open_in);
    d->next_marker_ns = UINT64_MAX;
}

const wb_state_ops wb_delegations_ops = {
    .name = "delegations",
    .kinds = WB_KIND_BIT(WB_ENTRY_DELEGATION) | WB_KIND_BIT(WB_ENTRY_PURGE) |
             WB_KIND_BIT(WB_ENTRY_MARKERS),
    .apply = apply,
    .snapshot = snapshot,
    .load = load,
    .reset = reset,
};

bool wb_delegations_get(const wb_delegations *d, const wb_id *id, wb_slice *packed)
{
    return wb_row_get(d->rows, id->b, packed, NULL);
}

bool wb_delegations_find(const wb_delegations *d, const uint8_t facts[WB_FACTS_BYTES], wb_id *id)
{
    wb_slice holder;
    if (!wb_row_get(d->by_key, facts, &holder, NULL)) return false;
    memcpy(id->b, holder.ptr, sizeof id->b);
    return true;
}

bool wb_delegations_of_turn(const wb_delegations *d, const wb_id *turn, wb_id *id)
{
    uint8_t key[WB_FACTS_BYTES];
    turn_key(wb_slice_of(turn->b, sizeof turn->b), key);
    return wb_delegations_find(d, key, id);
}

bool wb_delegations_of_task(const wb_delegations *d, wb_slice audience, wb_slice task_id, wb_id *id)
{
    uint8_t key[WB_FACTS_BYTES];
    task_key(audience, task_id, key);
    return wb_delegations_find(d, key, id);
}

size_t wb_delegations_due(const wb_delegations *d, wb_time_ns now, uint64_t grace_ns, wb_id *out,
                          size_t max, wb_time_ns *oldest_ns)
{
    size_t n = 0;
    wb_time_ns oldest = UINT64_MAX;
    for (uint32_t slot = 0; slot < wb_row_slots(d->rows); slot++) {
        const void *key;
        void *row_hot;
        if (!wb_row_at(d->rows, slot, &key, NULL, &row_hot)) continue;
        const hot_part *hot = row_hot;
        if (hot->closed_ns != 0) continue;
        if (hot->opened_ns < oldest) oldest = hot->opened_ns;
        if (n < max && hot->deadline_ns + grace_ns <= now) memcpy(out[n++].b, key, sizeof(wb_id));
    }
    if (oldest_ns) *oldest_ns = oldest == UINT64_MAX ? 0 : oldest;
    return n;
}

size_t wb_delegations_unmarked(wb_delegations *d, wb_time_ns now, wb_marker_due *out, size_t max)
{
    size_t n = 0;
    if (d->open == 0 || now < d->next_marker_ns) return 0;
    d->next_marker_ns = UINT64_MAX;
    for (uint32_t slot = 0; slot < wb_row_slots(d->rows); slot++) {
        const void *key;
        void *row_hot;
        if (!wb_row_at(d->rows, slot, &key, NULL, &row_hot)) continue;
        const hot_part *hot = row_hot;
        if (hot->closed_ns != 0) continue;
        uint32_t due = wb_markers_due(now > hot->opened_ns ? now - hot->opened_ns : 0);
        expect_marker(d, hot); /* at once again, until what is due now is in the journal */
        if (due <= hot->markers || n == max) continue;
        memcpy(out[n].id.b, key, sizeof(wb_id));
        out[n++].n = due - 1;
    }
    return n;
}

uint32_t wb_delegations_count(const wb_delegations *d) { return wb_row_count(d->rows); }
uint32_t wb_delegations_open(const wb_delegations *d) { return d->open; }
uint32_t wb_delegations_in(const wb_delegations *d, wb_delegation_state state)
{
    return (unsigned)state < WB_COUNT(d->open_in) ? d->open_in[state] : 0;
}

uint32_t wb_delegations_room(const wb_delegations *d)
{
    return wb_row_room(d->rows) + wb_row_count(d->rows) - d->open;
}
