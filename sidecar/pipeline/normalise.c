/* SPDX-License-Identifier: Apache-2.0 */
/* Each span is read (said_find.c) and what it lacks is said (said_add.c). What a resource says is said of the resource.
 *
 * The schema URL is not looked at: instrumentations stamp one and send the names of another. */
#include "sidecar/pipeline/normalise.h"

#include "proto/key_set.h"
#include "proto/otlp_edit.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/convert.h"
#include "sidecar/pipeline/measure.h"
#include "sidecar/pipeline/said.h"

enum { SCRATCH_BYTES = 4 * 1024 * 1024 };

/* ---- all of them ---- */

/* What a resource says holds for all its spans, and is said there once. */
static wb_status normalise_resource(wb_said *s, wb_resource_spans *resource)
{
    wb_slice key, value, text = {0};
    wb_said_source found[WB_CANON_FIELDS];
    uint64_t has = 0, own = 0;
    wb_otlp_iter it = {wb_batch_bytes(s->batch, resource->resource)};
    while (wb_otlp_next_pair(&it, WB_OTLP_RESOURCE, &key, &value)) {
        size_t n;
        uint16_t place = wb_key_set_find(s->keys, key);
        if (place == 0 || place > WB_SEMCONV_KEYS) continue;
        const wb_semconv_rule *rules = wb_semconv_rules(place, &n);
        for (size_t i = 0; i < n; i++) {
            if (rules[i].rank == 0) own |= WB_CANON_BIT(rules[i].field);
            if (rules[i].how != WB_RULE_RESOURCE || has & WB_CANON_BIT(rules[i].field)) continue;
            found[rules[i].field] = (wb_said_source){value, &rules[i]};
            has |= WB_CANON_BIT(rules[i].field);
        }
    }
    for (uint64_t left = has & ~own; left; left &= left - 1) {
        unsigned field = (unsigned)__builtin_ctzll(left);
        if (wb_convert_text(wb_otlp_value(found[field].value), s->scratch, &text) != WB_OK)
            continue;
        WB_TRY(wb_otlp_append_attr(s->batch, &resource->attrs, WB_OTLP_RESOURCE,
                                   wb_canon_attribute((uint8_t)field),
                                   (wb_value){.type = WB_VALUE_TEXT, .text = text}));
    }
    return WB_OK;
}

static wb_status normalise_batch(wb_said *s)
{
    wb_batch *batch = s->batch;
    for (uint32_t i = 0; i < batch->resource_count; i++)
        if (!batch->resources[i].rejected) WB_TRY(normalise_resource(s, &batch->resources[i]));
    for (uint32_t i = 0; i < batch->span_count && s->said_bytes < WB_SAID_BYTES_MAX; i++) {
        wb_said_find(s, &batch->spans[i]);
        WB_TRY(wb_said_add(s));
        if (s->view->measured) wb_measure_span(s->view->measured, s);
        if (wb_arena_used(s->scratch) > 0) wb_arena_reset(s->scratch);
    }
    return WB_OK;
}

/* ---- the stage ---- */

static uint64_t redacted_fields(const wb_stage_view *view)
{
    uint64_t fields = 0;
    for (uint8_t field = 0; view->redactor && field < WB_CANON_FIELDS; field++)
        if (wb_redact_looks_at_field(view->redact, field)) fields |= WB_CANON_BIT(field);
    return fields;
}

static wb_status normalise_open(const wb_config_section *cfg, void **self, wb_error *err)
{
    wb_key_set *keys = NULL;
    (void)cfg;
    WB_TRY(wb_key_set_new(wb_semconv_keys, WB_SEMCONV_KEYS, wb_semconv_prefixes,
                          WB_SEMCONV_PREFIXES, &keys, err));
    *self = keys;
    return WB_OK;
}

static void normalise_close(void *self) { wb_key_set_free(self); }

static wb_status normalise_apply(const void *self, const wb_stage_view *view, wb_batch *batch,
                                 wb_error *err)
{
    if (view->as_they_came) return WB_OK;
    WB_AUTO(wb_arena) scratch = wb_arena_new(SCRATCH_BYTES);
    WB_AUTO_BUFFER pieces;
    wb_buffer_init(&pieces, WB_SAID_PIECES_MAX);
    wb_said s = {.keys = self,
                 .view = view,
                 .batch = batch,
                 .pieces = &pieces,
                 .scratch = scratch,
                 .redacted = redacted_fields(view)};
    wb_status status = scratch ? normalise_batch(&s) : WB_ERR_NO_MEMORY;
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to normalise spans");
}

const wb_stage_ops wb_normalise_stage = {.name = "normalise",
                                         .open = normalise_open,
                                         .apply = normalise_apply,
                                         .close = normalise_close};
