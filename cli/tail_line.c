/* SPDX-License-Identifier: Apache-2.0 */
/* One row as one line:
 *
 *   2026-01-02 03:04:06Z  span        0af7651916cd43dd  planner  chat  1.20s  ok
 *   2026-01-02 03:04:06Z  delegation  0af7651916cd43dd  planner -> writer  in_flight  3.10s
 *   2026-01-02 03:04:06Z  log         0af7651916cd43dd  planner  WARN model.slow: asked twice
 *   2026-01-02 03:04:06Z  acceptance  0af7651916cd43dd  writer <- spiffe://...  continue: verified
 *
 * The time is when the thing ended or changed, by its sender's clock; lines come in the order in which
 * they arrived. */
#include "cli/tail.h"

#include "cli/events.h"
#include "cli/trace.h"

enum { SHORT_ID = 8 };

/* ---- filters -------------------------------------------------------------------------------- */

static bool is_one_of(wb_slice wanted, const wb_slice *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (wb_slice_eq(wanted, texts[i])) return true;
    return wanted.len == 0;
}

static bool wants(const wb_tail_filter *f, const wb_trace_id *trace, const char *kind,
                  wb_slice span_type, wb_slice status)
{
    char hex[WB_TRACE_HEX + 1];
    wb_hex(trace->b, sizeof trace->b, hex);
    return wb_slice_starts(wb_slice_str(hex), f->trace) &&
           is_one_of(f->type, (wb_slice[]){wb_slice_str(kind), span_type}, 2) &&
           is_one_of(f->status, &status, 1);
}

bool wb_tail_wants_span(const wb_tail_filter *f, const wb_stored_span *s)
{
    return wants(f, &s->trace_id, "span", s->span_type, s->status) &&
           is_one_of(f->agent, (wb_slice[]){s->agent_id, s->sidecar_name}, 2);
}

bool wb_tail_wants_delegation(const wb_tail_filter *f, const wb_stored_delegation *d)
{
    const wb_slice names[] = {d->agent_id, d->sidecar_name, d->issuer, d->target_agent_id,
                              d->target_name};
    return wants(f, &d->trace_id, "delegation", WB_S(""), d->state) &&
           is_one_of(f->agent, names, WB_COUNT(names));
}

bool wb_tail_wants_acceptance(const wb_tail_filter *f, const wb_stored_acceptance *a)
{
    const wb_slice names[] = {a->agent_id, a->sidecar_name, a->issuer};
    return wants(f, &a->trace_id, "acceptance", WB_S(""), a->verdict) &&
           is_one_of(f->agent, names, WB_COUNT(names));
}

/* A log record has no status to ask for. */
bool wb_tail_wants_log(const wb_tail_filter *f, const wb_stored_log *log)
{
    return wants(f, &log->trace_id, "log", WB_S(""), WB_S("")) &&
           is_one_of(f->agent, (wb_slice[]){log->agent_id, log->sidecar_name}, 2);
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* A line in the making; a failure sticks. */
typedef struct line {
    const wb_cli *cli;
    wb_buffer *out;
    wb_status status;
} line;

static void put(line *l, const char *text)
{
    if (l->status == WB_OK) l->status = wb_buffer_add(l->out, text, strlen(text));
}

static void put_safe(line *l, wb_slice text)
{
    if (l->status == WB_OK) l->status = wb_safe_text(l->out, text);
}

static void put_colored(line *l, wb_color color, wb_slice text)
{
    put(l, wb_color_code(l->cli, color));
    put_safe(l, text);
    put(l, wb_color_code(l->cli, WB_COLOR_NONE));
}

static void begin(line *l, wb_time_ns time, const char *kind, const wb_trace_id *trace,
                  wb_slice who)
{
    char hex[WB_TRACE_HEX + 1], text[WB_TIME_TEXT];
    wb_hex(trace->b, sizeof trace->b, hex);
    put_colored(l, WB_COLOR_DIM, wb_slice_str(wb_time_text(time, text)));
    put(l, "  ");
    put(l, kind);
    put(l, &"            "[strlen(kind)]);
    put_colored(l, WB_COLOR_DIM,
                WB_ID_ABSENT(*trace) ? WB_S("-               ") : wb_slice_of(hex, 2 * SHORT_ID));
    put(l, "  ");
    put_colored(l, WB_COLOR_BOLD, who.len ? who : WB_S("?"));
}

static void put_duration(line *l, wb_time_ns from, wb_time_ns to)
{
    char text[WB_TIME_TEXT];
    put(l, "  ");
    put(l, wb_duration_text(to >= from ? to - from : UINT64_MAX, text));
}

static void put_reason(line *l, wb_slice reason)
{
    if (reason.len == 0) return;
    put(l, ": ");
    put_safe(l, reason);
}

static wb_status end(line *l)
{
    put(l, "\n");
    return l->status;
}

wb_status wb_tail_span(const wb_cli *cli, const wb_stored_span *s, wb_buffer *out)
{
    line l = {cli, out, WB_OK};
    begin(&l, s->ended_ns, "span", &s->trace_id, s->sidecar_name);
    put(&l, "  ");
    put_safe(&l, s->name);
    if (s->span_type.len > 0) {
        put(&l, " ");
        put_colored(&l, WB_COLOR_DIM, s->span_type);
    }
    put_duration(&l, s->started_ns, s->ended_ns);
    put(&l, "  ");
    put_colored(&l, wb_color_of_state(s->status), s->status);
    if (wb_slice_eq(s->status, WB_S("error")))
        put_reason(&l, s->status_message.len ? s->status_message : s->error_type);
    return end(&l);
}

wb_status wb_tail_delegation(const wb_cli *cli, const wb_stored_delegation *d, wb_buffer *out)
{
    line l = {cli, out, WB_OK};
    begin(&l, d->updated_ns, "delegation", &d->trace_id, d->sidecar_name);
    put(&l, " -> ");
    put_safe(&l, wb_delegation_target(d));
    put(&l, "  ");
    put_colored(&l, wb_color_of_state(d->state), d->state);
    put_duration(&l, d->opened_ns, d->closed_ns ? d->closed_ns : d->updated_ns);
    put_reason(&l, d->error_type.len ? d->error_type : d->unsigned_reason);
    return end(&l);
}

wb_status wb_tail_acceptance(const wb_cli *cli, const wb_stored_acceptance *a, wb_buffer *out)
{
    line l = {cli, out, WB_OK};
    begin(&l, a->finished_ns ? a->finished_ns : a->opened_ns, "acceptance", &a->trace_id,
          a->sidecar_name);
    put(&l, " <- ");
    put_safe(&l, a->issuer.len ? a->issuer : a->peer.len ? a->peer : WB_S("?"));
    put(&l, "  ");
    put_colored(&l, wb_verdict_color(a), a->verdict);
    put(&l, a->verified ? ": verified" : ": unverified");
    if (a->code.len > 0) {
        put(&l, " ");
        put_safe(&l, a->code);
    }
    put(&l, "  ");
    put_safe(&l, a->finished_ns == 0 ? WB_S("running") : a->outcome);
    if (a->finished_ns) put_duration(&l, a->opened_ns, a->finished_ns);
    return end(&l);
}

wb_status wb_tail_log(const wb_cli *cli, const wb_stored_log *log, wb_buffer *out)
{
    line l = {cli, out, WB_OK};
    wb_moment m = wb_moment_of_log(log);
    begin(&l, log->time_ns, "log", &log->trace_id, log->sidecar_name);
    if (m.severity.len + m.name.len > 0) put(&l, "  ");
    put_colored(&l, m.color, m.severity);
    if (m.severity.len > 0 && m.name.len > 0) put(&l, " ");
    put_safe(&l, m.name);
    put_reason(&l, m.text);
    return end(&l);
}
