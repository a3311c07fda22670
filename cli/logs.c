/* SPDX-License-Identifier: Apache-2.0 */
/* `logs`: log records that belong to no trace, which no `trace show` could show. */
#include "cli/events.h"
#include "cli/store_watch.h"

enum { LIMIT_MAX = 100000 };

typedef struct logs_line {
    uint64_t limit;
} logs_line;

static void add_row(wb_listing *list, const wb_stored_log *log)
{
    char time[WB_TIME_TEXT];
    wb_moment m = wb_moment_of_log(log);
    wb_table_add(&list->table, WB_COLOR_DIM, wb_slice_str(wb_time_text(log->time_ns, time)));
    wb_table_add(&list->table, WB_COLOR_BOLD, log->service.len ? log->service : log->sidecar_name);
    wb_table_add(&list->table, m.color, m.severity);
    wb_table_add(&list->table, WB_COLOR_NONE, m.name);
    wb_table_add(&list->table, WB_COLOR_NONE, m.text);
}

static wb_status each_log(void *ctx, const wb_stored_log *log)
{
    wb_listing *list = ctx;
    if (!list->cli->json) {
        add_row(list, log);
        return WB_OK;
    }
    wb_json_open(&list->json, NULL, '{');
    wb_json_log(&list->json, log);
    wb_json_close(&list->json, '}');
    return list->json.status;
}

static wb_exit list_logs(const wb_cli *cli, wb_store *store, uint32_t limit)
{
    static const char *const heads[] = {"TIME", "SERVICE", "SEVERITY", "EVENT", "BODY"};
    static const wb_trace_id of_none;
    wb_listing list;
    wb_error err = {0};
    wb_listing_begin(&list, cli, heads, WB_COUNT(heads));
    wb_status status = wb_store_logs(store, &of_none, limit, each_log, &list, &err);
    return wb_listing_end(&list, status, "logs", &err);
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
