/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever reads a store trusts `waybill.*`: verdicts, costs and budgets are said with it. An agent
 * may send any attribute it likes, so on the way in the name is taken from it, and what it said is
 * kept under `claimed.`. Appended attributes are Waybill's own and are not looked at. */
#include "sidecar/pipeline/guard.h"

#include "proto/otlp_edit.h"
#include "sidecar/pipeline/redact.h"

#define PREFIX "waybill."
#define SPAN_TYPE WB_S("waybill.span.type")
#define ACCEPTANCE_ID WB_S("waybill.acceptance.id")
#define CUT WB_S(WB_REDACT_CUT_PREFIX)  /* by us just before, or by a sidecar that sent it on */
#define CLAIMED WB_S("waybill.claimed") /* for the stage that takes it away */

static const wb_slice prefixes[] = {{(const uint8_t *)PREFIX, sizeof PREFIX - 1}};

/* Those of a batch mostly have the same one; it is looked at where it differs from `*good`. */
static bool is_acceptance_id(wb_slice any_value, wb_slice *good)
{
    wb_id id;
    if (good->ptr && wb_slice_eq_short(any_value, *good)) return true;
    wb_value value = wb_otlp_value(any_value);
    if (value.type != WB_VALUE_TEXT || wb_unhex(value.text, id.b, sizeof id.b) != WB_OK)
        return false;
    *good = any_value;
    return true;
}

/* What a span, a log record or a resource may say itself, once: of duplicates only the first counts for us, but another reader
 * may take the last. */
static bool may_stay(const wb_attrs *attrs, wb_otlp_owner kind, const wb_attr *attr, wb_slice *good)
{
    if (wb_attrs_find(attrs, attr->key) != attr) return false;
    if (wb_slice_starts(attr->key, CUT)) return wb_otlp_value(attr->value).type == WB_VALUE_INT;
    if (kind == WB_OTLP_RESOURCE) return false;
    if (wb_slice_eq_short(attr->key, ACCEPTANCE_ID)) return is_acceptance_id(attr->value, good);
    if (kind == WB_OTLP_LOG) return false;
    if (wb_slice_eq_short(attr->key, SPAN_TYPE)) return true;
    return wb_slice_eq(attr->key, CLAIMED) && wb_otlp_value(attr->value).type == WB_VALUE_BOOL;
}

static wb_status claim(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, wb_attr *attr)
{
    wb_slice key = attr->key;
    const char *claimed = wb_arena_printf(batch->arena, "claimed.%.*s", WB_SLICE_ARG(key));
    if (!claimed) return WB_ERR_NO_MEMORY;
    return wb_otlp_rename_attr(batch, owner, kind, attr, wb_slice_str(claimed));
}

static wb_status guard_attrs(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, wb_slice *good)
{
    for (wb_attr *a = owner->first; a; a = a->next) {
        if (a->state != WB_ATTR_KEPT || !wb_slice_starts(a->key, prefixes[0])) continue;
        if (may_stay(owner, kind, a, good)) continue;
        WB_TRY(claim(batch, owner, kind, a));
    }
    return WB_OK;
}

/* `kind` of what the batch calls spans. */
static wb_status guard_batch(wb_batch *batch, wb_otlp_owner kind, wb_error *err)
{
    wb_status status = WB_OK;
    wb_slice good = {NULL, 0};
    for (uint32_t i = 0; i < batch->resource_count && status == WB_OK; i++)
        status = guard_attrs(batch, &batch->resources[i].attrs, WB_OTLP_RESOURCE, &good);
    for (uint32_t i = 0; i < batch->span_count && status == WB_OK; i++)
        status = guard_attrs(batch, &batch->spans[i].attrs, kind, &good);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory to rename attributes");
}

wb_status wb_guard_logs(wb_batch *batch, wb_error *err)
{
    return guard_batch(batch, WB_OTLP_LOG, err);
}

static wb_status guard_apply(const void *self, const wb_stage_view *view, wb_batch *batch,
                             wb_error *err)
{
    (void)self;
    (void)view;
    return guard_batch(batch, WB_OTLP_SPAN, err);
}

const wb_stage_ops wb_guard_stage = {.name = "guard",
                                     .prefixes = prefixes,
                                     .prefix_count = WB_COUNT(prefixes),
                                     .apply = guard_apply};
