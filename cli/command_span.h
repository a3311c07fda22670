/* SPDX-License-Identifier: Apache-2.0 */
/* cli/command_span.h: the span around a command. Its place comes from TRACEPARENT; the command gets its
 * address the same way; the sidecar gets it when the command has ended.
 *
 * Source: OpenTelemetry semantic conventions 1.37, CLI spans (caller): kind CLIENT, error if the exit code is
 * not 0, arguments only where somebody asked for them. */
#ifndef WAYBILL_CLI_COMMAND_SPAN_H
#define WAYBILL_CLI_COMMAND_SPAN_H

#include "cli/cli.h"
#include "cli/command.h"
#include "core/option.h"
#include "propagation/w3c.h"

enum { WB_COMMAND_ATTRS_MAX = 32 };

typedef struct wb_command_span {
    const char *name; /* NULL: the command's, without its folder */
    wb_words attrs;   /* "key=value", WB_COMMAND_ATTRS_MAX at most */
    bool with_args;
    wb_traceparent own;
    wb_span_id parent; /* absent: a root */
    char tracestate[WB_TRACESTATE_MAX_BYTES + 1];
} wb_command_span;

/** Give it its ids, from the environment's TRACEPARENT and TRACESTATE, or those of a new trace. */
void wb_command_span_begin(wb_command_span *span);
/** Put its address into the environment, for the command. */
void wb_command_span_export(const wb_command_span *span);

/** Hand it to the sidecar and wait until that has synced it. May be repeated: the stores keep it once.
 *  Errors  as wb_ask | REJECTED it does not take it */
WB_MUST_USE wb_status wb_command_span_record(const wb_cli *cli, const wb_command_span *span,
                                             char *const *argv, const wb_command_end *end,
                                             wb_error *err);

#endif
