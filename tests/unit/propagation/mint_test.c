/* SPDX-License-Identifier: Apache-2.0 */
/* What the minter refuses, what it fills in, and the example tokens of TOKENS section 19 to the byte. */
#include "propagation/claims.h"
#include "tests/unit/propagation/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static const char root_jws[] =
    "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoid2F5YmlsbC10cmFjZStqd3QiLCJraWQiOiIxSUcydE1IN0oyd2JKWm5PZjhM"
    "SnpRaXRLZjdMTXZvQUVsc3VETVZNNTRZIn0.eyJ2ZXIiOjEsImlzcyI6InNwaWZmZTovL2V4YW1wbGUub3JnL2EiLCJz"
    "dWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9hIiwiYXVkIjoic3BpZmZlOi8vZXhhbXBsZS5vcmcvYiIsImp0aSI6Im9L"
    "R2lvNlNscHFlb3FhcXJySzJ1cnciLCJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyNTcyMCwiZGxuIjoxNzY3MjI5"
    "MjAwLCJ0aWQiOiIwYWY3NjUxOTE2Y2Q0M2RkODQ0OGViMjExYzgwMzE5YyIsInBzaWQiOiJiN2FkNmI3MTY5MjAzMzMx"
    "IiwidGZsIjozLCJkZXAiOjAsIm14ZCI6NCwibGltIjp7ImN1ciI6IlVTRCIsImNvc3QiOjUwMDAwMCwidG9rIjoyMDAw"
    "MDAsIm1zIjo2MDAwMDB9LCJibmQiOnsibXRoIjoiU2VuZE1lc3NhZ2UiLCJtaWQiOiJtc2ctMSIsImJkZyI6Im1QclBm"
    "OG95Z0NZR0phVUl5WS1rREc4bTA4YXM5am9HeEV0YTRnWVRJUE0ifX0.ML0soN8itXsPKD00DGjPl3Yq9S3S2W0fKLyk"
    "o-S7g4or2EFEs6TDe54NJmVJvUW2Qe6XfSaSsyXxCnTgxqSlAw";
static const char child_jws[] =
    "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoid2F5YmlsbC10cmFjZStqd3QiLCJraWQiOiJBa1hJWkZ6b25iNTlabUd3eUtn"
    "aTNIM0J3TWk2YW1ldnFkS1FpTFpoZHRjIn0.eyJ2ZXIiOjEsImlzcyI6InNwaWZmZTovL2V4YW1wbGUub3JnL2IiLCJz"
    "dWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9hIiwiYXVkIjoic3BpZmZlOi8vZXhhbXBsZS5vcmcvYyIsImp0aSI6InNM"
    "R3lzN1MxdHJlNHVicTd2TDItdnciLCJpYXQiOjE3NjcyMjU2MDIsImV4cCI6MTc2NzIyNTcyMiwiZGxuIjoxNzY3MjI4"
    "NjAwLCJ0aWQiOiIwYWY3NjUxOTE2Y2Q0M2RkODQ0OGViMjExYzgwMzE5YyIsInBzaWQiOiIwMGYwNjdhYTBiYTkwMmI3"
    "IiwidGZsIjozLCJkZXAiOjEsIm14ZCI6NCwicHRoIjoiM0daMlgzelpXenYyNTRIeVRIaVk4bW5OQ25hcE9fYVcwNHBV"
    "c1IyTmExOCIsImxpbSI6eyJjdXIiOiJVU0QiLCJjb3N0IjoxMjAwMDAsInRvayI6NDAwMDAsIm1zIjozMDAwMDB9LCJi"
    "bmQiOnsibXRoIjoiU2VuZFN0cmVhbWluZ01lc3NhZ2UiLCJtaWQiOiJtc2ctMiIsImN0eCI6ImN0eC03IiwiYmRnIjoi"
    "bmEzczdJQXdrQ05nM3MtZnAwT09BTl84TURwUnZkVEY5em5Rd3lDS3phYyJ9fQ.U6TisfQbuZi3PARGWoJ0m0FCP0xV8"
    "EPjTbXIfJLNzldHH1AengfNGm9Z1DDB-9FlfWfB7sqcqwirGiaZRlCWAw";

/* An ask by B, accepted by the root's grant, for a child to C. */
static wb_mint_ask ask_of_b(token_fixture *f)
{
    wb_mint_ask ask = {.now_s = NOW,
                       .skew_s = WB_SKEW_DEFAULT_S,
                       .iss = WB_S(ID_B),
                       .kid = wb_key_ring_kid(f->b),
                       .aud = WB_S(ID_C),
                       .jti = f->child.jti,
                       .tid = {.b = {9}},
                       .psid = f->child.psid,
                       .tfl = 3,
                       .method = WB_S("SendMessage"),
                       .message_id = WB_S("msg-9")};
    memcpy(ask.digest, f->child.bdg, sizeof ask.digest);
    return ask;
}

/* The acceptance of the root by B. */
static wb_mint_parent parent_of(token_fixture *f, wb_chain *chain)
{
    wb_mint_parent parent = {.leaf = &f->root, .chain = chain, .free = f->root.lim};
    f->root_jws = fixture_mint(f, f->a, &f->root);
    *chain = (wb_chain){.links = {f->root_jws}, .n = 1};
    wb_token_hash(f->root_jws, parent.leaf_hash);
    return parent;
}

static void an_ask_above_the_pool_is_denied(void **state)
{
    token_fixture *f = *state;
    wb_chain chain;
    wb_mint_parent parent = parent_of(f, &chain);
    parent.free.cost = 100;
    parent.free.tok = 200;
    static const struct {
        const char *name;
        uint64_t value, deadline;
        wb_status expected;
        bool cost, tok, ms;
    } cases[] = {
        {"cost above what is free", 101, 0, WB_ERR_DENIED, true, false, false},
        {"all of the free cost", 100, 0, WB_OK, true, false, false},
        {"tokens above what is free", 201, 0, WB_ERR_DENIED, false, true, false},
        {"all of the free tokens", 200, 0, WB_OK, false, true, false},
        {"ms above the grant", 600001, 0, WB_ERR_DENIED, false, false, true},
        {"all of the grant's ms", 600000, 0, WB_OK, false, false, true},
        {"a deadline behind the grant's", 0, 1767229201, WB_ERR_DENIED, false, false, false},
        {"the grant's deadline", 0, 1767229200, WB_OK, false, false, false},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_mint_ask ask = ask_of_b(f);
        wb_claims out = {0};
        wb_token_code code = WB_E_AUD;
        ask.has_cost = cases[i].cost;
        ask.has_tok = cases[i].tok;
        ask.has_ms = cases[i].ms;
        ask.cost = ask.tok = ask.ms = cases[i].value;
        ask.deadline_s = cases[i].deadline;
        wb_status st = wb_mint_fill(&parent, &ask, f->arena, &out, &code, NULL);
        if (st != cases[i].expected) fail_msg("%s: %s", cases[i].name, wb_status_name(st));
        assert_code(cases[i].name, code, WB_E_NONE);
        if (st != WB_OK) assert_null(out.iss.ptr);
    }
}

typedef void (*change)(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent);

static void too_deep(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)ask;
    (void)parent;
    f->root.mxd = 0;
}
static void to_itself(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->aud = ask->iss;
}
static void back_to_root(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->aud = WB_S(ID_A);
}
static void foreign_issuer(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->iss = WB_S(ID_D);
}
static void after_the_grant(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)parent;
    ask->now_s = f->root.dln;
}
static void other_currency(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    memcpy(ask->cur, "EUR", 4);
}
static void no_currency_at_all(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    memcpy(ask->cur, "eur", 4);
}
static void other_method(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->method = WB_S("CancelTask");
}
static void no_message_id(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->message_id = (wb_slice){0};
}
static void long_message_id(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    static const char text[129] = {[0 ... 128] = 'm'};
    (void)f;
    (void)parent;
    ask->message_id = wb_slice_of(text, sizeof text);
}
static void huge_message_id(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    static const char text[1000000] = {[0 ... 999999] = 'm'};
    (void)f;
    (void)parent;
    ask->message_id = wb_slice_of(text, sizeof text);
}
static void broken_message_id(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->message_id = WB_S("\xff");
}
static void upper_case_audience(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->aud = WB_S("https://C.example.com");
}
static void confirmed_key(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)ask;
    (void)parent;
    f->root.has_cnf = true;
    memcpy(f->root.cnf_jkt, wb_key_ring_kid(f->d), sizeof f->root.cnf_jkt);
}
static void too_far(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    ask->deadline_s = NOW + WB_DLN_MAX_S + 1;
    *parent = (wb_mint_parent){0};
}
static void in_the_past(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)f;
    (void)parent;
    ask->deadline_s = NOW;
}
static void seventeenth_link(token_fixture *f, wb_mint_ask *ask, wb_mint_parent *parent)
{
    (void)ask;
    f->root.has_lnk = true;
    f->root.lnk_hop = 16;
    parent->linked = true;
}

static void what_cannot_verify_is_refused_with_the_code_of_its_check(void **state)
{
    static const struct {
        const char *name;
        change apply;
        wb_token_code expected;
    } cases[] = {
        {"a child below a sealed chain", too_deep, WB_E_CLAIM_RANGE},
        {"a delegation to itself", to_itself, WB_E_LOOP},
        {"a delegation back to the root", back_to_root, WB_E_LOOP},
        {"an issuer that is not the grant's audience", foreign_issuer, WB_E_CHAIN_ALIGN},
        {"a grant that has ended", after_the_grant, WB_E_TTL},
        {"another currency", other_currency, WB_E_ATT_CUR},
        {"a currency that is none", no_currency_at_all, WB_E_CLAIM_RANGE},
        {"a method without tokens", other_method, WB_E_CLAIM_RANGE},
        {"no message id", no_message_id, WB_E_CLAIM_RANGE},
        {"a message id of 129 bytes", long_message_id, WB_E_CLAIM_RANGE},
        {"a message id of a megabyte", huge_message_id, WB_E_SIZE},
        {"a message id that is not UTF-8", broken_message_id, WB_E_UTF8},
        {"an audience in upper case", upper_case_audience, WB_E_CLAIM_RANGE},
        {"another key than the grant confirms", confirmed_key, WB_E_CHAIN_CNF},
        {"a deadline beyond a day", too_far, WB_E_TTL},
        {"a deadline that is now", in_the_past, WB_E_TTL},
        {"a seventeenth link root", seventeenth_link, WB_E_HOP},
    };
    token_fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_claims kept = f->root, out = {0};
        wb_mint_ask ask = ask_of_b(f);
        wb_mint_parent parent = {0};
        wb_chain chain;
        wb_token_code code = WB_E_NONE;
        cases[i].apply(f, &ask, &parent);
        bool linked = parent.linked, plain = ask.deadline_s > NOW + WB_DLN_MAX_S;
        parent = parent_of(f, &chain);
        parent.linked = linked;
        wb_status st = wb_mint_fill(plain ? NULL : &parent, &ask, f->arena, &out, &code, NULL);
        assert_code(cases[i].name, code, cases[i].expected);
        assert_int_equal(st, WB_ERR_REJECTED);
        assert_null(out.iss.ptr);
        f->root = kept;
    }
}

static const char quotes[1 << 20] = {[0 ...(1 << 20) - 1] = '"'}; /* each takes two bytes */

static void widen(wb_claims *c)
{
    c->has_scp = true;
    c->n_scp = WB_SCP_MAX;
    for (size_t i = 0; i < c->n_scp; i++) c->scp[i] = wb_slice_of(quotes, 64 - i);
}

static void a_payload_above_its_limit_is_not_minted(void **state)
{
    token_fixture *f = *state;
    wb_claims c = f->root, out = {0};
    wb_slice jws = {0};
    wb_chain chain;
    wb_token_code code;
    widen(&c);
    c.mid = c.ctx = c.tsk = wb_slice_of(quotes, WB_TEXT_MAX_BYTES);
    assert_int_equal(wb_token_mint(f->a, &c, f->arena, &jws, &code, NULL), WB_ERR_REJECTED);
    assert_code("quotes everywhere", code, WB_E_SIZE);
    c.mid = wb_slice_of(quotes, sizeof quotes);
    assert_int_equal(wb_token_mint(f->a, &c, f->arena, &jws, &code, NULL), WB_ERR_REJECTED);
    assert_code("a megabyte of quotes", code, WB_E_SIZE);
    assert_null(jws.ptr);
    widen(&f->root); /* what a child copies may be too much as well */
    wb_mint_parent parent = parent_of(f, &chain);
    wb_mint_ask ask = ask_of_b(f);
    ask.message_id = ask.context_id = ask.task_id = wb_slice_of(quotes, WB_TEXT_MAX_BYTES);
    assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &out, &code, NULL), WB_ERR_REJECTED);
    assert_code("a child's", code, WB_E_SIZE);
}

static void a_payload_at_its_limit_is_minted(void **state)
{
    token_fixture *f = *state;
    wb_slice jws = {0};
    wb_token_code code = WB_E_NONE;
    size_t len = 1; /* of the message id: text of one byte a character */
    widen(&f->root);
    f->root.ctx = wb_slice_of(quotes, 100);
    static const char text[WB_TEXT_MAX_BYTES] = {[0 ... WB_TEXT_MAX_BYTES - 1] = 'm'};
    for (; code == WB_E_NONE && len <= sizeof text; len++) {
        f->root.mid = wb_slice_of(text, len);
        (void)!wb_token_mint(f->a, &f->root, f->arena, &jws, &code, NULL);
    }
    assert_code("one byte too many", code, WB_E_SIZE);
    assert_int_equal(memcmp(jws.ptr, "eyJ", 3), 0);
    const uint8_t *dot = memchr(jws.ptr, '.', jws.len);
    const uint8_t *second = memchr(dot + 1, '.', jws.len - (size_t)(dot + 1 - jws.ptr));
    assert_int_equal(second - dot - 1, WB_B64URL_LEN(WB_PAYLOAD_MAX_BYTES));
}

/* B's acceptance becomes C's: the child is the leaf, below the root. */
static wb_mint_parent parent_of_c(token_fixture *f, wb_chain *chain)
{
    wb_mint_parent parent = {.leaf = &f->child, .chain = chain, .free = f->child.lim};
    *chain = f->in.chain;
    wb_token_hash(f->child_jws, parent.leaf_hash);
    return parent;
}

static void a_loop_over_the_whole_chain_is_seen(void **state)
{
    static const struct {
        const char *aud;
        wb_token_code expected;
    } cases[] = {{ID_A, WB_E_LOOP}, {ID_B, WB_E_LOOP}, {ID_C, WB_E_LOOP}, {ID_D, WB_E_NONE}};
    token_fixture *f = *state;
    wb_chain chain;
    wb_claims out = {0};
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_mint_parent parent = parent_of_c(f, &chain);
        wb_mint_ask ask = ask_of_b(f);
        wb_token_code code;
        ask.iss = WB_S(ID_C);
        ask.aud = wb_slice_str(cases[i].aud);
        wb_status st = wb_mint_fill(&parent, &ask, f->arena, &out, &code, NULL);
        assert_code(cases[i].aud, code, cases[i].expected);
        assert_int_equal(st, cases[i].expected ? WB_ERR_REJECTED : WB_OK);
        ask.callbacks = true;
        assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &out, &code, NULL), WB_OK);
    }
    wb_mint_parent parent = parent_of_c(f, &chain);
    wb_mint_ask ask = ask_of_b(f);
    wb_token_code code;
    ask.iss = WB_S(ID_C);
    ask.aud = WB_S(ID_D);
    chain.links[0] = WB_S("what the journal lost");
    assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &out, &code, NULL), WB_ERR_REJECTED);
    assert_code("an unreadable ancestor", code, WB_E_SYNTAX);
}

static void the_example_tokens_come_out_to_the_byte(void **state)
{
    token_fixture *f = *state;
    char hash[WB_HASH_B64 + 1];
    uint8_t bytes[WB_HASH_BYTES];
    assert_int_equal(f->root_jws.len, 786);
    assert_memory_equal(f->root_jws.ptr, root_jws, 786);
    assert_int_equal(f->child_jws.len, 885);
    assert_memory_equal(f->child_jws.ptr, child_jws, 885);
    wb_token_hash(f->root_jws, bytes);
    wb_b64url_format(wb_slice_of(bytes, sizeof bytes), hash);
    assert_string_equal(hash, "3GZ2X3zZWzv254HyTHiY8mnNCnapO_aW04pUsR2Na18");
    wb_token_hash(f->child_jws, bytes);
    wb_b64url_format(wb_slice_of(bytes, sizeof bytes), hash);
    assert_string_equal(hash, "bJPgXyb4LPFqERUJ4RKoE_y2Z5D2O_kb3di5qRTlSPU");
}

static void the_same_ask_gives_the_same_token(void **state)
{
    token_fixture *f = *state;
    wb_chain chain;
    wb_mint_parent parent = parent_of(f, &chain);
    wb_mint_ask ask = ask_of_b(f);
    wb_claims c = {0};
    wb_token_code code;
    assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &c, &code, NULL), WB_OK);
    wb_slice once = fixture_mint(f, f->b, &c), again = fixture_mint(f, f->b, &c);
    assert_true(wb_slice_eq(once, again));
}

static void a_root_has_the_defaults(void **state)
{
    token_fixture *f = *state;
    wb_mint_ask ask = ask_of_b(f);
    wb_claims c = {0};
    wb_token_code code;
    assert_int_equal(wb_mint_fill(NULL, &ask, f->arena, &c, &code, NULL), WB_OK);
    assert_true(wb_slice_eq(c.sub, ask.iss));
    assert_memory_equal(c.tid.b, ask.tid.b, sizeof c.tid.b);
    assert_int_equal(c.dep, 0);
    assert_int_equal(c.mxd, 4);
    assert_int_equal(c.iat, NOW);
    assert_int_equal(c.exp, NOW + 120);
    assert_int_equal(c.dln, NOW + 3600);
    assert_string_equal(c.lim.cur, "USD");
    assert_true(c.lim.cost == WB_NOLIM && c.lim.tok == WB_NOLIM && c.lim.ms == WB_NOLIM);
}

static void a_child_is_its_parents(void **state)
{
    token_fixture *f = *state;
    wb_chain chain;
    wb_token_code code;
    wb_claims c = {0};
    f->root.has_lnk = true;
    f->root.lnk_hop = 3;
    f->root.has_scp = true;
    f->root.n_scp = 1;
    f->root.scp[0] = WB_S("search");
    wb_mint_parent parent = parent_of(f, &chain);
    wb_mint_ask ask = ask_of_b(f);
    assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &c, &code, NULL), WB_OK);
    assert_true(wb_slice_eq(c.sub, WB_S(ID_A)));
    assert_memory_equal(c.tid.b, f->root.tid.b, sizeof c.tid.b);
    assert_int_equal(c.dep, 1);
    assert_int_equal(c.mxd, f->root.mxd);
    assert_memory_equal(c.pth, parent.leaf_hash, sizeof c.pth);
    assert_true(c.has_lnk && c.lnk_hop == 3);
    assert_true(c.has_scp && c.n_scp == 1);
    assert_int_equal(c.dln, f->root.dln); /* 3600 s from now would be behind it */
    assert_int_equal(c.lim.cost, 500000 / 4);
    assert_int_equal(c.lim.tok, 200000 / 4);
    assert_int_equal(c.lim.ms, 600000);
}

static void a_child_of_an_unlimited_grant_is_unlimited(void **state)
{
    token_fixture *f = *state;
    wb_chain chain;
    wb_token_code code;
    wb_claims c = {0};
    f->root.lim.cost = f->root.lim.tok = f->root.lim.ms = WB_NOLIM;
    wb_mint_parent parent = parent_of(f, &chain);
    wb_mint_ask ask = ask_of_b(f);
    assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &c, &code, NULL), WB_OK);
    assert_true(c.lim.cost == WB_NOLIM && c.lim.tok == WB_NOLIM && c.lim.ms == WB_NOLIM);
}

static void a_link_root_is_a_root_that_counts_its_links(void **state)
{
    token_fixture *f = *state;
    wb_chain chain, sent;
    wb_token_code code;
    wb_claims c = {0};
    f->root.has_lnk = true;
    f->root.lnk_hop = 15;
    wb_mint_parent parent = parent_of(f, &chain);
    parent.linked = true;
    wb_mint_ask ask = ask_of_b(f);
    assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &c, &code, NULL), WB_OK);
    assert_true(wb_slice_eq(c.sub, WB_S(ID_B)));
    assert_memory_equal(c.tid.b, ask.tid.b, sizeof c.tid.b);
    assert_int_equal(c.dep, 0);
    assert_int_equal(c.dln, f->root.dln);
    assert_int_equal(c.lnk_hop, 16);
    assert_memory_equal(c.lnk_tth, parent.leaf_hash, sizeof c.lnk_tth);
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, f->child_jws, &sent, &code), WB_OK);
    assert_int_equal(sent.n, 1);
}

static void a_minted_child_verifies_at_its_audience(void **state)
{
    token_fixture *f = *state;
    wb_chain chain;
    wb_token_code code;
    wb_claims c = {0};
    wb_mint_parent parent = parent_of(f, &chain);
    wb_mint_ask ask = ask_of_b(f);
    assert_int_equal(wb_mint_fill(&parent, &ask, f->arena, &c, &code, NULL), WB_OK);
    wb_slice jws = fixture_mint(f, f->b, &c);
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, jws, &f->in.chain, &code), WB_OK);
    f->in.message.method = ask.method;
    f->in.message.message_id = ask.message_id;
    f->in.message.context_id = (wb_slice){0};
    wb_verdict v = fixture_verdict(f);
    assert_code("minted and sent", v.code, WB_E_NONE);
    assert_int_equal(v.kind, WB_VERDICT_CONTINUE);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Mostly what a client might send, now and then anything at all. */
static wb_slice random_text(token_fixture *f, uint64_t *state, size_t max)
{
    size_t len = next_random(state) % (max + 1);
    bool wild = next_random(state) % 4 == 0;
    uint8_t *bytes = wb_arena_alloc(f->arena, len + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        uint8_t any = (uint8_t)next_random(state);
        bytes[i] = wild ? any : (uint8_t)(' ' + any % 95);
    }
    return wb_slice_of(bytes, len);
}

static uint64_t random_amount(uint64_t *state)
{
    uint64_t any = next_random(state);
    return any % 3 == 0 ? any % 1000 : any >> (any % 60);
}

static wb_mint_ask random_ask(token_fixture *f, uint64_t *state)
{
    wb_mint_ask ask = ask_of_b(f);
    ask.message_id = random_text(f, state, 140);
    if (next_random(state) % 2) ask.context_id = random_text(f, state, 140);
    if (next_random(state) % 2) ask.task_id = random_text(f, state, 140);
    if (next_random(state) % 8 == 0) ask.aud = random_text(f, state, 20);
    ask.has_cost = next_random(state) % 2;
    ask.has_tok = next_random(state) % 2;
    ask.has_ms = next_random(state) % 2;
    ask.cost = random_amount(state);
    ask.tok = random_amount(state);
    ask.ms = random_amount(state);
    ask.lifetime_s = next_random(state) % 700;
    ask.has_max_depth = true;
    ask.max_depth = (uint8_t)(next_random(state) % 10);
    if (next_random(state) % 4 == 0) ask.deadline_s = NOW + next_random(state) % 90000;
    return ask;
}

/* wb_token_sign does not look again: that nothing is signed which would not parse is proven here. */
static void whatever_is_filled_and_signed_parses_to_the_same_claims(void **state)
{
    token_fixture *f = *state;
    uint64_t random = 1;
    unsigned signed_ones = 0;
    for (unsigned i = 0; i < 20000; i++) {
        wb_mint_ask ask = random_ask(f, &random);
        wb_token_code code;
        wb_claims c = {0};
        wb_slice jws = {0};
        wb_token read;
        WB_AUTO_BUFFER made, again;
        ask.iss = WB_S(ID_A);
        ask.kid = wb_key_ring_kid(f->a);
        if (wb_mint_fill(NULL, &ask, f->arena, &c, &code, NULL) == WB_OK) {
            signed_ones++;
            assert_int_equal(wb_token_sign(f->a, &c, f->arena, &jws, NULL), WB_OK);
            assert_int_equal(wb_token_parse(jws, f->arena, &read, &code), WB_OK);
            assert_int_equal(code, WB_E_NONE);
            wb_buffer_init(&made, 1 << 16);
            wb_buffer_init(&again, 1 << 16);
            assert_int_equal(wb_claims_format(&c, &made), WB_OK);
            assert_int_equal(wb_claims_format(&read.claims, &again), WB_OK);
            assert_true(wb_slice_eq(wb_buffer_slice(&made), wb_buffer_slice(&again)));
            assert_string_equal(read.claims.kid, ask.kid);
        } else {
            wb_buffer_init(&made, 1);
            wb_buffer_init(&again, 1);
        }
        if (i % 64 == 63) wb_arena_reset(f->arena);
    }
    assert_true(signed_ones > 500 && signed_ones < 19500); /* both happened */
}

static void the_sent_chain_obeys_policy_and_limits(void **state)
{
    token_fixture *f = *state;
    wb_chain chain, sent = {0};
    wb_token_code code;
    wb_mint_parent parent = parent_of(f, &chain);
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_LEAF, f->child_jws, &sent, &code), WB_OK);
    assert_int_equal(sent.n, 1);
    assert_true(wb_slice_eq(sent.links[0], f->child_jws));
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, f->child_jws, &sent, &code), WB_OK);
    assert_int_equal(sent.n, 2);
    assert_true(wb_slice_eq(sent.links[1], f->child_jws));
    f->root.dep = 1; /* accepted as a lone leaf: its root is nowhere */
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, f->child_jws, &sent, &code),
                     WB_ERR_REJECTED);
    assert_code("a chain without its root", code, WB_E_CHAIN_ROOT);
    f->root.dep = 7;
    chain.n = WB_CHAIN_MAX_LINKS;
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, f->child_jws, &sent, &code),
                     WB_ERR_REJECTED);
    assert_code("a ninth link", code, WB_E_CHAIN_LEN);
    f->root.dep = 6;
    chain.n = 7;
    for (size_t i = 0; i < chain.n; i++) chain.links[i].len = 4000;
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, f->child_jws, &sent, &code),
                     WB_ERR_REJECTED);
    assert_code("28 000 bytes", code, WB_E_SIZE);
    chain.links[0].len = 0; /* 24 576 in all */
    chain.links[1].len = WB_CHAIN_MAX_BYTES - 5 * 4000 - f->child_jws.len;
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, f->child_jws, &sent, &code), WB_OK);
    chain.links[0].len = 1;
    assert_int_equal(wb_mint_chain(&parent, WB_CHAIN_FULL, f->child_jws, &sent, &code),
                     WB_ERR_REJECTED);
    assert_code("24 577 bytes", code, WB_E_SIZE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
    const struct CMUnitTest tests[] = {
        TEST(an_ask_above_the_pool_is_denied),
        TEST(what_cannot_verify_is_refused_with_the_code_of_its_check),
        TEST(a_payload_above_its_limit_is_not_minted),
        TEST(a_payload_at_its_limit_is_minted),
        TEST(a_loop_over_the_whole_chain_is_seen),
        TEST(the_example_tokens_come_out_to_the_byte),
        TEST(the_same_ask_gives_the_same_token),
        TEST(a_root_has_the_defaults),
        TEST(a_child_is_its_parents),
        TEST(a_child_of_an_unlimited_grant_is_unlimited),
        TEST(a_link_root_is_a_root_that_counts_its_links),
        TEST(a_minted_child_verifies_at_its_audience),
        TEST(whatever_is_filled_and_signed_parses_to_the_same_claims),
        TEST(the_sent_chain_obeys_policy_and_limits),
    };
    return cmocka_run_group_tests_name("mint", tests, NULL, NULL);
}
