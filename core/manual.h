/* SPDX-License-Identifier: Apache-2.0 */
/* core/manual.h: pages for man(1), written from the tables that the programs run by.
 *
 * Each function appends to `out` and fails with NO_MEMORY at its limit alone. Text is ASCII; words in
 * `backticks` are set in bold. */
#ifndef WAYBILL_CORE_MANUAL_H
#define WAYBILL_CORE_MANUAL_H

#include "core/config.h"
#include "core/option.h"

/** The head of the page and its section NAME. */
WB_MUST_USE wb_status wb_manual_begin(const char *name, int section, const char *summary,
                                      wb_buffer *out);
/** "EXIT STATUS" */
WB_MUST_USE wb_status wb_manual_heading(const char *title, wb_buffer *out);
/** "waybill trace list" */
WB_MUST_USE wb_status wb_manual_subheading(const char *title, wb_buffer *out);
/** Prose as wb_prose_next cuts it. */
WB_MUST_USE wb_status wb_manual_prose(const char *text, wb_buffer *out);
/** Lines that are kept as they are. */
WB_MUST_USE wb_status wb_manual_lines(const char *text, wb_buffer *out);
/** How it is called. */
WB_MUST_USE wb_status wb_manual_synopsis(const char *command, const wb_option *options,
                                         wb_buffer *out);
/** The rows of a table of options, of terms, of configuration keys. */
WB_MUST_USE wb_status wb_manual_options(const wb_option *options, wb_buffer *out);
WB_MUST_USE wb_status wb_manual_terms(const wb_term *terms, wb_buffer *out);
WB_MUST_USE wb_status wb_manual_keys(const wb_config_table *table, wb_buffer *out);
/** Another page, with `end` behind it: "," or "". */
WB_MUST_USE wb_status wb_manual_reference(const char *name, int section, const char *end,
                                          wb_buffer *out);

#endif
