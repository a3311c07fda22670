/* SPDX-License-Identifier: Apache-2.0 */
/* core/log.h: one line per event on standard error: logfmt or JSON. Only sidecar/ and programs log
 * above debug; a library returns its error. Tokens, keys, salts and payloads are never logged. */
#ifndef WAYBILL_CORE_LOG_H
#define WAYBILL_CORE_LOG_H

#include "core/slice.h"
#include "core/status.h"

#include <stdatomic.h>

typedef enum wb_log_level { WB_LOG_DEBUG, WB_LOG_INFO, WB_LOG_WARN, WB_LOG_ERROR } wb_log_level;
typedef enum wb_log_format { WB_LOG_LOGFMT, WB_LOG_JSON } wb_log_format;

typedef struct wb_log_pair {
    const char *key;
    enum { WB_LOG_U64, WB_LOG_I64, WB_LOG_TEXT, WB_LOG_SLICE } type;
    union {
        uint64_t u64;
        int64_t i64;
        const char *text;
        wb_slice slice;
    };
} wb_log_pair;

static inline wb_log_pair wb_kv_u64(const char *k, uint64_t v)
{
    return (wb_log_pair){.key = k, .type = WB_LOG_U64, .u64 = v};
}
static inline wb_log_pair wb_kv_i64(const char *k, int64_t v)
{
    return (wb_log_pair){.key = k, .type = WB_LOG_I64, .i64 = v};
}
static inline wb_log_pair wb_kv_text(const char *k, const char *v)
{
    return (wb_log_pair){.key = k, .type = WB_LOG_TEXT, .text = v};
}
static inline wb_log_pair wb_kv_slice(const char *k, wb_slice v)
{
    return (wb_log_pair){.key = k, .type = WB_LOG_SLICE, .slice = v};
}

/* A pair of a log line; the key carries the unit ("used_bytes", "waited_ms"). */
#define WB_KV(key, value)                                                                          \
    _Generic((value),                                                                              \
        char *: wb_kv_text,                                                                        \
        const char *: wb_kv_text,                                                                  \
        wb_slice: wb_kv_slice,                                                                     \
        int: wb_kv_i64,                                                                            \
        long: wb_kv_i64,                                                                           \
        long long: wb_kv_i64,                                                                      \
        default: wb_kv_u64)(key, value)

/** WB_LOG(WARN, "journal.near_full", "journal nearly full", WB_KV("used_bytes", used));
 *  The event id is stable, the text may change. Values are escaped: one event is always one line. */
#define WB_LOG(level, event, text, ...)                                                            \
    do {                                                                                           \
        if (wb_log_enabled(WB_LOG_##level)) {                                                      \
            const wb_log_pair pairs_[] = {{.key = NULL}, ##__VA_ARGS__};                           \
            wb_log_write(WB_LOG_##level, event, text, pairs_ + 1, WB_COUNT(pairs_) - 1);           \
        }                                                                                          \
    } while (0)

/* Keeps an event that strangers can cause from filling the log: so many lines a second, and each that
 * gets through says how many did not. At level debug all get through. Static and zeroed, one per event;
 * any thread. */
typedef struct wb_log_gate {
    atomic_ullong second; /* second << 16 | lines in it */
    atomic_ullong held_back;
} wb_log_gate;
enum { WB_LOG_GATE_LINES = 10 }; /* a second */

/** May one more line be written at `mono` (monotonic ns)? True hands over, in *held_back, how many were
 *  not since the last one that was: say it in the line. */
bool wb_log_gate_pass(wb_log_gate *gate, uint64_t mono, uint64_t *held_back);
/** How many were held back and not handed over yet, once the second in which that was is over: for a line
 *  of their own when no more come. */
uint64_t wb_log_gate_rest(wb_log_gate *gate, uint64_t mono);

/** Set once at start, before threads. */
void wb_log_setup(wb_log_level least, wb_log_format format);
bool wb_log_enabled(wb_log_level level);
/** Thread-safe; one write(2) per line, cut at 4 KiB. */
void wb_log_write(wb_log_level level, const char *event, const char *text, const wb_log_pair *pairs,
                  size_t n);

#endif
