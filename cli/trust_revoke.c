/* SPDX-License-Identifier: Apache-2.0 */
/* `trust revoke` and `trust remove`: two ways to stop believing. A revocation is remembered and refuses
 * tokens; who was only removed is a stranger again, whose tokens are links unless the mode says more. */
#include "cli/input.h"
#include "cli/output.h"
#include "cli/reload.h"
#include "cli/trust.h"
#include "propagation/revoked.h"
#include "propagation/token.h"
#include "propagation/trust.h"

#include <stdio.h>

typedef struct revoke_line {
    const char *kind, *value;
    uint64_t at;
} revoke_line;

typedef struct remove_line {
    const char *id, *kid;
} remove_line;

static wb_exit refuse(wb_status status, const wb_error *err)
{
    return wb_cli_fail(status == WB_ERR_MALFORMED ? WB_EXIT_USAGE : wb_cli_exit_of(status), "trust",
                       err->detail, NULL);
}

/* The list is gone, and somebody may still hold to it: a new one would lift what it said. */
static wb_exit refuse_gone(wb_trust_held held, uint64_t n, const wb_error *err)
{
    char why[240];
    if (held == WB_TRUST_HELD_UNKNOWN)
        (void)snprintf(why, sizeof why,
                       "%s, or never was, and the running sidecar does not answer what it holds to",
                       err->detail);
    else
        (void)snprintf(why, sizeof why, "%s, and the running sidecar holds to its %llu revocations",
                       err->detail, (unsigned long long)n);
    return wb_cli_fail(WB_EXIT_FAILURE, "trust", why,
                       "nothing was changed: lay the file down again, from a copy, or an empty one "
                       "to lift all that it said; then revoke again");
}

static wb_exit print_revocation(const wb_cli *cli, const wb_revocation *r)
{
    char text[WB_TIME_TEXT];
    if (!cli->json) {
        (void)printf("revoked: %s ", wb_revoked_kind_name(r->kind));
        wb_print_safe(stdout, r->value);
        if (r->from_s == 0)
            (void)printf(" at any time\n");
        else
            (void)printf(" from %s on\n", wb_seconds_text(r->from_s, text));
        return WB_EXIT_OK;
    }
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "kind", wb_slice_str(wb_revoked_kind_name(r->kind)));
    wb_json_text(&out, "value", r->value);
    wb_json_number(&out, "from", r->from_s);
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

wb_exit wb_cli_trust_revoke(const wb_cli *cli, const void *given)
{
    const revoke_line *line = given;
    wb_error err = {0};
    wb_revocation r = {.value = wb_slice_str(line->value),
                       .from_s = line->at == WB_OPTION_UNSET ? wb_now(cli->clock) / WB_NS_PER_S
                                                             : line->at};
    WB_ASSERT(wb_revoked_kind_parse(wb_slice_str(line->kind), &r.kind)); /* the table's choices */
    wb_exit code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    uint64_t n_held;
    wb_trust_held held = wb_cli_trust_held(cli, &n_held);
    wb_status status = wb_make_dirs(cli->paths.state_dir, &err);
    if (status == WB_OK)
        status = wb_revoked_add(cli->paths.trust_dir, &r, held != WB_TRUST_HELD_NOTHING, &err);
    if (status == WB_ERR_NOT_FOUND) return refuse_gone(held, n_held, &err);
    if (status != WB_OK) return refuse(status, &err);
    code = print_revocation(cli, &r);
    return wb_cli_reload_after(cli, code);
}

const wb_option wb_trust_revoke_options[] = {
    {.name = "--at",
     .value = "SECONDS",
     WB_INTO_NUMBER(revoke_line, at),
     .max = WB_INPUT_SECONDS_MAX,
     .help = "from when on (Unix time); without it, now"},
    {.value = "KIND",
     WB_INTO_TEXT(revoke_line, kind),
     .choices = "kid|tth|iss",
     .help = "what is revoked"},
    {.value = "VALUE", WB_INTO_TEXT(revoke_line, value), .help = "which one"},
    {0},
};

static wb_exit print_removal(const wb_cli *cli, const char *id, const char *kid)
{
    if (!cli->json) {
        (void)printf("removed: %s%s", kid ? kid : "", kid ? " of " : "");
        wb_print_safe(stdout, wb_slice_str(id));
        (void)printf("\n");
        return WB_EXIT_OK;
    }
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "issuer", wb_slice_str(id));
    wb_json_text_or_null(&out, "kid", kid ? wb_slice_str(kid) : (wb_slice){0});
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

wb_exit wb_cli_trust_remove(const wb_cli *cli, const void *given)
{
    const remove_line *line = given;
    wb_error err = {0};
    wb_exit code = wb_input_agent_id(cli, line->id);
    if (code == WB_EXIT_OK) code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    wb_slice kid = wb_slice_str(line->kid);
    wb_status status = wb_trust_remove(cli->paths.trust_dir, wb_slice_str(line->id), kid, &err);
    if (status != WB_OK) return refuse(status, &err);
    code = print_removal(cli, line->id, line->kid);
    return wb_cli_reload_after(cli, code);
}

const wb_option wb_trust_remove_options[] = {
    {.value = "AGENT_ID", WB_INTO_TEXT(remove_line, id), .help = "whom to believe no longer"},
    {.value = "KEY_ID", WB_INTO_TEXT(remove_line, kid), .optional = true, .help = "this key alone"},
    {0},
};
