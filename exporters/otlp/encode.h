/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/encode.h: bodies of records as the body of one request. Private to exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_ENCODE_H
#define WAYBILL_EXPORTERS_OTLP_ENCODE_H

#include "exporters/otlp/transport.h"

/** Buffers that requests share. Embedded: wb_otlp_encoder_init / wb_otlp_encoder_done. */
typedef struct wb_otlp_encoder {
    wb_buffer joined, text, packed;
    uint8_t prefix[5]; /* of gRPC */
    struct libdeflate_compressor *deflate;
    wb_slice *pieces;
    size_t cap;
} wb_otlp_encoder;

void wb_otlp_encoder_init(wb_otlp_encoder *encoder);
void wb_otlp_encoder_done(wb_otlp_encoder *encoder);

/** Make the body of a request out of Export requests of one signal.
 *  bodies    borrowed until the next call, as is what *out points at
 *  *plain    bytes before compression and framing: what max_request_bytes is about
 *  Errors    NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_encode(wb_otlp_encoder *encoder, const wb_otlp_target *target,
                                     wb_signal signal, const wb_slice *bodies, size_t n,
                                     wb_otlp_body *out, size_t *plain, wb_error *err);

#endif
