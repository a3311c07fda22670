/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/edwards.h: the curve of Ed25519 by its definition, slow and plain, so that a test can
 * derive the points on which libraries disagree instead of believing a list of them. Source: RFC 8032
 * section 5.1. Not for secrets; nothing outside of tests. */
#ifndef WAYBILL_TESTS_SUPPORT_EDWARDS_H
#define WAYBILL_TESTS_SUPPORT_EDWARDS_H

#include <stdbool.h>
#include <stdint.h>

/* A number below p = 2^255 - 19, least significant word first. */
typedef struct wb_field {
    uint64_t w[4];
} wb_field;

/* On the curve -x^2 + y^2 = 1 + d x^2 y^2. */
typedef struct wb_point {
    wb_field x, y;
} wb_point;

extern const uint8_t wb_group_order[32]; /* L, little-endian */

/** RFC 8032 section 5.1.3, but y may be p or more and x = 0 may be negative: what a lenient reader takes.
 *  *canonical says whether a strict one would, too. False: no point at all. */
bool wb_point_decode(const uint8_t in[32], wb_point *out, bool *canonical);
void wb_point_encode(const wb_point *p, uint8_t out[32]);
wb_point wb_point_zero(void); /* the identity: (0, 1) */
wb_point wb_point_add(const wb_point *a, const wb_point *b);
/** [scalar]p, the scalar little-endian. */
wb_point wb_point_times(const uint8_t scalar[32], const wb_point *p);
bool wb_point_same(const wb_point *a, const wb_point *b);

/** A point of order 8, found by multiplying points with L until one is left over. */
wb_point wb_point_of_order_8(void);

/** TOKENS section 14, by the definition: a canonical encoding of a point that is not the identity and
 *  of which L times is. */
bool wb_point_is_good(const uint8_t in[32]);

#endif
