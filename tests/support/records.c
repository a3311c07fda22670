/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/records.h"

#include "proto/log_batch.h"
#include "proto/span_batch.h"
#include "proto/waybill/v1/journal.pb-c.h"

static void put_number(uint8_t *out, size_t len, uint32_t n)
{
    memset(out, 0, len);
    for (size_t i = 0; i < 4; i++) out[len - 1 - i] = (uint8_t)(n >> (8 * i));
}

wb_trace_id test_trace(uint32_t n)
{
    wb_trace_id id;
    put_number(id.b, sizeof id.b, n);
    return id;
}

wb_span_id test_span(uint32_t n)
{
    wb_span_id id;
    put_number(id.b, sizeof id.b, n);
    return id;
}

wb_id test_id(uint32_t n)
{
    wb_id id;
    put_number(id.b, sizeof id.b, n);
    return id;
}

static wb_slice hex_of(uint32_t n, char hex[WB_ID_HEX + 1])
{
    wb_id id = test_id(n);
    wb_hex(id.b, sizeof id.b, hex);
    return n ? wb_slice_of(hex, WB_ID_HEX) : (wb_slice){NULL, 0};
}

static wb_otlp_attr text_attr(const char *key, wb_slice text)
{
    wb_otlp_attr attr = {.key = wb_slice_str(key)};
    attr.value.type = text.len ? WB_VALUE_TEXT : WB_VALUE_EMPTY;
    attr.value.text = text;
    return attr;
}

/* One batch has one origin here, so spans of one payload share the first one's service. */
void test_spans_payload(wb_buffer *out, const test_span_spec *spans, size_t n)
{
    wb_span_draft drafts[64] = {0};
    wb_otlp_attr attrs[64][4];
    char ids[64][2][WB_ID_HEX + 1];
    WB_ASSERT(n > 0 && n <= WB_COUNT(drafts));
    for (size_t i = 0; i < n; i++) {
        const test_span_spec *s = &spans[i];
        attrs[i][0] = text_attr("error.type", wb_slice_str(s->error_type));
        attrs[i][1] = text_attr("waybill.acceptance.id", hex_of(s->acceptance, ids[i][0]));
        attrs[i][2] = text_attr("waybill.delegation.id", hex_of(s->delegation, ids[i][1]));
        attrs[i][3] = text_attr("test.note", WB_S("a \"quoted\" value"));
        drafts[i] = (wb_span_draft){.trace_id = test_trace(s->trace),
                                    .span_id = test_span(s->span),
                                    .parent_id = test_span(s->parent),
                                    .name = wb_slice_str(s->name),
                                    .kind = s->kind,
                                    .status_code = s->status,
                                    .status_message = wb_slice_str(s->status_message),
                                    .start_ns = TEST_T0 + s->start_ms * WB_NS_PER_MS,
                                    .end_ns = TEST_T0 + s->end_ms * WB_NS_PER_MS,
                                    .attrs = attrs[i],
                                    .attr_count = 4};
    }
    wb_otlp_attr service =
        text_attr("service.name", wb_slice_str(spans[0].service ? spans[0].service : "agent"));
    wb_span_origin origin = {.resource = &service,
                             .resource_count = 1,
                             .scope_name = WB_S("test"),
                             .scope_version = WB_S("1")};
    wb_error err = {0};
    wb_status status = wb_span_batch_build(&origin, drafts, n, out, &err);
    WB_ASSERT(status == WB_OK);
}

static wb_time_ns time_of(uint64_t ms) { return ms ? TEST_T0 + ms * WB_NS_PER_MS : 0; }

void test_logs_payload(wb_buffer *out, const test_log_spec *logs, size_t n)
{
    wb_log_draft drafts[64] = {0};
    wb_otlp_attr attrs[64][3];
    char ids[64][2][WB_ID_HEX + 1];
    WB_ASSERT(n > 0 && n <= WB_COUNT(drafts));
    for (size_t i = 0; i < n; i++) {
        const test_log_spec *l = &logs[i];
        attrs[i][0] = text_attr("waybill.acceptance.id", hex_of(l->acceptance, ids[i][0]));
        attrs[i][1] = text_attr("waybill.delegation.id", hex_of(l->delegation, ids[i][1]));
        attrs[i][2] = text_attr("test.note", WB_S("a \"quoted\" value"));
        drafts[i] = (wb_log_draft){.trace_id = test_trace(l->trace),
                                   .span_id = test_span(l->span),
                                   .time_ns = time_of(l->time_ms),
                                   .observed_ns = time_of(l->observed_ms),
                                   .severity = l->severity,
                                   .severity_text = wb_slice_str(l->severity_text),
                                   .event_name = wb_slice_str(l->event_name),
                                   .body = wb_slice_str(l->body),
                                   .attrs = attrs[i],
                                   .attr_count = 3};
    }
    wb_otlp_attr service = text_attr("service.name", WB_S("agent"));
    wb_span_origin origin = {.resource = &service,
                             .resource_count = 1,
                             .scope_name = WB_S("test"),
                             .scope_version = WB_S("1")};
    wb_error err = {0};
    wb_status status = wb_log_batch_build(&origin, drafts, n, out, &err);
    WB_ASSERT(status == WB_OK);
}

static ProtobufCBinaryData bytes_of(const void *id, size_t len)
{
    bool absent = wb_id_is_zero(id, len);
    return (ProtobufCBinaryData){absent ? 0 : len, absent ? NULL : (uint8_t *)id};
}

static char *text_of(const char *text) { return (char *)(text ? text : ""); }

static size_t count_of(const char *const *texts)
{
    size_t n = 0;
    while (texts && texts[n]) n++;
    return n;
}

void test_delegation_payload(wb_buffer *out, const test_delegation_spec *s)
{
    Waybill__V1__DelegationRow row = WAYBILL__V1__DELEGATION_ROW__INIT;
    wb_id id = test_id(s->id), parent = test_id(s->parent_acceptance);
    wb_trace_id trace = test_trace(s->trace);
    wb_span_id span = test_span(s->span), parent_span = test_span(s->parent);
    uint8_t hash[32], *room;
    memset(hash, s->token_hash, sizeof hash);
    row.id = bytes_of(id.b, sizeof id.b);
    row.version = s->version;
    row.state = s->state;
    row.trace_id = bytes_of(trace.b, sizeof trace.b);
    row.span_id = bytes_of(span.b, sizeof span.b);
    row.parent_span_id = bytes_of(parent_span.b, sizeof parent_span.b);
    row.parent_acceptance = bytes_of(parent.b, sizeof parent.b);
    row.token_hash = bytes_of(hash, sizeof hash);
    row.target_name = text_of(s->target_name);
    row.target_url = text_of(s->target_url);
    row.issuer = text_of(s->issuer);
    row.task_id = text_of(s->task_id);
    row.error_type = text_of(s->error_type);
    row.method = text_of("SendMessage");
    row.opened_ns = TEST_T0 + s->opened_ms * WB_NS_PER_MS;
    row.updated_ns = row.opened_ns;
    row.closed_ns = time_of(s->closed_ms);
    row.deadline_ns = time_of(s->deadline_ms);
    row.depth = s->depth;
    row.n_chain = count_of(s->chain);
    row.chain = (char **)s->chain;
    WB_ASSERT(wb_buffer_reserve(out, waybill__v1__delegation_row__get_packed_size(&row), &room) ==
              WB_OK);
    (void)waybill__v1__delegation_row__pack(&row, room);
}

void test_acceptance_payload(wb_buffer *out, const test_acceptance_spec *s)
{
    Waybill__V1__AcceptanceRow row = WAYBILL__V1__ACCEPTANCE_ROW__INIT;
    wb_id id = test_id(s->id);
    wb_trace_id trace = test_trace(s->trace), link_trace = test_trace(s->link_trace);
    wb_span_id span = test_span(s->span), parent = test_span(s->parent);
    wb_span_id link_span = test_span(s->link_span);
    uint8_t hash[32], *room;
    char *warnings[] = {text_of(s->warning)};
    memset(hash, s->token_hash, sizeof hash);
    row.id = bytes_of(id.b, sizeof id.b);
    row.version = s->version;
    row.verdict = s->verdict;
    row.verified = s->verified;
    row.code = text_of(s->code);
    row.n_warnings = s->warning ? 1 : 0;
    row.warnings = warnings;
    row.agent_id = text_of(s->agent_id);
    row.issuer = text_of(s->issuer);
    row.outcome = text_of(s->outcome);
    row.pass = true;
    row.trace_id = bytes_of(trace.b, sizeof trace.b);
    row.span_id = bytes_of(span.b, sizeof span.b);
    row.parent_span_id = bytes_of(parent.b, sizeof parent.b);
    row.link_trace_id = bytes_of(link_trace.b, sizeof link_trace.b);
    row.link_span_id = bytes_of(link_span.b, sizeof link_span.b);
    row.token_hash = bytes_of(hash, sizeof hash);
    row.opened_ns = TEST_T0 + s->opened_ms * WB_NS_PER_MS;
    row.finished_ns = time_of(s->finished_ms);
    row.depth = s->depth;
    row.n_chain = count_of(s->chain);
    row.chain = (char **)s->chain;
    WB_ASSERT(wb_buffer_reserve(out, waybill__v1__acceptance_row__get_packed_size(&row), &room) ==
              WB_OK);
    (void)waybill__v1__acceptance_row__pack(&row, room);
}
