/* SPDX-License-Identifier: Apache-2.0 */
/* Each of three neighbouring bytes is looked up by its two halves in tables of 16 bytes, which the processor does for
 * all of a register at once. A byte of the tables has a bit for each of eight groups of letters, and what is left of
 * three such looks is a group that fits. (The method is known as Teddy, from Hyperscan.) It may find what is no such
 * group of letters, since halves of different ones fit together: whoever asks compares. */
#include "sidecar/pipeline/secret_blocks.h"

#if defined(__x86_64__)

#include <immintrin.h>

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

AVX2 static inline __m256i groups_of_32(const wb_block_tables *t, int i, const uint8_t *p)
{
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(p + i));
    return bits_of_32(t->groups_low[i], t->groups_high[i],
                      _mm256_or_si256(bytes, _mm256_set1_epi8(0x20)));
}

AVX2 static inline wb_block_masks half_block(const wb_block_tables *t, const uint8_t *p)
{
    __m256i class = bits_of_32(t->class_low, t->class_high, _mm256_loadu_si256((const __m256i *)p));
    __m256i fits = _mm256_and_si256(groups_of_32(t, 0, p), groups_of_32(t, 1, p));
    fits = _mm256_and_si256(fits, groups_of_32(t, 2, p));
    return (wb_block_masks){
        .letters = not_zero(_mm256_and_si256(class, _mm256_set1_epi8(WB_CLASS_LETTERS))),
        .longs = not_zero(class),
        .needles = not_zero(fits),
    };
}

AVX2 void wb_block_by_32(const wb_block_tables *t, const uint8_t *p, wb_block_masks *out)
{
    wb_block_masks low = half_block(t, p), high = half_block(t, p + WB_BLOCK / 2);
    *out = (wb_block_masks){low.letters | high.letters << 32, low.longs | high.longs << 32,
                            low.needles | high.needles << 32};
}

/* ---- 64 bytes at once ---- */

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

AVX512 static inline __m512i groups_of_64(const wb_block_tables *t, int i, const uint8_t *p)
{
    __m512i bytes = _mm512_loadu_si512((const void *)(p + i));
    return bits_of_64(t->groups_low[i], t->groups_high[i],
                      _mm512_or_si512(bytes, _mm512_set1_epi8(0x20)));
}

AVX512 void wb_block_by_64(const wb_block_tables *t, const uint8_t *p, wb_block_masks *out)
{
    __m512i class = bits_of_64(t->class_low, t->class_high, _mm512_loadu_si512((const void *)p));
    __m512i fits = _mm512_and_si512(groups_of_64(t, 0, p), groups_of_64(t, 1, p));
    fits = _mm512_and_si512(fits, groups_of_64(t, 2, p));
    out->letters = _mm512_test_epi8_mask(class, _mm512_set1_epi8(WB_CLASS_LETTERS));
    out->longs = _mm512_test_epi8_mask(class, class);
    out->needles = _mm512_test_epi8_mask(fits, fits);
}

#endif
