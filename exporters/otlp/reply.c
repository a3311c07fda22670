/* SPDX-License-Identifier: Apache-2.0 */
/* Four kinds of answers. Taken: 2xx, gRPC OK; a partial success counts what was left out and is never
 * repeated. Later: the answers that the specification calls retryable. Never: the request is at fault, and
 * the runner halves it. And what a person has to put right (credentials, address, protocol): the records
 * are not at fault, so nothing is set aside and they wait; the text says which key to look at.
 *
 * Other server errors (500, INTERNAL ...) are "never" by the specification; but a database that is away
 * makes servers say 500, too. So they are repeated at first: otlp.c counts.
 *
 * Every slice here is of the backend's making: parsing is bounded by its own length, recursion there is
 * none, and text is made printable before anybody sees it. */
#include "exporters/otlp/reply.h"

#include "core/json.h"
#include "core/text_code.h"
#include "core/utf8.h"
#include "exporters/otlp/grpc_message.h"
#include "proto/wire.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

enum {
    JSON_ARENA_BYTES = 1024 * 1024,
    DETAILS_MAX = 16,
    GRPC_CODES = 17,
};
static const uint64_t RETRY_MAX_MS = 3600 * 1000;

/* ---- collecting ----------------------------------------------------------------------------- */

void wb_otlp_reply_init(wb_otlp_reply *reply)
{
    *reply = (wb_otlp_reply){0};
    wb_buffer_init(&reply->body, WB_OTLP_REPLY_MAX_BYTES);
}

void wb_otlp_reply_done(wb_otlp_reply *reply) { wb_buffer_done(&reply->body); }

void wb_otlp_reply_clear(wb_otlp_reply *reply)
{
    wb_buffer body = reply->body;
    wb_buffer_clear(&body);
    *reply = (wb_otlp_reply){.body = body};
}

static wb_slice trimmed(wb_slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = (wb_slice){s.ptr + 1, s.len - 1};
    while (s.len > 0 && strchr(" \t\r\n", s.ptr[s.len - 1]) && s.ptr[s.len - 1] != 0) s.len--;
    return s;
}

/* "HTTP/1.1 200 OK" */
static uint32_t status_of(wb_slice line)
{
    const uint8_t *space = memchr(line.ptr, ' ', line.len);
    uint32_t status = 0;
    if (!space) return 0;
    for (const uint8_t *at = space + 1; at < line.ptr + line.len && at < space + 4; at++)
        status = *at >= '0' && *at <= '9' ? status * 10 + (*at - '0') : 0;
    return status;
}

void wb_otlp_reply_header(wb_otlp_reply *reply, wb_slice line)
{
    const struct {
        const char *name;
        char *into;
        size_t size;
    } wanted[] = {
        {"retry-after", reply->retry_after, sizeof reply->retry_after},
        {"content-type", reply->content_type, sizeof reply->content_type},
        {"grpc-status", reply->grpc_status, sizeof reply->grpc_status},
        {"grpc-message", reply->grpc_message, sizeof reply->grpc_message},
        {"grpc-status-details-bin", reply->grpc_details, sizeof reply->grpc_details},
        {"grpc-encoding", reply->grpc_encoding, sizeof reply->grpc_encoding},
    };
    if (wb_slice_starts(line, WB_S("HTTP/"))) {
        wb_otlp_reply_clear(reply);
        reply->status = status_of(line);
        return;
    }
    if (trimmed(line).len == 0) reply->headed = true;
    const uint8_t *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    if (!colon) return;
    wb_slice name = {line.ptr, (size_t)(colon - line.ptr)};
    wb_slice value = trimmed((wb_slice){colon + 1, line.len - name.len - 1});
    for (size_t i = 0; i < WB_COUNT(wanted); i++) {
        if (name.len != strlen(wanted[i].name) ||
            strncasecmp((const char *)name.ptr, wanted[i].name, name.len) != 0)
            continue;
        (void)snprintf(wanted[i].into, wanted[i].size, "%.*s", WB_SLICE_ARG(value));
        if (wanted[i].into == reply->grpc_status) reply->trails = reply->headed;
    }
}

/* ---- text ----------------------------------------------------------------------------------- */

/* Nothing that moves a cursor: no C0 or C1 control, no DEL. */
static bool is_printable(wb_slice text, size_t n)
{
    if (n == 1) return text.ptr[0] >= 0x20 && text.ptr[0] != 0x7F;
    return n > 2 || (n == 2 && !(text.ptr[0] == 0xC2 && text.ptr[1] < 0xA0));
}

enum { CUT_LEAST = 4 }; /* bytes of a secret at the end of what was cut: enough to know it by */

/* The bytes at the start of `text` that are a secret of ours, or begin one and end there; 0: none. */
static size_t hidden_at(const wb_otlp_reply *reply, wb_slice text)
{
    for (size_t i = 0; i < reply->n_hidden; i++) {
        wb_slice secret = reply->hidden[i];
        if (secret.len == 0) continue;
        if (wb_slice_starts(text, secret)) return secret.len;
        if (text.len >= CUT_LEAST && wb_slice_starts(secret, text)) return text.len;
    }
    return 0;
}

/* Append as much as fits of a text of unknown origin: backends like to repeat the credentials that they do not
 * take. */
static void say(const wb_otlp_reply *reply, wb_otlp_answer *out, wb_slice text)
{
    size_t at = strlen(out->text);
    while (text.len > 0) {
        size_t secret = hidden_at(reply, text);
        if (secret > 0) {
            if (at + 3 >= sizeof out->text) break;
            memcpy(out->text + at, "***", 3);
            at += 3;
            text = (wb_slice){text.ptr + secret, text.len - secret};
            continue;
        }
        size_t n = wb_utf8_char(text), step = n > 0 ? n : 1;
        wb_slice written = is_printable(text, n) ? (wb_slice){text.ptr, n} : WB_S("?");
        if (at + written.len >= sizeof out->text) break;
        memcpy(out->text + at, written.ptr, written.len);
        at += written.len;
        text = (wb_slice){text.ptr + step, text.len - step};
    }
    out->text[at] = '\0';
}

static void say_words(wb_otlp_answer *out, const char *words)
{
    static const wb_otlp_reply none;
    say(&none, out, wb_slice_str(words));
}

/* ---- bodies --------------------------------------------------------------------------------- */

/* What a body may tell: a partial success, or a google.rpc.Status. */
typedef struct telling {
    uint64_t rejected;
    wb_slice message;
    uint32_t retry_ms;
} telling;

/* The last field of that number and type in a message; false without one. */
static bool last_field(wb_slice message, uint32_t number, wb_wire_type type, wb_wire_field *out)
{
    wb_wire_field f;
    bool found = false;
    while (message.len > 0 && wb_wire_next(&message, &f))
        if (f.number == number && f.type == type) {
            *out = f;
            found = true;
        }
    return found;
}

/* ExportTraceServiceResponse and the like: partial_success = 1 {rejected = 1; error_message = 2} */
static void read_partial(wb_slice body, telling *out)
{
    wb_wire_field partial, f;
    if (!last_field(body, 1, WB_WIRE_LEN, &partial)) return;
    if (last_field(partial.bytes, 1, WB_WIRE_VARINT, &f) && f.value <= INT64_MAX)
        out->rejected = f.value;
    if (last_field(partial.bytes, 2, WB_WIRE_LEN, &f)) out->message = f.bytes;
}

/* RetryInfo: retry_delay = 1 {seconds = 1; nanos = 2} */
static uint32_t read_retry_info(wb_slice info)
{
    wb_wire_field delay, f;
    uint64_t ms = 0;
    if (!last_field(info, 1, WB_WIRE_LEN, &delay)) return 0;
    if (last_field(delay.bytes, 1, WB_WIRE_VARINT, &f))
        ms = f.value > RETRY_MAX_MS / 1000 ? (f.value <= INT64_MAX ? RETRY_MAX_MS : 0)
                                           : f.value * 1000;
    if (last_field(delay.bytes, 2, WB_WIRE_VARINT, &f) && f.value < WB_NS_PER_S)
        ms += (f.value + WB_NS_PER_MS - 1) / WB_NS_PER_MS;
    return (uint32_t)(ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms);
}

/* google.rpc.Status: message = 2; details = 3, each an Any {type_url = 1; value = 2} */
static void read_status(wb_slice body, telling *out)
{
    static const char wanted[] = "google.rpc.RetryInfo";
    const size_t len = sizeof wanted - 1;
    wb_wire_field f, url, value;
    if (last_field(body, 2, WB_WIRE_LEN, &f)) out->message = f.bytes;
    for (unsigned n = 0; n < DETAILS_MAX && body.len > 0 && wb_wire_next(&body, &f);) {
        if (f.number != 3 || f.type != WB_WIRE_LEN) continue;
        n++;
        if (!last_field(f.bytes, 1, WB_WIRE_LEN, &url) || url.bytes.len < len ||
            memcmp(url.bytes.ptr + url.bytes.len - len, wanted, len) != 0)
            continue;
        if (last_field(f.bytes, 2, WB_WIRE_LEN, &value))
            out->retry_ms = read_retry_info(value.bytes);
    }
}

static uint64_t number_of(const wb_json *value)
{
    uint64_t n = 0;
    if (!value) return 0;
    if (value->type == WB_JSON_INT) return value->number;
    return value->type == WB_JSON_STRING && wb_json_int(value->text, &n) ? n : 0;
}

static wb_slice text_of(const wb_json *value)
{
    return value && value->type == WB_JSON_STRING && value->text.ptr ? value->text : (wb_slice){0};
}

static void read_json(wb_slice body, wb_signal signal, bool is_error, wb_arena *arena, telling *out)
{
    static const wb_json_limits limits = {.depth = 16,
                                          .members = 64,
                                          .elements = 1024,
                                          .string_bytes = 64 * 1024,
                                          .any_number = true,
                                          .any_char = true,
                                          .count_excess = true};
    static const wb_slice names[] = {[WB_SIGNAL_TRACES] = WB_S("rejectedSpans"),
                                     [WB_SIGNAL_METRICS] = WB_S("rejectedDataPoints"),
                                     [WB_SIGNAL_LOGS] = WB_S("rejectedLogRecords")};
    const wb_json *root = NULL;
    wb_json_fault fault;
    if (wb_json_parse(body, &limits, arena, &root, &fault) != WB_OK || fault != WB_JSON_NO_FAULT)
        return;
    if (is_error) {
        out->message = text_of(wb_json_member(root, WB_S("message")));
        return;
    }
    const wb_json *partial = wb_json_member(root, WB_S("partialSuccess"));
    out->rejected = number_of(wb_json_member(partial, names[signal]));
    out->message = text_of(wb_json_member(partial, WB_S("errorMessage")));
}

static bool says_type(const wb_otlp_reply *reply, const char *type)
{
    return strncasecmp(reply->content_type, type, strlen(type)) == 0;
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Seconds, or a date. */
static uint32_t read_retry_after(const char *text, wb_time_ns now)
{
    uint64_t seconds;
    if (*text == '\0') return 0;
    if (wb_json_int(wb_slice_str(text), &seconds))
        return (uint32_t)(seconds > RETRY_MAX_MS / 1000 ? RETRY_MAX_MS : seconds * 1000);
    time_t when = curl_getdate(text, NULL);
    if (when <= 0 || (uint64_t)when * WB_NS_PER_S <= now ||
        (uint64_t)when > UINT64_MAX / WB_NS_PER_S)
        return 0;
    uint64_t ms = ((uint64_t)when * WB_NS_PER_S - now) / WB_NS_PER_MS;
    return (uint32_t)(ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms);
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

/* What a person has to put right; NULL: nothing of that kind. */
static const char *advice_for(uint32_t status)
{
    if (status < 200 || (status >= 300 && status < 400))
        return "it leads elsewhere: correct endpoint";
    switch (status) {
    case 401:
    case 403: return "check bearer_file, basic_file or headers_file";
    case 404:
    case 405: return "check endpoint, or take this signal out of signals";
    case 407: return "the proxy wants credentials";
    case 406:
    case 415: return "check protocol and compression";
    case 421:
    case 426:
    case 451:
    case 508: return "check endpoint";
    default: return NULL;
    }
}

static wb_status judge_http(uint32_t status, wb_otlp_answer *out)
{
    const char *advice = advice_for(status);
    if (advice) {
        say_words(out, advice);
        return WB_ERR_UNAVAILABLE;
    }
    switch (status) {
    case 408: return WB_ERR_TIMEOUT;
    case 429:
    case 502:
    case 503:
    case 504: return WB_ERR_UNAVAILABLE;
    default: break;
    }
    out->is_server_error = status >= 500;
    return out->is_server_error ? WB_ERR_UNAVAILABLE : WB_ERR_REJECTED;
}

static void read_http(const wb_otlp_reply *reply, wb_otlp_protocol protocol, wb_signal signal,
                      wb_time_ns now, wb_otlp_answer *out)
{
    telling t = {0};
    WB_AUTO(wb_arena) arena = NULL;
    bool is_ok = reply->status >= 200 && reply->status < 300;
    wb_slice body = wb_buffer_slice(&reply->body);
    bool is_json = says_type(reply, "application/json") ||
                   (protocol == WB_OTLP_JSON && reply->content_type[0] == '\0');
    if (is_json && body.len > 0) arena = wb_arena_new(JSON_ARENA_BYTES);
    if (arena)
        read_json(body, signal, !is_ok, arena, &t);
    else if (!is_json && is_ok)
        read_partial(body, &t);
    else if (!is_json && says_type(reply, "application/x-protobuf"))
        read_status(body, &t);
    if (is_ok && says_type(reply, "text/html")) {
        out->status = WB_ERR_UNAVAILABLE;
        say_words(out, "a web page is there, no OTLP: check endpoint");
        return;
    }
    if (is_ok) {
        out->rejected = t.rejected;
        say(reply, out, t.message);
        return;
    }
    (void)snprintf(out->text, sizeof out->text, "HTTP %u: ", reply->status);
    out->status = judge_http(reply->status, out);
    out->retry_after_ms = read_retry_after(reply->retry_after, now);
    if (out->text[strlen(out->text) - 1] != ' ') say_words(out, t.message.len > 0 ? ": " : "");
    say(reply, out, t.message);
}

/* ---- gRPC ----------------------------------------------------------------------------------- */

/* RFC 4648 section 4, with or without padding; the bytes that came of it, none where it is something else. */
static size_t decode_base64(const char *text, uint8_t *out)
{
    size_t n = 0;
    return wb_base64_read(wb_slice_of(text, strcspn(text, "=")), out, &n) ? n : 0;
}

static const char *const grpc_names[GRPC_CODES] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

static const char *grpc_advice(uint64_t code)
{
    switch (code) {
    case 5:
    case 12: return "check endpoint, or take this signal out of signals";
    case 7:
    case 16: return "check bearer_file, basic_file or headers_file";
    default: return NULL;
    }
}

static wb_status judge_grpc(uint64_t code, bool asked_to_wait, wb_otlp_answer *out)
{
    switch (code) {
    case 4: return WB_ERR_TIMEOUT;
    case 8: return asked_to_wait ? WB_ERR_UNAVAILABLE : WB_ERR_REJECTED; /* else it is too large */
    case 1:
    case 10:
    case 11:
    case 14:
    case 15: return WB_ERR_UNAVAILABLE;
    case 3:
    case 6:
    case 9: return WB_ERR_REJECTED;
    default: break;
    }
    out->is_server_error = grpc_advice(code) == NULL;
    return WB_ERR_UNAVAILABLE;
}

static void read_grpc_failure(const wb_otlp_reply *reply, uint64_t code, wb_otlp_answer *out)
{
    uint8_t details[sizeof reply->grpc_details], message[sizeof reply->grpc_message];
    telling t = {0};
    size_t n = decode_base64(reply->grpc_details, details);
    read_status((wb_slice){details, n}, &t);
    n = wb_percent_read(wb_slice_str(reply->grpc_message), message);
    if (n > 0) t.message = (wb_slice){message, n};
    if (code < GRPC_CODES)
        (void)snprintf(out->text, sizeof out->text, "gRPC %s: ", grpc_names[code]);
    else
        (void)snprintf(out->text, sizeof out->text, "gRPC code %s: ", reply->grpc_status);
    out->status = judge_grpc(code, t.retry_ms > 0, out);
    out->retry_after_ms = t.retry_ms;
    if (grpc_advice(code)) say_words(out, grpc_advice(code));
    if (grpc_advice(code) && t.message.len > 0) say_words(out, ": ");
    say(reply, out, t.message);
}

/* No gRPC answered: a proxy, or another server. */
static void read_not_grpc(const wb_otlp_reply *reply, wb_otlp_answer *out)
{
    (void)snprintf(out->text, sizeof out->text, "HTTP %u: ", reply->status);
    out->status = WB_ERR_UNAVAILABLE;
    if (reply->status == 200)
        say_words(out, "no gRPC status came with it: check endpoint and protocol");
    else if (advice_for(reply->status))
        say_words(out, advice_for(reply->status));
    else
        say_words(out, "no gRPC behind it now");
}

/* A head alone may carry a failure, never an OK: then a message is there and the status behind it. Where
 * something is missing, whoever answered may not have handed the request on. */
static void read_grpc_ok(const wb_otlp_reply *reply, wb_otlp_answer *out)
{
    WB_AUTO_BUFFER room;
    telling t = {0};
    wb_slice message;
    wb_buffer_init(&room, WB_OTLP_REPLY_MAX_BYTES);
    if (reply->status != 200 || !says_type(reply, "application/grpc") || !reply->trails ||
        !wb_otlp_grpc_message(wb_buffer_slice(&reply->body), reply->grpc_encoding, &room,
                              &message)) {
        (void)snprintf(out->text, sizeof out->text,
                       "HTTP %u: gRPC OK, but not a whole answer: check endpoint", reply->status);
        out->status = WB_ERR_UNAVAILABLE;
        return;
    }
    read_partial(message, &t);
    out->rejected = t.rejected;
    say(reply, out, t.message);
}

static void read_grpc(const wb_otlp_reply *reply, wb_otlp_answer *out)
{
    uint64_t code;
    if (!wb_json_int(wb_slice_of(reply->grpc_status, strlen(reply->grpc_status)), &code))
        read_not_grpc(reply, out);
    else if (code != 0)
        read_grpc_failure(reply, code, out);
    else
        read_grpc_ok(reply, out);
}

void wb_otlp_reply_read(const wb_otlp_reply *reply, wb_otlp_protocol protocol, wb_signal signal,
                        wb_time_ns now, wb_otlp_answer *out)
{
    *out = (wb_otlp_answer){.status = WB_OK};
    if (protocol == WB_OTLP_GRPC)
        read_grpc(reply, out);
    else
        read_http(reply, protocol, signal, now, out);
}
