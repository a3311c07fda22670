/* SPDX-License-Identifier: Apache-2.0 */
/* Real keys, real signatures, a clock that stands still. Tokens are minted with the module's own minter
 * where their form is good, and signed as plain texts where it must not be. */
#include "tests/unit/propagation/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { ARENA_LIMIT = 64 * 1024 * 1024, TEXT_LIMIT = 1024 * 1024 };

static void hash_of(const char *b64, uint8_t out[WB_HASH_BYTES])
{
    assert_int_equal(wb_b64url_parse_exact(wb_slice_str(b64), out, WB_HASH_BYTES), WB_OK);
}

static wb_id jti_from(uint8_t from)
{
    wb_id id;
    for (size_t i = 0; i < sizeof id.b; i++) id.b[i] = (uint8_t)(from + i);
    return id;
}

static wb_claims example_root(void)
{
    wb_claims c = {.iss = WB_S(ID_A),
                   .sub = WB_S(ID_A),
                   .aud = WB_S(ID_B),
                   .jti = jti_from(0xa0),
                   .iat = 1767225600,
                   .exp = 1767225720,
                   .dln = 1767229200,
                   .tfl = 3,
                   .mxd = 4,
                   .lim = {"USD", 500000, 200000, 600000},
                   .mth = WB_METHOD_SEND_MESSAGE,
                   .mid = WB_S("msg-1")};
    assert_int_equal(wb_unhex(WB_S("0af7651916cd43dd8448eb211c80319c"), c.tid.b, 16), WB_OK);
    assert_int_equal(wb_unhex(WB_S("b7ad6b7169203331"), c.psid.b, 8), WB_OK);
    hash_of("mPrPf8oygCYGJaUIyY-kDG8m08as9joGxEta4gYTIPM", c.bdg);
    return c;
}

static wb_claims example_child(void)
{
    wb_claims c = example_root();
    c.iss = WB_S(ID_B);
    c.aud = WB_S(ID_C);
    c.jti = jti_from(0xb0);
    c.iat = 1767225602;
    c.exp = 1767225722;
    c.dln = 1767228600;
    c.dep = 1;
    c.lim = (wb_token_limits){"USD", 120000, 40000, 300000};
    c.mth = WB_METHOD_SEND_STREAMING_MESSAGE;
    c.mid = WB_S("msg-2");
    c.ctx = WB_S("ctx-7");
    assert_int_equal(wb_unhex(WB_S("00f067aa0ba902b7"), c.psid.b, 8), WB_OK);
    hash_of("na3s7IAwkCNg3s-fp0OOAN_8MDpRvdTF9znQwyCKzac", c.bdg);
    return c;
}

wb_key_ring *fixture_ring(uint8_t from)
{
    uint8_t seed[WB_SEED_BYTES];
    wb_key_ring *ring = NULL;
    for (size_t i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)(from + i);
    assert_int_equal(wb_key_ring_from_seed(seed, &ring, NULL), WB_OK);
    return ring;
}

wb_slice fixture_trust_text(token_fixture *f, const char *id, const wb_key_ring *ring,
                            const char *more)
{
    char x[WB_HASH_B64 + 1];
    wb_b64url_format(wb_slice_of(wb_key_ring_public(ring), WB_KEY_BYTES), x);
    return wb_slice_str(wb_arena_printf(
        f->arena,
        "{\"wb_iss\":\"%s\",\"spiffe_sequence\":1,\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
        "\"x\":\"%s\",\"kid\":\"%s\",\"use\":\"waybill\"%s}]}",
        id, x, wb_key_ring_kid(ring), more));
}

void fixture_trust(token_fixture *f, const wb_slice *texts, size_t n)
{
    char *all = wb_arena_printf(f->arena, "{\"wb_bundles\":[");
    for (size_t i = 0; i < n; i++)
        all = wb_arena_printf(f->arena, "%s%s%.*s", all, i ? "," : "", WB_SLICE_ARG(texts[i]));
    all = wb_arena_printf(f->arena, "%s]}", all);
    wb_trust_free(f->trust);
    assert_int_equal(wb_trust_parse(wb_slice_str(all), &f->trust, NULL), WB_OK);
    f->in.trust = f->trust;
}

void fixture_trust_only(token_fixture *f, const char *id, const wb_key_ring *ring, const char *more)
{
    wb_slice text = fixture_trust_text(f, id, ring, more);
    fixture_trust(f, &text, 1);
}

void fixture_edit_signature(token_fixture *f, size_t i, void (*edit)(uint8_t sig[WB_SIG_BYTES]))
{
    wb_token token;
    wb_token_code code;
    char text[WB_B64URL_LEN(WB_SIG_BYTES) + 1];
    assert_int_equal(wb_token_parse(f->in.chain.links[i], f->arena, &token, &code), WB_OK);
    edit(token.sig);
    wb_b64url_format(wb_slice_of(token.sig, sizeof token.sig), text);
    f->in.chain.links[i] =
        wb_slice_str(wb_arena_printf(f->arena, "%.*s.%s", WB_SLICE_ARG(token.signed_part), text));
}

void fixture_revoke(token_fixture *f, const char *text)
{
    wb_revoked_free(f->revoked);
    f->revoked = NULL;
    assert_int_equal(wb_revoked_parse(wb_slice_str(text), &f->revoked, NULL), WB_OK);
    f->in.revoked = f->revoked;
}

static void fill_input(token_fixture *f)
{
    f->self_ids[0] = WB_S(ID_C);
    f->self_ids[1] = WB_S("https://c.example.com");
    f->policies = (wb_policies){.self_id = f->self_ids[0], .entries = f->entries};
    f->in = (wb_verify_input){.now_s = NOW,
                              .skew_s = WB_SKEW_DEFAULT_S,
                              .self_ids = f->self_ids,
                              .n_self_ids = WB_COUNT(f->self_ids),
                              .ring = f->c,
                              .policies = &f->policies};
    f->in.message = (wb_message_facts){.method = WB_S("SendStreamingMessage"),
                                       .message_id = WB_S("msg-2"),
                                       .context_id = WB_S("ctx-7"),
                                       .has_digest = true};
    memcpy(f->in.message.digest, f->child.bdg, sizeof f->child.bdg);
}

int fixture_up(void **state)
{
    wb_error err;
    if (wb_self_test(&err) != WB_OK) {
        print_error("%s\n", err.detail);
        return -1;
    }
    token_fixture *f = calloc(1, sizeof *f);
    if (!f) return -1;
    f->arena = wb_arena_new(ARENA_LIMIT);
    f->a = fixture_ring(0x00);
    f->b = fixture_ring(0x20);
    f->c = fixture_ring(0x40);
    f->d = fixture_ring(0x60);
    f->root = example_root();
    f->child = example_child();
    fill_input(f);
    wb_slice texts[] = {fixture_trust_text(f, ID_A, f->a, ""),
                        fixture_trust_text(f, ID_B, f->b, ""),
                        fixture_trust_text(f, ID_D, f->d, "")};
    fixture_trust(f, texts, WB_COUNT(texts));
    fixture_chain(f);
    *state = f;
    return 0;
}

int fixture_down(void **state)
{
    token_fixture *f = *state;
    wb_key_ring_free(f->a);
    wb_key_ring_free(f->b);
    wb_key_ring_free(f->c);
    wb_key_ring_free(f->d);
    wb_trust_free(f->trust);
    wb_revoked_free(f->revoked);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

wb_slice fixture_mint(token_fixture *f, wb_key_ring *ring, const wb_claims *claims)
{
    wb_token_code code;
    wb_slice jws = {0};
    wb_error err = {0};
    if (wb_token_mint(ring, claims, f->arena, &jws, &code, &err) != WB_OK)
        fail_msg("the fixture cannot mint: %s", err.detail);
    return jws;
}

void fixture_chain(token_fixture *f)
{
    f->root_jws = fixture_mint(f, f->a, &f->root);
    wb_token_hash(f->root_jws, f->child.pth);
    f->child_jws = fixture_mint(f, f->b, &f->child);
    f->in.chain = (wb_chain){.links = {f->root_jws, f->child_jws}, .n = 2};
}

static char *b64(token_fixture *f, wb_slice bytes)
{
    char *text = wb_arena_alloc(f->arena, WB_B64URL_LEN(bytes.len) + 1);
    wb_b64url_format(bytes, text);
    return text;
}

wb_slice fixture_sign(token_fixture *f, wb_key_ring *ring, wb_slice header, wb_slice payload)
{
    uint8_t sig[WB_SIG_BYTES];
    char *part = wb_arena_printf(f->arena, "%s.%s", b64(f, header), b64(f, payload));
    assert_int_equal(wb_key_ring_sign(ring, wb_slice_str(part), sig), WB_OK);
    return wb_slice_str(
        wb_arena_printf(f->arena, "%s.%s", part, b64(f, wb_slice_of(sig, sizeof sig))));
}

wb_verify_result fixture_verify(token_fixture *f)
{
    wb_verify_result result;
    assert_int_equal(wb_token_verify(&f->in, f->arena, &result), WB_OK);
    return result;
}

wb_verdict fixture_verdict(token_fixture *f)
{
    wb_verify_result result = fixture_verify(f);
    return wb_verdict_decide(&result, WB_REPLAY_NEW, false);
}

void assert_code(const char *what, wb_token_code got, wb_token_code expected)
{
    if (got != expected)
        fail_msg("%s: got %s, expected %s", what, got ? wb_token_code_name(got) : "acceptance",
                 expected ? wb_token_code_name(expected) : "acceptance");
}
