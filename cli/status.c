/* SPDX-License-Identifier: Apache-2.0 */
/* `status`: one running sidecar, in a dozen lines. */
#include "cli/output.h"
#include "cli/probe.h"

#include "core/store_url.h"

enum { ARENA_BYTES = 8 * 1024 * 1024 };

static void line(const wb_cli *cli, const char *key)
{
    (void)printf("  %s%-12s%s", wb_color_code(cli, WB_COLOR_DIM), key,
                 wb_color_code(cli, WB_COLOR_NONE));
}

static void text_line(const wb_cli *cli, const char *key, wb_slice value)
{
    line(cli, key);
    wb_print_safe(stdout, value);
    (void)fputc('\n', stdout);
}

static void print_closed(const wb_cli *cli, wb_slice path, const char *why)
{
    if (path.len == 0) return;
    line(cli, "");
    wb_print_safe(stdout, path);
    (void)printf(" %s%s and is closed to the sidecar%s\n", wb_color_code(cli, WB_COLOR_BAD), why,
                 wb_color_code(cli, WB_COLOR_NONE));
}

static void print_locks(const wb_cli *cli, const wb_json *r)
{
    const wb_json *sandbox = wb_report_object(r, "sandbox");
    wb_slice because = wb_report_text(r, "isolation_because");
    unsigned long long refused = wb_report_number(sandbox, "refused_calls");
    line(cli, "isolation");
    wb_print_safe(stdout, wb_report_text(r, "isolation"));
    if (because.len > 0) (void)fputs(": ", stdout);
    wb_print_safe(stdout, because);
    (void)fputc('\n', stdout);
    line(cli, "sandbox");
    (void)fputs("Landlock ", stdout);
    wb_print_safe(stdout, wb_report_text(sandbox, "landlock"));
    (void)fputs(", seccomp ", stdout);
    wb_print_safe(stdout, wb_report_text(sandbox, "seccomp"));
    if (refused > 0)
        (void)printf(", %s%llu system calls refused%s", wb_color_code(cli, WB_COLOR_BAD), refused,
                     wb_color_code(cli, WB_COLOR_NONE));
    (void)fputc('\n', stdout);
    print_closed(cli, wb_report_text(sandbox, "replaced"), "was replaced since the start");
    print_closed(cli, wb_report_text(sandbox, "removed"), "was removed since the start");
}

static void print_identity(const wb_cli *cli, const wb_probe *probe)
{
    const wb_json *r = probe->report;
    char uptime[WB_TIME_TEXT];
    text_line(cli, "agent id", wb_report_text(r, "agent_id"));
    text_line(cli, "key id", wb_report_text(r, "key_id"));
    line(cli, "process");
    (void)printf("%llu, version ", (unsigned long long)wb_report_number(r, "pid"));
    wb_print_safe(stdout, wb_report_text(r, "version"));
    (void)printf(", up %s\n",
                 wb_duration_text(wb_report_number(r, "uptime_s") * WB_NS_PER_S, uptime));
    print_locks(cli, r);
    text_line(cli, "socket", wb_slice_str(cli->paths.socket));
    line(cli, "admin");
    (void)printf("http://%s:%u\n", probe->host, probe->port);
}

static void print_journal(const wb_cli *cli, const wb_json *journal)
{
    char used[WB_SIZE_TEXT], limit[WB_SIZE_TEXT];
    line(cli, "journal");
    (void)printf("frame %llu, %s of %s, %llu segments, %llu frames lost\n",
                 (unsigned long long)wb_report_number(journal, "durable_seq"),
                 wb_size_text(wb_report_number(journal, "used_bytes"), used),
                 wb_size_text(wb_report_number(journal, "limit_bytes"), limit),
                 (unsigned long long)wb_report_number(journal, "segments"),
                 (unsigned long long)wb_report_number(journal, "lost_frames"));
}

static void print_receivers(const wb_cli *cli, const wb_json *receivers)
{
    for (const wb_json *o = receivers ? receivers->first : NULL; o; o = o->next) {
        const wb_json *refused = wb_report_object(o, "refused");
        unsigned long long n = 0;
        for (const wb_json *cause = refused ? refused->first : NULL; cause; cause = cause->next)
            n += cause->number;
        line(cli, "otlp");
        wb_print_safe(stdout, wb_report_text(o, "receiver"));
        (void)printf(" on ");
        wb_print_safe(stdout, wb_report_text(o, "host"));
        (void)printf(":%llu%s, %llu requests, %llu refused\n",
                     (unsigned long long)wb_report_number(o, "port"),
                     wb_report_bool(o, "tls") ? " (TLS)" : "",
                     (unsigned long long)wb_report_number(o, "requests"), n);
    }
}

static void print_exporters(const wb_cli *cli, const wb_json *exporters)
{
    char lag[WB_TIME_TEXT];
    for (const wb_json *e = exporters ? exporters->first : NULL; e; e = e->next) {
        wb_slice state = wb_report_text(e, "state"), error = wb_report_text(e, "last_error");
        bool is_stuck = wb_slice_eq(state, WB_S("backoff"));
        line(cli, "exporter");
        wb_print_safe(stdout, wb_report_text(e, "name"));
        (void)printf(" %s", wb_color_code(cli, is_stuck ? WB_COLOR_BAD : WB_COLOR_GOOD));
        wb_print_safe(stdout, state);
        (void)printf("%s, %llu frames behind", wb_color_code(cli, WB_COLOR_NONE),
                     (unsigned long long)wb_report_number(e, "lag_frames"));
        (void)printf(" (%s), %llu records sent, %llu parked\n",
                     wb_duration_text(wb_report_number(e, "lag_ms") * WB_NS_PER_MS, lag),
                     (unsigned long long)wb_report_number(e, "sent_records"),
                     (unsigned long long)wb_report_number(e, "parked_records"));
        unsigned long long dropped = wb_report_number(e, "dropped_records");
        if (dropped > 0) {
            line(cli, "");
            (void)printf("%s%llu records dropped%s\n", wb_color_code(cli, WB_COLOR_BAD), dropped,
                         wb_color_code(cli, WB_COLOR_NONE));
        }
        if (error.len > 0) text_line(cli, "", error);
    }
}

static void print_texts(const wb_cli *cli, const char *key, const wb_json *texts)
{
    for (const wb_json *text = texts ? texts->first : NULL; text; text = text->next)
        if (text->type == WB_JSON_STRING) text_line(cli, key, text->text);
}

/* What is in force, and since when. */
static void print_reload(const wb_cli *cli, const wb_json *reload)
{
    char loaded[WB_TIME_TEXT];
    line(cli, "loaded");
    (void)printf("generation %llu, %s\n",
                 (unsigned long long)wb_report_number(reload, "generation"),
                 wb_time_text(wb_report_number(reload, "loaded_ns"), loaded));
    print_texts(cli, "left out", wb_report_object(reload, "problems"));
    print_texts(cli, "restart for", wb_report_object(reload, "needs_restart"));
}

static void print_unconfigured(const wb_cli *cli, const wb_json *names)
{
    for (const wb_json *e = names ? names->first : NULL; e; e = e->next) {
        line(cli, "exporter");
        wb_print_safe(stdout, wb_report_text(e, "name"));
        (void)printf(" is not configured; its place at frame %llu is kept\n",
                     (unsigned long long)wb_report_number(e, "cursor"));
    }
}

/* Tokens that were not accepted since the start, by code. */
static void print_refusals(const wb_cli *cli, const wb_json *counters)
{
    const wb_json *codes = wb_report_object(counters, "refused_by_code");
    line(cli, "refused");
    (void)printf("%llu, and %llu shown twice",
                 (unsigned long long)wb_report_number(counters, "refused"),
                 (unsigned long long)wb_report_number(counters, "duplicates"));
    for (const wb_json *code = codes ? codes->first : NULL; code; code = code->next) {
        (void)fputs(code == codes->first ? ": " : ", ", stdout);
        wb_print_safe(stdout, code->name);
        (void)printf(" %llu", (unsigned long long)code->number);
    }
    (void)fputc('\n', stdout);
}

static void print_report(const wb_cli *cli, const wb_probe *probe)
{
    const wb_json *r = probe->report, *trust = wb_report_object(r, "trust");
    wb_slice trouble = wb_report_text(r, "trouble");
    bool healthy = wb_report_bool(r, "healthy"), degraded = wb_report_bool(r, "degraded");
    (void)printf("%s%s%s: %s%s%s", wb_color_code(cli, WB_COLOR_BOLD), cli->paths.name,
                 wb_color_code(cli, WB_COLOR_NONE),
                 wb_color_code(cli, !healthy   ? WB_COLOR_BAD
                                    : degraded ? WB_COLOR_WARN
                                               : WB_COLOR_GOOD),
                 !healthy   ? "in trouble"
                 : degraded ? "running, degraded"
                            : "running",
                 wb_color_code(cli, WB_COLOR_NONE));
    if (trouble.len > 0) {
        (void)fputs(": ", stdout);
        wb_print_safe(stdout, trouble);
    }
    (void)fputc('\n', stdout);
    print_identity(cli, probe);
    print_journal(cli, wb_report_object(r, "journal"));
    print_receivers(cli, wb_report_object(r, "otlp"));
    print_exporters(cli, wb_report_object(r, "exporters"));
    print_unconfigured(cli, wb_report_object(r, "unconfigured_exporters"));
    line(cli, "delegations");
    (void)printf("%llu open; %llu accepted ones open\n",
                 (unsigned long long)wb_report_number(wb_report_object(r, "delegations"), "open"),
                 (unsigned long long)wb_report_number(wb_report_object(r, "acceptances"), "open"));
    print_refusals(cli, wb_report_object(r, "counters"));
    line(cli, "trust");
    wb_print_safe(stdout, wb_report_text(trust, "mode"));
    (void)printf(", %llu issuers, %llu faulty files, %llu revocations\n",
                 (unsigned long long)wb_report_number(trust, "issuers"),
                 (unsigned long long)wb_report_number(trust, "faulty_files"),
                 (unsigned long long)wb_report_number(trust, "revocations"));
    print_reload(cli, wb_report_object(r, "reload"));
}

static wb_exit print_json(const wb_cli *cli, const wb_probe *probe)
{
    char store[WB_PATH_MAX];
    wb_json_out out;
    wb_store_url_hide(cli->paths.store, store, sizeof store);
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "name", wb_slice_str(cli->paths.name));
    wb_json_bool(&out, "running", probe->result == WB_PROBE_ANSWERS);
    wb_json_text_or_null(&out, "reason", wb_slice_str(probe->why));
    wb_json_text(&out, "socket", wb_slice_str(cli->paths.socket));
    wb_json_text(&out, "state_dir", wb_slice_str(cli->paths.state_dir));
    wb_json_text(&out, "store", wb_slice_str(store));
    if (probe->report) {
        wb_json_text(&out, "admin_host", wb_slice_str(probe->host));
        wb_json_number(&out, "admin_port", probe->port);
    }
    wb_json_raw(&out, "report", probe->report ? probe->report_text : WB_S("null"));
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

static wb_exit run(const wb_cli *cli, const void *line)
{
    wb_probe probe;
    wb_exit code = WB_EXIT_OK;
    (void)line;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return wb_cli_fail(WB_EXIT_FAILURE, "status", "no memory", NULL);
    wb_probe_sidecar(cli, arena, &probe);
    if (cli->json)
        code = print_json(cli, &probe);
    else if (probe.report)
        print_report(cli, &probe);
    else
        return wb_cli_fail(WB_EXIT_NO, "status", probe.why,
                           probe.result == WB_PROBE_SILENT ? "see its log"
                                                           : "start it: waybilld --name NAME");
    if (code != WB_EXIT_OK) return code;
    return probe.report && wb_report_bool(probe.report, "healthy") ? WB_EXIT_OK : WB_EXIT_NO;
}

const wb_verb wb_status_verbs[] = {
    {.name = "status",
     .summary = "Show one running sidecar: identity, journal, receivers, exporters, trust",
     .options = wb_cli_no_options,
     .help = "Which one: --name.\n",
     .no = "it does not run, or is in trouble",
     .json = "one object, the sidecar's own report in \"report\"",
     .run = run},
    {0},
};
