/* SPDX-License-Identifier: Apache-2.0 */
/* The rules are written here a second time, over unpacked structs and with another UTF-8 decoder,
 * so that a mistake in the walk has to be made twice to pass. */
#include "tests/support/otlp_compare.h"

#include "tests/support/otlp_oracle.pb-c.h"

enum { ATTRS_MAX = 1024, DEPTH_MAX = 64 };

/* Decode to code points and judge those: shortest form, no surrogate, nothing above U+10FFFF. */
static bool is_text(const char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = (const uint8_t *)s;
    while (*p) {
        size_t n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
        if (n == 0) return false;
        uint32_t c = n == 1 ? *p : *p & (0x7FU >> n);
        for (size_t i = 1; i < n; i++) {
            if (p[i] >> 6 != 2) return false;
            c = c << 6 | (p[i] & 0x3F);
        }
        if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) return false;
        p += n;
    }
    return true;
}

static bool good_attrs(Oracle__KeyValue *const *attrs, size_t n, unsigned depth);

static bool good_value(const Oracle__AnyValue *v, unsigned depth)
{
    if (depth > DEPTH_MAX) return false;
    if (v->value_case == ORACLE__ANY_VALUE__VALUE_STRING_VALUE) return is_text(v->string_value);
    if (v->value_case == ORACLE__ANY_VALUE__VALUE_KVLIST_VALUE)
        return good_attrs(v->kvlist_value->values, v->kvlist_value->n_values, depth + 1);
    if (v->value_case != ORACLE__ANY_VALUE__VALUE_ARRAY_VALUE) return true;
    for (size_t i = 0; i < v->array_value->n_values; i++)
        if (!good_value(v->array_value->values[i], depth + 1)) return false;
    return true;
}

static bool good_attrs(Oracle__KeyValue *const *attrs, size_t n, unsigned depth)
{
    if (depth == 1 && n > ATTRS_MAX) return false;
    for (size_t i = 0; i < n; i++)
        if (!is_text(attrs[i]->key) || (attrs[i]->value && !good_value(attrs[i]->value, depth)))
            return false;
    return true;
}

static bool all_zero(ProtobufCBinaryData id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.data[i]) return false;
    return true;
}

static bool good_events(const Oracle__Span *s)
{
    for (size_t i = 0; i < s->n_events; i++)
        if (!is_text(s->events[i]->name) ||
            !good_attrs(s->events[i]->attributes, s->events[i]->n_attributes, 1))
            return false;
    return true;
}

static bool good_links(const Oracle__Span *s)
{
    for (size_t i = 0; i < s->n_links; i++) {
        const Oracle__Link *l = s->links[i];
        if ((l->trace_id.len != 0 && l->trace_id.len != 16) ||
            (l->span_id.len != 0 && l->span_id.len != 8) || !is_text(l->trace_state) ||
            !good_attrs(l->attributes, l->n_attributes, 1))
            return false;
    }
    return true;
}

static bool good_span(const Oracle__Span *s)
{
    return s->trace_id.len == 16 && !all_zero(s->trace_id) && s->span_id.len == 8 &&
           !all_zero(s->span_id) && (s->parent_span_id.len == 0 || s->parent_span_id.len == 8) &&
           is_text(s->name) && is_text(s->trace_state) &&
           (!s->status || is_text(s->status->message)) &&
           good_attrs(s->attributes, s->n_attributes, 1) && good_events(s) && good_links(s);
}

static bool good_scope(const Oracle__ScopeSpans *group)
{
    const Oracle__Scope *scope = group->scope;
    return is_text(group->schema_url) &&
           (!scope || (is_text(scope->name) && is_text(scope->version) &&
                       good_attrs(scope->attributes, scope->n_attributes, 1)));
}

static bool good_resource(const Oracle__ResourceSpans *group)
{
    return is_text(group->schema_url) &&
           (!group->resource ||
            good_attrs(group->resource->attributes, group->resource->n_attributes, 1));
}

static uint8_t known(int32_t value, int32_t most)
{
    return value >= 0 && value <= most ? (uint8_t)value : 0;
}

/* protobuf-c's strings end at a NUL, a name on the wire may hold one. */
static bool same_name(wb_slice name, const char *text)
{
    size_t len = strlen(text);
    if (len > name.len || (len < name.len && name.ptr[len] != 0)) return false;
    return len == 0 || memcmp(name.ptr, text, len) == 0;
}

static const char *span_differs(const wb_span *w, const Oracle__Span *s)
{
    static const uint8_t absent[8];
    if (!good_span(s)) return "accepted a span that the rules reject";
    if (memcmp(w->trace_id.b, s->trace_id.data, 16) != 0) return "trace id";
    if (memcmp(w->span_id.b, s->span_id.data, 8) != 0) return "span id";
    const uint8_t *parent = s->parent_span_id.len ? s->parent_span_id.data : absent;
    if (memcmp(w->parent_id.b, parent, 8) != 0) return "parent id";
    if (w->start_ns != s->start_time_unix_nano || w->end_ns != s->end_time_unix_nano)
        return "times";
    if (!same_name(w->name, s->name)) return "name";
    if (w->kind != known(s->kind, 5)) return "kind";
    if (w->flags != s->flags) return "flags";
    if (w->status_code != (s->status ? known(s->status->code, 2) : 0)) return "status code";
    return NULL;
}

/* How far the comparison has come through the batch. */
typedef struct progress {
    const wb_batch *batch;
    bool exact;
    uint32_t span, rejected, scope, resource;
} progress;

static bool rejected_comes_next(const progress *p)
{
    const wb_batch *b = p->batch;
    if (p->rejected == b->rejected_count) return false;
    return p->span == b->span_count || b->rejected[p->rejected].at < b->spans[p->span].extent.at;
}

static const char *scope_spans_differ(progress *p, const Oracle__ScopeSpans *group, bool good)
{
    good = good && good_scope(group);
    for (size_t i = 0; i < group->n_spans; i++) {
        if (rejected_comes_next(p)) {
            p->rejected++;
            if (p->exact && good && good_span(group->spans[i])) return "rejected a good span";
            continue;
        }
        if (p->span == p->batch->span_count) return "fewer spans";
        if (!good) return "accepted a span of a bad resource or scope";
        const wb_span *span = &p->batch->spans[p->span++];
        if (span->scope != p->scope) return "span's scope";
        const char *differs = span_differs(span, group->spans[i]);
        if (differs) return differs;
    }
    return NULL;
}

static const char *request_differs(progress *p, const Oracle__TracesRequest *request)
{
    for (size_t i = 0; i < request->n_resource_spans; i++) {
        const Oracle__ResourceSpans *group = request->resource_spans[i];
        for (size_t j = 0; j < group->n_scope_spans; j++) {
            if (p->scope == p->batch->scope_count) return "fewer scopes";
            if (p->batch->scopes[p->scope].resource != p->resource) return "scope's resource";
            const char *differs =
                scope_spans_differ(p, group->scope_spans[j], good_resource(group));
            if (differs) return differs;
            p->scope++;
        }
        p->resource++;
    }
    const wb_batch *b = p->batch;
    bool all = p->span == b->span_count && p->rejected == b->rejected_count &&
               p->scope == b->scope_count && p->resource == b->resource_count;
    return all ? NULL : "more spans, scopes or resources";
}

bool wb_oracle_unpacks_signal(wb_signal signal, wb_slice body)
{
    static const ProtobufCMessageDescriptor *const requests[WB_SIGNALS] = {
        [WB_SIGNAL_TRACES] = &oracle__traces_request__descriptor,
        [WB_SIGNAL_METRICS] = &oracle__metrics_request__descriptor,
        [WB_SIGNAL_LOGS] = &oracle__logs_request__descriptor};
    ProtobufCMessage *request =
        protobuf_c_message_unpack(requests[signal], NULL, body.len, body.ptr);
    if (!request) return false;
    protobuf_c_message_free_unpacked(request, NULL);
    return true;
}

bool wb_oracle_unpacks(wb_slice body) { return wb_oracle_unpacks_signal(WB_SIGNAL_TRACES, body); }

const char *wb_oracle_differs(const wb_batch *batch, bool exact)
{
    progress p = {.batch = batch, .exact = exact};
    Oracle__TracesRequest *request =
        oracle__traces_request__unpack(NULL, batch->body.len, batch->body.ptr);
    if (!request) return "protobuf-c does not unpack it";
    const char *differs = request_differs(&p, request);
    oracle__traces_request__free_unpacked(request, NULL);
    return differs;
}
