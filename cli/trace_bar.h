/* SPDX-License-Identifier: Apache-2.0 */
/* cli/trace_bar.h: what stands to the left of a span in the tree: its bar on the time axis that all
 * spans of the trace share, and a letter for the verdict on it. */
#ifndef WAYBILL_CLI_TRACE_BAR_H
#define WAYBILL_CLI_TRACE_BAR_H

#include "cli/output.h"
#include "cli/trace_tree.h"

typedef struct wb_trace_bar {
    const wb_cli *cli;
    const wb_tree *tree;
    size_t width; /* cells of the bars; 0: no bars */
    bool utf8;
    bool has[26]; /* which marks were printed, by letter */
} wb_trace_bar;

/** How wide bars are on a terminal, or a pipe, of so many columns. */
size_t wb_trace_bar_width(size_t columns);
/** The axis' line: 0 on the left, its length on the right. Prints nothing without bars. */
void wb_trace_bar_axis(const wb_trace_bar *bar);
/** Bar and mark of a node; NULL: as much blank space. */
void wb_trace_bar_print(wb_trace_bar *bar, const wb_tree_node *node);
/** One line that explains the marks that were printed, if any were. */
void wb_trace_bar_legend(const wb_trace_bar *bar);

#endif
