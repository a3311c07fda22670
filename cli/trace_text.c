/* SPDX-License-Identifier: Apache-2.0 */
/* The tree as people read it, one span a line, its bar and verdict before it (trace_bar.c):
 *
 *   ##########   plan  [planner]  1.20s
 *    ########    +- delegate writer client  [planner]  900.0ms  completed
 *     #######  C |  `- SendMessage server  [writer]  880.0ms  continue: verified, depth 1
 *                |     * +12.0ms WARN model.slow: the model was asked twice
 *
 * A span's events, and the log records that name it, stand below it with the time since its start.
 * Lines are drawn with box characters where the locale is UTF-8. */
#include "cli/events.h"
#include "cli/terminal.h"
#include "cli/trace.h"
#include "cli/trace_bar.h"

#include "proto/otlp_json.h"

#include <stdlib.h>
#include <unistd.h>

enum { EVENTS_SHOWN = 20 }; /* of one span */

typedef struct printer {
    const wb_cli *cli;
    const wb_tree *tree;
    const char *branch, *last_branch, *line, *gap;
    bool attributes;
    wb_trace_bar bar;
    wb_buffer prefix; /* what stands before the children of the node in hand */
    size_t hidden;
} printer;

static void color(const printer *p, wb_color c) { (void)fputs(wb_color_code(p->cli, c), stdout); }

static void print_state(const printer *p, wb_slice state)
{
    color(p, wb_color_of_state(state));
    wb_print_safe(stdout, state);
    color(p, WB_COLOR_NONE);
}

static void print_delegation(const printer *p, const wb_stored_delegation *d)
{
    (void)fputs("  ", stdout);
    print_state(p, d->state);
    if (d->error_type.len > 0) {
        (void)fputs(" (", stdout);
        wb_print_safe(stdout, d->error_type);
        (void)fputs(")", stdout);
    }
    if (d->late_answer) (void)fputs(", answered late", stdout);
    if (d->unsigned_reason.len > 0) {
        (void)fputs(", unsigned: ", stdout);
        wb_print_safe(stdout, d->unsigned_reason);
    }
}

/* A JSON array of plain words as "a b". */
static void print_words(wb_slice json)
{
    for (size_t i = 0; i < json.len; i++) {
        char c = (char)json.ptr[i];
        if (c == '[' || c == ']' || c == '"') continue;
        wb_print_safe(stdout, c == ',' ? WB_S(" ") : wb_slice_of(&json.ptr[i], 1));
    }
}

static void print_acceptance(const printer *p, const wb_stored_acceptance *a)
{
    char hex[WB_TRACE_HEX + 1];
    (void)fputs("  ", stdout);
    color(p, wb_verdict_color(a));
    wb_print_safe(stdout, a->verdict);
    color(p, WB_COLOR_NONE);
    (void)fputs(a->verified ? ": verified" : ": unverified", stdout);
    if (a->code.len > 0) {
        (void)fputs(" ", stdout);
        wb_print_safe(stdout, a->code);
    }
    if (a->verified) (void)printf(", depth %u", a->depth);
    if (!WB_ID_ABSENT(a->link_trace_id)) {
        wb_hex(a->link_trace_id.b, sizeof a->link_trace_id.b, hex);
        (void)printf(", linked to trace %s", hex);
    }
    if (a->warnings.len > 2) {
        (void)fputs(", warnings: ", stdout);
        print_words(a->warnings);
    }
    if (a->finished_ns == 0) {
        (void)fputs(", ", stdout);
        print_state(p, WB_S("running"));
    }
}

static void print_name(const printer *p, const wb_tree_node *node)
{
    if (node->span) {
        wb_print_safe(stdout, node->span->name);
    } else if (node->delegation) {
        (void)fputs("delegate ", stdout);
        wb_print_safe(stdout, wb_delegation_target(node->delegation));
    } else {
        wb_print_safe(stdout, node->acceptance->method.len ? node->acceptance->method
                                                           : WB_S("accepted work"));
    }
    if (!node->span) {
        color(p, WB_COLOR_DIM);
        (void)fputs(" (open)", stdout);
        color(p, WB_COLOR_NONE);
    }
}

static void print_owner(const printer *p, const wb_tree_node *node)
{
    bool has_service = node->span && node->span->service.len > 0;
    wb_slice owner = has_service     ? node->span->service
                     : node->sidecar ? node->sidecar->name
                                     : WB_S("?");
    color(p, WB_COLOR_DIM);
    (void)fputs("  [", stdout);
    wb_print_safe(stdout, owner);
    (void)fputs("]", stdout);
    color(p, WB_COLOR_NONE);
}

static void print_result(const printer *p, const wb_tree_node *node)
{
    if (node->delegation) print_delegation(p, node->delegation);
    if (node->acceptance) print_acceptance(p, node->acceptance);
    if (node->span && wb_slice_eq(node->span->status, WB_S("error"))) {
        color(p, WB_COLOR_BAD);
        (void)fputs("  error", stdout);
        color(p, WB_COLOR_NONE);
        wb_slice why =
            node->span->status_message.len ? node->span->status_message : node->span->error_type;
        if (why.len > 0) {
            (void)fputs(": ", stdout);
            wb_print_safe(stdout, why);
        }
    }
    if (node->is_orphan) {
        color(p, WB_COLOR_WARN);
        (void)fputs("  (its parent is not in the store)", stdout);
        color(p, WB_COLOR_NONE);
    }
}

static void print_prefix(const printer *p)
{
    color(p, WB_COLOR_DIM);
    if (p->prefix.len > 0) (void)fwrite(p->prefix.ptr, 1, p->prefix.len, stdout);
    color(p, WB_COLOR_NONE);
}

static void print_attributes(printer *p, const wb_tree_node *node)
{
    wb_otlp_iter it = {node->span->span};
    wb_otlp_attr attr;
    while (wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr)) {
        WB_AUTO_BUFFER value;
        wb_buffer_init(&value, 16 * 1024 * 1024);
        if (wb_otlp_value_json(attr.value, &value) != WB_OK) wb_buffer_clear(&value);
        wb_trace_bar_print(&p->bar, NULL);
        print_prefix(p);
        color(p, WB_COLOR_DIM);
        (void)fputs(node->first_child ? p->line : p->gap, stdout);
        (void)fputs("  ", stdout);
        wb_print_safe(stdout, attr.key);
        (void)fputs(" = ", stdout);
        wb_print_safe(stdout, wb_buffer_slice(&value));
        color(p, WB_COLOR_NONE);
        (void)fputc('\n', stdout);
    }
}

static void print_moment(const printer *p, const wb_moment *m, wb_time_ns started_ns)
{
    char since[WB_TIME_TEXT];
    bool before = m->time_ns < started_ns;
    uint64_t ns = before ? started_ns - m->time_ns : m->time_ns - started_ns;
    (void)printf("* %s%s", before ? "-" : "+", wb_duration_text(ns, since));
    color(p, m->color);
    if (m->severity.len > 0) (void)fputc(' ', stdout);
    wb_print_safe(stdout, m->severity);
    if (m->name.len > 0) (void)fputc(' ', stdout);
    wb_print_safe(stdout, m->name);
    color(p, WB_COLOR_NONE);
    if (m->text.len > 0) {
        (void)fputs(": ", stdout);
        wb_print_safe(stdout, m->text);
    }
    (void)fputc('\n', stdout);
}

static void begin_event(printer *p, const wb_tree_node *node)
{
    wb_trace_bar_print(&p->bar, NULL);
    print_prefix(p);
    color(p, WB_COLOR_DIM);
    (void)fputs(node->first_child ? p->line : p->gap, stdout);
    color(p, WB_COLOR_NONE);
}

static void print_events(printer *p, const wb_tree_node *node)
{
    wb_moment *moments;
    size_t n = wb_moments(node->span, node->logs, node->n_logs, &moments);
    size_t shown = !moments ? 0 : n > EVENTS_SHOWN ? EVENTS_SHOWN : n;
    for (size_t i = 0; i < shown; i++) {
        begin_event(p, node);
        print_moment(p, &moments[i], node->started_ns);
    }
    if (shown < n) {
        begin_event(p, node);
        (void)printf("* %zu more: --json has them all\n", n - shown);
    }
    free(moments);
}

static size_t count_below(const wb_tree_node *node, unsigned depth)
{
    size_t n = 0;
    if (depth > 2 * WB_TREE_DEPTH_MAX) return 1; /* "at least" */
    for (const wb_tree_node *c = node->first_child; c; c = c->next)
        n += 1 + count_below(c, depth + 1);
    return n;
}

static void print_node(printer *p, const wb_tree_node *node, unsigned depth);

static void print_children(printer *p, const wb_tree_node *node, unsigned depth)
{
    if (depth >= WB_TREE_DEPTH_MAX) {
        p->hidden += count_below(node, depth);
        return;
    }
    for (const wb_tree_node *child = node->first_child; child; child = child->next)
        print_node(p, child, depth);
}

static void print_node(printer *p, const wb_tree_node *node, unsigned depth)
{
    char duration[WB_TIME_TEXT];
    size_t outer = p->prefix.len;
    wb_trace_bar_print(&p->bar, node);
    print_prefix(p);
    color(p, WB_COLOR_DIM);
    if (depth > 0) (void)fputs(node->next ? p->branch : p->last_branch, stdout);
    color(p, WB_COLOR_NONE);
    print_name(p, node);
    if (node->span && !wb_slice_eq(node->span->kind, WB_S("internal")) &&
        !wb_slice_eq(node->span->kind, WB_S("unspecified"))) {
        color(p, WB_COLOR_DIM);
        (void)printf(" %.*s", WB_SLICE_ARG(node->span->kind));
        color(p, WB_COLOR_NONE);
    }
    print_owner(p, node);
    (void)printf("  %s", wb_duration_text(wb_tree_duration(p->tree, node), duration));
    print_result(p, node);
    (void)fputc('\n', stdout);
    const char *more = depth == 0 ? "" : node->next ? p->line : p->gap;
    if (wb_buffer_add(&p->prefix, more, strlen(more)) != WB_OK) return;
    if (p->attributes && node->span) print_attributes(p, node);
    print_events(p, node);
    print_children(p, node, depth + 1);
    p->prefix.len = outer;
}

static void print_links(const printer *p)
{
    for (size_t i = 0; i < p->tree->n_acceptances; i++) {
        const wb_stored_acceptance *a = &p->tree->acceptances[i];
        char hex[WB_TRACE_HEX + 1];
        if (WB_ID_EQ(a->trace_id, p->tree->trace.trace_id)) continue;
        wb_hex(a->trace_id.b, sizeof a->trace_id.b, hex);
        (void)printf("linked from trace %s: ", hex);
        wb_print_safe(stdout, a->agent_id);
        print_acceptance(p, a);
        (void)fputc('\n', stdout);
    }
}

/* Of the trace, but under no span that is here. */
static void print_other_logs(const printer *p)
{
    const wb_tree *t = p->tree;
    size_t shown = t->n_other_logs > EVENTS_SHOWN ? EVENTS_SHOWN : t->n_other_logs;
    if (shown == 0) return;
    (void)fputs("log records that name no span of these:\n", stdout);
    for (size_t i = 0; i < shown; i++) {
        wb_moment m = wb_moment_of_log(t->other_logs[i]);
        (void)fputs("  ", stdout);
        print_moment(p, &m, t->trace.started_ns);
    }
    if (shown < t->n_other_logs)
        (void)printf("  * %zu more: --json has them all\n", t->n_other_logs - shown);
}

static void print_head(const printer *p)
{
    const wb_stored_trace *t = &p->tree->trace;
    char hex[WB_TRACE_HEX + 1], started[WB_TIME_TEXT];
    wb_hex(t->trace_id.b, sizeof t->trace_id.b, hex);
    color(p, WB_COLOR_BOLD);
    (void)printf("trace %s", hex);
    color(p, WB_COLOR_NONE);
    (void)fputs("  ", stdout);
    print_state(p, t->status);
    (void)printf("  %s  spans %llu, agents %llu, delegations %llu (%llu open), depth %llu\n",
                 wb_time_text(t->started_ns, started), (unsigned long long)t->span_count,
                 (unsigned long long)t->agent_count, (unsigned long long)t->delegation_count,
                 (unsigned long long)t->open_delegation_count, (unsigned long long)t->depth);
}

void wb_trace_print_text(const wb_cli *cli, const wb_tree *tree, bool attributes, bool bars)
{
    bool utf8 = wb_terminal_is_utf8();
    size_t columns = cli->terminal ? wb_terminal_columns(STDOUT_FILENO) : WB_TERMINAL_COLUMNS;
    printer p = {.cli = cli,
                 .tree = tree,
                 .branch = utf8 ? "├─ " : "+- ",
                 .last_branch = utf8 ? "└─ " : "`- ",
                 .line = utf8 ? "│  " : "|  ",
                 .gap = "   ",
                 .attributes = attributes,
                 .bar = {.cli = cli,
                         .tree = tree,
                         .width = bars ? wb_trace_bar_width(columns) : 0,
                         .utf8 = utf8}};
    wb_buffer_init(&p.prefix, 64 * 1024);
    print_head(&p);
    wb_trace_bar_axis(&p.bar);
    print_children(&p, &tree->top, 0);
    if (p.hidden > 0) (void)printf("(%zu spans below are too deep to show)\n", p.hidden);
    print_links(&p);
    print_other_logs(&p);
    wb_trace_bar_legend(&p.bar);
    wb_buffer_done(&p.prefix);
}
