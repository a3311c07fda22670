/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/sampling.h: OpenTelemetry's consistent probability sampling, as a downstream stage
 * that equalizes. Pure functions; any thread.
 *
 * A trace has 56 bits of randomness R, which all who look at it read alike, and each sampler a
 * threshold T: keep what has R >= T. So whoever keeps less keeps a part of what whoever keeps more
 * keeps. How much a kept span stands for is said by `th` in its tracestate.
 *
 * Source: OpenTelemetry specification, "TraceState: Probability Sampling" and "TraceState Handling". */
#ifndef WAYBILL_SIDECAR_DELIVERY_SAMPLING_H
#define WAYBILL_SIDECAR_DELIVERY_SAMPLING_H

#include "core/buffer.h"
#include "core/ids.h"

/* Above every R: kept by no probability. It has no `th`. */
#define WB_SAMPLING_NEVER (UINT64_C(1) << 56)

/** The threshold of a probability.
 *  ratio  decimal digits with at most one point, 0 to 1, at most 18 of them behind the point
 *  out    exact, then rounded to 5 hex digits behind its leading f's, as the specification's table has
 *         it: 0 for 1, 0xc0... for 0.25, 0xfd70a400... for 0.01, WB_SAMPLING_NEVER for 0
 *  Errors CONFIG not such a number */
WB_MUST_USE wb_status wb_sampling_threshold(wb_slice ratio, uint64_t *out, wb_error *err);

/* What is known of a span's sampling so far. */
typedef struct wb_sampled {
    uint64_t randomness; /* 56 bits */
    uint64_t th;         /* 56 bits, if has_th */
    bool has_th;
} wb_sampled;

/** R is `rv` of the tracestate's `ot` member, else the low 56 bits of the trace id (which are presumed
 *  to be random). Members and sub-keys that break their grammar count as absent. */
wb_sampled wb_sampling_read(wb_slice trace_state, const wb_trace_id *trace_id);

typedef enum wb_sampling_cause {
    WB_SAMPLING_BY_CHANCE, /* nobody asked for this trace */
    WB_SAMPLING_BY_RULE,   /* a rule keeps all of its kind, whatever R */
    WB_SAMPLING_UNKNOWN,   /* kept because it could not be found out */
} wb_sampling_cause;

typedef enum wb_sampling_mark {
    WB_SAMPLING_LEFT_OUT,
    WB_SAMPLING_AS_IT_IS, /* kept; its th says what is right already */
    WB_SAMPLING_SET,      /* kept; th becomes `th` */
    WB_SAMPLING_ERASE,    /* kept; how likely that was is unknown */
} wb_sampling_mark;

typedef struct wb_sampling_verdict {
    wb_sampling_mark mark;
    uint64_t th;
} wb_sampling_verdict;

/** What becomes of a span. By chance: a th above `threshold` stays, else R >= threshold keeps it and
 *  `threshold` is its th. By rule: its own th stays, and without one it was kept for certain: 0. A th
 *  that R contradicts is erased. */
wb_sampling_verdict wb_sampling_decide(wb_sampled span, uint64_t threshold,
                                       wb_sampling_cause cause);

/** Append the tracestate with its th set or erased (mark SET or ERASE): the `ot` member comes to the
 *  left and keeps its other sub-keys, which are left out, but for rv, if it would pass 256 characters;
 *  of more than 32 members the right-most go. May append nothing.
 *  Errors  NO_MEMORY the buffer's limit */
WB_MUST_USE wb_status wb_sampling_write(wb_slice trace_state, wb_sampling_verdict verdict,
                                        wb_buffer *out);

#endif
