/* SPDX-License-Identifier: Apache-2.0 */
/* `tail`: rows as they arrive in the store. What counts as new, and why nothing is missed or shown
 * twice: store/sqlite/follow.c.
 *
 * A look costs one read of shared memory as long as nobody wrote. Lines are gathered in memory within
 * the read and printed after it: a reader that sits on a full pipe inside a read transaction would keep
 * the store's log from being emptied. What is gathered is bounded; then the read ends, and goes on where
 * it was. */
#include "cli/tail.h"

#include "cli/events.h"
#include "cli/store_watch.h"
#include "cli/terminal.h"
#include "cli/trace.h"

#include <errno.h>
#include <unistd.h>

enum { LOOK_MS = 200, LINES_MAX = 1000000, GATHER_BYTES = 1 << 20 };
enum { TEXT_MAX_BYTES = 512 * 1024 * 1024 };

typedef struct tail_line {
    const char *agent, *trace, *type, *status;
    uint64_t lines;
} tail_line;

typedef struct tail {
    const wb_cli *cli;
    wb_tail_filter filter;
    wb_follow *follow;
    FILE *out;
    wb_buffer text;
    wb_json_out json;
} tail;

/* ---- rows ----------------------------------------------------------------------------------- */

static void open_json(tail *t, const char *type)
{
    wb_json_open(&t->json, NULL, '{');
    wb_json_text(&t->json, "type", wb_slice_str(type));
}

/* FULL: enough for now. */
static wb_status close_json(tail *t)
{
    wb_json_close(&t->json, '}');
    return wb_json_out_line(&t->json, &t->text);
}

static wb_status enough(const tail *t, wb_status status)
{
    return status == WB_OK && t->text.len >= GATHER_BYTES ? WB_ERR_FULL : status;
}

static wb_status each_span(void *ctx, const wb_stored_span *s)
{
    tail *t = ctx;
    if (!wb_tail_wants_span(&t->filter, s)) return WB_OK;
    if (!t->cli->json) return enough(t, wb_tail_span(t->cli, s, &t->text));
    open_json(t, "span");
    wb_json_hex(&t->json, "trace_id", s->trace_id.b, sizeof s->trace_id.b);
    wb_json_hex(&t->json, "span_id", s->span_id.b, sizeof s->span_id.b);
    wb_json_hex(&t->json, "parent_span_id", s->parent_id.b, sizeof s->parent_id.b);
    wb_json_text_or_null(&t->json, "agent_id", s->agent_id);
    wb_json_text_or_null(&t->json, "sidecar", s->sidecar_name);
    wb_json_number(&t->json, "started_ns", s->started_ns);
    wb_json_span(&t->json, s);
    return enough(t, close_json(t));
}

static wb_status each_delegation(void *ctx, const wb_stored_delegation *d)
{
    tail *t = ctx;
    if (!wb_tail_wants_delegation(&t->filter, d)) return WB_OK;
    if (!t->cli->json) return enough(t, wb_tail_delegation(t->cli, d, &t->text));
    open_json(t, "delegation");
    wb_json_delegation(&t->json, d);
    return enough(t, close_json(t));
}

static wb_status each_acceptance(void *ctx, const wb_stored_acceptance *a)
{
    tail *t = ctx;
    if (!wb_tail_wants_acceptance(&t->filter, a)) return WB_OK;
    if (!t->cli->json) return enough(t, wb_tail_acceptance(t->cli, a, &t->text));
    open_json(t, "acceptance");
    wb_json_text_or_null(&t->json, "sidecar", a->sidecar_name);
    wb_json_acceptance(&t->json, a);
    return enough(t, close_json(t));
}

static wb_status each_log(void *ctx, const wb_stored_log *log)
{
    tail *t = ctx;
    if (!wb_tail_wants_log(&t->filter, log)) return WB_OK;
    if (!t->cli->json) return enough(t, wb_tail_log(t->cli, log, &t->text));
    open_json(t, "log");
    wb_json_log(&t->json, log);
    return enough(t, close_json(t));
}

/* ---- looking -------------------------------------------------------------------------------- */

static bool print(tail *t)
{
    bool written = true;
    if (t->cli->json)
        written = wb_print_json(t->out, wb_buffer_slice(&t->text));
    else if (t->text.len > 0)
        written = fwrite(t->text.ptr, 1, t->text.len, t->out) == t->text.len;
    if (t->text.len > 4 * (size_t)GATHER_BYTES)
        wb_buffer_done(&t->text); /* one huge span does not cost memory for ever */
    wb_buffer_clear(&t->text);
    return fflush(t->out) == 0 && written;
}

static wb_exit unwritten(void)
{
    return wb_cli_output_failed(strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
}

static wb_exit read_new(tail *t, wb_store_watch *watch)
{
    static const wb_arrivals take = {each_span, each_delegation, each_acceptance, each_log};
    wb_status status;
    do {
        wb_error err = {0};
        status = wb_follow_read(t->follow, watch->store, &take, t, &err);
        if (!print(t)) return wb_interrupted() ? WB_EXIT_OK : unwritten();
        if (status == WB_ERR_NO_MEMORY)
            return wb_cli_fail(WB_EXIT_FAILURE, "tail", "out of memory", NULL);
        if (status != WB_OK && status != WB_ERR_FULL)
            return wb_store_watch_failed(watch, status, &err);
    } while (status == WB_ERR_FULL && !wb_interrupted());
    return WB_EXIT_OK;
}

static wb_exit look(tail *t, wb_store_watch *watch)
{
    wb_store_news news;
    wb_exit code = wb_store_watch_look(watch, &news);
    if (code != WB_EXIT_OK) return code;
    if (news == WB_STORE_OPENED) wb_follow_reopened(t->follow);
    return news == WB_STORE_SAME ? WB_EXIT_OK : read_new(t, watch);
}

static wb_exit follow(tail *t, wb_store_watch *watch, uint32_t lines)
{
    wb_error err = {0};
    wb_status status = wb_follow_from_now(t->follow, watch->store, lines, &err);
    if (status != WB_OK) return wb_cli_fail(WB_EXIT_FAILURE, "tail", err.detail, NULL);
    wb_exit code = read_new(t, watch);
    while (code == WB_EXIT_OK && wb_interrupt_wait(LOOK_MS)) code = look(t, watch);
    return code;
}

/* ---- the verb ------------------------------------------------------------------------------- */

static bool is_hex(wb_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdef", text.ptr[i]) || text.ptr[i] == '\0') return false;
    return text.len > 0 && text.len <= WB_TRACE_HEX;
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    const tail_line *line = given;
    wb_exit code;
    if (line->trace && !is_hex(wb_slice_str(line->trace)))
        return wb_cli_usage(cli, "--trace is 1 to 32 lower-case hex digits");
    tail t = {.cli = cli,
              .filter = {wb_slice_str(line->agent), wb_slice_str(line->trace),
                         wb_slice_str(line->type), wb_slice_str(line->status)},
              .follow = wb_follow_new(),
              .out = wb_interrupt_stream(STDOUT_FILENO)};
    wb_store_watch watch = {.cli = cli, .store = wb_cli_open_store(cli, &code)};
    wb_buffer_init(&t.text, TEXT_MAX_BYTES);
    wb_json_out_init(&t.json);
    wb_interrupt_catch();
    if (watch.store && t.follow && t.out) code = follow(&t, &watch, (uint32_t)line->lines);
    if (!t.follow || !t.out) code = wb_cli_fail(WB_EXIT_FAILURE, "tail", "no memory", NULL);
    wb_json_out_done(&t.json);
    wb_buffer_done(&t.text);
    wb_store_watch_done(&watch);
    wb_follow_free(t.follow);
    if (t.out) (void)fclose(t.out); /* was flushed, or cannot be */
    return code;
}

static const wb_option options[] = {
    {.name = "--agent",
     .value = "AGENT",
     WB_INTO_TEXT(tail_line, agent),
     .help = "of an agent with this id or name, or handed to it or by it"},
    {.name = "--trace",
     .value = "ID",
     WB_INTO_TEXT(tail_line, trace),
     .hint = WB_HINT_TRACE,
     .help = "of traces whose id begins so"},
    {.name = "--type",
     .value = "TYPE",
     WB_INTO_TEXT(tail_line, type),
     .choices =
         "span|log|delegation|acceptance|session|agent|llm_call|tool_call|embedding|retrieval|"
         "workflow|execution|event|error",
     .help = "of this kind of row, or spans of this type"},
    {.name = "--status",
     .value = "STATUS",
     WB_INTO_TEXT(tail_line, status),
     .choices = "unset|ok|error|sent|in_flight|waiting_input|waiting_auth|detached|answered|"
                "completed|failed|canceled|rejected|lost|continue|link|duplicate|reject",
     .help = "of a span, a delegation or an acceptance"},
    {.name = "--lines",
     .also = "-n",
     .value = "N",
     WB_INTO_NUMBER(tail_line, lines),
     .max = LINES_MAX,
     .fallback = "10",
     .help = "begin with the spans that arrived last"},
    {0},
};

const wb_verb wb_tail_verbs[] = {
    {.name = "tail",
     .summary = "Follow spans, log records, delegations and acceptances as they arrive",
     .options = options,
     .help = "One line for each span, each log record and each change of a delegation or an\n"
             "acceptance, in the order of arrival. Waits for a store that is locked or replaced.\n"
             "Ctrl-C ends it with exit code 0.\n",
     .json = "one object a line; its `type` is span, log, delegation or acceptance",
     .run = run},
    {0},
};
