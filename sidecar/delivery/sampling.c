/* SPDX-License-Identifier: Apache-2.0 */
/* Everything is 56-bit integers: a double would do for the thresholds of the specification's table, but
 * two programs that round it differently disagree about the traces in between.
 *
 * How a tracestate is read: it was an HTTP header once and came through programs that copy what they
 * do not understand, so only the `ot` member is looked at, and only its sub-keys th and rv. What is
 * wrong with other members is not ours to judge or repair. */
#include "sidecar/delivery/sampling.h"

#include "core/text_code.h"

enum {
    HEX_DIGITS = 14,
    PRECISION = 5,
    DECIMALS_MAX = 18,
    OT_MAX = 256,     /* of the member's value */
    MEMBERS_MAX = 32, /* W3C Trace Context section 3.3.1.1 */
    TH_MAX = 3 + HEX_DIGITS,
};

__extension__ typedef unsigned __int128 wide;

/* ---- the threshold of a ratio --------------------------------------------------------------- */

/* digits / 10^decimals; false if it is no such number. */
static bool read_decimal(wb_slice text, uint64_t *digits, uint64_t *scale)
{
    size_t n = 0, decimals = 0;
    bool point = false;
    *digits = 0;
    *scale = 1;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || (point && decimals == DECIMALS_MAX)) return false;
        if (*digits > UINT64_C(1000000000000000000)) return false; /* more than 1 already */
        *digits = *digits * 10 + (c - '0');
        if (point) *scale *= 10;
        decimals += point;
        n++;
    }
    return n > 0;
}

/* To the nearest value of PRECISION hex digits behind the leading f's: a small probability has as many
 * digits that say something as a large one. */
static uint64_t round_digits(uint64_t th)
{
    int keep = PRECISION;
    for (int shift = 52; shift >= 0 && (th >> shift & 0xF) == 0xF; shift -= 4) keep++;
    if (keep >= HEX_DIGITS) return th;
    uint64_t unit = UINT64_C(1) << (4 * (HEX_DIGITS - keep));
    return (th + unit / 2) / unit * unit;
}

wb_status wb_sampling_threshold(wb_slice ratio, uint64_t *out, wb_error *err)
{
    uint64_t digits, scale;
    if (!read_decimal(ratio, &digits, &scale) || digits > scale)
        return wb_fail(
            err, WB_ERR_CONFIG,
            "sampling.ratio: a decimal number from 0 to 1, such as 0.01, with at most %d "
            "digits behind the point",
            DECIMALS_MAX);
    *out = WB_SAMPLING_NEVER;
    if (digits == 0) return WB_OK;
    wide rejected = (wide)(scale - digits) * WB_SAMPLING_NEVER;
    uint64_t th = (uint64_t)((2 * rejected + scale) / (2 * (wide)scale));
    uint64_t rounded = round_digits(th);
    /* A ratio above 0 keeps at least the traces of the highest R. */
    *out = rounded < WB_SAMPLING_NEVER ? rounded : WB_SAMPLING_NEVER - 1;
    return WB_OK;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Take the text before the next `separator` off `rest`, without blanks around it; false at the end. */
static bool next_part(wb_slice *rest, uint8_t separator, wb_slice *part)
{
    if (!rest->ptr) return false;
    const uint8_t *end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    *part = (wb_slice){rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
    *rest = end ? (wb_slice){end + 1, rest->len - part->len - 1} : (wb_slice){NULL, 0};
    while (part->len > 0 && (part->ptr[0] == ' ' || part->ptr[0] == '\t')) {
        part->ptr++;
        part->len--;
    }
    while (part->len > 0 && (part->ptr[part->len - 1] == ' ' || part->ptr[part->len - 1] == '\t'))
        part->len--;
    return true;
}

static bool is_ot(wb_slice member) { return wb_slice_starts(member, WB_S("ot=")); }

/* The value of the first `ot` member; empty if there is none. */
static wb_slice find_ot(wb_slice trace_state)
{
    wb_slice member;
    while (next_part(&trace_state, ',', &member))
        if (is_ot(member)) return (wb_slice){member.ptr + 3, member.len - 3};
    return (wb_slice){NULL, 0};
}

/* 1 to 14 hex digits, of either case, with zeros behind them to make 14; `exact`: 14. */
static bool read_hex(wb_slice text, bool exact, uint64_t *out)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > HEX_DIGITS || (exact && text.len != HEX_DIGITS)) return false;
    for (size_t i = 0; i < HEX_DIGITS; i++) {
        int digit = wb_hex_digit(i < text.len ? text.ptr[i] : '0');
        if (digit < 0) return false;
        value = value << 4 | (uint64_t)digit;
    }
    *out = value;
    return true;
}

static wb_slice behind(wb_slice sub, size_t n) { return (wb_slice){sub.ptr + n, sub.len - n}; }

wb_sampled wb_sampling_read(wb_slice trace_state, const wb_trace_id *trace_id)
{
    wb_sampled span = {0};
    bool has_rv = false;
    wb_slice sub, ot = find_ot(trace_state);
    for (size_t i = 9; i < sizeof trace_id->b; i++)
        span.randomness = span.randomness << 8 | trace_id->b[i];
    while (next_part(&ot, ';', &sub)) {
        if (!span.has_th && wb_slice_starts(sub, WB_S("th:")))
            span.has_th = read_hex(behind(sub, 3), false, &span.th);
        if (!has_rv && wb_slice_starts(sub, WB_S("rv:")))
            has_rv = read_hex(behind(sub, 3), true, &span.randomness);
    }
    return span;
}

/* ---- deciding ------------------------------------------------------------------------------- */

wb_sampling_verdict wb_sampling_decide(wb_sampled span, uint64_t threshold, wb_sampling_cause cause)
{
    static const wb_sampling_verdict left_out = {WB_SAMPLING_LEFT_OUT, 0},
                                     as_it_is = {WB_SAMPLING_AS_IT_IS, 0},
                                     erase = {WB_SAMPLING_ERASE, 0};
    /* "Sampling stages should check for consistency ... erase the threshold when it is apparently
     * inconsistent." */
    bool contradicted = span.has_th && span.randomness < span.th;
    if (cause == WB_SAMPLING_UNKNOWN) return span.has_th ? erase : as_it_is;
    if (cause == WB_SAMPLING_BY_RULE) {
        if (contradicted) return erase;
        return span.has_th ? as_it_is : (wb_sampling_verdict){WB_SAMPLING_SET, 0};
    }
    /* "Equalizing downstream sampler" */
    if (span.has_th && !contradicted && span.th >= threshold) return as_it_is;
    if (span.randomness < threshold) return left_out;
    return contradicted ? erase : (wb_sampling_verdict){WB_SAMPLING_SET, threshold};
}

/* ---- writing -------------------------------------------------------------------------------- */

/* "th:" and the digits without trailing zeros, at least one; its length. */
static size_t format_th(uint64_t th, char out[TH_MAX])
{
    static const char digits[] = "0123456789abcdef";
    static const char key[] = {'t', 'h', ':'};
    size_t len = TH_MAX;
    memcpy(out, key, sizeof key);
    for (int i = 0; i < HEX_DIGITS; i++) out[3 + i] = digits[th >> (52 - 4 * i) & 0xF];
    while (len > 4 && out[len - 1] == '0') len--;
    return len;
}

typedef struct ot_text {
    char text[OT_MAX];
    size_t len;
} ot_text;

static bool add_sub(ot_text *ot, wb_slice sub)
{
    size_t comma = ot->len > 0;
    if (sub.len == 0) return true;
    if (ot->len + comma + sub.len > OT_MAX) return false;
    if (comma) ot->text[ot->len++] = ';';
    memcpy(ot->text + ot->len, sub.ptr, sub.len);
    ot->len += sub.len;
    return true;
}

/* The sub-key that wb_sampling_read takes R from; empty if there is none. */
static wb_slice find_rv(wb_slice ot)
{
    wb_slice sub;
    uint64_t ignored;
    while (next_part(&ot, ';', &sub))
        if (wb_slice_starts(sub, WB_S("rv:")) && read_hex(behind(sub, 3), true, &ignored))
            return sub;
    return (wb_slice){NULL, 0};
}

/* The `ot` member's new value: th first, then the sub-keys that there were; false if that is too long. */
static bool build_ot(wb_slice old, wb_slice th, ot_text *ot)
{
    wb_slice sub;
    ot->len = 0;
    if (!add_sub(ot, th)) return false;
    while (next_part(&old, ';', &sub))
        if (!wb_slice_starts(sub, WB_S("th:")) && !add_sub(ot, sub)) return false;
    return true;
}

/* The same with rv alone, which always fits. */
static void build_short_ot(wb_slice old, wb_slice th, ot_text *ot)
{
    ot->len = 0;
    bool fits = add_sub(ot, th) && add_sub(ot, find_rv(old));
    WB_ASSERT(fits);
}

static wb_status add_member(wb_buffer *out, size_t *n, wb_slice member)
{
    if (*n == MEMBERS_MAX) return WB_OK;
    if ((*n)++ > 0) WB_TRY(wb_buffer_add(out, ",", 1));
    return wb_buffer_add_slice(out, member);
}

wb_status wb_sampling_write(wb_slice trace_state, wb_sampling_verdict verdict, wb_buffer *out)
{
    char th[TH_MAX];
    ot_text ot;
    size_t n = 0, th_len = verdict.mark == WB_SAMPLING_SET ? format_th(verdict.th, th) : 0;
    wb_slice member, old = find_ot(trace_state), th_text = wb_slice_of(th, th_len);
    if (!build_ot(old, th_text, &ot)) build_short_ot(old, th_text, &ot);
    if (ot.len > 0) {
        WB_TRY(wb_buffer_add_slice(out, WB_S("ot=")));
        WB_TRY(wb_buffer_add(out, ot.text, ot.len));
        n = 1;
    }
    while (next_part(&trace_state, ',', &member))
        if (member.len > 0 && !is_ot(member)) WB_TRY(add_member(out, &n, member));
    return WB_OK;
}
