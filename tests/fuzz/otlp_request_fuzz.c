/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a request of the signal that the first byte says: cut into parts of a size, the parts have
 * all of its items, each once, and no part is too large but one of a single item; and as JSON it is what
 * our own reader takes, and what is read is written the same again. */
#include "proto/otlp_from_json.h"
#include "proto/otlp_split.h"
#include "proto/otlp_to_json.h"
#include "proto/otlp_walk.h"

enum { OUT_BYTES = 64 << 20, INPUT_BYTES = 16 * 1024 };

static void check_parts(wb_slice request, size_t max)
{
    uint32_t total = wb_otlp_count_items(request), at = 0;
    WB_AUTO_BUFFER part;
    wb_buffer_init(&part, OUT_BYTES);
    while (at < total) {
        uint32_t n = wb_otlp_fit_items(request, at, max);
        WB_ASSERT(n > 0 && n <= total - at);
        wb_buffer_clear(&part);
        WB_ASSERT(wb_otlp_take_items(request, at, n, &part) == WB_OK);
        WB_ASSERT(part.len == wb_otlp_items_size(request, at, n));
        WB_ASSERT(part.len <= max || n == 1);
        WB_ASSERT(wb_otlp_count_items(wb_buffer_slice(&part)) == n);
        at += n;
    }
    WB_ASSERT(wb_otlp_fit_items(request, total, max) == 0);
}

static void read_and_write(wb_signal signal, const wb_buffer *json, wb_buffer *out)
{
    WB_AUTO_BUFFER wire;
    wb_error err = {0};
    wb_buffer_init(&wire, OUT_BYTES);
    wb_buffer_init(out, OUT_BYTES);
    WB_ASSERT(wb_otlp_from_json(signal, wb_buffer_slice(json), &wire, &err) == WB_OK);
    WB_ASSERT(wb_otlp_to_json(signal, wb_buffer_slice(&wire), out) == WB_OK);
}

/* What a first reading makes plain (empty lists, values too deep) is the same from then on. */
static void check_json(wb_signal signal, wb_slice request)
{
    WB_AUTO_BUFFER json;
    WB_AUTO_BUFFER again = {0};
    WB_AUTO_BUFFER third = {0};
    wb_buffer_init(&json, OUT_BYTES);
    WB_ASSERT(wb_otlp_to_json(signal, request, &json) == WB_OK);
    if (json.len > WB_OTLP_BODY_MAX_BYTES) return;
    read_and_write(signal, &json, &again);
    read_and_write(signal, &again, &third);
    WB_ASSERT(wb_slice_eq(wb_buffer_slice(&again), wb_buffer_slice(&third)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_BYTES) return 0;
    const wb_slice request = {data + 2, size - 2};
    check_parts(request, (size_t)data[1] * 8);
    check_json((wb_signal)(data[0] % WB_SIGNALS), request);
    return 0;
}
