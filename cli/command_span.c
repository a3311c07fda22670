/* SPDX-License-Identifier: Apache-2.0 */
/* One span: built as OTLP, put into one Record request. The sidecar's answer comes after its
 * fdatasync, so a span that was acknowledged is in the journal.
 *
 * The parent counts as local, not remote: the environment is set by whoever starts a process, not by a peer,
 * so the span is no claim that the sidecar would have to move into another trace.
 *
 * A command line may hold anything. What is not UTF-8 has its bytes above ASCII shown as '?', or the
 * sidecar would refuse the span; the environment is never recorded. */
#include "cli/command_span.h"

#include "cli/ask.h"
#include "core/buffer.h"
#include "core/utf8.h"
#include "proto/span_batch.h"
#include "proto/waybill/v1/ipc.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ASK_MS = 5000,
    ARENA_BYTES = 8 * 1024 * 1024,
    SPAN_BYTES = 1024 * 1024,
    ARGS_MAX = 256,
    TEXT_MAX = 4096, /* of one argument or attribute */
    OWN_ATTRS = 8,
    PARENT_IS_LOCAL = 0x100, /* OTLP's flags: whether it is remote is known, and it is not */
};

static const char *env(const char *key)
{
    const char *value = getenv(key); /* NOLINT(concurrency-mt-unsafe): one thread */
    return value && *value ? value : NULL;
}

/* ---- its place ------------------------------------------------------------------------------ */

void wb_command_span_begin(wb_command_span *span)
{
    wb_traceparent parent;
    const char *state = env("TRACESTATE");
    span->own.span = wb_span_id_new();
    span->tracestate[0] = '\0';
    if (wb_traceparent_parse(wb_slice_str(env("TRACEPARENT")), &parent) != WB_OK) {
        span->own.trace = wb_trace_id_new();
        span->own.flags = WB_TRACE_FLAGS_NEW;
        span->parent = (wb_span_id){{0}};
        return;
    }
    span->own.trace = parent.trace;
    span->own.flags = parent.flags;
    span->parent = parent.span;
    if (state && strlen(state) <= WB_TRACESTATE_MAX_BYTES && wb_utf8_valid(wb_slice_str(state)))
        memcpy(span->tracestate, state, strlen(state) + 1);
}

void wb_command_span_export(const wb_command_span *span)
{
    char text[WB_TRACEPARENT_LEN + 1] = "";
    wb_traceparent_format(&span->own, text);
    /* NOLINTBEGIN(concurrency-mt-unsafe): one thread */
    (void)setenv("TRACEPARENT", text, 1);
    if (span->tracestate[0])
        (void)setenv("TRACESTATE", span->tracestate, 1);
    else
        (void)unsetenv("TRACESTATE");
    /* NOLINTEND(concurrency-mt-unsafe) */
}

/* ---- what it says --------------------------------------------------------------------------- */

/* As it is, or what can be said of it; empty without memory. */
static wb_slice as_text(wb_arena *arena, const char *raw, size_t len)
{
    if (len > TEXT_MAX) len = TEXT_MAX;
    if (wb_utf8_valid(wb_slice_of(raw, len))) return wb_slice_of(raw, len);
    char *out = wb_arena_alloc(arena, len);
    for (size_t i = 0; out && i < len; i++) out[i] = (raw[i] & 0x80) ? '?' : raw[i];
    return wb_slice_of(out, out ? len : 0);
}

static wb_slice text_of(wb_arena *arena, const char *raw)
{
    return as_text(arena, raw, strlen(raw));
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static wb_value args_of(wb_arena *arena, char *const *argv)
{
    wb_slice texts[ARGS_MAX];
    wb_value value;
    size_t n = 0;
    for (; n < ARGS_MAX && argv[n]; n++) texts[n] = text_of(arena, argv[n]);
    if (wb_span_texts(texts, n, arena, &value) == WB_OK) return value;
    return (wb_value){.type = WB_VALUE_EMPTY};
}

static wb_slice error_of(wb_arena *arena, const wb_command_end *end)
{
    if (end->code == 0) return WB_S("");
    const char *name = end->exec_errno ? strerrorname_np(end->exec_errno) : NULL;
    const char *sig = end->signal ? sigabbrev_np(end->signal) : NULL;
    const char *text = name  ? name
                       : sig ? wb_arena_printf(arena, "SIG%s", sig)
                             : wb_arena_printf(arena, "%d", end->code);
    return text ? wb_slice_str(text) : WB_S("_OTHER");
}

static size_t add_given(const wb_command_span *span, wb_arena *arena, wb_otlp_attr *out)
{
    for (size_t i = 0; i < span->attrs.n; i++) {
        const char *key = span->attrs.at[i];
        const char *value = strchr(key, '=') + 1; /* the command line was checked */
        out[i].key = as_text(arena, key, (size_t)(value - 1 - key));
        out[i].value = (wb_value){.type = WB_VALUE_TEXT, .text = text_of(arena, value)};
    }
    return span->attrs.n;
}

static wb_status build(const wb_cli *cli, const wb_command_span *span, char *const *argv,
                       const wb_command_end *end, wb_arena *arena, wb_buffer *out, wb_error *err)
{
    const char *service = env("OTEL_SERVICE_NAME");
    const wb_otlp_attr resource[] = {
        WB_ATTR_TEXT("service.name", text_of(arena, service ? service : cli->paths.name))};
    const char *executed = end->path[0] ? end->path : argv[0];
    wb_slice error = error_of(arena, end);
    wb_otlp_attr attrs[OWN_ATTRS + WB_COMMAND_ATTRS_MAX] = {
        WB_ATTR_TEXT("waybill.span.type", WB_S("execution")),
        WB_ATTR_TEXT("process.command", text_of(arena, argv[0])),
        WB_ATTR_TEXT("process.executable.name", text_of(arena, base_name(executed))),
        WB_ATTR_TEXT("process.executable.path", text_of(arena, end->path)),
        WB_ATTR_INT("process.pid", end->pid),
        WB_ATTR_INT("process.exit.code", end->code),
        WB_ATTR_TEXT("error.type", error),
    };
    attrs[OWN_ATTRS - 1].key = WB_S("process.command_args");
    if (span->with_args) attrs[OWN_ATTRS - 1].value = args_of(arena, argv);
    bool is_root = WB_ID_ABSENT(span->parent);
    const wb_span_draft draft = {
        .trace_id = span->own.trace,
        .span_id = span->own.span,
        .parent_id = span->parent,
        .trace_state = wb_slice_str(span->tracestate),
        .flags = span->own.flags | (is_root ? 0u : (unsigned)PARENT_IS_LOCAL),
        .name = text_of(arena, span->name ? span->name : base_name(argv[0])),
        .kind = WB_SPAN_CLIENT,
        .start_ns = end->started_ns,
        .end_ns = end->ended_ns,
        .status_code = end->code == 0 ? WB_SPAN_UNSET : WB_SPAN_ERROR,
        .status_message = end->exec_errno ? WB_S("it could not be executed") : WB_S(""),
        .attrs = attrs,
        .attr_count = OWN_ATTRS + add_given(span, arena, attrs + OWN_ATTRS)};
    const wb_span_origin origin = {.resource = resource,
                                   .resource_count = WB_COUNT(resource),
                                   .scope_name = WB_S("waybill"),
                                   .scope_version = WB_S(WAYBILL_VERSION)};
    return wb_span_batch_build(&origin, &draft, 1, out, err);
}

/* ---- to the sidecar ------------------------------------------------------------------------- */

static wb_status send_record(const wb_cli *cli, wb_slice traces, wb_arena *arena, wb_error *err)
{
    Waybill__V1__Record record = WAYBILL__V1__RECORD__INIT;
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    const Waybill__V1__Reply *reply = NULL;
    record.traces = (ProtobufCBinaryData){.len = traces.len, .data = (uint8_t *)traces.ptr};
    request.body_case = WAYBILL__V1__REQUEST__BODY_RECORD;
    request.record = &record;
    WB_TRY(wb_ask(cli->paths.socket, &request, ASK_MS, arena, &reply, err));
    if (reply->record && reply->record->rejected_spans > 0)
        return wb_fail(err, WB_ERR_REJECTED, "%s", reply->record->error_message);
    return WB_OK;
}

wb_status wb_command_span_record(const wb_cli *cli, const wb_command_span *span, char *const *argv,
                                 const wb_command_end *end, wb_error *err)
{
    wb_span_batch batch;
    WB_AUTO_BUFFER payload;
    wb_buffer_init(&payload, SPAN_BYTES);
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory");
    WB_TRY(build(cli, span, argv, end, arena, &payload, err));
    WB_TRY(wb_span_batch_open(wb_buffer_slice(&payload), &batch, err));
    return send_record(cli, batch.body, arena, err);
}
