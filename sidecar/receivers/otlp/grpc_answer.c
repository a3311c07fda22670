/* SPDX-License-Identifier: Apache-2.0 */
/* Which code: one that OpenTelemetry's clients take for "send it again" where the sink says so, and one
 * that they take for "never again" where it says that. RESOURCE_EXHAUSTED means the former only with a
 * RetryInfo. The specification has that in grpc-status-details-bin; the Python SDK looks for it in a field
 * of its own, google.rpc.retryinfo-bin, and knows no other. So both are sent. What failed on our side
 * in a way that has no name is UNAVAILABLE and not INTERNAL: at INTERNAL clients throw the data away. */
#include "sidecar/receivers/otlp/grpc_answer.h"

#include "core/text_code.h"
#include "core/utf8.h"

enum { DELIMITED = 2, VARINT = 0 };
#define RETRY_INFO_TYPE "type.googleapis.com/google.rpc.RetryInfo"

/* ---- protobuf, into space that is known to do ---- */

static size_t put_varint(uint8_t *to, uint64_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7) to[n++] = (uint8_t)(value | 0x80);
    to[n++] = (uint8_t)value;
    return n;
}

static size_t put_number(uint8_t *to, uint32_t field, uint64_t value)
{
    if (value == 0) return 0; /* proto3: absent */
    size_t n = put_varint(to, field << 3 | VARINT);
    return n + put_varint(to + n, value);
}

static size_t put_bytes(uint8_t *to, uint32_t field, const void *bytes, size_t len)
{
    if (len == 0) return 0;
    size_t n = put_varint(to, field << 3 | DELIMITED);
    n += put_varint(to + n, len);
    memcpy(to + n, bytes, len);
    return n + len;
}

/* google.rpc.RetryInfo: retry_delay (1) is a Duration: seconds (1) */
static size_t put_retry_info(uint8_t to[24], uint32_t after_s)
{
    uint8_t duration[12];
    return put_bytes(to, 1, duration, put_number(duration, 1, after_s));
}

/* google.rpc.Status: code (1), message (2), details (3): Any: type_url (1), value (2) */
static size_t put_status(uint8_t *to, wb_grpc_code code, wb_slice message, wb_slice retry_info)
{
    uint8_t any[sizeof RETRY_INFO_TYPE + 32];
    size_t n_any = put_bytes(any, 1, RETRY_INFO_TYPE, sizeof RETRY_INFO_TYPE - 1);
    n_any += put_bytes(any + n_any, 2, retry_info.ptr, retry_info.len);
    size_t n = put_number(to, 1, code);
    n += put_bytes(to + n, 2, message.ptr, message.len);
    return n + put_bytes(to + n, 3, any, n_any);
}

/* ---- text ---- */

/* Values of -bin fields are sent without padding. */
static void put_base64(char *to, const uint8_t *bytes, size_t len)
{
    to[wb_base64_format(wb_slice_of(bytes, len), to)] = '\0';
}

/* Percent-Encoded of the protocol: all but 0x20-0x7E, and % */
static void put_percent(char *to, wb_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c >= 0x20 && c <= 0x7e && c != '%') {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
}

/* At most WB_GRPC_MESSAGE_MAX bytes, whole characters; nothing where it is no UTF-8 */
static wb_slice explanation(const char *message)
{
    wb_slice text = wb_slice_str(message);
    if (text.len > WB_GRPC_MESSAGE_MAX) {
        text.len = WB_GRPC_MESSAGE_MAX;
        while (text.len > 0 && (text.ptr[text.len] & 0xc0) == 0x80) text.len--;
    }
    return wb_utf8_valid(text) ? text : WB_S("");
}

/* ---- answers ---- */

static wb_grpc_code code_of(wb_status status)
{
    switch (status) {
    case WB_OK: return WB_GRPC_OK;
    case WB_ERR_MALFORMED: return WB_GRPC_INVALID_ARGUMENT;
    case WB_ERR_DENIED: return WB_GRPC_PERMISSION_DENIED;
    case WB_ERR_REJECTED: /* more than can be taken at once: OTLP's code for it */
    case WB_ERR_FULL: return WB_GRPC_RESOURCE_EXHAUSTED;
    default: return WB_GRPC_UNAVAILABLE;
    }
}

/* Export<signal>ServiceResponse is the same for all three: partial_success (1): rejected_* (1),
 * error_message (2); unset where all was taken and there is nothing to say. */
static size_t put_reply(uint8_t to[WB_GRPC_REPLY_MAX], uint64_t rejected, wb_slice message)
{
    uint8_t partial[WB_GRPC_MESSAGE_MAX + 16];
    size_t n = put_number(partial, 1, rejected);
    n += put_bytes(partial + n, 2, message.ptr, message.len);
    size_t len = put_bytes(to + 5, 1, partial, n);
    to[0] = 0;
    for (int i = 0; i < 4; i++) to[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    return 5 + len;
}

static void begin(wb_grpc_answer *out, uint16_t http, wb_grpc_code code)
{
    out->http = http;
    out->code = code;
    out->message[0] = out->details[0] = out->retry_info[0] = '\0';
    out->reply_len = 0;
}

static void put_failure(wb_grpc_answer *out, wb_slice message, uint32_t retry_after_s)
{
    uint8_t retry_info[24], status[WB_GRPC_DETAILS_MAX];
    put_percent(out->message, message);
    if (retry_after_s == 0) return;
    size_t n = put_retry_info(retry_info, retry_after_s);
    put_base64(out->retry_info, retry_info, n);
    put_base64(out->details, status,
               put_status(status, out->code, message, wb_slice_of(retry_info, n)));
}

void wb_grpc_answer_of(const wb_export_answer *said, wb_grpc_answer *out)
{
    wb_slice message = explanation(said->message);
    begin(out, 200, code_of(said->status));
    if (said->status == WB_OK) {
        out->reply_len = put_reply(out->reply, said->rejected, message);
        return;
    }
    bool again = said->status == WB_ERR_FULL || out->code == WB_GRPC_UNAVAILABLE;
    uint32_t after_s = said->retry_after_s > 0 ? said->retry_after_s : WB_GRPC_RETRY_AFTER_S;
    put_failure(out, message, again ? after_s : 0);
}

void wb_grpc_answer_refuse(const wb_grpc_refusal *refusal, wb_grpc_answer *out)
{
    begin(out, refusal->http > 0 ? refusal->http : 200, refusal->code);
    put_failure(out, explanation(refusal->message), refusal->retry_after_s);
}

wb_otlp_refusal wb_grpc_why(wb_status status)
{
    switch (status) {
    case WB_ERR_MALFORMED: return WB_OTLP_REFUSED_MALFORMED;
    case WB_ERR_DENIED: return WB_OTLP_REFUSED_DENIED;
    case WB_ERR_REJECTED: return WB_OTLP_REFUSED_TOO_LARGE;
    case WB_ERR_FULL: return WB_OTLP_REFUSED_FULL;
    default: return WB_OTLP_REFUSED_BUSY;
    }
}
