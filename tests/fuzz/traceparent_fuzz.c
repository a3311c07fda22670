/* SPDX-License-Identifier: Apache-2.0 */
/* A traceparent that is read and written reads as the same; a tracestate with our member in front keeps
 * within its limits, gives our id back, and is stable when written again. */
#include "propagation/w3c.h"

static const wb_id acceptance = {.b = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static void check_traceparent(wb_slice text)
{
    wb_traceparent first, again;
    char out[WB_TRACEPARENT_LEN];
    if (wb_traceparent_parse(text, &first) != WB_OK) return;
    wb_traceparent_format(&first, out);
    WB_ASSERT(wb_traceparent_parse(wb_slice_of(out, sizeof out), &again) == WB_OK);
    WB_ASSERT(WB_ID_EQ(first.trace, again.trace) && WB_ID_EQ(first.span, again.span));
    WB_ASSERT(first.flags == again.flags && !WB_ID_ABSENT(first.trace));
}

static void check_tracestate(wb_slice text)
{
    char once[WB_TRACESTATE_MAX_BYTES + 1], twice[WB_TRACESTATE_MAX_BYTES + 1];
    wb_id id;
    (void)wb_tracestate_acceptance(text, &id);
    size_t len = wb_tracestate_with_acceptance(text, &acceptance, once);
    WB_ASSERT(len <= WB_TRACESTATE_MAX_BYTES && strlen(once) == len);
    WB_ASSERT(wb_tracestate_acceptance(wb_slice_of(once, len), &id) && WB_ID_EQ(id, acceptance));
    size_t again = wb_tracestate_with_acceptance(wb_slice_of(once, len), &acceptance, twice);
    WB_ASSERT(again == len && memcmp(once, twice, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_traceparent(wb_slice_of(data, size));
    check_tracestate(wb_slice_of(data, size));
    return 0;
}
