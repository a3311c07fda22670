/* SPDX-License-Identifier: Apache-2.0 */
/* `token verify`: the sidecar's own function over the sidecar's own keys and trust, less what only its
 * durable state knows: whether the token was used before, and who owns the trace or the task. Policies
 * of the configuration are not read either; the defaults by trust domain hold.
 *
 * What the command line does not say about the message is taken from the token itself and listed, so
 * that "CONTINUE" never claims more than was checked. */
#include "cli/token.h"
#include "cli/token_vectors.h"
#include "propagation/keyring.h"
#include "propagation/verify.h"

#include <stdio.h>

typedef struct verify_line {
    const char *audience, *method, *message_id, *context_id, *task_id, *digest;
    const char *traceparent, *vectors, *only, *word;
    uint64_t now, skew;
    bool callbacks;
} verify_line;

typedef struct verify_job {
    wb_tokens tokens;
    char audience[WB_SELF_ID_MAX + 1];
    wb_slice self_id;
    wb_policies policies;
    wb_trust *trust;     /* owned */
    wb_revoked *revoked; /* owned */
    wb_key_ring *ring;   /* owned; NULL: no key here */
    wb_verify_input in;
    const char *unchecked[5]; /* facts taken from the token */
    size_t n_unchecked;
} verify_job;

static wb_exit read_facts(const wb_cli *cli, const verify_line *line, verify_job *job)
{
    wb_message_facts *m = &job->in.message;
    job->in.now_s = line->now == WB_OPTION_UNSET ? wb_now(cli->clock) / WB_NS_PER_S : line->now;
    job->in.skew_s = line->skew;
    if (line->digest &&
        wb_b64url_parse_exact(wb_slice_str(line->digest), m->digest, sizeof m->digest) != WB_OK)
        return wb_cli_usage(cli, "--digest wants 43 characters of base64url");
    if (line->audience && !wb_agent_id_ok(wb_slice_str(line->audience)))
        return wb_cli_usage(cli, "%.80s is no agent id", line->audience);
    m->method = wb_slice_str(line->method);
    m->message_id = wb_slice_str(line->message_id);
    m->context_id = wb_slice_str(line->context_id);
    m->task_id = wb_slice_str(line->task_id);
    m->has_digest = line->digest != NULL;
    m->traceparent = wb_slice_str(line->traceparent);
    job->policies.callbacks = line->callbacks;
    return WB_EXIT_OK;
}

static bool unsaid(verify_job *job, const char *option, const char *name)
{
    if (option) return false;
    job->unchecked[job->n_unchecked++] = name;
    return true;
}

/* Facts about the message that nobody said are the token's own. */
static wb_status fill_from_leaf(const verify_line *line, verify_job *job)
{
    wb_token leaf;
    wb_token_code fault;
    wb_message_facts *m = &job->in.message;
    const wb_chain *chain = &job->tokens.chain;
    if (chain->n < 1 || chain->n > WB_CHAIN_MAX_LINKS) return WB_OK;
    WB_TRY(wb_token_parse(chain->links[chain->n - 1], job->tokens.arena, &leaf, &fault));
    if (fault != WB_E_NONE) return WB_OK;
    const wb_claims *c = &leaf.claims;
    if (unsaid(job, line->method, "method")) m->method = wb_slice_str(wb_method_name(c->mth));
    if (unsaid(job, line->message_id, "message id")) m->message_id = c->mid;
    if (unsaid(job, line->context_id, "context id")) m->context_id = c->ctx;
    if (unsaid(job, line->task_id, "task id")) m->task_id = c->tsk;
    if (unsaid(job, line->digest, "body digest")) {
        memcpy(m->digest, c->bdg, sizeof m->digest);
        m->has_digest = true;
    }
    return WB_OK;
}

/* Trust and own key as the sidecar loads them; no key of ours is no fault here. */
static wb_exit load_trust(const wb_cli *cli, verify_job *job)
{
    wb_error err = {0};
    wb_status status = wb_trust_load(cli->paths.trust_dir, NULL, &job->trust, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "trust", err.detail, NULL);
    status = wb_revoked_load(cli->paths.trust_dir, &job->revoked, &err);
    if (status != WB_OK) return wb_cli_fail(wb_cli_exit_of(status), "trust", err.detail, NULL);
    status = wb_key_ring_open(cli->paths.keys_dir, &job->ring, &err);
    if (status != WB_OK && status != WB_ERR_NOT_FOUND)
        return wb_cli_fail(wb_cli_exit_of(status), "key", err.detail, NULL);
    job->in.trust = job->trust;
    job->in.revoked = job->revoked;
    job->in.ring = job->ring;
    return WB_EXIT_OK;
}

static const char *code_class(const wb_verdict *v) { return wb_token_code_class(v->code); }

static void json_judgement(const wb_verdict *v, const char *class, wb_json_out *json)
{
    wb_json_text(json, "verdict", wb_slice_str(wb_verdict_name(v->kind)));
    wb_json_bool(json, "verified", v->verified);
    wb_json_text_or_null(json, "code", wb_slice_str(wb_token_code_name(v->code)));
    wb_json_text_or_null(json, "class", wb_slice_str(class));
    wb_json_open(json, "warnings", '[');
    for (unsigned i = 0; i < WB_TOKEN_WARNINGS; i++)
        if (v->warnings & 1u << i) wb_json_text(json, NULL, wb_slice_str(wb_token_warning_name(i)));
    wb_json_close(json, ']');
}

static void json_verdict(const verify_job *job, const wb_verify_result *r, const wb_verdict *v,
                         wb_json_out *json)
{
    json_judgement(v, code_class(v), json);
    wb_json_bool(json, "proven", r->proven);
    wb_json_text(json, "audience", job->self_id);
    wb_json_open(json, "unchecked", '[');
    for (size_t i = 0; i < job->n_unchecked; i++)
        wb_json_text(json, NULL, wb_slice_str(job->unchecked[i]));
    wb_json_close(json, ']');
}

static void print_verdict(const wb_cli *cli, const verify_job *job, const wb_verify_result *r,
                          const wb_verdict *v)
{
    wb_color color = v->kind == WB_VERDICT_REJECT ? WB_COLOR_BAD
                     : v->verified                ? WB_COLOR_GOOD
                                                  : WB_COLOR_WARN;
    (void)printf("%s%s%s%s", wb_color_code(cli, color), wb_verdict_name(v->kind),
                 v->kind == WB_VERDICT_REJECT ? ""
                 : v->verified                ? ", verified"
                                              : ", unverified",
                 wb_color_code(cli, WB_COLOR_NONE));
    if (v->code != WB_E_NONE) (void)printf(": %s (%s)", wb_token_code_name(v->code), code_class(v));
    (void)printf("\n");
    for (unsigned i = 0; i < WB_TOKEN_WARNINGS; i++)
        if (v->warnings & 1u << i) (void)printf("  warning: %s\n", wb_token_warning_name(i));
    if (v->verified && !r->proven)
        (void)printf("  the chain above the last token could not be verified here\n");
    if (job->n_unchecked > 0) (void)printf("  not checked:");
    for (size_t i = 0; i < job->n_unchecked; i++)
        (void)printf("%s %s", i ? "," : "", job->unchecked[i]);
    if (job->n_unchecked > 0) (void)printf(" (taken from the token)\n");
}

static wb_exit report(const wb_cli *cli, const verify_job *job, const wb_verify_result *r)
{
    wb_json_out json;
    bool all_good;
    wb_verdict v = wb_verdict_decide(r, WB_REPLAY_NEW, false);
    wb_exit code = v.verified ? WB_EXIT_OK : WB_EXIT_NO;
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    json_verdict(job, r, &v, &json);
    if (!cli->json) print_verdict(cli, job, r, &v);
    wb_json_open(&json, "tokens", '[');
    wb_status status = wb_tokens_show(cli, &job->tokens, &json, &all_good);
    wb_json_close(&json, ']');
    wb_json_close(&json, '}');
    if (status != WB_OK) code = wb_cli_fail(WB_EXIT_FAILURE, "token", "no memory", NULL);
    if (status == WB_OK && cli->json && wb_json_out_finish(&json, stdout) != WB_EXIT_OK)
        code = WB_EXIT_FAILURE;
    wb_json_out_done(&json);
    return code;
}

static wb_exit verify(const wb_cli *cli, const verify_line *line, verify_job *job)
{
    wb_verify_result result;
    wb_input_self_id(cli, line->audience, job->audience);
    job->self_id = wb_slice_str(job->audience);
    job->policies.self_id = job->self_id;
    job->in.self_ids = &job->self_id;
    job->in.n_self_ids = 1;
    job->in.policies = &job->policies;
    job->in.chain = job->tokens.chain;
    wb_exit code = load_trust(cli, job);
    if (code != WB_EXIT_OK) return code;
    if (fill_from_leaf(line, job) != WB_OK ||
        wb_token_verify(&job->in, job->tokens.arena, &result) != WB_OK)
        return wb_cli_fail(WB_EXIT_FAILURE, "token", "no memory", NULL);
    return report(cli, job, &result);
}

/* ---- published vectors ------------------------------------------------------------------------ */

typedef struct conformance {
    wb_arena *arena; /* owned; of one case */
    size_t cases, agree;
} conformance;

/* What is given away of a case is what the wire would: its class is there for refusals alone. */
static wb_exit say_case(const wb_cli *cli, const wb_vector *vector, const wb_verdict *v,
                        bool agrees)
{
    wb_json_out json;
    wb_exit code = WB_EXIT_OK;
    if (!cli->json && agrees) return WB_EXIT_OK;
    wb_json_out_init(&json);
    wb_json_open(&json, NULL, '{');
    wb_json_text(&json, "name", vector->name);
    json_judgement(v, v->wire_class, &json);
    if (v->kind == WB_VERDICT_DUPLICATE) wb_json_text(&json, "acceptance", vector->duplicate_of);
    wb_json_bool(&json, "agrees", agrees);
    wb_json_close(&json, '}');
    if (!cli->json) (void)printf("differs: ");
    code = wb_json_out_finish(&json, stdout);
    wb_json_out_done(&json);
    return code;
}

static wb_exit run_case(const wb_cli *cli, const wb_vectors *vectors, const wb_json *json,
                        conformance *c)
{
    wb_error err = {0};
    wb_vector vector = {.json = NULL};
    wb_verify_result result;
    wb_arena_reset(c->arena);
    wb_status status = wb_vector_prepare(vectors, json, c->arena, &vector, &err);
    if (status == WB_OK) status = wb_token_verify(&vector.in, c->arena, &result);
    wb_exit code = WB_EXIT_OK;
    if (status != WB_OK) {
        code = wb_cli_fail(WB_EXIT_FAILURE, "vectors", err.detail, NULL);
    } else {
        wb_verdict v = wb_vector_decide(&vector, &result);
        bool agrees = wb_vector_agrees(&vector, &v);
        c->cases++;
        c->agree += agrees;
        code = say_case(cli, &vector, &v, agrees);
    }
    wb_vector_done(&vector);
    return code;
}

static wb_exit run_cases(const wb_cli *cli, const verify_line *line, const wb_vectors *vectors,
                         conformance *c)
{
    wb_exit code = WB_EXIT_OK;
    const wb_json *at = wb_vectors_first(vectors);
    for (; at && code == WB_EXIT_OK; at = wb_vectors_next(at)) {
        const wb_json *name = wb_json_member(at, WB_S("name"));
        if (!line->only || (name && wb_slice_eq(name->text, wb_slice_str(line->only))))
            code = run_case(cli, vectors, at, c);
    }
    if (code != WB_EXIT_OK) return code;
    if (c->cases == 0) return wb_cli_fail(WB_EXIT_NO, "vectors", "no such case", NULL);
    if (!cli->json) (void)printf("%zu cases, %zu agree\n", c->cases, c->agree);
    return c->agree == c->cases ? WB_EXIT_OK : WB_EXIT_NO;
}

static wb_exit verify_vectors(const wb_cli *cli, const verify_line *line)
{
    wb_error err = {0};
    wb_vectors vectors = {.arena = NULL};
    conformance c = {.arena = wb_arena_new(2 * WB_VERIFY_ARENA_BYTES)};
    wb_exit code =
        c.arena ? WB_EXIT_OK : wb_cli_fail(WB_EXIT_FAILURE, "vectors", "no memory", NULL);
    if (code == WB_EXIT_OK && wb_vectors_open(line->vectors, &vectors, &err) != WB_OK)
        code = wb_cli_fail(WB_EXIT_FAILURE, "vectors", err.detail, NULL);
    if (code == WB_EXIT_OK) code = run_cases(cli, line, &vectors, &c);
    wb_vectors_close(&vectors);
    wb_arena_free(c.arena);
    return code;
}

wb_exit wb_cli_token_verify(const wb_cli *cli, const void *given)
{
    const verify_line *line = given;
    verify_job job = {0};
    wb_exit code = WB_EXIT_OK;
    if (line->only && !line->vectors) code = wb_cli_usage(cli, "--case is one of --vectors FILE");
    if (code == WB_EXIT_OK && line->vectors && line->word)
        code = wb_cli_usage(cli, "--vectors FILE has its own tokens");
    if (code == WB_EXIT_OK) code = read_facts(cli, line, &job);
    if (code == WB_EXIT_OK) code = wb_input_ready();
    if (code == WB_EXIT_OK && line->vectors) return verify_vectors(cli, line);
    if (code == WB_EXIT_OK) code = wb_tokens_read(line->word, &job.tokens);
    if (code == WB_EXIT_OK) code = verify(cli, line, &job);
    wb_trust_free(job.trust);
    wb_revoked_free(job.revoked);
    wb_key_ring_free(job.ring);
    wb_tokens_done(&job.tokens);
    return code;
}

const wb_option wb_token_verify_options[] = {
    {.name = "--audience",
     .value = "ID",
     WB_INTO_TEXT(verify_line, audience),
     .help = "who received it; without it, this instance's agent id"},
    {.name = "--now",
     .value = "SECONDS",
     WB_INTO_NUMBER(verify_line, now),
     .max = WB_INPUT_SECONDS_MAX,
     .help = "verify as of then (Unix time); without it, now"},
    {.name = "--skew",
     .value = "SECONDS",
     WB_INTO_NUMBER(verify_line, skew),
     .max = WB_SKEW_MAX_S,
     .fallback = "60",
     .help = "clocks may differ by so much"},
    {.name = "--method",
     .value = "NAME",
     WB_INTO_TEXT(verify_line, method),
     .help = "of the message: SendMessage or SendStreamingMessage"},
    {.name = "--message-id",
     .value = "ID",
     WB_INTO_TEXT(verify_line, message_id),
     .help = "of the message"},
    {.name = "--context-id",
     .value = "ID",
     WB_INTO_TEXT(verify_line, context_id),
     .help = "likewise; an empty value says that it has none"},
    {.name = "--task-id", .value = "ID", WB_INTO_TEXT(verify_line, task_id), .help = "likewise"},
    {.name = "--digest",
     .value = "B64URL",
     WB_INTO_TEXT(verify_line, digest),
     .help = "the body's digest, 43 characters"},
    {.name = "--traceparent",
     .value = "TEXT",
     WB_INTO_TEXT(verify_line, traceparent),
     .help = "the header that came with the message"},
    {.name = "--callbacks",
     WB_INTO_FLAG(verify_line, callbacks),
     .help = "allow chains in which an agent appears twice"},
    {.name = "--vectors",
     .value = "FILE",
     WB_INTO_TEXT(verify_line, vectors),
     .hint = WB_HINT_FILE,
     .help = "instead: the published test vectors in FILE, with what each case brings along"},
    {.name = "--case",
     .value = "NAME",
     WB_INTO_TEXT(verify_line, only),
     .help = "only this one of the vectors"},
    {.value = "TOKEN | FILE | -",
     WB_INTO_TEXT(verify_line, word),
     .optional = true,
     .hint = WB_HINT_FILE,
     .help = "the tokens, or where they are; standard input without it, or with -"},
    {0},
};
