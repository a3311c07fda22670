/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delegation/spans.h: the spans that the sidecar itself writes: one CLIENT span for each
 * delegation when it closes, one SERVER span for each acceptance when it finishes, one late answer.
 * Names and keys: OpenTelemetry's A2A conventions (draft), else waybill.* (DESIGN section 6). */
#ifndef WAYBILL_SIDECAR_DELEGATION_SPANS_H
#define WAYBILL_SIDECAR_DELEGATION_SPANS_H

#include "core/buffer.h"
#include "core/ids.h"
#include "core/slice.h"
#include "core/status.h"

/* protobuf-c's rows, waybill.v1 in journal.proto */
struct Waybill__V1__DelegationRow;
struct Waybill__V1__AcceptanceRow;
struct wb_span_draft; /* proto/span_batch.h */
struct wb_otlp_attr;  /* proto/otlp_read.h */

enum { WB_SPAN_AGENT_MORE = 64, WB_OWN_RESOURCE_MAX = 6 + WB_SPAN_AGENT_MORE };

/** Whose spans these are; borrowed for the call. */
typedef struct wb_span_agent {
    wb_slice name;      /* service.name */
    wb_slice id;        /* own agent id */
    wb_slice isolation; /* "none" or "uid": could the agent have written this itself? */
    const struct wb_otlp_attr
        *more;     /* further attributes of the resource, under other keys than ours */
    size_t n_more; /* at most WB_SPAN_AGENT_MORE */
} wb_span_agent;

/** The attributes of the sidecar's own resource, at most WB_OWN_RESOURCE_MAX of them; borrow from `agent`. Returns how
 *  many there are. */
size_t wb_own_resource(wb_span_agent agent, struct wb_otlp_attr *out);

/** Append a span batch's payload with `n` spans under the sidecar's own resource and scope.
 *  Errors  as wb_span_batch_build */
WB_MUST_USE wb_status wb_own_spans(const struct wb_span_draft *drafts, size_t n,
                                   wb_span_agent agent, wb_buffer *out, wb_error *err);

/** Append a WB_ENTRY_SPANS payload to `out`. The row must be closed or finished: an unfinished span
 *  never leaves under its final id.
 *  Errors  NO_MEMORY the buffer's limit | MALFORMED the row has no ids */
WB_MUST_USE wb_status wb_delegation_span(const struct Waybill__V1__DelegationRow *row,
                                         wb_span_agent agent, wb_buffer *out, wb_error *err);
WB_MUST_USE wb_status wb_acceptance_span(const struct Waybill__V1__AcceptanceRow *row,
                                         wb_span_agent agent, wb_buffer *out, wb_error *err);

/** The answer to a delegation whose span had already been written as lost: a new zero-length span
 *  `waybill.delegation.late_answer` that links to it. */
WB_MUST_USE wb_status wb_late_answer_span(const struct Waybill__V1__DelegationRow *row,
                                          wb_span_agent agent, wb_buffer *out, wb_error *err);

#endif
