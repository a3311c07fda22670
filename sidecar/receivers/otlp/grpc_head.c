/* SPDX-License-Identifier: Apache-2.0 */
/* Field by field, nothing is kept but what each one means. The order of refusals: who does not speak
 * gRPC gets an HTTP status that any client understands; who may not send, which is asked between the two
 * checks, learns nothing of the rest. */
#include "sidecar/receivers/otlp/grpc_head.h"

enum { FIELD_OVERHEAD = 32, TIMEOUT_DIGITS = 8 }; /* RFC 9113 section 6.5.2 */

static const wb_grpc_refusal not_post = {
    .http = 405, .message = "gRPC is POST only", .why = WB_OTLP_REFUSED_NOT_FOUND};
static const wb_grpc_refusal not_grpc = {.http = 415,
                                         .message = "content-type is not application/grpc",
                                         .why = WB_OTLP_REFUSED_UNSUPPORTED};
static const wb_grpc_refusal too_long = {.code = WB_GRPC_RESOURCE_EXHAUSTED,
                                         .message = "the header fields are larger than the limit",
                                         .why = WB_OTLP_REFUSED_TOO_LARGE};
static const wb_grpc_refusal unknown = {
    .code = WB_GRPC_UNIMPLEMENTED,
    .message = "no such method: Export of Trace, Metrics and LogsService v1 is what there is",
    .why = WB_OTLP_REFUSED_NOT_FOUND};
static const wb_grpc_refusal no_such_encoding = {.code = WB_GRPC_UNIMPLEMENTED,
                                                 .message =
                                                     "grpc-encoding is neither identity nor gzip",
                                                 .why = WB_OTLP_REFUSED_UNSUPPORTED};
static const wb_grpc_refusal no_timeout = {.code = WB_GRPC_INTERNAL,
                                           .message = "grpc-timeout is malformed",
                                           .why = WB_OTLP_REFUSED_MALFORMED};

#define SERVICE(package, name)                                                                     \
    WB_S("/opentelemetry.proto.collector." package ".v1." name "Service/Export")

static void read_path(wb_grpc_head *head, wb_slice path)
{
    const wb_slice methods[WB_SIGNALS] = {
        [WB_SIGNAL_TRACES] = SERVICE("trace", "Trace"),
        [WB_SIGNAL_METRICS] = SERVICE("metrics", "Metrics"),
        [WB_SIGNAL_LOGS] = SERVICE("logs", "Logs"),
    };
    head->is_known = false;
    for (int i = 0; i < WB_SIGNALS; i++) {
        if (!wb_slice_eq(path, methods[i])) continue;
        head->is_known = true;
        head->signal = (wb_signal)i;
    }
}

/* "application/grpc" alone, with parameters, or as "+proto"; another message format is none of ours. */
static bool is_grpc(wb_slice type)
{
    const wb_slice plain = WB_S("application/grpc"), proto = WB_S("application/grpc+proto");
    if (wb_slice_eq(type, plain) || wb_slice_eq(type, proto)) return true;
    return wb_slice_starts(type, WB_S("application/grpc;")) ||
           wb_slice_starts(type, WB_S("application/grpc+proto;"));
}

static wb_grpc_encoding read_encoding(wb_slice value)
{
    if (wb_slice_eq(value, WB_S("gzip"))) return WB_GRPC_GZIP;
    return wb_slice_eq(value, WB_S("identity")) ? WB_GRPC_IDENTITY : WB_GRPC_UNKNOWN_ENCODING;
}

static uint64_t unit_ns(uint8_t unit)
{
    switch (unit) {
    case 'H': return UINT64_C(3600000000000);
    case 'M': return UINT64_C(60000000000);
    case 'S': return UINT64_C(1000000000);
    case 'm': return 1000000;
    case 'u': return 1000;
    case 'n': return 1;
    default: return 0;
    }
}

bool wb_grpc_timeout_parse(wb_slice text, uint64_t *out_ns)
{
    uint64_t value = 0;
    if (text.len < 2 || text.len > TIMEOUT_DIGITS + 1) return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    uint64_t unit = unit_ns(text.ptr[text.len - 1]);
    if (unit == 0) return false;
    *out_ns = value > WB_GRPC_TIMEOUT_MAX_NS / unit ? WB_GRPC_TIMEOUT_MAX_NS : value * unit;
    return true;
}

void wb_grpc_head_take(wb_grpc_head *head, wb_slice name, wb_slice value)
{
    head->bytes += name.len + value.len + FIELD_OVERHEAD;
    if (wb_slice_eq(name, WB_S(":path")))
        read_path(head, value);
    else if (wb_slice_eq(name, WB_S(":method")))
        head->is_post = wb_slice_eq(value, WB_S("POST"));
    else if (wb_slice_eq(name, WB_S("content-type")))
        head->is_grpc = is_grpc(value);
    else if (wb_slice_eq(name, WB_S("grpc-encoding")))
        head->encoding = read_encoding(value);
    else if (wb_slice_eq(name, WB_S("grpc-timeout"))) {
        head->has_timeout = wb_grpc_timeout_parse(value, &head->timeout_ns);
        head->bad_timeout = !head->has_timeout;
    }
}

const wb_grpc_refusal *wb_grpc_head_check_form(const wb_grpc_head *head, size_t limit_bytes)
{
    if (!head->is_post) return &not_post;
    if (!head->is_grpc) return &not_grpc;
    return head->bytes > limit_bytes ? &too_long : NULL;
}

const wb_grpc_refusal *wb_grpc_head_check(const wb_grpc_head *head)
{
    if (!head->is_known) return &unknown;
    if (head->encoding == WB_GRPC_UNKNOWN_ENCODING) return &no_such_encoding;
    return head->bad_timeout ? &no_timeout : NULL;
}
