/* SPDX-License-Identifier: Apache-2.0 */
/* proto/arena_alloc.h: protobuf-c unpacking into an arena: a limit, and nothing to free. */
#ifndef WAYBILL_PROTO_ARENA_ALLOC_H
#define WAYBILL_PROTO_ARENA_ALLOC_H

#include "core/arena.h"

struct ProtobufCAllocator;

/** An allocator for waybill__v1__x__unpack whose free does nothing; it lives in the arena, and so
 *  does what is unpacked with it: never call x__free_unpacked. Never NULL: at the arena's limit it is one
 *  that gives nothing. When the limit is reached, unpack returns NULL, as for malformed bytes. A message takes
 *  at most 64 bytes of arena for each byte of wire (unknown one-byte fields); ordinary messages
 *  take two. */
WB_MUST_USE struct ProtobufCAllocator *wb_arena_allocator(wb_arena *arena);

#endif
