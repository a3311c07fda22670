/* SPDX-License-Identifier: Apache-2.0 */
/* A pair is split at its first `=`. Values are taken as they stand: spaces count, nothing is unquoted, and a
 * number is a text. In the variable both halves are percent-encoded, since commas and equal signs could not be in
 * them otherwise, and spaces around them are none of theirs. */
#include "sidecar/config_enrich.h"

#include "core/config_value.h"
#include "core/text_code.h"
#include "proto/span_batch.h"
#include "sidecar/delegation/spans.h"

_Static_assert(2 * WB_ENRICH_PAIRS_MAX <= WB_ATTR_LIST_MAX, "one list holds both sources");
_Static_assert(2 * WB_ENRICH_PAIRS_MAX <= WB_SPAN_AGENT_MORE, "and so do our own spans");

typedef struct pair {
    wb_slice key, value;
} pair;

/* False: no equal sign. */
static bool split(wb_slice text, pair *out)
{
    const uint8_t *equals = text.len > 0 ? memchr(text.ptr, '=', text.len) : NULL;
    if (!equals) return false;
    size_t len = (size_t)(equals - text.ptr);
    *out = (pair){{text.ptr, len}, {equals + 1, text.len - len - 1}};
    return true;
}

/* Static; NULL: nothing. */
static const char *fault_of(const pair *p)
{
    if (p->key.len == 0) return "there is no key before the =";
    if (p->key.len > WB_ENRICH_KEY_MAX) return "a key is longer than 128 bytes";
    if (p->value.len > WB_ENRICH_VALUE_MAX) return "a value is longer than 1024 bytes";
    if (wb_slice_starts(p->key, WB_S("waybill."))) return "keys of waybill. are the sidecar's own";
    if (wb_slice_starts(p->key, WB_S("claimed.waybill.")))
        return "keys of claimed.waybill. are what somebody else said";
    return NULL;
}

static bool has_key(const pair *pairs, size_t n, wb_slice key)
{
    for (size_t i = 0; i < n; i++)
        if (wb_slice_eq(pairs[i].key, key)) return true;
    return false;
}

wb_status wb_enrich_pair_check(const wb_slice *items, size_t n, wb_error *err)
{
    pair last, other;
    size_t bytes = items[n - 1].len;
    if (!split(items[n - 1], &last)) return wb_fail(err, WB_ERR_CONFIG, "key=value is needed");
    const char *fault = fault_of(&last);
    if (fault) return wb_fail(err, WB_ERR_CONFIG, "%s", fault);
    for (size_t i = 0; i + 1 < n; i++) {
        bytes += items[i].len;
        if (split(items[i], &other) && wb_slice_eq(other.key, last.key))
            return wb_fail(err, WB_ERR_CONFIG, "the key %.*s is there twice",
                           (int)(last.key.len < 64 ? last.key.len : 64),
                           (const char *)last.key.ptr);
    }
    if (bytes > WB_ENRICH_LIST_BYTES)
        return wb_fail(err, WB_ERR_CONFIG, "all of them together are more than %d bytes",
                       WB_ENRICH_LIST_BYTES);
    return WB_OK;
}

/* ---- variables ---- */

static const char *find(char *const *env, const char *name)
{
    size_t len = strlen(name);
    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') return *env + len + 1;
    return "";
}

static wb_slice trimmed(wb_slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = (wb_slice){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* In place; false: a % that is none, or what comes out is no text. */
static bool decode(wb_slice *text, wb_arena *arena)
{
    wb_slice raw = trimmed(*text);
    wb_error why;
    for (size_t i = 0; i < raw.len; i++)
        if (raw.ptr[i] == '%' &&
            (i + 2 >= raw.len || !is_hex(raw.ptr[i + 1]) || !is_hex(raw.ptr[i + 2])))
            return false;
    uint8_t *bytes = wb_arena_alloc(arena, raw.len + 1);
    if (!bytes) return false;
    *text = (wb_slice){bytes, raw.len > 0 ? wb_percent_read(raw, bytes) : 0};
    return wb_config_text_check(*text, &why) == WB_OK;
}

/* Static; NULL: nothing. */
static const char *read_pairs(wb_slice text, wb_arena *arena, pair *out, size_t *n)
{
    size_t bytes = 0;
    for (size_t at = 0; at < text.len;) {
        const uint8_t *comma = memchr(text.ptr + at, ',', text.len - at);
        size_t end = comma ? (size_t)(comma - text.ptr) : text.len;
        wb_slice word = trimmed((wb_slice){text.ptr + at, end - at});
        pair p;
        at = end + 1;
        if (word.len == 0) continue; /* a comma at the end */
        if (!split(word, &p)) return "key=value is needed";
        if (!decode(&p.key, arena) || !decode(&p.value, arena)) return "not percent-encoded text";
        const char *fault = fault_of(&p);
        if (fault) return fault;
        if (*n == WB_ENRICH_PAIRS_MAX) return "more than 32 of them";
        if ((bytes += p.key.len + p.value.len) > WB_ENRICH_LIST_BYTES)
            return "all of them together are more than 8192 bytes";
        if (!has_key(out, *n, p.key)) out[(*n)++] = p;
    }
    return NULL;
}

/* OTEL_SERVICE_NAME comes before a service.name in the other variable (resource/sdk.md). */
static const char *read_variables(char *const *env, wb_arena *arena, pair *out, size_t *n)
{
    wb_slice name = wb_slice_str(find(env, "OTEL_SERVICE_NAME"));
    pair service = {WB_S("service.name"), name};
    wb_error why;
    if (name.len > 0 && !fault_of(&service) && wb_config_text_check(name, &why) == WB_OK)
        out[(*n)++] = service;
    size_t before = *n;
    const char *fault =
        read_pairs(wb_slice_str(find(env, "OTEL_RESOURCE_ATTRIBUTES")), arena, out, n);
    if (fault) *n = before;
    return fault;
}

/* ---- lists ---- */

static wb_status make_list(const pair *pairs, size_t n, wb_otlp_owner kind, wb_arena *arena,
                           const wb_attr_list **out)
{
    wb_attr_wish wishes[2 * WB_ENRICH_PAIRS_MAX];
    WB_ASSERT(n <= WB_COUNT(wishes));
    for (size_t i = 0; i < n; i++)
        wishes[i] =
            (wb_attr_wish){.attr = {pairs[i].key, {.type = WB_VALUE_TEXT, .text = pairs[i].value}}};
    return wb_attr_list_make(wishes, n, kind, arena, out);
}

static size_t configured(const wb_slice *items, size_t n, pair *out)
{
    size_t taken = 0;
    for (size_t i = 0; i < n; i++)
        if (split(items[i], &out[taken])) taken++; /* checked when it was read */
    return taken;
}

/* What a span or metric of ours says of its resource anyway. */
static bool is_said_by_us(wb_slice key)
{
    return wb_slice_eq(key, WB_S("service.name")) ||
           wb_slice_eq(key, WB_S("service.instance.id")) ||
           wb_slice_starts(key, WB_S("telemetry.sdk."));
}

static wb_status make_own(wb_sidecar_config *c, wb_arena *arena)
{
    const wb_attr_list *list = c->to_resources;
    wb_otlp_attr *own = wb_arena_array(arena, list->n + 1, sizeof *own);
    if (!own) return WB_ERR_NO_MEMORY;
    c->n_own_resource = 0;
    for (size_t i = 0; i < list->n; i++)
        if (!is_said_by_us(list->items[i].key))
            own[c->n_own_resource++] =
                (wb_otlp_attr){list->items[i].key, wb_otlp_value(list->items[i].value)};
    c->own_resource = own;
    return WB_OK;
}

wb_status wb_enrich_make(wb_sidecar_config *c, char *const *env, wb_arena *arena, wb_error *err)
{
    pair pairs[2 * WB_ENRICH_PAIRS_MAX], named[WB_ENRICH_PAIRS_MAX];
    size_t n_named = 0, n = configured(c->span_attributes, c->n_span_attributes, pairs);
    wb_status status = make_list(pairs, n, WB_OTLP_SPAN, arena, &c->to_spans);
    n = configured(c->resource_attributes, c->n_resource_attributes, pairs);
    c->otel_fault = read_variables(env, arena, named, &n_named);
    for (size_t i = 0; i < n_named; i++)
        if (!has_key(pairs, n, named[i].key)) pairs[n++] = named[i];
    if (status == WB_OK) status = make_list(pairs, n, WB_OTLP_RESOURCE, arena, &c->to_resources);
    if (status == WB_OK) status = make_own(c, arena);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "too much configuration");
}
