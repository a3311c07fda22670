/* SPDX-License-Identifier: Apache-2.0 */
/* The columns that queries filter by come from the span index and a single pass over the attributes;
 * everything else stays in the OTLP bytes beside them. Rows of delegations and acceptances are unpacked
 * into the arena; protobuf-c checks no lengths, so ids that key the tables are looked at here. */
#include "proto/store_cells.h"

#include "core/delegation_state.h"
#include "core/json.h"
#include "proto/arena_alloc.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"

#include <errno.h>

/* ---- cells ---------------------------------------------------------------------------------- */

static wb_cell *next(wb_cells *c)
{
    WB_ASSERT(c->n < WB_CELLS_MAX);
    c->of[c->n] = (wb_cell){.type = WB_CELL_NULL};
    return &c->of[c->n++];
}

static void put_number(wb_cells *c, uint64_t number)
{
    int64_t value = number > INT64_MAX ? INT64_MAX : (int64_t)number;
    *next(c) = (wb_cell){.type = WB_CELL_NUMBER, .number = value};
}

static void put_number_or_null(wb_cells *c, uint64_t number)
{
    if (number == 0)
        (void)next(c);
    else
        put_number(c, number);
}

static void put_bool(wb_cells *c, bool is)
{
    *next(c) = (wb_cell){.type = WB_CELL_BOOL, .number = is};
}

static void put_text(wb_cells *c, wb_slice text)
{
    *next(c) = (wb_cell){.type = text.len ? WB_CELL_TEXT : WB_CELL_NULL, .bytes = text};
}

static void put_str(wb_cells *c, const char *text) { put_text(c, wb_slice_str(text)); }

static void put_bytes(wb_cells *c, wb_slice bytes)
{
    *next(c) = (wb_cell){.type = bytes.len ? WB_CELL_BYTES : WB_CELL_NULL, .bytes = bytes};
}

static void put_data(wb_cells *c, ProtobufCBinaryData data)
{
    put_bytes(c, wb_slice_of(data.data, data.len));
}

static void put_id(wb_cells *c, const void *id, size_t len)
{
    put_bytes(c, wb_id_is_zero(id, len) ? (wb_slice){NULL, 0} : wb_slice_of(id, len));
}

/* ---- spans ---------------------------------------------------------------------------------- */

typedef struct span_columns {
    wb_slice span_type, error_type, session_id, conversation_id;
    wb_slice acceptance_hex, delegation_hex;
} span_columns;

static span_columns read_columns(wb_slice span)
{
    span_columns c = {0};
    wb_otlp_iter it = {span};
    wb_otlp_attr attr;
    while (wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr)) {
        if (attr.value.type != WB_VALUE_TEXT) continue;
        wb_slice key = attr.key, text = attr.value.text;
        if (wb_slice_eq(key, WB_S("waybill.span.type"))) c.span_type = text;
        if (wb_slice_eq(key, WB_S("error.type"))) c.error_type = text;
        if (wb_slice_eq(key, WB_S("session.id"))) c.session_id = text;
        if (wb_slice_eq(key, WB_S("gen_ai.conversation.id"))) c.conversation_id = text;
        if (wb_slice_eq(key, WB_S("waybill.acceptance.id"))) c.acceptance_hex = text;
        if (wb_slice_eq(key, WB_S("waybill.delegation.id"))) c.delegation_hex = text;
    }
    if (c.session_id.len == 0) c.session_id = c.conversation_id;
    return c;
}

/* Absent unless 32 hex digits. */
static void put_hex_id(wb_cells *c, wb_slice hex, uint8_t id[16])
{
    bool good = hex.len == WB_ID_HEX && wb_unhex(hex, id, 16) == WB_OK;
    if (good)
        put_id(c, id, 16);
    else
        (void)next(c);
}

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {
        [WB_SPAN_UNSPECIFIED] = "unspecified", [WB_SPAN_INTERNAL] = "internal",
        [WB_SPAN_SERVER] = "server",           [WB_SPAN_CLIENT] = "client",
        [WB_SPAN_PRODUCER] = "producer",       [WB_SPAN_CONSUMER] = "consumer",
    };
    return kind < WB_COUNT(names) ? names[kind] : names[0];
}

static const char *status_name(uint8_t status)
{
    static const char *const names[] = {
        [WB_SPAN_UNSET] = "unset", [WB_SPAN_OK] = "ok", [WB_SPAN_ERROR] = "error"};
    return status < WB_COUNT(names) ? names[status] : names[0];
}

void wb_cells_of_span(const wb_span_row *row, wb_slice service, wb_cells *out)
{
    wb_otlp_span_detail detail = wb_otlp_read_span(row->span);
    span_columns columns = read_columns(row->span);
    out->n = 0;
    put_id(out, row->trace_id.b, sizeof row->trace_id.b);
    put_id(out, row->span_id.b, sizeof row->span_id.b);
    put_id(out, row->parent_id.b, sizeof row->parent_id.b);
    put_text(out, row->name.len ? row->name : WB_S("(unnamed)")); /* OTLP allows an empty name */
    put_str(out, kind_name(row->kind));
    put_number(out, row->start_ns);
    put_number(out, row->end_ns);
    put_str(out, status_name(row->status_code));
    put_text(out, detail.status_message);
    put_text(out, service);
    put_text(out, columns.span_type);
    put_text(out, columns.error_type);
    put_text(out, columns.session_id);
    put_hex_id(out, columns.acceptance_hex, out->ids[0]);
    put_hex_id(out, columns.delegation_hex, out->ids[1]);
    put_bytes(out, row->span);
    WB_ASSERT(out->n == WB_SPAN_CELL_COUNT);
}

/* ---- log records ---------------------------------------------------------------------------- */

enum { PREVIEW_CHARACTERS = 500 };

/* A byte that continues a character begins none. */
static wb_slice preview(wb_slice text)
{
    size_t characters = 0;
    for (size_t i = 0; i < text.len; i++) {
        if ((text.ptr[i] & 0xC0) == 0x80) continue;
        if (characters++ == PREVIEW_CHARACTERS) return wb_slice_of(text.ptr, i);
    }
    return text;
}

void wb_cells_of_log(const wb_log_row *row, wb_slice service, wb_cells *out)
{
    wb_otlp_log_detail detail = wb_otlp_read_log(row->log);
    wb_slice acceptance = {NULL, 0}, delegation = {NULL, 0};
    wb_otlp_iter it = {row->log};
    wb_otlp_attr attr;
    while (wb_otlp_next_attr(&it, WB_OTLP_LOG, &attr)) {
        if (attr.value.type != WB_VALUE_TEXT) continue;
        if (wb_slice_eq(attr.key, WB_S("waybill.acceptance.id"))) acceptance = attr.value.text;
        if (wb_slice_eq(attr.key, WB_S("waybill.delegation.id"))) delegation = attr.value.text;
    }
    out->n = 0;
    put_id(out, row->trace_id.b, sizeof row->trace_id.b);
    put_id(out, row->span_id.b, sizeof row->span_id.b);
    put_number(out, row->time_ns ? row->time_ns : row->observed_ns);
    put_number_or_null(out, row->observed_ns);
    put_number(out, row->severity);
    put_text(out, detail.severity_text);
    put_text(out, row->event_name);
    put_text(out,
             detail.body.type == WB_VALUE_TEXT ? preview(detail.body.text) : (wb_slice){NULL, 0});
    put_text(out, service);
    put_hex_id(out, acceptance, out->ids[0]);
    put_hex_id(out, delegation, out->ids[1]);
    *next(out) = (wb_cell){.type = WB_CELL_BYTES, .bytes = row->log}; /* may say nothing */
    WB_ASSERT(out->n == WB_LOG_CELL_COUNT);
}

/* ---- delegations and acceptances ------------------------------------------------------------ */

static bool is_id(ProtobufCBinaryData bytes, size_t len)
{
    return bytes.len == len && !wb_id_is_zero(bytes.data, len);
}

/* A row that does not unpack never will, unless memory was what it lacked. */
static wb_status unreadable(const char *what, wb_error *err)
{
    if (errno == ENOMEM) return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory for %s", what);
    return wb_fail(err, WB_ERR_REJECTED, "not %s", what);
}

/* A repeated text field as a JSON array, in the arena. */
static wb_status put_list(wb_cells *c, char *const *items, size_t n, wb_arena *arena, wb_error *err)
{
    WB_AUTO_BUFFER json;
    wb_slice text = {NULL, 0};
    wb_buffer_init(&json, SIZE_MAX);
    wb_status status = wb_buffer_add(&json, "[", 1);
    for (size_t i = 0; i < n && status == WB_OK; i++) {
        if (i > 0) status = wb_buffer_add(&json, ",", 1);
        if (status == WB_OK) status = wb_json_add_string(&json, wb_slice_str(items[i]));
    }
    if (status == WB_OK) status = wb_buffer_add(&json, "]", 1);
    if (status == WB_OK) status = wb_arena_dup(arena, wb_buffer_slice(&json), &text);
    if (status != WB_OK) return wb_fail(err, status, "store: no memory for a row");
    put_text(c, text);
    return WB_OK;
}

/* No limit, and no token, are NULL; the currency says which. */
static void put_granted(wb_cells *c, const Waybill__V1__DelegationRow *d)
{
    bool granted = d->currency[0] != '\0';
    uint64_t limits[] = {d->granted_cost, d->granted_tokens, d->granted_ms};
    put_str(c, d->currency);
    for (size_t i = 0; i < WB_COUNT(limits); i++) {
        if (granted && limits[i] < WB_NOLIM)
            put_number(c, limits[i]);
        else
            (void)next(c);
    }
}

static void put_delegation_parties(wb_cells *c, const Waybill__V1__DelegationRow *d)
{
    put_str(c, d->target_url);
    put_str(c, d->target_agent_id);
    put_str(c, d->target_name);
    put_str(c, d->method);
    put_str(c, d->message_id);
    put_str(c, d->context_id);
    put_str(c, d->task_id);
    put_data(c, d->body_digest);
    put_str(c, d->task_state);
    put_str(c, d->error_type);
    put_str(c, d->event);
}

wb_status wb_cells_of_delegation(wb_slice payload, wb_arena *arena, wb_cells *out, wb_error *err)
{
    errno = 0;
    const Waybill__V1__DelegationRow *d =
        waybill__v1__delegation_row__unpack(wb_arena_allocator(arena), payload.len, payload.ptr);
    if (!d || !is_id(d->id, 16) || !is_id(d->trace_id, 16) || !is_id(d->span_id, 8))
        return unreadable("a delegation row", err);
    out->n = 0;
    put_data(out, d->id);
    put_number(out, d->version);
    put_str(out, wb_delegation_state_name((wb_delegation_state)d->state));
    put_data(out, d->trace_id);
    put_data(out, d->span_id);
    put_data(out, d->parent_span_id);
    put_number(out, d->trace_flags);
    put_data(out, d->parent_acceptance);
    put_delegation_parties(out, d);
    put_number(out, d->opened_ns);
    put_number(out, d->updated_ns);
    put_number_or_null(out, d->closed_ns);
    put_number_or_null(out, d->deadline_ns);
    put_bool(out, d->late_answer);
    WB_TRY(put_list(out, d->chain, d->n_chain, arena, err));
    put_str(out, d->unsigned_reason);
    put_data(out, d->token_hash);
    put_number_or_null(out, d->token_exp_s);
    put_str(out, d->issuer);
    put_str(out, d->key_id);
    put_number(out, d->depth);
    put_granted(out, d);
    put_number(out, UINT64_C(1) + d->later_turns);
    WB_ASSERT(out->n == WB_DELEGATION_CELL_COUNT);
    return WB_OK;
}

static const char *verdict_name(Waybill__V1__Verdict verdict)
{
    switch ((int)verdict) {
    case WAYBILL__V1__VERDICT__VERDICT_CONTINUE: return "continue";
    case WAYBILL__V1__VERDICT__VERDICT_LINK: return "link";
    case WAYBILL__V1__VERDICT__VERDICT_DUPLICATE: return "duplicate";
    case WAYBILL__V1__VERDICT__VERDICT_REJECT: return "reject";
    default: return "unspecified";
    }
}

static void put_acceptance_place(wb_cells *c, const Waybill__V1__AcceptanceRow *a)
{
    put_data(c, a->trace_id);
    put_data(c, a->span_id);
    put_data(c, a->parent_span_id);
    put_number(c, a->trace_flags);
    put_data(c, a->link_trace_id);
    put_data(c, a->link_span_id);
    put_str(c, a->method);
    put_str(c, a->message_id);
    put_str(c, a->context_id);
    put_str(c, a->task_id);
    put_data(c, a->body_digest);
    put_str(c, a->peer);
}

wb_status wb_cells_of_acceptance(wb_slice payload, wb_arena *arena, wb_cells *out, wb_error *err)
{
    errno = 0;
    const Waybill__V1__AcceptanceRow *a =
        waybill__v1__acceptance_row__unpack(wb_arena_allocator(arena), payload.len, payload.ptr);
    if (!a || !is_id(a->id, 16) || !is_id(a->trace_id, 16) || !is_id(a->span_id, 8))
        return unreadable("an acceptance row", err);
    out->n = 0;
    put_data(out, a->id);
    put_number(out, a->version);
    put_str(out, verdict_name((Waybill__V1__Verdict)a->verdict));
    put_bool(out, a->verified);
    put_str(out, a->code);
    WB_TRY(put_list(out, a->warnings, a->n_warnings, arena, err));
    put_bool(out, a->pass);
    put_str(out, a->agent_id);
    put_str(out, a->issuer);
    put_str(out, a->subject);
    put_str(out, a->jti);
    put_data(out, a->token_hash);
    put_number_or_null(out, a->token_exp_s);
    WB_TRY(put_list(out, a->chain, a->n_chain, arena, err));
    put_number(out, a->depth);
    put_acceptance_place(out, a);
    put_number(out, a->opened_ns);
    put_number_or_null(out, a->finished_ns);
    put_number_or_null(out, a->deadline_ns);
    put_str(out, a->outcome);
    put_str(out, a->error_type);
    put_str(out, a->task_state);
    WB_ASSERT(out->n == WB_ACCEPTANCE_CELL_COUNT);
    return WB_OK;
}
