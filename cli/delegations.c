/* SPDX-License-Identifier: Apache-2.0 */
/* `delegations`: what agents asked of each other, the open ones above all. --watch looks again each half
 * second. As lines it prints what is new, and reads only when somebody wrote; on a terminal it draws
 * each time, for ages grow by themselves, and a read of the open rows by their index costs well below a
 * millisecond. */
#include "cli/store_watch.h"
#include "cli/terminal.h"
#include "cli/trace.h"

#include <stdlib.h>
#include <unistd.h>

enum { LIMIT = 50, WATCH_MS = 500, SHORT_ID = 8, SEEN_MAX = 65536, SCREEN_LINES = 3 };

typedef struct watch_line {
    bool open_only, follow;
    uint64_t since_ms;
} watch_line;

typedef struct view {
    const wb_cli *cli;
    wb_table table;
    wb_json_out json;
    bool lines; /* JSON: one object a line, for rows that are new or changed */
    FILE *out;  /* for lines */
    uint32_t shown;
    /* --watch: the version of each row already printed, by the place its id hashes to. */
    struct seen {
        wb_id id;
        uint64_t version;
    } * seen;
    wb_exit code; /* of printing */
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
    if (v->lines) v->code = wb_json_out_finish(&v->json, v->out);
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

static wb_status look(view *v, wb_store *store, const wb_delegation_filter *filter, FILE *file,
                      wb_error *err)
{
    bool is_array = v->cli->json && !v->lines;
    v->shown = 0;
    v->code = WB_EXIT_OK;
    add_heads(v);
    if (is_array) wb_json_open(&v->json, NULL, '[');
    wb_status status = wb_store_delegations(store, filter, each_delegation, v, err);
    if (is_array) wb_json_close(&v->json, ']');
    if (status == WB_OK && is_array)
        v->code = wb_json_out_finish(&v->json, file);
    else if (status == WB_OK && !v->lines)
        wb_table_print(&v->table, v->cli, file);
    wb_table_done(&v->table);
    return status;
}

static wb_exit list(view *v, wb_store *store, const wb_delegation_filter *filter)
{
    wb_error err = {0};
    wb_status status = look(v, store, filter, stdout, &err);
    if (status == WB_OK) return v->code;
    return wb_cli_fail(wb_cli_exit_of(status), "delegations", err.detail, NULL);
}

/* ---- --watch -------------------------------------------------------------------------------- */

static wb_exit watch_lines(view *v, wb_store_watch *watch, const wb_delegation_filter *filter)
{
    wb_exit code = WB_EXIT_OK;
    wb_store_news news = WB_STORE_OPENED;
    v->seen = calloc(SEEN_MAX, sizeof *v->seen);
    v->out = wb_interrupt_stream(STDOUT_FILENO);
    wb_interrupt_catch();
    if (!v->seen || !v->out) {
        free(v->seen);
        if (v->out) (void)fclose(v->out);
        return wb_cli_fail(WB_EXIT_FAILURE, "delegations", "no memory", NULL);
    }
    do {
        wb_error err = {0};
        wb_status status = WB_OK;
        if (watch->store && news != WB_STORE_SAME)
            status = look(v, watch->store, filter, stdout, &err);
        if (status != WB_OK)
            code = wb_store_watch_failed(watch, status, &err);
        else if (v->code != WB_EXIT_OK)
            code = wb_interrupted() ? WB_EXIT_OK
                                    : wb_cli_output_failed("not all of it could be written");
        if (v->code != WB_EXIT_OK || code != WB_EXIT_OK || !wb_interrupt_wait(WATCH_MS)) break;
        code = wb_store_watch_look(watch, &news);
    } while (code == WB_EXIT_OK);
    free(v->seen);
    (void)fclose(v->out); /* was flushed, or cannot be */
    return code;
}

/* The rows that fit, newest opened last; while the store is away, why. */
static wb_exit compose(view *v, wb_store_watch *watch, const wb_delegation_filter *filter,
                       FILE *file)
{
    char now[WB_TIME_TEXT];
    wb_error err = {0};
    wb_store_news news;
    wb_delegation_filter fitting = *filter;
    size_t rows = wb_terminal_rows(STDOUT_FILENO);
    size_t room = rows > SCREEN_LINES + 1 ? rows - SCREEN_LINES : 1;
    if (fitting.limit == 0 || fitting.limit > room) fitting.limit = (uint32_t)room;
    v->shown = 0;
    wb_exit code = wb_store_watch_look(watch, &news);
    wb_status status = watch->store ? look(v, watch->store, &fitting, file, &err) : WB_OK;
    if (status != WB_OK) code = wb_store_watch_failed(watch, status, &err);
    if (!watch->store) {
        wb_print_safe(file, wb_slice_str(watch->why.detail));
        (void)fputs("; waiting for it\n", file);
    }
    (void)fprintf(file, "\n%s%u %s  %s  q ends%s\n", wb_color_code(v->cli, WB_COLOR_DIM), v->shown,
                  filter->open_only ? "open delegations" : "delegations",
                  wb_time_text(wb_now(v->cli->clock), now), wb_color_code(v->cli, WB_COLOR_NONE));
    return code;
}

static wb_exit watch_screen(view *v, wb_store_watch *watch, const wb_delegation_filter *filter)
{
    wb_exit code = WB_EXIT_OK;
    watch->quiet = true;
    wb_screen_open();
    do {
        char *text = NULL;
        size_t len = 0;
        FILE *file = open_memstream(&text, &len);
        code = file ? compose(v, watch, filter, file) : WB_EXIT_FAILURE;
        if (file && fclose(file) == 0) wb_screen_draw(wb_slice_of(text, len));
        free(text);
    } while (code == WB_EXIT_OK && wb_screen_wait(WATCH_MS) != WB_SCREEN_END);
    wb_screen_close();
    if (code == WB_EXIT_OK) return code;
    const char *why = watch->why.status != WB_OK ? watch->why.detail : "no memory";
    return wb_cli_fail(code, "delegations", why, NULL);
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    const watch_line *line = given;
    wb_exit code;
    wb_delegation_filter filter = {.open_only = line->open_only,
                                   .limit = line->since_ms == WB_OPTION_UNSET ? LIMIT : 0,
                                   .since_ns = wb_cli_ago(cli, line->since_ms)};
    wb_store_watch watch = {.cli = cli, .store = wb_cli_open_store(cli, &code)};
    if (!watch.store) return code;
    view v = {.cli = cli,
              .lines = line->follow && (cli->json || !wb_terminal_draws(STDOUT_FILENO))};
    wb_json_out_init(&v.json);
    if (!line->follow)
        code = list(&v, watch.store, &filter);
    else
        code = v.lines ? watch_lines(&v, &watch, &filter) : watch_screen(&v, &watch, &filter);
    wb_json_out_done(&v.json);
    wb_store_watch_done(&watch);
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
     .help = "look again twice a second: draws the terminal's whole screen; otherwise one JSON "
             "object a line for each new or changed delegation. q or Ctrl-C ends it with exit code "
             "0"},
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
