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
 * which takes thirty times as long. */
#include "sidecar/pipeline/secret_spots.h"

#include "core/status.h"
#include "sidecar/pipeline/letters.h"
#include "sidecar/pipeline/secret_blocks.h"

#include <pthread.h>

/* Letters that are alike share a group, so that few others fit. `oke` is alone in its own (WB_GROUP_TOKENS). */
#define NEEDLES(X)                                                                                 \
    X('p', 'a', 's', 0)                                                                            \
    X('t', 'c', 'p', 0)                                                                            \
    X('c', 'r', 'e', 1)                                                                            \
    X('r', 'e', 'r', 1)                                                                            \
    X('o', 'k', 'e', 2)                                                                            \
    X('o', 'o', 'k', 3)                                                                            \
    X('k', 'e', 'y', 3)                                                                            \
    X('u', 't', 'h', 4)                                                                            \
    X(':', '/', '/', 5)                                                                            \
    X('-', '-', '-', 5)                                                                            \
    X('p', 'w', 'd', 6)                                                                            \
    X('s', 'i', 'g', 7)                                                                            \
    X('s', 'i', 'c', 7)                                                                            \
    X('s', 'e', 's', 7)

enum { NEEDLE = 3 };
enum { IS_LETTER = 1, IS_LONG = 2, IS_ALPHA = 4 }; /* in a word; in a long word; a to z */

static inline unsigned class_of(uint8_t c)
{
    if (wb_is_letter(c)) return IS_LETTER | IS_LONG | IS_ALPHA;
    if (wb_is_digit(c) || c == '-' || c == '_') return IS_LETTER | IS_LONG;
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
    uint8_t letters[NEEDLE], group;
} needles[] = {
#define ROW(a, b, c, group) {{a, b, c}, group},
    NEEDLES(ROW)
#undef ROW
};

static uint8_t class_bit(uint8_t c)
{
    if (c == '_') return WB_CLASS_UNDERSCORE;
    if (c == '-') return WB_CLASS_DASH;
    if (c == '+' || c == '/') return WB_CLASS_SIGN;
    if (wb_is_digit(c)) return WB_CLASS_DIGIT;
    if (!wb_is_letter(c)) return 0;
    return (c | 0x20) < 'p' ? WB_CLASS_UPPER : WB_CLASS_LOWER;
}

static wb_block_tables tables;
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

/* A letter of any case, and what differs from another byte in that bit only: is_needle takes them for one, too. */
static void add_letter(int row, uint8_t letter, uint8_t group)
{
    const uint8_t forms[] = {letter, letter & (uint8_t)~0x20U};
    for (size_t i = 0; i < WB_COUNT(forms); i++) tables.of[row][forms[i]] |= group;
}

static void make_tables(void)
{
    for (size_t n = 0; n < WB_COUNT(needles); n++)
        for (int i = 0; i < NEEDLE; i++)
            add_letter(i, needles[n].letters[i], (uint8_t)(1U << needles[n].group));
    for (unsigned c = 0; c < WB_BLOCK_ASCII; c++)
        tables.of[WB_BLOCK_CLASS][c] = class_bit((uint8_t)c);
    for (int row = 0; row < WB_BLOCK_ROWS; row++)
        for (unsigned c = 0; c < WB_BLOCK_ASCII; c++) {
            tables.low[row][c & 0xF] |= tables.of[row][c];
            tables.high[row][c >> 4] |= tables.of[row][c];
        }
}

/* ---- blocks ---- */

static void block_by_byte(const uint8_t *p, wb_blocks *out, size_t i)
{
    out->letters[i + 1] = out->longs[i] = out->alphas[i] = out->needles[i] = out->tokens[i] = 0;
    for (unsigned k = 0; k < WB_BLOCK; k++) {
        unsigned class = class_of(p[k]);
        uint64_t bit = UINT64_C(1) << k;
        if (class & IS_LETTER) out->letters[i + 1] |= bit;
        if (class & IS_LONG) out->longs[i] |= bit;
        if (class & IS_ALPHA) out->alphas[i] |= bit;
        if (is_needle(p + k)) out->needles[i] |= bit;
        if ((p[k] | 0x20) == 'o' && (p[k + 1] | 0x20) == 'k') out->tokens[i] |= bit;
    }
}

static void blocks_by_byte(const wb_block_tables *t, const wb_blocks_from *from, size_t n,
                           wb_blocks *out)
{
    (void)t;
    for (size_t i = 0; i <= n; i++) block_by_byte(wb_block_bytes(from, i), out, i);
    wb_blocks_settle(out, n);
}

/* `n` blocks from bytes[at] on, and what is behind them as if it were zeros. */
static void read_blocks(wb_block_reader *read, wb_slice bytes, size_t at, size_t n, wb_blocks *out)
{
    enum {
        TAIL = 3
    }; /* blocks: with bytes that may not be read ahead of, with the rest, and one more */
    uint8_t tail[TAIL * WB_BLOCK + WB_BLOCK_AHEAD];
    size_t left = bytes.len - at;
    wb_blocks_from from = {.p = bytes.ptr + at, .tail = tail};
    if (left > WB_BLOCK_AHEAD) from.whole = (left - WB_BLOCK_AHEAD) / WB_BLOCK;
    if (from.whole <= n) {
        WB_ASSERT(n + 1 - from.whole <= TAIL);
        memset(tail, 0, sizeof tail);
        memcpy(tail, from.p + from.whole * WB_BLOCK, left - from.whole * WB_BLOCK);
    }
    read(&tables, &from, n, out);
}

static size_t put_both(wb_slice bytes, size_t at, uint64_t runs, uint64_t fits, wb_spot *out)
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

/* Most blocks have no spot or one word, and which of the two cannot be guessed: so nothing is asked. */
static inline size_t put_spots(wb_slice bytes, size_t at, uint64_t runs, uint64_t fits,
                               wb_spot *out)
{
    if (fits || runs & (runs - 1)) return put_both(bytes, at, runs, fits, out);
    uint64_t first = runs | UINT64_C(1) << (WB_BLOCK - 1);
    *out = (wb_spot){.at = (uint32_t)(at + (unsigned)__builtin_ctzll(first)), .is_run = 1};
    return runs != 0;
}

static size_t by_blocks(wb_block_reader *read, wb_slice bytes, size_t *from, wb_spot *out,
                        size_t max)
{
    wb_blocks blocks;
    size_t n = 0, at = *from;
    bool before = at > 0 && class_of(bytes.ptr[at - 1]) & IS_LETTER;
    blocks.letters[0] = (uint64_t)before << (WB_BLOCK - 1);
    while (at < bytes.len && n + 2 * WB_BLOCK <= max) {
        size_t left = (bytes.len - at + WB_BLOCK - 1) / WB_BLOCK;
        if (left > WB_BLOCKS) left = WB_BLOCKS;
        read_blocks(read, bytes, at, left, &blocks);
        for (size_t i = 0; i < left && n + 2 * WB_BLOCK <= max; i++, at += WB_BLOCK)
            n += put_spots(bytes, at, blocks.runs[i], blocks.fits[i], out + n);
        blocks.letters[0] = blocks.letters[left];
    }
    *from = at < bytes.len ? at : bytes.len;
    return n;
}

static wb_block_reader *reader_of(wb_spots_way way)
{
#if defined(__x86_64__)
    if (way == WB_SPOTS_BY_64 && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vbmi"))
        return wb_blocks_by_64;
    if (way != WB_SPOTS_BY_BYTE && __builtin_cpu_supports("avx2")) return wb_blocks_by_32;
#endif
    (void)way;
    return blocks_by_byte;
}

size_t wb_spots_find(wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    return wb_spots_find_by(WB_SPOTS_BY_64, bytes, from, out, max);
}

size_t wb_spots_find_by(wb_spots_way way, wb_slice bytes, size_t *from, wb_spot *out, size_t max)
{
    (void)pthread_once(&tables_once, make_tables);
    return by_blocks(reader_of(way), bytes, from, out, max);
}
