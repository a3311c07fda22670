/* SPDX-License-Identifier: Apache-2.0 */
/* A traceparent that is read and written reads as the same. A tracestate, of as many headers as the input
 * has lines, keeps within its limits with our member in front, gives our id back, is stable when
 * written again, and holds nothing but members that were received, in their order. */
#include "propagation/w3c.h"

#include "propagation/list_header.h"

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

/* Each member behind ours is the next equal one of what was received. */
static void check_order(const wb_slice *values, size_t n, wb_slice written)
{
    wb_list_header received = {.values = values, .n = n}, sent = {.values = &written, .n = 1};
    wb_slice had, member;
    WB_ASSERT(wb_list_header_next(&sent, &member) && wb_slice_starts(member, WB_S("wb=")));
    while (wb_list_header_next(&sent, &member)) {
        WB_ASSERT(!wb_slice_starts(member, WB_S("wb=")));
        do WB_ASSERT(wb_list_header_next(&received, &had));
        while (!wb_slice_eq(had, member));
    }
}

static void check_tracestate(const wb_slice *values, size_t n)
{
    char once[WB_TRACESTATE_MAX_BYTES + 1], twice[WB_TRACESTATE_MAX_BYTES + 1];
    wb_id id;
    if (n > 0) (void)wb_tracestate_acceptance(values[0], &id);
    size_t len = wb_tracestate_write(values, n, WB_TRACESTATE_ACCEPTANCE, &acceptance, once);
    const wb_slice written = wb_slice_of(once, len);
    WB_ASSERT(len <= WB_TRACESTATE_MAX_BYTES && strlen(once) == len);
    WB_ASSERT(wb_tracestate_acceptance(written, &id) && WB_ID_EQ(id, acceptance));
    check_order(values, n, written);
    size_t again = wb_tracestate_write(&written, 1, WB_TRACESTATE_ACCEPTANCE, &acceptance, twice);
    WB_ASSERT(again == len && memcmp(once, twice, len) == 0);
    len = wb_tracestate_write(values, n, WB_TRACESTATE_DELEGATION, &acceptance, once);
    WB_ASSERT(len <= WB_TRACESTATE_MAX_BYTES);
    WB_ASSERT(!wb_tracestate_acceptance(wb_slice_of(once, len), &id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_slice values[8], rest = {data, size};
    size_t n = 0;
    check_traceparent(rest);
    while (n < WB_COUNT(values)) {
        const uint8_t *end = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
        values[n++] = (wb_slice){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
        if (!end) break;
        rest = wb_slice_of(end + 1, (size_t)(data + size - end - 1));
    }
    check_tracestate(values, n);
    return 0;
}
