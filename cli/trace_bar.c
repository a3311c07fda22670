/* SPDX-License-Identifier: Apache-2.0 */
/* Bars stand before the tree and not behind it: names are of any length and any script, and only what
 * has a fixed width can be aligned without knowing how wide a terminal draws each character.
 *
 * A span covers every cell of the axis that it touches, and one at least. What is still open ends in an
 * arrow, at now. Colours repeat what letters and arrows say and are never alone in saying it. */
#include "cli/trace_bar.h"

enum { WIDTH_MIN = 10, WIDTH_MAX = 60, AXIS_TEXT_MIN = 12 };

size_t wb_trace_bar_width(size_t columns)
{
    size_t width = columns / 4;
    if (width < WIDTH_MIN) return WIDTH_MIN;
    return width > WIDTH_MAX ? WIDTH_MAX : width;
}

void wb_trace_bar_axis(const wb_trace_bar *bar)
{
    char text[WB_TIME_TEXT];
    if (bar->width == 0) return;
    wb_duration_text(bar->tree->to_ns - bar->tree->from_ns, text);
    (void)fputs(wb_color_code(bar->cli, WB_COLOR_DIM), stdout);
    (void)printf("0%*s", (int)bar->width - 1, text);
    (void)fputs(wb_color_code(bar->cli, WB_COLOR_NONE), stdout);
    (void)fputc('\n', stdout);
}

/* ---- bars ----------------------------------------------------------------------------------- */

static bool is_open(const wb_tree_node *node)
{
    if (node->span) return false;
    if (node->delegation && node->delegation->closed_ns == 0) return true;
    return node->acceptance && node->acceptance->finished_ns == 0;
}

static wb_color bar_color(const wb_tree_node *node)
{
    if (node->span && wb_slice_eq(node->span->status, WB_S("error"))) return WB_COLOR_BAD;
    if (node->delegation && node->delegation->state.len > 0 &&
        wb_color_of_state(node->delegation->state) == WB_COLOR_BAD)
        return WB_COLOR_BAD;
    return is_open(node) ? WB_COLOR_WARN : WB_COLOR_BAR;
}

/* The first cell and the one behind the last, within the axis. */
static void cells_of(const wb_trace_bar *bar, const wb_tree_node *node, size_t *first, size_t *end)
{
    const wb_tree *tree = bar->tree;
    double cells = (double)bar->width, length = (double)(tree->to_ns - tree->from_ns);
    wb_time_ns ended = wb_tree_end(tree, node);
    if (ended < node->started_ns) ended = node->started_ns;
    *first = *end = 0;
    if (length > 0) {
        *first = (size_t)((double)(node->started_ns - tree->from_ns) / length * cells);
        double last = (double)(ended - tree->from_ns) / length * cells;
        *end = (size_t)last;
        if ((double)*end < last) (*end)++;
    }
    if (*first >= bar->width) *first = bar->width - 1;
    if (*end <= *first) *end = *first + 1;
    if (*end > bar->width) *end = bar->width;
}

static void print_bar(const wb_trace_bar *bar, const wb_tree_node *node)
{
    size_t first, end;
    const char *cell = bar->utf8 ? "\xE2\x96\x88" : "#", *arrow = bar->utf8 ? "\xE2\x96\xB6" : ">";
    cells_of(bar, node, &first, &end);
    (void)printf("%*s%s", (int)first, "", wb_color_code(bar->cli, bar_color(node)));
    for (size_t i = first; i < end; i++)
        (void)fputs(i + 1 == end && is_open(node) ? arrow : cell, stdout);
    (void)printf("%s%*s ", wb_color_code(bar->cli, WB_COLOR_NONE), (int)(bar->width - end), "");
}

/* ---- marks ---------------------------------------------------------------------------------- */

static const struct {
    char letter;
    wb_color color;
    const char *means;
} marks[] = {
    {'C', WB_COLOR_GOOD, "continued"},  {'L', WB_COLOR_BAR, "linked"},
    {'U', WB_COLOR_WARN, "unverified"}, {'R', WB_COLOR_BAD, "refused"},
    {'D', WB_COLOR_BAD, "shown twice"},
};

/* The remote side's verdict; before there is one, what the caller's side knows. ' ': nothing. */
static char mark_of(const wb_tree_node *node)
{
    const wb_stored_acceptance *a = node->acceptance;
    if (a) {
        if (wb_slice_eq(a->verdict, WB_S("reject"))) return 'R';
        if (wb_slice_eq(a->verdict, WB_S("duplicate"))) return 'D';
        if (!a->verified) return 'U';
        return wb_slice_eq(a->verdict, WB_S("continue")) ? 'C' : 'L';
    }
    if (node->delegation && wb_slice_eq(node->delegation->state, WB_S("rejected"))) return 'R';
    if (node->delegation && node->delegation->unsigned_reason.len > 0) return 'U';
    return ' ';
}

static wb_color mark_color(char mark)
{
    for (size_t i = 0; i < WB_COUNT(marks); i++)
        if (marks[i].letter == mark) return marks[i].color;
    return WB_COLOR_NONE;
}

void wb_trace_bar_print(wb_trace_bar *bar, const wb_tree_node *node)
{
    char mark = node ? mark_of(node) : ' ';
    if (node && bar->width > 0)
        print_bar(bar, node);
    else if (bar->width > 0)
        (void)printf("%*s", (int)bar->width + 1, "");
    if (mark == ' ') {
        (void)fputs("  ", stdout);
        return;
    }
    bar->has[mark - 'A'] = true;
    (void)printf("%s%c%s ", wb_color_code(bar->cli, mark_color(mark)), mark,
                 wb_color_code(bar->cli, WB_COLOR_NONE));
}

void wb_trace_bar_legend(const wb_trace_bar *bar)
{
    bool any = false;
    for (size_t i = 0; i < WB_COUNT(marks); i++) {
        if (!bar->has[marks[i].letter - 'A']) continue;
        (void)printf("%s%s%c %s", any ? ", " : "", any ? "" : wb_color_code(bar->cli, WB_COLOR_DIM),
                     marks[i].letter, marks[i].means);
        any = true;
    }
    if (any) (void)printf("%s\n", wb_color_code(bar->cli, WB_COLOR_NONE));
}
