/* SPDX-License-Identifier: Apache-2.0 */
/* All that arrives is looked through for secrets, so what looks must cost less than a nanosecond for eight bytes.
 * Two questions are asked of each byte, 64 bytes at a time:
 *
 * - Does a long word start here? Keys and tokens of services are long words with a prefix that tells whose they
 *   are. A word's start is a bit of (letters & ~(letters << 1)); that 16 bits from there on are set is four
 *   shifts.
 * - Do three letters stand here that a name of secrets has in it (pas|sword, sec|cre|t, to|oke|n ...), or what goes
 *   before one (`://`, `---`)? Each of three neighbouring bytes is looked up by its two halves in tables of 16
 *   bytes, which the processor does for 32 bytes at once; a byte of the tables has a bit for each of eight
 *   groups of letters, and what is left of three such looks is a group that fits. (The method is known as
 *   Teddy, from Hyperscan.) It may find what is no such word: whoever asks compares.
 *
 * Without AVX2, which is asked for at run time, a table says of each byte both things, one byte at a time: some ten
 * times slower. */
#include "sidecar/pipeline/secret_spots.h"

#include "core/status.h"

enum { BLOCK = 64, LOOK_AHEAD = 2 };

/* Letters that are alike share a group, so that few others fit. */
#define NEEDLES(X)                                                                                 \
    X('p', 'a', 's', 0)                                                                            \
    X('t', 'c', 'p', 0)                                                                            \
    X('c', 'r', 'e', 1)                                                                            \
    X('r', 'e', 'r', 1)                                                                            \
    X('o', 'k', 'e', 2)                                                                            \
    X('o', 'o', 'k', 2)                                                                            \
    X('k', 'e', 'y', 3)                                                                            \
    X('u', 't', 'h', 4)                                                                            \
    X(':', '/', '/', 5)                                                                            \
    X('-', '-', '-', 5)                                                                            \
    X('p', 'w', 'd', 6)                                                                            \
    X('s', 'i', 'g', 7)                                                                            \
    X('s', 'i', 'c', 7)                                                                            \
    X('s', 'e', 's', 7)

enum { IS_LETTER = 1, IS_LONG = 2 }; /* in a word; in a long word */

static inline unsigned class_of(uint8_t c)
{
    bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (alnum || c == '-' || c == '_') return IS_LETTER | IS_LONG;
    return c == '+' || c == '/' ? IS_LONG : 0;
}

static inline bool is_needle(const uint8_t *p)
{
#define CASE(a, b, c, group) case (a) | (b) << 8 | (c) << 16:
    switch ((p[0] | p[1] << 8 | p[2] << 16) | 0x202020) {
        NEEDLES(CASE)
        return true;
    default: return false;
    }
#undef CASE
}

/* ---- one byte at a time ---- */

static bool starts_run(wb_slice s, size_t at)
{
    if (!(class_of(s.ptr[at]) & IS_LETTER)) return false;
    if (at > 0 && class_of(s.ptr[at - 1]) & IS_LETTER) return false;
    if (s.len - at < WB_SPOT_RUN) return false;
    for (size_t i = 1; i < WB_SPOT_RUN; i++)
        if (!class_of(s.ptr[at + i])) return false;
    return true;
}

size_t wb_spots_find_portable(wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    size_t n = 0, at = *from;
    for (; at < bytes.len && n + 2 <= max; at++) {
        if (starts_run(bytes, at)) out[n++] = (wb_spot){.at = (uint32_t)at, .is_run = 1};
        if (bytes.len - at > LOOK_AHEAD && is_needle(bytes.ptr + at))
            out[n++] = (wb_spot){.at = (uint32_t)at};
    }
    *from = at;
    return n;
}

#if defined(__x86_64__)

#include <immintrin.h>

/* What class_of says, by the halves of a byte: a class is the bits that both have. */
enum { DASH = 1, DIGIT = 2, UPPER_ROW = 4, LOWER_ROW = 8, UNDERSCORE = 16, SIGN = 32 };
enum { LETTER_BITS = DASH | DIGIT | UPPER_ROW | LOWER_ROW | UNDERSCORE };

static const struct {
    uint8_t letters[3], group;
} needles[] = {
#define ROW(a, b, c, group) {{a, b, c}, group},
    NEEDLES(ROW)
#undef ROW
};

/* Rows of 16: by a byte's low half, by its high half. */
typedef struct tables {
    uint8_t class_low[16], class_high[16];         /* letters of rows 4 and 6, 5 and 7 */
    uint8_t groups_low[3][16], groups_high[3][16]; /* which groups have that half in their byte */
} tables;

static const uint8_t class_high[16] = {
    [2] = DASH | SIGN, [3] = DIGIT,    [4] = UPPER_ROW, [5] = LOWER_ROW | UNDERSCORE,
    [6] = UPPER_ROW,   [7] = LOWER_ROW};

static void make_tables(tables *t)
{
    *t = (tables){.class_low = {0}};
    memcpy(t->class_high, class_high, sizeof class_high);
    for (unsigned half = 0; half < 16; half++)
        t->class_low[half] = (uint8_t)((half < 10 ? DIGIT : 0) | (half > 0 ? UPPER_ROW : 0) |
                                       (half <= 10 ? LOWER_ROW : 0));
    t->class_low[0xd] |= DASH;
    t->class_low[0xb] |= SIGN;
    t->class_low[0xf] |= SIGN | UNDERSCORE;
    for (size_t n = 0; n < WB_COUNT(needles); n++)
        for (int i = 0; i < 3; i++) {
            uint8_t letter = needles[n].letters[i], group = (uint8_t)(1U << needles[n].group);
            t->groups_low[i][letter & 0xF] |= group;
            t->groups_high[i][letter >> 4] |= group;
        }
}

/* A bit for each byte of a block. */
typedef struct masks {
    uint64_t letters, longs, needles;
} masks;

/* ---- 32 bytes at once ---- */

#define AVX2 __attribute__((target("avx2")))

/* The bits that both of a byte's halves have in their rows. */
AVX2 static inline __m256i bits_of_32(const uint8_t *low_row, const uint8_t *high_row,
                                      __m256i bytes)
{
    const __m256i half = _mm256_set1_epi8(0xF);
    __m256i lows = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)low_row));
    __m256i highs = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)high_row));
    __m256i low = _mm256_and_si256(bytes, half);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half);
    return _mm256_and_si256(_mm256_shuffle_epi8(lows, low), _mm256_shuffle_epi8(highs, high));
}

AVX2 static inline uint64_t not_zero(__m256i bytes)
{
    return (uint32_t)~_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256()));
}

AVX2 static inline __m256i groups_of_32(const tables *t, int i, const uint8_t *p)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(p + i));
    return bits_of_32(t->groups_low[i], t->groups_high[i],
                      _mm256_or_si256(bytes, _mm256_set1_epi8(0x20)));
}

AVX2 static inline masks half_block(const tables *t, const uint8_t *p)
{
    __m256i class = bits_of_32(t->class_low, t->class_high, _mm256_loadu_si256((const __m256i *)p));
    __m256i fits = _mm256_and_si256(groups_of_32(t, 0, p), groups_of_32(t, 1, p));
    fits = _mm256_and_si256(fits, groups_of_32(t, 2, p));
    return (masks){
        .letters = not_zero(_mm256_and_si256(class, _mm256_set1_epi8(LETTER_BITS))),
        .longs = not_zero(class),
        .needles = not_zero(fits),
    };
}

AVX2 static void block_by_32(const tables *t, const uint8_t *p, masks *out)
{
    masks low = half_block(t, p), high = half_block(t, p + BLOCK / 2);
    *out = (masks){low.letters | high.letters << 32, low.longs | high.longs << 32,
                   low.needles | high.needles << 32};
}

/* ---- 64 bytes at once: the same in half the time, where there is AVX-512 ---- */

#define AVX512 __attribute__((target("avx512bw")))

AVX512 static inline __m512i bits_of_64(const uint8_t *low_row, const uint8_t *high_row,
                                        __m512i bytes)
{
    const __m512i half = _mm512_set1_epi8(0xF);
    __m512i lows = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)low_row));
    __m512i highs = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)high_row));
    __m512i low = _mm512_and_si512(bytes, half);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), half);
    return _mm512_and_si512(_mm512_shuffle_epi8(lows, low), _mm512_shuffle_epi8(highs, high));
}

AVX512 static inline __m512i groups_of_64(const tables *t, int i, const uint8_t *p)
{
    __m512i bytes = _mm512_loadu_si512((const void *)(p + i));
    return bits_of_64(t->groups_low[i], t->groups_high[i],
                      _mm512_or_si512(bytes, _mm512_set1_epi8(0x20)));
}

AVX512 static void block_by_64(const tables *t, const uint8_t *p, masks *out)
{
    __m512i class = bits_of_64(t->class_low, t->class_high, _mm512_loadu_si512((const void *)p));
    __m512i fits = _mm512_and_si512(groups_of_64(t, 0, p), groups_of_64(t, 1, p));
    fits = _mm512_and_si512(fits, groups_of_64(t, 2, p));
    out->letters = _mm512_test_epi8_mask(class, _mm512_set1_epi8(LETTER_BITS));
    out->longs = _mm512_test_epi8_mask(class, class);
    out->needles = _mm512_test_epi8_mask(fits, fits);
}

/* ---- block by block ---- */

/* Reads LOOK_AHEAD bytes beyond the block. */
typedef void block_reader(const tables *t, const uint8_t *p, masks *out);

static void block_at(block_reader *read, const tables *t, wb_slice bytes, size_t at, masks *out)
{
    uint8_t tail[BLOCK + LOOK_AHEAD];
    if (bytes.len >= at + BLOCK + LOOK_AHEAD) {
        read(t, bytes.ptr + at, out);
        return;
    }
    memset(tail, 0, sizeof tail); /* the last bytes, which may be none */
    if (bytes.len > at) memcpy(tail, bytes.ptr + at, bytes.len - at);
    read(t, tail, out);
}

/* Bits from which on WB_SPOT_RUN bits are set, as far as they lie in the word. */
static inline uint64_t runs_in(uint64_t bits)
{
    for (int step = 1; step < WB_SPOT_RUN; step *= 2) bits &= bits >> step;
    return bits;
}

/* Where words start that are WB_SPOT_RUN bytes long. `before`: the byte before the block is a letter. */
static inline uint64_t run_starts(const masks *here, const masks *next, bool before)
{
    enum { LAST = BLOCK - WB_SPOT_RUN }; /* runs from there on end in the next block */
    uint64_t runs = runs_in(here->longs), over = here->longs >> LAST | next->longs << WB_SPOT_RUN;
    runs |= runs_in(over) << LAST;
    return here->letters & ~(here->letters << 1 | before) & runs;
}

static inline size_t put_spots(wb_slice bytes, size_t at, uint64_t runs, uint64_t fits,
                               wb_spot *out)
{
    size_t n = 0;
    for (uint64_t left = runs | fits; left; left &= left - 1) {
        unsigned bit = (unsigned)__builtin_ctzll(left);
        size_t here = at + bit;
        if (runs >> bit & 1) out[n++] = (wb_spot){.at = (uint32_t)here, .is_run = 1};
        if (fits >> bit & 1 && bytes.len - here > LOOK_AHEAD && is_needle(bytes.ptr + here))
            out[n++] = (wb_spot){.at = (uint32_t)here};
    }
    return n;
}

static size_t by_blocks(block_reader *read, wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    tables t;
    masks here, next;
    size_t n = 0, at = *from;
    make_tables(&t);
    block_at(read, &t, bytes, at, &here);
    bool before = at > 0 && class_of(bytes.ptr[at - 1]) & IS_LETTER;
    for (; at < bytes.len && n + 2 * BLOCK <= max; at += BLOCK) {
        block_at(read, &t, bytes, at + BLOCK, &next);
        n += put_spots(bytes, at, run_starts(&here, &next, before), here.needles, out + n);
        before = here.letters >> (BLOCK - 1);
        here = next;
    }
    *from = at < bytes.len ? at : bytes.len;
    return n;
}

size_t wb_spots_find(wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    if (__builtin_cpu_supports("avx512bw")) return by_blocks(block_by_64, bytes, from, out, max);
    if (__builtin_cpu_supports("avx2")) return by_blocks(block_by_32, bytes, from, out, max);
    return wb_spots_find_portable(bytes, from, out, max);
}

#else

size_t wb_spots_find(wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    return wb_spots_find_portable(bytes, from, out, max);
}

#endif
