/* SPDX-License-Identifier: Apache-2.0 */
/* A line is built on the stack and leaves in one write(2), so lines of several threads never mix.
 * Whatever came from outside is escaped: control bytes, quotes, backslashes and every byte above
 * 0x7E become \xNN (in JSON \u00NN), so no peer can forge a line or move the terminal's cursor. */
#include "core/log.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096,
    VALUE_MAX_BYTES = 480, /* escaped; longer ones end in "...", so that a line stays whole */
};

static wb_log_level least_level = WB_LOG_INFO;
static wb_log_format line_format = WB_LOG_LOGFMT;

typedef struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
} line;

void wb_log_setup(wb_log_level least, wb_log_format format)
{
    least_level = least;
    line_format = format;
}

bool wb_log_enabled(wb_log_level level) { return level >= least_level; }

static void put(line *l, const char *bytes, size_t len)
{
    size_t room = sizeof l->text - 2 - l->len; /* keep space for '}' and the newline */
    if (len > room) len = room;
    memcpy(l->text + l->len, bytes, len);
    l->len += len;
}

static void put_str(line *l, const char *text) { put(l, text, strlen(text)); }

static void put_quoted(line *l, wb_slice s)
{
    size_t end = l->len + VALUE_MAX_BYTES;
    put_str(l, "\"");
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        char escaped[8];
        if (l->len > end) {
            put_str(l, "...");
            break;
        }
        if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
            put(l, (const char *)&c, 1);
            continue;
        }
        (void)snprintf(escaped, sizeof escaped, line_format == WB_LOG_JSON ? "\\u%04x" : "\\x%02x",
                       c);
        put_str(l, escaped);
    }
    put_str(l, "\"");
}

static void put_key(line *l, const char *key)
{
    if (line_format == WB_LOG_JSON) {
        put_str(l, l->len > 1 ? ",\"" : "\"");
        put_str(l, key);
        put_str(l, "\":");
    } else {
        if (l->len > 0) put_str(l, " ");
        put_str(l, key);
        put_str(l, "=");
    }
}

static void put_pair(line *l, const wb_log_pair *pair)
{
    char number[32];
    put_key(l, pair->key);
    switch (pair->type) {
    case WB_LOG_U64:
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)pair->u64);
        put_str(l, number);
        break;
    case WB_LOG_I64:
        (void)snprintf(number, sizeof number, "%lld", (long long)pair->i64);
        put_str(l, number);
        break;
    case WB_LOG_TEXT: put_quoted(l, wb_slice_str(pair->text ? pair->text : "")); break;
    case WB_LOG_SLICE: put_quoted(l, pair->slice); break;
    }
}

static void put_time(line *l)
{
    struct timespec now;
    struct tm utc;
    char day[32], text[48];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(text, sizeof text, "%s.%03ldZ", day, now.tv_nsec / 1000000);
    put_key(l, "time");
    if (line_format == WB_LOG_JSON)
        put_quoted(l, wb_slice_str(text));
    else
        put_str(l, text);
}

void wb_log_write(wb_log_level level, const char *event, const char *text, const wb_log_pair *pairs,
                  size_t n)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    line l;
    l.len = 0;
    if (line_format == WB_LOG_JSON) put_str(&l, "{");
    put_time(&l);
    put_pair(&l, &(wb_log_pair){.key = "level", .type = WB_LOG_TEXT, .text = names[level]});
    put_pair(&l, &(wb_log_pair){.key = "event", .type = WB_LOG_TEXT, .text = event});
    put_pair(&l, &(wb_log_pair){.key = "msg", .type = WB_LOG_TEXT, .text = text});
    for (size_t i = 0; i < n; i++) put_pair(&l, &pairs[i]);
    if (line_format == WB_LOG_JSON) l.text[l.len++] = '}';
    l.text[l.len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, l.text, l.len); /* nobody is left to tell */
    (void)ignored;
}

bool wb_log_gate_pass(wb_log_gate *gate, uint64_t mono, uint64_t *held_back)
{
    unsigned long long now = (mono / 1000000000) << 16, seen = atomic_load(&gate->second);
    *held_back = 0;
    if (wb_log_enabled(WB_LOG_DEBUG)) return true;
    for (;;) {
        bool fresh = seen >> 16 != now >> 16;
        if (!fresh && (seen & 0xFFFF) >= WB_LOG_GATE_LINES) {
            atomic_fetch_add(&gate->held_back, 1);
            return false;
        }
        if (atomic_compare_exchange_weak(&gate->second, &seen, fresh ? now | 1 : seen + 1)) break;
    }
    *held_back = atomic_exchange(&gate->held_back, 0);
    return true;
}

uint64_t wb_log_gate_rest(wb_log_gate *gate, uint64_t mono)
{
    if (atomic_load(&gate->second) >> 16 == mono / 1000000000) return 0;
    return atomic_exchange(&gate->held_back, 0);
}
