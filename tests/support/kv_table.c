/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/kv_table.h"

enum { KEYS_A_SLICE = 16 };

void wb_kv_row(uint8_t out[WB_KV_ROW], uint32_t key, uint64_t value)
{
    memcpy(out, &key, 4);
    memcpy(out + 4, &value, 8);
}

void wb_kv_purge(uint8_t out[8], uint64_t value) { memcpy(out, &value, 8); }

static wb_status put_row(wb_kv_table *table, const uint8_t *row)
{
    uint32_t key;
    uint64_t value;
    memcpy(&key, row, 4);
    memcpy(&value, row + 4, 8);
    if (key >= WB_KV_KEYS) return WB_ERR_CORRUPT;
    table->values[key] = value;
    return WB_OK;
}

static wb_status kv_apply(void *self, const wb_entry *entry, wb_error *err)
{
    wb_kv_table *table = self;
    uint64_t upto;
    if (table->refuse_after > 0 && --table->refuse_after == 0)
        return wb_fail(err, WB_ERR_FULL, "the table is full");
    if (entry->kind == WB_ENTRY_GAP) {
        table->gaps++;
        return WB_OK;
    }
    if (entry->kind == WB_ENTRY_DELEGATION)
        return entry->payload.len < WB_KV_ROW ? WB_ERR_CORRUPT : put_row(table, entry->payload.ptr);
    memcpy(&upto, entry->payload.ptr, sizeof upto);
    for (size_t i = 0; i < WB_KV_KEYS; i++)
        if (table->values[i] <= upto) table->values[i] = 0;
    return WB_OK;
}

static wb_status kv_snapshot(void *self, wb_buffer *out, size_t *resume_at)
{
    const wb_kv_table *table = self;
    size_t end = *resume_at + KEYS_A_SLICE;
    for (size_t i = *resume_at; i < end; i++) {
        uint8_t row[WB_KV_ROW];
        wb_kv_row(row, (uint32_t)i, table->values[i]);
        if (table->values[i] != 0) WB_TRY(wb_buffer_add(out, row, sizeof row));
    }
    *resume_at = end < WB_KV_KEYS ? end : 0;
    return WB_OK;
}

static wb_status kv_load(void *self, wb_slice slice, wb_error *err)
{
    if (slice.len % WB_KV_ROW != 0) return wb_fail(err, WB_ERR_CORRUPT, "half a row");
    for (size_t at = 0; at < slice.len; at += WB_KV_ROW) WB_TRY(put_row(self, slice.ptr + at));
    return WB_OK;
}

static void kv_reset(void *self) { memset(self, 0, sizeof(wb_kv_table)); }

const wb_state_ops wb_kv_ops = {
    .name = "kv",
    .kinds =
        WB_KIND_BIT(WB_ENTRY_DELEGATION) | WB_KIND_BIT(WB_ENTRY_PURGE) | WB_KIND_BIT(WB_ENTRY_GAP),
    .apply = kv_apply,
    .snapshot = kv_snapshot,
    .load = kv_load,
    .reset = kv_reset,
};
