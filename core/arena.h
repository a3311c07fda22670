/* SPDX-License-Identifier: Apache-2.0 */
/* core/arena.h: one region per batch or request; everything in it is freed at once. */
#ifndef WAYBILL_CORE_ARENA_H
#define WAYBILL_CORE_ARENA_H

#include "core/slice.h"
#include "core/status.h"

typedef struct wb_arena wb_arena;

/** A region that hands out at most `limit_bytes`. NULL when memory is out. One thread at a time. */
WB_MUST_USE wb_arena *wb_arena_new(size_t limit_bytes);
void wb_arena_free(wb_arena *arena);
WB_DEFINE_AUTO(wb_arena)

/** Forget all allocations but keep one block of at most 32 KiB, for the next request. */
void wb_arena_reset(wb_arena *arena);

/** `size` zeroed bytes, 16-aligned; NULL at the limit or when memory is out. */
WB_MUST_USE void *wb_arena_alloc(wb_arena *arena, size_t size);

/** `count * size` zeroed bytes with the product checked; NULL as above. */
WB_MUST_USE void *wb_arena_array(wb_arena *arena, size_t count, size_t size);

/** A copy of `s` that lives in the arena, with a NUL behind it that `len` does not count. */
WB_MUST_USE wb_status wb_arena_dup(wb_arena *arena, wb_slice s, wb_slice *out);

/** Text in the arena, printf style, NUL-terminated; NULL as above. */
WB_MUST_USE char *wb_arena_printf(wb_arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Bytes handed out so far. */
size_t wb_arena_used(const wb_arena *arena);

#endif
