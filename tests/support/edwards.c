/* SPDX-License-Identifier: Apache-2.0 */
/* Affine points and the complete addition of RFC 8032 section 5.1.4's curve, division by Fermat. A
 * multiplication by L takes some milliseconds, which is what a derivation may cost. */
#include "tests/support/edwards.h"

#include "core/status.h"

#include <string.h>

typedef unsigned __int128 wide;

static const wb_field prime = {{0xffffffffffffffed, UINT64_MAX, UINT64_MAX, 0x7fffffffffffffff}};
static const wb_field zero = {{0}}, one = {{1}};

const uint8_t wb_group_order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                    0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};

/* ---- the field ------------------------------------------------------------------------------ */

static bool same(const wb_field *a, const wb_field *b) { return memcmp(a, b, sizeof *a) == 0; }

/* a - b; true if it went below 0. */
static bool subtract(const wb_field *a, const wb_field *b, wb_field *out)
{
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        wide d = (wide)a->w[i] - b->w[i] - borrow;
        out->w[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return borrow != 0;
}

/* Any 256-bit number to one below p. */
static wb_field reduce(wb_field a)
{
    wb_field less;
    while (!subtract(&a, &prime, &less)) a = less;
    return a;
}

static wb_field add(wb_field a, wb_field b)
{
    wb_field out;
    uint64_t carry = 0; /* both are below 2^255, so none is left over */
    for (int i = 0; i < 4; i++) {
        wide s = (wide)a.w[i] + b.w[i] + carry;
        out.w[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
    return reduce(out);
}

static wb_field negate(wb_field a)
{
    wb_field out;
    (void)subtract(&prime, &a, &out);
    return reduce(out);
}

static wb_field sub(wb_field a, wb_field b) { return add(a, negate(b)); }

/* 2^256 = 38 modulo p: the upper half counts 38 times. */
static wb_field fold(const uint64_t product[8])
{
    wb_field out;
    uint64_t carry = 0;
    for (int i = 0; i < 4; i++) {
        wide s = (wide)product[i + 4] * 38 + product[i] + carry;
        out.w[i] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
    }
    while (carry > 0) {
        wide s = (wide)out.w[0] + (wide)carry * 38;
        out.w[0] = (uint64_t)s;
        carry = (uint64_t)(s >> 64);
        for (int i = 1; i < 4; i++) {
            s = (wide)out.w[i] + carry;
            out.w[i] = (uint64_t)s;
            carry = (uint64_t)(s >> 64);
        }
    }
    return reduce(out);
}

static wb_field mul(wb_field a, wb_field b)
{
    uint64_t product[8] = {0};
    for (int i = 0; i < 4; i++) {
        uint64_t carry = 0;
        for (int k = 0; k < 4; k++) {
            wide s = (wide)a.w[i] * b.w[k] + product[i + k] + carry;
            product[i + k] = (uint64_t)s;
            carry = (uint64_t)(s >> 64);
        }
        product[i + 4] = carry;
    }
    return fold(product);
}

static wb_field power(wb_field base, wb_field exponent)
{
    wb_field out = one;
    for (int bit = 255; bit >= 0; bit--) {
        out = mul(out, out);
        if ((exponent.w[bit / 64] >> (bit % 64)) & 1) out = mul(out, base);
    }
    return out;
}

/* (p + n) / 2^shift */
static wb_field part_of_prime(int64_t n, int shift)
{
    wb_field out = prime;
    out.w[0] = (uint64_t)((int64_t)out.w[0] + n);
    for (; shift > 0; shift--)
        for (int i = 0; i < 4; i++) out.w[i] = (out.w[i] >> 1) | (i < 3 ? out.w[i + 1] << 63 : 0);
    return out;
}

static wb_field inverse(wb_field a) { return power(a, part_of_prime(-2, 0)); }

static wb_field small(uint64_t n) { return (wb_field){{n}}; }

/* -121665/121666, worked out once. */
static wb_field curve_d(void)
{
    static wb_field d;
    if (same(&d, &zero)) d = mul(negate(small(121665)), inverse(small(121666)));
    return d;
}

/* RFC 8032 section 5.1.3 step 3. False: no square. */
static bool square_root(wb_field a, wb_field *out)
{
    wb_field root = power(a, part_of_prime(3, 3));
    wb_field square = mul(root, root), minus = negate(a);
    if (same(&square, &minus)) root = mul(root, power(small(2), part_of_prime(-1, 2)));
    square = mul(root, root);
    *out = root;
    return same(&square, &a);
}

/* ---- the curve ------------------------------------------------------------------------------ */

wb_point wb_point_zero(void) { return (wb_point){zero, one}; }

bool wb_point_same(const wb_point *a, const wb_point *b)
{
    return same(&a->x, &b->x) && same(&a->y, &b->y);
}

bool wb_point_decode(const uint8_t in[32], wb_point *out, bool *canonical)
{
    wb_field y = zero, reduced, x;
    for (int i = 0; i < 32; i++) y.w[i / 8] |= (uint64_t)in[i] << (8 * (i % 8));
    bool negative = (y.w[3] >> 63) != 0;
    y.w[3] &= ~(UINT64_C(1) << 63);
    reduced = reduce(y);
    wb_field yy = mul(reduced, reduced);
    wb_field fraction =
        mul(sub(yy, one), inverse(add(mul(curve_d(), yy), one))); /* x^2 = (y^2-1)/(dy^2+1) */
    if (!square_root(fraction, &x)) return false;
    *canonical = same(&y, &reduced) && !(same(&x, &zero) && negative);
    if ((x.w[0] & 1) != (negative ? 1u : 0u)) x = negate(x);
    *out = (wb_point){x, reduced};
    return true;
}

void wb_point_encode(const wb_point *p, uint8_t out[32])
{
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(p->y.w[i / 8] >> (8 * (i % 8)));
    out[31] |= (uint8_t)((p->x.w[0] & 1) << 7);
}

wb_point wb_point_add(const wb_point *a, const wb_point *b)
{
    wb_field xy = mul(a->x, b->y), yx = mul(a->y, b->x);
    wb_field xx = mul(a->x, b->x), yy = mul(a->y, b->y);
    wb_field t = mul(curve_d(), mul(xx, yy));
    return (wb_point){mul(add(xy, yx), inverse(add(one, t))),
                      mul(add(yy, xx), inverse(sub(one, t)))};
}

wb_point wb_point_times(const uint8_t scalar[32], const wb_point *p)
{
    wb_point out = wb_point_zero();
    for (int bit = 255; bit >= 0; bit--) {
        out = wb_point_add(&out, &out);
        if ((scalar[bit / 8] >> (bit % 8)) & 1) out = wb_point_add(&out, p);
    }
    return out;
}

wb_point wb_point_of_order_8(void)
{
    static const uint8_t four[32] = {4};
    wb_point identity = wb_point_zero();
    for (uint8_t y = 2; y < 128; y++) {
        const uint8_t in[32] = {y};
        wb_point p;
        bool canonical;
        if (!wb_point_decode(in, &p, &canonical)) continue;
        wb_point left = wb_point_times(wb_group_order, &p);
        wb_point fourth = wb_point_times(four, &left);
        if (!wb_point_same(&fourth, &identity)) return left;
    }
    WB_ASSERT(!"half of all points have a part of order 8");
    return identity;
}

bool wb_point_is_good(const uint8_t in[32])
{
    wb_point p, identity = wb_point_zero();
    bool canonical;
    if (!wb_point_decode(in, &p, &canonical) || !canonical) return false;
    if (wb_point_same(&p, &identity)) return false;
    wb_point multiple = wb_point_times(wb_group_order, &p);
    return wb_point_same(&multiple, &identity);
}
