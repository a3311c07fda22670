/* SPDX-License-Identifier: Apache-2.0 */
/* proto/otlp_walk.h: index an ExportTraceServiceRequest without decoding it. */
#ifndef WAYBILL_PROTO_OTLP_WALK_H
#define WAYBILL_PROTO_OTLP_WALK_H

#include "core/batch.h"
#include "proto/key_set.h"

enum {
    WB_OTLP_BODY_MAX_BYTES = 8 * 1024 * 1024,
    WB_OTLP_SPANS_MAX = 65536, /* in a body, and as many scopes and resources */
    WB_OTLP_ATTRS_MAX = 1024,  /* on a span, resource, scope, event or link */
    WB_OTLP_DEPTH_MAX = 64,    /* of AnyValue in AnyValue; OpenTelemetry SDKs stop at 64 */
};

/** Walk `body` once and make the index over it.
 *  body    the exact bytes of an opentelemetry ExportTraceServiceRequest; borrowed for the life of
 *          the batch, never changed
 *  keys    attributes to index on spans and resources; NULL for none
 *  arena   holds the batch: about 112 bytes a span and 64 an indexed attribute
 *  batch   NULL stays NULL unless WB_OK. A body without spans is WB_OK and has no spans
 *
 *  A span that no backend could take is left out of the batch, and counted in
 *  batch->rejected_count: trace id not 16 bytes, span id not 8, either all zero, parent or link id
 *  of another length, text that is not UTF-8, more than WB_OTLP_ATTRS_MAX attributes, deeper than
 *  WB_OTLP_DEPTH_MAX. What is wrong with a resource or scope is wrong with all its spans; it is
 *  left out with them.
 *  Errors  MALFORMED not this message: truncated, a group, a known field with another wire type, a
 *          varint over 64 bits, a field that merges with an earlier one (a second resource, scope,
 *          status, key or value); larger than WB_OTLP_BODY_MAX_BYTES or WB_OTLP_SPANS_MAX
 *          NO_MEMORY arena limit
 *  Source  opentelemetry-proto 1.11.0, trace.proto, common.proto; protobuf wire encoding */
WB_MUST_USE wb_status wb_otlp_walk(wb_slice body, const wb_key_set *keys, wb_arena *arena,
                                   wb_batch **batch, wb_error *err);

#endif
