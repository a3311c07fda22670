/* SPDX-License-Identifier: Apache-2.0 */
/* proto/texts.h: are the texts of a packed message what they will be taken for? Thread-safe. */
#ifndef WAYBILL_PROTO_TEXTS_H
#define WAYBILL_PROTO_TEXTS_H

#include "core/slice.h"

struct ProtobufCMessageDescriptor; /* protobuf-c's */

enum { WB_TEXTS_ELEMENTS_MAX = 64 }; /* of one repeated field in one message */

/** What a text may be. */
typedef struct wb_text_rule {
    size_t most;    /* bytes */
    bool any_bytes; /* whoever reads it judges its bytes; else it is UTF-8 */
} wb_text_rule;

/** Walk a packed message and the messages in it.
 *  rule_of  of the texts of that field
 *  Returns  NULL, or what is wrong with the first bad one: a U+0000 in it, not UTF-8, too long, too many of
 *           one repeated field, or bytes that are no message of this type. */
const char *wb_texts_fault(const struct ProtobufCMessageDescriptor *type, wb_slice packed,
                           wb_text_rule (*rule_of)(const char *field));

#endif
