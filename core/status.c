/* SPDX-License-Identifier: Apache-2.0 */
/* Errors travel as a status plus 160 bytes of text owned by whoever asked. There is no thread-local
 * "last error": a detail may be logged by another thread than the one that failed. */
#include "core/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WHAT_MAX = 1024, /* of wb_fail_errno, before it is cut to fit */
    REASON_MAX = 64,
};

const char *wb_status_name(wb_status status)
{
    static const char *const names[] = {
        [WB_OK] = "ok",
        [WB_ERR_NO_MEMORY] = "no_memory",
        [WB_ERR_MALFORMED] = "malformed",
        [WB_ERR_DENIED] = "denied",
        [WB_ERR_FULL] = "full",
        [WB_ERR_UNAVAILABLE] = "unavailable",
        [WB_ERR_TIMEOUT] = "timeout",
        [WB_ERR_REJECTED] = "rejected",
        [WB_ERR_CORRUPT] = "corrupt",
        [WB_ERR_NOT_FOUND] = "not_found",
        [WB_ERR_CONFIG] = "config",
    };
    if ((size_t)status >= WB_COUNT(names)) return "unknown";
    return names[status];
}

/* Inside a character of UTF-8, whose bytes behind the first one are 10xxxxxx? */
static bool is_within(const char *at) { return ((unsigned char)*at & 0xC0) == 0x80; }

/* `len` or up to three bytes less, so that no character is cut. */
static size_t whole_chars(const char *text, size_t len)
{
    size_t least = len > 3 ? len - 3 : 0, at = len;
    while (at > least && is_within(text + at)) at--;
    return at;
}

static void mark_cut(wb_error *err)
{
    static const char mark[] = "...";
    size_t at = whole_chars(err->detail, sizeof err->detail - sizeof mark);
    memcpy(err->detail + at, mark, sizeof mark);
}

wb_status(wb_fail)(wb_error *err, wb_status status, const char *fmt, ...)
{
    if (err) {
        va_list args;
        va_start(args, fmt);
        err->status = status;
        int len = vsnprintf(err->detail, sizeof err->detail, fmt, args);
        va_end(args);
        if (len >= (int)sizeof err->detail) mark_cut(err);
    }
    return status;
}

static char *put(char *to, const char *bytes, size_t n)
{
    memcpy(to, bytes, n);
    return to + n;
}

/* "what: reason"; of a `what` that is too long, a path mostly, the middle goes. */
static void join_reason(wb_error *err, const char *what, const char *reason)
{
    size_t reason_len = strnlen(reason, REASON_MAX), len = strlen(what);
    size_t room = sizeof err->detail - sizeof ": " - reason_len;
    size_t head = len <= room ? len : whole_chars(what, room / 4);
    char *to = put(err->detail, what, head);
    if (head < len) {
        size_t tail = room - head - strlen("...");
        while (is_within(what + len - tail)) tail--; /* ends at its NUL */
        to = put(to, "...", 3);
        to = put(to, what + len - tail, tail);
    }
    to = put(to, ": ", 2);
    to = put(to, reason, reason_len);
    *to = '\0';
}

wb_status(wb_fail_errno)(wb_error *err, wb_status status, int errnum, const char *fmt, ...)
{
    if (err) {
        char reason[REASON_MAX], what[WHAT_MAX] = "";
        va_list args;
        va_start(args, fmt);
        err->status = status;
        (void)vsnprintf(what, sizeof what, fmt, args);
        va_end(args);
        join_reason(err, what,
                    strerror_r(errnum, reason, sizeof reason)); /* GNU form: returns the text */
    }
    return status;
}

void wb_assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "waybill: %s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
