/* SPDX-License-Identifier: Apache-2.0 */
/* A handful of names: a plain array, searched. Rows of exporters that are no longer configured stay, so
 * that one which comes back under its name goes on where it was, but they hold nothing back; they leave
 * when somebody says so, or when the slots run out: then the first of them. */
#include "sidecar/journal/cursors.h"

#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/journal/layout.h"

static wb_cursor *find(wb_cursors *cursors, const char *name)
{
    for (size_t i = 0; i < WB_JOURNAL_CURSORS; i++)
        if (strcmp(cursors->slots[i].row.name, name) == 0) return &cursors->slots[i];
    return NULL;
}

static wb_cursor *find_or_make(wb_cursors *cursors, const char *name)
{
    wb_cursor *slot = find(cursors, name);
    if (slot) return slot;
    slot = find(cursors, "");
    for (size_t i = 0; !slot && i < WB_JOURNAL_CURSORS; i++)
        if (!cursors->slots[i].row.registered) slot = &cursors->slots[i];
    if (!slot) return NULL;
    *slot = (wb_cursor){.written = false};
    memcpy(slot->row.name, name, strlen(name));
    return slot;
}

static bool name_fits(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= WB_CURSOR_NAME_MAX;
}

static wb_status pack(const Waybill__V1__CursorRow *row, wb_buffer *out, wb_entry *entry)
{
    uint8_t *at;
    size_t before = out->len;
    WB_TRY(wb_buffer_reserve(out, waybill__v1__cursor_row__get_packed_size(row), &at));
    (void)waybill__v1__cursor_row__pack(row, at);
    *entry = (wb_entry){WB_ENTRY_CURSOR, {at, out->len - before}};
    return WB_OK;
}

/* The generated struct has no const. */
static char *text(const char *name) { return (char *)(uintptr_t)name; }

wb_status wb_cursor_entry(const char *name, uint64_t seq, wb_buffer *out, wb_entry *entry)
{
    Waybill__V1__CursorRow row = WAYBILL__V1__CURSOR_ROW__INIT;
    row.exporter = text(name);
    row.seq = seq;
    return pack(&row, out, entry);
}

wb_status wb_cursor_row_entry(const wb_cursor_row *cursor, wb_buffer *out, wb_entry *entry)
{
    Waybill__V1__CursorRow row = WAYBILL__V1__CURSOR_ROW__INIT;
    row.exporter = text(cursor->name);
    row.seq = cursor->seq;
    row.dropped_records = cursor->dropped_records;
    row.dropped_ns = cursor->dropped_ns;
    return pack(&row, out, entry);
}

wb_status wb_cursor_forget_entry(const char *name, wb_buffer *out, wb_entry *entry)
{
    Waybill__V1__CursorRow row = WAYBILL__V1__CURSOR_ROW__INIT;
    row.exporter = text(name);
    row.forgotten = true;
    return pack(&row, out, entry);
}

static void forget(wb_cursors *cursors, const char *name)
{
    wb_cursor *slot = find(cursors, name);
    if (slot && !slot->row.registered) *slot = (wb_cursor){.written = false};
}

/* Each number only grows, so that entries may be applied again and in any order. */
static void raise_to(uint64_t *number, uint64_t to)
{
    if (to > *number) *number = to;
}

static wb_status put(wb_cursors *cursors, const Waybill__V1__CursorRow *row, wb_error *err)
{
    if (!row || !name_fits(row->exporter)) return wb_fail(err, WB_ERR_MALFORMED, "a cursor's row");
    if (row->forgotten) {
        forget(cursors, row->exporter);
        return WB_OK;
    }
    wb_cursor *slot = find_or_make(cursors, row->exporter);
    if (!slot) return wb_fail(err, WB_ERR_FULL, "more than %d cursors", WB_JOURNAL_CURSORS);
    raise_to(&slot->row.seq, row->seq);
    raise_to(&slot->row.dropped_records, row->dropped_records);
    raise_to(&slot->row.dropped_ns, row->dropped_ns);
    slot->written = true;
    return WB_OK;
}

static wb_status put_row(wb_cursors *cursors, wb_slice payload, wb_error *err)
{
    Waybill__V1__CursorRow *row = waybill__v1__cursor_row__unpack(NULL, payload.len, payload.ptr);
    wb_status status = put(cursors, row, err);
    waybill__v1__cursor_row__free_unpacked(row, NULL);
    return status;
}

static wb_status cursors_apply(void *self, const wb_entry *entry, wb_error *err)
{
    return put_row(self, entry->payload, err);
}

/* Rows as in a frame's entry: length (4), row. */
static wb_status cursors_snapshot(void *self, wb_buffer *out, size_t *resume_at)
{
    wb_cursors *cursors = self;
    for (size_t i = 0; i < WB_JOURNAL_CURSORS; i++) {
        const wb_cursor *slot = &cursors->slots[i];
        wb_entry entry;
        uint8_t *length;
        if (!slot->written) continue;
        size_t at = out->len;
        WB_TRY(wb_buffer_reserve(out, 4, &length));
        WB_TRY(wb_cursor_row_entry(&slot->row, out, &entry));
        wb_put_u32(out->ptr + at, (uint32_t)entry.payload.len); /* the buffer may have moved */
    }
    *resume_at = 0;
    return WB_OK;
}

static wb_status cursors_load(void *self, wb_slice slice, wb_error *err)
{
    while (slice.len > 0) {
        if (slice.len < 4 || wb_get_u32(slice.ptr) > slice.len - 4)
            return wb_fail(err, WB_ERR_CORRUPT, "cursors end early");
        size_t len = wb_get_u32(slice.ptr);
        WB_TRY(put_row(self, (wb_slice){slice.ptr + 4, len}, err));
        slice = (wb_slice){slice.ptr + 4 + len, slice.len - 4 - len};
    }
    return WB_OK;
}

/* Who is registered is no state of the journal and stays. */
static void cursors_reset(void *self)
{
    wb_cursors *cursors = self;
    for (size_t i = 0; i < WB_JOURNAL_CURSORS; i++) {
        wb_cursor *slot = &cursors->slots[i];
        if (!slot->row.registered) *slot = (wb_cursor){.written = false};
        if (slot->written) slot->row.seq = slot->row.dropped_records = slot->row.dropped_ns = 0;
        slot->written = false;
    }
}

const wb_state_ops wb_cursors_ops = {
    .name = "journal.cursors",
    .kinds = WB_KIND_BIT(WB_ENTRY_CURSOR),
    .apply = cursors_apply,
    .snapshot = cursors_snapshot,
    .load = cursors_load,
    .reset = cursors_reset,
};

wb_status wb_cursors_register(wb_cursors *cursors, const char *name, uint64_t trimmed_seq,
                              uint64_t *seq, wb_error *err)
{
    if (!name_fits(name))
        return wb_fail(err, WB_ERR_CONFIG, "an exporter's name has 1 to %d bytes",
                       WB_CURSOR_NAME_MAX);
    wb_cursor *slot = find_or_make(cursors, name);
    if (!slot) return wb_fail(err, WB_ERR_FULL, "more than %d exporters", WB_JOURNAL_CURSORS);
    if (!slot->written) slot->row.seq = trimmed_seq;
    slot->row.registered = true;
    *seq = slot->row.seq;
    return WB_OK;
}

uint64_t wb_cursors_lowest(const wb_cursors *cursors)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i < WB_JOURNAL_CURSORS; i++)
        if (cursors->slots[i].row.registered && cursors->slots[i].row.seq < lowest)
            lowest = cursors->slots[i].row.seq;
    return lowest;
}

size_t wb_cursors_rows(const wb_cursors *cursors, wb_cursor_row out[WB_JOURNAL_CURSORS])
{
    size_t n = 0;
    for (size_t i = 0; i < WB_JOURNAL_CURSORS; i++)
        if (cursors->slots[i].row.name[0]) out[n++] = cursors->slots[i].row;
    return n;
}
