/* SPDX-License-Identifier: Apache-2.0 */
/* cli/events.h: what happened within spans: their own events, and the log records that name them. */
#ifndef WAYBILL_CLI_EVENTS_H
#define WAYBILL_CLI_EVENTS_H

#include "cli/output.h"
#include "store/store.h"

/** One thing that happened. Its texts are borrowed from the span or the log record. */
typedef struct wb_moment {
    wb_time_ns time_ns;
    size_t order;      /* among those of one time */
    wb_slice severity; /* of a log record: its text, or the name of its number; empty: none */
    wb_slice name;     /* of the event; empty: none */
    wb_slice text;     /* an exception's message, or a log record's body where that is text */
    wb_color color;
} wb_moment;

/** Those of a span by time: its events (`span` may be NULL) and `n_logs` log records. Returns how many
 *  there are; *out is malloc'ed for them, NULL where there are none or memory is out. */
size_t wb_moments(const wb_stored_span *span, const wb_stored_log *logs, size_t n_logs,
                  wb_moment **out);
wb_moment wb_moment_of_log(const wb_stored_log *log);

/** Members of an open JSON object. */
void wb_json_log(wb_json_out *out, const wb_stored_log *log);

#endif
