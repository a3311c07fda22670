/* SPDX-License-Identifier: Apache-2.0 */
/* `token why REF`: what a refusal was about, from the file of the side that refused. The file is read, not
 * the sidecar asked, so it works on a machine whose sidecar is down. */
#include "cli/probe.h"
#include "cli/token.h"
#include "propagation/refusal.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_BYTES = 8 * 1024 * 1024 };

/* What of a refusal is shown; a copy, since the file's bytes go. */
typedef struct found {
    uint8_t ref[WB_REF_BYTES];
    bool any;
    wb_refusal refusal;
    uint8_t slot[WB_REFUSAL_SLOT_BYTES];
} found;

typedef struct why_line {
    const char *ref;
} why_line;

static wb_status look(void *self, const wb_refusal *refusal)
{
    found *f = self;
    if (memcmp(refusal->ref, f->ref, sizeof f->ref) != 0) return WB_OK;
    wb_refusal_format(refusal, f->slot);
    f->any = wb_refusal_parse(f->slot, &f->refusal) == WB_OK;
    return WB_OK;
}

/* The words for it: of the code, or of what has no code. */
static wb_token_help explain(const wb_refusal *r)
{
    static const wb_token_help duplicate = {
        "15", "This very token was accepted before, with the same message.",
        "The sender repeated the message, most likely after a lost answer: that is harmless, and "
        "the "
        "first one is being worked on. If the agent shall see repeats, set `on_duplicate: pass`."};
    static const wb_token_help delegate = {
        "", "Our own agent asked to hand on more than it was granted or has left.",
        "Ask for less, or for nothing in particular; or have whoever delegated to this agent grant "
        "more."};
    static const wb_token_help unknown = {"",
                                          "A check that this version of the command does not know.",
                                          "Use the `waybill` of the same version as the sidecar."};
    if (r->kind == WB_REFUSAL_DUPLICATE) return duplicate;
    if (r->kind == WB_REFUSAL_DELEGATE) return delegate;
    const wb_token_help *help = wb_token_help_of(wb_token_code_parse(r->code));
    return help ? *help : unknown;
}

static void line(const wb_cli *cli, const char *key, wb_slice value)
{
    if (value.len == 0) return;
    (void)printf("%s%-12s%s", wb_color_code(cli, WB_COLOR_DIM), key,
                 wb_color_code(cli, WB_COLOR_NONE));
    wb_print_safe(stdout, value);
    (void)fputc('\n', stdout);
}

static void print_text(const wb_cli *cli, const char *ref, const wb_refusal *r)
{
    static const char *const titles[] = {"",
                                         "a message was refused",
                                         "a message was refused as a duplicate",
                                         "a delegation of this agent was denied",
                                         "a message was let through by trust.mode observe",
                                         "a message was let in unverified"};
    const wb_token_help help = explain(r);
    bool ours = r->kind == WB_REFUSAL_DELEGATE;
    char when[WB_TIME_TEXT];
    (void)printf("%s%s%s: %s\n", wb_color_code(cli, WB_COLOR_BOLD), ref,
                 wb_color_code(cli, WB_COLOR_NONE), titles[r->kind]);
    line(cli, "time", wb_slice_str(wb_time_text(r->time_ns, when)));
    line(cli, "code", r->code);
    line(cli, "step", wb_slice_str(help.step));
    line(cli, "class", r->wire_class);
    line(cli, "mode", r->mode);
    line(cli, ours ? "for" : "claims", r->issuer);
    line(cli, "key id", r->key_id);
    line(cli, ours ? "target" : "peer", r->peer);
    line(cli, "message id", r->message_id);
    line(cli, "detail", r->detail);
    line(cli, "meaning", wb_slice_str(help.meaning));
    line(cli, "what to do", wb_slice_str(help.remedy));
}

static wb_exit print_json(const char *ref, const wb_refusal *r)
{
    const wb_token_help help = explain(r);
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "ref", wb_slice_str(ref));
    wb_json_text(&out, "kind", wb_slice_str(wb_refusal_kind_name(r->kind)));
    wb_json_number(&out, "time_ns", r->time_ns);
    wb_json_text_or_null(&out, "code", r->code);
    wb_json_text_or_null(&out, "step", wb_slice_str(help.step));
    wb_json_text_or_null(&out, "class", r->wire_class);
    wb_json_text_or_null(&out, "mode", r->mode);
    wb_json_text_or_null(&out, "claimed_issuer", r->issuer);
    wb_json_text_or_null(&out, "claimed_key_id", r->key_id);
    wb_json_text_or_null(&out, "peer", r->peer);
    wb_json_text_or_null(&out, "message_id", r->message_id);
    wb_json_text_or_null(&out, "detail", r->detail);
    wb_json_text(&out, "meaning", wb_slice_str(help.meaning));
    wb_json_text(&out, "remedy", wb_slice_str(help.remedy));
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

/* The ref may be a real one whose record is not there any more, or that the sidecar could not keep: a
 * running one knows. `missing`: why the file itself is not there; NULL if it is. */
static wb_exit not_found(const wb_cli *cli, const char *ref, const char *missing)
{
    char why[240], last[WB_TIME_TEXT];
    wb_probe probe = {.report = NULL};
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    if (arena) wb_probe_sidecar(cli, arena, &probe);
    bool ours = wb_probe_keeps(&probe, cli->paths.state_dir);
    const wb_json *counters = ours ? wb_report_object(probe.report, "counters") : NULL;
    unsigned long long lost = wb_report_number(counters, "refusals_not_kept");
    if (wb_report_bool(counters, "refusals_file_gone"))
        return wb_cli_fail(WB_EXIT_NO, ref,
                           "somebody removed " WB_REFUSAL_FILE
                           " under the running sidecar, and with it what refs were about",
                           "restart the sidecar, which makes it again; until then its log alone "
                           "says why");
    int len = snprintf(why, sizeof why, "%.140s",
                       missing ? missing : "no refusal with that ref is kept here");
    if (lost > 0)
        (void)snprintf(why + len, sizeof why - (size_t)len,
                       "; %llu were not kept since the sidecar's start, the last at %s", lost,
                       wb_time_text(wb_report_number(counters, "refusals_last_not_kept_ns"), last));
    return wb_cli_fail(WB_EXIT_NO, ref, why,
                       missing ? "ask on the side that refused, with its --name or --state-dir"
                               : "ask on the side that refused; the newest are kept, fewer of a "
                                 "peer that is refused often");
}

wb_exit wb_cli_token_why(const wb_cli *cli, const void *given)
{
    const char *word = ((const why_line *)given)->ref;
    char ref[WB_REF_HEX + 1];
    wb_error err = {0};
    found f = {.any = false};
    if (!wb_ref_parse(word, f.ref))
        return wb_cli_usage(cli, "%.40s is no ref: 16 hex digits", word);
    wb_hex(f.ref, sizeof f.ref, ref);
    wb_status status = wb_refusals_read(cli->paths.state_dir, look, &f, &err);
    if (status == WB_ERR_NOT_FOUND || (status == WB_OK && !f.any))
        return not_found(cli, ref, status == WB_OK ? NULL : err.detail);
    if (status != WB_OK) return wb_cli_fail(WB_EXIT_FAILURE, ref, err.detail, NULL);
    if (cli->json) return print_json(ref, &f.refusal);
    print_text(cli, ref, &f.refusal);
    return WB_EXIT_OK;
}

const wb_option wb_token_why_options[] = {
    {.value = "REF",
     WB_INTO_TEXT(why_line, ref),
     .help = "what the refused side was told: 16 hex digits, in its error's `ref` and in this "
             "side's log"},
    {0},
};
