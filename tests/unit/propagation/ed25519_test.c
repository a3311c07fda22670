/* SPDX-License-Identifier: Apache-2.0 */
/* Row 12 of TOKENS section 17: golden verdicts for edge points and for signatures that libraries
 * disagree about. The points are derived from the curve's definition, not taken from a list; what is
 * tested is the answer of our gate, on whichever libsodium is installed. */
#include "tests/support/edwards.h"
#include "tests/unit/propagation/fixture.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { TORSION = 8, HIGH_Y = 19, EDGES = TORSION + 2 + 2 * HIGH_Y };

/* Derived once, by tests/support/edwards.c alone: the eight points of the torsion subgroup, [i]T of a T
 * of order 8, and then every spelling that is not canonical: the two points with x = 0 called negative,
 * and y = p to 2^255 - 1 with either sign, whether there is such a point or not. */
static uint8_t edge[EDGES][32];

static int derive(void **state)
{
    const wb_point generator = wb_point_of_order_8();
    wb_point p = wb_point_zero();
    size_t n = 0;
    (void)state;
    for (; n < TORSION; n++, p = wb_point_add(&p, &generator)) wb_point_encode(&p, edge[n]);
    memcpy(edge[n], edge[0], 32); /* (0, 1) */
    edge[n++][31] |= 0x80;
    memcpy(edge[n], edge[TORSION / 2], 32); /* (0, -1) */
    edge[n++][31] |= 0x80;
    for (int high = 0; high < HIGH_Y; high++)
        for (int sign = 0; sign < 2; sign++, n++) {
            memset(edge[n], 0xff, 32);
            edge[n][0] = (uint8_t)(0xed + high); /* p + high: 2^255 - 19 ends in ed */
            edge[n][31] = sign ? 0xff : 0x7f;
        }
    return n == EDGES ? 0 : -1;
}

static const char *hex(const uint8_t p[32])
{
    static char text[65];
    wb_hex(p, 32, text);
    return text;
}

/* What was derived is what it is said to be. */
static void the_derivation_holds(void **state)
{
    static const uint8_t identity[32] = {1}, eight[32] = {8};
    const wb_point zero = wb_point_zero();
    size_t lenient = 0;
    (void)state;
    assert_memory_equal(edge[0], identity, 32);
    for (size_t i = 0; i < TORSION; i++) {
        wb_point p;
        bool canonical = false;
        assert_true(wb_point_decode(edge[i], &p, &canonical));
        assert_true(canonical);
        wb_point multiple = wb_point_times(eight, &p);
        assert_true(wb_point_same(&multiple, &zero));
        for (size_t k = 0; k < i; k++) assert_memory_not_equal(edge[i], edge[k], 32);
    }
    for (size_t i = TORSION; i < EDGES; i++) {
        wb_point p;
        bool canonical = true;
        if (!wb_point_decode(edge[i], &p, &canonical)) continue;
        assert_false(canonical);
        lenient++;
    }
    assert_true(lenient > 10); /* points that a lenient reader would take */
}

/* The gate gives the definition's verdict, on points that nobody chose. */
static void the_gate_agrees_with_the_definition(void **state)
{
    enum { SAMPLES = 48 };
    size_t good = 0, points = 0;
    (void)state;
    for (int i = 0; i < SAMPLES; i++) {
        uint8_t in[32];
        wb_point p;
        bool canonical;
        const uint8_t seed = (uint8_t)i;
        (void)crypto_hash_sha256(in, &seed, 1);
        bool expected = wb_point_is_good(in);
        if (wb_ed25519_point_ok(in) != expected) fail_msg("%s", hex(in));
        points += wb_point_decode(in, &p, &canonical);
        good += expected;
    }
    assert_in_range(points, 10, SAMPLES - 10); /* half of all y belong to a point */
    assert_in_range(good, 1, points - 10);     /* one in eight of those is in the subgroup */
}

static void base_times(uint64_t n, uint8_t out[32])
{
    uint8_t scalar[32] = {0};
    for (size_t i = 0; i < 8; i++) scalar[i] = (uint8_t)(n >> (8 * i));
    assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(out, scalar), 0);
}

static void points_of_small_order_and_strange_spellings_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGES; i++) {
        assert_false(wb_point_is_good(edge[i]));
        if (wb_ed25519_point_ok(edge[i])) fail_msg("%s", hex(edge[i]));
    }
}

static void points_of_mixed_order_are_refused(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 16; n++) {
        uint8_t good[32];
        wb_point p, torsion;
        bool canonical;
        base_times(n, good);
        assert_true(wb_ed25519_point_ok(good));
        assert_true(wb_point_decode(good, &p, &canonical));
        for (size_t i = 1; i < TORSION; i++) {
            uint8_t mixed[32];
            assert_true(wb_point_decode(edge[i], &torsion, &canonical));
            wb_point sum = wb_point_add(&p, &torsion);
            wb_point_encode(&sum, mixed);
            if (wb_ed25519_point_ok(mixed)) fail_msg("[%zu]B + %s", (size_t)n, hex(edge[i]));
        }
    }
    uint8_t known[32];
    memset(known, 0x99, sizeof known); /* CVE-2025-69277 */
    known[0] = 0x95;
    assert_false(wb_point_is_good(known)); /* it is what the self-test says */
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
    uint8_t hash[64], a[32], x[32], secret[64], r[32], k64[64], k[32], ka[32];
    crypto_hash_sha512_state st;
    (void)crypto_sign_seed_keypair(x, secret, seed);
    (void)crypto_hash_sha512(hash, seed, 32);
    memcpy(a, hash, 32);
    a[0] &= 248;
    a[31] &= 127;
    a[31] |= 64;
    crypto_core_ed25519_scalar_random(r);
    assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(sig, r), 0);
    assert_int_equal(crypto_core_ed25519_add(sig, sig, edge[1]), 0); /* of order 8 */
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
    for (size_t i = 0; i < EDGES; i++) {
        char text[WB_B64URL_LEN(64) + 1];
        memcpy(token.sig, edge[i], sizeof edge[i]);
        wb_b64url_format(wb_slice_of(token.sig, sizeof token.sig), text);
        f->in.chain.links[1] = wb_slice_str(
            wb_arena_printf(f->arena, "%.*s.%s", WB_SLICE_ARG(token.signed_part), text));
        assert_code("edge R", fixture_verify(f).code, WB_E_SIG_POINT);
    }
}

static void no_edge_point_becomes_a_trusted_key(void **state)
{
    token_fixture *f = *state;
    for (size_t i = 0; i < EDGES; i++) {
        const uint8_t *p = edge[i];
        char x[WB_HASH_B64 + 1], kid[WB_HASH_B64 + 1];
        wb_trust *trust = NULL;
        wb_b64url_format(wb_slice_of(p, WB_KEY_BYTES), x);
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
        TEST(the_derivation_holds),
        TEST(the_gate_agrees_with_the_definition),
        TEST(points_of_small_order_and_strange_spellings_are_refused),
        TEST(points_of_mixed_order_are_refused),
        TEST(bytes_that_are_no_point_are_refused),
        TEST(a_signature_that_only_the_cofactor_saves_is_refused_at_its_point),
        TEST(an_edge_point_as_r_is_refused_at_its_point),
        TEST(no_edge_point_becomes_a_trusted_key),
        TEST(every_changed_bit_of_a_signature_is_refused),
        TEST(the_self_test_passes_here_and_may_be_repeated),
    };
    return cmocka_run_group_tests_name("ed25519", tests, derive, NULL);
}
