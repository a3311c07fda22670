/* SPDX-License-Identifier: Apache-2.0 */
/* On x86-64 with SSE4.2 there is an instruction that takes 8 bytes; asked for at run time, since Debian's
 * amd64 does not promise it. Its answer comes after 3 cycles, but a new one may begin in each, so long
 * input is read in three lanes at once. A CRC is linear: that of two lanes, one behind the other, is the
 * first one's, taken over as many zeros as the second one has bytes, xor the second one's. Taking it over
 * is four look-ups.
 *
 * Elsewhere: eight tables, so that 8 bytes cost eight look-ups that do not wait for each other. Tables are
 * made on first use. */
#include "core/crc32c.h"

#include <pthread.h>
#include <string.h>

/* x^32 + x^28 + x^27 + ... + 1 (Castagnoli), bits reversed. */
#define POLYNOMIAL UINT32_C(0x82F63B78)

static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][byte] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t byte = 0; byte < 256; byte++)
            table[k][byte] = (table[k - 1][byte] >> 8) ^ table[0][table[k - 1][byte] & 0xFF];
}

static uint32_t eight_bytes(uint32_t crc, const uint8_t *p)
{
    uint32_t low =
        crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    return table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^
           table[4][low >> 24] ^ table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
}

uint32_t wb_crc32c_portable(uint32_t crc, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    (void)pthread_once(&table_once, make_table);
    crc = ~crc;
    for (; len >= 8; p += 8, len -= 8) crc = eight_bytes(crc, p);
    for (; len > 0; p++, len--) crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)

#define SSE42 __attribute__((target("sse4.2")))

enum { LANE = 1024 };

static uint32_t over_lane[4][256]; /* what each byte of a state is after LANE zeros */
static pthread_once_t over_lane_once = PTHREAD_ONCE_INIT;

SSE42 static void make_over_lane(void)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        uint64_t state = UINT32_C(1) << bit;
        for (int i = 0; i < LANE; i += 8) state = __builtin_ia32_crc32di(state, 0);
        uint32_t *of_byte = over_lane[bit / 8];
        for (unsigned byte = 0; byte < 256; byte++)
            if (byte >> bit % 8 & 1) of_byte[byte] ^= (uint32_t)state;
    }
}

static uint32_t take_over_lane(uint64_t state)
{
    return over_lane[0][state & 0xFF] ^ over_lane[1][state >> 8 & 0xFF] ^
           over_lane[2][state >> 16 & 0xFF] ^ over_lane[3][state >> 24 & 0xFF];
}

SSE42 static uint64_t add_word(uint64_t state, const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return __builtin_ia32_crc32di(state, word);
}

SSE42 static uint32_t three_lanes(uint64_t state, const uint8_t *p)
{
    uint64_t first = state, second = 0, third = 0;
    for (const uint8_t *end = p + LANE; p < end; p += 8) {
        first = add_word(first, p);
        second = add_word(second, p + LANE);
        third = add_word(third, p + 2 * LANE);
    }
    return take_over_lane(take_over_lane(first) ^ second) ^ (uint32_t)third;
}

SSE42 static uint32_t by_instruction(uint32_t crc, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t wide = ~crc;
    if (len >= 3 * LANE) (void)pthread_once(&over_lane_once, make_over_lane);
    for (; len >= 3 * LANE; p += 3 * LANE, len -= 3 * LANE) wide = three_lanes(wide, p);
    for (; len >= 8; p += 8, len -= 8) wide = add_word(wide, p);
    uint32_t narrow = (uint32_t)wide;
    for (; len > 0; p++, len--) narrow = __builtin_ia32_crc32qi(narrow, *p);
    return ~narrow;
}

uint32_t wb_crc32c(uint32_t crc, const void *bytes, size_t len)
{
    if (__builtin_cpu_supports("sse4.2")) return by_instruction(crc, bytes, len);
    return wb_crc32c_portable(crc, bytes, len);
}

#else

uint32_t wb_crc32c(uint32_t crc, const void *bytes, size_t len)
{
    return wb_crc32c_portable(crc, bytes, len);
}

#endif
