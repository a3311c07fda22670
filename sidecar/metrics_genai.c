/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry's labels otel_scope_name and otel_scope_version are left out: there is one scope, and they would
 * stand in each of a histogram's seventeen lines. */
#include "sidecar/metrics_genai.h"

#include <stdio.h>

enum { NAME_BYTES = 96 };

/* ---- names ---------------------------------------------------------------------------------- */

static void to_prometheus(const char *name, const char *suffix, char out[NAME_BYTES])
{
    int len = snprintf(out, NAME_BYTES, "%s%s", name, suffix);
    WB_ASSERT(len > 0 && len < NAME_BYTES);
    for (char *c = out; *c; c++)
        if (*c == '.') *c = '_';
}

static void name_metric(const wb_stream *stream, char out[NAME_BYTES])
{
    const char *suffix = strcmp(stream->unit, "s") == 0 ? "_seconds" : "";
    to_prometheus(stream->name, stream->bounds ? suffix : "_total", out);
}

static wb_metric_type type_of(const wb_stream *stream)
{
    return stream->bounds ? WB_METRIC_HISTOGRAM : WB_METRIC_COUNTER;
}

/* ---- the answer ----------------------------------------------------------------------------- */

typedef struct named_labels {
    wb_label all[WB_LABELS + 1];
    char names[WB_LABELS + 1][NAME_BYTES];
    size_t n;
} named_labels;

static void add_label(named_labels *labels, const char *key, wb_slice value)
{
    char *name = labels->names[labels->n];
    to_prometheus(key, "", name);
    labels->all[labels->n++] = (wb_label){name, value};
}

static void label(const wb_series *series, named_labels *out)
{
    const wb_stream *stream = &wb_streams[series->stream];
    out->n = 0;
    if (series->overflow) {
        add_label(out, "otel.metric.overflow", WB_S("true"));
        return;
    }
    for (unsigned i = 0; i < WB_LABELS; i++)
        if (series->labels[i].len > 0)
            add_label(out, wb_series_label_key((wb_series_label)i), series->labels[i]);
    if (stream->fixed_key) add_label(out, stream->fixed_key, wb_slice_str(stream->fixed_value));
}

static void print_series(wb_metrics_text *text, const wb_series *series)
{
    named_labels labels;
    const wb_stream *stream = &wb_streams[series->stream];
    label(series, &labels);
    if (stream->bounds)
        wb_metrics_histogram(text, labels.all, labels.n, &series->histogram, stream->bounds);
    else
        wb_metrics_number(text, labels.all, labels.n,
                          atomic_load_explicit(&series->value, memory_order_relaxed));
}

void wb_metrics_genai_print(wb_metrics_text *text, const wb_series_table *table)
{
    size_t n = wb_series_number(table);
    char name[NAME_BYTES];
    for (size_t first = 0; first < WB_STREAMS; first++) {
        if (wb_stream_first(first) != first) continue;
        name_metric(&wb_streams[first], name);
        wb_metrics_family(text, name, type_of(&wb_streams[first]), wb_streams[first].description);
        for (size_t i = 0; i < n; i++)
            if (wb_stream_first(wb_series_at(table, i)->stream) == first)
                print_series(text, wb_series_at(table, i));
    }
}

/* ---- the reference -------------------------------------------------------------------------- */

static wb_status describe_labels(size_t first, wb_buffer *out)
{
    char name[NAME_BYTES];
    uint32_t labels = 0;
    const char *comma = "";
    for (size_t i = first; i < WB_STREAMS && wb_stream_first(i) == first; i++)
        labels |= wb_streams[i].labels;
    for (uint32_t left = labels; left; left &= left - 1) {
        to_prometheus(wb_series_label_key((wb_series_label)__builtin_ctz(left)), "", name);
        WB_TRY(wb_buffer_printf(out, "%s%s", comma, name));
        comma = ", ";
    }
    if (!wb_streams[first].fixed_key) return WB_OK;
    to_prometheus(wb_streams[first].fixed_key, "", name);
    return wb_buffer_printf(out, "%s%s", comma, name);
}

wb_status wb_metrics_genai_rows(wb_buffer *out)
{
    char name[NAME_BYTES];
    for (size_t first = 0; first < WB_STREAMS; first++) {
        const wb_stream *stream = &wb_streams[first];
        if (wb_stream_first(first) != first) continue;
        name_metric(stream, name);
        WB_TRY(wb_buffer_printf(out, "| `%s` | %s | ", name,
                                stream->bounds ? "histogram" : "counter"));
        WB_TRY(describe_labels(first, out));
        WB_TRY(wb_buffer_printf(out, " | %s |\n", stream->description));
    }
    return WB_OK;
}

/* The metrics of one ladder, if `at` is the first of them. */
static wb_status name_all_of(size_t at, wb_buffer *out)
{
    char name[NAME_BYTES];
    for (size_t i = at; i < WB_STREAMS; i++) {
        if (wb_streams[i].bounds != wb_streams[at].bounds || wb_stream_first(i) != i) continue;
        name_metric(&wb_streams[i], name);
        WB_TRY(wb_buffer_printf(out, "%s%s", i == at ? "" : ", ", name));
    }
    return WB_OK;
}

static bool is_first_of_ladder(size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (wb_streams[i].bounds == wb_streams[at].bounds) return false;
    return true;
}

wb_status wb_metrics_genai_buckets(wb_buffer *out)
{
    char bound[WB_BOUND_TEXT];
    for (size_t at = 0; at < WB_STREAMS; at++) {
        const wb_bounds *bounds = wb_streams[at].bounds;
        if (!bounds || !is_first_of_ladder(at)) continue;
        WB_TRY(name_all_of(at, out));
        WB_TRY(
            wb_buffer_printf(out, ", in %s:", bounds->unit == WB_BOUNDS_NS ? "seconds" : "tokens"));
        for (size_t i = 0; i < bounds->n; i++) {
            wb_metrics_bound(bounds, i, bound);
            WB_TRY(wb_buffer_printf(out, " %s", bound));
        }
        WB_TRY(wb_buffer_printf(out, ".\n\n"));
    }
    return WB_OK;
}
