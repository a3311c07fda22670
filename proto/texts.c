/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf-c hands a string out as a char *, and whoever reads that stops at the first NUL; on the wire a
 * string may hold one. A message id "m1\0x" would then be "m1" here and something else for the agent that
 * sent it, and a token for the one would let the other in. So the wire itself is looked at, where lengths
 * are, and before anything is copied.
 *
 * A text that is not UTF-8 would get into a row whose span nobody takes, and the row could never be closed.
 * Carrier and W3C headers are judged by those who read them, byte by byte. */
#include "proto/texts.h"

#include "core/status.h"
#include "core/utf8.h"
#include "proto/wire.h"

#include <protobuf-c/protobuf-c.h>

enum { DEPTH_MAX = 4, FIELDS_MAX = 64 };

static const char *fault_at(const ProtobufCMessageDescriptor *type, wb_slice rest,
                            wb_text_rule (*rule_of)(const char *field), unsigned depth);

static const char *fault_of(const ProtobufCFieldDescriptor *field, wb_slice bytes,
                            wb_text_rule (*rule_of)(const char *field), unsigned depth)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return fault_at(field->descriptor, bytes, rule_of, depth + 1);
    if (field->type != PROTOBUF_C_TYPE_STRING) return NULL;
    wb_text_rule rule = rule_of(field->name);
    if (bytes.len > rule.most) return "a text is longer than its limit";
    if (bytes.len > 0 && memchr(bytes.ptr, '\0', bytes.len)) return "a text has U+0000 in it";
    if (!rule.any_bytes && !wb_utf8_valid(bytes)) return "a text is not UTF-8";
    return NULL;
}

static const char *fault_at(const ProtobufCMessageDescriptor *type, wb_slice rest,
                            wb_text_rule (*rule_of)(const char *field), unsigned depth)
{
    unsigned seen[FIELDS_MAX] = {0}; /* by the field's place in its message */
    WB_ASSERT(type->n_fields <= FIELDS_MAX);
    if (depth > DEPTH_MAX) return "messages are nested too deep";
    while (rest.len > 0) {
        wb_wire_field f;
        if (!wb_wire_next(&rest, &f)) return "not a message of this type";
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(type, f.number);
        if (!field || f.type != WB_WIRE_LEN) continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED &&
            ++seen[field - type->fields] > WB_TEXTS_ELEMENTS_MAX)
            return "too many values of one field";
        const char *fault = fault_of(field, f.bytes, rule_of, depth);
        if (fault) return fault;
    }
    return NULL;
}

const char *wb_texts_fault(const ProtobufCMessageDescriptor *type, wb_slice packed,
                           wb_text_rule (*rule_of)(const char *field))
{
    return fault_at(type, packed, rule_of, 1);
}
