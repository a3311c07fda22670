/* SPDX-License-Identifier: Apache-2.0 */
/* `token inspect`: what tokens say, believed or not. One token, several in a row, or the JSON around
 * them is taken: a carrier, a message's metadata, an array. Only the tokens are taken out of the JSON;
 * the exact shape of a carrier is the receiving sidecar's to judge. */
#include "cli/token.h"

#include "core/json.h"

#include <stdio.h>

enum { ARENA_BYTES = 4 * 1024 * 1024 };

typedef struct inspect_line {
    const char *word;
} inspect_line;

/* ---- what was given ------------------------------------------------------------------------- */

static const wb_json *chain_of(const wb_json *root)
{
    const wb_json *carrier = wb_json_member(root, WB_S(WB_EXTENSION_URI));
    const wb_json *metadata = wb_json_member(root, WB_S("metadata"));
    if (!carrier) carrier = wb_json_member(metadata, WB_S(WB_EXTENSION_URI));
    if (!carrier) carrier = root;
    return wb_json_member(carrier, WB_S("chain"));
}

static wb_status take_json(wb_slice text, wb_arena *arena, wb_chain *out, wb_error *err)
{
    static const wb_json_limits limits = {.depth = 16,
                                          .members = 256,
                                          .elements = 256,
                                          .string_bytes = WB_INPUT_MAX_BYTES,
                                          .any_number = true};
    const wb_json *root = NULL;
    wb_json_fault fault;
    WB_TRY(wb_json_parse(text, &limits, arena, &root, &fault));
    if (fault != WB_JSON_NO_FAULT)
        return wb_fail(err, WB_ERR_REJECTED, "%s", wb_json_fault_text(fault));
    const wb_json *chain = chain_of(root);
    if (!chain || chain->type != WB_JSON_ARRAY)
        return wb_fail(err, WB_ERR_REJECTED, "the JSON holds no chain of tokens");
    for (const wb_json *link = chain->first; link; link = link->next, out->n++)
        if (link->type == WB_JSON_STRING && out->n < WB_CHAIN_MAX_LINKS)
            out->links[out->n] = link->text;
    return WB_OK;
}

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void take_words(wb_slice text, wb_chain *out)
{
    size_t i = 0;
    while (i < text.len) {
        size_t start = i;
        while (i < text.len && !is_space(text.ptr[i])) i++;
        if (out->n < WB_CHAIN_MAX_LINKS)
            out->links[out->n] = wb_slice_of(text.ptr + start, i - start);
        out->n++;
        while (i < text.len && is_space(text.ptr[i])) i++;
    }
}

/* A JSON array has no reader of its own here: it becomes the member of an object. */
static wb_status take_chain(wb_slice text, wb_arena *arena, wb_chain *out, wb_error *err)
{
    *out = (wb_chain){0};
    if (text.len == 0) return wb_fail(err, WB_ERR_REJECTED, "nothing was given");
    if (text.ptr[0] == '{') return take_json(text, arena, out, err);
    if (text.ptr[0] == '[') {
        const char *wrapped = wb_arena_printf(arena, "{\"chain\":%.*s}", WB_SLICE_ARG(text));
        if (!wrapped) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the tokens");
        return take_json(wb_slice_str(wrapped), arena, out, err);
    }
    take_words(text, out);
    return WB_OK;
}

void wb_tokens_done(wb_tokens *t)
{
    wb_arena_free(t->arena);
    wb_buffer_done(&t->text);
}

wb_exit wb_tokens_read(const char *word, wb_tokens *t)
{
    wb_error err = {0};
    wb_buffer_init(&t->text, 2 * WB_INPUT_MAX_BYTES);
    t->arena = wb_arena_new(ARENA_BYTES);
    if (!t->arena) return wb_cli_fail(WB_EXIT_FAILURE, "token", "no memory", NULL);
    wb_status status = wb_input_read(word, &t->text, &err);
    if (status == WB_OK) status = take_chain(wb_buffer_slice(&t->text), t->arena, &t->chain, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "token", err.detail, NULL);
    return WB_EXIT_OK;
}

/* ---- one token, printed --------------------------------------------------------------------- */

static wb_slice b64_text(const uint8_t *bytes, size_t len, char out[WB_HASH_B64 + 1])
{
    wb_b64url_format(wb_slice_of(bytes, len), out);
    return wb_slice_str(out);
}

static void json_limit(wb_json_out *out, const char *key, uint64_t value)
{
    if (value == WB_NOLIM)
        wb_json_null(out, key);
    else
        wb_json_number(out, key, value);
}

static void json_binding(wb_json_out *out, const wb_claims *c)
{
    char text[WB_HASH_B64 + 1];
    wb_json_open(out, "bnd", '{');
    wb_json_text(out, "mth", wb_slice_str(wb_method_name(c->mth)));
    wb_json_text(out, "mid", c->mid);
    wb_json_text_or_null(out, "ctx", c->ctx);
    wb_json_text_or_null(out, "tsk", c->tsk);
    wb_json_text(out, "bdg", b64_text(c->bdg, sizeof c->bdg, text));
    wb_json_close(out, '}');
}

static void json_optional(wb_json_out *out, const wb_claims *c)
{
    char text[WB_HASH_B64 + 1];
    if (c->has_lnk) {
        wb_json_open(out, "lnk", '{');
        wb_json_text(out, "tth", b64_text(c->lnk_tth, sizeof c->lnk_tth, text));
        wb_json_number(out, "hop", c->lnk_hop);
        wb_json_close(out, '}');
    }
    if (c->has_cnf) wb_json_text(out, "cnf_jkt", wb_slice_str(c->cnf_jkt));
    if (!c->has_scp) return;
    wb_json_open(out, "scp", '[');
    for (size_t i = 0; i < c->n_scp; i++) wb_json_text(out, NULL, c->scp[i]);
    wb_json_close(out, ']');
}

static void json_claims(wb_json_out *out, const wb_claims *c)
{
    char text[WB_HASH_B64 + 1];
    wb_json_open(out, "claims", '{');
    wb_json_text(out, "iss", c->iss);
    wb_json_text(out, "sub", c->sub);
    wb_json_text(out, "aud", c->aud);
    wb_json_text(out, "jti", b64_text(c->jti.b, sizeof c->jti.b, text));
    wb_json_number(out, "iat", c->iat);
    wb_json_number(out, "exp", c->exp);
    wb_json_number(out, "dln", c->dln);
    wb_json_hex(out, "tid", c->tid.b, sizeof c->tid.b);
    wb_json_hex(out, "psid", c->psid.b, sizeof c->psid.b);
    wb_json_number(out, "tfl", c->tfl);
    wb_json_number(out, "dep", c->dep);
    wb_json_number(out, "mxd", c->mxd);
    if (c->dep > 0) wb_json_text(out, "pth", b64_text(c->pth, sizeof c->pth, text));
    json_optional(out, c);
    wb_json_open(out, "lim", '{');
    wb_json_text(out, "cur", wb_slice_str(c->lim.cur));
    json_limit(out, "cost", c->lim.cost);
    json_limit(out, "tok", c->lim.tok);
    json_limit(out, "ms", c->lim.ms);
    wb_json_close(out, '}');
    json_binding(out, c);
    wb_json_close(out, '}');
}

static void json_token(wb_json_out *out, wb_slice jws, const wb_token *token, wb_token_code code)
{
    uint8_t hash[WB_HASH_BYTES];
    char text[WB_HASH_B64 + 1];
    wb_token_hash(jws, hash);
    wb_json_open(out, NULL, '{');
    wb_json_text(out, "hash", b64_text(hash, sizeof hash, text));
    wb_json_number(out, "bytes", jws.len);
    wb_json_text_or_null(out, "code", wb_slice_str(wb_token_code_name(code)));
    if (code == WB_E_NONE) {
        wb_json_text(out, "kid", wb_slice_str(token->claims.kid));
        json_claims(out, &token->claims);
    }
    wb_json_close(out, '}');
}

static void print_row(const char *name, wb_slice text)
{
    (void)printf("  %-12s ", name);
    wb_print_safe(stdout, text);
    (void)printf("\n");
}

static void print_time(const wb_cli *cli, const char *name, uint64_t seconds)
{
    char at[WB_TIME_TEXT], away[WB_TIME_TEXT];
    uint64_t now_s = wb_now(cli->clock) / WB_NS_PER_S;
    if (seconds > UINT64_MAX / WB_NS_PER_S / 2) {
        (void)printf("  %-12s %llu\n", name, (unsigned long long)seconds);
        return;
    }
    uint64_t gap = seconds > now_s ? seconds - now_s : now_s - seconds;
    (void)printf("  %-12s %s (%s%s%s)\n", name, wb_time_text(seconds * WB_NS_PER_S, at),
                 seconds > now_s ? "in " : "", wb_duration_text(gap * WB_NS_PER_S, away),
                 seconds > now_s ? "" : " ago");
}

static void print_limits(const wb_token_limits *lim)
{
    (void)printf("  %-12s", "limits");
    if (lim->cost == WB_NOLIM)
        (void)printf(" cost none,");
    else
        (void)printf(" cost %llu.%06llu %s,", (unsigned long long)(lim->cost / 1000000),
                     (unsigned long long)(lim->cost % 1000000), lim->cur);
    if (lim->tok == WB_NOLIM)
        (void)printf(" tokens none,");
    else
        (void)printf(" tokens %llu,", (unsigned long long)lim->tok);
    if (lim->ms == WB_NOLIM)
        (void)printf(" work none\n");
    else
        (void)printf(" work %llu ms\n", (unsigned long long)lim->ms);
}

static void print_claims(const wb_cli *cli, const wb_claims *c)
{
    char hex[WB_TRACE_HEX + 1], psid[WB_SPAN_HEX + 1];
    wb_hex(c->tid.b, sizeof c->tid.b, hex);
    wb_hex(c->psid.b, sizeof c->psid.b, psid);
    print_row("from", c->iss);
    print_row("to", c->aud);
    if (!wb_slice_eq(c->sub, c->iss)) print_row("on behalf of", c->sub);
    print_row("key id", wb_slice_str(c->kid));
    (void)printf("  %-12s %s, span %s\n", "trace", hex, psid);
    (void)printf("  %-12s %u of at most %u\n", "depth", c->dep, c->mxd);
    if (c->has_lnk) (void)printf("  %-12s %llu\n", "linked hops", (unsigned long long)c->lnk_hop);
    print_row("method", wb_slice_str(wb_method_name(c->mth)));
    print_row("message", c->mid);
    if (c->ctx.len > 0) print_row("context", c->ctx);
    if (c->tsk.len > 0) print_row("task", c->tsk);
    print_limits(&c->lim);
    print_time(cli, "signed", c->iat);
    print_time(cli, "acceptable", c->exp);
    print_time(cli, "deadline", c->dln);
    wb_hex(c->jti.b, sizeof c->jti.b, hex);
    (void)printf("  %-12s %s\n", "delegation", hex);
}

static void print_token(const wb_cli *cli, size_t i, size_t n, wb_slice jws, const wb_token *token,
                        wb_token_code code)
{
    uint8_t hash[WB_HASH_BYTES];
    char text[WB_HASH_B64 + 1];
    wb_token_hash(jws, hash);
    (void)printf("token %zu of %zu, %zu bytes, hash %s\n", i + 1, n, jws.len,
                 (const char *)b64_text(hash, sizeof hash, text).ptr);
    if (code == WB_E_NONE)
        print_claims(cli, &token->claims);
    else
        (void)printf("  %s%s%s (%s)\n", wb_color_code(cli, WB_COLOR_BAD), wb_token_code_name(code),
                     wb_color_code(cli, WB_COLOR_NONE), wb_token_code_class(code));
}

/* ---- inspect -------------------------------------------------------------------------------- */

wb_status wb_tokens_show(const wb_cli *cli, const wb_tokens *t, wb_json_out *json, bool *all_good)
{
    size_t n = t->chain.n < WB_CHAIN_MAX_LINKS ? t->chain.n : WB_CHAIN_MAX_LINKS;
    *all_good = n > 0 && n == t->chain.n;
    for (size_t i = 0; i < n; i++) {
        wb_token token;
        wb_token_code fault;
        WB_TRY(wb_token_parse(t->chain.links[i], t->arena, &token, &fault));
        if (fault != WB_E_NONE) *all_good = false;
        if (cli->json)
            json_token(json, t->chain.links[i], &token, fault);
        else
            print_token(cli, i, t->chain.n, t->chain.links[i], &token, fault);
    }
    return WB_OK;
}

static wb_exit inspect(const wb_cli *cli, const wb_tokens *t)
{
    wb_json_out json;
    bool all_good = false;
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    wb_json_bool(&json, "verified", false);
    wb_json_number(&json, "links", t->chain.n);
    wb_json_open(&json, "tokens", '[');
    wb_status status = wb_tokens_show(cli, t, &json, &all_good);
    wb_json_close(&json, ']');
    wb_json_close(&json, '}');
    wb_exit code = all_good ? WB_EXIT_OK : WB_EXIT_NO;
    if (status != WB_OK)
        code = wb_cli_fail(WB_EXIT_FAILURE, "token", "no memory", NULL);
    else if (!cli->json)
        (void)printf("nothing was verified: see waybill token verify\n");
    else if (wb_json_out_finish(&json, stdout) != WB_EXIT_OK)
        code = WB_EXIT_FAILURE;
    wb_json_out_done(&json);
    return code;
}

static wb_exit token_inspect(const wb_cli *cli, const void *given)
{
    wb_tokens t = {0};
    const char *word = ((const inspect_line *)given)->word;
    wb_exit code = wb_input_ready();
    if (code == WB_EXIT_OK) code = wb_tokens_read(word, &t);
    if (code == WB_EXIT_OK) code = inspect(cli, &t);
    wb_tokens_done(&t);
    return code;
}

static const wb_option inspect_options[] = {
    {.value = "TOKEN | FILE | -",
     WB_INTO_TEXT(inspect_line, word),
     .optional = true,
     .hint = WB_HINT_FILE,
     .help = "the tokens, or where they are; standard input without it, or with -"},
    {0},
};

const wb_verb wb_token_verbs[] = {
    {.name = "token inspect",
     .summary = "Show what tokens say, without verifying them",
     .options = inspect_options,
     .help = "Takes one token, several with white space between them, or the JSON around\n"
             "them: a carrier, a message or its metadata, an array.\n",
     .no = "one of them is no token",
     .json = "{verified, links, tokens}",
     .run = token_inspect},
    {.name = "token verify",
     .summary = "Verify a chain of tokens by this instance's trust",
     .options = wb_token_verify_options,
     .help = "Takes what `token inspect` takes: the whole chain, root first.\n"
             "\n"
             "What is not said about the message is taken from the token and not checked.\n"
             "Replays and owners of traces and tasks are known to the sidecar alone.\n"
             "Exit code 0: CONTINUE or a verified LINK; with --vectors: all cases agree.\n",
     .no = "refused or unverified; with --vectors: cases differ",
     .json = "{verdict, verified, code, class, warnings, proven, audience, unchecked, tokens}; "
             "with --vectors one object a line",
     .run = wb_cli_token_verify},
    {.name = "token why",
     .summary = "Explain a refusal by its ref",
     .options = wb_token_why_options,
     .help = "Says which check failed, on what, and what to do about it. Reads\n"
             "STATE_DIR/refusals.ring; a running sidecar is not needed.\n",
     .no = "no such refusal is kept here",
     .json = "{ref, kind, time_ns, code, step, class, mode, claimed_issuer, claimed_key_id, peer, "
             "message_id, detail, meaning, remedy}; kind is one of reject, duplicate, delegate, "
             "passed, unverified",
     .run = wb_cli_token_why},
    {0},
};
