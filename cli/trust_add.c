/* SPDX-License-Identifier: Apache-2.0 */
/* `trust add`: a key is believed because somebody ran this, or laid a file down; never because a token
 * named it. A bare key joins those of its issuer. A trust file is all that its issuer publishes, so it
 * takes the place of what was believed: that is how a rotation, a window and a dropped key arrive. */
#include "cli/input.h"
#include "cli/output.h"
#include "cli/reload.h"
#include "cli/trust.h"
#include "propagation/token.h"
#include "propagation/trust.h"

#include <stdio.h>

typedef struct add_line {
    const char *id, *word;
    uint64_t not_before, not_after; /* of every key added */
} add_line;

typedef struct added {
    const wb_cli *cli;
    size_t changes, known;
    wb_json_out json;
} added;

/* What became of one key. */
static void say(added *sum, wb_slice id, const char *kid, const char *what)
{
    bool known = strcmp(what, "known already") == 0;
    *(known ? &sum->known : &sum->changes) += 1;
    if (!sum->cli->json) {
        (void)printf("%s: %s of ", what, kid);
        wb_print_safe(stdout, id);
        (void)printf("\n");
        return;
    }
    wb_json_open(&sum->json, NULL, '{');
    wb_json_text(&sum->json, "issuer", id);
    wb_json_text(&sum->json, "kid", wb_slice_str(kid));
    wb_json_bool(&sum->json, "added", strcmp(what, "added") == 0);
    wb_json_text(&sum->json, "change", wb_slice_str(what));
    wb_json_close(&sum->json, '}');
}

static wb_exit refuse(wb_status status, const wb_error *err)
{
    return wb_cli_fail(status == WB_ERR_MALFORMED ? WB_EXIT_NO : wb_cli_exit_of(status), "trust",
                       err->detail,
                       status == WB_ERR_REJECTED ? "to believe it anyway: waybill trust remove, "
                                                   "then add again"
                                                 : NULL);
}

/* ---- a file --------------------------------------------------------------------------------- */

static bool same_window(const wb_trust_key *a, const wb_trust_key *b)
{
    return a->nbf == b->nbf && a->exp == b->exp;
}

/* How the keys of `after` differ from those of `before` (NULL: an issuer that is new). */
static void say_changes(added *sum, const wb_trust_issuer *before, const wb_trust_issuer *after)
{
    for (size_t i = 0; i < after->n_keys; i++) {
        wb_slice kid = wb_slice_str(after->keys[i].kid);
        const wb_trust_key *old = before ? wb_trust_key_find(before, kid) : NULL;
        say(sum, after->id, after->keys[i].kid,
            !old                                ? "added"
            : same_window(old, &after->keys[i]) ? "known already"
                                                : "changed its window");
    }
    for (size_t i = 0; before && i < before->n_keys; i++)
        if (!wb_trust_key_find(after, wb_slice_str(before->keys[i].kid)))
            say(sum, after->id, before->keys[i].kid, "dropped");
}

static wb_exit add_issuer(const wb_cli *cli, const add_line *line, const wb_trust_issuer *found,
                          const wb_trust *present, added *sum)
{
    wb_error err = {0};
    wb_trust_key keys[WB_TRUST_KEYS_MAX];
    wb_trust_issuer issuer = *found;
    const wb_trust_issuer *before = wb_trust_find(present, issuer.id);
    if (line->id && !wb_slice_eq(issuer.id, wb_slice_str(line->id)))
        return wb_cli_fail(WB_EXIT_NO, "trust file", "it is another agent's than --id says", NULL);
    if (issuer.n_keys == 0 && !before) return WB_EXIT_OK; /* said at the end */
    for (size_t i = 0; i < issuer.n_keys; i++) {
        keys[i] = issuer.keys[i];
        if (line->not_before != WB_OPTION_UNSET) keys[i].nbf = line->not_before;
        if (line->not_after != WB_OPTION_UNSET) keys[i].exp = line->not_after;
    }
    issuer.keys = keys;
    wb_status status = wb_trust_put(cli->paths.trust_dir, &issuer, &err);
    if (status != WB_OK) return refuse(status, &err);
    say_changes(sum, before, &issuer);
    return WB_EXIT_OK;
}

/* A trust file, a bundle, or what `key show --json` prints. */
static wb_exit add_file(const wb_cli *cli, const add_line *line, wb_slice text, added *sum)
{
    wb_error err = {0};
    WB_AUTO(wb_trust) trust = NULL;
    WB_AUTO(wb_trust) present = NULL;
    if (wb_trust_parse(text, &trust, &err) != WB_OK)
        return wb_cli_fail(WB_EXIT_NO, "trust file", err.detail, NULL);
    wb_status status = wb_trust_load(cli->paths.trust_dir, NULL, &present, &err);
    if (status != WB_OK) return refuse(status, &err);
    for (size_t i = 0; wb_trust_at(trust, i); i++) {
        wb_exit code = add_issuer(cli, line, wb_trust_at(trust, i), present, sum);
        if (code != WB_EXIT_OK) return code;
    }
    return WB_EXIT_OK;
}

/* ---- a key ---------------------------------------------------------------------------------- */

static wb_exit add_key(const wb_cli *cli, const add_line *line, const wb_trust_key *key, added *sum)
{
    wb_error err = {0};
    wb_slice id = wb_slice_str(line->id);
    WB_AUTO(wb_trust) present = NULL;
    wb_status status = wb_trust_load(cli->paths.trust_dir, NULL, &present, &err);
    if (status != WB_OK) return refuse(status, &err);
    const wb_trust_issuer *before = wb_trust_find(present, id);
    bool known = before && wb_trust_key_find(before, wb_slice_str(key->kid));
    status = wb_trust_add(cli->paths.trust_dir, id, key, &err);
    if (status != WB_OK && status != WB_ERR_REJECTED) return refuse(status, &err);
    say(sum, id, key->kid,
        status == WB_ERR_REJECTED ? "known already"
        : known                   ? "changed its window"
                                  : "added");
    return WB_EXIT_OK;
}

/* "X" or "KID:X". */
static wb_exit add_bare(const wb_cli *cli, const add_line *line, wb_slice text, added *sum)
{
    wb_trust_key key = {.nbf = line->not_before == WB_OPTION_UNSET ? 0 : line->not_before,
                        .exp = line->not_after}; /* not given: for ever */
    const uint8_t *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    wb_slice kid = colon ? wb_slice_of(text.ptr, (size_t)(colon - text.ptr)) : (wb_slice){0};
    wb_slice x = colon ? wb_slice_of(colon + 1, text.len - kid.len - 1) : text;
    if (wb_b64url_parse_exact(x, key.x, sizeof key.x) != WB_OK)
        return wb_cli_fail(WB_EXIT_NO, "trust", "neither a public key (43 characters), nor a file",
                           "see: waybill trust add --help");
    if (!line->id) return wb_cli_usage(cli, "a bare key wants --id AGENT_ID");
    wb_ed25519_kid(key.x, key.kid);
    if (colon && !wb_slice_eq(kid, wb_slice_str(key.kid)))
        return wb_cli_fail(WB_EXIT_NO, "trust", "the key id is not this key's thumbprint", NULL);
    return add_key(cli, line, &key, sum);
}

/* ---- the command line ----------------------------------------------------------------------- */

static wb_exit check_line(const wb_cli *cli, const add_line *line)
{
    bool both = line->not_before != WB_OPTION_UNSET && line->not_after != WB_OPTION_UNSET;
    if (line->not_after == 0 || (both && line->not_before >= line->not_after))
        return wb_cli_usage(cli, "--not-after must be later than --not-before");
    wb_exit code = wb_input_agent_id(cli, line->id);
    return code == WB_EXIT_OK ? wb_input_ready() : code;
}

static wb_exit add_text(const wb_cli *cli, const add_line *line, wb_slice text)
{
    added sum = {.cli = cli};
    wb_json_out_init(&sum.json);
    wb_json_open(&sum.json, NULL, '[');
    bool json = text.len > 0 && text.ptr[0] == '{';
    wb_exit code = json ? add_file(cli, line, text, &sum) : add_bare(cli, line, text, &sum);
    wb_json_close(&sum.json, ']');
    if (code == WB_EXIT_OK && cli->json) code = wb_json_out_finish(&sum.json, stdout);
    wb_json_out_done(&sum.json);
    if (code == WB_EXIT_OK && sum.changes == 0)
        return wb_cli_fail(WB_EXIT_NO, "trust", "nothing was added",
                           sum.known ? "the keys are known already" : "there is no key in it");
    if (code == WB_EXIT_OK) code = wb_cli_reload_after(cli, code);
    return code;
}

wb_exit wb_cli_trust_add(const wb_cli *cli, const void *given)
{
    const add_line *line = given;
    WB_AUTO_BUFFER text;
    wb_error err = {0};
    wb_buffer_init(&text, 2 * WB_INPUT_MAX_BYTES);
    wb_exit code = check_line(cli, line);
    if (code != WB_EXIT_OK) return code;
    wb_status status = wb_input_read(line->word, &text, &err);
    if (status == WB_OK) status = wb_make_dirs(cli->paths.state_dir, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "trust", err.detail, NULL);
    return add_text(cli, line, wb_buffer_slice(&text));
}

const wb_option wb_trust_add_options[] = {
    {.name = "--id",
     .value = "AGENT_ID",
     WB_INTO_TEXT(add_line, id),
     .help = "whose key it is, e.g. spiffe://example.org/writer"},
    {.name = "--not-before",
     .value = "SECONDS",
     WB_INTO_NUMBER(add_line, not_before),
     .max = WB_INPUT_SECONDS_MAX,
     .help = "refuse tokens signed before (Unix time)"},
    {.name = "--not-after",
     .value = "SECONDS",
     WB_INTO_NUMBER(add_line, not_after),
     .max = WB_INPUT_SECONDS_MAX,
     .help = "refuse tokens signed then or later"},
    {.value = "KEY | FILE | -",
     WB_INTO_TEXT(add_line, word),
     .hint = WB_HINT_FILE,
     .help = "what is believed; - is standard input"},
    {0},
};
