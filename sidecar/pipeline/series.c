/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing over an array that only grows. A batch's group remembers where its series are, so of spans that are
 * alike only the first is looked up.
 *
 * A reader takes the number of series first, and what is below it is whole: the number is stored behind the series
 * (release) and loaded before it (acquire). */
#include "sidecar/pipeline/series.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/utf8.h"

/* Half of the slots are free, so nobody comes so far but who wants to: labels can be made to have one hash. */
enum { STEPS_MAX = 64 };

struct wb_series_table {
    pthread_mutex_t lock; /* guards all but the series and their number */
    size_t room, text_left;
    size_t slot_mask;
    uint16_t *slots; /* of each series its place + 1 */
    uint16_t overflow[WB_STREAMS];
    atomic_size_t n;
    atomic_ullong spans;
    wb_series *all[]; /* room for series_max and WB_STREAMS more */
};

/* ---- as text -------------------------------------------------------------------------------- */

enum {
    NAME_MORE = 24,     /* _seconds, _bucket; HELP and TYPE are said once and not counted */
    LINE_MORE = 64,     /* le, braces, the value, the end of the line */
    LABEL_MORE = 4,     /* ="", */
    HISTOGRAM_MORE = 3, /* +Inf, sum, count */
};

static size_t escaped_len(wb_slice text)
{
    size_t len = text.len;
    for (size_t i = 0; i < text.len; i++)
        len += text.ptr[i] == '\\' || text.ptr[i] == '"' || text.ptr[i] == '\n';
    return len;
}

size_t wb_series_text_bytes(size_t stream, const wb_slice labels[WB_LABELS])
{
    const wb_stream *st = &wb_streams[stream];
    size_t line = strlen(st->name) + NAME_MORE + LINE_MORE;
    if (st->fixed_key) line += strlen(st->fixed_key) + strlen(st->fixed_value) + LABEL_MORE;
    for (unsigned i = 0; i < WB_LABELS; i++)
        if (labels[i].len > 0)
            line += strlen(wb_series_label_key((wb_series_label)i)) + LABEL_MORE +
                    escaped_len(labels[i]);
    return st->bounds ? line * ((size_t)st->bounds->n + HISTOGRAM_MORE) : line;
}

size_t wb_series_overflow_text_bytes(void)
{
    static const wb_slice none[WB_LABELS];
    size_t sum = 0;
    for (size_t i = 0; i < WB_STREAMS; i++) sum += wb_series_text_bytes(i, none) * 2;
    return sum;
}

/* ---- making one ----------------------------------------------------------------------------- */

static bool is_text(const wb_slice labels[WB_LABELS])
{
    for (size_t i = 0; i < WB_LABELS; i++)
        if (!wb_utf8_valid(labels[i])) return false;
    return true;
}

/* Its place + 1; 0: no memory. */
static uint16_t make(wb_series_table *t, size_t stream, const wb_slice labels[WB_LABELS],
                     uint64_t hash, bool is_overflow)
{
    size_t bytes = 0, n = atomic_load_explicit(&t->n, memory_order_relaxed);
    for (size_t i = 0; i < WB_LABELS; i++) bytes += labels[i].len;
    wb_series *series = calloc(1, sizeof *series + bytes);
    if (!series) return 0;
    uint8_t *at = (uint8_t *)(series + 1);
    series->stream = (uint8_t)stream;
    series->hash = hash;
    series->overflow = is_overflow;
    for (size_t i = 0; i < WB_LABELS; i++) {
        if (labels[i].len == 0) continue;
        memcpy(at, labels[i].ptr, labels[i].len);
        series->labels[i] = (wb_slice){at, labels[i].len};
        at += labels[i].len;
    }
    t->all[n] = series;
    atomic_store_explicit(&t->n, n + 1, memory_order_release);
    return (uint16_t)(n + 1);
}

static uint16_t overflow(wb_series_table *t, size_t stream)
{
    static const wb_slice none[WB_LABELS];
    size_t first = wb_stream_first(stream);
    if (t->overflow[first] == 0) t->overflow[first] = make(t, first, none, 0, true);
    return t->overflow[first];
}

static uint16_t add(wb_series_table *t, size_t stream, const wb_slice labels[WB_LABELS],
                    uint64_t hash, size_t slot)
{
    size_t text = wb_series_text_bytes(stream, labels);
    if (t->room == 0 || text > t->text_left || !is_text(labels)) return overflow(t, stream);
    uint16_t place = make(t, stream, labels, hash, false);
    if (place == 0) return overflow(t, stream);
    t->room--;
    t->text_left -= text;
    t->slots[slot] = place;
    return place;
}

/* ---- counting ------------------------------------------------------------------------------- */

/* A group's labels, those that the stream has. */
static uint64_t choose(const wb_measured_group *group, size_t stream, wb_slice labels[WB_LABELS])
{
    uint64_t hash = stream + 1;
    for (uint32_t left = wb_streams[stream].labels; left; left &= left - 1) {
        unsigned label = (unsigned)__builtin_ctz(left);
        labels[label] = group->labels[label];
        hash = (hash ^ group->hashes[label]) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    return hash;
}

static bool is_series(const wb_series *series, size_t stream, const wb_slice labels[WB_LABELS],
                      uint64_t hash)
{
    if (series->hash != hash || series->stream != stream) return false;
    for (size_t i = 0; i < WB_LABELS; i++)
        if (!wb_slice_eq(series->labels[i], labels[i])) return false;
    return true;
}

static uint16_t find_or_add(wb_series_table *t, size_t stream, const wb_measured_group *group)
{
    wb_slice labels[WB_LABELS] = {{0}};
    uint64_t hash = choose(group, stream, labels);
    size_t slot = hash & t->slot_mask, steps = 0;
    for (; t->slots[slot]; slot = (slot + 1) & t->slot_mask) {
        if (is_series(t->all[t->slots[slot] - 1], stream, labels, hash)) return t->slots[slot];
        if (++steps == STEPS_MAX) return overflow(t, stream);
    }
    return add(t, stream, labels, hash, slot);
}

static uint64_t value_of(const wb_observation *o, wb_quantity quantity)
{
    if (quantity < WB_QUANTITIES) return o->of[quantity];
    return quantity == WB_OF_FAILURE || !(o->has >> WB_OF_FAILURE & 1);
}

static void count_span(wb_series_table *t, const wb_observation *o, unsigned names)
{
    wb_measured_group *group = o->group;
    if (!group->resolved) {
        group->streams = wb_streams_of((wb_measured_kind)group->kind, names);
        group->resolved = true;
    }
    for (uint32_t left = group->streams; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        const wb_stream *st = &wb_streams[i];
        if (!(o->has >> st->of & 1)) continue;
        if (group->series[i] == 0) group->series[i] = find_or_add(t, i, group);
        if (group->series[i] == 0) continue; /* no memory even for the overflow */
        wb_series *series = t->all[group->series[i] - 1];
        uint64_t value = value_of(o, (wb_quantity)st->of);
        if (st->bounds)
            wb_histogram_observe_alone(&series->histogram, st->bounds, value);
        else
            atomic_store_explicit(
                &series->value, atomic_load_explicit(&series->value, memory_order_relaxed) + value,
                memory_order_relaxed);
    }
}

void wb_series_count(wb_series_table *t, wb_measured *measured, unsigned names)
{
    uint64_t n = 0;
    if (!measured->first) return;
    pthread_mutex_lock(&t->lock);
    for (const wb_observations *block = measured->first; block; block = block->next) {
        for (size_t i = 0; i < block->n; i++) count_span(t, &block->all[i], names);
        n += block->n;
    }
    pthread_mutex_unlock(&t->lock);
    atomic_fetch_add(&t->spans, n);
}

/* ---- the table ------------------------------------------------------------------------------ */

wb_status wb_series_table_new(size_t series_max, size_t text_bytes_max, wb_series_table **out,
                              wb_error *err)
{
    WB_ASSERT(series_max <= WB_SERIES_MAX);
    size_t slots = 16;
    while (slots < 2 * series_max) slots *= 2;
    wb_series_table *t = calloc(1, sizeof *t + (series_max + WB_STREAMS) * sizeof *t->all);
    if (t) t->slots = calloc(slots, sizeof *t->slots);
    if (!t || !t->slots) {
        free(t);
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for series");
    }
    pthread_mutex_init(&t->lock, NULL);
    t->room = series_max;
    t->text_left = text_bytes_max;
    t->slot_mask = slots - 1;
    *out = t;
    return WB_OK;
}

void wb_series_table_free(wb_series_table *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n; i++) free(t->all[i]);
    pthread_mutex_destroy(&t->lock);
    free(t->slots);
    free(t);
}

size_t wb_series_number(const wb_series_table *t)
{
    return atomic_load_explicit(&t->n, memory_order_acquire);
}

const wb_series *wb_series_at(const wb_series_table *t, size_t at) { return t->all[at]; }

uint64_t wb_series_spans(const wb_series_table *t) { return atomic_load(&t->spans); }
