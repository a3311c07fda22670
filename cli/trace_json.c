/* SPDX-License-Identifier: Apache-2.0 */
/* A trace as one JSON object, the tree nested in "children". Ids are hex, times Unix nanoseconds as
 * integers, what is absent is null. The shape is documented in docs/cli.md and only ever grows. */
#include "cli/events.h"
#include "cli/trace.h"

#include "proto/otlp_json.h"

static void add_hash(wb_json_out *out, const char *key, wb_slice bytes)
{
    if (bytes.len == 0 || bytes.len > 64)
        wb_json_null(out, key);
    else
        wb_json_hex(out, key, bytes.ptr, bytes.len);
}

void wb_json_trace(wb_json_out *out, const wb_stored_trace *t)
{
    wb_json_hex(out, "trace_id", t->trace_id.b, sizeof t->trace_id.b);
    wb_json_text(out, "status", t->status);
    wb_json_number(out, "started_ns", t->started_ns);
    wb_json_number_or_null(out, "ended_ns", t->ended_ns);
    wb_json_number(out, "span_count", t->span_count);
    wb_json_number(out, "error_count", t->error_count);
    wb_json_number(out, "sidecar_count", t->sidecar_count);
    wb_json_number(out, "agent_count", t->agent_count);
    wb_json_number(out, "delegation_count", t->delegation_count);
    wb_json_number(out, "open_delegation_count", t->open_delegation_count);
    wb_json_number(out, "acceptance_count", t->acceptance_count);
    wb_json_number(out, "depth", t->depth);
    wb_json_hex(out, "root_span_id", t->root_span_id.b, sizeof t->root_span_id.b);
    wb_json_text_or_null(out, "root_name", t->root_name);
    wb_json_text_or_null(out, "root_service", t->root_service);
    wb_json_text_or_null(out, "session_id", t->session_id);
}

static void add_message(wb_json_out *out, wb_slice method, wb_slice message, wb_slice context,
                        wb_slice task, wb_slice task_state)
{
    wb_json_text_or_null(out, "method", method);
    wb_json_text_or_null(out, "message_id", message);
    wb_json_text_or_null(out, "context_id", context);
    wb_json_text_or_null(out, "task_id", task);
    wb_json_text_or_null(out, "task_state", task_state);
}

static void add_limit(wb_json_out *out, const char *key, uint64_t limit)
{
    if (limit < WB_NOLIM)
        wb_json_number(out, key, limit);
    else
        wb_json_null(out, key);
}

/* null: no token was made. Within: null is no limit. */
static void add_granted(wb_json_out *out, const wb_stored_delegation *d)
{
    if (d->currency.len == 0) {
        wb_json_null(out, "granted");
        return;
    }
    wb_json_open(out, "granted", '{');
    wb_json_text(out, "currency", d->currency);
    add_limit(out, "cost_micros", d->granted_cost_micros);
    add_limit(out, "tokens", d->granted_tokens);
    add_limit(out, "work_ms", d->granted_ms);
    wb_json_close(out, '}');
}

void wb_json_delegation(wb_json_out *out, const wb_stored_delegation *d)
{
    wb_json_hex(out, "delegation_id", d->delegation_id.b, sizeof d->delegation_id.b);
    wb_json_number(out, "version", d->version);
    wb_json_text(out, "state", d->state);
    wb_json_bool(out, "open", d->closed_ns == 0);
    wb_json_hex(out, "trace_id", d->trace_id.b, sizeof d->trace_id.b);
    wb_json_hex(out, "span_id", d->span_id.b, sizeof d->span_id.b);
    wb_json_hex(out, "parent_span_id", d->parent_id.b, sizeof d->parent_id.b);
    wb_json_hex(out, "parent_acceptance", d->parent_acceptance.b, sizeof d->parent_acceptance.b);
    wb_json_text_or_null(out, "issuer", d->issuer);
    wb_json_text_or_null(out, "sidecar", d->sidecar_name);
    wb_json_text_or_null(out, "target_name", d->target_name);
    wb_json_text_or_null(out, "target_agent_id", d->target_agent_id);
    wb_json_text_or_null(out, "target_url", d->target_url);
    add_message(out, d->method, d->message_id, d->context_id, d->task_id, d->task_state);
    wb_json_text_or_null(out, "error_type", d->error_type);
    wb_json_text_or_null(out, "event", d->event);
    wb_json_number(out, "opened_ns", d->opened_ns);
    wb_json_number(out, "updated_ns", d->updated_ns);
    wb_json_number_or_null(out, "closed_ns", d->closed_ns);
    wb_json_number_or_null(out, "deadline_ns", d->deadline_ns);
    wb_json_bool(out, "late_answer", d->late_answer);
    wb_json_number(out, "depth", d->depth);
    wb_json_number(out, "turns", d->turns);
    add_granted(out, d);
    wb_json_text_or_null(out, "unsigned_reason", d->unsigned_reason);
    wb_json_text_or_null(out, "key_id", d->key_id);
    add_hash(out, "body_digest", d->body_digest);
    add_hash(out, "token_hash", d->token_hash);
    wb_json_number_or_null(out, "token_exp_s", d->token_exp_s);
    wb_json_raw(out, "chain", d->chain);
}

void wb_json_acceptance(wb_json_out *out, const wb_stored_acceptance *a)
{
    wb_json_hex(out, "acceptance_id", a->acceptance_id.b, sizeof a->acceptance_id.b);
    wb_json_number(out, "version", a->version);
    wb_json_text(out, "verdict", a->verdict);
    wb_json_bool(out, "verified", a->verified);
    wb_json_text_or_null(out, "code", a->code);
    wb_json_raw(out, "warnings", a->warnings);
    wb_json_bool(out, "pass", a->pass);
    wb_json_bool(out, "open", a->finished_ns == 0);
    wb_json_text_or_null(out, "agent_id", a->agent_id);
    wb_json_text_or_null(out, "issuer", a->issuer);
    wb_json_text_or_null(out, "subject", a->subject);
    wb_json_text_or_null(out, "jti", a->jti);
    wb_json_text_or_null(out, "peer", a->peer);
    wb_json_hex(out, "trace_id", a->trace_id.b, sizeof a->trace_id.b);
    wb_json_hex(out, "span_id", a->span_id.b, sizeof a->span_id.b);
    wb_json_hex(out, "parent_span_id", a->parent_id.b, sizeof a->parent_id.b);
    wb_json_hex(out, "link_trace_id", a->link_trace_id.b, sizeof a->link_trace_id.b);
    wb_json_hex(out, "link_span_id", a->link_span_id.b, sizeof a->link_span_id.b);
    add_message(out, a->method, a->message_id, a->context_id, a->task_id, a->task_state);
    wb_json_text_or_null(out, "outcome", a->outcome);
    wb_json_text_or_null(out, "error_type", a->error_type);
    wb_json_number(out, "opened_ns", a->opened_ns);
    wb_json_number_or_null(out, "finished_ns", a->finished_ns);
    wb_json_number_or_null(out, "deadline_ns", a->deadline_ns);
    wb_json_number(out, "depth", a->depth);
    add_hash(out, "body_digest", a->body_digest);
    add_hash(out, "token_hash", a->token_hash);
    wb_json_number_or_null(out, "token_exp_s", a->token_exp_s);
    wb_json_raw(out, "chain", a->chain);
}

static void add_otlp(wb_json_out *out, const char *key, wb_slice message,
                     wb_status (*write)(wb_slice message, wb_buffer *text))
{
    wb_json_key(out, key);
    if (out->status == WB_OK) out->status = write(message, &out->text);
}

static wb_status write_span_attrs(wb_slice message, wb_buffer *text)
{
    return wb_otlp_attrs_json(message, WB_OTLP_SPAN, text);
}

static wb_status write_resource_attrs(wb_slice message, wb_buffer *text)
{
    return wb_otlp_attrs_json(message, WB_OTLP_RESOURCE, text);
}

void wb_json_span(wb_json_out *out, const wb_stored_span *s)
{
    wb_json_text(out, "name", s->name);
    wb_json_text(out, "kind", s->kind);
    wb_json_text(out, "status", s->status);
    wb_json_text_or_null(out, "status_message", s->status_message);
    wb_json_text_or_null(out, "service", s->service);
    wb_json_text_or_null(out, "span_type", s->span_type);
    wb_json_text_or_null(out, "error_type", s->error_type);
    wb_json_number(out, "ended_ns", s->ended_ns);
    add_otlp(out, "attributes", s->span, write_span_attrs);
    add_otlp(out, "resource", s->resource, write_resource_attrs);
    add_otlp(out, "events", s->span, wb_otlp_events_json);
    add_otlp(out, "links", s->span, wb_otlp_links_json);
}

static void add_owner(wb_json_out *out, const wb_tree_node *node)
{
    wb_json_text_or_null(out, "agent_id", node->sidecar ? node->sidecar->agent_id : WB_S(""));
    wb_json_text_or_null(out, "sidecar", node->sidecar ? node->sidecar->name : WB_S(""));
}

static void add_log(wb_json_out *out, const wb_stored_log *log)
{
    wb_json_open(out, NULL, '{');
    wb_json_log(out, log);
    wb_json_close(out, '}');
}

static void add_node(wb_json_out *out, const wb_tree *tree, const wb_tree_node *node,
                     unsigned depth);

static void add_children(wb_json_out *out, const wb_tree *tree, const wb_tree_node *node,
                         unsigned depth)
{
    bool too_deep = depth >= WB_TREE_DEPTH_MAX && node->first_child;
    wb_json_open(out, "children", '[');
    if (!too_deep)
        for (const wb_tree_node *child = node->first_child; child; child = child->next)
            add_node(out, tree, child, depth);
    wb_json_close(out, ']');
    if (too_deep) wb_json_bool(out, "children_left_out", true);
}

static void add_node(wb_json_out *out, const wb_tree *tree, const wb_tree_node *node,
                     unsigned depth)
{
    uint64_t duration = wb_tree_duration(tree, node);
    wb_json_open(out, NULL, '{');
    wb_json_hex(out, "span_id", node->span_id.b, sizeof node->span_id.b);
    wb_json_hex(out, "parent_span_id", node->parent_id.b, sizeof node->parent_id.b);
    wb_json_bool(out, "open", node->span == NULL);
    wb_json_bool(out, "orphan", node->is_orphan);
    add_owner(out, node);
    wb_json_number(out, "started_ns", node->started_ns);
    if (duration == UINT64_MAX)
        wb_json_null(out, "duration_ns");
    else
        wb_json_number(out, "duration_ns", duration);
    if (node->span) wb_json_span(out, node->span);
    wb_json_open(out, "logs", '[');
    for (size_t i = 0; i < node->n_logs; i++) add_log(out, &node->logs[i]);
    wb_json_close(out, ']');
    if (node->delegation) {
        wb_json_open(out, "delegation", '{');
        wb_json_delegation(out, node->delegation);
        wb_json_close(out, '}');
    }
    if (node->acceptance) {
        wb_json_open(out, "acceptance", '{');
        wb_json_acceptance(out, node->acceptance);
        wb_json_close(out, '}');
    }
    add_children(out, tree, node, depth + 1);
    wb_json_close(out, '}');
}

static void add_links(wb_json_out *out, const wb_tree *tree)
{
    wb_json_open(out, "linked_from", '[');
    for (size_t i = 0; i < tree->n_acceptances; i++) {
        if (WB_ID_EQ(tree->acceptances[i].trace_id, tree->trace.trace_id)) continue;
        wb_json_open(out, NULL, '{');
        wb_json_acceptance(out, &tree->acceptances[i]);
        wb_json_close(out, '}');
    }
    wb_json_close(out, ']');
}

wb_exit wb_trace_print_json(const wb_tree *tree, FILE *file)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_trace(&out, &tree->trace);
    add_children(&out, tree, &tree->top, 0);
    add_links(&out, tree);
    wb_json_open(&out, "other_logs", '[');
    for (size_t i = 0; i < tree->n_other_logs; i++) add_log(&out, tree->other_logs[i]);
    wb_json_close(&out, ']');
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, file);
    wb_json_out_done(&out);
    return code;
}
