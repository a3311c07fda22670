/* SPDX-License-Identifier: Apache-2.0 */
/* The runner's window holds records of all kinds. Each signal's become requests of at most
 * max_request_bytes, traces first; the first failure ends the send, and the runner comes again with the
 * same records. What got through before is remembered by its place (`marks`), so that it does not go
 * twice: backends keep doubles. After a restart nothing is remembered, and the window in hand may double.
 *
 * A request that is refused as a whole goes back to the runner, which halves its window down to the one
 * record, and a record of spans down to the span. Log records and metrics of one record are halved here
 * (`by_items`), and those that nobody takes are counted as dropped. The same way a record that is larger
 * than a request may be goes out in several, and a send that is cut off goes on behind the last good one.
 *
 * A server error (500, INTERNAL ...) is a server that is down, or one that falls over this very request.
 * It is taken for the first until it has lasted SUSPECT_NS; then the request is refused in the server's
 * stead until the runner has found and parked one record or span. If the server is down after all, that is
 * one in so many seconds, kept in the parked file; if not, the rest flows again. */
#include "exporters/otlp/deliver.h"

#include "core/clock.h"
#include "core/crc32c.h"
#include "exporters/otlp/delegation_log.h"
#include "proto/log_batch.h"
#include "proto/otlp_split.h"
#include "proto/span_batch.h"

#include <stdio.h>

enum { SUSPECT_ERRORS = 5 };
static const uint64_t SUSPECT_NS = 60 * WB_NS_PER_S;

/* One send, and within it one signal. */
typedef struct sending {
    wb_otlp_delivery *d;
    const wb_record_view *records;
    size_t n;
    uint64_t deadline_ns;
    wb_export_result *result;
    wb_error *err;
    wb_signal signal;
    wb_slice *bodies;              /* of the signal's records that are still to go */
    const wb_record_view **owners; /* whose they are */
    size_t n_bodies;
} sending;

static const wb_otlp_target *target_of(const sending *s)
{
    return &s->d->settings->targets[s->signal];
}

static wb_status say(const sending *s, wb_status status, const char *text)
{
    const wb_otlp_target *target = target_of(s);
    return wb_fail(s->err, status, "%s to %.60s:%u: %s", wb_otlp_signal_name(s->signal),
                   target->host, target->port, text[0] ? text : "refused without a word");
}

/* ---- places --------------------------------------------------------------------------------- */

static wb_otlp_mark mark_of(const wb_record_view *record)
{
    return (wb_otlp_mark){.seq = record->seq,
                          .entry = record->entry,
                          .crc = wb_crc32c(0, record->payload.ptr, record->payload.len),
                          .len = record->payload.len};
}

static bool is_same(const wb_otlp_mark *a, const wb_otlp_mark *b)
{
    return a->seq == b->seq && a->entry == b->entry && a->len == b->len && a->crc == b->crc;
}

static bool is_through(const wb_otlp_mark *mark, const wb_record_view *record)
{
    if (record->seq != mark->seq) return record->seq < mark->seq;
    if (record->entry != mark->entry) return record->entry < mark->entry;
    if (record->payload.len != mark->len) return false; /* another part of it */
    wb_otlp_mark own = mark_of(record);
    return is_same(&own, mark);
}

/* ---- one request ---------------------------------------------------------------------------- */

static bool is_suspect(wb_otlp_delivery *d)
{
    uint64_t now = wb_mono(d->clock);
    if (d->server_errors == 0) d->server_errors_since_ns = now;
    if (d->server_errors < UINT32_MAX) d->server_errors++;
    if (d->server_errors >= SUSPECT_ERRORS && now - d->server_errors_since_ns >= SUSPECT_NS)
        d->suspects = true;
    return d->suspects;
}

/* `items`: what the request had; no far side can have rejected more. */
static wb_status judge(const sending *s, const wb_otlp_answer *answer, uint64_t items)
{
    wb_otlp_delivery *d = s->d;
    if (answer->is_server_error && is_suspect(d)) return say(s, WB_ERR_REJECTED, answer->text);
    if (!answer->is_server_error) d->server_errors = 0;
    if (answer->status != WB_OK) {
        s->result->retry_after_ms = answer->retry_after_ms;
        return say(s, answer->status, answer->text);
    }
    if (answer->rejected > 0 || answer->text[0]) (void)say(s, WB_OK, answer->text);
    d->rejected += answer->rejected < items ? answer->rejected : items;
    return WB_OK;
}

static uint32_t time_left(const sending *s)
{
    uint64_t now = wb_mono(s->d->clock);
    uint64_t left = now < s->deadline_ns ? (s->deadline_ns - now) / WB_NS_PER_MS : 0;
    uint32_t own = target_of(s)->timeout_ms;
    if (own > 0 && left > own) left = own;
    return left > INT32_MAX ? INT32_MAX : (uint32_t)left;
}

static uint64_t count_items(const wb_slice *bodies, size_t n)
{
    uint64_t items = 0;
    for (size_t i = 0; i < n; i++) items += wb_otlp_count_items(bodies[i]);
    return items;
}

/* FULL: it may be cut, and is larger than a request may be; nothing was sent. */
static wb_status post(const sending *s, const wb_slice *bodies, size_t n, bool may_be_cut)
{
    wb_otlp_delivery *d = s->d;
    const wb_otlp_target *target = target_of(s);
    wb_otlp_body body;
    wb_otlp_answer answer;
    wb_slice hidden[WB_OTLP_HIDDEN_MAX];
    size_t plain;
    WB_TRY(wb_otlp_encode(&d->encoder, target, s->signal, bodies, n, &body, &plain, s->err));
    if (may_be_cut && plain > d->settings->max_request_bytes) return WB_ERR_FULL;
    uint32_t timeout_ms = time_left(s);
    if (timeout_ms == 0) return say(s, WB_ERR_TIMEOUT, "slower than the time for a send");
    WB_TRY(wb_otlp_transport_post(d->transport, s->signal, &body, timeout_ms, &d->reply, s->err));
    d->reply.hidden = hidden;
    d->reply.n_hidden = wb_otlp_secrets_list(d->secrets, target, hidden);
    wb_otlp_reply_read(&d->reply, target->protocol, s->signal, wb_now(d->clock), &answer);
    d->reply.n_hidden = 0;
    return judge(s, &answer, answer.rejected > 0 ? count_items(bodies, n) : 0);
}

/* ---- one record in several requests --------------------------------------------------------- */

/* Spans are the runner's to halve, and so is a window of more than one record. */
static bool halves_here(const sending *s, const wb_record_view *record)
{
    return s->n == 1 && (record->kind == WB_ENTRY_LOGS || record->kind == WB_ENTRY_METRICS);
}

static wb_status all_bad_or_some(const sending *s, uint32_t total)
{
    uint32_t bad = s->d->progress.bad;
    s->d->progress = (wb_otlp_progress){0};
    if (bad == total) return WB_ERR_REJECTED; /* `err` is of the last of them */
    if (bad > 0 && s->err) s->err->status = WB_OK;
    s->d->rejected += bad;
    return WB_OK;
}

/* `width`: items to begin with. */
static wb_status by_items(const sending *s, size_t which, uint32_t width)
{
    wb_otlp_delivery *d = s->d;
    wb_otlp_progress *p = &d->progress;
    wb_slice body = s->bodies[which];
    uint32_t total = wb_otlp_count_items(body);
    size_t budget = d->settings->max_request_bytes;
    wb_otlp_mark own = mark_of(s->owners[which]);
    if (!is_same(&p->of, &own)) *p = (wb_otlp_progress){.of = own};
    while (p->at < total) {
        uint32_t n = wb_otlp_fit_items(body, p->at, budget);
        if (n > width) n = width;
        wb_buffer_clear(&d->part);
        if (wb_otlp_take_items(body, p->at, n, &d->part) != WB_OK)
            return wb_fail(s->err, WB_ERR_NO_MEMORY, "no memory for a request");
        wb_slice part = wb_buffer_slice(&d->part);
        wb_status status = post(s, &part, 1, n > 1);
        if (status == WB_ERR_FULL) {
            budget /= 2; /* JSON is longer than what it is made of */
        } else if (status == WB_OK) {
            p->at += n;
            width = n > UINT32_MAX / 2 ? UINT32_MAX : n * 2;
        } else if (status != WB_ERR_REJECTED || !halves_here(s, s->owners[which])) {
            return status;
        } else if (n > 1) {
            width = n / 2;
        } else {
            p->at++;
            p->bad++;
            width = 1;
        }
    }
    return all_bad_or_some(s, total);
}

/* ---- records -------------------------------------------------------------------------------- */

static wb_status whole_or_by_items(const sending *s, size_t which)
{
    const wb_record_view *owner = s->owners[which];
    wb_otlp_mark own = mark_of(owner);
    uint32_t items = wb_otlp_count_items(s->bodies[which]);
    if (is_same(&s->d->progress.of, &own) ||
        s->bodies[which].len > s->d->settings->max_request_bytes)
        return by_items(s, which, UINT32_MAX);
    wb_status status = post(s, &s->bodies[which], 1, true);
    if (status == WB_ERR_FULL) return by_items(s, which, items > 1 ? items / 2 : 1);
    if (status == WB_ERR_REJECTED && items > 1 && halves_here(s, owner))
        return by_items(s, which, items / 2);
    if (status == WB_ERR_REJECTED && s->n == 1 && items <= 1) {
        s->d->suspects = false; /* found */
        s->d->server_errors = 0;
    }
    return status;
}

static wb_status send_range(const sending *s, size_t from, size_t n)
{
    wb_status status = n == 1 ? whole_or_by_items(s, from) : post(s, s->bodies + from, n, true);
    if (status == WB_ERR_FULL) {
        WB_TRY(send_range(s, from, n / 2));
        return send_range(s, from + n / 2, n - n / 2);
    }
    if (status == WB_OK) s->d->marks[s->signal] = mark_of(s->owners[from + n - 1]);
    return status;
}

/* As many as fit, by the bytes that they have here. */
static wb_status send_bodies(const sending *s)
{
    size_t max = s->d->settings->max_request_bytes;
    for (size_t from = 0, n; from < s->n_bodies; from += n) {
        size_t bytes = s->bodies[from].len;
        for (n = 1; from + n < s->n_bodies && bytes + s->bodies[from + n].len <= max; n++)
            bytes += s->bodies[from + n].len;
        WB_TRY(send_range(s, from, n));
    }
    return WB_OK;
}

bool wb_otlp_record_signal(const wb_otlp_settings *settings, wb_entry_kind kind, wb_signal *out)
{
    switch ((int)kind) {
    case WB_ENTRY_SPANS:
    case WB_ENTRY_MARKERS: *out = WB_SIGNAL_TRACES; break;
    case WB_ENTRY_LOGS: *out = WB_SIGNAL_LOGS; break;
    case WB_ENTRY_METRICS: *out = WB_SIGNAL_METRICS; break;
    case WB_ENTRY_DELEGATION:
        *out = WB_SIGNAL_LOGS;
        if (!settings->delegation_logs) return false;
        break;
    default: return false;
    }
    return settings->targets[*out].on;
}

static wb_status delegation_body(const sending *s, wb_slice payload, wb_slice *out)
{
    wb_otlp_delivery *d = s->d;
    wb_buffer_clear(&d->part);
    wb_arena_reset(d->row_arena);
    WB_TRY(wb_otlp_delegation_log(payload, d->origin, d->row_arena, &d->part, s->err));
    if (wb_arena_dup(d->arena, wb_buffer_slice(&d->part), out) != WB_OK)
        return wb_fail(s->err, WB_ERR_NO_MEMORY, "no memory for delegations");
    return WB_OK;
}

/* The request in a record's payload; empty: there is nothing in it. */
static wb_status body_of(const sending *s, const wb_record_view *record, wb_slice *out)
{
    wb_span_batch spans;
    wb_log_batch logs;
    *out = (wb_slice){0};
    switch ((int)record->kind) {
    case WB_ENTRY_DELEGATION: return delegation_body(s, record->payload, out);
    case WB_ENTRY_METRICS:
        if (wb_otlp_count_items(record->payload) > 0) *out = record->payload;
        return WB_OK;
    case WB_ENTRY_LOGS:
        if (wb_log_batch_open(record->payload, &logs, NULL) != WB_OK)
            return wb_fail(s->err, WB_ERR_REJECTED, "not a batch of log records");
        if (logs.log_count > 0) *out = logs.body;
        return WB_OK;
    default:
        if (wb_span_batch_open(record->payload, &spans, NULL) != WB_OK)
            return wb_fail(s->err, WB_ERR_REJECTED, "not a batch of spans");
        if (spans.span_count > 0) *out = spans.body;
        return WB_OK;
    }
}

static wb_status gather(sending *s)
{
    s->bodies = wb_arena_array(s->d->arena, s->n, sizeof *s->bodies);
    s->owners = wb_arena_array(s->d->arena, s->n, sizeof *s->owners);
    s->n_bodies = 0;
    if (!s->bodies || !s->owners)
        return wb_fail(s->err, WB_ERR_NO_MEMORY, "no memory for a request");
    for (size_t i = 0; i < s->n; i++) {
        wb_signal signal;
        if (!wb_otlp_record_signal(s->d->settings, s->records[i].kind, &signal) ||
            signal != s->signal || is_through(&s->d->marks[signal], &s->records[i]))
            continue;
        WB_TRY(body_of(s, &s->records[i], &s->bodies[s->n_bodies]));
        if (s->bodies[s->n_bodies].len == 0) continue;
        s->owners[s->n_bodies++] = &s->records[i];
    }
    return WB_OK;
}

static wb_status deliver_signals(sending *s)
{
    static const wb_signal order[] = {WB_SIGNAL_TRACES, WB_SIGNAL_LOGS, WB_SIGNAL_METRICS};
    for (size_t i = 0; i < WB_COUNT(order); i++) {
        s->signal = order[i];
        if (!target_of(s)->on) continue;
        wb_arena_reset(s->d->arena);
        WB_TRY(gather(s));
        WB_TRY(send_bodies(s));
    }
    return WB_OK;
}

wb_status wb_otlp_deliver(wb_otlp_delivery *d, const wb_record_view *records, size_t n,
                          uint32_t timeout_ms, wb_export_result *result, wb_error *err)
{
    sending s = {.d = d,
                 .records = records,
                 .n = n,
                 .deadline_ns = wb_mono(d->clock) + timeout_ms * WB_NS_PER_MS,
                 .result = result,
                 .err = err};
    *result = (wb_export_result){0};
    wb_status status = deliver_signals(&s);
    if (status != WB_OK) return status;
    result->accepted = (uint32_t)n;
    result->rejected = d->rejected > UINT32_MAX ? UINT32_MAX : (uint32_t)d->rejected;
    d->rejected = 0;
    return WB_OK;
}
