/* SPDX-License-Identifier: Apache-2.0 */
/* cli/output_file.h: a file that appears whole or not at all, as `-o FILE` asks. */
#ifndef WAYBILL_CLI_OUTPUT_FILE_H
#define WAYBILL_CLI_OUTPUT_FILE_H

#include "core/paths.h"
#include "core/status.h"

#include <stdio.h>

typedef struct wb_output_file {
    FILE *file; /* to write to */
    const char *path;
    char
        made[WB_PATH_MAX + 32]; /* the file's name until it is kept; "": standard output, or kept */
    bool replace;
} wb_output_file;

/** Begin: a new file beside `path`, mode 0600. NULL or "-": standard output.
 *  replace  whether a regular file at `path` may be replaced
 *  Errors   REJECTED there is something at `path` | UNAVAILABLE */
WB_MUST_USE wb_status wb_output_file_open(wb_output_file *out, const char *path, bool replace,
                                          wb_error *err);
/** All is written: make it durable and give it its name.
 *  Errors  REJECTED somebody else took the name meanwhile | UNAVAILABLE writing failed */
WB_MUST_USE wb_status wb_output_file_keep(wb_output_file *out, wb_error *err);
/** Close; what was not kept is removed. */
void wb_output_file_done(wb_output_file *out);

#endif
