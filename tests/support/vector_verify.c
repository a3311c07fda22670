/* SPDX-License-Identifier: Apache-2.0 */
/* vector_verify FILE: the published vectors through the library's own functions, as an embedding
 * program would call them: wb_carrier_parse, wb_token_verify, wb_verdict_decide. One line of JSON per
 * case on standard output. The vectors are read by cJSON, so that a fault of our own JSON reader cannot
 * hide itself. Faults of the file end the program: it is ours, or the test is wrong. */
#include "a2a/carrier.h"
#include "propagation/verify.h"

#include <cjson/cJSON.h>

#include <stdio.h>
#include <stdlib.h>

enum { LIST_MAX = 32 };

typedef struct vector_case {
    const cJSON *json, *config, *state, *message;
    wb_slice self_ids[LIST_MAX];
    wb_trust_policy entries[LIST_MAX];
    wb_policies policies;
    wb_trust *trust;     /* owned */
    wb_revoked *revoked; /* owned */
    wb_key_ring *ring;   /* owned */
    char *carrier;       /* owned, or NULL */
    wb_verify_input in;
} vector_case;

static const cJSON *get(const cJSON *object, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    WB_ASSERT(found);
    return found;
}

static wb_slice text_of(const cJSON *object, const char *name)
{
    return wb_slice_str(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name)));
}

static uint64_t number_of(const cJSON *object, const char *name)
{
    return (uint64_t)get(object, name)->valuedouble;
}

static bool is_set(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(get(object, name));
}

static char *print(const cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);
    WB_ASSERT(text);
    return text;
}

/* ---- configuration -------------------------------------------------------------------------- */

static int place(wb_slice word, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (wb_slice_eq(word, wb_slice_str(words[i]))) return i + 1;
    return 0;
}

static wb_trust_mode mode_of(wb_slice word)
{
    static const char *const words[] = {"link", "enforce", "observe"};
    return (wb_trust_mode)place(word, words, WB_COUNT(words));
}

static wb_trust_policy policy_of(const cJSON *entry)
{
    static const char *const verdicts[] = {"continue", "link", "reject"};
    static const char *const chains[] = {"full", "leaf"};
    return (wb_trust_policy){
        .id = wb_slice_str(entry->string),
        .verdict =
            (wb_policy_verdict)place(text_of(entry, "verdict"), verdicts, WB_COUNT(verdicts)),
        .chain = (wb_policy_chain)place(text_of(entry, "chain"), chains, WB_COUNT(chains)),
        .mode = mode_of(text_of(entry, "mode")),
        .require = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "require")),
        .carry = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "carry"))};
}

static void read_policies(vector_case *c)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, get(c->config, "self_ids"))
    {
        WB_ASSERT(c->in.n_self_ids < LIST_MAX);
        c->self_ids[c->in.n_self_ids++] = wb_slice_str(cJSON_GetStringValue(item));
    }
    c->in.self_ids = c->self_ids;
    c->policies.self_id = c->self_ids[0];
    cJSON_ArrayForEach(item, get(c->config, "policies"))
    {
        WB_ASSERT(c->policies.n < LIST_MAX);
        c->entries[c->policies.n++] = policy_of(item);
    }
    c->policies.entries = c->entries;
    c->policies.mode = mode_of(text_of(c->config, "mode"));
    c->policies.callbacks = is_set(c->config, "callbacks");
    c->in.policies = &c->policies;
}

static void read_trust(vector_case *c, const cJSON *vectors)
{
    wb_slice texts[LIST_MAX];
    size_t n = 0;
    const cJSON *name;
    cJSON_ArrayForEach(name, get(c->config, "bundles"))
    {
        WB_ASSERT(n < LIST_MAX);
        const cJSON *bundle = get(get(vectors, "bundles"), cJSON_GetStringValue(name));
        texts[n++] = wb_slice_str(print(bundle));
    }
    WB_ASSERT(wb_trust_from_texts(texts, n, &c->trust, NULL) == WB_OK);
    for (size_t i = 0; i < n; i++) cJSON_free((void *)(uintptr_t)texts[i].ptr);
    c->in.trust = c->trust;
}

static void read_revoked(vector_case *c)
{
    WB_AUTO_BUFFER text;
    const cJSON *line;
    wb_buffer_init(&text, 1 << 20);
    cJSON_ArrayForEach(line, get(c->config, "revoked"))
        WB_ASSERT(wb_buffer_printf(&text, "%s\n", cJSON_GetStringValue(line)) == WB_OK);
    WB_ASSERT(wb_revoked_parse(wb_buffer_slice(&text), &c->revoked, NULL) == WB_OK);
    c->in.revoked = c->revoked;
}

static void read_ring(vector_case *c, const cJSON *vectors)
{
    uint8_t seed[WB_SEED_BYTES];
    const cJSON *name = cJSON_GetArrayItem(get(c->config, "own_keys"), 0);
    if (!name) return;
    const cJSON *key = get(get(vectors, "keys"), cJSON_GetStringValue(name));
    WB_ASSERT(wb_unhex(text_of(key, "seed"), seed, sizeof seed) == WB_OK);
    WB_ASSERT(wb_key_ring_from_seed(seed, &c->ring, NULL) == WB_OK);
    WB_ASSERT(wb_slice_eq(text_of(key, "kid"), wb_slice_str(wb_key_ring_kid(c->ring))));
    c->in.ring = c->ring;
}

/* ---- message, state --------------------------------------------------------------------------- */

static void read_message(vector_case *c)
{
    const cJSON *m = c->message;
    wb_message_facts *facts = &c->in.message;
    *facts = (wb_message_facts){.method = text_of(m, "method"),
                                .message_id = text_of(m, "messageId"),
                                .context_id = text_of(m, "contextId"),
                                .task_id = text_of(m, "taskId"),
                                .has_digest = cJSON_IsString(get(m, "bdg")),
                                .traceparent = text_of(m, "traceparent")};
    if (facts->has_digest)
        WB_ASSERT(wb_b64url_parse_exact(text_of(m, "bdg"), facts->digest, sizeof facts->digest) ==
                  WB_OK);
    /* A peer that its transport authenticated is named by its agent id, any other by its address. */
    if (wb_agent_id_ok(text_of(m, "peer"))) c->in.peer_id = text_of(m, "peer");
}

static bool empty_bucket(void *self)
{
    (void)self;
    return false;
}

static void read_state(vector_case *c)
{
    if (is_set(c->state, "rate_empty")) c->in.rate_take = empty_bucket;
    c->in.purged_exp_s = number_of(c->state, "purged");
    c->in.recovered_s = number_of(c->state, "recovered");
    if (c->in.message.task_id.len == 0) return;
    const cJSON *owner = cJSON_GetObjectItemCaseSensitive(get(c->state, "tasks"),
                                                          (const char *)c->in.message.task_id.ptr);
    c->in.task_sub = text_of(owner, "sub");
    c->in.task_iss = text_of(owner, "iss");
}

static void read_carrier(vector_case *c, wb_arena *arena)
{
    wb_carrier carrier = {.chain = {.n = 0}};
    wb_slice text = text_of(c->json, "carrier_text");
    if (!cJSON_HasObjectItem(c->json, "carrier_text")) {
        c->carrier = print(get(c->json, "carrier"));
        text = wb_slice_str(c->carrier);
    }
    WB_ASSERT(wb_carrier_parse(text, arena, &carrier, &c->in.carrier) == WB_OK);
    c->in.chain = carrier.chain;
}

static wb_replay_outcome replay_of(const vector_case *c, const wb_token *leaf, wb_slice *first)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, get(c->state, "replay"))
    {
        uint8_t hash[WB_HASH_BYTES];
        wb_id jti;
        WB_ASSERT(wb_b64url_parse_exact(text_of(row, "hash"), hash, sizeof hash) == WB_OK);
        WB_ASSERT(wb_b64url_parse_exact(text_of(row, "jti"), jti.b, sizeof jti.b) == WB_OK);
        if (!wb_slice_eq(text_of(row, "iss"), leaf->claims.iss) || !WB_ID_EQ(jti, leaf->claims.jti))
            continue;
        *first = text_of(row, "acceptance");
        return wb_bytes_equal(hash, leaf->hash, sizeof hash) ? WB_REPLAY_SAME : WB_REPLAY_OTHER;
    }
    return is_set(c->state, "replay_full") ? WB_REPLAY_NO_ROOM : WB_REPLAY_NEW;
}

static bool owner_conflict(const vector_case *c, const wb_verify_result *r)
{
    char tid[WB_TRACE_HEX + 1];
    wb_hex(r->leaf->claims.tid.b, sizeof r->leaf->claims.tid.b, tid);
    wb_slice owner = text_of(get(c->state, "owners"), tid);
    return owner.len > 0 && !wb_slice_eq(owner, r->speaks_for);
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void print_text(const char *name, const char *text)
{
    (void)printf(text[0] ? ",\"%s\":\"%s\"" : ",\"%s\":null", name, text);
}

static void print_answer(const vector_case *c, const wb_verdict *v, wb_slice first)
{
    const char *comma = "";
    (void)printf("{\"name\":\"%.*s\",\"verdict\":\"%s\",\"verified\":%s",
                 WB_SLICE_ARG(text_of(c->json, "name")), wb_verdict_name(v->kind),
                 v->verified ? "true" : "false");
    print_text("code", wb_token_code_name(v->code));
    print_text("class", v->wire_class);
    (void)printf(",\"warnings\":[");
    for (unsigned i = 0; i < WB_TOKEN_WARNINGS; i++) {
        if (!(v->warnings & 1u << i)) continue;
        (void)printf("%s\"%s\"", comma, wb_token_warning_name(i));
        comma = ",";
    }
    (void)printf("]");
    if (v->kind == WB_VERDICT_DUPLICATE)
        (void)printf(",\"acceptance\":\"%.*s\"", WB_SLICE_ARG(first));
    (void)printf("}\n");
}

static void run(const cJSON *json, const cJSON *vectors, wb_arena *arena)
{
    vector_case c = {.json = json,
                     .config = get(json, "config"),
                     .state = get(json, "state"),
                     .message = get(json, "message")};
    wb_verify_result r;
    wb_slice first = {0};
    bool conflict = false;
    wb_replay_outcome replay = WB_REPLAY_NEW;
    c.in.now_s = number_of(json, "now");
    c.in.skew_s = number_of(c.config, "skew");
    read_policies(&c);
    read_trust(&c, vectors);
    read_revoked(&c);
    read_ring(&c, vectors);
    read_message(&c);
    read_state(&c);
    read_carrier(&c, arena);
    WB_ASSERT(wb_token_verify(&c.in, arena, &r) == WB_OK);
    if (r.code == WB_E_NONE) {
        replay = replay_of(&c, r.leaf, &first);
        conflict = owner_conflict(&c, &r);
    }
    wb_verdict verdict = wb_verdict_decide(&r, replay, conflict);
    print_answer(&c, &verdict, first);
    wb_trust_free(c.trust);
    wb_revoked_free(c.revoked);
    wb_key_ring_free(c.ring);
    cJSON_free(c.carrier);
}

static cJSON *load(const char *path)
{
    WB_AUTO_BUFFER text;
    uint8_t *at;
    enum { CHUNK = 64 * 1024 };
    wb_buffer_init(&text, 64 << 20);
    FILE *in = fopen(path, "re");
    WB_ASSERT(in);
    for (size_t got = CHUNK; got > 0;) {
        WB_ASSERT(wb_buffer_reserve(&text, CHUNK, &at) == WB_OK);
        got = fread(at, 1, CHUNK, in);
        text.len -= CHUNK - got;
    }
    (void)fclose(in);
    cJSON *json = cJSON_ParseWithLength((const char *)text.ptr, text.len);
    WB_ASSERT(json);
    return json;
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    WB_ASSERT(wb_self_test(NULL) == WB_OK);
    cJSON *vectors = load(argv[1]);
    WB_AUTO(wb_arena) arena = wb_arena_new(WB_VERIFY_ARENA_BYTES);
    const cJSON *json;
    WB_ASSERT(arena);
    cJSON_ArrayForEach(json, get(vectors, "cases"))
    {
        wb_arena_reset(arena);
        run(json, vectors, arena);
    }
    cJSON_Delete(vectors);
    return 0;
}
