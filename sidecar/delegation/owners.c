/* SPDX-License-Identifier: Apache-2.0 */
/* Traces and tasks share one table: the key is SHA-256 over 't' and the trace id, or 'k' and the task
 * id, so that neither can be mistaken for the other. */
#include "sidecar/delegation/owners.h"

#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/purge.h"
#include "sidecar/delegation/row_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { KEY_BYTES = crypto_hash_sha256_BYTES };

typedef struct hot_part {
    uint64_t used_s;
} hot_part;

struct wb_owners {
    wb_row_table *rows;
};

wb_owners *wb_owners_new(uint32_t max_rows)
{
    wb_owners *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->rows = wb_row_table_new(KEY_BYTES, sizeof(hot_part), max_rows);
    if (o->rows) return o;
    free(o);
    return NULL;
}

void wb_owners_free(wb_owners *o)
{
    if (!o) return;
    wb_row_table_free(o->rows);
    free(o);
}

static void key_of(char tag, wb_slice id, uint8_t key[KEY_BYTES])
{
    crypto_hash_sha256_state hash;
    crypto_hash_sha256_init(&hash);
    crypto_hash_sha256_update(&hash, (const uint8_t *)&tag, 1);
    crypto_hash_sha256_update(&hash, id.ptr, id.len);
    crypto_hash_sha256_final(&hash, key);
}

static wb_status apply_row(void *self, wb_slice packed, wb_error *err)
{
    wb_owners *o = self;
    uint8_t key[KEY_BYTES];
    void *found;
    errno = 0;
    Waybill__V1__OwnerRow *row = waybill__v1__owner_row__unpack(NULL, packed.len, packed.ptr);
    if (!row) return wb_row_unreadable("owner row", packed.len, err);
    if (row->trace_id.len > 0)
        key_of('t', wb_slice_of(row->trace_id.data, row->trace_id.len), key);
    else
        key_of('k', wb_slice_str(row->task_id), key);
    uint64_t used_s = row->used_s;
    waybill__v1__owner_row__free_unpacked(row, NULL);
    wb_status status = wb_row_put(o->rows, key, packed, &found);
    if (status != WB_OK) return wb_fail(err, status, "no room for an owner row");
    ((hot_part *)found)->used_s = used_s;
    return WB_OK;
}

static bool has_ended(const void *hot, void *arg)
{
    return ((const hot_part *)hot)->used_s + WB_OWNER_KEPT_S <= ((const wb_purge *)arg)->now_s;
}

static wb_status apply_purge(wb_owners *o, wb_slice packed, wb_error *err)
{
    wb_purge purge;
    WB_TRY(wb_purge_unpack(packed, &purge, err));
    wb_row_purge(o->rows, has_ended, &purge);
    return WB_OK;
}

static wb_status apply(void *self, const wb_entry *entry, wb_error *err)
{
    if (entry->kind == WB_ENTRY_PURGE) return apply_purge(self, entry->payload, err);
    return apply_row(self, entry->payload, err);
}

static wb_status snapshot(void *self, wb_buffer *out, size_t *resume_at)
{
    return wb_row_snapshot(((wb_owners *)self)->rows, out, resume_at);
}

static wb_status load(void *self, wb_slice slice, wb_error *err)
{
    return wb_row_load(slice, apply_row, self, err);
}

static void reset(void *self) { wb_row_table_reset(((wb_owners *)self)->rows); }

const wb_state_ops wb_owners_ops = {
    .name = "owners",
    .kinds = WB_KIND_BIT(WB_ENTRY_OWNER) | WB_KIND_BIT(WB_ENTRY_PURGE),
    .apply = apply,
    .snapshot = snapshot,
    .load = load,
    .reset = reset,
};

static wb_slice trace_slice(const wb_trace_id *trace)
{
    return wb_slice_of(trace->b, sizeof trace->b);
}

static bool look_up(const wb_owners *o, char tag, wb_slice id, wb_arena *arena, wb_owner *owner)
{
    uint8_t key[KEY_BYTES];
    wb_slice packed;
    key_of(tag, id, key);
    if (!wb_row_get(o->rows, key, &packed, NULL)) return false;
    Waybill__V1__OwnerRow *row = waybill__v1__owner_row__unpack(NULL, packed.len, packed.ptr);
    if (!row) return false;
    bool copied = wb_arena_dup(arena, wb_slice_str(row->subject), &owner->subject) == WB_OK &&
                  wb_arena_dup(arena, wb_slice_str(row->issuer), &owner->issuer) == WB_OK;
    owner->used_s = row->used_s;
    waybill__v1__owner_row__free_unpacked(row, NULL);
    return copied;
}

bool wb_owners_of_trace(const wb_owners *o, const wb_trace_id *trace, wb_arena *arena,
                        wb_owner *owner)
{
    return look_up(o, 't', trace_slice(trace), arena, owner);
}

bool wb_owners_of_task(const wb_owners *o, wb_slice task_id, wb_arena *arena, wb_owner *owner)
{
    return look_up(o, 'k', task_id, arena, owner);
}

bool wb_owners_has_trace(const wb_owners *o, const wb_trace_id *trace)
{
    uint8_t key[KEY_BYTES];
    key_of('t', trace_slice(trace), key);
    return wb_row_get(o->rows, key, NULL, NULL);
}

bool wb_owners_use_trace(const wb_owners *o, const wb_trace_id *trace, uint64_t now_s,
                         wb_arena *arena, wb_slice *packed)
{
    uint8_t key[KEY_BYTES];
    void *hot;
    wb_slice held;
    key_of('t', trace_slice(trace), key);
    if (!wb_row_get(o->rows, key, &held, &hot)) return false;
    if (((const hot_part *)hot)->used_s + WB_OWNER_USE_S > now_s) return false;
    Waybill__V1__OwnerRow *row = waybill__v1__owner_row__unpack(NULL, held.len, held.ptr);
    if (!row) return false;
    row->used_s = now_s;
    size_t len = waybill__v1__owner_row__get_packed_size(row);
    uint8_t *bytes = wb_arena_alloc(arena, len);
    if (bytes) *packed = wb_slice_of(bytes, waybill__v1__owner_row__pack(row, bytes));
    waybill__v1__owner_row__free_unpacked(row, NULL);
    return bytes != NULL;
}

uint32_t wb_owners_room(const wb_owners *o) { return wb_row_room(o->rows); }
uint32_t wb_owners_count(const wb_owners *o) { return wb_row_count(o->rows); }
