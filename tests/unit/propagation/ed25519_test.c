/* SPDX-License-Identifier: Apache-2.0 */
/* Row 12 of TOKENS section 17: golden verdicts for edge points and for signatures that libraries
 * disagree about. What is tested is the answer of our gate, on whichever libsodium is installed. */
#include "tests/unit/propagation/fixture.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

/* The eight points of the torsion subgroup, canonical, and spellings of some that are not. */
static const char *const small_order[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
};
static const char *const not_canonical[] = {
    "0100000000000000000000000000000000000000000000000000000000000080", /* x = 0, signed */
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p */
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* y = p + 1 */
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};
enum { TORSION = 8, ORDER_8 = 4 }; /* small_order[ORDER_8] generates the subgroup */

static void point(const char *hex, uint8_t out[32])
{
    assert_int_equal(wb_unhex(wb_slice_str(hex), out, 32), WB_OK);
}

static void base_times(uint64_t n, uint8_t out[32])
{
    uint8_t scalar[32] = {0};
    for (size_t i = 0; i < 8; i++) scalar[i] = (uint8_t)(n >> (8 * i));
    assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(out, scalar), 0);
}

static void points_of_small_order_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(small_order); i++) {
        uint8_t p[32];
        point(small_order[i], p);
        if (wb_ed25519_point_ok(p)) fail_msg("%s", small_order[i]);
    }
}

static void spellings_that_are_not_canonical_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(not_canonical); i++) {
        uint8_t p[32];
        point(not_canonical[i], p);
        if (wb_ed25519_point_ok(p)) fail_msg("%s", not_canonical[i]);
    }
}

static void points_of_mixed_order_are_refused(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 64; n++) {
        for (size_t i = 1; i < TORSION; i++) {
            uint8_t good[32], torsion[32], mixed[32];
            base_times(n, good);
            assert_true(wb_ed25519_point_ok(good));
            point(small_order[i], torsion);
            assert_int_equal(crypto_core_ed25519_add(mixed, good, torsion), 0);
            if (wb_ed25519_point_ok(mixed)) fail_msg("%zu of %s", (size_t)n, small_order[i]);
        }
    }
    uint8_t known[32];
    memset(known, 0x99, sizeof known); /* CVE-2025-69277 */
    known[0] = 0x95;
    assert_false(wb_ed25519_point_ok(known));
}

static void bytes_that_are_no_point_are_refused(void **state)
{
    (void)state;
    uint8_t p[32] = {2}; /* y = 2: x would be no square */
    assert_false(wb_ed25519_point_ok(p));
}

/* A signature whose R has a low-order part, which the equation with the cofactor accepts. */
static void cofactored_signature(const uint8_t seed[32], wb_slice message, uint8_t sig[64])
{
    uint8_t hash[64], a[32], x[32], secret[64], r[32], torsion[32], k64[64], k[32], ka[32];
    crypto_hash_sha512_state st;
    (void)crypto_sign_seed_keypair(x, secret, seed);
    (void)crypto_hash_sha512(hash, seed, 32);
    memcpy(a, hash, 32);
    a[0] &= 248;
    a[31] &= 127;
    a[31] |= 64;
    crypto_core_ed25519_scalar_random(r);
    assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(sig, r), 0);
    point(small_order[ORDER_8], torsion);
    assert_int_equal(crypto_core_ed25519_add(sig, sig, torsion), 0);
    (void)crypto_hash_sha512_init(&st);
    (void)crypto_hash_sha512_update(&st, sig, 32);
    (void)crypto_hash_sha512_update(&st, x, 32);
    (void)crypto_hash_sha512_update(&st, message.ptr, message.len);
    (void)crypto_hash_sha512_final(&st, k64);
    crypto_core_ed25519_scalar_reduce(k, k64);
    uint8_t wide[64] = {0};
    memcpy(wide, a, 32);
    crypto_core_ed25519_scalar_reduce(a, wide);
    crypto_core_ed25519_scalar_mul(ka, k, a);
    crypto_core_ed25519_scalar_add(sig + 32, r, ka);
}

static void a_signature_that_only_the_cofactor_saves_is_refused_at_its_point(void **state)
{
    token_fixture *f = *state;
    uint8_t seed[32], sig[64];
    char text[WB_B64URL_LEN(64) + 1];
    wb_token token;
    wb_token_code code;
    for (size_t i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)(0x20 + i);
    assert_int_equal(wb_token_parse(f->child_jws, f->arena, &token, &code), WB_OK);
    cofactored_signature(seed, token.signed_part, sig);
    wb_b64url_format(wb_slice_of(sig, sizeof sig), text);
    f->in.chain.links[1] =
        wb_slice_str(wb_arena_printf(f->arena, "%.*s.%s", WB_SLICE_ARG(token.signed_part), text));
    assert_code("R + T8", fixture_verify(f).code, WB_E_SIG_POINT);
}

static void an_edge_point_as_r_is_refused_at_its_point(void **state)
{
    token_fixture *f = *state;
    wb_token token;
    wb_token_code code;
    assert_int_equal(wb_token_parse(f->child_jws, f->arena, &token, &code), WB_OK);
    for (size_t i = 0; i < WB_COUNT(small_order) + WB_COUNT(not_canonical); i++) {
        char text[WB_B64URL_LEN(64) + 1];
        point(i < TORSION ? small_order[i] : not_canonical[i - TORSION], token.sig);
        wb_b64url_format(wb_slice_of(token.sig, sizeof token.sig), text);
        f->in.chain.links[1] = wb_slice_str(
            wb_arena_printf(f->arena, "%.*s.%s", WB_SLICE_ARG(token.signed_part), text));
        assert_code("edge R", fixture_verify(f).code, WB_E_SIG_POINT);
    }
}

static void no_edge_point_becomes_a_trusted_key(void **state)
{
    token_fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(small_order) + WB_COUNT(not_canonical); i++) {
        uint8_t p[32];
        char x[WB_HASH_B64 + 1], kid[WB_HASH_B64 + 1];
        wb_trust *trust = NULL;
        point(i < TORSION ? small_order[i] : not_canonical[i - TORSION], p);
        wb_b64url_format(wb_slice_of(p, sizeof p), x);
        wb_ed25519_kid(p, kid);
        const char *text = wb_arena_printf(f->arena,
                                           "{\"wb_iss\":\"" ID_A
                                           "\",\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
                                           "\"use\":\"waybill\",\"x\":\"%s\",\"kid\":\"%s\"}]}",
                                           x, kid);
        assert_int_equal(wb_trust_parse(wb_slice_str(text), &trust, NULL), WB_ERR_MALFORMED);
    }
}

static void every_changed_bit_of_a_signature_is_refused(void **state)
{
    token_fixture *f = *state;
    uint8_t sig[WB_SIG_BYTES];
    wb_slice message = WB_S("who sent it, to whom, under which terms");
    assert_int_equal(wb_key_ring_sign(f->a, message, sig), WB_OK);
    assert_true(wb_ed25519_verify(sig, message, wb_key_ring_public(f->a)));
    assert_false(wb_ed25519_verify(sig, message, wb_key_ring_public(f->b)));
    for (size_t bit = 0; bit < 8 * sizeof sig; bit++) {
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(wb_ed25519_point_ok(sig) &&
                     wb_ed25519_verify(sig, message, wb_key_ring_public(f->a)));
        sig[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void the_self_test_passes_here_and_may_be_repeated(void **state)
{
    (void)state;
    wb_error err = {0};
    if (wb_self_test(&err) != WB_OK) fail_msg("%s", err.detail);
    assert_int_equal(wb_self_test(NULL), WB_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
    const struct CMUnitTest tests[] = {
        TEST(points_of_small_order_are_refused),
        TEST(spellings_that_are_not_canonical_are_refused),
        TEST(points_of_mixed_order_are_refused),
        TEST(bytes_that_are_no_point_are_refused),
        TEST(a_signature_that_only_the_cofactor_saves_is_refused_at_its_point),
        TEST(an_edge_point_as_r_is_refused_at_its_point),
        TEST(no_edge_point_becomes_a_trusted_key),
        TEST(every_changed_bit_of_a_signature_is_refused),
        TEST(the_self_test_passes_here_and_may_be_repeated),
    };
    return cmocka_run_group_tests_name("ed25519", tests, NULL, NULL);
}
