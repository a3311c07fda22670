/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tail.h: what `tail` shows of a row, and whether. */
#ifndef WAYBILL_CLI_TAIL_H
#define WAYBILL_CLI_TAIL_H

#include "cli/output.h"
#include "store/store.h"

/** Empty: does not filter. */
typedef struct wb_tail_filter {
    wb_slice agent;  /* an id or a name: who wrote the row, or the other side of a delegation */
    wb_slice trace;  /* the first digits of its id, lower case */
    wb_slice type;   /* span, log, delegation, acceptance, or a span's waybill.span.type */
    wb_slice status; /* a span's status, a delegation's state, an acceptance's verdict */
} wb_tail_filter;

bool wb_tail_wants_span(const wb_tail_filter *filter, const wb_stored_span *s);
bool wb_tail_wants_delegation(const wb_tail_filter *filter, const wb_stored_delegation *d);
bool wb_tail_wants_acceptance(const wb_tail_filter *filter, const wb_stored_acceptance *a);
bool wb_tail_wants_log(const wb_tail_filter *filter, const wb_stored_log *log);

/* Append one line of text. Errors: NO_MEMORY. */
WB_MUST_USE wb_status wb_tail_span(const wb_cli *cli, const wb_stored_span *s, wb_buffer *out);
WB_MUST_USE wb_status wb_tail_delegation(const wb_cli *cli, const wb_stored_delegation *d,
                                         wb_buffer *out);
WB_MUST_USE wb_status wb_tail_acceptance(const wb_cli *cli, const wb_stored_acceptance *a,
                                         wb_buffer *out);
WB_MUST_USE wb_status wb_tail_log(const wb_cli *cli, const wb_stored_log *log, wb_buffer *out);

#endif
