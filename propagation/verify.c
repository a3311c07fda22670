/* SPDX-License-Identifier: Apache-2.0 */
/* The verifier: the steps of TOKENS section 8 as a list of functions, each ending at its first failing
 * check. That order is normative, for two implementations must give one code, and it is cheap first:
 * all that costs no key comes before the first signature, the leaf's signature comes before any
 * ancestor's, and the first bad one ends it: a chain with a forged leaf costs one verification, one
 * whose leaf a trusted peer signed up to eight.
 *
 * Memory: one wb_token per link plus what its JSON takes, all in the caller's arena and all after the
 * limits of section 3 were checked. State: none; what only the sidecar knows (owner of the task, the
 * highest purged expiry) comes in, and what only it can decide (replay, owner of the trace) is joined
 * by wb_verdict_decide once its tables were asked. */
#include "propagation/verify.h"

#include "propagation/chain.h"
#include "propagation/w3c.h"

typedef struct verifier {
    const wb_verify_input *in;
    wb_token *links; /* root first */
    size_t n;
    const wb_claims *leaf;
    bool unproven;
    uint32_t signatures_checked;
} verifier;

/* Steps 1 and 2. A link that its reader did not keep has no bytes, but a length above the limit. */
static wb_token_code check_carrier(const wb_verify_input *in)
{
    size_t sum = 0;
    if (in->carrier != WB_E_NONE) return in->carrier;
    if (in->chain.n < 1 || in->chain.n > WB_CHAIN_MAX_LINKS) return WB_E_CHAIN_LEN;
    for (size_t i = 0; i < in->chain.n; i++) {
        if (in->chain.links[i].len > WB_LINK_MAX_BYTES) return WB_E_SIZE;
        sum += in->chain.links[i].len;
    }
    return sum > WB_CHAIN_MAX_BYTES ? WB_E_SIZE : WB_E_NONE;
}

/* Steps 3 to 6, leaf first. */
static wb_status parse_links(verifier *v, wb_arena *arena, wb_token_code *code)
{
    size_t n = v->in->chain.n;
    v->links = wb_arena_array(arena, n, sizeof *v->links);
    if (!v->links) return WB_ERR_NO_MEMORY;
    for (size_t i = n; i-- > 0;) {
        WB_TRY(wb_token_parse(v->in->chain.links[i], arena, &v->links[i], code));
        if (*code != WB_E_NONE) return WB_OK;
    }
    v->n = n;
    v->leaf = &v->links[n - 1].claims;
    return WB_OK;
}

static bool is_own_id(const wb_verify_input *in, wb_slice id)
{
    for (size_t i = 0; i < in->n_self_ids; i++)
        if (wb_slice_eq(in->self_ids[i], id)) return true;
    return false;
}

/* Steps 7 and 8. TOKENS section 11: what was once past stays past, whatever the clock says now. */
static wb_token_code check_audience_and_time(const verifier *v)
{
    const wb_verify_input *in = v->in;
    const wb_claims *leaf = v->leaf;
    if (!is_own_id(in, leaf->aud)) return WB_E_AUD;
    if (leaf->iat > in->now_s + in->skew_s) return WB_E_IAT_FUTURE;
    if (in->now_s >= leaf->exp + in->skew_s) return WB_E_EXPIRED;
    if (in->purged_exp_s > 0 && leaf->exp <= in->purged_exp_s) return WB_E_EXPIRED;
    if (in->recovered_s > 0 && leaf->iat < in->recovered_s + in->skew_s) return WB_E_EXPIRED;
    for (size_t i = v->n; i-- > 0;)
        if (!wb_chain_times_ok(&v->links[i].claims)) return WB_E_TTL;
    return WB_E_NONE;
}

/* Step 9. An absent id is an empty slice on both sides. */
static wb_token_code check_binding(const verifier *v)
{
    const wb_message_facts *m = &v->in->message;
    const wb_claims *leaf = v->leaf;
    bool owned = v->in->task_sub.len > 0 || v->in->task_iss.len > 0;
    if (leaf->mth != wb_method_parse(m->method)) return WB_E_BIND_METHOD;
    if (!wb_slice_eq(leaf->mid, m->message_id)) return WB_E_BIND_MSG;
    if (!wb_slice_eq(leaf->tsk, m->task_id)) return WB_E_BIND_TASK;
    if (owned &&
        (!wb_slice_eq(leaf->sub, v->in->task_sub) || !wb_slice_eq(leaf->iss, v->in->task_iss)))
        return WB_E_BIND_TASK;
    if (!wb_slice_eq(leaf->ctx, m->context_id)) return WB_E_BIND_CTX;
    if (!m->has_digest || !wb_bytes_equal(leaf->bdg, m->digest, sizeof leaf->bdg))
        return WB_E_BIND_BODY;
    return WB_E_NONE;
}

/* The key of that id among those of its issuer: the ring for own ids, its own set for all others. */
static wb_token_code look_up(const wb_verify_input *in, const wb_claims *c,
                             const wb_trust_key **key)
{
    wb_slice kid = wb_slice_str(c->kid);
    if (is_own_id(in, c->iss)) {
        if (!in->ring) return WB_E_ISS_UNKNOWN;
        const wb_ring_key *own = wb_key_ring_find(in->ring, kid);
        *key = own ? &own->key : NULL;
        return own ? WB_E_NONE : WB_E_KEY_UNKNOWN;
    }
    const wb_trust_issuer *issuer = wb_trust_find(in->trust, c->iss);
    if (issuer && issuer->n_keys == 0) return WB_E_KEY_REVOKED;
    if (!issuer) return WB_E_ISS_UNKNOWN;
    *key = wb_trust_key_find(issuer, kid);
    return *key ? WB_E_NONE : WB_E_KEY_UNKNOWN;
}

/* Step 10. */
static wb_token_code find_key(const wb_verify_input *in, const wb_token *t, const uint8_t **x)
{
    const wb_trust_key *key = NULL;
    const wb_claims *c = &t->claims;
    if (wb_revoked_token(in->revoked, c->iss, wb_slice_str(c->kid), t->hash, in->now_s))
        return WB_E_KEY_REVOKED;
    wb_token_code code = look_up(in, c, &key);
    if (code != WB_E_NONE) return code;
    if (c->iat < key->nbf || c->iat >= key->exp) return WB_E_KEY_TIME;
    *x = key->x;
    return WB_E_NONE;
}

/* Step 12. */
static wb_token_code check_signature(verifier *v, const wb_token *t, const uint8_t *key)
{
    v->signatures_checked++;
    if (!wb_ed25519_point_ok(t->sig)) return WB_E_SIG_POINT; /* R is the first half */
    return wb_ed25519_verify(t->sig, t->signed_part, key) ? WB_E_NONE : WB_E_SIG;
}

/* Steps 10 to 12 over the leaf. */
static wb_token_code check_leaf_key(verifier *v)
{
    const uint8_t *key = NULL;
    const wb_token *leaf = &v->links[v->n - 1];
    wb_token_code code = find_key(v->in, leaf, &key);
    if (code != WB_E_NONE) return code;
    if (v->in->rate_take && !v->in->rate_take(v->in->rate_self)) return WB_E_RATE;
    return check_signature(v, leaf, key);
}

/* Step 13: section 9. */
static wb_token_code check_chain(const verifier *v)
{
    const wb_claims *claims[WB_CHAIN_MAX_LINKS];
    const wb_claims *root = &v->links[0].claims;
    for (size_t i = 0; i < v->n; i++) claims[i] = &v->links[i].claims;
    if (v->n == 1 && root->dep > 0 &&
        wb_policy_for(v->in->policies, root->iss).chain != WB_CHAIN_LEAF)
        return WB_E_CHAIN_LEN;
    if (v->n > 1 && root->dep != 0) return WB_E_CHAIN_ROOT;
    if (root->dep == 0 && !wb_slice_eq(root->sub, root->iss)) return WB_E_CHAIN_SUB;
    for (size_t i = 1; i < v->n; i++) {
        wb_token_code code =
            wb_chain_check_pair(claims[i - 1], v->links[i - 1].hash, claims[i], v->in->skew_s);
        if (code != WB_E_NONE) return code;
    }
    return wb_chain_check_all(claims, v->n, v->in->policies->callbacks);
}

/* Step 14. An ancestor whose issuer or key is unknown proves nothing, but does not refute either. */
static wb_token_code check_ancestors(verifier *v)
{
    v->unproven = v->n == 1 && v->leaf->dep > 0;
    for (size_t i = 0; i + 1 < v->n; i++) {
        const uint8_t *key = NULL;
        wb_token_code code = find_key(v->in, &v->links[i], &key);
        if (code == WB_E_ISS_UNKNOWN || code == WB_E_KEY_UNKNOWN)
            v->unproven = true;
        else if (code != WB_E_NONE || check_signature(v, &v->links[i], key) != WB_E_NONE)
            return WB_E_CHAIN_SIG;
    }
    return WB_E_NONE;
}

static wb_token_code check_all(verifier *v)
{
    wb_token_code code = check_audience_and_time(v);
    if (code == WB_E_NONE) code = check_binding(v);
    if (code == WB_E_NONE) code = check_leaf_key(v);
    if (code == WB_E_NONE) code = check_chain(v);
    if (code == WB_E_NONE) code = check_ancestors(v);
    return code;
}

/* Step 16's half that needs no state. */
static bool another_trace(const verifier *v)
{
    wb_traceparent claimed;
    return wb_traceparent_parse(v->in->message.traceparent, &claimed) == WB_OK &&
           !WB_ID_EQ(claimed.trace, v->leaf->tid);
}

/* All links could be read: steps 7 to 14, and what they mean. */
static void judge(verifier *v, wb_verify_result *r)
{
    r->links = v->links;
    r->n_links = v->n;
    r->leaf = &v->links[v->n - 1];
    r->policy = wb_policy_for(v->in->policies, v->leaf->iss);
    r->code = check_all(v);
    r->signatures_checked = v->signatures_checked;
    if (r->code != WB_E_NONE) return;
    r->proven = !v->unproven;
    r->speaks_for = r->proven ? v->leaf->sub : v->leaf->iss;
    if (v->unproven) r->warnings |= WB_W_CHAIN_UNVERIFIED;
    if (another_trace(v)) r->warnings |= WB_W_TRACEPARENT;
}

wb_status wb_token_verify(const wb_verify_input *in, wb_arena *arena, wb_verify_result *out)
{
    verifier v = {.in = in};
    wb_verify_result r = {.code = check_carrier(in),
                          .policy = wb_policy_for(in->policies, in->peer_id)};
    if (r.code == WB_E_NONE) WB_TRY(parse_links(&v, arena, &r.code));
    if (r.code == WB_E_NONE) judge(&v, &r);
    *out = r;
    return WB_OK;
}

static wb_verdict reject(wb_token_code code, uint32_t warnings)
{
    return (wb_verdict){.kind = WB_VERDICT_REJECT,
                        .code = code,
                        .wire_class = wb_token_code_class(code),
                        .warnings = warnings};
}

wb_verdict wb_verdict_decide(const wb_verify_result *result, wb_replay_outcome replay,
                             bool owner_conflict)
{
    const wb_trust_policy *policy = &result->policy;
    uint32_t before_16 = result->warnings & WB_W_CHAIN_UNVERIFIED;
    if (result->code != WB_E_NONE) {
        if (!wb_token_code_is_soft(result->code) || policy->require) return reject(result->code, 0);
        return (wb_verdict){.kind = WB_VERDICT_LINK, .code = result->code, .wire_class = ""};
    }
    if (replay == WB_REPLAY_OTHER) return reject(WB_E_REPLAY, before_16);
    if (replay == WB_REPLAY_SAME)
        return (wb_verdict){.kind = WB_VERDICT_DUPLICATE,
                            .verified = true,
                            .wire_class = "replayed",
                            .warnings = before_16};
    if (replay == WB_REPLAY_NO_ROOM) return reject(WB_E_REPLAY_FULL, before_16);
    uint32_t warnings = result->warnings | (owner_conflict ? WB_W_TRACE_CONFLICT : 0u);
    if (policy->verdict == WB_POLICY_REJECT) return reject(WB_E_POLICY, warnings);
    bool joins = policy->verdict == WB_POLICY_CONTINUE && (result->proven || policy->carry) &&
                 !owner_conflict;
    return (wb_verdict){.kind = joins ? WB_VERDICT_CONTINUE : WB_VERDICT_LINK,
                        .verified = true,
                        .wire_class = "",
                        .warnings = warnings};
}

const char *wb_verdict_name(wb_verdict_kind kind)
{
    static const char *const names[] = {"", "CONTINUE", "LINK", "DUPLICATE", "REJECT"};
    return (size_t)kind < WB_COUNT(names) ? names[kind] : "";
}
