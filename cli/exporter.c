/* SPDX-License-Identifier: Apache-2.0 */
/* `exporter forget`: what the sidecar's journal keeps of an exporter that is not configured any more. */
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/output.h"

#include "proto/waybill/v1/ipc.pb-c.h"

enum { ARENA_BYTES = 1024 * 1024, TIMEOUT_MS = 10000, NAME_MAX_BYTES = 1024 };

typedef struct forget_line {
    const char *name;
} forget_line;

static wb_status ask(const wb_cli *cli, const char *name, wb_arena *arena,
                     const Waybill__V1__ForgetExporterReply **out, wb_error *err)
{
    Waybill__V1__Request request = WAYBILL__V1__REQUEST__INIT;
    Waybill__V1__ForgetExporter body = WAYBILL__V1__FORGET_EXPORTER__INIT;
    const Waybill__V1__Reply *reply;
    request.body_case = WAYBILL__V1__REQUEST__BODY_FORGET_EXPORTER;
    request.forget_exporter = &body;
    body.name = (char *)(uintptr_t)name; /* packing only reads */
    if (strlen(name) > NAME_MAX_BYTES)
        return wb_fail(err, WB_ERR_NOT_FOUND, "no exporter has such a name");
    WB_TRY(wb_ask(cli->paths.socket, &request, TIMEOUT_MS, arena, &reply, err));
    if (reply->body_case != WAYBILL__V1__REPLY__BODY_FORGET_EXPORTER)
        return wb_fail(err, WB_ERR_MALFORMED, "the sidecar is too old for this: restart it");
    *out = reply->forget_exporter;
    return WB_OK;
}

static wb_exit print_json(const char *name, const Waybill__V1__ForgetExporterReply *reply)
{
    wb_json_out json;
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    wb_json_text(&json, "forgotten", wb_slice_str(name));
    wb_json_number(&json, "cursor", reply->cursor);
    wb_json_number(&json, "dropped_records", reply->dropped_records);
    wb_json_close(&json, '}');
    wb_exit code = wb_json_out_finish(&json, stdout);
    wb_json_out_done(&json);
    return code;
}

static wb_exit run_forget(const wb_cli *cli, const void *given)
{
    const Waybill__V1__ForgetExporterReply *reply = NULL;
    const char *name = ((const forget_line *)given)->name;
    wb_error err = {0};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (!arena) return wb_cli_fail(WB_EXIT_FAILURE, "exporter forget", "no memory", NULL);
    wb_status status = ask(cli, name, arena, &reply, &err);
    if (status != WB_OK)
        return wb_cli_fail(wb_cli_exit_of(status), "exporter forget", err.detail,
                           status == WB_ERR_UNAVAILABLE
                               ? "the running sidecar forgets: start it, waybilld --name NAME"
                               : "waybill status names those that are kept");
    if (cli->json) return print_json(name, reply);
    (void)fputs("forgotten: ", stdout);
    wb_print_safe(stdout, wb_slice_str(name));
    (void)printf(", which was at frame %llu\n", (unsigned long long)reply->cursor);
    return WB_EXIT_OK;
}

static const wb_option forget_options[] = {
    {.value = "NAME",
     WB_INTO_TEXT(forget_line, name),
     .help = "as `waybill status` names those that are kept"},
    {0},
};

const wb_verb wb_exporter_verbs[] = {
    {.name = "exporter forget",
     .summary = "Give up the cursor of an exporter that is not configured any more",
     .options = forget_options,
     .help = "The journal keeps how far an exporter was after it left the configuration, so\n"
             "that it goes on there if it comes back. This makes it begin anew instead.\n",
     .no = "there is none of this name, or it is configured",
     .json = "{forgotten, cursor, dropped_records}",
     .run = run_forget},
    {0},
};
