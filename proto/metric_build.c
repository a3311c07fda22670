/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes first, bytes second, as of spans (build_parts.h). The payload has no index: nobody looks into metrics on
 * their way (otlp_walk_metrics.c).
 *
 * Points are cumulative (AGGREGATION_TEMPORALITY_CUMULATIVE): a record that is delivered twice, or never, changes
 * nothing for who reads the next one. */
#include "proto/metric_build.h"

#include "core/utf8.h"
#include "proto/build_parts.h"
#include "proto/wire.h"

enum {
    POINT_FIELDS = 2 * WB_BUILD_TIME_BYTES + 9, /* start, time, and a count or a value: fixed64 */
    CUMULATIVE = 2,
    NUMBER_ATTRS = 7,
    HISTOGRAM_ATTRS = 9,
};

static uint8_t *put_fixed(uint8_t *at, uint32_t number, uint64_t value)
{
    *at++ = WB_WIRE_TAG(number, WB_WIRE_FIXED64);
    return wb_wire_put_fixed(at, 8, value);
}

static uint64_t bits_of(double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

/* In what the metric's unit is. */
static double said(const wb_bounds *bounds, uint64_t value)
{
    return bounds->unit == WB_BOUNDS_NS ? (double)value / (double)WB_NS_PER_S : (double)value;
}

/* ---- a point -------------------------------------------------------------------------------- */

/* NumberDataPoint { start 2; time 3; as_int 6; attributes 7 }
 * HistogramDataPoint { start 2; time 3; count 4; sum 5; bucket_counts 6; explicit_bounds 7; attributes 9 } */
static size_t point_size(const wb_bounds *bounds, const wb_metric_point *p)
{
    if (!bounds)
        return POINT_FIELDS +
               wb_build_attrs_size(p->attrs, p->attr_count, (wb_otlp_owner)NUMBER_ATTRS);
    size_t size = POINT_FIELDS + 9 +
                  wb_build_attrs_size(p->attrs, p->attr_count, (wb_otlp_owner)HISTOGRAM_ATTRS);
    return size + wb_otlp_field_size(6, 8 * ((size_t)bounds->n + 1)) +
           wb_otlp_field_size(7, 8 * (size_t)bounds->n);
}

size_t wb_metric_point_size(const wb_bounds *bounds, const wb_metric_point *point)
{
    return wb_otlp_field_size(1, point_size(bounds, point));
}

static uint8_t *put_histogram(uint8_t *at, const wb_bounds *bounds, const wb_histogram_view *h)
{
    uint64_t before = 0;
    at = put_fixed(at, 4, h->count);
    at = put_fixed(at, 5, bits_of(said(bounds, h->sum)));
    at = wb_otlp_put_head(at, 6, 8 * ((size_t)bounds->n + 1));
    for (size_t i = 0; i < bounds->n; before = h->upto[i++])
        at = wb_wire_put_fixed(at, 8, h->upto[i] - before);
    at = wb_wire_put_fixed(at, 8, h->count - before);
    at = wb_otlp_put_head(at, 7, 8 * (size_t)bounds->n);
    for (size_t i = 0; i < bounds->n; i++)
        at = wb_wire_put_fixed(at, 8, bits_of(said(bounds, bounds->at[i])));
    return at;
}

static uint8_t *put_point(uint8_t *at, const wb_bounds *bounds, const wb_metric_point *p,
                          wb_time_ns start_ns, wb_time_ns now_ns)
{
    at = wb_otlp_put_head(at, 1, point_size(bounds, p));
    at = put_fixed(put_fixed(at, 2, start_ns), 3, now_ns);
    at = bounds ? put_histogram(at, bounds, &p->histogram) : put_fixed(at, 6, p->value);
    return wb_build_put_attrs(at, p->attrs, p->attr_count,
                              (wb_otlp_owner)(bounds ? HISTOGRAM_ATTRS : NUMBER_ATTRS));
}

/* ---- a metric ------------------------------------------------------------------------------- */

/* Sum { data_points 1; temporality 2; is_monotonic 3 }, Histogram without the last */
static size_t data_size(const wb_metric_draft *m)
{
    size_t size = m->bounds ? 2 : 2 + 2;
    for (size_t i = 0; i < m->point_count; i++)
        size += wb_metric_point_size(m->bounds, &m->points[i]);
    return size;
}

static uint32_t data_field(const wb_metric_draft *m) { return m->bounds ? 9 : 7; }

/* Metric { name 1; description 2; unit 3; sum 7 | histogram 9 } */
static size_t metric_size(const wb_metric_draft *m)
{
    return wb_build_text_size(1, m->name) + wb_build_text_size(2, m->description) +
           wb_build_text_size(3, m->unit) + wb_otlp_field_size(data_field(m), data_size(m));
}

static uint8_t *put_metric(uint8_t *at, const wb_metric_draft *m, wb_time_ns start_ns,
                           wb_time_ns now_ns)
{
    at = wb_otlp_put_head(at, 2, metric_size(m));
    at = wb_build_put_text(at, 1, m->name);
    at = wb_build_put_text(at, 2, m->description);
    at = wb_build_put_text(at, 3, m->unit);
    at = wb_otlp_put_head(at, data_field(m), data_size(m));
    for (size_t i = 0; i < m->point_count; i++)
        at = put_point(at, m->bounds, &m->points[i], start_ns, now_ns);
    at = wb_build_put_number(at, 2, CUMULATIVE);
    return m->bounds ? at : wb_build_put_number(at, 3, 1);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static wb_status check(const wb_span_origin *origin, const wb_metric_draft *metrics, size_t n,
                       wb_error *err)
{
    bool good = wb_build_all_text(origin->resource, origin->resource_count) &&
                wb_utf8_valid(origin->scope_name) && wb_utf8_valid(origin->scope_version);
    for (size_t i = 0; i < n && good; i++) {
        const wb_metric_draft *m = &metrics[i];
        good = wb_utf8_valid(m->name) && wb_utf8_valid(m->description) && wb_utf8_valid(m->unit);
        for (size_t k = 0; k < m->point_count && good; k++)
            good = wb_build_all_text(m->points[k].attrs, m->points[k].attr_count);
    }
    return good ? WB_OK : wb_fail(err, WB_ERR_MALFORMED, "a metric with text that is not UTF-8");
}

wb_status wb_metrics_build(const wb_span_origin *origin, const wb_metric_draft *metrics, size_t n,
                           wb_time_ns start_ns, wb_time_ns now_ns, wb_buffer *out, wb_error *err)
{
    size_t items = 0;
    uint8_t *begin;
    WB_TRY(check(origin, metrics, n, err));
    for (size_t i = 0; i < n; i++)
        if (metrics[i].point_count > 0) items += wb_otlp_field_size(2, metric_size(&metrics[i]));
    if (items == 0) return WB_OK;
    size_t resource =
        wb_build_attrs_size(origin->resource, origin->resource_count, WB_OTLP_RESOURCE);
    size_t scope =
        wb_build_text_size(1, origin->scope_name) + wb_build_text_size(2, origin->scope_version);
    size_t scope_items = wb_otlp_field_size(1, scope) + items;
    size_t resource_items = wb_otlp_field_size(1, resource) + wb_otlp_field_size(2, scope_items);
    size_t body = wb_otlp_field_size(1, resource_items);
    if (wb_buffer_reserve(out, body, &begin) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no room for %zu metrics", n);
    uint8_t *at = wb_otlp_put_head(begin, 1, resource_items);
    at = wb_otlp_put_head(at, 1, resource);
    at = wb_build_put_attrs(at, origin->resource, origin->resource_count, WB_OTLP_RESOURCE);
    at = wb_otlp_put_head(at, 2, scope_items);
    at = wb_otlp_put_head(at, 1, scope);
    at = wb_build_put_text(at, 1, origin->scope_name);
    at = wb_build_put_text(at, 2, origin->scope_version);
    for (size_t i = 0; i < n; i++)
        if (metrics[i].point_count > 0) at = put_metric(at, &metrics[i], start_ns, now_ns);
    WB_ASSERT(at == begin + body);
    return WB_OK;
}
