/* SPDX-License-Identifier: Apache-2.0 */
/* `trace list` and `trace show`: reads of the store, which any number of sidecars write meanwhile. */
#include "cli/trace.h"

#include "core/arena.h"

#include <stdlib.h>

enum { LIST_LIMIT = 20, LIST_LIMIT_MAX = 100000, SHORT_ID = 16 };

wb_store *wb_cli_open_store(const wb_cli *cli, wb_exit *code)
{
    wb_store *store = NULL;
    wb_error err = {0};
    wb_status status = wb_store_open(cli->paths.store, &store, &err);
    *code = WB_EXIT_OK;
    if (status == WB_OK) return store;
    *code = wb_cli_fail(WB_EXIT_FAILURE, "store", err.detail,
                        status == WB_ERR_NOT_FOUND
                            ? "a sidecar makes it when it delivers; or name it with --store"
                            : "waybill doctor looks closer");
    return NULL;
}

wb_slice wb_delegation_target(const wb_stored_delegation *d)
{
    if (d->target_name.len > 0) return d->target_name;
    if (d->target_agent_id.len > 0) return d->target_agent_id;
    return d->target_url.len > 0 ? d->target_url : WB_S("?");
}

/* ---- trace list ----------------------------------------------------------------------------- */

typedef struct lister {
    const wb_cli *cli;
    wb_table table;
    wb_json_out json;
} lister;

static void add_row(lister *l, const wb_stored_trace *t)
{
    char hex[WB_TRACE_HEX + 1], time[WB_TIME_TEXT];
    uint64_t end =
        t->open_delegation_count > 0 || !t->ended_ns ? wb_now(l->cli->clock) : t->ended_ns;
    wb_hex(t->trace_id.b, sizeof t->trace_id.b, hex);
    wb_table_add(&l->table, WB_COLOR_NONE, wb_slice_of(hex, SHORT_ID));
    wb_table_add(&l->table, wb_color_of_state(t->status), t->status);
    wb_table_addf(&l->table, WB_COLOR_NONE, "%s", wb_time_text(t->started_ns, time));
    wb_duration_text(end >= t->started_ns ? end - t->started_ns : UINT64_MAX, time);
    wb_table_addf(&l->table, WB_COLOR_NONE, "%s", time);
    wb_table_addf(&l->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->span_count);
    wb_table_addf(&l->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->agent_count);
    if (t->open_delegation_count > 0)
        wb_table_addf(&l->table, WB_COLOR_WARN, "%llu, %llu open",
                      (unsigned long long)t->delegation_count,
                      (unsigned long long)t->open_delegation_count);
    else
        wb_table_addf(&l->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->delegation_count);
    wb_table_addf(&l->table, WB_COLOR_NONE, "%llu", (unsigned long long)t->depth);
    if (t->root_name.len > 0)
        wb_table_add(&l->table, WB_COLOR_NONE, t->root_name);
    else
        wb_table_add(&l->table, WB_COLOR_DIM, WB_S("(root not ended yet)"));
}

static wb_status each_trace(void *ctx, const wb_stored_trace *t)
{
    lister *l = ctx;
    if (!l->cli->json) {
        add_row(l, t);
        return WB_OK;
    }
    wb_json_open(&l->json, NULL, '{');
    wb_json_trace(&l->json, t);
    wb_json_close(&l->json, '}');
    return l->json.status;
}

static wb_exit list_traces(const wb_cli *cli, wb_store *store, const wb_trace_filter *filter)
{
    static const char *const heads[] = {"TRACE",  "STATUS",      "STARTED", "DURATION", "SPANS",
                                        "AGENTS", "DELEGATIONS", "DEPTH",   "ROOT"};
    lister l = {.cli = cli};
    wb_error err = {0};
    wb_exit code = WB_EXIT_OK;
    wb_table_init(&l.table, WB_COUNT(heads));
    wb_json_out_init(&l.json);
    for (size_t i = 0; i < WB_COUNT(heads); i++)
        wb_table_add(&l.table, WB_COLOR_DIM, wb_slice_str(heads[i]));
    wb_json_open(&l.json, NULL, '[');
    wb_status status = wb_store_traces(store, filter, each_trace, &l, &err);
    wb_json_close(&l.json, ']');
    if (status != WB_OK)
        code = wb_cli_fail(wb_cli_exit_of(status), "trace list", err.detail, NULL);
    else if (cli->json)
        code = wb_json_out_finish(&l.json, stdout);
    else
        wb_table_print(&l.table, cli, stdout);
    wb_table_done(&l.table);
    wb_json_out_done(&l.json);
    return code;
}

/* 0 and false: not a number of rows. */
static bool parse_limit(const char *text, uint32_t *limit)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || n == 0 || n > LIST_LIMIT_MAX) return false;
    *limit = (uint32_t)n;
    return true;
}

static bool is_trace_status(const char *text)
{
    static const char *const all[] = {"running", "success", "error", "cancelled"};
    for (size_t i = 0; i < WB_COUNT(all); i++)
        if (strcmp(text, all[i]) == 0) return true;
    return false;
}

static wb_exit run_list(const wb_cli *cli, int argc, char **argv)
{
    uint64_t since_ms = 0;
    const char *status = NULL, *agent = NULL, *limit = NULL;
    const wb_option options[] = {{.name = "--since", .duration_ms = &since_ms},
                                 {.name = "--status", .text = &status},
                                 {.name = "--agent", .text = &agent},
                                 {.name = "--limit", .text = &limit}};
    wb_trace_filter filter = {.limit = LIST_LIMIT};
    wb_exit code = wb_cli_parse(argc, argv, options, WB_COUNT(options), NULL, 0, 0);
    if (code != WB_EXIT_OK) return code;
    if (limit && !parse_limit(limit, &filter.limit))
        return wb_cli_usage(argv[0], "--limit is 1 to %d, not %.40s", LIST_LIMIT_MAX, limit);
    if (status && !is_trace_status(status))
        return wb_cli_usage(argv[0], "--status is running, success, error or cancelled");
    wb_time_ns now = wb_now(cli->clock);
    if (since_ms > 0 && since_ms < now / WB_NS_PER_MS)
        filter.since_ns = now - since_ms * WB_NS_PER_MS;
    filter.status = wb_slice_str(status);
    filter.agent = wb_slice_str(agent);
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    return store ? list_traces(cli, store, &filter) : code;
}

/* ---- trace show ----------------------------------------------------------------------------- */

static wb_exit show(const wb_cli *cli, wb_store *store, const char *prefix, bool attributes)
{
    wb_trace_id id;
    wb_tree tree;
    wb_error err = {0};
    wb_status status = wb_store_find_trace(store, wb_slice_str(prefix), &id, &err);
    if (status == WB_ERR_MALFORMED) return wb_cli_usage("trace show", "%s", err.detail);
    if (status != WB_OK)
        return wb_cli_fail(wb_cli_exit_of(status), prefix, err.detail, "see: waybill trace list");
    WB_AUTO(wb_arena) arena = wb_arena_new(WB_TREE_BYTES_MAX);
    if (!arena) return wb_cli_fail(WB_EXIT_FAILURE, "trace show", "no memory", NULL);
    status = wb_tree_load(store, &id, wb_now(cli->clock), arena, &tree, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), prefix, err.detail, NULL);
    if (cli->json) return wb_trace_print_json(&tree);
    wb_trace_print_text(cli, &tree, attributes);
    return WB_EXIT_OK;
}

static wb_exit run_show(const wb_cli *cli, int argc, char **argv)
{
    bool attributes = false;
    const char *id = NULL;
    const wb_option options[] = {{.name = "--attributes", .flag = &attributes}};
    wb_exit code = wb_cli_parse(argc, argv, options, WB_COUNT(options), &id, 1, 1);
    if (code != WB_EXIT_OK) return code;
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    return store ? show(cli, store, id, attributes) : code;
}

const wb_verb wb_trace_verbs[] = {
    {
        .name = "trace list",
        .synopsis = "[--since 30m] [--status STATUS] [--agent AGENT] [--limit N]",
        .summary = "List traces in the store, newest first",
        .help = "  --since DURATION  started within it: 90s, 30m, 2h, 7d\n"
                "  --status STATUS   running, success, error or cancelled\n"
                "  --agent AGENT     an agent with this id or name took part\n"
                "  --limit N         at most N traces (20)\n"
                "With --json: an array of objects.\n",
        .run = run_list,
    },
    {
        .name = "trace show",
        .synopsis = "ID [--attributes]",
        .summary = "Show one trace as a tree over all agents",
        .help = "  ID            a trace id, or its first digits\n"
                "  --attributes  print the spans' attributes too\n"
                "With --json: one object; children are nested, and delegations and acceptances\n"
                "carry their tokens. Exit code 1: no such trace.\n",
        .run = run_show,
    },
    {.name = NULL},
};
