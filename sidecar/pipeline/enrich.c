/* SPDX-License-Identifier: Apache-2.0 */
/* Who the agent is stands at the resource: it is the same for all spans of a process, costs its bytes once a
 * batch, and is what a backend shows of a process. It is not said on spans. There gen_ai.agent.name is the agent
 * that a span is about, and a process may hold many: on an agent's span without a name, ours would be a guess.
 *
 * A sender's own service.name and service.instance.id say the agent's name and id in the model's words already
 * (normalise), so ours are only for who says neither. */
#include "sidecar/pipeline/enrich.h"

#include "proto/key_set.h"
#include "proto/otlp_edit.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/semconv.h"
#include "sidecar/pipeline/stamps.h"

/* In one batch: its arena and its payload have limits, and nothing is refused for what we add. */
enum { ADDED_BYTES_MAX = 2 * 1024 * 1024 };

static bool says_session(uint16_t place)
{
    size_t n;
    const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
    for (size_t i = 0; i < n; i++)
        if (rules[i].field == WB_CANON_SESSION_ID) return true;
    return false;
}

/* In whatever dialect. */
static wb_status enrich_open(const wb_config_section *cfg, void **self, wb_error *err)
{
    wb_slice keys[WB_SEMCONV_KEYS];
    wb_key_set *set = NULL;
    size_t n = 0;
    (void)cfg;
    for (size_t place = 1; place <= WB_SEMCONV_KEYS; place++)
        if (says_session((uint16_t)place)) keys[n++] = wb_semconv_keys[place - 1];
    WB_TRY(wb_key_set_new(keys, n, NULL, 0, &set, err));
    *self = set;
    return WB_OK;
}

static void enrich_close(void *self) { wb_key_set_free(self); }

static wb_status add_to_resources(const wb_stage_view *view, wb_batch *batch, wb_attr_room *room)
{
    for (uint32_t i = 0; i < batch->resource_count; i++) {
        wb_resource_spans *group = &batch->resources[i];
        wb_attr_target to = {batch, &group->attrs, {NULL, 0}, room};
        if (group->rejected) continue;
        if (group->resource.at != 0) to.message = wb_batch_bytes(batch, group->resource);
        for (size_t k = 0; k < WB_COUNT(view->to_resources); k++)
            WB_TRY(wb_attr_list_append(view->to_resources[k], &to));
    }
    return WB_OK;
}

static wb_status add_to_spans(const wb_stage_view *view, wb_batch *batch, wb_attr_room *room)
{
    if (!view->to_spans) return WB_OK;
    for (uint32_t i = 0; i < batch->span_count; i++) {
        wb_span *span = &batch->spans[i];
        const wb_attr_target to = {batch, &span->attrs, wb_batch_bytes(batch, span->extent), room};
        WB_TRY(wb_attr_list_append(view->to_spans, &to));
    }
    return WB_OK;
}

static wb_status enrich(const void *self, const wb_stage_view *view, wb_batch *batch,
                        wb_otlp_owner kind)
{
    wb_attr_room room = {ADDED_BYTES_MAX};
    WB_TRY(add_to_resources(view, batch, &room));
    WB_TRY(wb_stamps_follow(view, batch, kind, view->inherits ? self : NULL, &room));
    return kind == WB_OTLP_SPAN ? add_to_spans(view, batch, &room) : WB_OK;
}

static wb_status enrich_apply(const void *self, const wb_stage_view *view, wb_batch *batch,
                              wb_error *err)
{
    wb_status status = enrich(self, view, batch, WB_OTLP_SPAN);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to enrich spans");
}

wb_status wb_enrich_logs(const void *self, const wb_stage_view *view, wb_batch *batch,
                         wb_error *err)
{
    wb_status status = enrich(self, view, batch, WB_OTLP_LOG);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to enrich log records");
}

/* No guard has seen these: a name of ours that the sender took is left out for ours. */
static wb_status mask_own(const wb_attr_list *list, wb_batch *batch, wb_resource_spans *group)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (wb_slice_starts(list->items[i].key, WB_S("waybill.")))
            WB_TRY(wb_otlp_mask_key(batch, &group->attrs, WB_OTLP_RESOURCE, group->resource,
                                    list->items[i].key));
    return WB_OK;
}

static wb_status mask_own_of_all(const wb_stage_view *view, wb_batch *batch)
{
    for (uint32_t i = 0; i < batch->resource_count; i++)
        for (size_t k = 0; k < WB_COUNT(view->to_resources); k++)
            if (batch->resources[i].resource.at != 0)
                WB_TRY(mask_own(view->to_resources[k], batch, &batch->resources[i]));
    return WB_OK;
}

wb_status wb_enrich_metrics(const wb_stage_view *view, wb_batch *batch, wb_error *err)
{
    wb_attr_room room = {ADDED_BYTES_MAX};
    wb_status status = mask_own_of_all(view, batch);
    if (status == WB_OK) status = add_to_resources(view, batch, &room);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to enrich metrics");
}

wb_status wb_enrich_agent(wb_slice id, wb_slice name, wb_slice isolation, wb_arena *arena,
                          const wb_attr_list **out)
{
    const wb_attr_wish wishes[] = {
        {WB_ATTR_TEXT("waybill.agent.id", id), {NULL, 0}},
        {WB_ATTR_TEXT("waybill.agent.name", name), {NULL, 0}},
        {WB_ATTR_TEXT("waybill.isolation", isolation), {NULL, 0}},
        {WB_ATTR_TEXT("gen_ai.agent.id", id), WB_S("service.instance.id")},
        {WB_ATTR_TEXT("gen_ai.agent.name", name), WB_S("service.name")},
        {WB_ATTR_TEXT("service.name", name), {NULL, 0}},
    };
    return wb_attr_list_make(wishes, WB_COUNT(wishes), WB_OTLP_RESOURCE, arena, out);
}

const wb_stage_ops wb_enrich_stage = {
    .name = "enrich", .open = enrich_open, .apply = enrich_apply, .close = enrich_close};
