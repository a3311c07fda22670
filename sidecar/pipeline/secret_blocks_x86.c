/* SPDX-License-Identifier: Apache-2.0 */
/* Each of three neighbouring bytes is looked up in a table that the processor looks into for all bytes of a register
 * at once. A byte of it has a bit for each of eight groups of letters, and what is left of three such looks is a
 * group that fits. (The method is known as Teddy, from Hyperscan.) It may find what is no such group of letters, since
 * letters of different ones fit together: whoever asks compares.
 *
 * The tables have a row for each byte of ASCII where 128 bytes may be looked up at once; elsewhere a byte is looked up
 * by its two halves in tables of 16, which finds a little too much once more. */
#include "sidecar/pipeline/secret_blocks.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* ---- 32 bytes at once ---- */

#define AVX2 __attribute__((target("avx2")))

/* The bits that both of a byte's halves have in their rows. A byte beyond ASCII has none: the processor takes no row
 * for its low half. */
AVX2 static inline __m256i bits_of_32(const wb_block_tables *t, int row, const uint8_t *p)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)p);
    __m256i lows = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t->low[row]));
    __m256i highs = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)t->high[row]));
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0xF));
    return _mm256_and_si256(_mm256_shuffle_epi8(lows, bytes), _mm256_shuffle_epi8(highs, high));
}

AVX2 static inline uint64_t not_zero(__m256i bytes)
{
    return (uint32_t)~_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256()));
}

AVX2 static inline uint64_t has_32(__m256i bytes, uint8_t bits)
{
    return not_zero(_mm256_and_si256(bytes, _mm256_set1_epi8((char)bits)));
}

AVX2 static inline void half_block(const wb_block_tables *t, const uint8_t *p, int shift,
                                   wb_blocks *out, size_t i)
{
    __m256i class = bits_of_32(t, WB_BLOCK_CLASS, p);
    __m256i fits = _mm256_and_si256(bits_of_32(t, 0, p), bits_of_32(t, 1, p + 1));
    fits = _mm256_and_si256(fits, bits_of_32(t, 2, p + 2));
    out->letters[i + 1] |= has_32(class, WB_CLASS_LETTERS) << shift;
    out->longs[i] |= not_zero(class) << shift;
    out->alphas[i] |= has_32(class, WB_CLASS_ALPHAS) << shift;
    out->needles[i] |= not_zero(fits) << shift;
    out->tokens[i] |= has_32(fits, WB_GROUP_TOKENS) << shift;
}

AVX2 void wb_blocks_by_32(const wb_block_tables *t, const wb_blocks_from *from, size_t n,
                          wb_blocks *out)
{
    enum { HALF = WB_BLOCK / 2 };
    for (size_t i = 0; i <= n; i++) {
        const uint8_t *p = wb_block_bytes(from, i);
        out->letters[i + 1] = out->longs[i] = out->alphas[i] = 0;
        out->needles[i] = out->tokens[i] = 0;
        half_block(t, p, 0, out, i);
        half_block(t, p + HALF, HALF, out, i);
    }
    wb_blocks_settle(out, n);
}

/* ---- 64 bytes at once ---- */

#define AVX512 __attribute__((target("avx512bw,avx512vbmi")))

typedef struct row_64 {
    __m512i first, second;
} row_64;

AVX512 static inline row_64 load_64(const uint8_t row[WB_BLOCK_ASCII])
{
    return (row_64){_mm512_loadu_si512((const void *)row),
                    _mm512_loadu_si512((const void *)(row + WB_BLOCK_ASCII / 2))};
}

/* A byte beyond ASCII is taken for one of ASCII. */
AVX512 static inline __m512i bits_of_64(row_64 row, const uint8_t *p)
{
    return _mm512_permutex2var_epi8(row.first, _mm512_loadu_si512((const void *)p), row.second);
}

AVX512 static inline uint64_t has_64(__m512i bytes, uint8_t bits)
{
    return _mm512_test_epi8_mask(bytes, _mm512_set1_epi8((char)bits));
}

/* The rows are read once, and stay in registers. Needles may be found in bytes beyond ASCII: whoever asks compares. */
AVX512 void wb_blocks_by_64(const wb_block_tables *t, const wb_blocks_from *from, size_t n,
                            wb_blocks *out)
{
    row_64 first = load_64(t->of[0]), second = load_64(t->of[1]), third = load_64(t->of[2]);
    row_64 classes = load_64(t->of[WB_BLOCK_CLASS]);
    for (size_t i = 0; i <= n; i++) {
        const uint8_t *p = wb_block_bytes(from, i);
        __mmask64 beyond = _mm512_movepi8_mask(_mm512_loadu_si512((const void *)p));
        __m512i class = bits_of_64(classes, p);
        class = _mm512_mask_mov_epi8(class, beyond, _mm512_setzero_si512());
        __m512i fits = _mm512_and_si512(bits_of_64(first, p), bits_of_64(second, p + 1));
        fits = _mm512_and_si512(fits, bits_of_64(third, p + 2));
        out->letters[i + 1] = has_64(class, WB_CLASS_LETTERS);
        out->longs[i] = has_64(class, 0xFF);
        out->alphas[i] = has_64(class, WB_CLASS_ALPHAS);
        out->needles[i] = has_64(fits, 0xFF);
        out->tokens[i] = has_64(fits, WB_GROUP_TOKENS);
    }
    wb_blocks_settle(out, n);
}

#endif
