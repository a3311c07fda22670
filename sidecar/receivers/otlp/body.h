/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/body.h: the bytes of one request as they come, and what they are turned into. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_BODY_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_BODY_H

#include "core/buffer.h"
#include "sidecar/receivers/otlp/export.h"
#include "sidecar/receivers/otlp/inflate.h"

/* Embedded; zeroed but for the first three. What it holds is reserved at the sink. */
typedef struct wb_body {
    const wb_export_sink *sink;
    size_t most;       /* bytes as they come; more are REJECTED */
    uint64_t expected; /* in all, as the sender says; UINT64_MAX: he does not */
    uint64_t seen;     /* also of what was thrown away */
    uint8_t *ptr;      /* owned; as they came */
    size_t len, cap;
    wb_inflated inflated;
    wb_buffer plain; /* JSON made protobuf */
    size_t plain_reserved;
    bool is_plain; /* it is in `plain`, whatever its length */
} wb_body;

void wb_body_init(wb_body *body, const wb_export_sink *sink, size_t most, uint64_t expected);
/** Free all, and give back what was reserved. */
void wb_body_done(wb_body *body);
/** As wb_body_done, but go on counting: the rest will be thrown away. */
void wb_body_drop(wb_body *body);

/** Errors  REJECTED more than `most` | UNAVAILABLE no room | NO_MEMORY */
WB_MUST_USE wb_status wb_body_add(wb_body *body, const void *bytes, size_t len, wb_error *err);
/** Undo gzip: at most `most` bytes may come out. The compressed bytes are gone then.
 *  Errors  as wb_inflate_gzip */
WB_MUST_USE wb_status wb_body_inflate(wb_body *body, size_t most, wb_error *err);
/** Turn JSON into protobuf. The JSON is gone then.
 *  Errors  MALFORMED as wb_otlp_from_json | REJECTED it needs more room than there may be | UNAVAILABLE |
 *          NO_MEMORY */
WB_MUST_USE wb_status wb_body_from_json(wb_body *body, wb_signal signal, wb_error *err);
/** What it is by now. */
wb_slice wb_body_bytes(const wb_body *body);

#endif
