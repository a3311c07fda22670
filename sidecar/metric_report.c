/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are cumulative since the process started, so a record that is refused because the journal is full, or is
 * dropped from a backend's queue, costs nobody anything: the next one says it all again. That is why it is new work,
 * the first that a full journal does without.
 *
 * A report is made of records of bounded size, one transaction each: with many series, in small segments, several.
 * Then their points have times a second apart; each series is in one of them. */
#include "sidecar/metric_report.h"

#include "core/log.h"
#include "proto/metric_build.h"
#include "sidecar/exporters.h"
#include "sidecar/pipeline/series.h"

#include <stdlib.h>
#include <time.h>

enum {
    RECORD_BYTES = 256 * 1024,
    FRAME_OVERHEAD = 16 * 1024, /* of a frame and a segment, with room to spare */
    ENVELOPE_BYTES = 8 * 1024,  /* resource, scope, and each metric's name and description */
    RECORD_SERIES = 512,
    ATTRS_MAX = WB_LABELS + 1,
    ARENA_BYTES = 1024 * 1024,
    PAUSE_NS = 5 * 1000 * 1000,
};

struct wb_metric_report {
    wb_txn txn;
    wb_sidecar *sidecar;
    wb_buffer payload;   /* while it is in the writer's hands */
    atomic_bool in_hand; /* so is `status` */
    wb_status status;
    uint64_t begun_mono;      /* the last report */
    uint64_t spans, reported; /* counted when it began; when the last whole one did */
    size_t at, next,
        n; /* series: those behind `at` are to be written; `next`: with this record; 0, 0: none is */
};

static size_t record_bytes(const wb_metric_report *r)
{
    uint64_t segment = r->sidecar->config->journal_segment_bytes - FRAME_OVERHEAD;
    return (segment < RECORD_BYTES ? (size_t)segment : RECORD_BYTES) - ENVELOPE_BYTES;
}

/* ---- one record ----------------------------------------------------------------------------- */

static wb_value value_of(wb_series_label label, wb_slice text)
{
    wb_value value = {.type = WB_VALUE_TEXT, .text = text};
    if (label != WB_LABEL_SERVER_PORT || text.len == 0) return value;
    value = (wb_value){.type = WB_VALUE_INT, .integer = 0};
    for (size_t i = 0; i < text.len; i++) value.integer = value.integer * 10 + (text.ptr[i] - '0');
    return value;
}

static size_t put_attrs(const wb_series *series, wb_otlp_attr out[ATTRS_MAX])
{
    const wb_stream *stream = &wb_streams[series->stream];
    size_t n = 0;
    if (series->overflow) {
        out[0] = (wb_otlp_attr)WB_ATTR_BOOL("otel.metric.overflow", true);
        return 1;
    }
    for (unsigned i = 0; i < WB_LABELS; i++)
        if (series->labels[i].len > 0)
            out[n++] = (wb_otlp_attr){wb_slice_str(wb_series_label_key((wb_series_label)i)),
                                      value_of((wb_series_label)i, series->labels[i])};
    if (stream->fixed_key)
        out[n++] = (wb_otlp_attr){wb_slice_str(stream->fixed_key),
                                  value_of(WB_LABELS, wb_slice_str(stream->fixed_value))};
    return n;
}

typedef struct drafts {
    wb_metric_point *points[WB_STREAMS]; /* by the metric's first stream */
    size_t n[WB_STREAMS];
    wb_metric_draft metrics[WB_STREAMS];
} drafts;

/* False: no memory. */
static bool read_series(const wb_series *series, wb_arena *arena, wb_metric_point *out)
{
    const wb_bounds *bounds = wb_streams[series->stream].bounds;
    wb_otlp_attr *attrs = wb_arena_array(arena, ATTRS_MAX, sizeof *attrs);
    if (!attrs) return false;
    *out = (wb_metric_point){.attrs = attrs, .attr_count = put_attrs(series, attrs)};
    if (bounds)
        wb_histogram_read(&series->histogram, bounds, &out->histogram);
    else
        out->value = atomic_load_explicit(&series->value, memory_order_relaxed);
    return true;
}

/* As many as one record may have, from `at` on; sets `next`. */
static wb_status draft(wb_metric_report *r, wb_arena *arena, drafts *out)
{
    const wb_series_table *table = r->sidecar->series;
    size_t left = record_bytes(r), most = r->n - r->at;
    if (most > RECORD_SERIES) most = RECORD_SERIES;
    for (r->next = r->at; r->next < r->at + most; r->next++) {
        const wb_series *series = wb_series_at(table, r->next);
        size_t first = wb_stream_first(series->stream);
        wb_metric_point point;
        if (!read_series(series, arena, &point)) return WB_ERR_NO_MEMORY;
        size_t size = wb_metric_point_size(wb_streams[first].bounds, &point);
        if (size > left) break;
        left -= size;
        if (!out->points[first])
            out->points[first] = wb_arena_array(arena, most, sizeof *out->points[first]);
        if (!out->points[first]) return WB_ERR_NO_MEMORY;
        out->points[first][out->n[first]++] = point;
    }
    WB_ASSERT(r->next > r->at); /* labels are short: one fits into the smallest segment */
    for (size_t i = 0; i < WB_STREAMS; i++)
        out->metrics[i] = (wb_metric_draft){.name = wb_slice_str(wb_streams[i].name),
                                            .description = wb_slice_str(wb_streams[i].description),
                                            .unit = wb_slice_str(wb_streams[i].unit),
                                            .bounds = wb_streams[i].bounds,
                                            .points = out->points[i],
                                            .point_count = out->n[i]};
    return WB_OK;
}

/* The journal's id tells sidecars of one name apart, and stays when one is restarted. */
static wb_status build(wb_metric_report *r, wb_error *err)
{
    char instance[WB_ID_HEX + 1];
    wb_otlp_attr resource[WB_OWN_RESOURCE_MAX + 1];
    const wb_id id = wb_journal_id(r->sidecar->journal);
    drafts all = {.n = {0}};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena || draft(r, arena, &all) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for metrics");
    wb_hex(id.b, sizeof id.b, instance);
    const wb_world *world = wb_world_take(r->sidecar->worlds);
    size_t n = wb_own_resource(wb_sidecar_agent_in(r->sidecar, world), resource);
    resource[n] = (wb_otlp_attr)WB_ATTR_TEXT("service.instance.id", wb_slice_str(instance));
    const wb_span_origin origin = {.resource = resource,
                                   .resource_count = n + 1,
                                   .scope_name = WB_S("waybill.sidecar"),
                                   .scope_version = WB_S(WAYBILL_VERSION)};
    wb_status status = wb_metrics_build(&origin, all.metrics, WB_STREAMS, r->sidecar->started_ns,
                                        wb_now(r->sidecar->clock), &r->payload, err);
    wb_world_drop(world);
    return status;
}

static wb_status prepare(wb_txn *txn, wb_state *state, wb_txn_entries *out, wb_error *err)
{
    wb_metric_report *r = (wb_metric_report *)(void *)txn;
    (void)state;
    (void)err;
    wb_txn_add(out, WB_ENTRY_METRICS, wb_buffer_slice(&r->payload));
    return WB_OK;
}

static void done(wb_txn *txn, wb_status status, const wb_error *err)
{
    wb_metric_report *r = (wb_metric_report *)(void *)txn;
    (void)err; /* the writer's other work says what is wrong with the journal */
    r->status = status;
    atomic_store(&r->in_hand, false);
}

/* ---- when ----------------------------------------------------------------------------------- */

static void give_up(wb_metric_report *r) { r->at = r->next = r->n = 0; }

static bool is_wanted(const wb_metric_report *r, bool now)
{
    const wb_world *world = wb_world_take(r->sidecar->worlds);
    uint64_t interval_ns = world->config.metrics_interval_s * WB_NS_PER_S;
    wb_world_drop(world);
    if (interval_ns == 0 || wb_series_spans(r->sidecar->series) == r->reported) return false;
    if (!now && wb_mono(r->sidecar->clock) - r->begun_mono < interval_ns) return false;
    return wb_exporters_take(r->sidecar->exporters, WB_ENTRY_METRICS);
}

static void write_record(wb_metric_report *r)
{
    wb_error err;
    wb_buffer_clear(&r->payload);
    if (build(r, &err) != WB_OK) {
        WB_LOG(DEBUG, "metrics.not_written", "the next report says it all again",
               WB_KV("error", (const char *)err.detail));
        give_up(r);
        return;
    }
    atomic_store(&r->in_hand, true);
    wb_writer_submit(r->sidecar->writer, &r->txn);
}

/* What became of the last record. */
static void take_outcome(wb_metric_report *r)
{
    if (r->next == 0) return;
    r->at = r->next;
    if (r->status != WB_OK) {
        give_up(r);
    } else if (r->at == r->n) {
        r->reported = r->spans;
        give_up(r);
    }
    if (r->n == 0) wb_buffer_done(&r->payload); /* an idle sidecar holds nothing */
}

/* False: there is nothing to write. */
static bool step(wb_metric_report *r, bool now)
{
    take_outcome(r);
    if (r->n == 0) {
        if (!is_wanted(r, now)) return false;
        r->begun_mono = wb_mono(r->sidecar->clock);
        r->spans = wb_series_spans(
            r->sidecar->series); /* before their number: what comes later is said later */
        r->n = wb_series_number(r->sidecar->series);
        if (r->n == 0) return false;
    }
    write_record(r);
    return r->n > 0;
}

void wb_metric_report_tick(wb_metric_report *r)
{
    if (!atomic_load(&r->in_hand)) (void)step(r, false);
}

static bool wait_for_writer(const wb_metric_report *r, uint64_t end_mono)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    while (atomic_load(&r->in_hand)) {
        if (wb_mono(&wb_system_clock) >= end_mono) return false;
        (void)nanosleep(&pause, NULL);
    }
    return true;
}

void wb_metric_report_finish(wb_metric_report *r, uint64_t end_mono)
{
    bool tried = false;
    if (!r) return;
    while (wait_for_writer(r, end_mono)) {
        if (tried && r->next > 0 && r->status != WB_OK) break;
        if (!step(r, true)) break;
        tried = true;
    }
}

wb_status wb_metric_report_new(wb_sidecar *sidecar, wb_metric_report **out, wb_error *err)
{
    wb_metric_report *r = calloc(1, sizeof *r);
    if (!r) return wb_fail(err, WB_ERR_NO_MEMORY, "metrics");
    r->sidecar = sidecar;
    r->begun_mono = wb_mono(sidecar->clock);
    r->txn.prepare = prepare;
    r->txn.done = done;
    r->txn.work = WB_WORK_NEW;
    wb_buffer_init(&r->payload, 2 * RECORD_BYTES);
    *out = r;
    return WB_OK;
}

void wb_metric_report_free(wb_metric_report *r)
{
    if (!r) return;
    wb_buffer_done(&r->payload);
    free(r);
}
