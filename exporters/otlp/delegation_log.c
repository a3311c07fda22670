/* SPDX-License-Identifier: Apache-2.0 */
/* Backends know spans that ended only. A log record each time that a delegation's row changes shows it
 * while it is in flight, at the place in the trace where its one span will be: same trace id, same span id.
 * The record is drafted from the row alone, so redelivery repeats it as it was. */
#include "exporters/otlp/delegation_log.h"

#include "core/delegation_state.h"
#include "proto/arena_alloc.h"
#include "proto/log_batch.h"
#include "proto/waybill/v1/journal.pb-c.h"

#include <errno.h>

enum { BUILT_MAX_BYTES = 1024 * 1024 };

static wb_value text_or_none(const char *text)
{
    if (!text[0]) return (wb_value){.type = WB_VALUE_EMPTY};
    return (wb_value){.type = WB_VALUE_TEXT, .text = wb_slice_str(text)};
}

static bool take_id(void *id, size_t len, ProtobufCBinaryData from)
{
    if (from.len != len) return false;
    memcpy(id, from.data, len);
    return true;
}

static wb_slice event_name(const Waybill__V1__DelegationRow *row)
{
    if (wb_delegation_is_terminal((wb_delegation_state)row->state))
        return WB_S("waybill.delegation.closed");
    return row->version <= 1 ? WB_S("waybill.delegation.opened")
                             : WB_S("waybill.delegation.progress");
}

static uint8_t severity_of(const Waybill__V1__DelegationRow *row)
{
    bool bad = row->state == WB_DELEGATION_FAILED || row->state == WB_DELEGATION_REJECTED ||
               row->state == WB_DELEGATION_LOST;
    return bad ? WB_SEVERITY_ERROR : WB_SEVERITY_INFO;
}

static wb_status build(const wb_log_draft *draft, const wb_exporter_origin *origin, wb_buffer *out,
                       wb_error *err)
{
    const wb_otlp_attr resource[] = {
        WB_ATTR_TEXT("service.name", wb_slice_str(origin->name)),
        WB_ATTR_TEXT("waybill.agent.id", wb_slice_str(origin->agent_id)),
        WB_ATTR_TEXT("waybill.agent.name", wb_slice_str(origin->name)),
        WB_ATTR_TEXT("waybill.isolation", wb_slice_str(origin->isolation)),
        WB_ATTR_TEXT("telemetry.sdk.name", WB_S("waybill")),
        WB_ATTR_TEXT("telemetry.sdk.version", wb_slice_str(origin->version)),
    };
    const wb_span_origin who = {.resource = resource,
                                .resource_count = WB_COUNT(resource),
                                .scope_name = WB_S("waybill.sidecar"),
                                .scope_version = wb_slice_str(origin->version)};
    return wb_log_batch_build(&who, draft, 1, out, err);
}

static wb_status append_body(wb_slice payload, wb_buffer *out, wb_error *err)
{
    wb_log_batch batch;
    WB_TRY(wb_log_batch_open(payload, &batch, err));
    if (wb_buffer_add_slice(out, batch.body) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a delegation's log record");
    return WB_OK;
}

static wb_status draft_and_build(const Waybill__V1__DelegationRow *row,
                                 const wb_exporter_origin *origin, wb_buffer *out, wb_error *err)
{
    char id[WB_ID_HEX + 1];
    wb_id delegation;
    const char *state = wb_delegation_state_name((wb_delegation_state)row->state);
    wb_log_draft draft = {.flags = row->trace_flags,
                          .time_ns = row->updated_ns,
                          .observed_ns = row->updated_ns,
                          .severity = severity_of(row),
                          .event_name = event_name(row),
                          .body = wb_slice_str(state)};
    if (!take_id(delegation.b, sizeof delegation, row->id) ||
        !take_id(draft.trace_id.b, sizeof draft.trace_id, row->trace_id) ||
        !take_id(draft.span_id.b, sizeof draft.span_id, row->span_id))
        return wb_fail(err, WB_ERR_REJECTED, "not a delegation row");
    wb_hex(delegation.b, sizeof delegation, id);
    const wb_otlp_attr attrs[] = {
        WB_ATTR_TEXT("waybill.span.type", WB_S("event")),
        WB_ATTR_TEXT("waybill.delegation.id", wb_slice_str(id)),
        WB_ATTR_INT("waybill.delegation.version", (int64_t)row->version),
        WB_ATTR_TEXT("waybill.delegation.state", wb_slice_str(state)),
        {WB_S("waybill.delegation.target"),
         text_or_none(row->target_agent_id[0] ? row->target_agent_id : row->target_url)},
        {WB_S("waybill.token.unsigned_reason"), text_or_none(row->unsigned_reason)},
        {WB_S("a2a.method.name"), text_or_none(row->method)},
        {WB_S("a2a.task.id"), text_or_none(row->task_id)},
        {WB_S("a2a.task.state"), text_or_none(row->task_state)},
        {WB_S("gen_ai.conversation.id"), text_or_none(row->context_id)},
        {WB_S("gen_ai.agent.name"), text_or_none(row->target_name)},
        {WB_S("error.type"), text_or_none(row->error_type)},
    };
    draft.attrs = attrs;
    draft.attr_count = WB_COUNT(attrs);
    WB_AUTO_BUFFER payload;
    wb_buffer_init(&payload, BUILT_MAX_BYTES);
    wb_status status = build(&draft, origin, &payload, err);
    if (status == WB_ERR_MALFORMED) return wb_fail(err, WB_ERR_REJECTED, "not a delegation row");
    return status == WB_OK ? append_body(wb_buffer_slice(&payload), out, err) : status;
}

wb_status wb_otlp_delegation_log(wb_slice payload, const wb_exporter_origin *origin,
                                 wb_arena *arena, wb_buffer *out, wb_error *err)
{
    errno = 0;
    ProtobufCAllocator *allocator = wb_arena_allocator(arena);
    const Waybill__V1__DelegationRow *row =
        waybill__v1__delegation_row__unpack(allocator, payload.len, payload.ptr);
    if (!row && errno == ENOMEM)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a delegation row");
    if (!row) return wb_fail(err, WB_ERR_REJECTED, "not a delegation row");
    return draft_and_build(row, origin, out, err);
}
