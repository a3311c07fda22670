/* SPDX-License-Identifier: Apache-2.0 */
/* `doctor`: each check is one function that looks at one thing and says ok, warn or fail with what to
 * do about it. It runs without a sidecar too, and changes nothing. */
#include "cli/doctor.h"
#include "cli/ask.h"
#include "store/store.h"

#include "core/store_url.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

enum {
    ARENA_BYTES = 8 * 1024 * 1024,
    LAG_WARN_MS = 60000,
    SOCKET_MS = 2000,
    LOSS_IS_NEWS_S = 86400,
};
static const uint64_t DISK_FAIL_BYTES = 128ULL << 20, DISK_WARN_BYTES = 1ULL << 30;
static const wb_time_ns YEAR_2025_NS = 1735689600 * WB_NS_PER_S;
static const wb_time_ns YEAR_2100_NS = 4102444800 * WB_NS_PER_S;

typedef struct doctor_line {
    bool strict;
} doctor_line;

/* ---- saying --------------------------------------------------------------------------------- */

void wb_doctor_say(wb_doctor *d, wb_finding f, const char *check, const char *todo, const char *fmt,
                   ...)
{
    static const char *const names[] = {"ok", "warn", "fail"};
    static const wb_color colors[] = {WB_COLOR_GOOD, WB_COLOR_WARN, WB_COLOR_BAD};
    char detail[700];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    d->found[f]++;
    if (d->cli->json) {
        wb_json_open(&d->json, NULL, '{');
        wb_json_text(&d->json, "check", wb_slice_str(check));
        wb_json_text(&d->json, "result", wb_slice_str(names[f]));
        wb_json_text(&d->json, "detail", wb_slice_str(detail));
        wb_json_text_or_null(&d->json, "todo", wb_slice_str(f == WB_FINDING_OK ? NULL : todo));
        wb_json_close(&d->json, '}');
        return;
    }
    (void)printf("%s%-5s%s %-10s ", wb_color_code(d->cli, colors[f]), names[f],
                 wb_color_code(d->cli, WB_COLOR_NONE), check);
    wb_print_safe(stdout, wb_slice_str(detail));
    if (f != WB_FINDING_OK && todo) {
        (void)fputs("; ", stdout);
        wb_print_safe(stdout, wb_slice_str(todo));
    }
    (void)fputc('\n', stdout);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* Is it a directory of ours that others cannot write to? `is_secret`: nor read. */
static void check_dir(wb_doctor *d, const char *check, const char *path, bool is_secret)
{
    struct stat st;
    mode_t refused = is_secret ? 0077 : 0027; /* a group may be let in to the socket: 0750 */
    bool foreign = wb_doctor_is_foreign(d);
    if (foreign && is_secret && access(path, R_OK | X_OK) != 0) {
        if (errno == EACCES) /* else the sidecar's is elsewhere, and not for us either */
            wb_doctor_say(d, WB_FINDING_OK, check, NULL,
                          "%s is out of uid %u's reach, as it should be", path, geteuid());
        return;
    }
    if (stat(path, &st) != 0) {
        wb_doctor_say(d, errno == ENOENT ? WB_FINDING_WARN : WB_FINDING_FAIL, check,
                      "a sidecar makes it when it starts", "%s: %s", path,
                      strerror(errno)); /* NOLINT(concurrency-mt-unsafe): one thread */
        return;
    }
    if (!S_ISDIR(st.st_mode))
        wb_doctor_say(d, WB_FINDING_FAIL, check, "move it away", "%s is no directory", path);
    else if (st.st_uid != geteuid() && geteuid() != 0 && (!foreign || is_secret))
        wb_doctor_say(d, WB_FINDING_FAIL, check, "run as its owner, or fix the owner",
                      "%s belongs to uid %u, this is %u", path, st.st_uid, geteuid());
    else if (st.st_mode & refused)
        wb_doctor_say(d, WB_FINDING_FAIL, check, is_secret ? "chmod 0700" : "chmod 0750 or less",
                      "%s has mode %04o: others can get in", path, st.st_mode & 07777U);
    else
        wb_doctor_say(d, WB_FINDING_OK, check, NULL, "%s, mode %04o", path, st.st_mode & 07777U);
}

static bool socket_answers(const char *path)
{
    int fd = -1;
    if (wb_ask_open(path, SOCKET_MS, &fd, NULL) != WB_OK) return false;
    (void)close(fd);
    return true;
}

static void check_socket(wb_doctor *d)
{
    const char *path = d->cli->paths.socket;
    struct stat st;
    if (stat(path, &st) != 0)
        wb_doctor_say(d, d->probe.result == WB_PROBE_ANSWERS ? WB_FINDING_FAIL : WB_FINDING_WARN,
                      "socket",
                      "start the sidecar, or set WAYBILL_SOCKET alike for it and for this command",
                      "%s is not there", path);
    else if (!S_ISSOCK(st.st_mode))
        wb_doctor_say(d, WB_FINDING_FAIL, "socket", "remove it and restart the sidecar",
                      "%s is no socket", path);
    else if (st.st_mode & 0007)
        wb_doctor_say(d, WB_FINDING_FAIL, "socket", "chmod 0600",
                      "%s has mode %04o: anybody can send", path, st.st_mode & 07777U);
    else if (!wb_doctor_is_let_in(d))
        wb_doctor_say(d, WB_FINDING_OK, "socket", NULL,
                      "%s, mode %04o; uid %u is not let in (ipc.allow_uids)", path,
                      st.st_mode & 07777U, geteuid());
    else if (!socket_answers(path))
        wb_doctor_say(d, d->probe.result == WB_PROBE_ANSWERS ? WB_FINDING_FAIL : WB_FINDING_WARN,
                      "socket", "start the sidecar", "%s: no sidecar answers", path);
    else
        wb_doctor_say(d, WB_FINDING_OK, "socket", NULL, "%s, mode %04o", path, st.st_mode & 07777U);
}

static void check_disk(wb_doctor *d, const char *path)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0) return; /* the directory's own check has said it */
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    wb_finding f = free_bytes < DISK_FAIL_BYTES   ? WB_FINDING_FAIL
                   : free_bytes < DISK_WARN_BYTES ? WB_FINDING_WARN
                                                  : WB_FINDING_OK;
    wb_doctor_say(d, f, "disk", "make room, or lower journal.limit_bytes", "%llu MiB free for %s",
                  (unsigned long long)(free_bytes >> 20), path);
}

/* ---- clock, store, sidecar ------------------------------------------------------------------- */

static void check_clock(wb_doctor *d)
{
    struct timex state = {0};
    wb_time_ns now = wb_now(d->cli->clock);
    if (now < YEAR_2025_NS || now > YEAR_2100_NS)
        wb_doctor_say(d, WB_FINDING_FAIL, "clock", "set it: tokens live for minutes",
                      "the wall clock is far off");
    else if (wb_report_bool(d->probe.report, "clock_jumped"))
        wb_doctor_say(
            d, WB_FINDING_WARN, "clock",
            "if it was set on purpose, wait ten minutes: it goes on by itself",
            "wall time jumped by more than an hour: the sidecar forgets no token for now");
    else if (adjtimex(&state) == TIME_ERROR)
        wb_doctor_say(d, WB_FINDING_WARN, "clock",
                      "run an NTP client; tokens allow 60 s of difference",
                      "the kernel says that the clock is not synchronised");
    else
        wb_doctor_say(d, WB_FINDING_OK, "clock", NULL, "synchronised");
}

/* ---- store ---------------------------------------------------------------------------------- */

/* A Postgres whose URL holds a secret: what its sidecar sees of it. */
static void check_store_from_afar(wb_doctor *d)
{
    wb_slice url = wb_report_text(d->probe.report, "store_url"), error = {0};
    uint64_t sent = 0;
    const wb_json *exporters = wb_report_object(d->probe.report, "exporters");
    for (const wb_json *e = exporters ? exporters->first : NULL; e; e = e->next) {
        if (!wb_slice_eq(wb_report_text(e, "name"), WB_S("postgres"))) continue;
        error = wb_report_text(e, "last_error");
        sent = wb_report_number(e, "sent_records");
    }
    if (error.len > 0)
        wb_doctor_say(d, WB_FINDING_FAIL, "store",
                      "nothing is lost meanwhile: the journal keeps it", "%.*s: %.*s",
                      WB_SLICE_ARG(url), WB_SLICE_ARG(error));
    else
        wb_doctor_say(d, WB_FINDING_OK, "store", NULL,
                      "%.*s: %s; waybill doctor --store URL asks it", WB_SLICE_ARG(url),
                      sent > 0 ? "the sidecar delivers to it" : "nothing was delivered yet");
}

static void check_store(wb_doctor *d)
{
    if (wb_slice_eq(wb_report_text(d->probe.report, "store_type"), WB_S("none"))) {
        wb_doctor_say(d, WB_FINDING_OK, "store", NULL, "turned off (store.type: none)");
        return;
    }
    if (wb_report_text(d->probe.report, "store_url").len > 0 &&
        !wb_is_postgres_url(d->cli->paths.store)) {
        check_store_from_afar(d);
        return;
    }
    char path[WB_PATH_MAX];
    bool is_file = !wb_is_postgres_url(d->cli->paths.store);
    WB_AUTO(wb_store) store = NULL;
    wb_error err = {0};
    struct stat st;
    wb_store_url_hide(d->cli->paths.store, path, sizeof path);
    wb_status status = wb_store_open(d->cli->paths.store, &store, &err);
    if (status == WB_ERR_NOT_FOUND)
        wb_doctor_say(d, WB_FINDING_WARN, "store", "a sidecar makes it when it first delivers",
                      "%s is not there yet", path);
    else if (status != WB_OK)
        wb_doctor_say(d, WB_FINDING_FAIL, "store",
                      "nothing is lost meanwhile: the journal keeps it", "%s", err.detail);
    else if (is_file && access(path, W_OK) != 0)
        wb_doctor_say(d, WB_FINDING_FAIL, "store", "fix its owner: the sidecar must write to it",
                      "%s is not writable", path);
    else if (is_file && stat(path, &st) == 0 && st.st_mode & 0007)
        wb_doctor_say(d, WB_FINDING_WARN, "store", "chmod 0600",
                      "%s has mode %04o: anybody can read it", path, st.st_mode & 07777U);
    else
        wb_doctor_say(d, WB_FINDING_OK, "store", NULL, "%s", path);
}

/* ---- the running sidecar -------------------------------------------------------------------- */

static void check_certificate(wb_doctor *d, const wb_json *receiver)
{
    uint64_t from = wb_report_number(receiver, "certificate_from_ns");
    uint64_t until = wb_report_number(receiver, "certificate_until_ns");
    wb_time_ns now = wb_now(d->cli->clock);
    char when[WB_TIME_TEXT];
    bool early = from > now, late = until > 0 && until < now;
    if (early || late)
        wb_doctor_say(
            d, WB_FINDING_WARN, "otlp",
            "clients refuse it: renew otlp.tls.cert_file, and restart the sidecar",
            "%.*s: its certificate is %s %s", WB_SLICE_ARG(wb_report_text(receiver, "receiver")),
            early ? "not valid before" : "expired since", wb_time_text(early ? from : until, when));
}

static void check_receivers(wb_doctor *d)
{
    const wb_json *receivers = wb_report_object(d->probe.report, "otlp");
    for (const wb_json *o = receivers ? receivers->first : NULL; o; o = o->next) {
        wb_slice name = wb_report_text(o, "receiver"), host = wb_report_text(o, "host");
        unsigned long long port = wb_report_number(o, "port");
        const wb_json *refused = wb_report_object(o, "refused");
        check_certificate(d, o);
        unsigned long long denied = wb_report_number(refused, "denied");
        unsigned long long loop = wb_report_number(refused, "loop");
        if (loop > 0)
            wb_doctor_say(d, WB_FINDING_FAIL, "otlp",
                          "see which exporter failed, and correct its endpoint",
                          "%.*s on %.*s:%llu: the endpoint of an exporter leads back to this "
                          "sidecar: %llu requests of its own",
                          WB_SLICE_ARG(name), WB_SLICE_ARG(host), port, loop);
        if (denied > 0)
            wb_doctor_say(d, WB_FINDING_WARN, "otlp",
                          "the sidecar's log says who (otlp.denied), and what they can do",
                          "%.*s on %.*s:%llu: %llu requests of those who may not send",
                          WB_SLICE_ARG(name), WB_SLICE_ARG(host), port, denied);
        else
            wb_doctor_say(d, WB_FINDING_OK, "otlp", NULL, "%.*s on %.*s:%llu%s", WB_SLICE_ARG(name),
                          WB_SLICE_ARG(host), port, wb_report_bool(o, "tls") ? " (TLS)" : "");
    }
}

static void check_exporters(wb_doctor *d)
{
    const wb_json *exporters = wb_report_object(d->probe.report, "exporters");
    for (const wb_json *e = exporters ? exporters->first : NULL; e; e = e->next) {
        wb_slice name = wb_report_text(e, "name"), error = wb_report_text(e, "last_error");
        unsigned long long lag_ms = wb_report_number(e, "lag_ms");
        unsigned long long parked = wb_report_number(e, "parked_records");
        unsigned long long dropped = wb_report_number(e, "dropped_records");
        const wb_json *causes = wb_report_object(e, "dropped_by_cause");
        unsigned long long by_lag = wb_report_number(causes, "lag");
        unsigned long long by_it = wb_report_number(causes, "far_side");
        unsigned long long unparked = wb_report_number(causes, "parked");
        if (by_lag > 0)
            wb_doctor_say(d, WB_FINDING_WARN, "exporter",
                          "it is slower than the load, or was away: records are missing there",
                          "%.*s: %llu records were dropped", WB_SLICE_ARG(name), by_lag);
        if (by_it > 0)
            wb_doctor_say(d, WB_FINDING_WARN, "exporter",
                          "the sidecar's log says why (delivery.dropped)",
                          "%.*s: it took what it was sent but for %llu items, for good",
                          WB_SLICE_ARG(name), by_it);
        if (parked > 0)
            wb_doctor_say(d, WB_FINDING_WARN, "exporter",
                          unparked > 0 ? "STATE_DIR/parked has the last of them and why"
                                       : "STATE_DIR/parked has them and why",
                          "%.*s: %llu records were refused and set aside", WB_SLICE_ARG(name),
                          parked);
        if (unparked > 0)
            wb_doctor_say(d, WB_FINDING_WARN, "exporter",
                          "STATE_DIR/parked holds 128 MiB of an exporter: look at what it refuses",
                          "%.*s: %llu records of those set aside were removed to make room",
                          WB_SLICE_ARG(name), unparked);
        if (error.len > 0) /* also while it tries again: it goes with the next success */
            wb_doctor_say(
                d, WB_FINDING_FAIL, "exporter", "records wait in the journal until it answers",
                "%.*s: %llu ms behind: %.*s", WB_SLICE_ARG(name), lag_ms, WB_SLICE_ARG(error));
        else if (lag_ms > LAG_WARN_MS)
            wb_doctor_say(d, WB_FINDING_WARN, "exporter", "it may be too slow for this load",
                          "%.*s: %llu ms behind", WB_SLICE_ARG(name), lag_ms);
        else if (dropped == 0 && parked == 0)
            wb_doctor_say(d, WB_FINDING_OK, "exporter", NULL, "%.*s: %llu ms behind",
                          WB_SLICE_ARG(name), lag_ms);
    }
}

static void check_unconfigured(wb_doctor *d)
{
    const wb_json *names = wb_report_object(d->probe.report, "unconfigured_exporters");
    for (const wb_json *e = names ? names->first : NULL; e; e = e->next) {
        wb_slice name = wb_report_text(e, "name");
        wb_doctor_say(d, WB_FINDING_WARN, "exporter",
                      "if it will not come back: waybill exporter forget NAME",
                      "%.*s is not configured; its place in the journal is kept",
                      WB_SLICE_ARG(name));
    }
}

/* Of the last day: what was lost stays lost, but is no news for ever. */
static bool is_recent(const wb_doctor *d, uint64_t at_s)
{
    uint64_t now_s = wb_now(d->cli->clock) / WB_NS_PER_S;
    return at_s > 0 && (at_s > now_s || now_s - at_s < LOSS_IS_NEWS_S);
}

static void check_journal(wb_doctor *d)
{
    const wb_json *journal = wb_report_object(d->probe.report, "journal");
    unsigned long long lost = wb_report_number(journal, "lost_frames");
    unsigned long long used = wb_report_number(journal, "used_bytes");
    unsigned long long limit = wb_report_number(journal, "limit_bytes");
    uint64_t lost_s = wb_report_number(d->probe.report, "recovered_s");
    char when[WB_TIME_TEXT];
    if (wb_report_bool(journal, "failed"))
        wb_doctor_say(d, WB_FINDING_FAIL, "journal",
                      "look at the disk; nothing is accepted until it writes again",
                      "its disk fails");
    else if (wb_report_bool(journal, "full"))
        wb_doctor_say(d, WB_FINDING_FAIL, "journal",
                      "an exporter must catch up, the disk be cleared, or journal.limit_bytes grow",
                      "it is full: new work is refused, what was begun goes on");
    else if (lost > 0)
        wb_doctor_say(d, WB_FINDING_WARN, "journal", "look at the disk and at the log of the start",
                      "%llu frames were lost before the last start", lost);
    else if (is_recent(d, lost_s))
        wb_doctor_say(
            d, WB_FINDING_WARN, "journal",
            "see journal.loss and journal.replaced in the log of that time",
            "it lost state, found %s: tokens of before are refused, open work of before may "
            "be unknown",
            wb_time_text(lost_s * WB_NS_PER_S, when));
    else if (limit > 0 && used > limit / 10 * 9)
        wb_doctor_say(d, WB_FINDING_WARN, "journal",
                      "an exporter must catch up, or journal.limit_bytes must grow",
                      "%llu of %llu bytes used", used, limit);
    else
        wb_doctor_say(d, WB_FINDING_OK, "journal", NULL, "%llu of %llu bytes used", used, limit);
}

static void check_sidecar(wb_doctor *d)
{
    const wb_json *report = d->probe.report;
    wb_slice version = wb_report_text(report, "version"),
             trouble = wb_report_text(report, "trouble");
    if (!report) {
        const char *todo = d->probe.result == WB_PROBE_SILENT   ? "see its log"
                           : d->probe.result == WB_PROBE_ABSENT ? "start waybilld, or see --name"
                                                                : "start waybilld";
        wb_doctor_say(d, WB_FINDING_FAIL, "sidecar", todo, "%s", d->probe.why);
        return;
    }
    if (trouble.len > 0)
        wb_doctor_say(d, WB_FINDING_FAIL, "sidecar", NULL, "%.*s", WB_SLICE_ARG(trouble));
    else
        wb_doctor_say(d, WB_FINDING_OK, "sidecar", NULL, "%s answers as process %llu",
                      d->cli->paths.name, (unsigned long long)d->probe.pid);
    if (wb_slice_eq(version, WB_S(WAYBILL_VERSION)))
        wb_doctor_say(d, WB_FINDING_OK, "version", NULL, "%s", WAYBILL_VERSION);
    else
        wb_doctor_say(d, WB_FINDING_WARN, "version", "restart the sidecar after an upgrade",
                      "the sidecar is %.*s, this command %s", WB_SLICE_ARG(version),
                      WAYBILL_VERSION);
    wb_doctor_locks(d);
    check_journal(d);
    check_receivers(d);
    check_exporters(d);
    check_unconfigured(d);
}

/* ---- all ------------------------------------------------------------------------------------ */

static wb_exit conclude(wb_doctor *d)
{
    wb_exit code = WB_EXIT_OK;
    if (d->cli->json) {
        wb_json_close(&d->json, ']');
        code = wb_json_out_finish(&d->json, stdout);
    } else {
        (void)printf("%u ok, %u warnings, %u failures\n", d->found[WB_FINDING_OK],
                     d->found[WB_FINDING_WARN], d->found[WB_FINDING_FAIL]);
    }
    if (code != WB_EXIT_OK) return code;
    bool bad = d->found[WB_FINDING_FAIL] > 0 || (d->strict && d->found[WB_FINDING_WARN] > 0);
    return bad ? WB_EXIT_NO : WB_EXIT_OK;
}

static wb_exit run(const wb_cli *cli, const void *given)
{
    wb_doctor d = {.cli = cli, .strict = ((const doctor_line *)given)->strict};
    wb_exit code;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return wb_cli_fail(WB_EXIT_FAILURE, "doctor", "no memory", NULL);
    wb_json_out_init(&d.json);
    wb_json_open(&d.json, NULL, '[');
    wb_probe_sidecar(cli, arena, &d.probe);
    check_sidecar(&d);
    check_dir(&d, "run dir", cli->paths.run_dir, false);
    check_socket(&d);
    check_dir(&d, "state dir", cli->paths.state_dir, true);
    if (!wb_doctor_is_foreign(&d)) { /* what only the sidecar's own user can see */
        wb_doctor_keys(&d);
        wb_doctor_trust(&d);
        wb_doctor_revoked(&d);
        check_store(&d);
        wb_doctor_modes(&d);
        check_disk(&d, cli->paths.state_dir);
    }
    wb_doctor_reload(&d);
    check_clock(&d);
    code = conclude(&d);
    wb_json_out_done(&d.json);
    return code;
}

static const wb_option options[] = {
    {.name = "--strict",
     WB_INTO_FLAG(doctor_line, strict),
     .help = "warnings, too, make the exit code 1"},
    {0},
};

const wb_verb wb_doctor_verbs[] = {
    {.name = "doctor",
     .summary = "Check this sidecar's surroundings and say what to do",
     .options = options,
     .help = "Looks at the sidecar, its directories, socket, keys, trusted keys, store, disk and\n"
             "clock, and at who holds back the next trust mode: whose messages of the last 7\n"
             "days came in though `link` or `enforce` would refuse them. Changes nothing.\n",
     .no = "something failed; warnings alone are 0",
     .json = "an array of {check, result, detail, todo}",
     .run = run},
    {0},
};
