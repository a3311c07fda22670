# SPDX-License-Identifier: Apache-2.0
"""Section 14 of docs/tokens.md: which encodings are points that count, with Python's integers.

RFC 8032 section 5.1: the curve -x^2 + y^2 = 1 + d x^2 y^2 over p = 2^255 - 19. A point is written as
y, little-endian, with x's lowest bit at the top. The group has 8 L elements; the subgroup of prime
order L is the one that the base point generates.
"""

from __future__ import annotations

import functools
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]  # extended: x = X/Z, y = Y/Z, T = XY/Z
IDENTITY: Point = (0, 1, 1, 0)


def affine(x: int, y: int) -> Point:
    return (x, y, 1, x * y % P)


def add(p: Point, q: Point) -> Point:
    """Complete: right for all pairs, also equal ones (RFC 8032 section 5.1.4)."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar: int, p: Point) -> Point:
    out = IDENTITY
    while scalar:
        if scalar & 1:
            out = add(out, p)
        p = add(p, p)
        scalar >>= 1
    return out


def equal(p: Point, q: Point) -> bool:
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def x_of(y: int, sign: int) -> int | None:
    """RFC 8032 section 5.1.3, steps 2 to 4."""
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P != 0:
        x = x * ROOT_OF_MINUS_1 % P
    if (v * x * x - u) % P != 0:
        return None
    if x == 0 and sign:
        return None
    return x if x & 1 == sign else P - x


def decode(raw: bytes) -> Point | None:
    """The point of a canonical encoding, or None."""
    number = int.from_bytes(raw, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= P:
        return None
    x = x_of(y, sign)
    return None if x is None else affine(x, y)


def encode(p: Point) -> bytes:
    inverse = pow(p[2], -1, P)
    x, y = p[0] * inverse % P, p[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE_Y = 4 * pow(5, -1, P) % P
_BASE_X = x_of(_BASE_Y, 0)
assert _BASE_X is not None
BASE = affine(_BASE_X, _BASE_Y)


@functools.cache
def point_counts(raw: bytes) -> bool:
    """A canonical encoding of a point of the prime-order subgroup other than the identity."""
    point = decode(raw)
    return point is not None and not equal(point, IDENTITY) and equal(multiply(L, point), IDENTITY)


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


@functools.cache
def verify(signature: bytes, message: bytes, a: bytes) -> bool:
    """S < L and [S]B = R + [k]A, for A and R of which point_counts."""
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    point_r, point_a = decode(r), decode(a)
    if s >= L or point_r is None or point_a is None:
        return False
    return equal(multiply(s, BASE), add(point_r, multiply(challenge(r, a, message), point_a)))
