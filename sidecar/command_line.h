/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/command_line.h: what waybilld is told when it is started, and what it says of itself. */
#ifndef WAYBILL_SIDECAR_COMMAND_LINE_H
#define WAYBILL_SIDECAR_COMMAND_LINE_H

#include "core/option.h"

enum { WB_DAEMON_FAILED = 1, WB_DAEMON_USAGE = 2, WB_DAEMON_CONFIG = 78 }; /* 78 is EX_CONFIG */

typedef struct wb_command_line {
    const char *name, *config_path; /* NULL: not said */
    bool check, reference, metrics, manual, version, help;
} wb_command_line;

/** Read it, WAYBILL_CONFIG too.
 *  Errors  MALFORMED the reason is in `err` */
WB_MUST_USE wb_status wb_command_line_read(int argc, char **argv, wb_command_line *out,
                                           wb_error *err);

/** Append the text of --help; the page waybilld(8). NO_MEMORY at the buffer's limit. */
WB_MUST_USE wb_status wb_command_line_help(wb_buffer *out);
WB_MUST_USE wb_status wb_command_line_manual(wb_buffer *out);

#endif
