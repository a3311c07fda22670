/* SPDX-License-Identifier: Apache-2.0 */
/* Minting is verifying beforehand. The rules of sections 5 and 9 are written once, in claims.c and
 * chain.c; what is about to be signed is formatted, read back and put to them, once, before the
 * signature: so a token that leaves here is one that the far side's form and chain checks let pass, and
 * a refusal has the code of the check that would have failed there. The header's bytes are fixed, and
 * base64url and Ed25519 add no rule that could fail; that the whole link parses to the same claims is
 * what tests prove, with random asks.
 *
 * Two refusals are different in kind. An ask above what the pool holds is DENIED: no delegation at all,
 * nobody starts work believing in a larger budget. A delegation for which no token can verify (too
 * deep, a message id of 200 characters) is REJECTED here and goes out traced, without a token. */
#include "propagation/mint.h"

#include "propagation/chain.h"
#include "propagation/claims.h"

enum {
    FORMAT_LIMIT = 1 << 16, /* of the buffer; more than any claims that fit their fields */
};

static wb_status no_token(wb_token_code *code, wb_token_code why, wb_error *err)
{
    *code = why;
    return wb_fail(err, WB_ERR_REJECTED, "no token can verify: %s", wb_token_code_name(why));
}

/* The reader's first limit; it also bounds what formatting takes, whatever a client sent. */
static bool strings_fit(const wb_claims *c)
{
    const wb_slice texts[] = {c->iss, c->sub, c->aud, c->mid, c->ctx, c->tsk};
    for (size_t i = 0; i < WB_COUNT(texts); i++)
        if (texts[i].len > wb_token_json_limits.string_bytes) return false;
    for (size_t i = 0; i < c->n_scp; i++)
        if (c->scp[i].len > wb_token_json_limits.string_bytes) return false;
    return true;
}

/* Format and read back: are these claims of the form that section 5 wants? */
static wb_status check_form(const wb_claims *claims, wb_arena *arena, wb_token_code *code)
{
    WB_AUTO_BUFFER text;
    const wb_json *json = NULL;
    wb_claims again = {0};
    *code = WB_E_SIZE;
    wb_buffer_init(&text, FORMAT_LIMIT);
    if (!strings_fit(claims)) return WB_OK;
    WB_TRY(wb_claims_format(claims, &text));
    if (text.len > WB_PAYLOAD_MAX_BYTES) return WB_OK;
    WB_TRY(wb_token_json(wb_buffer_slice(&text), arena, &json, code));
    if (*code == WB_E_NONE) *code = wb_claims_check(json, &again);
    return WB_OK;
}

static wb_status above(wb_error *err, const char *what, uint64_t ask, uint64_t left)
{
    return wb_fail(err, WB_ERR_DENIED, "%s asked: %llu, left: %llu", what, (unsigned long long)ask,
                   (unsigned long long)left);
}

static uint64_t share(uint64_t left, uint32_t percent)
{
    if (left == WB_NOLIM) return WB_NOLIM;
    return left / 100 * percent + left % 100 * percent / 100;
}

/* An amount in another currency cannot be held against the pool. A child's currency is checked with the
 * rest of its chain; an agent without a limit of its own may use any. */
static bool currency_fits(const wb_mint_parent *parent, const wb_mint_ask *ask,
                          const wb_token_limits *left)
{
    if (!ask->cur[0] || strcmp(ask->cur, left->cur) == 0) return true;
    return parent ? !parent->linked : left->cost == WB_NOLIM;
}

wb_status wb_mint_limits(const wb_mint_parent *parent, const wb_mint_ask *ask, wb_token_limits *out,
                         wb_error *err)
{
    static const wb_token_limits unlimited = {"USD", WB_NOLIM, WB_NOLIM, WB_NOLIM};
    const wb_token_limits *left = parent ? &parent->free : ask->own ? ask->own : &unlimited;
    uint32_t percent = ask->has_share ? ask->share_percent : WB_SHARE_DEFAULT;
    wb_token_limits lim;
    if (!currency_fits(parent, ask, left))
        return wb_fail(err, WB_ERR_DENIED, "currency asked: %.3s, granted: %.3s", ask->cur,
                       left->cur);
    if (ask->has_cost && ask->cost > left->cost) return above(err, "cost", ask->cost, left->cost);
    if (ask->has_tok && ask->tok > left->tok) return above(err, "tokens", ask->tok, left->tok);
    if (ask->has_ms && ask->ms > left->ms) return above(err, "ms", ask->ms, left->ms);
    memcpy(lim.cur, ask->cur[0] ? ask->cur : left->cur, sizeof lim.cur);
    lim.cost = ask->has_cost ? ask->cost : share(left->cost, percent);
    lim.tok = ask->has_tok ? ask->tok : share(left->tok, percent);
    lim.ms = ask->has_ms ? ask->ms : left->ms;
    *out = lim;
    return WB_OK;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

static wb_status fill_times(const wb_mint_parent *parent, const wb_mint_ask *ask, wb_claims *c,
                            wb_error *err)
{
    uint64_t end = parent ? parent->leaf->dln : WB_NOLIM;
    if (ask->deadline_s > end) return above(err, "deadline", ask->deadline_s, end);
    c->iat = ask->now_s;
    c->dln = ask->deadline_s ? ask->deadline_s : least(c->iat + WB_DLN_DEFAULT_S, end);
    c->exp = least(c->iat + (ask->lifetime_s ? ask->lifetime_s : WB_EXP_DEFAULT_S), c->dln);
    return WB_OK;
}

static void fill_place(const wb_mint_parent *parent, const wb_mint_ask *ask, wb_claims *c)
{
    c->sub = ask->iss;
    c->tid = ask->tid;
    c->mxd = ask->has_max_depth ? ask->max_depth : WB_MXD_DEFAULT;
    if (!parent) return;
    const wb_claims *p = parent->leaf;
    if (parent->linked) { /* section 7.2: a LINK root counts the LINKs on its way here */
        c->has_lnk = true;
        memcpy(c->lnk_tth, parent->leaf_hash, sizeof c->lnk_tth);
        c->lnk_hop = 1 + (p->has_lnk ? p->lnk_hop : 0);
        return;
    }
    c->sub = p->sub;
    c->tid = p->tid;
    c->dep = (uint8_t)(p->dep + 1);
    c->mxd = p->mxd;
    memcpy(c->pth, parent->leaf_hash, sizeof c->pth);
    c->has_scp = p->has_scp;
    c->n_scp = p->n_scp;
    memcpy(c->scp, p->scp, sizeof c->scp);
    c->has_lnk = p->has_lnk;
    c->lnk_hop = p->lnk_hop;
    memcpy(c->lnk_tth, p->lnk_tth, sizeof c->lnk_tth);
}

static void fill_binding(const wb_mint_ask *ask, wb_claims *c)
{
    c->mth = wb_method_parse(ask->method);
    c->mid = ask->message_id;
    c->ctx = ask->context_id;
    c->tsk = ask->task_id;
    memcpy(c->bdg, ask->digest, sizeof c->bdg);
}

/* Section 9 over the chain that ends in `c`, the parent's links having passed it when accepted. */
static wb_status check_chain(const wb_mint_parent *parent, const wb_mint_ask *ask,
                             const wb_claims *c, wb_arena *arena, wb_token_code *code)
{
    const wb_claims *links[WB_CHAIN_MAX_LINKS + 1];
    size_t n = 0;
    if (c->dep > 0) {
        *code = wb_chain_check_pair(parent->leaf, parent->leaf_hash, c, ask->skew_s);
        if (*code != WB_E_NONE) return WB_OK;
        size_t above_leaf = parent->chain->n > 0 ? parent->chain->n - 1 : 0;
        WB_ASSERT(above_leaf < WB_CHAIN_MAX_LINKS);
        wb_token *tokens = wb_arena_array(arena, WB_CHAIN_MAX_LINKS, sizeof *tokens);
        if (!tokens) return WB_ERR_NO_MEMORY;
        for (; n < above_leaf; n++) {
            WB_TRY(wb_token_parse(parent->chain->links[n], arena, &tokens[n], code));
            if (*code != WB_E_NONE) return WB_OK;
            links[n] = &tokens[n].claims;
        }
        links[n++] = parent->leaf;
    }
    links[n++] = c;
    *code = wb_chain_check_all(links, n, ask->callbacks);
    return WB_OK;
}

wb_status wb_mint_fill(const wb_mint_parent *parent, const wb_mint_ask *ask, wb_arena *arena,
                       wb_claims *out, wb_token_code *code, wb_error *err)
{
    wb_claims c = {
        .iss = ask->iss, .aud = ask->aud, .jti = ask->jti, .psid = ask->psid, .tfl = ask->tfl};
    wb_token_code why = WB_E_NONE;
    *code = WB_E_NONE;
    WB_TRY(wb_mint_limits(parent, ask, &c.lim, err));
    WB_TRY(fill_times(parent, ask, &c, err));
    fill_place(parent, ask, &c);
    fill_binding(ask, &c);
    memcpy(c.kid, ask->kid, WB_HASH_B64);
    WB_TRY(check_form(&c, arena, &why));
    if (why == WB_E_NONE && !wb_chain_times_ok(&c)) why = WB_E_TTL;
    if (why == WB_E_NONE) WB_TRY(check_chain(parent, ask, &c, arena, &why));
    if (why != WB_E_NONE) return no_token(code, why, err);
    *out = c;
    return WB_OK;
}

static wb_status add_part(wb_buffer *out, wb_slice bytes)
{
    uint8_t *at;
    size_t len = WB_B64URL_LEN(bytes.len);
    WB_TRY(wb_buffer_reserve(out, len + 1, &at)); /* the formatter ends with a NUL */
    wb_b64url_format(bytes, (char *)at);
    out->len--;
    return WB_OK;
}

/* header "." payload: what is signed. Section 4 fixes the header's bytes. */
static wb_status add_signed_part(const wb_key_ring *ring, const wb_claims *claims, wb_buffer *out)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, FORMAT_LIMIT);
    WB_TRY(wb_buffer_printf(&text,
                            "{\"alg\":\"Ed25519\",\"typ\":\"waybill-trace+jwt\",\"kid\":\"%s\"}",
                            wb_key_ring_kid(ring)));
    WB_TRY(add_part(out, wb_buffer_slice(&text)));
    WB_TRY(wb_buffer_add(out, ".", 1));
    wb_buffer_clear(&text);
    WB_TRY(wb_claims_format(claims, &text));
    return add_part(out, wb_buffer_slice(&text));
}

/* What the form allows fits a link: header, payload and signature, two dots. */
_Static_assert(WB_B64URL_LEN(WB_HEADER_MAX_BYTES) + WB_B64URL_LEN(WB_PAYLOAD_MAX_BYTES) +
                       WB_B64URL_LEN(WB_SIG_BYTES) + 2 <=
                   WB_LINK_MAX_BYTES,
               "a link is checked by its parts");

wb_status wb_token_sign(wb_key_ring *ring, const wb_claims *claims, wb_arena *arena, wb_slice *jws,
                        wb_error *err)
{
    WB_AUTO_BUFFER text;
    uint8_t sig[WB_SIG_BYTES];
    wb_buffer_init(&text, 2 * FORMAT_LIMIT);
    wb_status status = add_signed_part(ring, claims, &text);
    if (status == WB_OK) status = wb_key_ring_sign(ring, wb_buffer_slice(&text), sig);
    if (status == WB_OK) status = wb_buffer_add(&text, ".", 1);
    if (status == WB_OK) status = add_part(&text, wb_slice_of(sig, sizeof sig));
    if (status == WB_OK) status = wb_arena_dup(arena, wb_buffer_slice(&text), jws);
    return status == WB_OK ? WB_OK : wb_fail(err, status, "the token cannot be signed");
}

wb_status wb_token_mint(wb_key_ring *ring, const wb_claims *claims, wb_arena *arena, wb_slice *jws,
                        wb_token_code *code, wb_error *err)
{
    wb_token_code why = WB_E_NONE;
    *code = WB_E_NONE;
    WB_TRY(check_form(claims, arena, &why));
    if (why != WB_E_NONE) return no_token(code, why, err);
    return wb_token_sign(ring, claims, arena, jws, err);
}

wb_status wb_mint_chain(const wb_mint_parent *parent, wb_policy_chain policy, wb_slice jws,
                        wb_chain *out, wb_token_code *code)
{
    wb_chain chain = {0};
    size_t sum = jws.len;
    if (parent && !parent->linked && policy == WB_CHAIN_FULL) {
        *code = WB_E_CHAIN_ROOT; /* accepted without its ancestors: nobody above vouches for it */
        if (parent->chain->n != parent->leaf->dep + 1u) return WB_ERR_REJECTED;
        *code = WB_E_CHAIN_LEN;
        if (parent->chain->n >= WB_CHAIN_MAX_LINKS) return WB_ERR_REJECTED;
        chain = *parent->chain;
        for (size_t i = 0; i < chain.n; i++) sum += chain.links[i].len;
    }
    *code = WB_E_SIZE;
    if (sum > WB_CHAIN_MAX_BYTES) return WB_ERR_REJECTED;
    *code = WB_E_NONE;
    chain.links[chain.n++] = jws;
    *out = chain;
    return WB_OK;
}
