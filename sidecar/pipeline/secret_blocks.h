/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/secret_blocks.h: what each byte of a block is, for secret_spots.c: read 32 or 64 bytes at once. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SECRET_BLOCKS_H
#define WAYBILL_SIDECAR_PIPELINE_SECRET_BLOCKS_H

#include <stdint.h>

enum { WB_BLOCK = 64, WB_BLOCK_AHEAD = 2 };

/* A bit for each byte of a block. */
typedef struct wb_block_masks {
    uint64_t letters, longs; /* in a word; in a long word */
    uint64_t needles;        /* three letters may start there, or surely do */
} wb_block_masks;

/* Classes of bytes: a class is the bits that the rows of both halves of a byte have. */
enum {
    WB_CLASS_DASH = 1,
    WB_CLASS_DIGIT = 2,
    WB_CLASS_UPPER = 4, /* a to o, in either case */
    WB_CLASS_LOWER = 8, /* p to z */
    WB_CLASS_UNDERSCORE = 16,
    WB_CLASS_SIGN = 32, /* in long words only */
    WB_CLASS_LETTERS = WB_CLASS_SIGN - 1,
};

/* Rows of 16: by a byte's low half, by its high half. */
typedef struct wb_block_tables {
    uint8_t class_low[16], class_high[16];
    uint8_t groups_low[3][16], groups_high[3][16]; /* groups of letters, of each of three bytes */
} wb_block_tables;

/* Read the block at `p` and WB_BLOCK_AHEAD bytes behind it. */
typedef void wb_block_reader(const wb_block_tables *t, const uint8_t *p, wb_block_masks *out);

#if defined(__x86_64__)
/** Only where the processor has AVX2, AVX-512BW. */
wb_block_reader wb_block_by_32, wb_block_by_64;
#endif

#endif
