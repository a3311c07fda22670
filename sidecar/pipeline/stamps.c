/* SPDX-License-Identifier: Apache-2.0 */
/* The stamp that ties a span or a log record to an acceptance counts only if this sidecar made that acceptance.
 *
 * Only what is stamped itself is of an acceptance. That a span shares a trace with it is no proof: a caller who
 * sends two messages under one trace has two acceptances here, of two sessions perhaps. So nothing is guessed
 * for spans beside it.
 *
 * A batch is gone over twice, so that the state behind the view is locked once, for all stamps, and not while
 * spans are read or edited. Those of a batch mostly have the same stamp; of an agent that works on several
 * messages at once they take turns, which is why the last few are looked through. */
#include "sidecar/pipeline/stamps.h"

#include "proto/otlp_edit.h"
#include "sidecar/pipeline/redact.h"

#define STAMP WB_S("waybill.acceptance.id")
#define CLAIMED WB_S("claimed.waybill.acceptance.id")
#define SESSION WB_S("session.id")

enum { LOOK_BACK = 64, FIRST_STAMPS = 16 };

typedef struct follower {
    wb_batch *batch;
    wb_otlp_owner kind;
    const wb_key_set *sessions;
    wb_attr_room *room;
    wb_stamp *stamps;
    uint32_t n, cap;
    uint32_t total;  /* when all are gathered; then `n` counts once more which ones were met */
    wb_attr *fields; /* what each stamp's spans are given, made for the first of them */
} follower;

/* Its place among the stamps, or n. */
static uint32_t find(const follower *f, wb_slice value, uint32_t from)
{
    uint32_t look = f->n < LOOK_BACK ? f->n : LOOK_BACK;
    if (from < f->n && wb_slice_eq_short(f->stamps[from].value, value)) return from;
    for (uint32_t i = f->n; i > f->n - look; i--)
        if (wb_slice_eq_short(f->stamps[i - 1].value, value)) return i - 1;
    return f->n;
}

static wb_status add(follower *f, wb_slice value)
{
    if (f->n == f->cap) {
        uint32_t cap = f->cap ? 2 * f->cap : FIRST_STAMPS;
        wb_stamp *grown = wb_arena_array(f->batch->arena, cap, sizeof *grown);
        if (!grown) return WB_ERR_NO_MEMORY;
        if (f->n > 0) memcpy(grown, f->stamps, f->n * sizeof *grown);
        f->stamps = grown;
        f->cap = cap;
    }
    f->stamps[f->n++] = (wb_stamp){.value = value};
    return WB_OK;
}

static wb_status gather(follower *f)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < f->batch->span_count; i++) {
        const wb_attr *stamp = wb_attrs_find(&f->batch->spans[i].attrs, STAMP);
        if (!stamp) continue;
        last = find(f, stamp->value, last);
        if (last == f->n) WB_TRY(add(f, stamp->value));
    }
    return WB_OK;
}

static bool says_session(const follower *f, const wb_span *span)
{
    wb_slice key, value;
    const uint8_t *starts = f->sessions->starts;
    wb_otlp_iter arrived = {wb_batch_bytes(f->batch, span->extent)};
    while (wb_otlp_next_starting(&arrived, f->kind, starts, &key, &value))
        if (wb_key_set_find(f->sessions, key)) return true;
    for (const wb_attr *a = span->attrs.first; a; a = a->next) {
        if (a->state != WB_ATTR_APPENDED) continue;
        wb_otlp_iter appended = {a->field};
        while (wb_otlp_next_starting(&appended, f->kind, starts, &key, &value))
            if (wb_key_set_find(f->sessions, key)) return true;
    }
    return false;
}

static wb_status append(const follower *f, wb_span *span, const wb_attr *ready)
{
    return wb_batch_append(f->batch, &span->attrs, ready->key, ready->value, ready->field);
}

static wb_status hand_on(const follower *f, wb_span *span, const wb_stamp *stamp, wb_attr *ready)
{
    const wb_otlp_attr session = {SESSION, {.type = WB_VALUE_TEXT, .text = stamp->session}};
    if (ready->field.len == 0)
        WB_TRY(wb_otlp_encode_attr(f->batch->arena, f->kind, &session, ready));
    if (ready->field.len > f->room->bytes) return WB_OK;
    f->room->bytes -= ready->field.len;
    return append(f, span, ready);
}

static wb_status claim(const follower *f, wb_span *span, wb_attr *stamp, wb_attr *ready)
{
    if (ready->field.len == 0) {
        WB_TRY(wb_otlp_rename_attr(f->batch, &span->attrs, f->kind, stamp, CLAIMED));
        *ready = *span->attrs.last;
        return WB_OK;
    }
    WB_TRY(append(f, span, ready));
    wb_batch_mask(f->batch, &span->attrs, stamp);
    return WB_OK;
}

/* The same walk as gather's, so it comes by the same stamps at the same spans. */
static wb_status follow(follower *f)
{
    uint32_t at = 0;
    f->total = f->n;
    f->n = 0;
    f->fields = wb_arena_array(f->batch->arena, f->total, sizeof *f->fields);
    if (!f->fields) return WB_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < f->batch->span_count; i++) {
        wb_span *span = &f->batch->spans[i];
        wb_attr *stamp = wb_attrs_find(&span->attrs, STAMP);
        if (!stamp) continue;
        at = find(f, stamp->value, at);
        if (at == f->n) f->n++; /* here gather() added it */
        WB_ASSERT(f->n <= f->total);
        const wb_stamp *known = &f->stamps[at];
        if (!known->is_known)
            WB_TRY(claim(f, span, stamp, &f->fields[at]));
        else if (f->sessions && known->session.len > 0 && !says_session(f, span))
            WB_TRY(hand_on(f, span, known, &f->fields[at]));
    }
    return WB_OK;
}

/* What came in a message and not in telemetry has seen no redaction yet. */
static wb_status redact(const wb_stage_view *view, wb_arena *arena, wb_slice *session)
{
    wb_value made = {.type = WB_VALUE_TEXT, .text = *session};
    wb_redacted done = {0};
    if (!view->redactor || session->len == 0) return WB_OK;
    if (view->redact->secrets) WB_TRY(wb_redact_text(made.text, arena, &made.text, &done));
    if (wb_redact_looks_at_field(view->redact, WB_CANON_SESSION_ID))
        WB_TRY(wb_redact_made(view->redactor, view->redact, SESSION, made, arena, &made));
    *session = made.type == WB_VALUE_TEXT ? made.text : (wb_slice){NULL, 0};
    return WB_OK;
}

wb_status wb_stamps_follow(const wb_stage_view *view, wb_batch *batch, wb_otlp_owner kind,
                           const wb_key_set *sessions, wb_attr_room *room)
{
    follower f = {.batch = batch, .kind = kind, .sessions = sessions, .room = room};
    if (!view->look_up) return WB_OK;
    WB_TRY(gather(&f));
    if (f.n == 0) return WB_OK;
    WB_TRY(view->look_up(view->ctx, f.stamps, f.n, batch->arena));
    for (uint32_t i = 0; sessions && i < f.n; i++)
        WB_TRY(redact(view, batch->arena, &f.stamps[i].session));
    return follow(&f);
}
