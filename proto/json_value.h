/* SPDX-License-Identifier: Apache-2.0 */
/* proto/json_value.h: what the text of a JSON value stands for where protobuf has bits. Private to
 * proto/. Nothing allocates. Source: protobuf.dev, "ProtoJSON Format". */
#ifndef WAYBILL_PROTO_JSON_VALUE_H
#define WAYBILL_PROTO_JSON_VALUE_H

#include "core/slice.h"

typedef struct wb_json_integer {
    uint64_t magnitude;
    bool negative; /* never of 0 */
} wb_json_integer;

/* A number of RFC 8259 that is whole and below 2^64, in whatever way it is written. False: it is not, or
 * the text is no number. */
bool wb_json_integer_of(wb_slice text, wb_json_integer *out);

/* A number of RFC 8259 as a double.
 * room    text.len + WB_NUMBER_MAX bytes to work in; not read */
bool wb_json_real_of(wb_slice text, char *room, double *out);

/* "NaN", "Infinity" or "-Infinity". */
bool wb_json_real_word(wb_slice text, double *out);

/* Two hex digits a byte, upper or lower case. */
bool wb_json_hex_of(wb_slice text, uint8_t *out);

/* Base64 of either alphabet, padded or not, and nothing else. At most 3/4 of text.len bytes. */
bool wb_json_base64_of(wb_slice text, uint8_t *out, size_t *out_len);

#endif
