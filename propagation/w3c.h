/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/w3c.h: traceparent and tracestate. Source: W3C Trace Context Level 2, sections 3.2 and
 * 3.3. Thread-safe, no memory taken. */
#ifndef WAYBILL_PROPAGATION_W3C_H
#define WAYBILL_PROPAGATION_W3C_H

#include "core/ids.h"
#include "core/slice.h"
#include "core/status.h"

enum {
    WB_TRACEPARENT_LEN = 55, /* version 00 */
    WB_TRACE_SAMPLED = 1,    /* a hint, may lie */
    WB_TRACE_RANDOM = 2,     /* level 2: the low 7 bytes of the trace id are random */
    WB_TRACESTATE_MAX_BYTES = 512,
    WB_TRACESTATE_MAX_MEMBERS = 32,
};

typedef struct wb_traceparent {
    wb_trace_id trace;
    wb_span_id span;
    uint8_t flags; /* sampled and random only; other bits are read as 0 */
} wb_traceparent;

/** Any defect (upper case, ids all 0, version ff, a wrong length for 00) is MALFORMED: the caller
 *  then starts a new trace and drops tracestate. Higher versions give their first four fields. */
WB_MUST_USE wb_status wb_traceparent_parse(wb_slice text, wb_traceparent *out);
/** Version 00, lower case; WB_TRACEPARENT_LEN characters, no NUL. */
void wb_traceparent_format(const wb_traceparent *tp, char out[WB_TRACEPARENT_LEN]);

/** `received` (may be empty) with `wb=<32 hex of acceptance>` as its left-most member; an older `wb`
 *  is dropped, order kept, whole members left out from the right to stay within the two limits. A
 *  received header that breaks the grammar is dropped.
 *  out  room for WB_TRACESTATE_MAX_BYTES + 1; NUL-terminated; returns its length */
size_t wb_tracestate_with_acceptance(wb_slice received, const wb_id *acceptance,
                                     char out[WB_TRACESTATE_MAX_BYTES + 1]);
/** The acceptance id of a `wb` member; false if there is none. */
bool wb_tracestate_acceptance(wb_slice text, wb_id *out);

#endif
