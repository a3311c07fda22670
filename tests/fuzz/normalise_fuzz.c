/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever spans arrive: normalised they are a payload that opens, with as many spans, and normalising them
 * once more changes nothing. What they measure is within bounds, and is the same of what was normalised.
 * Input that begins as JSON does is no request, but what a vendor's client may say: the messages, tools and arguments
 * in it are JSON, and messages read once more are the same. */
#include "sidecar/pipeline/normalise.h"

#include "core/utf8.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/messages.h"
#include "sidecar/pipeline/series.h"

enum {
    ARENA_BYTES = 64 << 20,
    OUT_BYTES = 64 << 20,
    INPUT_MAX = 256 * 1024,
    SERIES = 100,
    TEXT_BYTES = 256 * 1024,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* False: the walk refuses it, or the arena is too small for it. */
static bool normalised(wb_slice body, void *stage, const wb_key_set *keys, wb_arena *arena,
                       wb_buffer *out, wb_span_batch *read, wb_series_table *table)
{
    wb_measured measured;
    wb_measured_init(&measured, arena);
    const wb_stage_view view = {.rehome = NULL, .measured = &measured};
    wb_batch *batch = NULL;
    if (wb_otlp_walk(body, keys, arena, &batch, NULL) != WB_OK) return false;
    if (wb_normalise_stage.apply(stage, &view, batch, NULL) != WB_OK) return false;
    uint32_t spans = batch->span_count;
    if (wb_span_batch_write(batch, out, NULL) != WB_OK) return false;
    WB_ASSERT(wb_span_batch_open(wb_buffer_slice(out), read, NULL) == WB_OK);
    WB_ASSERT(read->span_count == spans);
    wb_series_count(table, &measured, WB_NAMES_V1_41 | WB_NAMES_LATEST);
    WB_ASSERT(wb_series_spans(table) <= spans);
    return true;
}

/* The sum of all that was counted, too: whatever the order of series. */
static uint64_t sum_of(const wb_series_table *table)
{
    uint64_t sum = 0, text = 0;
    size_t n = wb_series_number(table);
    WB_ASSERT(n <= SERIES + WB_STREAMS);
    for (size_t i = 0; i < n; i++) {
        const wb_series *series = wb_series_at(table, i);
        for (size_t k = 0; k < WB_LABELS; k++)
            WB_ASSERT(series->labels[k].len <= WB_LABEL_BYTES_MAX);
        if (!series->overflow) text += wb_series_text_bytes(series->stream, series->labels);
        sum += series->value + series->histogram.sum;
    }
    WB_ASSERT(text <= TEXT_BYTES);
    return sum;
}

static wb_series_table *new_table(void)
{
    wb_series_table *table = NULL;
    WB_ASSERT(wb_series_table_new(SERIES, TEXT_BYTES, &table, NULL) == WB_OK);
    return table;
}

static const wb_json *parsed(wb_slice json, wb_arena *arena)
{
    const wb_json *root = NULL;
    WB_ASSERT(wb_messages_parse(json, arena, &root) == WB_OK);
    return root;
}

static void read_json(wb_slice text)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER room;
    wb_slice once, twice, tools, arguments;
    const wb_json *is_json;
    wb_buffer_init(&room, OUT_BYTES);
    if (wb_messages_parse(text, arena, &is_json) != WB_OK) return;
    wb_value value = {.type = WB_VALUE_TEXT, .text = text};
    if (wb_tools_read(value, &room, arena, &tools) == WB_OK) WB_ASSERT(parsed(tools, arena));
    if (wb_arguments_read(text, &room, arena, &arguments) == WB_OK && is_json)
        WB_ASSERT(parsed(arguments, arena));
    if (wb_messages_read(text, WB_S("user"), &room, arena, &once) != WB_OK) return;
    if (wb_utf8_valid(text)) WB_ASSERT(parsed(once, arena));
    if (wb_messages_read(once, WB_S("user"), &room, arena, &twice) != WB_OK) return;
    WB_ASSERT(!is_json || wb_slice_eq(once, twice));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wb_key_set *keys;
    static void *stage;
    static const wb_slice own = {(const uint8_t *)"waybill.", sizeof "waybill." - 1};
    if (!keys && wb_key_set_new(NULL, 0, &own, 1, &keys, NULL) != WB_OK) return 0;
    if (!stage && wb_normalise_stage.open(NULL, &stage, NULL) != WB_OK) return 0;
    if (size > INPUT_MAX) return 0;
    if (size > 0 && (data[0] == '{' || data[0] == '[' || data[0] == '"')) {
        read_json((wb_slice){data, size});
        return 0;
    }
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER once;
    WB_AUTO_BUFFER twice;
    wb_span_batch first, second;
    WB_AUTO(wb_series_table) measured = new_table();
    WB_AUTO(wb_series_table) again = new_table();
    wb_buffer_init(&once, OUT_BYTES);
    wb_buffer_init(&twice, OUT_BYTES);
    if (!normalised((wb_slice){data, size}, stage, keys, arena, &once, &first, measured)) return 0;
    if (!normalised(first.body, stage, keys, arena, &twice, &second, again)) return 0;
    WB_ASSERT(wb_slice_eq(first.body, second.body));
    WB_ASSERT(wb_series_spans(measured) == wb_series_spans(again));
    WB_ASSERT(sum_of(measured) == sum_of(again));
    return 0;
}
