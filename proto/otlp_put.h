/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_put.h: encode single OTLP fields into room already made. Private to proto/.
 *
 * Each x_size says how many bytes put_x will write; each put_x returns the end of what it wrote. */
#ifndef WAYBILL_PROTO_OTLP_PUT_H
#define WAYBILL_PROTO_OTLP_PUT_H

#include "core/ids.h"
#include "proto/otlp_read.h"

/** A whole LEN field: tag, length and `len` bytes. */
size_t wb_otlp_field_size(uint32_t number, size_t len);
/** Its tag and length; the bytes are the caller's to write. */
uint8_t *wb_otlp_put_head(uint8_t *at, uint32_t number, size_t len);
uint8_t *wb_otlp_put_field(uint8_t *at, uint32_t number, wb_slice bytes);

/** An AnyValue message. */
size_t wb_otlp_value_size(wb_value value);
uint8_t *wb_otlp_put_value(uint8_t *at, wb_value value);

/** An attribute field of `owner`, whose AnyValue takes `value_len` bytes; put writes all before
 *  them. */
size_t wb_otlp_attr_size(wb_otlp_owner owner, wb_slice key, size_t value_len);
uint8_t *wb_otlp_put_attr_head(uint8_t *at, wb_otlp_owner owner, wb_slice key, size_t value_len);

/** A Link message without attributes. */
size_t wb_otlp_link_size(wb_slice trace_state, uint32_t flags);
uint8_t *wb_otlp_put_link(uint8_t *at, wb_trace_id trace_id, wb_span_id span_id,
                          wb_slice trace_state, uint32_t flags);

#endif
