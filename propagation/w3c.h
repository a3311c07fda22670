/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/w3c.h: traceparent and tracestate. Source: W3C Trace Context Level 2, sections 3.2 and
 * 3.3; how they are used: docs/design/context.md. Thread-safe, no memory taken. */
#ifndef WAYBILL_PROPAGATION_W3C_H
#define WAYBILL_PROPAGATION_W3C_H

#include "core/ids.h"
#include "core/slice.h"
#include "core/status.h"

enum {
    WB_TRACEPARENT_LEN = 55, /* version 00 */
    WB_TRACE_SAMPLED = 1,    /* a hint, may lie */
    WB_TRACE_RANDOM = 2,     /* level 2: the low 7 bytes of the trace id are random */
    WB_TRACE_FLAGS_NEW = 3,  /* of a trace that starts here: wb_trace_id_new is random throughout */
    WB_TRACE_FLAGS_KNOWN = 3,
    WB_TRACESTATE_MAX_BYTES = 512, /* what must be passed on; no more is */
    WB_TRACESTATE_MAX_MEMBERS = 32,
};

typedef struct wb_traceparent {
    wb_trace_id trace;
    wb_span_id span;
    uint8_t flags; /* sampled and random only; other bits are read as 0 */
} wb_traceparent;

/** The only header's value, trimmed (several make none). Any defect (upper case, ids all 0, version ff, a wrong length for 00) is
 *  MALFORMED: the caller then starts a new trace and drops tracestate. Higher versions give their
 *  first four fields. */
WB_MUST_USE wb_status wb_traceparent_parse(wb_slice text, wb_traceparent *out);
/** Version 00, lower case; WB_TRACEPARENT_LEN characters, no NUL. */
void wb_traceparent_format(const wb_traceparent *tp, char out[WB_TRACEPARENT_LEN]);

/* What our member says: `wb=<32 hex>` in the context of the agent's own work, `wb=d:<32 hex>` in what
 * is sent to the remote agent. The two never pass for each other. */
typedef enum wb_tracestate_kind {
    WB_TRACESTATE_ACCEPTANCE,
    WB_TRACESTATE_DELEGATION
} wb_tracestate_kind;

/** What was received, with our member at the left: an older `wb` is dropped, order kept, whole members
 *  left out to stay within the two limits (those over 128 characters first, then from the right).
 *  values  every header of that name, in order; dropped altogether if one member breaks the grammar
 *          or there are more than 32. Other vendors' members (`ot` too) are never changed
 *  out     NUL-terminated; returns its length, at most WB_TRACESTATE_MAX_BYTES */
size_t wb_tracestate_write(const wb_slice *values, size_t n, wb_tracestate_kind kind,
                           const wb_id *id, char out[WB_TRACESTATE_MAX_BYTES + 1]);
/** The acceptance id of a `wb` member; false if there is none. */
bool wb_tracestate_acceptance(wb_slice text, wb_id *out);

#endif
