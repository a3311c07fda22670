/* SPDX-License-Identifier: Apache-2.0 */
/* The published vectors, read with the program's own JSON reader under limits for a file of its size.
 *
 * A case brings all that a verification depends on: clock, configuration, keys, trust, revocations,
 * state, carrier, message. So anyone may run the vectors against the program that they have, and what
 * differs is the program. Bundles are handed over as the files that they stand for, and a carrier that
 * is given as a value is written as JSON again, as a client would; one whose very text matters is given
 * as text. What the sidecar's tables would say of replays and owners is read from `state` here. */
#include "cli/token_vectors.h"

#include "a2a/carrier.h"
#include "core/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { ARENA_BYTES = 512 * 1024 * 1024, TEXT_BYTES = 1024 * 1024 };

static const wb_json_limits file_limits = {.depth = 32,
                                           .members = 65536,
                                           .elements = 65536,
                                           .string_bytes = TEXT_BYTES,
                                           .any_number = true};

/* ---- the file ------------------------------------------------------------------------------- */

static wb_status read_whole(const char *path, wb_arena *arena, wb_slice *out, wb_error *err)
{
    struct stat st;
    size_t len;
    WB_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", path);
    if (!S_ISREG(st.st_mode) || st.st_size > WB_VECTORS_MAX_BYTES)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "%.100s is no file of at most 64 MiB", path);
    uint8_t *at = wb_arena_alloc(arena, (size_t)st.st_size + 1);
    if (!at) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the vectors");
    if (wb_file_read(fd, at, (size_t)st.st_size + 1, &len) != WB_OK)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", path);
    *out = (wb_slice){at, len};
    return WB_OK;
}

wb_status wb_vectors_open(const char *path, wb_vectors *v, wb_error *err)
{
    wb_json_fault fault;
    wb_slice text;
    v->arena = wb_arena_new(ARENA_BYTES);
    if (!v->arena) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the vectors");
    WB_TRY(read_whole(path, v->arena, &text, err));
    wb_status status = wb_json_parse(text, &file_limits, v->arena, &v->root, &fault);
    if (status != WB_OK) return wb_fail(err, status, "no memory for the vectors");
    if (fault != WB_JSON_NO_FAULT)
        return wb_fail(err, WB_ERR_MALFORMED, "%.60s: %s", path, wb_json_fault_text(fault));
    const wb_json *version = wb_json_member(v->root, WB_S("version"));
    if (!version || version->type != WB_JSON_INT || version->number != 1)
        return wb_fail(err, WB_ERR_MALFORMED, "%.60s holds no vectors of version 1", path);
    return WB_OK;
}

void wb_vectors_close(wb_vectors *v)
{
    wb_arena_free(v->arena);
    *v = (wb_vectors){.arena = NULL};
}

static const wb_json *array_of(const wb_json *object, wb_slice name)
{
    const wb_json *value = wb_json_member(object, name);
    return value && value->type == WB_JSON_ARRAY ? value->first : NULL;
}

const wb_json *wb_vectors_first(const wb_vectors *v) { return array_of(v->root, WB_S("cases")); }

const wb_json *wb_vectors_next(const wb_json *at) { return at->next; }

/* ---- members of a case ---------------------------------------------------------------------- */

static wb_slice text_of(const wb_json *object, wb_slice name)
{
    const wb_json *value = wb_json_member(object, name);
    return value && value->type == WB_JSON_STRING ? value->text : WB_S("");
}

static uint64_t number_of(const wb_json *object, wb_slice name)
{
    const wb_json *value = wb_json_member(object, name);
    return value && value->type == WB_JSON_INT ? value->number : 0;
}

static bool is_set(const wb_json *object, wb_slice name)
{
    const wb_json *value = wb_json_member(object, name);
    return value && value->type == WB_JSON_BOOL && value->truth;
}

static wb_status write_value(const wb_json *value, wb_buffer *out);

static wb_status write_container(const wb_json *value, wb_buffer *out)
{
    bool object = value->type == WB_JSON_OBJECT;
    WB_TRY(wb_buffer_add(out, object ? "{" : "[", 1));
    for (const wb_json *at = value->first; at; at = at->next) {
        if (at != value->first) WB_TRY(wb_buffer_add(out, ",", 1));
        if (object) {
            WB_TRY(wb_json_add_string(out, at->name));
            WB_TRY(wb_buffer_add(out, ":", 1));
        }
        WB_TRY(write_value(at, out));
    }
    return wb_buffer_add(out, object ? "}" : "]", 1);
}

/* Recursion is bounded by file_limits.depth. */
static wb_status write_value(const wb_json *value, wb_buffer *out)
{
    switch (value->type) {
    case WB_JSON_NULL: return wb_buffer_add_slice(out, WB_S("null"));
    case WB_JSON_BOOL: return wb_buffer_add_slice(out, value->truth ? WB_S("true") : WB_S("false"));
    case WB_JSON_INT: return wb_buffer_printf(out, "%llu", (unsigned long long)value->number);
    case WB_JSON_REAL: return wb_buffer_add_slice(out, value->text);
    case WB_JSON_STRING: return wb_json_add_string(out, value->text);
    case WB_JSON_ARRAY:
    case WB_JSON_OBJECT: return write_container(value, out);
    }
    return WB_ERR_MALFORMED;
}

static wb_status text_in(const wb_json *value, wb_arena *arena, wb_slice *out)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, TEXT_BYTES);
    WB_TRY(write_value(value, &text));
    return wb_arena_dup(arena, wb_buffer_slice(&text), out);
}

/* ---- configuration -------------------------------------------------------------------------- */

/* 1 for the first word, 0 for none: the enums begin with what nobody said. */
static unsigned place(wb_slice word, const wb_slice *words, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (wb_slice_eq(word, words[i])) return i + 1;
    return 0;
}

static wb_trust_mode mode_of(wb_slice word)
{
    static const wb_slice words[] = {WB_S("link"), WB_S("enforce"), WB_S("observe")};
    return (wb_trust_mode)place(word, words, WB_COUNT(words));
}

static wb_trust_policy policy_of(const wb_json *entry)
{
    static const wb_slice verdicts[] = {WB_S("continue"), WB_S("link"), WB_S("reject")};
    static const wb_slice chains[] = {WB_S("full"), WB_S("leaf")};
    return (wb_trust_policy){
        .id = entry->name,
        .verdict =
            (wb_policy_verdict)place(text_of(entry, WB_S("verdict")), verdicts, WB_COUNT(verdicts)),
        .chain = (wb_policy_chain)place(text_of(entry, WB_S("chain")), chains, WB_COUNT(chains)),
        .mode = mode_of(text_of(entry, WB_S("mode"))),
        .require = is_set(entry, WB_S("require")),
        .carry = is_set(entry, WB_S("carry"))};
}

static bool read_policies(const wb_json *config, wb_vector *v)
{
    const wb_json *policies = wb_json_member(config, WB_S("policies"));
    const wb_json *at = array_of(config, WB_S("self_ids"));
    for (; at && v->in.n_self_ids < WB_VECTOR_LIST_MAX; at = at->next)
        v->self_ids[v->in.n_self_ids++] = at->text;
    if (at || v->in.n_self_ids == 0 || !policies) return false;
    for (at = policies->first; at && v->policies.n < WB_VECTOR_LIST_MAX; at = at->next)
        v->entries[v->policies.n++] = policy_of(at);
    v->in.self_ids = v->self_ids;
    v->in.skew_s = number_of(config, WB_S("skew"));
    v->policies.self_id = v->self_ids[0];
    v->policies.entries = v->entries;
    v->policies.mode = mode_of(text_of(config, WB_S("mode")));
    v->policies.callbacks = is_set(config, WB_S("callbacks"));
    v->in.policies = &v->policies;
    return !at;
}

static wb_status read_trust(const wb_vectors *vectors, const wb_json *config, wb_arena *arena,
                            wb_vector *v, wb_error *err)
{
    const wb_json *bundles = wb_json_member(vectors->root, WB_S("bundles"));
    wb_slice texts[WB_VECTOR_LIST_MAX];
    size_t n = 0;
    for (const wb_json *at = array_of(config, WB_S("bundles")); at; at = at->next) {
        const wb_json *bundle = wb_json_member(bundles, at->text);
        if (!bundle || n == WB_VECTOR_LIST_MAX)
            return wb_fail(err, WB_ERR_MALFORMED, "a bundle that the file does not have");
        if (text_in(bundle, arena, &texts[n++]) != WB_OK)
            return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a bundle");
    }
    WB_TRY(wb_trust_from_texts(texts, n, &v->trust, err));
    v->in.trust = v->trust;
    return WB_OK;
}

static wb_status read_revoked(const wb_json *config, wb_vector *v, wb_error *err)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, TEXT_BYTES);
    for (const wb_json *at = array_of(config, WB_S("revoked")); at; at = at->next)
        if (wb_buffer_printf(&text, "%.*s\n", WB_SLICE_ARG(at->text)) != WB_OK)
            return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for revocations");
    WB_TRY(wb_revoked_parse(wb_buffer_slice(&text), &v->revoked, err));
    v->in.revoked = v->revoked;
    return WB_OK;
}

static wb_status read_ring(const wb_vectors *vectors, const wb_json *config, wb_vector *v,
                           wb_error *err)
{
    uint8_t seed[WB_SEED_BYTES];
    const wb_json *own = array_of(config, WB_S("own_keys"));
    if (!own) return WB_OK;
    const wb_json *key = wb_json_member(wb_json_member(vectors->root, WB_S("keys")), own->text);
    if (wb_unhex(text_of(key, WB_S("seed")), seed, sizeof seed) != WB_OK)
        return wb_fail(err, WB_ERR_MALFORMED, "an own key that the file does not have");
    WB_TRY(wb_key_ring_from_seed(seed, &v->ring, err));
    v->in.ring = v->ring;
    return WB_OK;
}

/* ---- message and state ---------------------------------------------------------------------- */

static void read_message(const wb_json *message, wb_vector *v)
{
    wb_message_facts *m = &v->in.message;
    wb_slice digest = text_of(message, WB_S("bdg"));
    wb_slice peer = text_of(message, WB_S("peer"));
    *m = (wb_message_facts){.method = text_of(message, WB_S("method")),
                            .message_id = text_of(message, WB_S("messageId")),
                            .context_id = text_of(message, WB_S("contextId")),
                            .task_id = text_of(message, WB_S("taskId")),
                            .traceparent = text_of(message, WB_S("traceparent"))};
    m->has_digest = wb_b64url_parse_exact(digest, m->digest, sizeof m->digest) == WB_OK;
    /* A peer that its transport authenticated is named by its agent id, any other by its address. */
    if (wb_agent_id_ok(peer)) v->in.peer_id = peer;
}

static bool empty_bucket(void *self)
{
    (void)self;
    return false;
}

static void read_state(const wb_json *state, wb_vector *v)
{
    const wb_json *owner =
        wb_json_member(wb_json_member(state, WB_S("tasks")), v->in.message.task_id);
    if (is_set(state, WB_S("rate_empty"))) v->in.rate_take = empty_bucket;
    v->in.purged_exp_s = number_of(state, WB_S("purged"));
    v->in.recovered_s = number_of(state, WB_S("recovered"));
    v->in.task_sub = text_of(owner, WB_S("sub"));
    v->in.task_iss = text_of(owner, WB_S("iss"));
}

static wb_status read_carrier(const wb_json *json, wb_arena *arena, wb_vector *v, wb_error *err)
{
    wb_carrier carrier = {.chain = {.n = 0}};
    const wb_json *value = wb_json_member(json, WB_S("carrier"));
    wb_slice text = text_of(json, WB_S("carrier_text"));
    wb_status status = value ? text_in(value, arena, &text) : WB_OK;
    if (status == WB_OK) status = wb_carrier_parse(text, arena, &carrier, &v->in.carrier);
    v->in.chain = carrier.chain;
    return status == WB_OK ? WB_OK : wb_fail(err, status, "no memory for the carrier");
}

wb_status wb_vector_prepare(const wb_vectors *vectors, const wb_json *json, wb_arena *arena,
                            wb_vector *out, wb_error *err)
{
    const wb_json *config = wb_json_member(json, WB_S("config"));
    out->json = json;
    out->name = text_of(json, WB_S("name"));
    out->in.now_s = number_of(json, WB_S("now"));
    if (!read_policies(config, out))
        return wb_fail(err, WB_ERR_MALFORMED, "case %.*s has no sound config",
                       WB_SLICE_ARG(out->name));
    WB_TRY(read_trust(vectors, config, arena, out, err));
    WB_TRY(read_revoked(config, out, err));
    WB_TRY(read_ring(vectors, config, out, err));
    read_message(wb_json_member(json, WB_S("message")), out);
    read_state(wb_json_member(json, WB_S("state")), out);
    return read_carrier(json, arena, out, err);
}

void wb_vector_done(wb_vector *vector)
{
    wb_trust_free(vector->trust);
    wb_revoked_free(vector->revoked);
    wb_key_ring_free(vector->ring);
}

/* ---- the verdict ---------------------------------------------------------------------------- */

static wb_replay_outcome replay_of(wb_vector *v, const wb_json *state, const wb_token *leaf)
{
    char jti[WB_JTI_B64 + 1], hash[WB_HASH_B64 + 1];
    wb_b64url_format(wb_slice_of(leaf->claims.jti.b, sizeof leaf->claims.jti.b), jti);
    wb_b64url_format(wb_slice_of(leaf->hash, sizeof leaf->hash), hash);
    for (const wb_json *row = array_of(state, WB_S("replay")); row; row = row->next) {
        if (!wb_slice_eq(text_of(row, WB_S("iss")), leaf->claims.iss) ||
            !wb_slice_eq(text_of(row, WB_S("jti")), wb_slice_str(jti)))
            continue;
        v->duplicate_of = text_of(row, WB_S("acceptance"));
        return wb_slice_eq(text_of(row, WB_S("hash")), wb_slice_str(hash)) ? WB_REPLAY_SAME
                                                                           : WB_REPLAY_OTHER;
    }
    return is_set(state, WB_S("replay_full")) ? WB_REPLAY_NO_ROOM : WB_REPLAY_NEW;
}

wb_verdict wb_vector_decide(wb_vector *v, const wb_verify_result *result)
{
    const wb_json *state = wb_json_member(v->json, WB_S("state"));
    wb_replay_outcome replay = WB_REPLAY_NEW;
    bool conflict = false;
    if (result->code == WB_E_NONE) {
        char tid[WB_TRACE_HEX + 1];
        wb_hex(result->leaf->claims.tid.b, sizeof result->leaf->claims.tid.b, tid);
        wb_slice owner = text_of(wb_json_member(state, WB_S("owners")), wb_slice_str(tid));
        replay = replay_of(v, state, result->leaf);
        conflict = owner.len > 0 && !wb_slice_eq(owner, result->speaks_for);
    }
    return wb_verdict_decide(result, replay, conflict);
}

static bool same_warnings(const wb_json *expected, uint32_t warnings)
{
    for (unsigned i = 0; i < WB_TOKEN_WARNINGS; i++) {
        if (!(warnings & 1u << i)) continue;
        if (!expected || !wb_slice_eq(expected->text, wb_slice_str(wb_token_warning_name(i))))
            return false;
        expected = expected->next;
    }
    return !expected;
}

bool wb_vector_agrees(const wb_vector *v, const wb_verdict *said)
{
    const wb_json *expect = wb_json_member(v->json, WB_S("expect"));
    bool duplicate = said->kind == WB_VERDICT_DUPLICATE;
    return wb_slice_eq(text_of(expect, WB_S("verdict")),
                       wb_slice_str(wb_verdict_name(said->kind))) &&
           is_set(expect, WB_S("verified")) == said->verified &&
           wb_slice_eq(text_of(expect, WB_S("code")),
                       wb_slice_str(wb_token_code_name(said->code))) &&
           wb_slice_eq(text_of(expect, WB_S("class")), wb_slice_str(said->wire_class)) &&
           same_warnings(array_of(expect, WB_S("warnings")), said->warnings) &&
           (!duplicate || wb_slice_eq(text_of(expect, WB_S("acceptance")), v->duplicate_of));
}
