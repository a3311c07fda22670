/* SPDX-License-Identifier: Apache-2.0 */
/* `top`: collect, compose, show, wait, again. What is composed is text, drawn on a terminal's whole
 * screen or printed below each other; a change of the window's size composes anew from what was
 * collected, and asks nobody. */
#include "cli/top.h"

#include "cli/output.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <unistd.h>

enum { ARENA_BYTES = 16 * 1024 * 1024, INTERVAL_MIN_MS = 100, INTERVAL_MAX_MS = 3600000 };

typedef struct top_line {
    bool once;
    uint64_t interval_ms;
} top_line;

typedef struct top {
    const wb_cli *cli;
    const top_line *line;
    wb_arena *arena;
    wb_top looks[2]; /* the present one and the one before, in turns */
    size_t present;
    bool has_before;
} top;

static const wb_top *present(const top *t) { return &t->looks[t->present]; }

static void collect(top *t)
{
    const wb_top *before = t->has_before ? present(t) : NULL;
    t->present = !t->present;
    wb_top_collect(t->cli, t->cli->given.name != NULL, before, t->arena, &t->looks[t->present]);
    t->has_before = true;
}

/* ---- text ----------------------------------------------------------------------------------- */

static void add_heads(wb_table *table, const char *const *heads, size_t n)
{
    wb_table_init(table, n);
    for (size_t i = 0; i < n; i++) wb_table_add(table, WB_COLOR_DIM, wb_slice_str(heads[i]));
}

static void add_rate(wb_table *table, const wb_top_sidecar *s, wb_top_counter which, wb_color color)
{
    double rate = s->rates[which];
    if (!s->has_rates)
        wb_table_add(table, WB_COLOR_DIM, WB_S("-"));
    else
        wb_table_addf(table, rate > 0 ? color : WB_COLOR_DIM, rate < 10 ? "%.1f" : "%.0f", rate);
}

static void add_state(wb_table *table, const wb_top_sidecar *s)
{
    static const char *const silent[] = {
        [WB_PROBE_ABSENT] = "stopped", [WB_PROBE_DEAD] = "dead", [WB_PROBE_SILENT] = "silent"};
    if (s->result != WB_PROBE_ANSWERS)
        wb_table_addf(table, WB_COLOR_BAD, "%s", silent[s->result]);
    else if (!s->healthy)
        wb_table_add(table, WB_COLOR_BAD, WB_S("trouble"));
    else if (s->degraded)
        wb_table_add(table, WB_COLOR_WARN, WB_S("degraded"));
    else
        wb_table_add(table, WB_COLOR_GOOD, WB_S("running"));
}

static void add_journal(wb_table *table, const wb_top_sidecar *s)
{
    char used[WB_SIZE_TEXT];
    double part = s->journal_limit ? (double)s->journal_used / (double)s->journal_limit : 0;
    wb_table_addf(table,
                  part > 0.9   ? WB_COLOR_BAD
                  : part > 0.7 ? WB_COLOR_WARN
                               : WB_COLOR_NONE,
                  "%s, %.0f%%", wb_size_text(s->journal_used, used), 100 * part);
}

static void add_sidecar(wb_table *table, const wb_top_sidecar *s)
{
    char up[WB_TIME_TEXT];
    bool answers = s->result == WB_PROBE_ANSWERS;
    wb_table_add(table, WB_COLOR_BOLD, wb_slice_str(s->name));
    add_state(table, s);
    wb_table_addf(table, WB_COLOR_NONE, "%s",
                  answers ? wb_duration_text(s->uptime_s * WB_NS_PER_S, up) : "-");
    add_rate(table, s, WB_TOP_SPANS, WB_COLOR_NONE);
    add_rate(table, s, WB_TOP_DELEGATIONS, WB_COLOR_NONE);
    add_rate(table, s, WB_TOP_CONTINUED, WB_COLOR_GOOD);
    add_rate(table, s, WB_TOP_LINKED, WB_COLOR_BAR);
    add_rate(table, s, WB_TOP_UNVERIFIED, WB_COLOR_WARN);
    add_rate(table, s, WB_TOP_DUPLICATES, WB_COLOR_BAD);
    add_rate(table, s, WB_TOP_REFUSED, WB_COLOR_BAD);
    if (!answers) {
        wb_table_add(table, WB_COLOR_DIM, WB_S("-"));
        wb_table_add(table, WB_COLOR_DIM, WB_S("-"));
        return;
    }
    wb_table_addf(table, WB_COLOR_NONE, "%llu out, %llu in",
                  (unsigned long long)s->open_delegations, (unsigned long long)s->open_acceptances);
    add_journal(table, s);
}

static void add_exporter(wb_table *table, const wb_top_sidecar *s, const wb_top_exporter *e)
{
    char size[WB_SIZE_TEXT], age[WB_TIME_TEXT];
    bool stuck = strcmp(e->state, "backoff") == 0;
    wb_table_add(table, WB_COLOR_NONE, wb_slice_str(s->name));
    wb_table_add(table, WB_COLOR_NONE, wb_slice_str(e->name));
    wb_table_add(table, stuck ? WB_COLOR_BAD : WB_COLOR_GOOD, wb_slice_str(e->state));
    if (e->sent_per_s < 0)
        wb_table_add(table, WB_COLOR_DIM, WB_S("-"));
    else
        wb_table_addf(table, WB_COLOR_NONE, "%.1f", e->sent_per_s);
    wb_table_addf(table, WB_COLOR_NONE, "%llu", (unsigned long long)e->lag_frames);
    wb_table_addf(table, WB_COLOR_NONE, "%s", wb_size_text(e->lag_bytes, size));
    wb_table_addf(table, WB_COLOR_NONE, "%s", wb_duration_text(e->lag_ms * WB_NS_PER_MS, age));
    wb_table_addf(table, e->parked_records ? WB_COLOR_WARN : WB_COLOR_DIM, "%llu",
                  (unsigned long long)e->parked_records);
    wb_table_addf(table, e->dropped_records ? WB_COLOR_BAD : WB_COLOR_DIM, "%llu",
                  (unsigned long long)e->dropped_records);
}

static void print_sidecars(const top *t, FILE *file)
{
    static const char *const heads[] = {"SIDECAR", "STATE",    "UP",        "SPANS/S",
                                        "DELEG/S", "CONT/S",   "LINK/S",    "UNVER/S",
                                        "TWICE/S", "REFUSE/S", "IN FLIGHT", "JOURNAL"};
    wb_table table;
    add_heads(&table, heads, WB_COUNT(heads));
    for (size_t i = 0; i < present(t)->n; i++) add_sidecar(&table, &present(t)->sidecars[i]);
    wb_table_print(&table, t->cli, file);
    wb_table_done(&table);
}

static void print_exporters(const top *t, FILE *file)
{
    static const char *const heads[] = {"SIDECAR",    "EXPORTER",   "STATE",
                                        "RECORDS/S",  "LAG FRAMES", "BYTES",
                                        "BEHIND FOR", "PARKED",     "DROPPED"};
    wb_table table;
    add_heads(&table, heads, WB_COUNT(heads));
    for (size_t i = 0; i < present(t)->n; i++) {
        const wb_top_sidecar *s = &present(t)->sidecars[i];
        for (size_t k = 0; k < s->n_exporters; k++) add_exporter(&table, s, &s->exporters[k]);
    }
    wb_table_print(&table, t->cli, file);
    wb_table_done(&table);
}

static void print_troubles(const top *t, FILE *file)
{
    for (size_t i = 0; i < present(t)->n; i++) {
        const wb_top_sidecar *s = &present(t)->sidecars[i];
        if (s->why[0] == '\0') continue;
        (void)fprintf(file, "%s%s: ", wb_color_code(t->cli, WB_COLOR_BAD), s->name);
        wb_print_safe(file, wb_slice_str(s->why));
        (void)fprintf(file, "%s\n", wb_color_code(t->cli, WB_COLOR_NONE));
    }
    if (present(t)->left_out > 0)
        (void)fprintf(file, "(%zu more sidecars are not shown)\n", present(t)->left_out);
}

static size_t count_answers(const wb_top *look)
{
    size_t n = 0;
    for (size_t i = 0; i < look->n; i++) n += look->sidecars[i].result == WB_PROBE_ANSWERS;
    return n;
}

static void compose(const top *t, bool is_screen, FILE *file)
{
    char now[WB_TIME_TEXT], every[WB_TIME_TEXT];
    (void)fprintf(file, "%s  %zu running, every %s%s\n\n", wb_time_text(wb_now(t->cli->clock), now),
                  count_answers(present(t)),
                  wb_duration_text(t->line->interval_ms * WB_NS_PER_MS, every),
                  is_screen ? "  q ends" : "");
    if (present(t)->n == 0) {
        const char *dir = t->cli->paths.run_dir;
        (void)fputs("no sidecar runs here: no ", file);
        wb_print_safe(file, wb_slice_of(dir, (size_t)(strrchr(dir, '/') - dir) + 1));
        (void)fputs("*/status.json\n", file);
        return;
    }
    print_sidecars(t, file);
    (void)fputc('\n', file);
    print_exporters(t, file);
    print_troubles(t, file);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_json_rates(wb_json_out *out, const wb_top_sidecar *s)
{
    if (!s->has_rates) {
        wb_json_null(out, "per_second");
        return;
    }
    wb_json_open(out, "per_second", '{');
    for (size_t i = 0; i < WB_TOP_COUNTERS; i++)
        wb_json_real(out, wb_top_counter_names[i], s->rates[i]);
    wb_json_close(out, '}');
}

static void add_json_exporter(wb_json_out *out, const wb_top_exporter *e)
{
    wb_json_open(out, NULL, '{');
    wb_json_text(out, "name", wb_slice_str(e->name));
    wb_json_text(out, "state", wb_slice_str(e->state));
    if (e->sent_per_s < 0)
        wb_json_null(out, "records_per_second");
    else
        wb_json_real(out, "records_per_second", e->sent_per_s);
    wb_json_number(out, "sent_records", e->sent_records);
    wb_json_number(out, "lag_frames", e->lag_frames);
    wb_json_number(out, "lag_bytes", e->lag_bytes);
    wb_json_number(out, "lag_ms", e->lag_ms);
    wb_json_number(out, "parked_records", e->parked_records);
    wb_json_number(out, "dropped_records", e->dropped_records);
    wb_json_close(out, '}');
}

static void add_json_state(wb_json_out *out, const wb_top_sidecar *s)
{
    wb_json_number(out, "uptime_s", s->uptime_s);
    wb_json_bool(out, "healthy", s->healthy);
    wb_json_bool(out, "degraded", s->degraded);
    add_json_rates(out, s);
    wb_json_open(out, "totals", '{');
    for (size_t i = 0; i < WB_TOP_COUNTERS; i++)
        wb_json_number(out, wb_top_counter_names[i], s->counters[i]);
    wb_json_close(out, '}');
    wb_json_number(out, "open_delegations", s->open_delegations);
    wb_json_number(out, "open_acceptances", s->open_acceptances);
    wb_json_number(out, "journal_used_bytes", s->journal_used);
    wb_json_number(out, "journal_limit_bytes", s->journal_limit);
    wb_json_open(out, "exporters", '[');
    for (size_t i = 0; i < s->n_exporters; i++) add_json_exporter(out, &s->exporters[i]);
    wb_json_close(out, ']');
}

static wb_exit print_json(const top *t, FILE *file)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_number(&out, "time_ns", wb_now(t->cli->clock));
    wb_json_open(&out, "sidecars", '[');
    for (size_t i = 0; i < present(t)->n; i++) {
        const wb_top_sidecar *s = &present(t)->sidecars[i];
        wb_json_open(&out, NULL, '{');
        wb_json_text(&out, "name", wb_slice_str(s->name));
        wb_json_bool(&out, "running", s->result == WB_PROBE_ANSWERS);
        wb_json_text_or_null(&out, "reason", wb_slice_str(s->why));
        wb_json_number_or_null(&out, "pid", s->pid);
        if (s->result == WB_PROBE_ANSWERS) add_json_state(&out, s);
        wb_json_close(&out, '}');
    }
    wb_json_close(&out, ']');
    wb_json_number(&out, "left_out", present(t)->left_out);
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, file);
    wb_json_out_done(&out);
    return code;
}

/* ---- the verb ------------------------------------------------------------------------------- */

static wb_exit print(const top *t, FILE *file)
{
    if (t->cli->json) return print_json(t, file);
    compose(t, false, file);
    if (!t->line->once) (void)fputc('\n', file);
    return fflush(file) == 0 && !ferror(file) ? WB_EXIT_OK : WB_EXIT_FAILURE;
}

/* A rate needs two looks, so the first is never printed. */
static wb_exit print_often(top *t, FILE *file)
{
    collect(t);
    while (wb_interrupt_wait((uint32_t)t->line->interval_ms)) {
        collect(t);
        if (print(t, file) != WB_EXIT_OK)
            return wb_interrupted() ? WB_EXIT_OK
                                    : wb_cli_output_failed("not all of it could be written");
        if (t->line->once) return count_answers(present(t)) > 0 ? WB_EXIT_OK : WB_EXIT_NO;
    }
    return WB_EXIT_OK;
}

static wb_exit run_lines(top *t)
{
    FILE *file = wb_interrupt_stream(STDOUT_FILENO);
    if (!file) return wb_cli_fail(WB_EXIT_FAILURE, "top", "no memory", NULL);
    wb_interrupt_catch();
    wb_exit code = print_often(t, file);
    (void)fclose(file); /* was flushed, or cannot be */
    return code;
}

static wb_exit draw(const top *t)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    if (!file) return WB_EXIT_FAILURE;
    compose(t, true, file);
    if (fclose(file) == 0) wb_screen_draw(wb_slice_of(text, len));
    free(text);
    return WB_EXIT_OK;
}

static wb_exit run_screen(top *t)
{
    wb_exit code = WB_EXIT_OK;
    wb_screen_event event = WB_SCREEN_TICK;
    uint64_t next_ns = 0;
    wb_screen_open();
    while (code == WB_EXIT_OK && event != WB_SCREEN_END) {
        if (event == WB_SCREEN_TICK) {
            next_ns = wb_mono(t->cli->clock) + t->line->interval_ms * WB_NS_PER_MS;
            collect(t);
        }
        code = draw(t);
        uint64_t now_ns = wb_mono(t->cli->clock);
        uint64_t left_ms = next_ns > now_ns ? (next_ns - now_ns) / WB_NS_PER_MS : 0;
        event = wb_screen_wait((uint32_t)left_ms);
    }
    wb_screen_close();
    return code;
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    top *t = calloc(1, sizeof *t);
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!t || !arena) {
        free(t);
        return wb_cli_fail(WB_EXIT_FAILURE, "top", "no memory", NULL);
    }
    t->cli = cli;
    t->line = given;
    t->arena = arena;
    bool is_screen = wb_terminal_draws(STDOUT_FILENO) && !cli->json && !t->line->once;
    wb_exit code = is_screen ? run_screen(t) : run_lines(t);
    free(t);
    return code;
}

static const wb_option options[] = {
    {.name = "--once",
     WB_INTO_FLAG(top_line, once),
     .help = "print one look, with the rates of one interval, and end"},
    {.name = "--interval",
     .value = "DURATION",
     WB_INTO_MS(top_line, interval_ms),
     .min = INTERVAL_MIN_MS,
     .max = INTERVAL_MAX_MS,
     .fallback = "1s",
     .help = "time between two looks"},
    {0},
};

const wb_verb wb_top_verbs[] = {
    {.name = "top",
     .summary = "Watch the running sidecars: rates, verdicts, lag, what is in flight",
     .options = options,
     .help =
         "All sidecars of this user, or with --name that one. On a terminal it draws the whole\n"
         "screen, and q or Ctrl-C ends it with exit code 0; otherwise it prints look below look.\n"
         "Rates are of the last interval and per second, - where there was no look before at the\n"
         "same process. CONT, LINK, UNVER: work accepted, by verdict; TWICE: tokens shown twice.\n",
     .no = "with --once: none runs",
     .json = "one object a line for each look; with --once one",
     .run = run},
    {0},
};
