/* SPDX-License-Identifier: Apache-2.0 */
/* Which spans descend from a remote parent is decided span by span and not trace by trace: an agent's
 * own trace, called back from outside under its own id, keeps its spans, and only the caller's move.
 *
 * Children arrive before their parents, and in other batches, so a client marks what it starts below a
 * remote parent (`waybill.claimed`). For spans of SDKs without Waybill's processor the batch in hand is
 * what there is: a span whose parents lead, within the batch and the trace, to a claimed one is claimed.
 * That walk goes once over each span: what it learns of a span it keeps. */
#include "sidecar/pipeline/rehome.h"

#include "proto/otlp_edit.h"

#define MARK WB_S("waybill.claimed")

enum { FLAGS_REMOTE = 0x300 }; /* trace.proto SpanFlags: it is known whether, and it is, remote */

typedef enum lineage { UNKNOWN, ON_THE_WAY, OWN, CLAIMED } lineage;

typedef struct claims {
    wb_batch *batch;
    uint8_t *lineages; /* of each span */
    uint32_t *index;   /* span id -> 1 + place; open addressing */
    uint32_t mask;
    uint64_t seed; /* a sender who chooses ids must not choose their places */
} claims;

static const wb_slice keys[] = {MARK};

static bool is_entry(const wb_span *span)
{
    return (span->flags & FLAGS_REMOTE) == FLAGS_REMOTE && !WB_ID_ABSENT(span->parent_id);
}

static bool is_marked(const wb_span *span)
{
    const wb_attr *mark = wb_attrs_find(&span->attrs, MARK);
    if (!mark) return false;
    wb_value value = wb_otlp_value(mark->value);
    return value.type == WB_VALUE_BOOL && value.boolean;
}

static uint32_t place_of(const claims *c, const wb_span_id *id)
{
    uint64_t hash;
    memcpy(&hash, id->b, sizeof hash);
    hash = (hash ^ c->seed) * (c->seed | 1);
    return (uint32_t)((hash * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & c->mask;
}

/* The first span of that id in the trace; NULL with the place where it would be. */
static const wb_span *find(const claims *c, const wb_trace_id *trace, const wb_span_id *id,
                           uint32_t *at)
{
    for (*at = place_of(c, id); c->index[*at] != 0; *at = (*at + 1) & c->mask) {
        const wb_span *found = &c->batch->spans[c->index[*at] - 1];
        if (WB_ID_EQ(found->span_id, *id) && WB_ID_EQ(found->trace_id, *trace)) return found;
    }
    return NULL;
}

static wb_status make_index(claims *c)
{
    wb_batch *batch = c->batch;
    uint32_t size = 16, at;
    while (size < 2 * batch->span_count) size *= 2;
    c->mask = size - 1;
    wb_random(&c->seed, sizeof c->seed);
    c->index = wb_arena_array(batch->arena, size, sizeof *c->index);
    if (!c->index) return WB_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < batch->span_count; i++)
        if (!find(c, &batch->spans[i].trace_id, &batch->spans[i].span_id, &at))
            c->index[at] = i + 1;
    return WB_OK;
}

static const wb_span *parent_of(const claims *c, const wb_span *span)
{
    uint32_t at;
    return WB_ID_ABSENT(span->parent_id) ? NULL : find(c, &span->trace_id, &span->parent_id, &at);
}

/* Up until something is known, then down again with it. A ring of parents belongs to nobody. */
static void settle(claims *c, const wb_span *start)
{
    const wb_span *spans = c->batch->spans, *span = start;
    lineage known = OWN;
    while (span && c->lineages[span - spans] == UNKNOWN) {
        c->lineages[span - spans] = ON_THE_WAY;
        span = parent_of(c, span);
    }
    if (span && c->lineages[span - spans] == CLAIMED) known = CLAIMED;
    for (span = start; span && c->lineages[span - spans] == ON_THE_WAY; span = parent_of(c, span))
        c->lineages[span - spans] = (uint8_t)known;
}

/* Fills c->lineages, or leaves it NULL if nothing in the batch is claimed. */
static wb_status find_claimed(claims *c)
{
    wb_batch *batch = c->batch;
    uint32_t n = 0;
    for (uint32_t i = 0; i < batch->span_count; i++)
        n += is_entry(&batch->spans[i]) || is_marked(&batch->spans[i]);
    if (n == 0) return WB_OK;
    c->lineages = wb_arena_alloc(batch->arena, batch->span_count);
    if (!c->lineages) return WB_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < batch->span_count; i++)
        if (is_entry(&batch->spans[i]) || is_marked(&batch->spans[i])) c->lineages[i] = CLAIMED;
    if (n == batch->span_count) return WB_OK;
    WB_TRY(make_index(c));
    for (uint32_t i = 0; i < batch->span_count; i++) settle(c, &batch->spans[i]);
    return WB_OK;
}

static wb_status move(const wb_stage_view *view, wb_batch *batch, wb_span *span)
{
    char hex[WB_TRACE_HEX + 1];
    wb_trace_id claimed = span->trace_id;
    wb_slice state = wb_otlp_read_span(wb_batch_bytes(batch, span->extent)).trace_state;
    wb_hex(claimed.b, sizeof claimed.b, hex);
    if (is_entry(span)) {
        WB_TRY(wb_otlp_append_link(batch, span, claimed, span->parent_id, state,
                                   (span->flags & 0xFF) | FLAGS_REMOTE));
        WB_TRY(wb_otlp_make_root(batch, span));
    }
    WB_TRY(wb_otlp_drop_trace_state(batch, span));
    WB_TRY(wb_otlp_set_trace_id(batch, span, wb_rehome_trace(view->rehome, &claimed)));
    return wb_otlp_append_attr(
        batch, &span->attrs, WB_OTLP_SPAN, WB_S("waybill.claimed.trace_id"),
        (wb_value){.type = WB_VALUE_TEXT, .text = wb_slice_of(hex, WB_TRACE_HEX)});
}

static wb_status say_unverified(wb_batch *batch, wb_span *span)
{
    return wb_otlp_append_attr(batch, &span->attrs, WB_OTLP_SPAN, WB_S("waybill.unverified"),
                               (wb_value){.type = WB_VALUE_BOOL, .boolean = true});
}

static wb_status treat_claimed(const claims *c, const wb_stage_view *view)
{
    wb_batch *batch = c->batch;
    wb_trace_id last = {{0}};
    bool owned = false;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_span *span = &batch->spans[i];
        if (c->lineages[i] != CLAIMED) continue;
        if (!WB_ID_EQ(last, span->trace_id)) {
            last = span->trace_id;
            owned = view->is_owned(view->ctx, &last);
        }
        if (!owned) WB_TRY(view->observes ? say_unverified(batch, span) : move(view, batch, span));
    }
    return WB_OK;
}

/* The mark is between client and sidecar. */
static void mask_marks(wb_batch *batch)
{
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_attr *mark = wb_attrs_find(&batch->spans[i].attrs, MARK);
        if (mark) wb_batch_mask(batch, &batch->spans[i].attrs, mark);
    }
}

static wb_status rehome_apply(const void *self, const wb_stage_view *view, wb_batch *batch,
                              wb_error *err)
{
    (void)self;
    claims c = {.batch = batch};
    wb_status status = WB_OK;
    if (view->rehome || view->observes) status = find_claimed(&c);
    if (status == WB_OK && c.lineages) status = treat_claimed(&c, view);
    mask_marks(batch);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to move spans");
}

const wb_stage_ops wb_rehome_stage = {
    .name = "rehome", .keys = keys, .key_count = WB_COUNT(keys), .apply = rehome_apply};
