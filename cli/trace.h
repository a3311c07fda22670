/* SPDX-License-Identifier: Apache-2.0 */
/* cli/trace.h: the two ways to print a trace, and what they share with the list of delegations. */
#ifndef WAYBILL_CLI_TRACE_H
#define WAYBILL_CLI_TRACE_H

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/trace_tree.h"

/** `trace show` as text on standard output. */
void wb_trace_print_text(const wb_cli *cli, const wb_tree *tree, bool attributes);
/** ... as JSON: docs/cli.md has its shape. */
wb_exit wb_trace_print_json(const wb_tree *tree);

/* Members of an open JSON object. */
void wb_json_trace(wb_json_out *out, const wb_stored_trace *trace);
void wb_json_delegation(wb_json_out *out, const wb_stored_delegation *d);

/** Whom a delegation goes to: the card's name, else the agent id, else the URL; "?" if it has none. */
wb_slice wb_delegation_target(const wb_stored_delegation *d);

/** Open the store, or say why not: *code is what to return. */
wb_store *wb_cli_open_store(const wb_cli *cli, wb_exit *code);

#endif
