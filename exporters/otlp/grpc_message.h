/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/grpc_message.h: the one message of a gRPC answer. Private to exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_GRPC_MESSAGE_H
#define WAYBILL_EXPORTERS_OTLP_GRPC_MESSAGE_H

#include "core/buffer.h"

/** Is `body` one whole Length-Prefixed-Message and nothing else?
 *  encoding  of compressed ones: the value of grpc-encoding
 *  room      empty; a compressed one is inflated into it, as far as its limit goes
 *  message   borrowed from `body` or `room`; written on true only. Empty, too, where it was compressed and
 *            cannot be read
 *  Source    grpc doc/PROTOCOL-HTTP2.md, doc/compression.md; RFC 1952 */
bool wb_otlp_grpc_message(wb_slice body, const char *encoding, wb_buffer *room, wb_slice *message);

#endif
