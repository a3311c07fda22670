/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of blocks, bump-allocated, newest first. The first block is small (4 KiB) so that an idle
 * request costs little; later ones double up to 256 KiB; a request larger than that gets a block of
 * its own. The limit counts bytes handed out, not block sizes, so a caller can reason about it. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FIRST_BLOCK = 4096,
    KEPT_BLOCK = 32 * 1024, /* across resets, so that requests alike need no malloc */
    LARGEST_BLOCK = 256 * 1024,
    ALIGN = 16,
};

typedef struct block {
    struct block *older;
    size_t size, used;
    _Alignas(16) uint8_t bytes[];
} block;

struct wb_arena {
    block *newest;
    size_t limit, used;
};

static block *block_new(size_t size, block *older)
{
    block *b = malloc(sizeof *b + size);
    if (!b) return NULL;
    b->older = older;
    b->size = size;
    b->used = 0;
    return b;
}

wb_arena *wb_arena_new(size_t limit_bytes)
{
    wb_arena *arena = calloc(1, sizeof *arena);
    if (!arena) return NULL;
    arena->limit = limit_bytes;
    return arena;
}

void wb_arena_free(wb_arena *arena)
{
    if (!arena) return;
    for (block *b = arena->newest; b;) {
        block *older = b->older;
        free(b);
        b = older;
    }
    free(arena);
}

void wb_arena_reset(wb_arena *arena)
{
    block *kept = arena->newest;
    if (kept && kept->size > KEPT_BLOCK) /* then the first one, the smallest of all */
        while (kept->older) kept = kept->older;
    for (block *b = arena->newest; b;) {
        block *older = b->older;
        if (b != kept) free(b);
        b = older;
    }
    if (kept) {
        kept->older = NULL;
        kept->used = 0;
    }
    arena->newest = kept;
    arena->used = 0;
}

static block *block_for(wb_arena *arena, size_t size)
{
    block *b = arena->newest;
    if (b && b->size - b->used >= size) return b;
    size_t want = b ? b->size * 2 : FIRST_BLOCK;
    if (want > LARGEST_BLOCK) want = LARGEST_BLOCK;
    if (want < size) want = size;
    b = block_new(want, b);
    if (b) arena->newest = b;
    return b;
}

void *wb_arena_alloc(wb_arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGN) return NULL;
    size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (rounded == 0) rounded = ALIGN;
    if (rounded > arena->limit - arena->used) return NULL;
    block *b = block_for(arena, rounded);
    if (!b) return NULL;
    void *p = b->bytes + b->used;
    b->used += rounded;
    arena->used += rounded;
    memset(p, 0, rounded);
    return p;
}

void *wb_arena_array(wb_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    return wb_arena_alloc(arena, bytes);
}

wb_status wb_arena_dup(wb_arena *arena, wb_slice s, wb_slice *out)
{
    if (s.len == SIZE_MAX) return WB_ERR_NO_MEMORY;
    uint8_t *p = wb_arena_alloc(arena, s.len + 1);
    if (!p) return WB_ERR_NO_MEMORY;
    if (s.len) memcpy(p, s.ptr, s.len);
    *out = (wb_slice){p, s.len};
    return WB_OK;
}

char *wb_arena_printf(wb_arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = len < 0 ? NULL : wb_arena_alloc(arena, (size_t)len + 1);
    if (text) (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

size_t wb_arena_used(const wb_arena *arena) { return arena->used; }
