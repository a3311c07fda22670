/* SPDX-License-Identifier: Apache-2.0 */
/* `reload`. Asked over the socket and not by a signal: the answer says what is in force, and a process id
 * is only what somebody says. */
#include "cli/reload.h"

#include "cli/ask.h"
#include "cli/output.h"

#include "proto/waybill/v1/ipc.pb-c.h"

#include <unistd.h>

enum { ARENA_BYTES = 8 * 1024 * 1024, TIMEOUT_MS = 10000 };

/* What is in force after a reload; texts live in the arena. */
typedef struct outcome {
    uint64_t generation;
    wb_slice key_id;
    wb_slice *problems, *needs_restart;
    size_t n_problems, n_needs_restart;
} outcome;

static wb_status take_texts(wb_arena *arena, char *const *texts, size_t n, wb_slice **out)
{
    *out = wb_arena_array(arena, n + 1, sizeof **out);
    if (!*out) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) (*out)[i] = wb_slice_str(texts[i]);
    return WB_OK;
}

static wb_status ask_socket(const wb_cli *cli, wb_arena *arena, outcome *out, wb_error *err)
{
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    Waybill__V1__Reload nothing = WAYBILL__V1__RELOAD__INIT;
    const Waybill__V1__Reply *reply;
    request.body_case = WAYBILL__V1__REQUEST__BODY_RELOAD;
    request.reload = &nothing;
    WB_TRY(wb_ask(cli->paths.socket, &request, TIMEOUT_MS, arena, &reply, err));
    if (reply->body_case != WAYBILL__V1__REPLY__BODY_RELOAD)
        return wb_fail(err, WB_ERR_MALFORMED, "the sidecar is too old to reload: restart it");
    const Waybill__V1__ReloadReply *body = reply->reload;
    *out = (outcome){.generation = body->generation,
                     .key_id = wb_slice_str(body->key_id),
                     .n_problems = body->n_problems,
                     .n_needs_restart = body->n_needs_restart};
    wb_status status = take_texts(arena, body->problems, body->n_problems, &out->problems);
    if (status == WB_OK)
        status = take_texts(arena, body->needs_restart, body->n_needs_restart, &out->needs_restart);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory");
}

static void print_list(const char *title, const wb_slice *texts, size_t n, FILE *file)
{
    for (size_t i = 0; i < n; i++) {
        (void)fprintf(file, "%s", title);
        wb_print_safe(file, texts[i]);
        (void)fputc('\n', file);
    }
}

static void print_text(const wb_cli *cli, const outcome *out, FILE *file)
{
    (void)fprintf(file, "%s reloaded: generation %llu, signs with ", cli->paths.name,
                  (unsigned long long)out->generation);
    wb_print_safe(file, out->key_id);
    (void)fputc('\n', file);
    print_list("  left out: ", out->problems, out->n_problems, file);
    print_list("  needs a restart: ", out->needs_restart, out->n_needs_restart, file);
}

static void json_list(wb_json_out *json, const char *key, const wb_slice *texts, size_t n)
{
    wb_json_open(json, key, '[');
    for (size_t i = 0; i < n; i++) wb_json_text(json, NULL, texts[i]);
    wb_json_close(json, ']');
}

static wb_exit print_json(const wb_cli *cli, const outcome *out)
{
    wb_json_out json;
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    wb_json_text(&json, "name", wb_slice_str(cli->paths.name));
    wb_json_number(&json, "generation", out->generation);
    wb_json_text(&json, "key_id", out->key_id);
    json_list(&json, "problems", out->problems, out->n_problems);
    json_list(&json, "needs_restart", out->needs_restart, out->n_needs_restart);
    wb_json_close(&json, '}');
    wb_exit code = wb_json_out_finish(&json, stdout);
    wb_json_out_done(&json);
    return code;
}

static wb_exit run(const wb_cli *cli, const void *line)
{
    outcome out;
    wb_error err = {0};
    wb_exit code = WB_EXIT_OK;
    (void)line;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return wb_cli_fail(WB_EXIT_FAILURE, "reload", "no memory", NULL);
    wb_status status = ask_socket(cli, arena, &out, &err);
    if (status == WB_ERR_UNAVAILABLE)
        return wb_cli_fail(WB_EXIT_FAILURE, "reload", err.detail,
                           "it reads its files when it starts");
    if (status != WB_OK)
        return wb_cli_fail(wb_cli_exit_of(status), "reload", err.detail,
                           strstr(err.detail, "see its log") ? NULL : "see its log");
    if (cli->json)
        code = print_json(cli, &out);
    else
        print_text(cli, &out, stdout);
    if (code != WB_EXIT_OK) return code;
    return out.n_problems > 0 ? WB_EXIT_NO : WB_EXIT_OK;
}

wb_exit wb_cli_reload_after(const wb_cli *cli, wb_exit code)
{
    outcome out;
    wb_error err = {0};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_exit otherwise = code == WB_EXIT_OK ? WB_EXIT_NOT_IN_FORCE : code;
    if (!arena) {
        (void)wb_cli_fail(otherwise, "the running sidecar was not reloaded", "no memory", NULL);
        return otherwise;
    }
    if (access(cli->paths.socket, F_OK) != 0) {
        (void)fprintf(stderr, "no sidecar runs: it will be in force when one starts\n");
        return code;
    }
    wb_status status = ask_socket(cli, arena, &out, &err);
    if (status == WB_OK) {
        print_text(cli, &out, stderr);
        if (out.n_problems == 0) return code;
        (void)wb_cli_fail(otherwise, "the running sidecar left files out",
                          "the change may not be in force", "mend them, then: waybill reload");
        return otherwise;
    }
    (void)wb_cli_fail(otherwise, "the running sidecar was not reloaded", err.detail,
                      "it looks at its files each second; ask: waybill status");
    return otherwise;
}

const wb_verb wb_reload_verbs[] = {
    {.name = "reload",
     .summary = "Have a running sidecar read keys, trust and configuration again",
     .options = wb_cli_no_options,
     .help = "It also does so by itself within about a second of a change in keys/ or\n"
             "trust.d/, and on SIGHUP. Of the configuration the keys marked (reload) in\n"
             "waybilld(8) are taken; others that changed are named.\n",
     .no = "a file was left out; each line says what holds in its place",
     .json = "{name, generation, key_id, problems, needs_restart}",
     .run = run},
    {0},
};
