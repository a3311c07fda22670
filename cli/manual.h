/* SPDX-License-Identifier: Apache-2.0 */
/* cli/manual.h: the pages of the manual, as they are cut out of the table of verbs. Within cli only. */
#ifndef WAYBILL_CLI_MANUAL_H
#define WAYBILL_CLI_MANUAL_H

#include "cli/cli.h"

/** Verbs with the same first word: waybill-trace(1) is `trace list` and `trace show`. */
typedef struct wb_page {
    char name[48]; /* "waybill-trace" */
    const char *summary;
    const wb_verb *verbs;
    size_t n;
} wb_page;

/** The page behind `page`, the first one if its `verbs` is NULL; false at the end. */
bool wb_page_next(wb_page *page);

/** Append the page as man(7) source; waybill(1) itself is `page` NULL. */
WB_MUST_USE wb_status wb_page_print(const wb_page *page, wb_buffer *out);

/** Append what docs/cli.md says from "## Global options" on (cli/reference.c). */
WB_MUST_USE wb_status wb_reference_print(wb_buffer *out);

#endif
