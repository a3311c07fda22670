/* SPDX-License-Identifier: Apache-2.0 */
/* `trace list` and `trace show`, and the table of their family: reads of the store, which any number of sidecars write meanwhile. */
#include "cli/trace.h"

#include "core/arena.h"

enum { LIST_LIMIT_MAX = 100000, SHORT_ID = 16 };

typedef struct list_line {
    wb_trace_choice traces;
    uint64_t limit;
} list_line;

typedef struct show_line {
    const char *id;
    bool attributes, no_bars;
} show_line;

wb_slice wb_delegation_target(const wb_stored_delegation *d)
{
    if (d->target_name.len > 0) return d->target_name;
    if (d->target_agent_id.len > 0) return d->target_agent_id;
    return d->target_url.len > 0 ? d->target_url : WB_S("?");
}

wb_color wb_verdict_color(const wb_stored_acceptance *a)
{
    if (wb_slice_eq(a->verdict, WB_S("continue"))) return WB_COLOR_GOOD;
    return wb_slice_eq(a->verdict, WB_S("reject")) ? WB_COLOR_BAD : WB_COLOR_WARN;
}

/* ---- trace list ----------------------------------------------------------------------------- */

static void add_row(wb_listing *list, const wb_stored_trace *t)
{
    char hex[WB_TRACE_HEX + 1], time[WB_TIME_TEXT];
    uint64_t end =
        t->open_delegation_count > 0 || !t->ended_ns ? wb_now(list->cli->clock) : t->ended_ns;
    wb_hex(t->trace_id.b, sizeof t->trace_id.b, hex);
    wb_table_add(&list->table, WB_COLOR_NONE, wb_slice_of(hex, SHORT_ID));
    wb_table_add(&list->table, wb_color_of_state(t->status), t->status);
    wb_table_addf(&list->table, WB_COLOR_NONE, "%s", wb_time_text(t->started_ns, time));
    wb_duration_text(end >= t->started_ns ? end - t->started_ns : UINT64_MAX, time);
    wb_table_addf(&list->table, WB_COLOR_NONE, "%s", time);
    wb_table_addf(&list->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->span_count);
    wb_table_addf(&list->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->agent_count);
    if (t->open_delegation_count > 0)
        wb_table_addf(&list->table, WB_COLOR_WARN, "%llu, %llu open",
                      (unsigned long long)t->delegation_count,
                      (unsigned long long)t->open_delegation_count);
    else
        wb_table_addf(&list->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->delegation_count);
    wb_table_addf(&list->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->depth);
    if (t->root_name.len > 0)
        wb_table_add(&list->table, WB_COLOR_NONE, t->root_name);
    else
        wb_table_add(&list->table, WB_COLOR_DIM, WB_S("(root not ended yet)"));
}

static wb_status each_trace(void *ctx, const wb_stored_trace *t)
{
    wb_listing *list = ctx;
    if (!list->cli->json) {
        add_row(list, t);
        return WB_OK;
    }
    wb_json_open(&list->json, NULL, '{');
    wb_json_trace(&list->json, t);
    wb_json_close(&list->json, '}');
    return list->json.status;
}

static wb_exit list_traces(const wb_cli *cli, wb_store *store, const wb_trace_filter *filter)
{
    static const char *const heads[] = {"TRACE",  "STATUS",      "STARTED", "DURATION", "SPANS",
                                        "AGENTS", "DELEGATIONS", "DEPTH",   "ROOT"};
    wb_listing list;
    wb_error err = {0};
    wb_listing_begin(&list, cli, heads, WB_COUNT(heads));
    wb_status status = wb_store_traces(store, filter, each_trace, &list, &err);
    return wb_listing_end(&list, status, "trace list", &err);
}

wb_trace_filter wb_trace_choice_filter(const wb_cli *cli, const wb_trace_choice *choice)
{
    wb_trace_filter filter = {.since_ns = wb_cli_ago(cli, choice->since_ms),
                              .until_ns = wb_cli_ago(cli, choice->until_ms),
                              .status = wb_slice_str(choice->status),
                              .agent = wb_slice_str(choice->agent)};
    if (choice->until_ms != WB_OPTION_UNSET && filter.until_ns == 0)
        filter.until_ns = 1; /* before all there is */
    return filter;
}

static wb_exit run_list(const wb_cli *cli, const void *given)
{
    const list_line *line = given;
    wb_exit code;
    wb_trace_filter filter = wb_trace_choice_filter(cli, &line->traces);
    filter.limit = (uint32_t)line->limit;
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    return store ? list_traces(cli, store, &filter) : code;
}

/* ---- trace show ----------------------------------------------------------------------------- */

static wb_exit show(const wb_cli *cli, wb_store *store, const char *prefix, bool attributes,
                    bool bars)
{
    wb_trace_id id;
    wb_tree tree;
    wb_error err = {0};
    wb_status status = wb_store_find_trace(store, wb_slice_str(prefix), &id, &err);
    if (status == WB_ERR_MALFORMED) return wb_cli_usage(cli, "%s", err.detail);
    if (status != WB_OK)
        return wb_cli_fail(wb_cli_exit_of(status), prefix, err.detail, "see: waybill trace list");
    WB_AUTO(wb_arena) arena = wb_arena_new(WB_TREE_BYTES_MAX);
    if (!arena) return wb_cli_fail(WB_EXIT_FAILURE, "trace show", "no memory", NULL);
    status = wb_tree_load(store, &id, wb_now(cli->clock), arena, &tree, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), prefix, err.detail, NULL);
    if (cli->json) return wb_trace_print_json(&tree, stdout);
    wb_trace_print_text(cli, &tree, attributes, bars);
    return WB_EXIT_OK;
}

static wb_exit run_show(const wb_cli *cli, const void *given)
{
    const show_line *line = given;
    wb_exit code;
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    return store ? show(cli, store, line->id, line->attributes, !line->no_bars) : code;
}

static const wb_option list_options[] = {
    WB_TRACE_CHOICE(list_line, traces),
    {.name = "--limit",
     .value = "N",
     WB_INTO_NUMBER(list_line, limit),
     .min = 1,
     .max = LIST_LIMIT_MAX,
     .fallback = "20",
     .help = "at most N traces"},
    {0},
};

static const wb_option show_options[] = {
    {.name = "--attributes",
     WB_INTO_FLAG(show_line, attributes),
     .help = "print the spans' attributes too"},
    {.name = "--no-bars",
     WB_INTO_FLAG(show_line, no_bars),
     .help = "leave out the time bars before the spans"},
    {.value = "ID",
     WB_INTO_TEXT(show_line, id),
     .hint = WB_HINT_TRACE,
     .help = "a trace id, or its first digits"},
    {0},
};

const wb_verb wb_trace_verbs[] = {
    {.name = "trace list",
     .summary = "List traces in the store, newest first",
     .options = list_options,
     .json = "an array of objects",
     .run = run_list},
    {.name = "trace show",
     .summary = "Show one trace as a tree over all agents",
     .options = show_options,
     .help = "Before each span stands its bar on the trace's time axis, a quarter of the terminal "
             "wide\n"
             "(of 80 columns in a pipe), which ends in an arrow while the span is open; then the\n"
             "verdict on it: C continued, L linked, U unverified, R refused, D shown twice.\n",
     .no = "no such trace",
     .json = "one object; children are nested, and delegations and acceptances carry their tokens",
     .run = run_show},
    {.name = "trace export",
     .summary = "Write traces for other programs, one line a trace",
     .options = wb_trace_export_options,
     .help =
         "In otlp-json each line is a whole request for OTLP/HTTP, and the file is what the\n"
         "Collector's file receiver reads. In json each line is what `trace show --json` says,\n"
         "with the tokens. Open delegations have no span yet: only json has them. FILE appears\n"
         "whole or not at all; Ctrl-C leaves none behind.\n",
     .examples = "waybill trace export --all --output traces.jsonl\n",
     .no = "no such trace",
     .json = "with --output one object, {file, traces, spans, bytes, open_delegations}",
     .run = wb_trace_export_run},
    {0},
};
