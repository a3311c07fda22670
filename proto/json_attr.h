/* SPDX-License-Identifier: Apache-2.0 */
/* proto/json_attr.h: an attribute of OTLP/JSON as most write it, at one go. Private to proto/. */
#ifndef WAYBILL_PROTO_JSON_ATTR_H
#define WAYBILL_PROTO_JSON_ATTR_H

#include "core/slice.h"

enum { WB_COMMON_ATTR_ROOM = 192 }; /* of which it may write all */

/* One whole KeyValue object at *at, as field `number` (below 16) of its owner. How many bytes of protobuf it
 * comes to, with *at behind the object; or 0, and nothing said but that the long way must be gone: *at is
 * where it was, and `to` may be written over. */
size_t wb_json_common_attr(const uint8_t **at, const uint8_t *end, unsigned number, uint8_t *to);

#endif
