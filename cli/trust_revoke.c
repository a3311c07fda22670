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

static wb_exit refuse(wb_status status, const wb_error *err)
{
    return wb_cli_fail(status == WB_ERR_MALFORMED ? WB_EXIT_USAGE : wb_cli_exit_of(status), "trust",
                       err->detail, NULL);
}

static wb_exit print_revocation(const wb_cli *cli, const wb_revocation *r)
{
    char text[WB_TIME_TEXT];
    if (!cli->json) {
        bool shown = r->from_s <= UINT64_MAX / WB_NS_PER_S;
        (void)printf("revoked: %s ", wb_revoked_kind_name(r->kind));
        wb_print_safe(stdout, r->value);
        (void)printf(" from %s on\n", wb_time_text(shown ? r->from_s * WB_NS_PER_S : 0, text));
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

wb_exit wb_cli_trust_revoke(const wb_cli *cli, int argc, char **argv)
{
    wb_error err = {0};
    const char *at = NULL, *words[2] = {0};
    const wb_option options[] = {{.name = "--at", .text = &at}};
    wb_revocation r = {.from_s = wb_now(cli->clock) / WB_NS_PER_S};
    wb_exit code = wb_cli_parse(argc, argv, options, WB_COUNT(options), words, 2, 2);
    if (code != WB_EXIT_OK) return code;
    if (!wb_revoked_kind_parse(wb_slice_str(words[0]), &r.kind))
        return wb_cli_usage(argv[0], "what is revoked is a kid, a tth or an iss, not %.40s",
                            words[0]);
    if (at && !wb_input_seconds(argv[0], "--at", at, &r.from_s)) return WB_EXIT_USAGE;
    r.value = wb_slice_str(words[1]);
    code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    wb_status status = wb_make_dirs(cli->paths.state_dir, &err);
    if (status == WB_OK) status = wb_revoked_add(cli->paths.trust_dir, &r, &err);
    if (status != WB_OK) return refuse(status, &err);
    code = print_revocation(cli, &r);
    return wb_cli_reload_after(cli, code);
}

const char wb_trust_revoke_help[] =
    "Adds a line to trust.d/revoked.txt. From its time on these tokens are refused,\n"
    "and so are chains with one of them in it:\n"
    "\n"
    "  kid KEY_ID     everything that the key signed, whenever it says it did\n"
    "  tth HASH       one token, by its hash (waybill token inspect)\n"
    "  iss AGENT_ID   everything of that agent, whatever its keys\n"
    "\n"
    "  --at SECONDS   from when on (Unix time); without it, now\n"
    "\n"
    "To take a revocation back, remove its line from the file.\n"
    "A running sidecar is asked to reload.\n";

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

wb_exit wb_cli_trust_remove(const wb_cli *cli, int argc, char **argv)
{
    wb_error err = {0};
    const char *words[2] = {0};
    wb_exit code = wb_cli_parse(argc, argv, NULL, 0, words, 1, 2);
    if (code == WB_EXIT_OK) code = wb_input_agent_id(argv[0], words[0]);
    if (code == WB_EXIT_OK) code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    wb_slice kid = words[1] ? wb_slice_str(words[1]) : (wb_slice){0};
    wb_status status = wb_trust_remove(cli->paths.trust_dir, wb_slice_str(words[0]), kid, &err);
    if (status != WB_OK) return refuse(status, &err);
    code = print_removal(cli, words[0], words[1]);
    return wb_cli_reload_after(cli, code);
}

const char wb_trust_remove_help[] =
    "Without KEY_ID the agent is a stranger again: its tokens are unverified links,\n"
    "or refused if the trust mode requires a key. With KEY_ID that key alone goes;\n"
    "when it was the last, all tokens of the agent are refused.\n"
    "What stands in a *.bundle.json is changed there. To refuse what was signed\n"
    "already, see waybill trust revoke.\n"
    "\n"
    "A running sidecar is asked to reload.\n";
