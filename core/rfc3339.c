/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rfc3339.h"

enum { YEAR_MIN = 1970, YEAR_MAX = 2553, FRACTION_DIGITS = 9 };

typedef struct reader {
    const uint8_t *at, *end;
} reader;

static bool take(reader *r, const char *one_of)
{
    if (r->at == r->end || !strchr(one_of, *r->at) || *r->at == 0) return false;
    r->at++;
    return true;
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool number(reader *r, int digits, unsigned low, unsigned high, unsigned *out)
{
    unsigned n = 0;
    for (; digits > 0; digits--) {
        if (r->at == r->end || !is_digit(*r->at)) return false;
        n = 10 * n + (unsigned)(*r->at++ - '0');
    }
    *out = n;
    return n >= low && n <= high;
}

static bool is_leap(unsigned year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static unsigned days_in(unsigned year, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year) ? 1U : 0U);
}

static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    uint64_t days = day - 1;
    for (unsigned y = YEAR_MIN; y < year; y++) days += is_leap(y) ? 366 : 365;
    for (unsigned m = 1; m < month; m++) days += days_in(year, m);
    return days;
}

static bool fraction(reader *r, uint64_t *ns)
{
    uint64_t unit = WB_NS_PER_S;
    int digits = 0;
    for (; r->at < r->end && is_digit(*r->at); digits++) {
        unit /= 10;
        *ns += unit * (uint64_t)(*r->at++ - '0');
    }
    return digits >= 1 && digits <= FRACTION_DIGITS;
}

/* Seconds to take from what the clock there says. */
static bool offset(reader *r, int64_t *seconds)
{
    unsigned hours, minutes;
    if (take(r, "Zz")) return true;
    int64_t sign = take(r, "-") ? -1 : 1;
    if (sign > 0 && !take(r, "+")) return false;
    if (!number(r, 2, 0, 23, &hours) || !take(r, ":") || !number(r, 2, 0, 59, &minutes))
        return false;
    *seconds = sign * (int64_t)(hours * 3600 + minutes * 60);
    return true;
}

bool wb_rfc3339_parse(wb_slice text, wb_time_ns *out)
{
    reader r = {text.ptr, text.ptr + text.len};
    unsigned year, month, day, hour, minute, second;
    uint64_t ns = 0;
    int64_t away = 0;
    if (!number(&r, 4, YEAR_MIN, YEAR_MAX, &year) || !take(&r, "-") ||
        !number(&r, 2, 1, 12, &month) || !take(&r, "-") ||
        !number(&r, 2, 1, days_in(year, month), &day) || !take(&r, "Tt "))
        return false;
    if (!number(&r, 2, 0, 23, &hour) || !take(&r, ":") || !number(&r, 2, 0, 59, &minute) ||
        !take(&r, ":") || !number(&r, 2, 0, 60, &second))
        return false;
    if (take(&r, ".") && !fraction(&r, &ns)) return false;
    if (!offset(&r, &away) || r.at != r.end) return false;
    int64_t seconds =
        (int64_t)(days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) -
        away;
    if (seconds < 0) return false;
    *out = (uint64_t)seconds * WB_NS_PER_S + ns;
    return true;
}
