/* SPDX-License-Identifier: Apache-2.0 */
/* cli/trace.h: the two ways to print a trace, and what they share with the list of delegations. */
#ifndef WAYBILL_CLI_TRACE_H
#define WAYBILL_CLI_TRACE_H

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/store_watch.h"
#include "cli/trace_tree.h"

/** `trace show` as text on standard output; `bars`: one a span, by the terminal's width. */
void wb_trace_print_text(const wb_cli *cli, const wb_tree *tree, bool attributes, bool bars);
/** ... as JSON: docs/cli.md has its shape. */
wb_exit wb_trace_print_json(const wb_tree *tree, FILE *file);

/** Options that choose among traces, alike for `trace list` and `trace export`. */
typedef struct wb_trace_choice {
    uint64_t since_ms, until_ms;
    const char *status, *agent;
} wb_trace_choice;

/* Their rows, for the wb_trace_choice `field` of a line. */
#define WB_TRACE_CHOICE(line, field)                                                               \
    {.name = "--since",                                                                            \
     .value = "DURATION",                                                                          \
     WB_INTO_MS(line, field.since_ms),                                                             \
     .help = "started within it: 90s, 30m, 2h, 7d"},                                               \
        {.name = "--until",                                                                        \
         .value = "DURATION",                                                                      \
         WB_INTO_MS(line, field.until_ms),                                                         \
         .help = "started longer ago than it"},                                                    \
        {.name = "--status",                                                                       \
         .value = "STATUS",                                                                        \
         WB_INTO_TEXT(line, field.status),                                                         \
         .choices = "running|success|error|cancelled",                                             \
         .help = "in this state"},                                                                 \
    {                                                                                              \
        .name = "--agent", .value = "AGENT", WB_INTO_TEXT(line, field.agent),                      \
        .help = "an agent with this id or name took part"                                          \
    }

wb_trace_filter wb_trace_choice_filter(const wb_cli *cli, const wb_trace_choice *choice);

/* `trace export`: cli/trace_export.c. */
extern const wb_option wb_trace_export_options[];
wb_exit wb_trace_export_run(const wb_cli *cli, const void *given);

/* Members of an open JSON object. */
void wb_json_trace(wb_json_out *out, const wb_stored_trace *trace);
void wb_json_delegation(wb_json_out *out, const wb_stored_delegation *d);
void wb_json_acceptance(wb_json_out *out, const wb_stored_acceptance *a);
void wb_json_span(wb_json_out *out, const wb_stored_span *s); /* all but its ids and its start */

/** Whom a delegation goes to: the card's name, else the agent id, else the URL; "?" if it has none. */
wb_slice wb_delegation_target(const wb_stored_delegation *d);
wb_color wb_verdict_color(const wb_stored_acceptance *a);

#endif
