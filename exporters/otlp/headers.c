/* SPDX-License-Identifier: Apache-2.0 */
/* A header that somebody wrote becomes a line that libcurl sends as it is: so what could end the line or
 * begin another one is refused here. The names that the protocol itself needs are ours. */
#include "exporters/otlp/settings.h"

#include "core/text_code.h"
#include "proto/sender.h"

#include <ctype.h>
#include <strings.h>

static const char *const ours[] = {
    "accept-encoding", "connection",        "content-encoding", "content-length", "content-type",
    "expect",          "grpc-encoding",     "grpc-timeout",     "host",           "te",
    "trailer",         "transfer-encoding", "upgrade",          WB_SENDER_HEADER,
};

/* RFC 9110 section 5.6.2: token */
static bool is_name(wb_slice name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum(name.ptr[i]) && !memchr(marks, name.ptr[i], sizeof marks - 1)) return false;
    return name.len > 0;
}

static bool is_ours(wb_slice name)
{
    for (size_t i = 0; i < WB_COUNT(ours); i++)
        if (name.len == strlen(ours[i]) &&
            strncasecmp((const char *)name.ptr, ours[i], name.len) == 0)
            return true;
    return false;
}

static wb_slice trimmed(wb_slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = (wb_slice){s.ptr + 1, s.len - 1};
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) s.len--;
    return s;
}

/* RFC 9110 section 5.5: no control characters */
static bool is_value(wb_slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] == 0x7F) return false;
    return value.len > 0;
}

static wb_slice cut_name(wb_slice text, wb_slice *rest)
{
    size_t at = 0;
    while (at < text.len && text.ptr[at] != '=' && text.ptr[at] != ':') at++;
    *rest = at < text.len ? (wb_slice){text.ptr + at + 1, text.len - at - 1} : (wb_slice){0};
    return trimmed((wb_slice){text.ptr, at});
}

wb_status wb_otlp_header_add(wb_otlp_headers *headers, wb_slice text, bool decode, wb_arena *arena,
                             wb_error *err)
{
    wb_slice rest, name = cut_name(text, &rest), value;
    if (!is_name(name) || !rest.ptr) /* not even a name: it may be the secret alone */
        return wb_fail(err, WB_ERR_CONFIG, "a header is written name=value");
    if (is_ours(name))
        return wb_fail(err, WB_ERR_CONFIG, "the header %.*s belongs to the protocol",
                       WB_SLICE_ARG(name));
    if (headers->n == WB_OTLP_HEADERS_MAX)
        return wb_fail(err, WB_ERR_CONFIG, "more than %d headers", WB_OTLP_HEADERS_MAX);
    if (!headers->lines)
        headers->lines = wb_arena_array(arena, WB_OTLP_HEADERS_MAX, sizeof *headers->lines);
    if (!headers->lines || wb_arena_dup(arena, trimmed(rest), &value) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for headers");
    if (decode) value.len = wb_percent_read(value, (uint8_t *)(uintptr_t)value.ptr);
    if (!is_value(value))
        return wb_fail(err, WB_ERR_CONFIG,
                       "the header %.*s has no value, or one that ends its line",
                       WB_SLICE_ARG(name));
    const char *line =
        wb_arena_printf(arena, "%.*s: %.*s", WB_SLICE_ARG(name), WB_SLICE_ARG(value));
    if (!line) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for headers");
    headers->lines[headers->n++] = line;
    return WB_OK;
}
