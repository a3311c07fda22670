/* SPDX-License-Identifier: Apache-2.0 */
/* A log record that names a span says the same kind of thing as an event of that span: that something
 * happened in it. They are told in one line each, in one order. */
#include "cli/events.h"

#include "proto/otlp_json.h"

#include <stdlib.h>

/* logs.proto SeverityNumber: four of each. */
static wb_slice severity_name(uint32_t number)
{
    static const char *const names[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    return number >= 1 && number <= 4 * WB_COUNT(names) ? wb_slice_str(names[(number - 1) / 4])
                                                        : WB_S("");
}

wb_moment wb_moment_of_log(const wb_stored_log *log)
{
    return (wb_moment){.time_ns = log->time_ns,
                       .severity = log->severity_text.len ? log->severity_text
                                                          : severity_name(log->severity),
                       .name = log->event_name,
                       .text = log->body,
                       .color = log->severity >= 17   ? WB_COLOR_BAD
                                : log->severity >= 13 ? WB_COLOR_WARN
                                                      : WB_COLOR_DIM};
}

static wb_moment of_event(const wb_otlp_event *event)
{
    wb_slice message = wb_otlp_find_text(event->message, WB_OTLP_EVENT, WB_S("exception.message"));
    wb_slice type = wb_otlp_find_text(event->message, WB_OTLP_EVENT, WB_S("exception.type"));
    bool is_exception = wb_slice_eq(event->name, WB_S("exception"));
    return (wb_moment){.time_ns = event->time_ns,
                       .name = event->name,
                       .text = message.len ? message : type,
                       .color = is_exception ? WB_COLOR_BAD : WB_COLOR_DIM};
}

static int by_time(const void *a, const void *b)
{
    const wb_moment *x = a, *y = b;
    if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static size_t count_events(const wb_stored_span *span)
{
    size_t n = 0;
    wb_otlp_event event;
    wb_otlp_iter it = {span ? span->span : (wb_slice){NULL, 0}};
    while (wb_otlp_next_event(&it, &event)) n++;
    return n;
}

size_t wb_moments(const wb_stored_span *span, const wb_stored_log *logs, size_t n_logs,
                  wb_moment **out)
{
    size_t most = count_events(span) + n_logs, n = 0;
    wb_otlp_event event;
    wb_otlp_iter it = {span ? span->span : (wb_slice){NULL, 0}};
    *out = most > 0 ? calloc(most, sizeof **out) : NULL;
    if (!*out) return most;
    while (n < most && wb_otlp_next_event(&it, &event)) (*out)[n++] = of_event(&event);
    for (size_t i = 0; i < n_logs && n < most; i++) (*out)[n++] = wb_moment_of_log(&logs[i]);
    for (size_t i = 0; i < n; i++) (*out)[i].order = i;
    qsort(*out, n, sizeof **out, by_time);
    return n;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

void wb_json_log(wb_json_out *out, const wb_stored_log *log)
{
    wb_json_hex(out, "trace_id", log->trace_id.b, sizeof log->trace_id.b);
    wb_json_hex(out, "span_id", log->span_id.b, sizeof log->span_id.b);
    wb_json_number(out, "time_ns", log->time_ns);
    wb_json_number_or_null(out, "observed_ns", log->observed_ns);
    wb_json_number_or_null(out, "severity", log->severity);
    wb_json_text_or_null(out, "severity_text", log->severity_text);
    wb_json_text_or_null(out, "event_name", log->event_name);
    wb_json_key(out, "body");
    if (out->status == WB_OK)
        out->status = wb_otlp_value_json(wb_otlp_read_log(log->log).body, &out->text);
    wb_json_key(out, "attributes");
    if (out->status == WB_OK) out->status = wb_otlp_attrs_json(log->log, WB_OTLP_LOG, &out->text);
    wb_json_text_or_null(out, "service", log->service);
    wb_json_text_or_null(out, "agent_id", log->agent_id);
    wb_json_text_or_null(out, "sidecar", log->sidecar_name);
}
