/* SPDX-License-Identifier: Apache-2.0 */
/* A Request or Reply that unpacks into an arena packs to bytes that unpack to the same: the second
 * packing equals the first, unknown fields included; and texts without a fault have none then. The first
 * byte picks the message. */
#include "proto/arena_alloc.h"
#include "proto/texts.h"
#include "proto/waybill/v1/ipc.pb-c.h"

enum { ARENA_BYTES = 16 * 1024 * 1024 };

static wb_slice packed(const ProtobufCMessage *message, wb_arena *arena)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = wb_arena_alloc(arena, len);
    WB_ASSERT(bytes != NULL);
    WB_ASSERT(protobuf_c_message_pack(message, bytes) == len);
    return (wb_slice){bytes, len};
}

/* protobuf-c reads an unknown field of number 0 if its tag is spelled long, but not as it writes
 * it. */
static bool has_field_zero(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    for (unsigned i = 0; i < message->n_unknown_fields; i++)
        if (message->unknown_fields[i].tag == 0) return true;
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const char *base = (const char *)message;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE) continue;
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            *(const uint32_t *)(base + field->quantifier_offset) != field->id)
            continue;
        const ProtobufCMessage *inner = *(ProtobufCMessage *const *)(base + field->offset);
        if (inner && has_field_zero(inner)) return true;
    }
    return false;
}

/* In an arena that is too small, down to one in which not even the allocator has room, a message is not
 * there; the heap never stands in for it (the sanitizer would find what is left behind). */
static void unpack_without_room(const ProtobufCMessageDescriptor *type, wb_slice bytes)
{
    static const size_t limits[] = {1, 64, 256};
    for (size_t i = 0; i < WB_COUNT(limits); i++) {
        WB_AUTO(wb_arena) arena = wb_arena_new(limits[i]);
        ProtobufCAllocator *allocator = wb_arena_allocator(arena);
        (void)protobuf_c_message_unpack(type, allocator, bytes.len, bytes.ptr);
    }
}

static wb_text_rule any_length(const char *field)
{
    (void)field;
    return (wb_text_rule){.most = SIZE_MAX};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (size == 0) return 0;
    const ProtobufCMessageDescriptor *type =
        data[0] & 1 ? &waybill__v1__reply__descriptor : &waybill__v1__request__descriptor;
    unpack_without_room(type, wb_slice_of(data + 1, size - 1));
    bool whole = !wb_texts_fault(type, wb_slice_of(data + 1, size - 1), any_length);
    ProtobufCAllocator *allocator = wb_arena_allocator(arena);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, allocator, size - 1, data + 1);
    if (!message || has_field_zero(message)) return 0;
    wb_slice first = packed(message, arena);
    ProtobufCMessage *again = protobuf_c_message_unpack(type, allocator, first.len, first.ptr);
    WB_ASSERT(again != NULL);
    WB_ASSERT(wb_slice_eq(packed(again, arena), first));
    WB_ASSERT(!whole || !wb_texts_fault(type, first, any_length));
    return 0;
}
