/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/grpc_message.h: the one message of a unary gRPC request, put together from the
 * pieces in which it arrives. Source: grpc/grpc doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_MESSAGE_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_MESSAGE_H

#include "sidecar/receivers/otlp/export.h"
#include "sidecar/receivers/otlp/grpc_code.h"

enum { WB_GRPC_PREFIX = 5 }; /* compressed flag, length of four bytes, big-endian */

/* Embedded; all zero is a message of which nothing came yet. */
typedef struct wb_grpc_message {
    uint8_t prefix[WB_GRPC_PREFIX];
    size_t n_prefix;
    uint8_t *bytes; /* owned; as they arrived, perhaps compressed */
    size_t len;     /* announced */
    size_t got;
    size_t held; /* of the sink's budget, and size of `bytes` */
} wb_grpc_message;

/** Take the next bytes of the request's body, wherever the frames cut them.
 *  limit       of the message's length, in bytes; of a compressed one half as much
 *  compressed  the request has a grpc-encoding: the flag may be 1
 *  sink        asked for room before it is taken
 *  Returns     NULL, or why the request is to be refused: `message` is to be given up then */
WB_MUST_USE const wb_grpc_refusal *wb_grpc_message_take(wb_grpc_message *message, wb_slice chunk,
                                                        size_t limit, bool compressed,
                                                        const wb_export_sink *sink);

/** The body has ended: NULL if it was one whole message. */
WB_MUST_USE const wb_grpc_refusal *wb_grpc_message_end(const wb_grpc_message *message);

static inline bool wb_grpc_message_is_compressed(const wb_grpc_message *message)
{
    return message->prefix[0] == 1;
}

/** Free its bytes, give their room back and begin anew. */
void wb_grpc_message_done(wb_grpc_message *message, const wb_export_sink *sink);

#endif
