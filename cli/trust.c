/* SPDX-License-Identifier: Apache-2.0 */
/* `trust list`: whose keys this instance believes, and what it believes no longer; and the table of all
 * verbs of `trust`. */
#include "cli/trust.h"

#include "cli/input.h"
#include "cli/output.h"
#include "propagation/revoked.h"
#include "propagation/token.h"
#include "propagation/trust.h"

#include <stdio.h>

static const char *when(uint64_t seconds, const char *never, char out[WB_TIME_TEXT])
{
    if (seconds == 0 || seconds > WB_NOLIM) return never;
    return wb_seconds_text(seconds, out);
}

static void add_rows(wb_table *table, const wb_trust_issuer *issuer)
{
    char text[WB_TIME_TEXT];
    for (size_t k = 0; k < issuer->n_keys; k++) {
        wb_table_add(table, WB_COLOR_NONE, issuer->id);
        wb_table_add(table, WB_COLOR_NONE, wb_slice_str(issuer->keys[k].kid));
        wb_table_add(table, WB_COLOR_DIM, wb_slice_str(when(issuer->keys[k].nbf, "-", text)));
        wb_table_add(table, WB_COLOR_DIM, wb_slice_str(when(issuer->keys[k].exp, "-", text)));
    }
    if (issuer->n_keys > 0) return;
    wb_table_add(table, WB_COLOR_NONE, issuer->id);
    wb_table_add(table, WB_COLOR_BAD, WB_S("none: all its tokens are refused"));
    wb_table_add(table, WB_COLOR_DIM, WB_S("-"));
    wb_table_add(table, WB_COLOR_DIM, WB_S("-"));
}

static void list_text(const wb_cli *cli, const wb_trust *trust)
{
    static const char *const titles[] = {"ISSUER", "KEY ID", "FROM", "UNTIL"};
    wb_table table;
    wb_table_init(&table, WB_COUNT(titles));
    for (size_t i = 0; i < WB_COUNT(titles); i++)
        wb_table_add(&table, WB_COLOR_BOLD, wb_slice_str(titles[i]));
    for (size_t i = 0; wb_trust_at(trust, i); i++) add_rows(&table, wb_trust_at(trust, i));
    if (wb_trust_at(trust, 0))
        wb_table_print(&table, cli, stdout);
    else
        (void)printf("nobody is trusted\n");
    wb_table_done(&table);
}

static void json_issuer(wb_json_out *out, const wb_trust_issuer *issuer)
{
    wb_json_open(out, NULL, '{');
    wb_json_text(out, "issuer", issuer->id);
    wb_json_number(out, "sequence", issuer->sequence);
    wb_json_open(out, "keys", '[');
    for (size_t k = 0; k < issuer->n_keys; k++) {
        const wb_trust_key *key = &issuer->keys[k];
        char x[WB_HASH_B64 + 1];
        wb_b64url_format(wb_slice_of(key->x, sizeof key->x), x);
        wb_json_open(out, NULL, '{');
        wb_json_text(out, "kid", wb_slice_str(key->kid));
        wb_json_text(out, "x", wb_slice_str(x));
        wb_json_number_or_null(out, "not_before", key->nbf);
        wb_json_number_or_null(out, "not_after", key->exp == UINT64_MAX ? 0 : key->exp);
        wb_json_close(out, '}');
    }
    wb_json_close(out, ']');
    wb_json_close(out, '}');
}

static void json_revoked(wb_json_out *out, const wb_revoked *revoked)
{
    wb_json_open(out, "revoked", '[');
    for (size_t i = 0; i < wb_revoked_count(revoked); i++) {
        wb_revocation r = wb_revoked_at(revoked, i);
        wb_json_open(out, NULL, '{');
        wb_json_text(out, "kind", wb_slice_str(wb_revoked_kind_name(r.kind)));
        wb_json_text(out, "value", r.value);
        wb_json_number(out, "from", r.from_s);
        wb_json_close(out, '}');
    }
    wb_json_close(out, ']');
}

static void json_problem(wb_json_out *out, const char *file, const char *reason)
{
    wb_json_open(out, NULL, '{');
    wb_json_text(out, "file", wb_slice_str(file));
    wb_json_text(out, "reason", wb_slice_str(reason));
    wb_json_close(out, '}');
}

/* All that `trust list` shows. */
typedef struct listing {
    wb_trust *trust;        /* owned */
    wb_revoked *revoked;    /* owned; NULL: the file is faulty */
    wb_error revoked_fault; /* why, or that it is gone; OK: neither */
} listing;

/* No list on disk, and the running sidecar holds to one: what is shown is not what is in force. */
static void look_for_gone(const wb_cli *cli, listing *l)
{
    uint64_t n;
    if (wb_revoked_is_laid(l->revoked) || wb_cli_trust_held(cli, &n) != WB_TRUST_HELD_SOME) return;
    (void)!wb_fail(&l->revoked_fault, WB_ERR_NOT_FOUND,
                   "it is gone, and the running sidecar holds to its %llu revocations, which are "
                   "not shown",
                   (unsigned long long)n);
}

static wb_exit list_json(const wb_cli *cli, const listing *l)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "directory", wb_slice_str(cli->paths.trust_dir));
    wb_json_open(&out, "issuers", '[');
    for (size_t i = 0; wb_trust_at(l->trust, i); i++) json_issuer(&out, wb_trust_at(l->trust, i));
    wb_json_close(&out, ']');
    json_revoked(&out, l->revoked);
    wb_json_open(&out, "problems", '[');
    for (size_t i = 0; wb_trust_problem_at(l->trust, i); i++) {
        const wb_trust_problem *p = wb_trust_problem_at(l->trust, i);
        json_problem(&out, p->file, p->reason);
    }
    if (l->revoked_fault.status != WB_OK)
        json_problem(&out, WB_REVOKED_FILE, l->revoked_fault.detail);
    wb_json_close(&out, ']');
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

static void revoked_text(const wb_cli *cli, const wb_revoked *revoked)
{
    static const char *const titles[] = {"REVOKED", "WHAT", "FROM"};
    wb_table table;
    if (wb_revoked_count(revoked) == 0) return;
    wb_table_init(&table, WB_COUNT(titles));
    for (size_t i = 0; i < WB_COUNT(titles); i++)
        wb_table_add(&table, WB_COLOR_BOLD, wb_slice_str(titles[i]));
    for (size_t i = 0; i < wb_revoked_count(revoked); i++) {
        wb_revocation r = wb_revoked_at(revoked, i);
        char text[WB_TIME_TEXT];
        wb_table_add(&table, WB_COLOR_BAD, wb_slice_str(wb_revoked_kind_name(r.kind)));
        wb_table_add(&table, WB_COLOR_NONE, r.value);
        wb_table_add(&table, WB_COLOR_DIM, wb_slice_str(when(r.from_s, "ever", text)));
    }
    (void)printf("\n");
    wb_table_print(&table, cli, stdout);
    wb_table_done(&table);
}

static wb_exit list_problems(const listing *l)
{
    for (size_t i = 0; wb_trust_problem_at(l->trust, i); i++) {
        const wb_trust_problem *p = wb_trust_problem_at(l->trust, i);
        (void)wb_cli_fail(WB_EXIT_NO, p->file, p->reason, "the file is left out");
    }
    if (l->revoked_fault.status == WB_OK)
        return wb_trust_problems(l->trust) > 0 ? WB_EXIT_NO : WB_EXIT_OK;
    return wb_cli_fail(WB_EXIT_NO, WB_REVOKED_FILE, l->revoked_fault.detail,
                       l->revoked ? "lay it down again, from a copy, or an empty one to lift all"
                                  : "no sidecar starts with it");
}

static wb_exit list(const wb_cli *cli, listing *l)
{
    wb_error err = {0};
    wb_status status = wb_trust_load(cli->paths.trust_dir, NULL, &l->trust, &err);
    if (status == WB_OK)
        status = wb_revoked_load(cli->paths.trust_dir, &l->revoked, &l->revoked_fault);
    if (!l->trust || (status != WB_OK && status != WB_ERR_CONFIG && status != WB_ERR_FULL))
        return wb_cli_fail(wb_cli_exit_of(status), "trust",
                           l->trust ? l->revoked_fault.detail : err.detail, NULL);
    if (l->revoked) look_for_gone(cli, l);
    if (cli->json) {
        wb_exit code = list_json(cli, l);
        if (code != WB_EXIT_OK) return code;
        return l->revoked_fault.status == WB_OK && wb_trust_problems(l->trust) == 0 ? WB_EXIT_OK
                                                                                    : WB_EXIT_NO;
    }
    list_text(cli, l->trust);
    revoked_text(cli, l->revoked);
    return list_problems(l);
}

static wb_exit trust_list(const wb_cli *cli, const void *line)
{
    listing l = {0};
    (void)line;
    wb_exit code = wb_input_ready();
    if (code == WB_EXIT_OK) code = list(cli, &l);
    wb_trust_free(l.trust);
    wb_revoked_free(l.revoked);
    return code;
}

const wb_verb wb_trust_verbs[] = {
    {.name = "trust add",
     .summary = "Believe another agent's keys",
     .options = wb_trust_add_options,
     .help = "KEY is a public key, 43 characters, or KEY_ID:PUBLIC_KEY, and wants --id; it\n"
             "joins the keys that are believed of that agent.\n"
             "\n"
             "FILE (- for standard input) is a trust file, a bundle of many, or what `waybill\n"
             "key show --json` or `waybill trust bundle` prints; --id then only checks whose\n"
             "it is. It says all keys of its issuer: what it leaves out is believed no more.\n"
             "A file older than the one believed is refused.\n"
             "\n"
             "A running sidecar is asked to reload.\n",
     .examples = "waybill trust add theirs.json --name a\n",
     .no = "refused, or all of it is known already",
     .json = "an array of {issuer, kid, added, change}; change is one of \"added\", \"known "
             "already\", \"changed its window\", \"dropped\"",
     .run = wb_cli_trust_add},
    {.name = "trust remove",
     .summary = "Believe an agent, or one of its keys, no longer",
     .options = wb_trust_remove_options,
     .help = "Without KEY_ID the agent is a stranger again: its tokens are unverified links,\n"
             "or refused if the trust mode requires a key. With KEY_ID that key alone goes;\n"
             "when it was the last, all tokens of the agent are refused.\n"
             "What stands in a *.bundle.json is changed there. To refuse what was signed\n"
             "already, see waybill trust revoke.\n"
             "\n"
             "A running sidecar is asked to reload.\n",
     .no = "it was not believed",
     .json = "{issuer, kid}",
     .run = wb_cli_trust_remove},
    {.name = "trust revoke",
     .summary = "Refuse what a key, a token or an agent says",
     .options = wb_trust_revoke_options,
     .help = "Adds a line to trust.d/revoked.txt. From its time on these tokens are refused,\n"
             "and so are chains with one of them in it:\n"
             "  kid KEY_ID     everything that the key signed, whenever it says it did\n"
             "  tth HASH       one token, by its hash (waybill token inspect)\n"
             "  iss AGENT_ID   everything of that agent, whatever its keys\n"
             "\n"
             "To take a revocation back, remove its line from the file. Where the file is gone\n"
             "and a running sidecar holds to what it said, nothing is added (exit code 3): a\n"
             "new list would lift the old one. A running sidecar is asked to reload.\n",
     .json = "{kind, value, from}",
     .run = wb_cli_trust_revoke},
    {.name = "trust policy",
     .summary = "Show what holds for an agent's tokens, and why",
     .options = wb_trust_policy_options,
     .help = "What the running sidecar does with tokens of AGENT_ID, or of each agent with a\n"
             "key or an entry in trust.policies; and where each field comes from:\n"
             "  default            nobody said anything\n"
             "  own trust domain   the agent is of this agent's SPIFFE trust domain\n"
             "  trust.mode         the general mode, or mode enforce (require)\n"
             "  entry              the agent's own entry in trust.policies\n"
             "Exit code 3: no sidecar answers.\n",
     .json = "an array of {agent_id, verdict, chain, mode, require, carry}, each field {value, "
             "from}",
     .run = wb_cli_trust_policy},
    {.name = "trust list",
     .summary = "List the agents whose keys are believed, and what is revoked",
     .options = wb_cli_no_options,
     .no = "a file has a fault: a trust file is left out, with a broken revoked.txt no sidecar "
           "starts; or revoked.txt is gone and a running sidecar holds to what it said",
     .json = "{directory, issuers, revoked, problems}",
     .run = trust_list},
    {.name = "trust bundle",
     .summary = "Print this agent's public keys for its peers",
     .options = wb_trust_bundle_options,
     .help = "Prints this agent's current, next and retired public keys as a trust file, for\n"
             "each of its ids: what a peer gives to `waybill trust add` or lays down in its\n"
             "trust.d. With several issuers it is a bundle, which belongs into a file named\n"
             "*.bundle.json.\n",
     .examples = "waybill trust bundle --name a >a.json\n",
     .no = "there is no key",
     .json = "the same, for it is JSON anyway",
     .run = wb_cli_trust_bundle},
    {0},
};
