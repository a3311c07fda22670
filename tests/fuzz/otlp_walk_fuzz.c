/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the walk takes, protobuf-c unpacks to the same spans; and what is rendered of it, with
 * every indexed attribute left alone, masked or renamed, and with what stages append, is taken again
 * with the same spans and no rejection. The first byte says what is done. */
#include "proto/otlp_edit.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "tests/support/otlp_compare.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

static const wb_slice keys_asked[] = {{(const uint8_t *)"service.name", 12}};
static const wb_slice prefixes[] = {{(const uint8_t *)"w", 1}, {(const uint8_t *)"k", 1}};

static void edit(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, uint8_t how)
{
    for (wb_attr *a = owner->first; a && how; a = a->next, how >>= 1) {
        if (a->state != WB_ATTR_KEPT || !(how & 1)) continue;
        if (how & 2)
            wb_batch_mask(batch, owner, a);
        else
            WB_ASSERT(wb_otlp_rename_attr(batch, owner, kind, a, WB_S("claimed")) == WB_OK);
    }
}

/* One of everything that a stage can append, to a span and its resource. */
static void append(wb_batch *batch, wb_span *span, wb_attrs *resource)
{
    static const wb_value values[] = {
        {.type = WB_VALUE_TEXT, .text = {(const uint8_t *)"text", 4}},
        {.type = WB_VALUE_BOOL, .boolean = true},
        {.type = WB_VALUE_INT, .integer = -1},
        {.type = WB_VALUE_DOUBLE, .real = 0.5},
        {.type = WB_VALUE_BYTES, .bytes = {(const uint8_t *)"\xff", 1}},
        {.type = WB_VALUE_ARRAY},
        {.type = WB_VALUE_KVLIST},
        {.type = WB_VALUE_EMPTY},
    };
    const wb_trace_id trace = {.b = {1}};
    const wb_span_id there = {.b = {2}};
    for (size_t i = 0; i < WB_COUNT(values); i++) {
        WB_ASSERT(wb_otlp_append_attr(batch, &span->attrs, WB_OTLP_SPAN, WB_S("waybill.x"),
                                      values[i]) == WB_OK);
        WB_ASSERT(wb_otlp_append_attr(batch, resource, WB_OTLP_RESOURCE, WB_S("waybill.y"),
                                      values[i]) == WB_OK);
    }
    WB_ASSERT(wb_otlp_set_trace_id(batch, span, trace) == WB_OK);
    WB_ASSERT(wb_otlp_make_root(batch, span) == WB_OK);
    WB_ASSERT(wb_otlp_drop_trace_state(batch, span) == WB_OK);
    WB_ASSERT(wb_otlp_append_link(batch, span, trace, there, WB_S("wb=1"), 0x300) == WB_OK);
    WB_ASSERT(wb_otlp_append_link(batch, span, trace, there, WB_S(""), 0) == WB_OK);
}

static void check_rendered(wb_batch *batch, const wb_key_set *keys, bool untouched)
{
    WB_AUTO_BUFFER out;
    wb_span_batch read;
    wb_batch *again = NULL;
    wb_buffer_init(&out, ARENA_BYTES);
    WB_ASSERT(wb_span_batch_write(batch, &out, NULL) == WB_OK);
    WB_ASSERT(wb_span_batch_open(wb_buffer_slice(&out), &read, NULL) == WB_OK);
    WB_ASSERT(!untouched || wb_slice_eq(read.body, batch->body));
    WB_ASSERT(wb_otlp_walk(read.body, keys, batch->arena, &again, NULL) == WB_OK);
    WB_ASSERT(again->rejected_count == 0 && again->span_count == batch->span_count);
    WB_ASSERT(wb_oracle_differs(again, true) == NULL);
    for (uint32_t i = 0; i < read.span_count; i++) {
        wb_span_row row = wb_span_batch_row(&read, i);
        WB_ASSERT(wb_slice_eq(row.span, wb_batch_bytes(again, again->spans[i].extent)));
        WB_ASSERT(wb_slice_eq(row.name, again->spans[i].name));
        WB_ASSERT(WB_ID_EQ(row.trace_id, again->spans[i].trace_id));
        WB_ASSERT(row.scope_index == batch->spans[i].scope);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    WB_AUTO(wb_key_set) keys = NULL;
    wb_batch *batch = NULL;
    if (size == 0) return 0;
    wb_slice body = {data + 1, size - 1};
    WB_ASSERT(arena &&
              wb_key_set_new(keys_asked, 1, prefixes, WB_COUNT(prefixes), &keys, NULL) == WB_OK);
    if (wb_otlp_walk(body, keys, arena, &batch, NULL) != WB_OK) return 0;
    /* Below WB_OTLP_DEPTH_MAX the walk does not look: what is there is left out, but not for
     * protobuf-c. */
    bool cut_short = batch->edited && !wb_oracle_unpacks(body);
    WB_ASSERT(cut_short || wb_oracle_differs(batch, false) == NULL);
    for (uint32_t i = 0; i < batch->resource_count; i++)
        edit(batch, &batch->resources[i].attrs, WB_OTLP_RESOURCE, data[0]);
    for (uint32_t i = 0; i < batch->span_count; i++)
        edit(batch, &batch->spans[i].attrs, WB_OTLP_SPAN, data[0]);
    if ((data[0] & 0x80) && batch->span_count > 0)
        append(batch, &batch->spans[0], &batch->resources[0].attrs);
    check_rendered(batch, keys, !batch->edited);
    return 0;
}
