/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are written as integers or as decimals made of integers: no double comes in between, so a counter
 * stays exact above 2^53 and a time is what was measured. A bound is the same text in both formats, with a
 * decimal point, as OpenMetrics wants it: it is a label's value, and series must not change when a
 * server begins to ask for the other format. */
#include "sidecar/metrics_text.h"

#include <stdio.h>
#include <string.h>

enum { NS_DIGITS = 9, NS_PER_S = 1000000000 };

static void add(wb_metrics_text *t, wb_slice s)
{
    if (t->status == WB_OK) t->status = wb_buffer_add_slice(t->out, s);
}

static void add_text(wb_metrics_text *t, const char *text) { add(t, wb_slice_str(text)); }

static void add_number(wb_metrics_text *t, uint64_t value)
{
    if (t->status == WB_OK) t->status = wb_buffer_printf(t->out, "%llu", (unsigned long long)value);
}

void wb_metrics_family(wb_metrics_text *t, const char *name, wb_metric_type type, const char *help)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    size_t len = strlen(name), total = sizeof "_total" - 1;
    WB_ASSERT((type == WB_METRIC_COUNTER) ==
              (len > total && strcmp(name + len - total, "_total") == 0));
    WB_ASSERT(!strpbrk(help, "\\\"\n"));
    /* OpenMetrics: a counter's samples end in _total and its family does not. */
    if (type == WB_METRIC_COUNTER && t->open_metrics) len -= total;
    t->name = name;
    if (t->status != WB_OK) return;
    t->status = wb_buffer_printf(t->out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)len, name, help,
                                 (int)len, name, types[type]);
}

/* A backslash, a quote and the end of a line are escaped. */
static void add_escaped(wb_metrics_text *t, wb_slice value)
{
    size_t from = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.ptr[i];
        if (c != '\\' && c != '"' && c != '\n') continue;
        add(t, wb_slice_of(value.ptr + from, i - from));
        add_text(t, c == '\n' ? "\\n" : c == '"' ? "\\\"" : "\\\\");
        from = i + 1;
    }
    add(t, wb_slice_of(value.ptr + from, value.len - from));
}

static void begin(wb_metrics_text *t, const char *suffix, const wb_label *labels, size_t n)
{
    add_text(t, t->name);
    add_text(t, suffix);
    for (size_t i = 0; i < n; i++) {
        add_text(t, i == 0 ? "{" : ",");
        add_text(t, labels[i].name);
        add_text(t, "=\"");
        add_escaped(t, labels[i].value);
        add_text(t, "\"");
    }
    add_text(t, n > 0 ? "} " : " ");
}

static void add_seconds(wb_metrics_text *t, uint64_t ns)
{
    if (t->status == WB_OK)
        t->status = wb_buffer_printf(t->out, "%llu.%09llu", (unsigned long long)(ns / NS_PER_S),
                                     (unsigned long long)(ns % NS_PER_S));
}

void wb_metrics_number(wb_metrics_text *t, const wb_label *labels, size_t n, uint64_t value)
{
    begin(t, "", labels, n);
    add_number(t, value);
    add_text(t, "\n");
}

void wb_metrics_seconds(wb_metrics_text *t, const wb_label *labels, size_t n, uint64_t ns)
{
    begin(t, "", labels, n);
    add_seconds(t, ns);
    add_text(t, "\n");
}

void wb_metrics_bound(const wb_bounds *bounds, size_t at, char out[WB_BOUND_TEXT])
{
    unsigned long long value = bounds->at[at];
    if (bounds->unit == WB_BOUNDS_NUMBER) {
        (void)snprintf(out, WB_BOUND_TEXT, "%llu.0", value);
        return;
    }
    int len = snprintf(out, WB_BOUND_TEXT, "%llu.%09llu", value / NS_PER_S, value % NS_PER_S);
    for (int left = NS_DIGITS - 1; left > 0 && out[len - 1] == '0'; left--) out[--len] = '\0';
}

static void add_bucket(wb_metrics_text *t, wb_label *labels, size_t n, const char *bound,
                       uint64_t count)
{
    labels[n - 1] = (wb_label){"le", wb_slice_str(bound)};
    begin(t, "_bucket", labels, n);
    add_number(t, count);
    add_text(t, "\n");
}

void wb_metrics_histogram(wb_metrics_text *t, const wb_label *labels, size_t n,
                          const wb_histogram *histogram, const wb_bounds *bounds)
{
    wb_label all[WB_METRICS_LABELS_MAX];
    wb_histogram_view view;
    char bound[WB_BOUND_TEXT];
    WB_ASSERT(n < WB_METRICS_LABELS_MAX);
    for (size_t i = 0; i < n; i++) all[i] = labels[i];
    wb_histogram_read(histogram, bounds, &view);
    for (size_t i = 0; i < bounds->n; i++) {
        wb_metrics_bound(bounds, i, bound);
        add_bucket(t, all, n + 1, bound, view.upto[i]);
    }
    add_bucket(t, all, n + 1, "+Inf", view.count);
    begin(t, "_sum", labels, n);
    if (bounds->unit == WB_BOUNDS_NS)
        add_seconds(t, view.sum);
    else
        add_number(t, view.sum);
    add_text(t, "\n");
    begin(t, "_count", labels, n);
    add_number(t, view.count);
    add_text(t, "\n");
}

void wb_metrics_end(wb_metrics_text *t)
{
    if (t->open_metrics) add_text(t, "# EOF\n");
}
