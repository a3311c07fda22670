/* SPDX-License-Identifier: Apache-2.0 */
/* FIPS 180-4 as it stands, with its names: a..h are the working variables, w the message schedule, H the
 * chaining value. Nothing is unrolled: a digest covers one message's body, which its own transport has
 * copied more often than this reads it. The constants are the first 32 bits of the fractional parts of
 * square roots (H) and cube roots (K) of the first primes. */
#include "core/sha256.h"

enum { LENGTH_AT = WB_SHA256_BLOCK - 8 }; /* of the last block: its end holds the length in bits */

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> (24 - 8 * i));
}

/* Section 6.2.2, steps 1 to 4, for one block. */
static void take_block(uint32_t H[8], const uint8_t *block)
{
    uint32_t w[64];
    for (int t = 0; t < 16; t++) w[t] = load32(block + (size_t)4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
    uint32_t a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
    for (int t = 0; t < 64; t++) {
        uint32_t sum1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
        uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + K[t] + w[t];
        uint32_t sum0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
        uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    H[0] += a, H[1] += b, H[2] += c, H[3] += d;
    H[4] += e, H[5] += f, H[6] += g, H[7] += h;
}

void wb_sha256_start(wb_sha256_state *state)
{
    *state = (wb_sha256_state){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                     0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void wb_sha256_add(wb_sha256_state *state, wb_slice bytes)
{
    size_t waiting = state->len % WB_SHA256_BLOCK;
    state->len += bytes.len;
    while (bytes.len > 0) {
        size_t n = WB_SHA256_BLOCK - waiting;
        if (n > bytes.len) n = bytes.len;
        memcpy(state->block + waiting, bytes.ptr, n);
        bytes = (wb_slice){bytes.ptr + n, bytes.len - n};
        waiting += n;
        if (waiting < WB_SHA256_BLOCK) return;
        take_block(state->h, state->block);
        waiting = 0;
    }
}

/* Section 5.1.1: a one bit, zeros, and the length in bits at the end of a block. */
void wb_sha256_end(wb_sha256_state *state, uint8_t out[WB_SHA256_LEN])
{
    size_t waiting = state->len % WB_SHA256_BLOCK;
    uint64_t bits = state->len * 8;
    state->block[waiting++] = 0x80;
    memset(state->block + waiting, 0, WB_SHA256_BLOCK - waiting);
    if (waiting > LENGTH_AT) {
        take_block(state->h, state->block);
        memset(state->block, 0, LENGTH_AT);
    }
    store32(state->block + LENGTH_AT, (uint32_t)(bits >> 32));
    store32(state->block + LENGTH_AT + 4, (uint32_t)bits);
    take_block(state->h, state->block);
    for (size_t i = 0; i < 8; i++) store32(out + 4 * i, state->h[i]);
}
