/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/journal_kit.h"

#include <stdlib.h>

void wb_kit_init(wb_journal_kit *kit)
{
    *kit = (wb_journal_kit){.disk = wb_model_disk_new(1)};
    kit->tables[0] = (wb_state_table){&wb_kv_ops, &kit->table};
    kit->options = (wb_journal_options){
        .dir = "journal",
        .segment_bytes = WB_KIT_SEGMENT,
        .limit_bytes = UINT64_C(16) * WB_KIT_SEGMENT,
        .ops = wb_model_disk_ops(kit->disk),
        .tables = kit->tables,
        .n_tables = 1,
    };
}

void wb_kit_done(wb_journal_kit *kit)
{
    wb_kit_close(kit);
    wb_model_disk_free(kit->disk);
}

wb_status wb_kit_open(wb_journal_kit *kit)
{
    WB_ASSERT(kit->journal == NULL);
    kit->table = (wb_kv_table){.gaps = 0};
    kit->err = (wb_error){.status = WB_OK};
    return wb_journal_open(&kit->options, &kit->journal, &kit->report, &kit->err);
}

int wb_kit_start(void **state)
{
    wb_journal_kit *kit = malloc(sizeof *kit);
    if (!kit) return -1;
    wb_kit_init(kit);
    *state = kit;
    return wb_kit_open(kit) == WB_OK ? 0 : -1;
}

int wb_kit_stop(void **state)
{
    wb_kit_done(*state);
    free(*state);
    return 0;
}

void wb_kit_close(wb_journal_kit *kit)
{
    wb_journal_close(kit->journal);
    kit->journal = NULL;
}

void wb_kit_kill(wb_journal_kit *kit)
{
    wb_model_disk_crash_after(kit->disk, 0);
    wb_kit_close(kit);
    wb_model_disk_kill(kit->disk);
}

bool wb_kit_idle(wb_journal *journal)
{
    bool more = wb_journal_idle(journal);
    return wb_journal_tidy(journal) || more;
}

wb_status wb_kit_append(wb_journal_kit *kit, uint32_t key, uint64_t value, size_t len,
                        uint64_t *seq)
{
    uint8_t row[WB_KV_ROW];
    uint8_t *spans = calloc(1, len + 1);
    WB_ASSERT(spans != NULL);
    memset(spans, (int)(value & 0xFF), len);
    wb_kv_row(row, key, value);
    const wb_entry entries[] = {
        {WB_ENTRY_DELEGATION, {row, sizeof row}},
        {WB_ENTRY_SPANS, {spans, len}},
    };
    wb_status status =
        wb_journal_append(kit->journal, kit->work, entries, len > 0 ? 2 : 1, seq, &kit->err);
    free(spans);
    return status;
}

uint64_t wb_kit_commit(wb_journal_kit *kit, uint32_t key, uint64_t value, size_t len)
{
    uint64_t seq;
    wb_status status = wb_kit_append(kit, key, value, len, &seq);
    WB_ASSERT(status == WB_OK);
    status = wb_journal_commit(kit->journal, &kit->err);
    WB_ASSERT(status == WB_OK);
    return seq;
}

void wb_kit_move_cursor(wb_journal_kit *kit, const char *name, uint64_t seq)
{
    wb_buffer bytes;
    wb_entry entry;
    uint64_t own;
    wb_buffer_init(&bytes, 256);
    wb_status status = wb_cursor_entry(name, seq, &bytes, &entry);
    WB_ASSERT(status == WB_OK);
    status = wb_journal_append(kit->journal, WB_WORK_HOUSE, &entry, 1, &own, &kit->err);
    WB_ASSERT(status == WB_OK);
    status = wb_journal_commit(kit->journal, &kit->err);
    WB_ASSERT(status == WB_OK);
    wb_buffer_done(&bytes);
}

uint64_t wb_kit_value(const wb_frame_view *frame)
{
    wb_entry entry;
    size_t at = 0;
    uint64_t value = 0;
    while (wb_frame_next_entry(frame, &at, &entry)) {
        if (entry.kind != WB_ENTRY_DELEGATION) continue;
        memcpy(&value, entry.payload.ptr + 4, sizeof value);
        break;
    }
    return value;
}

size_t wb_kit_read(wb_journal_kit *kit, uint64_t after, uint64_t *values, size_t max)
{
    wb_journal_reader *reader;
    wb_frame_view frame;
    size_t n = 0;
    wb_status status = wb_journal_reader_open(kit->journal, after, &reader, &kit->err);
    WB_ASSERT(status == WB_OK);
    while ((status = wb_journal_reader_next(reader, &frame, &kit->err)) == WB_OK) {
        if (n < max) values[n] = wb_kit_value(&frame);
        n++;
    }
    WB_ASSERT(status == WB_ERR_NOT_FOUND);
    wb_journal_reader_close(reader);
    return n;
}
