/* SPDX-License-Identifier: Apache-2.0 */
/* client/fields.h: values of an unpacked Request that point at what the caller brought. Private to client/. */
#ifndef WAYBILL_CLIENT_FIELDS_H
#define WAYBILL_CLIENT_FIELDS_H

#include "core/ids.h"
#include "proto/waybill/v1/ipc.pb-c.h"

/* Never NULL, as protobuf-c wants them. */
static inline char *wb_text(const char *text) { return (char *)(text ? text : ""); }

/* NULL: absent. */
static inline ProtobufCBinaryData wb_bytes(const uint8_t *bytes, size_t len)
{
    return (ProtobufCBinaryData){.len = bytes ? len : 0, .data = (uint8_t *)bytes};
}

/* All 0: absent. */
static inline ProtobufCBinaryData wb_id_bytes(const uint8_t *id, size_t len)
{
    return wb_bytes(wb_id_is_zero(id, len) ? NULL : id, len);
}

#endif
