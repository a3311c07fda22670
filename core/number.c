/* SPDX-License-Identifier: Apache-2.0 */
/* Both ways stand on what the C library rounds exactly: strtod, and printf with %e.
 *
 * Neither may see the locale's decimal point. A number is read after its point was taken out and its
 * exponent made to fit: "-12.5e3" is read as "-125e2". Of what printf writes only the digits are taken.
 *
 * Shortest text: ask printf for n digits, the n-digit decimal nearest to the value, and take it if it
 * reads as the value again. For the least such n that is also the nearest of several, with one exception.
 * A power of two is twice as far from its upper neighbour as from its lower one, so that the nearest
 * decimal may lie below and read as another double, while the next one above, though farther away, reads
 * right: 2^-44 is 5.684341886080802e-14, and the nearest 16 digits end in 801. Hence the second try.
 *
 * 17 digits are always enough. A normal double that has a text of 15 digits or fewer is got back by its
 * nearest 15 digits (DBL_DIG), so the search begins there and zeros at the end go; a subnormal one has
 * fewer good digits, and the search begins at 1.
 *
 * Considered: Ryu and Grisu are faster by far and need tables of powers or big integers of our own. */
#include "core/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPONENT_MAX INT64_C(100000000000000000)

enum { MOST_DIGITS = 17 };

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* What stands behind the e. It stops growing where no mantissa that fits into memory could make up for
 * it, so that the sum with the mantissa's length cannot overflow. */
static int64_t read_exponent(const uint8_t *p, const uint8_t *end)
{
    int64_t value = 0;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    for (; p < end; p++) {
        WB_ASSERT(is_digit(*p));
        if (value < EXPONENT_MAX) value = value * 10 + (*p - '0');
    }
    return negative ? -value : value;
}

bool wb_number_read(wb_slice text, char *room, double *out)
{
    const uint8_t *p = text.ptr, *end = text.ptr + text.len;
    size_t len = 0;
    int64_t exponent = 0;
    bool fraction = false;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p != '.') room[len++] = (char)*p;
        if (fraction) exponent--;
        if (*p == '.') fraction = true;
    }
    if (p < end) exponent += read_exponent(p + 1, end);
    (void)snprintf(room + len, text.len + WB_NUMBER_MAX - len, "e%lld", (long long)exponent);
    char *stop;
    double value = strtod(room, &stop);
    WB_ASSERT(*stop == '\0');
    if (!isfinite(value)) return false;
    *out = value;
    return true;
}

wb_status wb_number_parse(wb_slice text, wb_arena *arena, double *out)
{
    char *room = wb_arena_alloc(arena, text.len + WB_NUMBER_MAX);
    if (!room) return WB_ERR_NO_MEMORY;
    return wb_number_read(text, room, out) ? WB_OK : WB_ERR_MALFORMED;
}

/* value = 0.d1d2...dn * 10^point, d1 and dn not 0. */
typedef struct decimal {
    char digits[MOST_DIGITS + 1];
    int n, point;
} decimal;

/* The decimal of n digits nearest to `value`. */
static void nearest(double value, int n, decimal *out)
{
    char text[WB_NUMBER_MAX + 8]; /* a locale's decimal point may have several bytes */
    (void)snprintf(text, sizeof text, "%.*e", n - 1, value);
    const char *e = strchr(text, 'e');
    out->n = 0;
    for (const char *p = text; p < e; p++)
        if (is_digit((uint8_t)*p) && out->n < n) out->digits[out->n++] = *p;
    out->point = (int)strtol(e + 1, NULL, 10) + 1;
}

/* One more in the last place. */
static void next_above(decimal *d)
{
    int i = d->n - 1;
    for (; i >= 0 && d->digits[i] == '9'; i--) d->digits[i] = '0';
    if (i >= 0) {
        d->digits[i]++;
        return;
    }
    d->digits[0] = '1'; /* a 9 alone, as the one digit of 2^-1030 */
    d->point++;
}

static bool reads_as(const decimal *d, double value)
{
    char text[WB_NUMBER_MAX];
    (void)snprintf(text, sizeof text, "%.*se%d", d->n, d->digits, d->point - d->n);
    return strtod(text, NULL) == value;
}

/* value > 0 */
static decimal shortest(double value)
{
    decimal d;
    int exponent;
    bool power_of_two = frexp(value, &exponent) == 0.5;
    int n = value < DBL_MIN ? 1 : DBL_DIG;
    for (;; n++) {
        nearest(value, n, &d);
        if (n == MOST_DIGITS || reads_as(&d, value)) break;
        if (!power_of_two) continue;
        next_above(&d);
        if (reads_as(&d, value)) break;
    }
    while (d.n > 1 && d.digits[d.n - 1] == '0') d.n--;
    return d;
}

/* ECMA-262, Number::toString, steps 6 to 12: its k is d->n, its n is d->point. */
static size_t put_decimal(const decimal *d, char *out, size_t room)
{
    static const char zeros[] = "00000000000000000000";
    int n = d->n, point = d->point;
    if (n <= point && point <= 21)
        return (size_t)snprintf(out, room, "%.*s%.*s", n, d->digits, point - n, zeros);
    if (0 < point && point <= 21)
        return (size_t)snprintf(out, room, "%.*s.%.*s", point, d->digits, n - point,
                                d->digits + point);
    if (-6 < point && point <= 0)
        return (size_t)snprintf(out, room, "0.%.*s%.*s", -point, zeros, n, d->digits);
    return (size_t)snprintf(out, room, "%c%s%.*se%+d", d->digits[0], n > 1 ? "." : "", n - 1,
                            d->digits + 1, point - 1);
}

size_t wb_number_format(double value, char out[WB_NUMBER_MAX])
{
    size_t len = 0;
    WB_ASSERT(isfinite(value));
    if (value == 0) {
        memcpy(out, "0", 2);
        return 1;
    }
    if (value < 0) out[len++] = '-';
    decimal d = shortest(fabs(value));
    return len + put_decimal(&d, out + len, WB_NUMBER_MAX - len);
}
