/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/context.h: W3C headers as Accept and Delegate bring them, and as their replies give them
 * back. Rules: docs/design/context.md. Pure functions over an arena; any thread. */
#ifndef WAYBILL_SIDECAR_CONTEXT_H
#define WAYBILL_SIDECAR_CONTEXT_H

#include "core/arena.h"
#include "propagation/baggage.h"
#include "propagation/w3c.h"

/* Every header of one name, in order; the values are the request's. */
typedef struct wb_headers {
    wb_slice *values;
    size_t n;
} wb_headers;

/** The first value of a name, if it is not empty or others follow, and the others.
 *  Errors  NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_headers_of(const char *first, char *const *more, size_t n_more,
                                    wb_arena *arena, wb_headers *out);

/** The one header there is, trimmed, or empty: several make none. */
wb_slice wb_headers_only(const wb_headers *headers);

/** The header to send, in the arena, as wb_traceparent_format, wb_tracestate_write and
 *  wb_baggage_write make it; NULL at the arena's limit. */
char *wb_context_traceparent(const wb_traceparent *context, wb_arena *arena);
char *wb_context_tracestate(const wb_headers *received, wb_tracestate_kind kind, const wb_id *id,
                            wb_arena *arena);
char *wb_context_baggage(const wb_headers *received, const wb_baggage_rule *rule, wb_arena *arena);

/* What baggage passes a border: with those whom we have reason to know (callers whose trace is joined,
 * agents of `peers`), and with all others. */
typedef struct wb_baggage_border {
    wb_baggage_rule known, others;
} wb_baggage_border;

/** A border as a configuration key `name` gives it: `all`, `none`, the word `known`, or keys for
 *  everybody, which are borrowed.
 *  Errors  CONFIG no words at all, or something that no key of baggage can be */
WB_MUST_USE wb_status wb_baggage_border_make(const char *name, const wb_slice *words, size_t n,
                                             wb_slice known, wb_baggage_border *out, wb_error *err);

#endif
