/* SPDX-License-Identifier: Apache-2.0 */
/* core/status.h: the one error enum, its detail string, and the macros every folder uses. */
#ifndef WAYBILL_CORE_STATUS_H
#define WAYBILL_CORE_STATUS_H

#include <stddef.h>

typedef enum wb_status {
    WB_OK = 0,
    WB_ERR_NO_MEMORY,   /* allocation failed, or an arena reached its limit */
    WB_ERR_MALFORMED,   /* these bytes will never parse */
    WB_ERR_DENIED,      /* signature, audience, expiry or budget said no */
    WB_ERR_FULL,        /* a configured bound was reached; nothing was changed */
    WB_ERR_UNAVAILABLE, /* the far side is away or asked us to wait: retry */
    WB_ERR_TIMEOUT,     /* outcome unknown: retry, expect a duplicate */
    WB_ERR_REJECTED,    /* the far side looked and refused: never retry */
    WB_ERR_CORRUPT,     /* our own stored data fails its check */
    WB_ERR_NOT_FOUND,   /* the thing named does not exist */
    WB_ERR_CONFIG,      /* configuration or files laid down for us are wrong; a human must act */
} wb_status;

/** What went wrong, in words for a log. No heap, no global: it may cross threads by value. */
typedef struct wb_error {
    wb_status status;
    char detail[160];
} wb_error;

#define WB_MUST_USE __attribute__((warn_unused_result))

#define WB_TRY(call)                                                                               \
    do {                                                                                           \
        wb_status st_ = (call);                                                                    \
        if (st_ != WB_OK) return st_;                                                              \
    } while (0)

/** Fill `err` (may be NULL) and return `status`, so that a failure is one return statement. A text that is
 *  too long is cut behind a whole character and ends with "...": forward another's text with a plain %s. */
wb_status wb_fail(wb_error *err, wb_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** As wb_fail, with ": <text of errnum>" appended. */
wb_status wb_fail_errno(wb_error *err, wb_status status, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#ifdef __clang_analyzer__
/* The analyzer sees one file at a time: tell it that what comes back is what went in. */
#define wb_fail(err, status, ...)                                                                  \
    __extension__({                                                                                \
        wb_status given_ = (status);                                                               \
        (void)(wb_fail)((err), given_, __VA_ARGS__);                                               \
        given_;                                                                                    \
    })
#define wb_fail_errno(err, status, errnum, ...)                                                    \
    __extension__({                                                                                \
        wb_status given_ = (status);                                                               \
        (void)(wb_fail_errno)((err), given_, (errnum), __VA_ARGS__);                               \
        given_;                                                                                    \
    })
#endif

/** The status's stable lower-case name ("ok", "no_memory", ...); never NULL. */
const char *wb_status_name(wb_status status);

/** Our own mistakes only, never input; stays on in release. */
#define WB_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) wb_assert_failed(#condition, __FILE__, __LINE__);   \
    } while (0)
_Noreturn void wb_assert_failed(const char *condition, const char *file, int line);

#define WB_AUTO(type) __attribute__((cleanup(type##_free_at))) type *
#define WB_DEFINE_AUTO(type)                                                                       \
    static inline void type##_free_at(type **p) { type##_free(*p); }
#define WB_STEAL(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) taken_ = (p);                                                                \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

#define WB_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
