/* SPDX-License-Identifier: Apache-2.0 */
/* status.json says where a sidecar listens; the admin endpoint says the rest. A file outlives a killed
 * process and its pid may be somebody else's by now, so only an answer proves that it runs. */
#include "cli/probe.h"

#include "cli/ask.h"
#include "cli/http_get.h"
#include "core/config.h"
#include "proto/waybill/v1/ipc.pb-c.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TIMEOUT_MS = 2000, STATUS_FILE_ARENA_BYTES = 2 * 1024 * 1024 };

static const wb_json_limits limits = {
    .depth = 8, .members = 256, .elements = 1024, .string_bytes = 8192, .any_number = true};

const wb_json *wb_report_object(const wb_json *object, const char *name)
{
    const wb_json *member = wb_json_member(object, wb_slice_str(name));
    return member && (member->type == WB_JSON_OBJECT || member->type == WB_JSON_ARRAY) ? member
                                                                                       : NULL;
}

/* Nanoseconds since 1970 are above 2^53, where the reader keeps a number as it was written. */
static uint64_t large_number(wb_slice digits)
{
    uint64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = (unsigned)digits.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return 0;
    }
    return value;
}

uint64_t wb_report_number(const wb_json *object, const char *name)
{
    const wb_json *member = wb_json_member(object, wb_slice_str(name));
    if (!member) return 0;
    return member->type == WB_JSON_REAL  ? large_number(member->text)
           : member->type == WB_JSON_INT ? member->number
                                         : 0;
}

wb_slice wb_report_text(const wb_json *object, const char *name)
{
    const wb_json *member = wb_json_member(object, wb_slice_str(name));
    return member && member->type == WB_JSON_STRING ? member->text : WB_S("");
}

bool wb_report_bool(const wb_json *object, const char *name)
{
    const wb_json *member = wb_json_member(object, wb_slice_str(name));
    return member && member->type == WB_JSON_BOOL && member->truth;
}

const wb_json *wb_report_parse(wb_slice text, wb_arena *arena)
{
    const wb_json *root = NULL;
    wb_json_fault fault;
    wb_status status = wb_json_parse(text, &limits, arena, &root, &fault);
    return status == WB_OK && fault == WB_JSON_NO_FAULT ? root : NULL;
}

static void say(wb_probe *probe, wb_probe_result result, const char *why)
{
    probe->result = result;
    (void)snprintf(probe->why, sizeof probe->why, "%s", why);
}

/* False: *probe says why. */
static bool read_status_file(const wb_cli *cli, wb_arena *arena, wb_probe *probe)
{
    wb_slice text;
    wb_error err = {0};
    wb_status status = wb_config_read_file(cli->paths.status_file, arena, &text, &err);
    if (status == WB_ERR_NOT_FOUND) {
        (void)snprintf(probe->why, sizeof probe->why, "no sidecar named %s runs here: no %.100s",
                       cli->paths.name, cli->paths.status_file);
        return false;
    }
    const wb_json *file = status == WB_OK ? wb_report_parse(text, arena) : NULL;
    if (!file) {
        say(probe, WB_PROBE_SILENT,
            status == WB_OK ? "status.json is not what a sidecar writes" : err.detail);
        return false;
    }
    wb_slice host = wb_report_text(file, "admin_host");
    probe->pid = wb_report_number(file, "pid");
    probe->state_dir = wb_report_text(file, "state_dir");
    probe->port = (uint16_t)wb_report_number(wb_report_object(file, "ports"), "admin");
    (void)snprintf(probe->host, sizeof probe->host, "%.*s",
                   WB_SLICE_ARG(host.len ? host : WB_S("127.0.0.1")));
    return true;
}

/* An endpoint that listens on all addresses is asked on the loopback one. */
static const char *reachable(const char *host)
{
    if (strcmp(host, "0.0.0.0") == 0) return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static bool process_lives(uint64_t pid)
{
    if (pid == 0 || pid > INT32_MAX) return false;
    return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

static wb_status ask_by_http(const wb_probe *probe, uint32_t timeout_ms, wb_arena *arena,
                             wb_slice *report, wb_error *err)
{
    int code = 0;
    WB_TRY(wb_http_get(reachable(probe->host), probe->port, "/status", timeout_ms, arena, &code,
                       report, err));
    if (code != 200) *report = (wb_slice){0};
    return WB_OK;
}

wb_status wb_report_ask(const char *socket, uint32_t timeout_ms, wb_arena *arena, wb_slice *text,
                        wb_error *err)
{
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    Waybill__V1__StatusRequest nothing = WAYBILL__V1__STATUS_REQUEST__INIT;
    const Waybill__V1__Reply *reply = NULL;
    request.body_case = WAYBILL__V1__REQUEST__BODY_STATUS;
    request.status = &nothing;
    WB_TRY(wb_ask(socket, &request, timeout_ms, arena, &reply, err));
    if (reply->body_case != WAYBILL__V1__REPLY__BODY_STATUS_REPORT)
        return wb_fail(err, WB_ERR_MALFORMED, "the sidecar does not report its status");
    *text = wb_slice_str(reply->status_report->json);
    return WB_OK;
}

void wb_probe_sidecar(const wb_cli *cli, wb_arena *arena, wb_probe *probe)
{
    wb_probe_within(cli, TIMEOUT_MS, arena, probe);
}

void wb_probe_within(const wb_cli *cli, uint32_t timeout_ms, wb_arena *arena, wb_probe *probe)
{
    wb_error err = {0};
    *probe = (wb_probe){.result = WB_PROBE_ABSENT};
    if (!read_status_file(cli, arena, probe)) return;
    wb_status status =
        probe->port != 0
            ? ask_by_http(probe, timeout_ms, arena, &probe->report_text, &err)
            : wb_report_ask(cli->paths.socket, timeout_ms, arena, &probe->report_text, &err);
    if (status == WB_OK && probe->report_text.len > 0)
        probe->report = wb_report_parse(probe->report_text, arena);
    wb_slice name = wb_report_text(probe->report, "name");
    if (probe->report && wb_slice_eq(name, wb_slice_str(cli->paths.name))) {
        probe->result = WB_PROBE_ANSWERS;
        return;
    }
    probe->report = NULL;
    if (!process_lives(probe->pid)) {
        (void)snprintf(probe->why, sizeof probe->why, "process %llu is gone but left %.100s",
                       (unsigned long long)probe->pid, cli->paths.status_file);
        probe->result = WB_PROBE_DEAD;
    } else {
        say(probe, WB_PROBE_SILENT,
            status != WB_OK ? err.detail : "somebody else answers in its place");
    }
}

bool wb_probe_keeps(const wb_probe *probe, const char *state_dir)
{
    struct stat there, asked;
    char path[WB_PATH_MAX];
    int len = snprintf(path, sizeof path, "%.*s", WB_SLICE_ARG(probe->state_dir));
    if (len <= 0 || len >= (int)sizeof path) return false;
    if (stat(path, &there) != 0 || stat(state_dir, &asked) != 0)
        return strcmp(path, state_dir) == 0;
    return there.st_dev == asked.st_dev && there.st_ino == asked.st_ino;
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable); /* NOLINT(concurrency-mt-unsafe): one thread */
    return value && *value;
}

/* False: no sidecar says where it keeps things, or what it says makes no paths. */
static bool take_places(const wb_paths_choice *choice, wb_paths *paths)
{
    bool state_chosen = choice->state_dir || is_set("WAYBILL_STATE_DIR");
    bool store_chosen =
        choice->store || is_set("WAYBILL_STORE") || is_set("WAYBILL_STORE_SQLITE_PATH");
    wb_paths found;
    wb_slice text;
    char state_dir[WB_PATH_MAX], store[WB_PATH_MAX];
    if (state_chosen && store_chosen) return false;
    WB_AUTO(wb_arena) arena = wb_arena_new(STATUS_FILE_ARENA_BYTES);
    if (!arena || wb_config_read_file(paths->status_file, arena, &text, NULL) != WB_OK)
        return false;
    const wb_json *file = wb_report_parse(text, arena);
    wb_slice there = wb_report_text(file, "state_dir"), kept = wb_report_text(file, "store");
    (void)snprintf(state_dir, sizeof state_dir, "%.*s", WB_SLICE_ARG(there));
    (void)snprintf(store, sizeof store, "%.*s", WB_SLICE_ARG(kept));
    wb_paths_choice told = *choice;
    told.name = paths->name;
    if (!state_chosen && there.len > 0) told.state_dir = state_dir;
    if (!store_chosen && kept.len > 0) told.store = store;
    if (wb_paths_resolve(&told, &found, NULL) != WB_OK) return false;
    *paths = found;
    return true;
}

wb_status wb_probe_places(const wb_paths_choice *choice, wb_paths *paths, wb_error *err)
{
    WB_TRY(wb_paths_resolve_run(choice, paths, err));
    return take_places(choice, paths) ? WB_OK : wb_paths_resolve(choice, paths, err);
}
