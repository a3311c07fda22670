/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf-c allocates each submessage, string and array on its own. From an arena that is a
 * pointer bump, the whole request is freed at once, and the arena's limit bounds what a hostile
 * message can make us allocate, whatever it repeats. */
#include "proto/arena_alloc.h"

#include <errno.h>
#include <protobuf-c/protobuf-c.h>

static void *take(void *arena, size_t size) { return wb_arena_alloc(arena, size); }

static void keep(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

static void *refuse(void *arena, size_t size)
{
    (void)arena;
    (void)size;
    errno = ENOMEM;
    return NULL;
}

/* For protobuf-c, NULL is the heap, without a limit and never freed by whoever trusts in an arena. */
static ProtobufCAllocator refusing = {.alloc = refuse, .free = keep, .allocator_data = NULL};

ProtobufCAllocator *wb_arena_allocator(wb_arena *arena)
{
    ProtobufCAllocator *allocator = wb_arena_alloc(arena, sizeof *allocator);
    if (!allocator) return &refusing;
    *allocator = (ProtobufCAllocator){.alloc = take, .free = keep, .allocator_data = arena};
    return allocator;
}
