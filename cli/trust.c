/* SPDX-License-Identifier: Apache-2.0 */
/* `trust add`, `trust list`: whose keys this instance believes. A key is believed because somebody ran
 * this, or laid a file down; never because a token named it. */
#include "propagation/trust.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/reload.h"
#include "propagation/token.h"

#include <stdio.h>

/* ---- add ------------------------------------------------------------------------------------ */

typedef struct add_line {
    const char *id, *not_before, *not_after, *word;
    wb_trust_key window; /* nbf and exp of every key added */
} add_line;

typedef struct added {
    size_t keys, known;
    wb_json_out json;
} added;

static wb_exit add_key(const wb_cli *cli, wb_slice id, const wb_trust_key *key, added *sum)
{
    wb_error err = {0};
    char kid[WB_HASH_B64 + 1];
    wb_ed25519_kid(key->x, kid);
    wb_status status = wb_trust_add(cli->paths.trust_dir, id, key, &err);
    if (status != WB_OK && status != WB_ERR_REJECTED)
        return wb_cli_fail(status == WB_ERR_MALFORMED ? WB_EXIT_NO : wb_cli_exit_of(status),
                           "trust", err.detail, NULL);
    bool is_new = status == WB_OK;
    *(is_new ? &sum->keys : &sum->known) += 1;
    if (!cli->json) {
        (void)printf("%s %s of ", is_new ? "added" : "known already:", kid);
        wb_print_safe(stdout, id);
        (void)printf("\n");
        return WB_EXIT_OK;
    }
    wb_json_open(&sum->json, NULL, '{');
    wb_json_text(&sum->json, "issuer", id);
    wb_json_text(&sum->json, "kid", wb_slice_str(kid));
    wb_json_bool(&sum->json, "added", is_new);
    wb_json_close(&sum->json, '}');
    return WB_EXIT_OK;
}

/* A trust file, a bundle, or what `key show --json` prints. */
static wb_exit add_file(const wb_cli *cli, const add_line *line, wb_slice text, added *sum)
{
    wb_error err = {0};
    WB_AUTO(wb_trust) trust = NULL;
    if (wb_trust_parse(text, &trust, &err) != WB_OK)
        return wb_cli_fail(WB_EXIT_NO, "trust file", err.detail, NULL);
    for (size_t i = 0; wb_trust_at(trust, i); i++) {
        const wb_trust_issuer *issuer = wb_trust_at(trust, i);
        if (line->id && !wb_slice_eq(issuer->id, wb_slice_str(line->id)))
            return wb_cli_fail(WB_EXIT_NO, "trust file", "it is another agent's than --id says",
                               NULL);
        for (size_t k = 0; k < issuer->n_keys; k++) {
            wb_trust_key key = issuer->keys[k];
            if (line->not_before) key.nbf = line->window.nbf;
            if (line->not_after) key.exp = line->window.exp;
            wb_exit code = add_key(cli, issuer->id, &key, sum);
            if (code != WB_EXIT_OK) return code;
        }
    }
    return WB_EXIT_OK;
}

/* "X" or "KID:X". */
static wb_exit add_bare(const wb_cli *cli, const add_line *line, wb_slice text, added *sum)
{
    wb_trust_key key = line->window;
    const uint8_t *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    wb_slice kid = colon ? wb_slice_of(text.ptr, (size_t)(colon - text.ptr)) : (wb_slice){0};
    wb_slice x = colon ? wb_slice_of(colon + 1, text.len - kid.len - 1) : text;
    if (!line->id) return wb_cli_usage("trust add", "a bare key wants --id AGENT_ID");
    if (wb_b64url_parse_exact(x, key.x, sizeof key.x) != WB_OK)
        return wb_cli_fail(WB_EXIT_NO, "trust", "neither a public key (43 characters), nor a file",
                           "see: waybill trust add --help");
    wb_ed25519_kid(key.x, key.kid);
    if (colon && !wb_slice_eq(kid, wb_slice_str(key.kid)))
        return wb_cli_fail(WB_EXIT_NO, "trust", "the key id is not this key's thumbprint", NULL);
    return add_key(cli, wb_slice_str(line->id), &key, sum);
}

static wb_exit read_add_line(int argc, char **argv, add_line *line)
{
    const wb_option options[] = {{.name = "--id", .text = &line->id},
                                 {.name = "--not-before", .text = &line->not_before},
                                 {.name = "--not-after", .text = &line->not_after}};
    line->window.exp = UINT64_MAX;
    wb_exit code = wb_cli_parse(argc, argv, options, WB_COUNT(options), &line->word, 1, 1);
    if (code != WB_EXIT_OK) return code;
    if (line->not_before &&
        !wb_input_seconds(argv[0], "--not-before", line->not_before, &line->window.nbf))
        return WB_EXIT_USAGE;
    if (line->not_after &&
        !wb_input_seconds(argv[0], "--not-after", line->not_after, &line->window.exp))
        return WB_EXIT_USAGE;
    if (line->id && !wb_agent_id_ok(wb_slice_str(line->id)))
        return wb_cli_usage(argv[0], "%.80s is no agent id (https:// or spiffe://, lower case)",
                            line->id);
    return wb_input_ready();
}

static wb_exit add_text(const wb_cli *cli, const add_line *line, wb_slice text)
{
    added sum = {0};
    wb_json_out_init(&sum.json);
    wb_json_open(&sum.json, NULL, '[');
    bool json = text.len > 0 && text.ptr[0] == '{';
    wb_exit code = json ? add_file(cli, line, text, &sum) : add_bare(cli, line, text, &sum);
    wb_json_close(&sum.json, ']');
    if (code == WB_EXIT_OK && cli->json) code = wb_json_out_finish(&sum.json, stdout);
    wb_json_out_done(&sum.json);
    if (code == WB_EXIT_OK && sum.keys == 0)
        return wb_cli_fail(WB_EXIT_NO, "trust", "nothing was added",
                           sum.known ? "the keys are known already" : "there is no key in it");
    return code;
}

static wb_exit trust_add(const wb_cli *cli, int argc, char **argv)
{
    WB_AUTO_BUFFER text;
    wb_error err = {0};
    add_line line = {0};
    wb_buffer_init(&text, 2 * WB_INPUT_MAX_BYTES);
    wb_exit code = read_add_line(argc, argv, &line);
    if (code != WB_EXIT_OK) return code;
    wb_status status = wb_input_read(line.word, &text, &err);
    if (status == WB_OK) status = wb_make_dirs(cli->paths.state_dir, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "trust", err.detail, NULL);
    code = add_text(cli, &line, wb_buffer_slice(&text));
    if (code == WB_EXIT_OK) wb_cli_reload_after(cli);
    return code;
}

/* ---- list ----------------------------------------------------------------------------------- */

static const char *when(uint64_t seconds, const char *never, char out[WB_TIME_TEXT])
{
    if (seconds == 0 || seconds > WB_NOLIM) return never;
    return wb_time_text(seconds > UINT64_MAX / WB_NS_PER_S ? 0 : seconds * WB_NS_PER_S, out);
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

static wb_exit list_json(const wb_cli *cli, const wb_trust *trust)
{
    wb_json_out out;
    wb_json_out_init(&out);
    wb_json_open(&out, NULL, '{');
    wb_json_text(&out, "directory", wb_slice_str(cli->paths.trust_dir));
    wb_json_open(&out, "issuers", '[');
    for (size_t i = 0; wb_trust_at(trust, i); i++) json_issuer(&out, wb_trust_at(trust, i));
    wb_json_close(&out, ']');
    wb_json_open(&out, "problems", '[');
    for (size_t i = 0; wb_trust_problem_at(trust, i); i++) {
        const wb_trust_problem *p = wb_trust_problem_at(trust, i);
        wb_json_open(&out, NULL, '{');
        wb_json_text(&out, "file", wb_slice_str(p->file));
        wb_json_text(&out, "reason", wb_slice_str(p->reason));
        wb_json_close(&out, '}');
    }
    wb_json_close(&out, ']');
    wb_json_close(&out, '}');
    wb_exit code = wb_json_out_finish(&out, stdout);
    wb_json_out_done(&out);
    return code;
}

static wb_exit trust_list(const wb_cli *cli, int argc, char **argv)
{
    wb_error err = {0};
    WB_AUTO(wb_trust) trust = NULL;
    wb_exit code = wb_cli_parse(argc, argv, NULL, 0, NULL, 0, 0);
    if (code == WB_EXIT_OK) code = wb_input_ready();
    if (code != WB_EXIT_OK) return code;
    wb_status status = wb_trust_load(cli->paths.trust_dir, NULL, &trust, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "trust", err.detail, NULL);
    if (cli->json)
        code = list_json(cli, trust);
    else
        list_text(cli, trust);
    for (size_t i = 0; wb_trust_problem_at(trust, i) && !cli->json; i++) {
        const wb_trust_problem *p = wb_trust_problem_at(trust, i);
        (void)wb_cli_fail(WB_EXIT_NO, p->file, p->reason, "the file is left out");
    }
    return code == WB_EXIT_OK && wb_trust_problems(trust) > 0 ? WB_EXIT_NO : code;
}

const wb_verb wb_trust_verbs[] = {
    {.name = "trust add",
     .synopsis = "[--id AGENT_ID] KEY | FILE | -",
     .summary = "Believe another agent's key",
     .help = "KEY is a public key, 43 characters, or KEY_ID:PUBLIC_KEY, and wants --id.\n"
             "FILE (- for standard input) is a trust file, a bundle, or what\n"
             "`waybill key show --json` prints; --id then only checks whose it is.\n"
             "\n"
             "  --id AGENT_ID         whose key it is, e.g. spiffe://example.org/writer\n"
             "  --not-before SECONDS  refuse tokens signed before (Unix time)\n"
             "  --not-after SECONDS   refuse tokens signed then or later\n"
             "\n"
             "A running sidecar is asked to reload.\n"
             "\n"
             "  waybill key show --json --name a | waybill trust add - --name b\n",
     .run = trust_add},
    {.name = "trust list",
     .synopsis = "",
     .summary = "List the agents whose keys are believed",
     .help = "Exit code 1 says that a file has a fault and was left out.\n",
     .run = trust_list},
    {0},
};
