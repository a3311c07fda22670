/* SPDX-License-Identifier: Apache-2.0 */
/* `agents`: who wrote into the store. A refusal leaves no row at the side that refused; what can be
 * counted is what the calling side was told (REFUSED). The other side's own count is in `status`. */
#include "cli/output.h"
#include "cli/store_watch.h"

enum { LIMIT_MAX = 100000 };

typedef struct agents_line {
    uint64_t since_ms, limit;
} agents_line;

static void add_count(wb_listing *list, wb_color color, uint64_t n)
{
    wb_table_addf(&list->table, n ? color : WB_COLOR_DIM, "%llu", (unsigned long long)n);
}

static void add_row(wb_listing *list, const wb_stored_agent *a)
{
    char ago[WB_TIME_TEXT];
    wb_time_ns now = wb_now(list->cli->clock);
    wb_table_add(&list->table, WB_COLOR_BOLD, a->name);
    wb_table_addf(&list->table, WB_COLOR_NONE, "%s ago",
                  wb_duration_text(now > a->last_seen_ns ? now - a->last_seen_ns : 0, ago));
    add_count(list, WB_COLOR_NONE, a->trace_count);
    add_count(list, WB_COLOR_NONE, a->span_count);
    if (a->error_count > 0)
        wb_table_addf(&list->table, WB_COLOR_BAD, "%llu (%.1f%%)",
                      (unsigned long long)a->error_count,
                      a->span_count ? 100.0 * (double)a->error_count / (double)a->span_count : 100);
    else
        add_count(list, WB_COLOR_NONE, 0);
    if (a->open_delegation_count > 0)
        wb_table_addf(&list->table, WB_COLOR_WARN, "%llu, %llu open",
                      (unsigned long long)a->delegation_count,
                      (unsigned long long)a->open_delegation_count);
    else
        add_count(list, WB_COLOR_NONE, a->delegation_count);
    add_count(list, WB_COLOR_BAD, a->failed_count);
    add_count(list, WB_COLOR_BAD, a->rejected_count);
    add_count(list, WB_COLOR_NONE, a->acceptance_count);
    add_count(list, WB_COLOR_WARN, a->unverified_count);
    wb_table_add(&list->table, WB_COLOR_DIM, a->agent_id);
}

static void add_json(wb_listing *list, const wb_stored_agent *a)
{
    wb_json_out *out = &list->json;
    wb_json_open(out, NULL, '{');
    wb_json_text(out, "agent_id", a->agent_id);
    wb_json_text(out, "name", a->name);
    wb_json_text(out, "version", a->version);
    wb_json_text(out, "isolation", a->isolation);
    wb_json_number(out, "sidecar_count", a->sidecar_count);
    wb_json_number(out, "first_seen_ns", a->first_seen_ns);
    wb_json_number(out, "last_seen_ns", a->last_seen_ns);
    wb_json_number(out, "trace_count", a->trace_count);
    wb_json_number(out, "span_count", a->span_count);
    wb_json_number(out, "error_count", a->error_count);
    wb_json_number(out, "delegation_count", a->delegation_count);
    wb_json_number(out, "open_delegation_count", a->open_delegation_count);
    wb_json_number(out, "failed_count", a->failed_count);
    wb_json_number(out, "rejected_count", a->rejected_count);
    wb_json_number(out, "acceptance_count", a->acceptance_count);
    wb_json_number(out, "unverified_count", a->unverified_count);
    wb_json_close(out, '}');
}

static wb_status each_agent(void *ctx, const wb_stored_agent *a)
{
    wb_listing *list = ctx;
    if (list->cli->json)
        add_json(list, a);
    else
        add_row(list, a);
    return list->json.status;
}

static wb_exit list_agents(const wb_cli *cli, wb_store *store, wb_time_ns since_ns, uint32_t limit)
{
    static const char *const heads[] = {"AGENT",  "SEEN",       "TRACES", "SPANS",
                                        "ERRORS", "OUT",        "FAILED", "REFUSED",
                                        "IN",     "UNVERIFIED", "ID"};
    wb_listing list;
    wb_error err = {0};
    wb_listing_begin(&list, cli, heads, WB_COUNT(heads));
    wb_status status = wb_store_agents(store, since_ns, limit, each_agent, &list, &err);
    return wb_listing_end(&list, status, "agents", &err);
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    const agents_line *line = given;
    wb_exit code;
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    if (!store) return code;
    return list_agents(cli, store, wb_cli_ago(cli, line->since_ms), (uint32_t)line->limit);
}

static const wb_option options[] = {
    {.name = "--since",
     .value = "DURATION",
     WB_INTO_MS(agents_line, since_ms),
     .help = "seen within it, and what they did within it; otherwise ever"},
    {.name = "--limit",
     .value = "N",
     WB_INTO_NUMBER(agents_line, limit),
     .min = 1,
     .max = LIMIT_MAX,
     .fallback = "100",
     .help = "at most N agents, the last seen first"},
    {0},
};

const wb_verb wb_agents_verbs[] = {
    {.name = "agents",
     .summary = "List the agents whose sidecars wrote into the store",
     .options = options,
     .help =
         "TRACES, SPANS, ERRORS (spans, and their part of all) are of traces that began within\n"
         "the time. OUT is work handed on, IN is work taken. FAILED (also: lost) and REFUSED (by\n"
         "the other agent) are of OUT, UNVERIFIED (no valid token) is of IN. What an agent\n"
         "itself refused leaves no row: see `waybill status`.\n",
     .json = "an array of objects",
     .run = run},
    {0},
};
