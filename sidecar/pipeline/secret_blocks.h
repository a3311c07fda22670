/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/secret_blocks.h: what each byte of a block is, for secret_spots.c: read 32 or 64 bytes at once. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SECRET_BLOCKS_H
#define WAYBILL_SIDECAR_PIPELINE_SECRET_BLOCKS_H

#include "sidecar/pipeline/secret_spots.h"

enum { WB_BLOCK = 64, WB_BLOCK_AHEAD = 2, WB_BLOCKS = 32, WB_BLOCK_LANES = 8 };
enum { WB_BLOCK_ROOM = WB_BLOCKS + WB_BLOCK_LANES + 1 };

/* Some neighbouring blocks: of each a word with a bit for each of its bytes. One more is read than is asked for, since
 * what begins in a block may end in the next. */
typedef struct wb_blocks {
    uint64_t letters[WB_BLOCK_ROOM]; /* in a word; [0] is of the block before the first */
    uint64_t longs[WB_BLOCK_ROOM];   /* in a long word */
    uint64_t alphas[WB_BLOCK_ROOM];  /* a to z, in either case */
    uint64_t needles[WB_BLOCK_ROOM]; /* three letters may start there, or surely do */
    uint64_t tokens[WB_BLOCK_ROOM];  /* those of them that are `oke`, or may be */
    uint64_t runs[WB_BLOCK_ROOM];    /* words start there that are WB_SPOT_RUN bytes long */
    uint64_t fits[WB_BLOCK_ROOM];    /* needles that somebody must look at */
} wb_blocks;

/* Where the bytes of the blocks are: `whole` of them at `p`, all others at `tail`. */
typedef struct wb_blocks_from {
    const uint8_t *p, *tail;
    size_t whole;
} wb_blocks_from;

static inline const uint8_t *wb_block_bytes(const wb_blocks_from *from, size_t i)
{
    return i < from->whole ? from->p + i * WB_BLOCK : from->tail + (i - from->whole) * WB_BLOCK;
}

/* Classes of bytes. None is told by one of a byte's halves alone, but by both together (wb_block_tables.low, high). */
enum {
    WB_CLASS_DASH = 1,
    WB_CLASS_DIGIT = 2,
    WB_CLASS_UPPER = 4, /* a to o, in either case */
    WB_CLASS_LOWER = 8, /* p to z */
    WB_CLASS_UNDERSCORE = 16,
    WB_CLASS_SIGN = 32, /* in long words only */
    WB_CLASS_ALPHAS = WB_CLASS_UPPER | WB_CLASS_LOWER,
    WB_CLASS_LETTERS = WB_CLASS_SIGN - 1,
    WB_GROUP_TOKENS = 1U << 2, /* of NEEDLES in secret_spots.c */
};

enum { WB_BLOCK_CLASS = 3, WB_BLOCK_ROWS, WB_BLOCK_ASCII = 128 };

/* What a byte of ASCII is: as the first, second, third of three letters a bit for each group that has it there, and its
 * class. All other bytes are nothing. */
typedef struct wb_block_tables {
    uint8_t of[WB_BLOCK_ROWS][WB_BLOCK_ASCII];
    uint8_t low[WB_BLOCK_ROWS][16], high[WB_BLOCK_ROWS][16]; /* by a byte's halves: what both say */
} wb_block_tables;

/* Fill in `runs` and `fits` of the first `n` blocks, from all the others; as many at once as the processor can. */
static inline __attribute__((always_inline)) void wb_blocks_settle(wb_blocks *b, size_t n)
{
    typedef uint64_t lanes __attribute__((vector_size(8 * WB_BLOCK_LANES), aligned(8), may_alias));
    enum { LAST = WB_BLOCK - WB_SPOT_RUN, BEHIND = 4 };
    for (size_t i = 0; i < n; i += WB_BLOCK_LANES) {
        lanes before = *(const lanes *)&b->letters[i], here = *(const lanes *)&b->letters[i + 1];
        lanes runs = *(const lanes *)&b->longs[i], next = *(const lanes *)&b->longs[i + 1];
        lanes over = runs >> LAST | next << WB_SPOT_RUN; /* runs from LAST on end in the next */
        for (int step = 1; step < WB_SPOT_RUN; step *= 2) {
            runs &= runs >> step;
            over &= over >> step;
        }
        runs = (runs | over << LAST) & here & ~(here << 1 | before >> (WB_BLOCK - 1));
        /* A letter behind `oken`: then it is no name of secrets (secrets.c), but stands in the keys of every call of a
         * model. */
        lanes plain = *(const lanes *)&b->alphas[i] >> BEHIND | *(const lanes *)&b->alphas[i + 1]
                                                                    << (WB_BLOCK - BEHIND);
        lanes fits = *(const lanes *)&b->needles[i] & ~(*(const lanes *)&b->tokens[i] & plain);
        *(lanes *)&b->runs[i] = runs;
        *(lanes *)&b->fits[i] = fits;
    }
}

/* Read `n` blocks and one more, and WB_BLOCK_AHEAD bytes behind each; out->letters[0] is there already. */
typedef void wb_block_reader(const wb_block_tables *t, const wb_blocks_from *from, size_t n,
                             wb_blocks *out);

#if defined(__x86_64__)
/** Only where the processor has AVX2; AVX-512BW and AVX-512VBMI. */
wb_block_reader wb_blocks_by_32, wb_blocks_by_64;
#endif

#endif
