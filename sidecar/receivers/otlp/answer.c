/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered:
 *
 *   success     Export...ServiceResponse { partial_success = 1 { rejected_... = 1 int64, error_message = 2 } },
 *               empty where nothing is to be said
 *   refusal     google.rpc.Status { code = 1 int32, message = 2 string }
 *
 * In JSON an int64 is a string, field names are lowerCamelCase, an empty message is {}. */
#include "sidecar/receivers/otlp/answer.h"

#include "core/json.h"
#include "core/utf8.h"

#include <strings.h>

enum { MESSAGE_BYTES = 512 };

bool wb_otlp_encoding_of(const char *text, wb_otlp_encoding *out)
{
    static const struct {
        const char *type;
        wb_otlp_encoding encoding;
    } types[] = {{"application/x-protobuf", WB_OTLP_PROTOBUF},
                 {"application/protobuf", WB_OTLP_PROTOBUF},
                 {"application/json", WB_OTLP_JSON}};
    if (!text) return false;
    size_t len = strcspn(text, "; \t");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (len != strlen(types[i].type) || strncasecmp(text, types[i].type, len) != 0) continue;
        *out = types[i].encoding;
        return true;
    }
    return false;
}

const char *wb_otlp_content_type(wb_otlp_encoding encoding)
{
    return encoding == WB_OTLP_JSON ? "application/json" : "application/x-protobuf";
}

bool wb_otlp_signal_of(const char *path, wb_signal *out)
{
    static const char *const paths[WB_SIGNALS] = {[WB_SIGNAL_TRACES] = "/v1/traces",
                                                  [WB_SIGNAL_METRICS] = "/v1/metrics",
                                                  [WB_SIGNAL_LOGS] = "/v1/logs"};
    for (int i = 0; i < WB_SIGNALS; i++) {
        if (strcmp(path, paths[i]) != 0) continue;
        *out = (wb_signal)i;
        return true;
    }
    return false;
}

/* Whatever is not the sender's fault may be sent again: a client drops what any other code refuses. */
unsigned wb_otlp_http_code(wb_status status, wb_otlp_refusal *why)
{
    switch (status) {
    case WB_OK: return 200;
    case WB_ERR_MALFORMED: *why = WB_OTLP_REFUSED_MALFORMED; return 400;
    case WB_ERR_DENIED: *why = WB_OTLP_REFUSED_DENIED; return 403;
    case WB_ERR_REJECTED: *why = WB_OTLP_REFUSED_TOO_LARGE; return 413;
    case WB_ERR_FULL: *why = WB_OTLP_REFUSED_FULL; return 503;
    default: *why = WB_OTLP_REFUSED_BUSY; return 503;
    }
}

/* google/rpc/code.proto, and its mapping to HTTP. */
static unsigned rpc_code(unsigned http_code)
{
    switch (http_code) {
    case 401: return 16; /* UNAUTHENTICATED */
    case 403: return 7;  /* PERMISSION_DENIED */
    case 404: return 5;  /* NOT_FOUND */
    case 405: return 12; /* UNIMPLEMENTED */
    case 413: return 8;  /* RESOURCE_EXHAUSTED */
    case 503: return 14; /* UNAVAILABLE */
    case 508: return 9;  /* FAILED_PRECONDITION */
    default: return 3;   /* INVALID_ARGUMENT */
    }
}

/* ---- protobuf ---- */

static wb_status put_varint(wb_buffer *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        n++;
        value >>= 7;
    } while (value > 0);
    return wb_buffer_add(out, bytes, n);
}

static wb_status put_number(wb_buffer *out, uint8_t field, uint64_t value)
{
    if (value == 0) return WB_OK;
    WB_TRY(put_varint(out, (uint64_t)field << 3));
    return put_varint(out, value);
}

static wb_status put_bytes(wb_buffer *out, uint8_t field, wb_slice bytes)
{
    if (bytes.len == 0) return WB_OK;
    WB_TRY(put_varint(out, (uint64_t)field << 3 | 2));
    WB_TRY(put_varint(out, bytes.len));
    return wb_buffer_add_slice(out, bytes);
}

/* { 1: number, 2: message }, which both answers are made of. */
static wb_status put_pair(wb_buffer *out, uint64_t number, wb_slice message)
{
    WB_TRY(put_number(out, 1, number));
    return put_bytes(out, 2, message);
}

/* ---- both ---- */

static wb_slice clean(const char *message, char out[MESSAGE_BYTES])
{
    wb_slice in = wb_slice_str(message);
    size_t len = 0;
    while (in.len > 0) {
        size_t n = wb_utf8_char(in);
        if (len + (n ? n : 1) > MESSAGE_BYTES) break;
        if (n == 0) {
            out[len++] = '?';
            n = 1;
        } else {
            memcpy(out + len, in.ptr, n);
            len += n;
        }
        in.ptr += n;
        in.len -= n;
    }
    return wb_slice_of(out, len);
}

static wb_status put_partial_json(wb_buffer *out, wb_signal signal, uint64_t rejected,
                                  wb_slice message)
{
    static const char *const names[WB_SIGNALS] = {[WB_SIGNAL_TRACES] = "rejectedSpans",
                                                  [WB_SIGNAL_METRICS] = "rejectedDataPoints",
                                                  [WB_SIGNAL_LOGS] = "rejectedLogRecords"};
    WB_TRY(wb_buffer_printf(out, "{\"partialSuccess\":{\"%s\":\"%llu\",\"errorMessage\":",
                            names[signal], (unsigned long long)rejected));
    WB_TRY(wb_json_add_string(out, message));
    return wb_buffer_printf(out, "}}");
}

wb_status wb_otlp_answer_success(wb_otlp_encoding encoding, wb_signal signal, uint64_t rejected,
                                 const char *message, wb_buffer *out)
{
    char text[MESSAGE_BYTES];
    wb_slice said = message ? clean(message, text) : (wb_slice){0};
    bool partial = rejected > 0 || said.len > 0;
    if (encoding == WB_OTLP_JSON)
        return partial ? put_partial_json(out, signal, rejected, said)
                       : wb_buffer_printf(out, "{}");
    if (!partial) return WB_OK;
    WB_AUTO_BUFFER inner;
    wb_buffer_init(&inner, MESSAGE_BYTES + 32);
    WB_TRY(put_pair(&inner, rejected, said));
    return put_bytes(out, 1, wb_buffer_slice(&inner));
}

wb_status wb_otlp_answer_failure(wb_otlp_encoding encoding, unsigned http_code, const char *message,
                                 wb_buffer *out)
{
    char text[MESSAGE_BYTES];
    wb_slice said = clean(message, text);
    unsigned code = rpc_code(http_code);
    if (encoding == WB_OTLP_PROTOBUF) return put_pair(out, code, said);
    WB_TRY(wb_buffer_printf(out, "{\"code\":%u,\"message\":", code));
    WB_TRY(wb_json_add_string(out, said));
    return wb_buffer_printf(out, "}");
}
