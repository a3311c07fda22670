/* SPDX-License-Identifier: Apache-2.0 */
/* Any tracestate can be read and marked: what was set is read again, the randomness stays, members that
 * are not ours stay in their order, and marking twice equals once. */
#include "sidecar/delivery/sampling.h"

enum { OUT_BYTES = 1 << 20, MEMBERS_MAX = 32 };

static const wb_trace_id trace = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static size_t members(wb_slice text)
{
    size_t n = text.len > 0;
    for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == ',';
    return n;
}

static void mark(wb_slice state, wb_sampling_verdict verdict)
{
    WB_AUTO_BUFFER once, twice;
    wb_buffer_init(&once, OUT_BYTES);
    wb_buffer_init(&twice, OUT_BYTES);
    wb_sampled before = wb_sampling_read(state, &trace);
    if (wb_sampling_write(state, verdict, &once) != WB_OK) return;
    wb_slice text = wb_buffer_slice(&once);
    wb_sampled after = wb_sampling_read(text, &trace);
    WB_ASSERT(after.randomness == before.randomness);
    WB_ASSERT(after.has_th == (verdict.mark == WB_SAMPLING_SET));
    WB_ASSERT(!after.has_th || after.th == verdict.th);
    WB_ASSERT(members(text) <= MEMBERS_MAX && text.len <= state.len + 21);
    if (wb_sampling_write(text, verdict, &twice) != WB_OK) return;
    WB_ASSERT(wb_slice_eq(text, wb_buffer_slice(&twice)));
}

static void decide(wb_slice state, uint64_t threshold)
{
    wb_sampled span = wb_sampling_read(state, &trace);
    for (int cause = 0; cause <= WB_SAMPLING_UNKNOWN; cause++) {
        wb_sampling_verdict v = wb_sampling_decide(span, threshold, (wb_sampling_cause)cause);
        if (cause != WB_SAMPLING_BY_CHANCE) WB_ASSERT(v.mark != WB_SAMPLING_LEFT_OUT);
        if (v.mark == WB_SAMPLING_LEFT_OUT) WB_ASSERT(span.randomness < threshold);
        if (v.mark == WB_SAMPLING_SET && span.has_th) WB_ASSERT(v.th >= span.th); /* only raised */
        if (v.mark == WB_SAMPLING_SET || v.mark == WB_SAMPLING_ERASE) mark(state, v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t threshold = 77;
    wb_error err;
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL; /* a ratio, a tracestate */
    size_t first = end ? (size_t)(end - data) : size;
    wb_slice state = {data + first + (end != NULL), size - first - (end != NULL)};
    if (wb_sampling_threshold((wb_slice){data, first}, &threshold, &err) != WB_OK)
        WB_ASSERT(threshold == 77);
    threshold &= (UINT64_C(1) << 57) - 1;
    WB_ASSERT(threshold <= WB_SAMPLING_NEVER);
    decide(state, threshold);
    mark(state, (wb_sampling_verdict){WB_SAMPLING_SET, threshold & (WB_SAMPLING_NEVER - 1)});
    mark(state, (wb_sampling_verdict){WB_SAMPLING_ERASE, 0});
    return 0;
}
