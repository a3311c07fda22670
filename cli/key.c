/* SPDX-License-Identifier: Apache-2.0 */
/* `key new`, `key show`, `key rotate`, `key retire`: the instance's own keys. What is printed is public;
 * a seed never leaves the key ring. The JSON of `key show` is a trust file (TOKENS section 13) with a
 * few names beside it, so another agent's `trust add` takes it as it is. */
#include "cli/input.h"
#include "cli/output.h"
#include "cli/reload.h"
#include "propagation/rotation.h"
#include "propagation/token.h"

#include <errno.h>
#include <stdio.h>

typedef struct id_line {
    const char *id;
} id_line;

typedef struct rotate_line {
    bool force;
} rotate_line;

typedef struct retire_line {
    const char *kid;
    bool drop;
} retire_line;

/* ---- show ----------------------------------------------------------------------------------- */

static void json_key(wb_json_out *out, const wb_ring_key *k)
{
    char x[WB_HASH_B64 + 1];
    wb_b64url_format(wb_slice_of(k->key.x, sizeof k->key.x), x);
    wb_json_open(out, NULL, '{');
    wb_json_text(out, "kty", WB_S("OKP"));
    wb_json_text(out, "crv", WB_S("Ed25519"));
    wb_json_text(out, "x", wb_slice_str(x));
    wb_json_text(out, "kid", wb_slice_str(k->key.kid));
    wb_json_text(out, "use", WB_S("waybill"));
    if (k->key.nbf > 0) wb_json_number(out, "wb_nbf", k->key.nbf);
    if (k->key.exp != UINT64_MAX) wb_json_number(out, "wb_exp", k->key.exp);
    wb_json_text(out, "role", wb_slice_str(wb_key_role_name(k->role)));
    wb_json_number_or_null(out, "made", k->made_s);
    wb_json_close(out, '}');
}

static wb_exit print_json(const wb_cli *cli, const wb_key_ring *ring, const char *id)
{
    wb_json_out out;
    char file[WB_PATH_MAX + 16];
    (void)snprintf(file, sizeof file, "%s/" WB_KEY_CURRENT_FILE, cli->paths.keys_dir);
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "wb_iss", wb_slice_str(id));
    wb_json_number(&out, "spiffe_sequence", wb_key_ring_sequence(ring));
    wb_json_number(&out, "spiffe_refresh_hint", WB_TRUST_REFRESH_HINT_S);
    wb_json_open(&out, "keys", '[');
    for (size_t i = 0; wb_key_ring_at(ring, i); i++) json_key(&out, wb_key_ring_at(ring, i));
    wb_json_close(&out, ']');
    wb_json_text(&out, "name", wb_slice_str(cli->paths.name));
    wb_json_text(&out, "file", wb_slice_str(file));
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

static void print_table(const wb_cli *cli, const wb_key_ring *ring)
{
    static const char *const titles[] = {"ROLE", "KEY ID", "PUBLIC KEY", "MADE", "SIGNED BEFORE"};
    wb_table table;
    wb_table_init(&table, WB_COUNT(titles));
    for (size_t i = 0; i < WB_COUNT(titles); i++)
        wb_table_add(&table, WB_COLOR_BOLD, wb_slice_str(titles[i]));
    for (size_t i = 0; wb_key_ring_at(ring, i); i++) {
        const wb_ring_key *k = wb_key_ring_at(ring, i);
        char x[WB_HASH_B64 + 1], made[WB_TIME_TEXT], until[WB_TIME_TEXT];
        wb_b64url_format(wb_slice_of(k->key.x, sizeof k->key.x), x);
        wb_table_add(&table, k->role == WB_KEY_CURRENT ? WB_COLOR_GOOD : WB_COLOR_NONE,
                     wb_slice_str(wb_key_role_name(k->role)));
        wb_table_add(&table, WB_COLOR_NONE, wb_slice_str(k->key.kid));
        wb_table_add(&table, WB_COLOR_NONE, wb_slice_str(x));
        wb_table_add(&table, WB_COLOR_DIM, wb_slice_str(wb_seconds_text(k->made_s, made)));
        wb_table_add(
            &table, WB_COLOR_DIM,
            wb_slice_str(k->role == WB_KEY_RETIRED ? wb_seconds_text(k->key.exp, until) : "-"));
    }
    wb_table_print(&table, cli, stdout);
    wb_table_done(&table);
}

static wb_exit fail(wb_status status, const wb_error *err, const char *todo)
{
    if (status == WB_ERR_NOT_FOUND && !todo)
        todo = "make one with: waybill key new, or start the sidecar";
    if (status == WB_ERR_UNAVAILABLE && !todo && strstr(err->detail, strerrordesc_np(EROFS)))
        todo = "mounted keys are changed where they are made: docs/trust.md";
    return wb_cli_fail(wb_cli_exit_of(status), "key", err->detail, todo);
}

static wb_exit open_and_print(const wb_cli *cli, const char *chosen_id)
{
    wb_error err = {0};
    char id[WB_SELF_ID_MAX + 1];
    WB_AUTO(wb_key_ring) ring = NULL;
    wb_status status = wb_key_ring_open(cli->paths.keys_dir, &ring, &err);
    if (status != WB_OK) return fail(status, &err, NULL);
    wb_input_self_id(cli, chosen_id, id);
    if (cli->json) return print_json(cli, ring, id);
    (void)printf("agent id   ");
    wb_print_safe(stdout, wb_slice_str(id));
    (void)printf("\ndirectory  ");
    wb_print_safe(stdout, wb_slice_str(cli->paths.keys_dir));
    (void)printf("\n\n");
    print_table(cli, ring);
    return WB_EXIT_OK;
}

static wb_exit ready(const wb_cli *cli, const id_line *line)
{
    wb_exit code = wb_input_agent_id(cli, line->id);
    return code == WB_EXIT_OK ? wb_input_ready() : code;
}

static wb_exit key_new(const wb_cli *cli, const void *given)
{
    const id_line *line = given;
    wb_error err = {0};
    wb_exit code = ready(cli, line);
    if (code != WB_EXIT_OK) return code;
    wb_status status = wb_make_dirs(cli->paths.state_dir, &err);
    if (status == WB_OK) status = wb_key_new(cli->paths.keys_dir, &err);
    if (status == WB_ERR_REJECTED)
        return wb_cli_fail(WB_EXIT_NO, "key", "there is a key already",
                           "it is never overwritten: see waybill key show, waybill key rotate");
    if (status != WB_OK) return fail(status, &err, NULL);
    return open_and_print(cli, line->id);
}

static wb_exit key_show(const wb_cli *cli, const void *given)
{
    const id_line *line = given;
    wb_exit code = ready(cli, line);
    return code == WB_EXIT_OK ? open_and_print(cli, line->id) : code;
}

/* ---- rotate, retire ------------------------------------------------------------------------- */

static const char *const step_names[] = {"made_next", "too_early", "promoted"};

static wb_exit rotation_json(const wb_rotation *r)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "step", wb_slice_str(step_names[r->step]));
    wb_json_text(&out, "current", wb_slice_str(r->current_kid));
    wb_json_text_or_null(&out, "next", wb_slice_str(r->next_kid));
    wb_json_text_or_null(&out, "retired", wb_slice_str(r->retired_kid));
    wb_json_number_or_null(&out, "next_may_sign", r->step == WB_ROTATION_PROMOTED ? 0 : r->ready_s);
    wb_json_number_or_null(&out, "retired_until", r->retired_exp_s);
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

static void rotation_text(const wb_rotation *r)
{
    char text[WB_TIME_TEXT];
    switch (r->step) {
    case WB_ROTATION_MADE_NEXT:
        (void)printf("made the next key %s\n"
                     "publish it now:        waybill trust bundle, to every peer\n"
                     "let it sign, at last:  waybill key rotate, from %s on\n",
                     r->next_kid, wb_seconds_text(r->ready_s, text));
        break;
    case WB_ROTATION_TOO_EARLY: break;
    case WB_ROTATION_PROMOTED:
        (void)printf("%s signs now\n%s is retired; what it signs before %s counts\n",
                     r->current_kid, r->retired_kid, wb_seconds_text(r->retired_exp_s, text));
        break;
    }
}

static wb_exit key_rotate(const wb_cli *cli, const void *given)
{
    const rotate_line *line = given;
    wb_error err = {0};
    wb_rotation r;
    char text[WB_TIME_TEXT], why[160];
    wb_exit code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    wb_status status =
        wb_key_rotate(cli->paths.keys_dir, wb_now(cli->clock) / WB_NS_PER_S, line->force, &r, &err);
    if (status == WB_ERR_FULL)
        return fail(status, &err, "forget old ones: waybill key retire --drop KEY_ID");
    if (status != WB_OK) return fail(status, &err, NULL);
    if (cli->json && rotation_json(&r) != WB_EXIT_OK) return WB_EXIT_FAILURE;
    if (!cli->json) rotation_text(&r);
    if (r.step != WB_ROTATION_TOO_EARLY) {
        return wb_cli_reload_after(cli, WB_EXIT_OK);
    }
    (void)snprintf(why, sizeof why, "the next key may not sign before %s",
                   wb_seconds_text(r.ready_s, text));
    return wb_cli_fail(WB_EXIT_NO, "key", why, "peers must have seen it, or say --force");
}

static wb_exit retired_json(const char *kid, wb_key_role was, bool drop)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "kid", wb_slice_str(kid));
    wb_json_text(&out, "was", wb_slice_str(wb_key_role_name(was)));
    wb_json_bool(&out, "dropped", drop);
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

static wb_exit key_retire(const wb_cli *cli, const void *given)
{
    const retire_line *line = given;
    const char *kid = line->kid;
    wb_error err = {0};
    wb_key_role was;
    wb_exit code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    wb_status status = wb_key_retire(cli->paths.keys_dir, kid, wb_now(cli->clock) / WB_NS_PER_S,
                                     line->drop, &was, &err);
    if (status == WB_ERR_REJECTED)
        return fail(status, &err, "let another sign: waybill key rotate");
    if (status == WB_ERR_NOT_FOUND) return fail(status, &err, "see: waybill key show");
    if (status != WB_OK) return fail(status, &err, NULL);
    code = cli->json ? retired_json(kid, was, line->drop) : WB_EXIT_OK;
    if (!cli->json)
        (void)printf("%s, which was %s, is %s\n", kid, wb_key_role_name(was),
                     line->drop ? "forgotten: nothing that it signed can be checked any more"
                                : "retired: what it signs from now on does not count");
    return wb_cli_reload_after(cli, code);
}

static const wb_option id_options[] = {
    {.name = "--id",
     .value = "AGENT_ID",
     WB_INTO_TEXT(id_line, id),
     .help = "the agent id to print beside the keys; without it, what the running sidecar says, "
             "else the default of its name"},
    {0},
};

static const wb_option rotate_options[] = {
    {.name = "--force",
     WB_INTO_FLAG(rotate_line, force),
     .help = "let it sign at once, and make it first if there is none. Peers that do not have it "
             "yet take its tokens for a stranger's"},
    {0},
};

static const wb_option retire_options[] = {
    {.name = "--drop",
     WB_INTO_FLAG(retire_line, drop),
     .help = "forget the key: nothing that it signed can be checked any more"},
    {.value = "KEY_ID", WB_INTO_TEXT(retire_line, kid), .help = "as `waybill key show` says"},
    {0},
};

const wb_verb wb_key_verbs[] = {
    {.name = "key new",
     .summary = "Make this instance's signing key",
     .options = id_options,
     .help = "The sidecar makes a key by itself at its first start; this makes it before.\n",
     .no = "there is a key already, which is never overwritten",
     .json = "as key show",
     .run = key_new},
    {.name = "key show",
     .summary = "Show this instance's public keys",
     .options = id_options,
     .help = "current signs, next will, retired ones signed once. `trust add` takes what --json\n"
             "prints.\n",
     .examples = "waybill key show --json --name a | waybill trust add - --name b\n",
     .no = "there is no key",
     .json = "a trust file; each key has role (current, next, retired) and made; beside it name "
             "and file",
     .run = key_show},
    {.name = "key rotate",
     .summary = "Make the next key, then let it sign",
     .options = rotate_options,
     .help = "The first call makes a next key, which you publish (waybill trust bundle). A\n"
             "call at least ten minutes later lets it sign and retires the one before, whose\n"
             "tokens and receipts can still be checked. Earlier calls do nothing.\n",
     .no = "it is too early, or there is no key",
     .json = "{step, current, next, retired, next_may_sign, retired_until}; step is one of "
             "made_next, too_early, promoted",
     .run = key_rotate},
    {.name = "key retire",
     .summary = "End a retired key, or withdraw the next one",
     .options = retire_options,
     .help = "From now on nothing that the key signs counts here, nor at peers once they have\n"
             "the new `waybill trust bundle`. What it signed before can still be checked. For\n"
             "a key that was stolen, see also: waybill trust revoke kid\n",
     .no = "there is no such key, or it is the one that signs",
     .json = "{kid, was, dropped}",
     .run = key_retire},
    {0},
};
