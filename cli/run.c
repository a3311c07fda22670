/* SPDX-License-Identifier: Apache-2.0 */
/* `run` and `exec`: a command in a span. They differ in the sidecar alone: `run` sees to it that there is one,
 * and ends what it started; `exec`, one step of a script, uses the one that is there. Neither changes what
 * the command does: without a sidecar it runs as it would have, untraced, and its exit code is ours.
 *
 * Without a sidecar at the start there is no span, so the command keeps the TRACEPARENT that we were given:
 * a parent that never appears anywhere would cut its spans off. */
#include "cli/command.h"
#include "cli/command_env.h"
#include "cli/command_span.h"
#include "cli/own_sidecar.h"

#include "core/utf8.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    EXIT_OWN_FAILURE = 125, /* ours, before the command ran; as env and timeout have it */
    SIGNAL_BASE = 128,
    COMEBACK_MS = 2000,      /* for a sidecar that was there when the command began */
    OWN_COMEBACK_MS = 10000, /* for one of ours, which is started again */
    RETRY_MS = 50,
    KEY_MAX = 256,
};

typedef struct run_line {
    const char *config, *span_name;
    wb_words attrs, command;
    bool with_args, require, no_python, verbose;
} run_line;

static wb_exit check_line(const wb_cli *cli, const run_line *line)
{
    if (cli->json)
        return wb_cli_usage(cli, "--json: standard output is the command's; what was recorded is "
                                 "told by waybill trace show --json");
    for (size_t i = 0; i < line->attrs.n; i++) {
        const char *text = line->attrs.at[i], *equals = strchr(text, '=');
        size_t len = equals ? (size_t)(equals - text) : 0;
        if (len == 0 || len > KEY_MAX || !wb_utf8_valid(wb_slice_of(text, len)))
            return wb_cli_usage(cli, "--attr is KEY=VALUE, not %.60s", text);
    }
    return WB_EXIT_OK;
}

/* ---- both ----------------------------------------------------------------------------------- */

static void warn(const wb_cli *cli, const char *what, const char *why)
{
    char head[96];
    (void)snprintf(head, sizeof head, "%s: %.60s", cli->verb->name, what);
    (void)wb_cli_fail(WB_EXIT_OK, head, why, NULL);
}

static void say_trace(const wb_command_span *span)
{
    char trace[WB_TRACE_HEX + 1];
    wb_hex(span->own.trace.b, sizeof span->own.trace.b, trace);
    (void)fprintf(stderr, "waybill: see: waybill trace show %s\n", trace);
}

static void tend_sidecar(void *self) { wb_own_sidecar_tend(self); }

static bool may_come_back(wb_status status)
{
    return status == WB_ERR_UNAVAILABLE || status == WB_ERR_TIMEOUT || status == WB_ERR_FULL;
}

/* A sidecar that was there when the command began may be on its way back; one of ours is started again. */
static wb_status record(const wb_cli *cli, const wb_command_span *span, char *const *argv,
                        const wb_command_end *end, wb_own_sidecar *own, wb_error *err)
{
    const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
    uint64_t patience_ms = own && own->pid > 0 ? OWN_COMEBACK_MS : COMEBACK_MS;
    uint64_t give_up = wb_mono(cli->clock) + patience_ms * WB_NS_PER_MS;
    wb_status status = wb_command_span_record(cli, span, argv, end, err);
    while (may_come_back(status) && wb_mono(cli->clock) < give_up) {
        (void)nanosleep(&pause, NULL);
        if (own) wb_own_sidecar_tend(own);
        status = wb_command_span_record(cli, span, argv, end, err);
    }
    return status;
}

/* Run it, in a span if it is traced. Returns its exit code. */
static int run_command(const wb_cli *cli, const run_line *line, const wb_signals *signals,
                       wb_own_sidecar *own, bool traced)
{
    wb_error err = {.status = WB_OK};
    wb_command_end end = {.code = 0};
    char *const *argv = line->command.at;
    wb_command_span span = {
        .name = line->span_name, .attrs = line->attrs, .with_args = line->with_args};
    const wb_command command = {.argv = argv,
                                .ignores_pipe = cli->ignores_pipe,
                                .clock = cli->clock,
                                .on_child = own ? tend_sidecar : NULL,
                                .self = own};
    if (traced) {
        wb_command_span_begin(&span);
        wb_command_span_export(&span);
    }
    if (wb_command_run(&command, signals, &end, &err) != WB_OK) {
        warn(cli, "the command was not run", err.detail);
        return EXIT_OWN_FAILURE;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): one thread */
    if (end.exec_errno != 0) warn(cli, argv[0], strerror(end.exec_errno));
    if (!traced) return end.code;
    if (record(cli, &span, argv, &end, own, &err) != WB_OK)
        warn(cli, "the command's span is lost", err.detail);
    else if (line->verbose)
        say_trace(&span);
    return end.code;
}

/* ---- run ------------------------------------------------------------------------------------ */

static int run_beside(const wb_cli *cli, const run_line *line, const wb_signals *signals,
                      wb_own_sidecar *own)
{
    int interrupted = 0;
    wb_error err = {.status = WB_OK};
    bool traced = wb_own_sidecar_ensure(own, &interrupted, &err) == WB_OK;
    if (interrupted) return SIGNAL_BASE + interrupted;
    if (!traced && line->require) {
        warn(cli, "no sidecar, so the command was not run", err.detail);
        return EXIT_OWN_FAILURE;
    }
    if (!traced) warn(cli, "no sidecar, so the command runs untraced", err.detail);
    if (traced && line->verbose)
        (void)fprintf(stderr, "waybill: %s sidecar %s%s%s\n", own->pid > 0 ? "started" : "using",
                      cli->paths.name, own->log[0] ? ", log " : "", own->log);
    wb_command_env_set(cli);
    if (!line->no_python && !wb_command_env_set_python() && line->verbose)
        warn(cli, "plain OpenTelemetry in Python is not traced",
             "share/waybill/python is not beside this program");
    return run_command(cli, line, signals, own, traced);
}

static wb_exit run_verb(const wb_cli *cli, const void *given)
{
    const run_line *line = given;
    wb_signals signals;
    wb_own_sidecar own;
    wb_exit code = check_line(cli, line);
    if (code != WB_EXIT_OK) return code;
    wb_signals_hold(&signals);
    wb_own_sidecar_init(cli, &signals, line->config, &own);
    int said = run_beside(cli, line, &signals, &own);
    wb_own_sidecar_release(&own);
    return (wb_exit)said;
}

/* ---- exec ----------------------------------------------------------------------------------- */

static wb_exit exec_verb(const wb_cli *cli, const void *given)
{
    const run_line *line = given;
    wb_signals signals;
    wb_error err = {.status = WB_OK};
    wb_exit code = check_line(cli, line);
    if (code != WB_EXIT_OK) return code;
    wb_signals_hold(&signals);
    bool traced = wb_own_sidecar_answers(cli, &err);
    if (!traced && line->verbose) warn(cli, "no sidecar, so the command runs untraced", err.detail);
    wb_command_env_set(cli);
    return (wb_exit)run_command(cli, line, &signals, NULL, traced);
}

/* ---- the table ------------------------------------------------------------------------------ */

#define SPAN_OPTIONS                                                                               \
    {.name = "--span-name",                                                                        \
     .value = "TEXT",                                                                              \
     WB_INTO_TEXT(run_line, span_name),                                                            \
     .help = "the span's name; otherwise the command's, without its folder"},                      \
        {.name = "--attr",                                                                         \
         .value = "KEY=VALUE",                                                                     \
         WB_INTO_LIST(run_line, attrs),                                                            \
         .max = WB_COMMAND_ATTRS_MAX,                                                              \
         .help = "an attribute of the span; may be said 32 times"},                                \
    {                                                                                              \
        .name = "--args", WB_INTO_FLAG(run_line, with_args),                                       \
        .help = "record the command's arguments, which may hold secrets"                           \
    }
#define COMMAND_ARGUMENT                                                                           \
    {                                                                                              \
        .value = "COMMAND", WB_INTO_WORDS(run_line, command), .hint = WB_HINT_COMMAND,             \
        .help = "the command and its arguments; put -- before it"                                  \
    }

static const wb_option run_options[] = {
    {.name = "--config",
     .value = "FILE",
     WB_INTO_TEXT(run_line, config),
     .hint = WB_HINT_FILE,
     .help = "of the sidecar, if one is started"},
    SPAN_OPTIONS,
    {.name = "--require",
     WB_INTO_FLAG(run_line, require),
     .help = "without a sidecar, do not run the command: exit code 125"},
    {.name = "--no-python",
     WB_INTO_FLAG(run_line, no_python),
     .help = "leave PYTHONPATH alone: a Python program is traced only if it uses Waybill's package "
             "itself"},
    {.name = "--verbose",
     WB_INTO_FLAG(run_line, verbose),
     .help = "say which sidecar is used, and where the trace is"},
    COMMAND_ARGUMENT,
    {0},
};

static const wb_option exec_options[] = {
    SPAN_OPTIONS,
    {.name = "--verbose",
     WB_INTO_FLAG(run_line, verbose),
     .help = "say why there is no span, or where the trace is"},
    COMMAND_ARGUMENT,
    {0},
};

static const wb_term exits[] = {
    {"the command's", "it ran and ended by itself"},
    {"128 + n", "it ran and signal n ended it"},
    {"127", "it was not found"},
    {"126", "it is not executable"},
    {"125", "it was not run, for our own reasons"},
    {"2", "the command line is wrong"},
    {0},
};

const wb_verb wb_run_verbs[] = {
    {.name = "run",
     .summary = "Run a command with a sidecar beside it, in a span",
     .options = run_options,
     .help = "Uses the running sidecar of this name, or starts one for as long as it is needed;\n"
             "that one has delivered what it took when this program ends. The command finds\n"
             "WAYBILL_NAME, WAYBILL_SOCKET, OTEL_SERVICE_NAME and TRACEPARENT in its environment.\n"
             "INT, TERM, HUP, QUIT, USR1, USR2 and WINCH are passed on to it.\n",
     .examples = "waybill run -- python agent.py\n"
                 "waybill run --name a --require -- python agent.py --port 9000\n",
     .json = "refused, as standard output is the command's",
     .exits = exits,
     .as_caller = true,
     .run = run_verb},
    {.name = "exec",
     .summary = "Run one step of a script in a span",
     .options = exec_options,
     .help =
         "The span is below the one that TRACEPARENT names, and the command gets a TRACEPARENT\n"
         "of its own. Needs a running sidecar, as below waybill run; without one the command\n"
         "runs all the same, and nothing is said.\n",
     .examples = "waybill exec --span-name fetch --attr page=1 -- python agent.py\n",
     .json = "refused, as standard output is the command's",
     .exits = exits,
     .as_caller = true,
     .run = exec_verb},
    {0},
};
