/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_rewrite.h: a copy of a telemetry request in which attributes and texts are others.
 *
 * Goes by the tables of otlp_schema.h, through every message that has texts, at any depth. */
#ifndef WAYBILL_PROTO_OTLP_REWRITE_H
#define WAYBILL_PROTO_OTLP_REWRITE_H

#include "core/buffer.h"
#include "proto/signal.h"

typedef enum wb_rewrite {
    WB_REWRITE_KEEP,   /* as it is, unread */
    WB_REWRITE_INSIDE, /* its parts are asked for, one by one */
    WB_REWRITE_DONE,   /* what takes its place was written, or nothing, and then it is left out */
    WB_REWRITE_FAILED, /* no room: the copy ends */
} wb_rewrite;

typedef struct wb_rewrite_attr {
    wb_slice field;      /* all of it, tag and length included */
    uint32_t number;     /* of the field in its owner */
    wb_slice key, value; /* value: the AnyValue */
    wb_slice behind;     /* what its owner has behind it */
} wb_rewrite_attr;

typedef struct wb_rewriter {
    void *self;
    /* Of a message or a text: KEEP or INSIDE. */
    wb_rewrite (*look)(void *self, wb_slice bytes);
    /* A span, log record or metric begins; it ends, and whole fields of it may be appended. Both may be NULL. */
    void (*item)(void *self, wb_slice message);
    wb_status (*item_end)(void *self, wb_buffer *out);
    /* KEEP; INSIDE: key and value are asked for as texts, and then `attribute_end`, which may append further fields
     * to the owner; DONE: whole fields were appended to `out`. */
    wb_rewrite (*attribute)(void *self, const wb_rewrite_attr *attr, wb_buffer *out);
    wb_status (*attribute_end)(void *self, const wb_rewrite_attr *attr, wb_buffer *out);
    /* A text, or bytes of which nobody knows what they are. KEEP, or DONE: what takes its place was appended.
     * is_key  of an attribute
     * before  the text before it in the same array; empty elsewhere */
    wb_rewrite (*text)(void *self, wb_slice text, bool is_key, wb_slice before, wb_buffer *out);
} wb_rewriter;

/** Append the rewritten request to `out`. What is malformed is asked for as a text, whole.
 *  Errors  NO_MEMORY the buffer's limit, or FAILED was said; what was appended is undefined */
WB_MUST_USE wb_status wb_otlp_rewrite(wb_signal signal, wb_slice request,
                                      const wb_rewriter *rewriter, wb_buffer *out);

#endif
