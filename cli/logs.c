/* SPDX-License-Identifier: Apache-2.0 */
/* `logs`: log records that belong to no trace, which no `trace show` could show. */
#include "cli/events.h"
#include "cli/store_watch.h"

enum { LIMIT_MAX = 100000 };

typedef struct logs_line {
    uint64_t limit;
} logs_line;

typedef struct view {
    const wb_cli *cli;
    wb_table table;
    wb_json_out json;
} view;

static void add_row(view *v, const wb_stored_log *log)
{
    char time[WB_TIME_TEXT];
    wb_moment m = wb_moment_of_log(log);
    wb_table_add(&v->table, WB_COLOR_DIM, wb_slice_str(wb_time_text(log->time_ns, time)));
    wb_table_add(&v->table, WB_COLOR_BOLD, log->service.len ? log->service : log->sidecar_name);
    wb_table_add(&v->table, m.color, m.severity);
    wb_table_add(&v->table, WB_COLOR_NONE, m.name);
    wb_table_add(&v->table, WB_COLOR_NONE, m.text);
}

static wb_status each_log(void *ctx, const wb_stored_log *log)
{
    view *v = ctx;
    if (!v->cli->json) {
        add_row(v, log);
        return WB_OK;
    }
    wb_json_open(&v->json, NULL, '{');
    wb_json_log(&v->json, log);
    wb_json_close(&v->json, '}');
    return v->json.status;
}

static wb_exit list_logs(const wb_cli *cli, wb_store *store, uint32_t limit)
{
    static const char *const heads[] = {"TIME", "SERVICE", "SEVERITY", "EVENT", "BODY"};
    static const wb_trace_id of_none;
    view v = {.cli = cli};
    wb_error err = {0};
    wb_exit code = WB_EXIT_OK;
    wb_table_init(&v.table, WB_COUNT(heads));
    wb_json_out_init(&v.json);
    for (size_t i = 0; i < WB_COUNT(heads); i++)
        wb_table_add(&v.table, WB_COLOR_DIM, wb_slice_str(heads[i]));
    wb_json_open(&v.json, NULL, '[');
    wb_status status = wb_store_logs(store, &of_none, limit, each_log, &v, &err);
    wb_json_close(&v.json, ']');
    if (status != WB_OK)
        code = wb_cli_fail(wb_cli_exit_of(status), "logs", err.detail, NULL);
    else if (cli->json)
        code = wb_json_out_finish(&v.json, stdout);
    else
        wb_table_print(&v.table, cli, stdout);
    wb_table_done(&v.table);
    wb_json_out_done(&v.json);
    return code;
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    const logs_line *line = given;
    wb_exit code;
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    return store ? list_logs(cli, store, (uint32_t)line->limit) : code;
}

static const wb_option options[] = {
    {.name = "--limit",
     .value = "N",
     WB_INTO_NUMBER(logs_line, limit),
     .min = 1,
     .max = LIMIT_MAX,
     .fallback = "50",
     .help = "at most N log records"},
    {0},
};

const wb_verb wb_logs_verbs[] = {
    {.name = "logs",
     .summary = "List log records that belong to no trace, newest first",
     .options = options,
     .help = "Those of a trace are in `trace show`, under the spans that they name.\n",
     .json = "an array of objects",
     .run = run},
    {0},
};
