/* SPDX-License-Identifier: Apache-2.0 */
/* The attributes looked at are those that the sidecar writes itself (sidecar/delegation/spans.c); what
 * arrives under such names was renamed on the way in, so no agent can make its traces kept by them.
 *
 * Rows are read as wire, not unpacked: two fields of some thirty are asked for, and nothing of it needs
 * memory. */
#include "sidecar/delivery/rules.h"

#include "core/clock.h"
#include "core/config_value.h"
#include "core/utf8.h"
#include "proto/wire.h"
#include "sidecar/delivery/sampling.h"

enum { HOLD_SAMPLED_MS = 5000 };

/* ---- the configuration ---------------------------------------------------------------------- */

static const struct word {
    const char *name;
    unsigned bit;
} words[] = {
    {"error", WB_KEEP_ERROR},
    {"slow", WB_KEEP_SLOW},
    {"delegation", WB_KEEP_DELEGATION},
    {"refused_token", WB_KEEP_REFUSED_TOKEN},
    {"over_budget", WB_KEEP_OVER_BUDGET},
};

static wb_status read_keep(const wb_delivery_config *config, unsigned *keep, wb_error *err)
{
    *keep = 0;
    for (size_t i = 0; i < config->n_keep; i++) {
        wb_slice word = config->keep[i];
        size_t k = 0;
        while (k < WB_COUNT(words) && !wb_slice_eq(word, wb_slice_str(words[k].name))) k++;
        if (k == WB_COUNT(words))
            return wb_fail(err, WB_ERR_CONFIG,
                           "sampling.keep: \"%.*s\" is none of error, slow, delegation, "
                           "refused_token, over_budget",
                           (int)(word.len < 40 ? word.len : 40), (const char *)word.ptr);
        *keep |= words[k].bit;
    }
    return WB_OK;
}

static wb_status read_hold(const wb_delivery_config *config, wb_delivery_rules *rules,
                           wb_error *err)
{
    static const wb_config_key duration = {
        .name = "hold", .type = WB_MS, .max = WB_DELIVERY_HOLD_MAX_MS};
    wb_error why;
    uint64_t ms = rules->threshold > 0 ? HOLD_SAMPLED_MS : 0;
    if (config->hold) {
        wb_status status =
            wb_config_value_parse(&duration, wb_slice_str(config->hold), NULL, &ms, &why);
        if (status != WB_OK) return wb_fail(err, status, "hold: %s", why.detail);
    }
    rules->hold_ns = ms * WB_NS_PER_MS;
    return WB_OK;
}

bool wb_delivery_attribute(wb_slice text, wb_slice *key, wb_slice *value)
{
    const uint8_t *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
    if (!equals || equals == text.ptr) return false;
    *key = (wb_slice){text.ptr, (size_t)(equals - text.ptr)};
    *value = (wb_slice){equals + 1, text.len - key->len - 1};
    return true;
}

static wb_status check_attributes(const char *name, const wb_slice *list, size_t n, wb_error *err)
{
    wb_slice key, value;
    if (n > WB_DELIVERY_ATTRIBUTES_MAX)
        return wb_fail(err, WB_ERR_CONFIG, "%s: more than %d", name, WB_DELIVERY_ATTRIBUTES_MAX);
    for (size_t i = 0; i < n; i++)
        if (!wb_delivery_attribute(list[i], &key, &value) || !wb_utf8_valid(list[i]))
            return wb_fail(err, WB_ERR_CONFIG, "%s: \"%.*s\" is not KEY=VALUE", name,
                           (int)(list[i].len < 64 ? list[i].len : 64), (const char *)list[i].ptr);
    return WB_OK;
}

wb_status wb_delivery_rules_read(const wb_delivery_config *config, wb_delivery_rules *out,
                                 wb_error *err)
{
    wb_delivery_rules rules = {.slow_ns = config->slow_ms * WB_NS_PER_MS};
    if (config->ratio)
        WB_TRY(wb_sampling_threshold(wb_slice_str(config->ratio), &rules.threshold, err));
    WB_TRY(read_keep(config, &rules.keep, err));
    WB_TRY(read_hold(config, &rules, err));
    WB_TRY(check_attributes("attributes", config->attributes, config->n_attributes, err));
    WB_TRY(check_attributes("resource_attributes", config->resource_attributes,
                            config->n_resource_attributes, err));
    *out = rules;
    return WB_OK;
}

wb_status wb_delivery_config_check(const wb_delivery_config *config, wb_error *err)
{
    wb_delivery_rules rules;
    return wb_delivery_rules_read(config, &rules, err);
}

/* ---- spans ---------------------------------------------------------------------------------- */

static bool is_spent(const wb_otlp_attr *attr)
{
    return wb_slice_starts(attr->key, WB_S("waybill.budget.remaining_")) &&
           attr->value.type == WB_VALUE_INT && attr->value.integer <= 0;
}

static bool is_budget_error(const wb_otlp_attr *attr)
{
    return wb_slice_eq(attr->key, WB_S("error.type")) && attr->value.type == WB_VALUE_TEXT &&
           wb_slice_eq(attr->value.text, WB_S("budget"));
}

static bool keep_attr(unsigned keep, const wb_otlp_attr *attr)
{
    if (keep & WB_KEEP_OVER_BUDGET && (is_spent(attr) || is_budget_error(attr))) return true;
    if (!wb_slice_starts(attr->key, WB_S("waybill."))) return false;
    if (keep & WB_KEEP_DELEGATION && (wb_slice_eq(attr->key, WB_S("waybill.delegation.id")) ||
                                      wb_slice_eq(attr->key, WB_S("waybill.token.verdict"))))
        return true;
    return keep & WB_KEEP_REFUSED_TOKEN && wb_slice_eq(attr->key, WB_S("waybill.token.error"));
}

bool wb_rules_keep_span(const wb_delivery_rules *rules, const wb_span_row *span)
{
    static const unsigned by_attribute =
        WB_KEEP_DELEGATION | WB_KEEP_REFUSED_TOKEN | WB_KEEP_OVER_BUDGET;
    if (rules->keep & WB_KEEP_ERROR && span->status_code == WB_SPAN_ERROR) return true;
    if (rules->keep & WB_KEEP_SLOW && span->end_ns > span->start_ns &&
        span->end_ns - span->start_ns >= rules->slow_ns)
        return true;
    if (!(rules->keep & by_attribute)) return false;
    wb_otlp_iter it = {span->span};
    wb_otlp_attr attr;
    while (wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr))
        if (keep_attr(rules->keep, &attr)) return true;
    return false;
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* waybill/v1/journal.proto */
enum { DELEGATION_TRACE = 4, ACCEPTANCE_CODE = 5, ACCEPTANCE_TRACE = 12 };

/* The last LEN field of that number, as protobuf has it; empty if there is none. */
static wb_slice field_of(wb_slice message, uint32_t number)
{
    wb_wire_field f;
    wb_slice found = {NULL, 0};
    while (message.len > 0 && wb_wire_next(&message, &f))
        if (f.number == number && f.type == WB_WIRE_LEN) found = f.bytes;
    return found;
}

static bool keeps_acceptance(unsigned keep, wb_slice row)
{
    if (keep & WB_KEEP_DELEGATION) return true;
    return keep & WB_KEEP_REFUSED_TOKEN && field_of(row, ACCEPTANCE_CODE).len > 0;
}

bool wb_rules_keep_row(const wb_delivery_rules *rules, const wb_entry *entry, wb_trace_id *trace)
{
    wb_slice id = {NULL, 0};
    if (entry->kind == WB_ENTRY_DELEGATION && rules->keep & WB_KEEP_DELEGATION)
        id = field_of(entry->payload, DELEGATION_TRACE);
    if (entry->kind == WB_ENTRY_ACCEPTANCE && keeps_acceptance(rules->keep, entry->payload))
        id = field_of(entry->payload, ACCEPTANCE_TRACE);
    if (id.len != sizeof trace->b) return false;
    memcpy(trace->b, id.ptr, sizeof trace->b);
    return true;
}
