/* SPDX-License-Identifier: Apache-2.0 */
/* `delegations`: what agents asked of each other, the open ones above all. --watch asks the store
 * again each half second: SQLite has no way to tell other processes of a change, and a read of the
 * open rows by their index costs well below a millisecond. */
#include "cli/trace.h"

#include <stdlib.h>
#include <time.h>

enum { LIMIT = 50, WATCH_MS = 500, SHORT_ID = 8, SEEN_MAX = 65536 };

typedef struct watch_line {
    bool open_only, follow;
    uint64_t since_ms;
} watch_line;

typedef struct view {
    const wb_cli *cli;
    wb_table table;
    wb_json_out json;
    bool lines; /* JSON: one object a line, for rows that are new or changed */
    uint32_t shown;
    /* --watch: the version of each row already printed, by the place its id hashes to. */
    struct seen {
        wb_id id;
        uint64_t version;
    } * seen;
    wb_exit code;
} view;

/* ---- one row -------------------------------------------------------------------------------- */

static void add_deadline(view *v, const wb_stored_delegation *d, wb_time_ns now)
{
    char text[WB_TIME_TEXT];
    if (d->closed_ns || !d->deadline_ns)
        wb_table_add(&v->table, WB_COLOR_DIM, WB_S("-"));
    else if (d->deadline_ns <= now)
        wb_table_add(&v->table, WB_COLOR_BAD, WB_S("passed"));
    else
        wb_table_addf(&v->table, WB_COLOR_NONE, "in %s",
                      wb_duration_text(d->deadline_ns - now, text));
}

static void add_row(view *v, const wb_stored_delegation *d)
{
    char hex[WB_TRACE_HEX + 1], text[WB_TIME_TEXT];
    wb_time_ns now = wb_now(v->cli->clock);
    wb_hex(d->delegation_id.b, sizeof d->delegation_id.b, hex);
    wb_table_add(&v->table, WB_COLOR_NONE, wb_slice_of(hex, SHORT_ID));
    wb_table_addf(&v->table, WB_COLOR_NONE, "%s",
                  wb_duration_text(now >= d->opened_ns ? now - d->opened_ns : 0, text));
    wb_table_add(&v->table, wb_color_of_state(d->state), d->state);
    wb_table_add(&v->table, WB_COLOR_NONE, d->sidecar_name);
    wb_table_add(&v->table, WB_COLOR_NONE, wb_delegation_target(d));
    wb_table_add(&v->table, WB_COLOR_DIM, d->task_id.len ? d->task_id : WB_S("-"));
    add_deadline(v, d, now);
    wb_hex(d->trace_id.b, sizeof d->trace_id.b, hex);
    wb_table_add(&v->table, WB_COLOR_DIM, wb_slice_of(hex, 2 * SHORT_ID));
}

/* True if this version was printed before; a place taken over by another id prints once too often. */
static bool is_known(view *v, const wb_stored_delegation *d)
{
    uint16_t place;
    memcpy(&place, d->delegation_id.b + 14, sizeof place);
    struct seen *seen = &v->seen[place];
    bool known = WB_ID_EQ(seen->id, d->delegation_id) && seen->version == d->version;
    seen->id = d->delegation_id;
    seen->version = d->version;
    return known;
}

static wb_status each_delegation(void *ctx, const wb_stored_delegation *d)
{
    view *v = ctx;
    v->shown++;
    if (!v->cli->json && !v->lines) {
        add_row(v, d);
        return WB_OK;
    }
    if (v->lines && is_known(v, d)) return WB_OK;
    wb_json_open(&v->json, NULL, '{');
    wb_json_delegation(&v->json, d);
    wb_json_close(&v->json, '}');
    if (v->lines) v->code = wb_json_out_finish(&v->json, stdout);
    return v->json.status;
}

/* ---- one look ------------------------------------------------------------------------------- */

static void add_heads(view *v)
{
    static const char *const heads[] = {"ID", "AGE",  "STATE",    "FROM",
                                        "TO", "TASK", "DEADLINE", "TRACE"};
    wb_table_init(&v->table, WB_COUNT(heads));
    for (size_t i = 0; i < WB_COUNT(heads); i++)
        wb_table_add(&v->table, WB_COLOR_DIM, wb_slice_str(heads[i]));
}

static wb_exit look(view *v, wb_store *store, const wb_delegation_filter *filter)
{
    wb_error err = {0};
    bool is_array = v->cli->json && !v->lines;
    v->shown = 0;
    v->code = WB_EXIT_OK;
    add_heads(v);
    if (is_array) wb_json_open(&v->json, NULL, '[');
    wb_status status = wb_store_delegations(store, filter, each_delegation, v, &err);
    if (is_array) wb_json_close(&v->json, ']');
    if (status != WB_OK)
        v->code = wb_cli_fail(wb_cli_exit_of(status), "delegations", err.detail, NULL);
    else if (is_array)
        v->code = wb_json_out_finish(&v->json, stdout);
    else if (!v->lines)
        wb_table_print(&v->table, v->cli, stdout);
    wb_table_done(&v->table);
    return v->code;
}

/* Draw over what was there: home, the table, clear what is left of the screen below. */
static wb_exit redraw(view *v, wb_store *store, const wb_delegation_filter *filter)
{
    char now[WB_TIME_TEXT];
    (void)fputs("\033[H\033[2J", stdout);
    wb_exit code = look(v, store, filter);
    (void)printf("\n%u %s  %s  (Ctrl-C ends)\n", v->shown,
                 filter->open_only ? "open delegations" : "delegations",
                 wb_time_text(wb_now(v->cli->clock), now));
    (void)fflush(stdout);
    return code;
}

static wb_exit watch(view *v, wb_store *store, const wb_delegation_filter *filter)
{
    static const struct timespec pause = {.tv_nsec = WATCH_MS * 1000000L};
    v->lines = v->cli->json || !v->cli->terminal;
    v->seen = calloc(SEEN_MAX, sizeof *v->seen);
    if (!v->seen) return wb_cli_fail(WB_EXIT_FAILURE, "delegations", "no memory", NULL);
    wb_exit code = WB_EXIT_OK;
    while (code == WB_EXIT_OK && !ferror(stdout)) {
        code = v->lines ? look(v, store, filter) : redraw(v, store, filter);
        (void)nanosleep(&pause, NULL); /* woken early: look early */
    }
    free(v->seen);
    return code;
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    const watch_line *line = given;
    wb_exit code;
    wb_time_ns now = wb_now(cli->clock);
    wb_delegation_filter filter = {.open_only = line->open_only, .limit = LIMIT};
    if (line->since_ms < now / WB_NS_PER_MS) {
        filter.since_ns = now - line->since_ms * WB_NS_PER_MS;
        filter.limit = 0;
    }
    WB_AUTO(wb_store) store = wb_cli_open_store(cli, &code);
    if (!store) return code;
    view v = {.cli = cli};
    wb_json_out_init(&v.json);
    code = line->follow ? watch(&v, store, &filter) : look(&v, store, &filter);
    wb_json_out_done(&v.json);
    return code;
}

static const wb_option options[] = {
    {.name = "--open", WB_INTO_FLAG(watch_line, open_only), .help = "only those without an end"},
    {.name = "--since",
     .value = "DURATION",
     WB_INTO_MS(watch_line, since_ms),
     .help = "opened within it, or still open; otherwise the newest 50"},
    {.name = "--watch",
     WB_INTO_FLAG(watch_line, follow),
     .help = "look again twice a second: redraws a terminal; otherwise one JSON object a line for "
             "each new or changed delegation"},
    {0},
};

const wb_verb wb_delegations_verbs[] = {
    {.name = "delegations",
     .summary = "List delegations of all sidecars that share the store",
     .options = options,
     .json = "an array of objects, with --watch one object a line",
     .run = run},
    {0},
};
