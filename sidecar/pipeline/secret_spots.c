/* SPDX-License-Identifier: Apache-2.0 */
/* All that arrives is looked through for secrets, so what looks must cost less than a nanosecond for eight bytes.
 * Two questions are asked of each byte, 64 bytes at a time, and the answers are bits of a word:
 *
 * - Does a long word start here? Keys and tokens of services are long words with a prefix that tells whose they
 *   are. A word's start is a bit of (letters & ~(letters << 1)); that 16 bits from there on are set is four
 *   shifts.
 * - Do three letters stand here that a name of secrets has in it (pas|sword, sec|cre|t, to|oke|n ...), or what goes
 *   before one (`://`, `---`)?
 *
 * secret_blocks_x86.c answers for 32 or 64 bytes at once, asked for at run time; elsewhere it is asked byte by byte,
 * some ten times slower. */
#include "sidecar/pipeline/secret_spots.h"

#include "core/status.h"
#include "sidecar/pipeline/secret_blocks.h"

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

static const struct {
    uint8_t letters[3], group;
} needles[] = {
#define ROW(a, b, c, group) {{a, b, c}, group},
    NEEDLES(ROW)
#undef ROW
};

static const uint8_t class_high[16] = {
    [2] = WB_CLASS_DASH | WB_CLASS_SIGN,        [3] = WB_CLASS_DIGIT, [4] = WB_CLASS_UPPER,
    [5] = WB_CLASS_LOWER | WB_CLASS_UNDERSCORE, [6] = WB_CLASS_UPPER, [7] = WB_CLASS_LOWER};

static void make_tables(wb_block_tables *t)
{
    *t = (wb_block_tables){.class_low = {0}};
    memcpy(t->class_high, class_high, sizeof class_high);
    for (unsigned half = 0; half < 16; half++)
        t->class_low[half] =
            (uint8_t)((half < 10 ? WB_CLASS_DIGIT : 0) | (half > 0 ? WB_CLASS_UPPER : 0) |
                      (half <= 10 ? WB_CLASS_LOWER : 0));
    t->class_low[0xd] |= WB_CLASS_DASH;
    t->class_low[0xb] |= WB_CLASS_SIGN;
    t->class_low[0xf] |= WB_CLASS_SIGN | WB_CLASS_UNDERSCORE;
    for (size_t n = 0; n < WB_COUNT(needles); n++)
        for (int i = 0; i < 3; i++) {
            uint8_t letter = needles[n].letters[i], group = (uint8_t)(1U << needles[n].group);
            t->groups_low[i][letter & 0xF] |= group;
            t->groups_high[i][letter >> 4] |= group;
        }
}

/* ---- blocks ---- */

static void block_by_byte(const wb_block_tables *t, const uint8_t *p, wb_block_masks *out)
{
    (void)t;
    *out = (wb_block_masks){0};
    for (unsigned i = 0; i < WB_BLOCK; i++) {
        unsigned class = class_of(p[i]);
        out->letters |= (uint64_t)((class & IS_LETTER) != 0) << i;
        out->longs |= (uint64_t)((class & IS_LONG) != 0) << i;
        out->needles |= (uint64_t)is_needle(p + i) << i;
    }
}

static void block_at(wb_block_reader *read, const wb_block_tables *t, wb_slice bytes, size_t at,
                     wb_block_masks *out)
{
    uint8_t tail[WB_BLOCK + WB_BLOCK_AHEAD];
    if (bytes.len >= at + sizeof tail) {
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
static inline uint64_t run_starts(const wb_block_masks *here, const wb_block_masks *next,
                                  bool before)
{
    enum { LAST = WB_BLOCK - WB_SPOT_RUN }; /* runs from there on end in the next block */
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
        if (fits >> bit & 1 && bytes.len - here > WB_BLOCK_AHEAD && is_needle(bytes.ptr + here))
            out[n++] = (wb_spot){.at = (uint32_t)here};
    }
    return n;
}

static size_t by_blocks(wb_block_reader *read, wb_slice bytes, size_t *from, wb_spot *out,
                        size_t max)
{
    wb_block_tables t;
    wb_block_masks here, next;
    size_t n = 0, at = *from;
    make_tables(&t);
    block_at(read, &t, bytes, at, &here);
    bool before = at > 0 && class_of(bytes.ptr[at - 1]) & IS_LETTER;
    for (; at < bytes.len && n + 2 * WB_BLOCK <= max; at += WB_BLOCK) {
        block_at(read, &t, bytes, at + WB_BLOCK, &next);
        n += put_spots(bytes, at, run_starts(&here, &next, before), here.needles, out + n);
        before = here.letters >> (WB_BLOCK - 1);
        here = next;
    }
    *from = at < bytes.len ? at : bytes.len;
    return n;
}

static wb_block_reader *reader_of(wb_spots_way way)
{
#if defined(__x86_64__)
    if (way == WB_SPOTS_BY_64 && __builtin_cpu_supports("avx512bw")) return wb_block_by_64;
    if (way != WB_SPOTS_BY_BYTE && __builtin_cpu_supports("avx2")) return wb_block_by_32;
#endif
    (void)way;
    return block_by_byte;
}

size_t wb_spots_find(wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    return wb_spots_find_by(WB_SPOTS_BY_64, bytes, from, out, max);
}

size_t wb_spots_find_by(wb_spots_way way, wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    return by_blocks(reader_of(way), bytes, from, out, max);
}
