/* SPDX-License-Identifier: Apache-2.0 */
/* Each span is drafted from its row alone, so whoever holds the row (a Settle, the deadline sweep)
 * writes the same span. Attributes that a row does not have are EMPTY and left out by the builder. */
#include "sidecar/delegation/spans.h"

#include "core/delegation_state.h"
#include "proto/span_batch.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

/* trace.proto SpanFlags: whether the parent is remote is known, and it is */
enum { FLAGS_HAS_IS_REMOTE = 0x100, FLAGS_IS_REMOTE = 0x200 };

static wb_value text_or_none(const char *text)
{
    if (!text || !text[0]) return (wb_value){.type = WB_VALUE_EMPTY};
    return (wb_value){.type = WB_VALUE_TEXT, .text = wb_slice_str(text)};
}

static wb_value integer(int64_t n) { return (wb_value){.type = WB_VALUE_INT, .integer = n}; }

static wb_value limit_or_none(bool granted, uint64_t limit)
{
    if (!granted || limit >= WB_NOLIM) return (wb_value){.type = WB_VALUE_EMPTY};
    return integer((int64_t)limit);
}

static wb_value true_or_none(bool b)
{
    if (!b) return (wb_value){.type = WB_VALUE_EMPTY};
    return (wb_value){.type = WB_VALUE_BOOL, .boolean = true};
}

static void copy_id(void *id, size_t len, ProtobufCBinaryData from)
{
    if (from.len == len) memcpy(id, from.data, len);
}

size_t wb_own_resource(wb_span_agent agent, wb_otlp_attr *out)
{
    const wb_otlp_attr own[WB_OWN_RESOURCE_MAX - WB_SPAN_AGENT_MORE] = {
        WB_ATTR_TEXT("service.name", agent.name),
        WB_ATTR_TEXT("waybill.agent.id", agent.id),
        WB_ATTR_TEXT("waybill.agent.name", agent.name),
        WB_ATTR_TEXT("waybill.isolation", agent.isolation),
        WB_ATTR_TEXT("telemetry.sdk.name", WB_S("waybill")),
        WB_ATTR_TEXT("telemetry.sdk.version", WB_S(WAYBILL_VERSION)),
    };
    WB_ASSERT(agent.n_more <= WB_SPAN_AGENT_MORE);
    memcpy(out, own, sizeof own);
    for (size_t i = 0; i < agent.n_more; i++) out[WB_COUNT(own) + i] = agent.more[i];
    return WB_COUNT(own) + agent.n_more;
}

wb_status wb_own_spans(const wb_span_draft *drafts, size_t n, wb_span_agent agent, wb_buffer *out,
                       wb_error *err)
{
    wb_otlp_attr resource[WB_OWN_RESOURCE_MAX];
    size_t resource_count = wb_own_resource(agent, resource);
    const wb_span_origin origin = {.resource = resource,
                                   .resource_count = resource_count,
                                   .scope_name = WB_S("waybill.sidecar"),
                                   .scope_version = WB_S(WAYBILL_VERSION)};
    return wb_span_batch_build(&origin, drafts, n, out, err);
}

static bool is_error(wb_delegation_state state)
{
    return state == WB_DELEGATION_FAILED || state == WB_DELEGATION_REJECTED ||
           state == WB_DELEGATION_LOST;
}

wb_status wb_delegation_span(const Waybill__V1__DelegationRow *row, wb_span_agent agent,
                             wb_buffer *out, wb_error *err)
{
    char id[WB_ID_HEX + 1] = "";
    wb_delegation_state state = (wb_delegation_state)row->state;
    wb_slice state_name = wb_slice_str(wb_delegation_state_name(state));
    if (row->id.len == sizeof(wb_id)) wb_hex(row->id.data, row->id.len, id);
    bool granted = row->currency[0] != '\0';
    const wb_otlp_attr attrs[] = {
        WB_ATTR_TEXT("waybill.span.type", WB_S("delegation")),
        WB_ATTR_TEXT("waybill.delegation.id", wb_slice_str(id)),
        {WB_S("waybill.delegation.target"),
         text_or_none(row->target_agent_id[0] ? row->target_agent_id : row->target_url)},
        WB_ATTR_TEXT("waybill.delegation.state", state_name),
        {WB_S("waybill.token.unsigned_reason"), text_or_none(row->unsigned_reason)},
        {WB_S("waybill.token.depth"),
         row->n_chain > 0 ? integer(row->depth) : (wb_value){.type = WB_VALUE_EMPTY}},
        {WB_S("waybill.delegation.turns"), row->later_turns > 0
                                               ? integer(INT64_C(1) + row->later_turns)
                                               : (wb_value){.type = WB_VALUE_EMPTY}},
        {WB_S("waybill.budget.currency"), text_or_none(row->currency)},
        {WB_S("waybill.budget.granted_micros"), limit_or_none(granted, row->granted_cost)},
        {WB_S("waybill.budget.granted_tokens"), limit_or_none(granted, row->granted_tokens)},
        {WB_S("waybill.budget.granted_ms"), limit_or_none(granted, row->granted_ms)},
        {WB_S("a2a.method.name"), text_or_none(row->method)},
        {WB_S("a2a.message.id"), text_or_none(row->message_id)},
        {WB_S("a2a.task.id"), text_or_none(row->task_id)},
        {WB_S("a2a.task.state"), text_or_none(row->task_state)},
        {WB_S("session.id"), text_or_none(row->context_id)},
        {WB_S("gen_ai.conversation.id"), text_or_none(row->context_id)},
        {WB_S("gen_ai.agent.name"), text_or_none(row->target_name)},
        {WB_S("url.full"), text_or_none(row->target_url)},
        {WB_S("error.type"), text_or_none(row->error_type)},
    };
    wb_span_draft draft = {.name = wb_slice_str(row->method),
                           .kind = WB_SPAN_CLIENT,
                           .flags = row->trace_flags,
                           .start_ns = row->opened_ns,
                           .end_ns = row->closed_ns,
                           .status_code = is_error(state) ? WB_SPAN_ERROR : WB_SPAN_UNSET,
                           .status_message = is_error(state) ? state_name : WB_S(""),
                           .attrs = attrs,
                           .attr_count = WB_COUNT(attrs)};
    copy_id(draft.trace_id.b, sizeof draft.trace_id, row->trace_id);
    copy_id(draft.span_id.b, sizeof draft.span_id, row->span_id);
    copy_id(draft.parent_id.b, sizeof draft.parent_id, row->parent_span_id);
    return wb_own_spans(&draft, 1, agent, out, err);
}

/* trust.mode observe: in the claimed context though the verdict was not CONTINUE. */
static bool keeps_claim(const Waybill__V1__AcceptanceRow *row)
{
    return row->verdict != WAYBILL__V1__VERDICT__VERDICT_CONTINUE && row->parent_span_id.len > 0;
}

static wb_slice verdict_name(const Waybill__V1__AcceptanceRow *row)
{
    if (row->verdict == WAYBILL__V1__VERDICT__VERDICT_CONTINUE) return WB_S("continue");
    return keeps_claim(row) || !row->verified ? WB_S("unverified") : WB_S("link");
}

/* How many it read: 0 or 1. */
static size_t read_link(ProtobufCBinaryData trace, ProtobufCBinaryData span, wb_span_link *link)
{
    copy_id(link->trace_id.b, sizeof link->trace_id, trace);
    copy_id(link->span_id.b, sizeof link->span_id, span);
    return !WB_ID_ABSENT(link->trace_id) && !WB_ID_ABSENT(link->span_id);
}

wb_status wb_acceptance_span(const Waybill__V1__AcceptanceRow *row, wb_span_agent agent,
                             wb_buffer *out, wb_error *err)
{
    char id[WB_ID_HEX + 1] = "";
    if (row->id.len == sizeof(wb_id)) wb_hex(row->id.data, row->id.len, id);
    bool failed = strcmp(row->outcome, "error") == 0 || strcmp(row->outcome, "rejected") == 0;
    const wb_otlp_attr attrs[] = {
        WB_ATTR_TEXT("waybill.span.type", WB_S("execution")),
        WB_ATTR_TEXT("waybill.acceptance.id", wb_slice_str(id)),
        WB_ATTR_TEXT("waybill.token.verdict", verdict_name(row)),
        {WB_S("waybill.token.error"), text_or_none(row->code)},
        {WB_S("waybill.token.depth"),
         row->verified ? integer(row->depth) : (wb_value){.type = WB_VALUE_EMPTY}},
        {WB_S("waybill.token.issuer"), text_or_none(row->verified ? row->issuer : "")},
        {WB_S("waybill.unverified"), true_or_none(!row->verified || keeps_claim(row))},
        {WB_S("a2a.method.name"), text_or_none(row->method)},
        {WB_S("a2a.message.id"), text_or_none(row->message_id)},
        {WB_S("a2a.task.id"), text_or_none(row->task_id)},
        {WB_S("a2a.task.state"), text_or_none(row->task_state)},
        {WB_S("session.id"), text_or_none(row->context_id)},
        {WB_S("gen_ai.conversation.id"), text_or_none(row->context_id)},
        {WB_S("network.peer.address"), text_or_none(row->peer)},
        {WB_S("error.type"), text_or_none(row->error_type)},
    };
    wb_span_link links[2] = {{.attrs = NULL}};
    size_t n_links = 0;
    n_links += read_link(row->link_trace_id, row->link_span_id, &links[n_links]);
    n_links += read_link(row->claimed_trace_id, row->claimed_span_id, &links[n_links]);
    wb_span_draft draft = {.name = wb_slice_str(row->method),
                           .kind = WB_SPAN_SERVER,
                           .flags = row->trace_flags,
                           .start_ns = row->opened_ns,
                           .end_ns = row->finished_ns,
                           .status_code = failed ? WB_SPAN_ERROR : WB_SPAN_UNSET,
                           .status_message = failed ? wb_slice_str(row->outcome) : WB_S(""),
                           .attrs = attrs,
                           .attr_count = WB_COUNT(attrs),
                           .links = links,
                           .link_count = n_links};
    copy_id(draft.trace_id.b, sizeof draft.trace_id, row->trace_id);
    copy_id(draft.span_id.b, sizeof draft.span_id, row->span_id);
    copy_id(draft.parent_id.b, sizeof draft.parent_id, row->parent_span_id);
    if (!WB_ID_ABSENT(draft.parent_id)) draft.flags |= FLAGS_HAS_IS_REMOTE | FLAGS_IS_REMOTE;
    return wb_own_spans(&draft, 1, agent, out, err);
}

wb_status wb_late_answer_span(const Waybill__V1__DelegationRow *row, wb_span_agent agent,
                              wb_buffer *out, wb_error *err)
{
    char id[WB_ID_HEX + 1] = "";
    if (row->id.len == sizeof(wb_id)) wb_hex(row->id.data, row->id.len, id);
    const wb_otlp_attr attrs[] = {
        WB_ATTR_TEXT("waybill.span.type", WB_S("event")),
        WB_ATTR_TEXT("waybill.delegation.id", wb_slice_str(id)),
        WB_ATTR_TEXT("waybill.delegation.state",
                     wb_slice_str(wb_delegation_state_name((wb_delegation_state)row->state))),
        {WB_S("a2a.task.id"), text_or_none(row->task_id)},
        {WB_S("a2a.task.state"), text_or_none(row->task_state)},
    };
    wb_span_link link = {.attrs = NULL};
    wb_span_draft draft = {.name = WB_S("waybill.delegation.late_answer"),
                           .kind = WB_SPAN_INTERNAL,
                           .flags = row->trace_flags,
                           .span_id = wb_span_id_new(),
                           .start_ns = row->updated_ns,
                           .end_ns = row->updated_ns,
                           .attrs = attrs,
                           .attr_count = WB_COUNT(attrs),
                           .links = &link,
                           .link_count = 1};
    copy_id(draft.trace_id.b, sizeof draft.trace_id, row->trace_id);
    copy_id(draft.parent_id.b, sizeof draft.parent_id, row->parent_span_id);
    copy_id(link.trace_id.b, sizeof link.trace_id, row->trace_id);
    copy_id(link.span_id.b, sizeof link.span_id, row->span_id);
    return wb_own_spans(&draft, 1, agent, out, err);
}
