/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever JSON is taken, its protobuf is one that the walk of the signal takes (which may reject spans), and
 * that protobuf-c unpacks if none is; white space around tokens changes nothing; JSON made of the protobuf
 * says the same. What is refused leaves the buffer as it was. The first byte says which signal. */
#include "proto/otlp_from_json.h"
#include "proto/otlp_to_json.h"
#include "proto/otlp_walk.h"
#include "tests/support/otlp_compare.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

static wb_status walk(wb_signal signal, wb_slice body, wb_arena *arena, wb_batch **batch)
{
    wb_metrics_points points;
    if (signal == WB_SIGNAL_TRACES) return wb_otlp_walk(body, NULL, arena, batch, NULL);
    if (signal == WB_SIGNAL_LOGS) return wb_otlp_walk_logs(body, NULL, arena, batch, NULL);
    return wb_otlp_walk_metrics(body, arena, batch, &points, NULL);
}

/* The text with a space behind each comma and bracket that is outside of strings. */
static void add_spaces(wb_slice json, wb_buffer *out)
{
    bool in_string = false;
    for (size_t i = 0; i < json.len; i++) {
        uint8_t c = json.ptr[i];
        size_t n = in_string && c == '\\' && i + 1 < json.len ? 2 : 1;
        if (c == '"') in_string = !in_string;
        WB_ASSERT(wb_buffer_add(out, json.ptr + i, n) == WB_OK);
        i += n - 1;
        if (!in_string && memchr("{}[],:", c, 6)) WB_ASSERT(wb_buffer_add(out, " \n", 2) == WB_OK);
    }
}

static void check_spaced(wb_signal signal, wb_slice json, wb_slice made)
{
    WB_AUTO_BUFFER spaced;
    WB_AUTO_BUFFER again;
    wb_buffer_init(&spaced, ARENA_BYTES);
    wb_buffer_init(&again, ARENA_BYTES);
    add_spaces(json, &spaced);
    WB_ASSERT(wb_otlp_from_json(signal, wb_buffer_slice(&spaced), &again, NULL) == WB_OK);
    WB_ASSERT(wb_slice_eq(wb_buffer_slice(&again), made));
}

/* JSON made of the protobuf says what it came from: made again of that it is the same text. */
static void check_back(wb_signal signal, wb_slice made)
{
    WB_AUTO_BUFFER text;
    WB_AUTO_BUFFER again;
    WB_AUTO_BUFFER text_again;
    wb_buffer_init(&text, ARENA_BYTES);
    wb_buffer_init(&again, ARENA_BYTES);
    wb_buffer_init(&text_again, ARENA_BYTES);
    WB_ASSERT(wb_otlp_to_json(signal, made, &text) == WB_OK);
    WB_ASSERT(wb_otlp_from_json(signal, wb_buffer_slice(&text), &again, NULL) == WB_OK);
    WB_ASSERT(wb_otlp_to_json(signal, wb_buffer_slice(&again), &text_again) == WB_OK);
    WB_ASSERT(wb_slice_eq(wb_buffer_slice(&text), wb_buffer_slice(&text_again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO_BUFFER out;
    wb_batch *batch = NULL;
    wb_buffer_init(&out, ARENA_BYTES);
    if (size == 0 || size > 1 << 20) return 0;
    wb_signal signal = (wb_signal)(data[0] % WB_SIGNALS);
    wb_slice json = {data + 1, size - 1};
    WB_ASSERT(arena && wb_buffer_add(&out, "x", 1) == WB_OK);
    if (wb_otlp_from_json(signal, json, &out, NULL) != WB_OK) {
        WB_ASSERT(out.len == 1 && out.ptr[0] == 'x');
        return 0;
    }
    wb_slice made = {out.ptr + 1, out.len - 1};
    WB_ASSERT(walk(signal, made, arena, &batch) == WB_OK || size > 128 * 1024);
    if (batch && batch->rejected_count == 0 && !batch->edited)
        WB_ASSERT(wb_oracle_unpacks_signal(signal, made));
    check_spaced(signal, json, made);
    if (batch) check_back(signal, made);
    return 0;
}
