/* SPDX-License-Identifier: Apache-2.0 */
/* One reader a row: the two engines must not differ in what they take a column for. */
#include "store/rows.h"

/* ---- columns -------------------------------------------------------------------------------- */

wb_slice wb_take_bytes(wb_columns *c) { return c->from->bytes(c->row, c->next++); }

uint64_t wb_take_number(wb_columns *c) { return c->from->number(c->row, c->next++); }

/* The schema's CHECKs keep ids of other lengths out of keys. */
void wb_take_id(wb_columns *c, void *out, size_t len)
{
    wb_slice s = wb_take_bytes(c);
    if (s.len == len)
        memcpy(out, s.ptr, len);
    else
        memset(out, 0, len);
}

/* ---- rows ----------------------------------------------------------------------------------- */

wb_stored_trace wb_read_trace(wb_columns c)
{
    wb_stored_trace row = {0};
    WB_TAKE_ID(&c, row.trace_id);
    row.status = wb_take_bytes(&c);
    row.started_ns = wb_take_number(&c);
    row.ended_ns = wb_take_number(&c);
    row.span_count = wb_take_number(&c);
    row.error_count = wb_take_number(&c);
    row.sidecar_count = wb_take_number(&c);
    row.agent_count = wb_take_number(&c);
    row.delegation_count = wb_take_number(&c);
    row.open_delegation_count = wb_take_number(&c);
    row.acceptance_count = wb_take_number(&c);
    row.depth = wb_take_number(&c);
    WB_TAKE_ID(&c, row.root_span_id);
    row.root_name = wb_take_bytes(&c);
    row.root_service = wb_take_bytes(&c);
    row.session_id = wb_take_bytes(&c);
    return row;
}

wb_stored_sidecar wb_read_sidecar(wb_columns c)
{
    wb_stored_sidecar row = {.sidecar_id = wb_take_number(&c)};
    WB_TAKE_ID(&c, row.journal_id);
    row.agent_id = wb_take_bytes(&c);
    row.name = wb_take_bytes(&c);
    row.version = wb_take_bytes(&c);
    row.isolation = wb_take_bytes(&c);
    row.first_seen_ns = wb_take_number(&c);
    row.last_seen_ns = wb_take_number(&c);
    return row;
}

wb_stored_span wb_read_span(wb_columns c)
{
    wb_stored_span row = {.span_row = wb_take_number(&c)};
    WB_TAKE_ID(&c, row.trace_id);
    WB_TAKE_ID(&c, row.span_id);
    WB_TAKE_ID(&c, row.parent_id);
    row.name = wb_take_bytes(&c);
    row.kind = wb_take_bytes(&c);
    row.status = wb_take_bytes(&c);
    row.status_message = wb_take_bytes(&c);
    row.service = wb_take_bytes(&c);
    row.span_type = wb_take_bytes(&c);
    row.error_type = wb_take_bytes(&c);
    row.session_id = wb_take_bytes(&c);
    WB_TAKE_ID(&c, row.acceptance_id);
    WB_TAKE_ID(&c, row.delegation_id);
    row.started_ns = wb_take_number(&c);
    row.ended_ns = wb_take_number(&c);
    row.sidecar_id = wb_take_number(&c);
    row.seq = wb_take_number(&c);
    row.resource_id = wb_take_number(&c);
    row.scope_id = wb_take_number(&c);
    row.span = wb_take_bytes(&c);
    row.resource = wb_take_bytes(&c);
    row.scope = wb_take_bytes(&c);
    row.agent_id = wb_take_bytes(&c);
    row.sidecar_name = wb_take_bytes(&c);
    return row;
}

wb_stored_log wb_read_log(wb_columns c)
{
    wb_stored_log row = {.log_row = wb_take_number(&c)};
    WB_TAKE_ID(&c, row.trace_id);
    WB_TAKE_ID(&c, row.span_id);
    row.time_ns = wb_take_number(&c);
    row.observed_ns = wb_take_number(&c);
    row.severity = (uint32_t)wb_take_number(&c);
    row.severity_text = wb_take_bytes(&c);
    row.event_name = wb_take_bytes(&c);
    row.body = wb_take_bytes(&c);
    row.service = wb_take_bytes(&c);
    WB_TAKE_ID(&c, row.acceptance_id);
    WB_TAKE_ID(&c, row.delegation_id);
    row.sidecar_id = wb_take_number(&c);
    row.seq = wb_take_number(&c);
    row.entry = (uint32_t)wb_take_number(&c);
    row.item = (uint32_t)wb_take_number(&c);
    row.log = wb_take_bytes(&c);
    row.resource = wb_take_bytes(&c);
    row.scope = wb_take_bytes(&c);
    row.agent_id = wb_take_bytes(&c);
    row.sidecar_name = wb_take_bytes(&c);
    return row;
}

static void read_delegation_parties(wb_columns *c, wb_stored_delegation *row)
{
    row->target_url = wb_take_bytes(c);
    row->target_agent_id = wb_take_bytes(c);
    row->target_name = wb_take_bytes(c);
    row->method = wb_take_bytes(c);
    row->message_id = wb_take_bytes(c);
    row->context_id = wb_take_bytes(c);
    row->task_id = wb_take_bytes(c);
    row->body_digest = wb_take_bytes(c);
    row->task_state = wb_take_bytes(c);
    row->error_type = wb_take_bytes(c);
    row->event = wb_take_bytes(c);
}

static uint64_t take_limit(wb_columns *c)
{
    if (!c->from->is_null(c->row, c->next)) return wb_take_number(c);
    c->next++;
    return WB_NOLIM;
}

static void read_granted(wb_columns *c, wb_stored_delegation *row)
{
    row->currency = wb_take_bytes(c);
    row->granted_cost_micros = take_limit(c);
    row->granted_tokens = take_limit(c);
    row->granted_ms = take_limit(c);
    row->turns = (uint32_t)wb_take_number(c);
}

wb_stored_delegation wb_read_delegation(wb_columns c)
{
    wb_stored_delegation row = {0};
    WB_TAKE_ID(&c, row.delegation_id);
    row.version = wb_take_number(&c);
    row.state = wb_take_bytes(&c);
    WB_TAKE_ID(&c, row.trace_id);
    WB_TAKE_ID(&c, row.span_id);
    WB_TAKE_ID(&c, row.parent_id);
    row.trace_flags = (uint32_t)wb_take_number(&c);
    WB_TAKE_ID(&c, row.parent_acceptance);
    read_delegation_parties(&c, &row);
    row.opened_ns = wb_take_number(&c);
    row.updated_ns = wb_take_number(&c);
    row.closed_ns = wb_take_number(&c);
    row.deadline_ns = wb_take_number(&c);
    row.late_answer = wb_take_number(&c) != 0;
    row.chain = wb_take_bytes(&c);
    row.unsigned_reason = wb_take_bytes(&c);
    row.token_hash = wb_take_bytes(&c);
    row.token_exp_s = wb_take_number(&c);
    row.issuer = wb_take_bytes(&c);
    row.key_id = wb_take_bytes(&c);
    row.depth = (uint32_t)wb_take_number(&c);
    read_granted(&c, &row);
    row.sidecar_id = wb_take_number(&c);
    row.seq = wb_take_number(&c);
    row.agent_id = wb_take_bytes(&c);
    row.sidecar_name = wb_take_bytes(&c);
    return row;
}

static void read_acceptance_token(wb_columns *c, wb_stored_acceptance *row)
{
    row->verdict = wb_take_bytes(c);
    row->verified = wb_take_number(c) != 0;
    row->code = wb_take_bytes(c);
    row->warnings = wb_take_bytes(c);
    row->pass = wb_take_number(c) != 0;
    row->agent_id = wb_take_bytes(c);
    row->issuer = wb_take_bytes(c);
    row->subject = wb_take_bytes(c);
    row->jti = wb_take_bytes(c);
    row->token_hash = wb_take_bytes(c);
    row->token_exp_s = wb_take_number(c);
    row->chain = wb_take_bytes(c);
    row->depth = (uint32_t)wb_take_number(c);
}

wb_stored_acceptance wb_read_acceptance(wb_columns c)
{
    wb_stored_acceptance row = {0};
    WB_TAKE_ID(&c, row.acceptance_id);
    row.version = wb_take_number(&c);
    read_acceptance_token(&c, &row);
    WB_TAKE_ID(&c, row.trace_id);
    WB_TAKE_ID(&c, row.span_id);
    WB_TAKE_ID(&c, row.parent_id);
    row.trace_flags = (uint32_t)wb_take_number(&c);
    WB_TAKE_ID(&c, row.link_trace_id);
    WB_TAKE_ID(&c, row.link_span_id);
    row.method = wb_take_bytes(&c);
    row.message_id = wb_take_bytes(&c);
    row.context_id = wb_take_bytes(&c);
    row.task_id = wb_take_bytes(&c);
    row.body_digest = wb_take_bytes(&c);
    row.peer = wb_take_bytes(&c);
    row.opened_ns = wb_take_number(&c);
    row.finished_ns = wb_take_number(&c);
    row.deadline_ns = wb_take_number(&c);
    row.outcome = wb_take_bytes(&c);
    row.error_type = wb_take_bytes(&c);
    row.task_state = wb_take_bytes(&c);
    row.sidecar_id = wb_take_number(&c);
    row.seq = wb_take_number(&c);
    row.sidecar_name = wb_take_bytes(&c);
    return row;
}

wb_stored_agent wb_read_agent(wb_columns c)
{
    wb_stored_agent row = {0};
    row.agent_id = wb_take_bytes(&c);
    row.name = wb_take_bytes(&c);
    row.version = wb_take_bytes(&c);
    row.isolation = wb_take_bytes(&c);
    row.sidecar_count = wb_take_number(&c);
    row.first_seen_ns = wb_take_number(&c);
    row.last_seen_ns = wb_take_number(&c);
    row.trace_count = wb_take_number(&c);
    row.span_count = wb_take_number(&c);
    row.error_count = wb_take_number(&c);
    row.delegation_count = wb_take_number(&c);
    row.open_delegation_count = wb_take_number(&c);
    row.failed_count = wb_take_number(&c);
    row.rejected_count = wb_take_number(&c);
    row.acceptance_count = wb_take_number(&c);
    row.unverified_count = wb_take_number(&c);
    return row;
}

wb_stored_lenience wb_read_lenience(wb_columns c)
{
    wb_stored_lenience row = {.peer = wb_take_bytes(&c)};
    row.code = wb_take_bytes(&c);
    row.is_refusal = wb_take_number(&c) != 0;
    row.count = wb_take_number(&c);
    row.last_ns = wb_take_number(&c);
    return row;
}
