/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 10 and 11 of TOKENS section 8: whose key it is, whether it is revoked, when it may sign, and
 * the bucket that stands before the signature. */
#include "tests/unit/propagation/fixture.h"
#include "tests/unit/propagation/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

typedef void (*change)(token_fixture *f);
#define CHANGE(name, ...)                                                                          \
    static void name(token_fixture *f) { __VA_ARGS__; }

CHANGE(no_carrier, f->in.carrier = WB_E_MISSING)
CHANGE(nine_links, f->in.chain.n = 9)
CHANGE(message_other, f->in.message.message_id = WB_S("msg-3"))
CHANGE(digest_bit, f->in.message.digest[31] ^= 1)
CHANGE(issuer_unknown, fixture_trust_only(f, ID_A, f->a, ""))
CHANGE(issuer_with_anothers_key, fixture_trust_only(f, ID_B, f->a, ""))
CHANGE(key_not_yet, fixture_trust_only(f, ID_B, f->b, ",\"wb_nbf\":1767225603"))
CHANGE(lone_leaf, f->in.chain = (wb_chain){.links = {f->child_jws}, .n = 1})

static void issuer_with_no_keys(token_fixture *f)
{
    wb_slice text = WB_S("{\"wb_iss\":\"" ID_B "\",\"keys\":[]}");
    fixture_trust(f, &text, 1);
}

static void flip_s(uint8_t sig[WB_SIG_BYTES]) { sig[32] ^= 1; }
static void identity_r(uint8_t sig[WB_SIG_BYTES]) { memset(sig, 0, 32), sig[0] = 1; }
CHANGE(leaf_s_flipped, fixture_edit_signature(f, 1, flip_s))
CHANGE(leaf_r_identity, fixture_edit_signature(f, 1, identity_r))

/* Damage the root's signature, and let the child name what is left. */
static void root_s_flipped(token_fixture *f)
{
    fixture_edit_signature(f, 0, flip_s);
    wb_token_hash(f->in.chain.links[0], f->child.pth);
    f->in.chain.links[1] = fixture_mint(f, f->b, &f->child);
}

static void own_ids_are_looked_up_in_the_key_ring_alone(void **state)
{
    token_fixture *f = *state;
    f->policies.callbacks = true;
    f->root.iss = f->root.sub = f->child.sub = WB_S(ID_C); /* C asked B, and B asks C back */
    f->root_jws = fixture_mint(f, f->c, &f->root);
    wb_token_hash(f->root_jws, f->child.pth);
    f->child_jws = fixture_mint(f, f->b, &f->child);
    f->in.chain = (wb_chain){.links = {f->root_jws, f->child_jws}, .n = 2};
    wb_verify_result r = fixture_verify(f);
    assert_code("a callback", r.code, WB_E_NONE);
    assert_true(r.proven);
    wb_slice texts[] = {fixture_trust_text(f, ID_C, f->c, ""),
                        fixture_trust_text(f, ID_B, f->b, "")};
    fixture_trust(f, texts, 2);
    f->in.ring = f->d; /* another key now; what the directory says of us does not count */
    assert_false(fixture_verify(f).proven);
}

/* C's own token, addressed to its second id, as the leaf of a chain of one. */
static void own_leaf(token_fixture *f)
{
    f->policies.callbacks = true;
    f->root.iss = f->root.sub = WB_S(ID_C);
    f->root.aud = f->self_ids[1];
    f->root_jws = fixture_mint(f, f->c, &f->root);
    f->in.chain = (wb_chain){.links = {f->root_jws}, .n = 1};
    f->in.message.method = WB_S("SendMessage");
    f->in.message.message_id = f->root.mid;
    f->in.message.context_id = (wb_slice){0};
    memcpy(f->in.message.digest, f->root.bdg, sizeof f->root.bdg);
}

static void own_keys_count_by_role_and_window(void **state)
{
    static const struct {
        const char *file;
        uint64_t nbf, exp;
        wb_token_code expected;
    } cases[] = {
        {"current.key", 0, 0, WB_E_NONE},
        {"next.key", 0, 0, WB_E_NONE},
        {NULL, 0, 0, WB_E_KEY_UNKNOWN},
        {"retired", 0, 1767225601, WB_E_NONE},
        {"retired", 1767225600, 1767225601, WB_E_NONE},
        {"retired", 0, 1767225600, WB_E_KEY_TIME},
        {"retired", 1767225601, WB_NOLIM, WB_E_KEY_TIME},
    };
    token_fixture *f = *state;
    const char *c_line = "waybill-sk-v1:WeVHjIQTOLKu-P74oC-WL-MNn_sLM5CvrzuMjDFC3-s:"
                         "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8";
    own_leaf(f);
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        void *place = NULL;
        WB_AUTO(wb_key_ring) ring = NULL;
        assert_int_equal(folder_up(&place), 0);
        const folder *at = place;
        bool is_current = cases[i].file && strcmp(cases[i].file, "current.key") == 0;
        folder_key(at, "current.key", is_current ? c_line : LINE_A, 0600);
        if (cases[i].exp > 0) {
            char x[WB_HASH_B64 + 1], name[80];
            wb_b64url_format(wb_slice_of(wb_key_ring_public(f->c), WB_KEY_BYTES), x);
            (void)snprintf(name, sizeof name, "retired/%s.pub", wb_key_ring_kid(f->c));
            folder_key(at, name,
                       wb_arena_printf(f->arena, "waybill-pk-v1:%s:%s:%llu:%llu",
                                       wb_key_ring_kid(f->c), x, (unsigned long long)cases[i].nbf,
                                       (unsigned long long)cases[i].exp),
                       0600);
        } else if (cases[i].file && !is_current) {
            folder_key(at, cases[i].file, c_line, 0600);
        }
        assert_int_equal(wb_key_ring_open(at->keys, &ring, NULL), WB_OK);
        f->in.ring = ring;
        assert_code(cases[i].file ? cases[i].file : "nowhere", fixture_verify(f).code,
                    cases[i].expected);
        (void)folder_down(&place);
    }
    f->in.ring = NULL;
    assert_code("no ring at hand", fixture_verify(f).code, WB_E_ISS_UNKNOWN);
}

/* Row 24 of TOKENS section 17: each kind of line, in force and a second before, leaf and ancestor. */
static void what_is_revoked_is_refused_from_its_time_on(void **state)
{
    token_fixture *f = *state;
    char root_hash[WB_HASH_B64 + 1], leaf_hash[WB_HASH_B64 + 1];
    uint8_t hash[WB_HASH_BYTES];
    wb_token_hash(f->root_jws, hash);
    wb_b64url_format(wb_slice_of(hash, sizeof hash), root_hash);
    wb_token_hash(f->child_jws, hash);
    wb_b64url_format(wb_slice_of(hash, sizeof hash), leaf_hash);
    const struct {
        const char *kind, *value;
        wb_token_code expected;
    } cases[] = {
        {"iss", ID_B, WB_E_KEY_REVOKED},
        {"kid", wb_key_ring_kid(f->b), WB_E_KEY_REVOKED},
        {"tth", leaf_hash, WB_E_KEY_REVOKED},
        {"iss", ID_A, WB_E_CHAIN_SIG},
        {"kid", wb_key_ring_kid(f->a), WB_E_CHAIN_SIG},
        {"tth", root_hash, WB_E_CHAIN_SIG},
        {"iss", ID_D, WB_E_NONE},
        {"kid", wb_key_ring_kid(f->d), WB_E_NONE},
        {"tth", wb_key_ring_kid(f->b), WB_E_NONE}, /* another kind's value */
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        fixture_revoke(f,
                       wb_arena_printf(f->arena, "%s %s %d\n", cases[i].kind, cases[i].value, NOW));
        assert_code(cases[i].value, fixture_verify(f).code, cases[i].expected);
        fixture_revoke(
            f, wb_arena_printf(f->arena, "%s %s %d\n", cases[i].kind, cases[i].value, NOW + 1));
        assert_code("a second before", fixture_verify(f).code, WB_E_NONE);
    }
}

static void revocation_counts_before_every_other_fault_of_the_key(void **state)
{
    token_fixture *f = *state;
    fixture_revoke(f, "iss " ID_B " 0\n");
    issuer_unknown(f);
    assert_code("revoked before unknown", fixture_verify(f).code, WB_E_KEY_REVOKED);
    issuer_with_anothers_key(f);
    assert_code("revoked before another key", fixture_verify(f).code, WB_E_KEY_REVOKED);
    key_not_yet(f);
    assert_code("revoked before its window", fixture_verify(f).code, WB_E_KEY_REVOKED);
    digest_bit(f);
    assert_code("the body before revoked", fixture_verify(f).code, WB_E_BIND_BODY);
    fixture_revoke(f, "iss " ID_A " 0\n"); /* an ancestor's issuer that is unknown, too */
    f->in.message.digest[31] ^= 1;
    fixture_trust_only(f, ID_B, f->b, "");
    assert_code("a revoked ancestor is not merely unknown", fixture_verify(f).code, WB_E_CHAIN_SIG);
}

static void own_tokens_can_be_revoked(void **state)
{
    token_fixture *f = *state;
    own_leaf(f);
    assert_code("own", fixture_verify(f).code, WB_E_NONE);
    fixture_revoke(f, wb_arena_printf(f->arena, "kid %s 0", wb_key_ring_kid(f->c)));
    assert_code("own key revoked", fixture_verify(f).code, WB_E_KEY_REVOKED);
}

typedef struct bucket {
    int left, asked;
} bucket;

static bool take(void *self)
{
    bucket *b = self;
    b->asked++;
    return b->left-- > 0;
}

/* Step 11 stands between the key and the signature: each row ends before, at or behind it. */
static void the_bucket_is_asked_once_and_only_for_a_signature(void **state)
{
    static const struct {
        const char *name;
        change make;
        int asked;
        wb_token_code full, empty;
    } cases[] = {
        {"no carrier", no_carrier, 0, WB_E_MISSING, WB_E_MISSING},
        {"nine links", nine_links, 0, WB_E_CHAIN_LEN, WB_E_CHAIN_LEN},
        {"another message", message_other, 0, WB_E_BIND_MSG, WB_E_BIND_MSG},
        {"another body", digest_bit, 0, WB_E_BIND_BODY, WB_E_BIND_BODY},
        {"an unknown issuer", issuer_unknown, 0, WB_E_ISS_UNKNOWN, WB_E_ISS_UNKNOWN},
        {"another key", issuer_with_anothers_key, 0, WB_E_KEY_UNKNOWN, WB_E_KEY_UNKNOWN},
        {"no keys", issuer_with_no_keys, 0, WB_E_KEY_REVOKED, WB_E_KEY_REVOKED},
        {"a key not yet in force", key_not_yet, 0, WB_E_KEY_TIME, WB_E_KEY_TIME},
        {"R the identity", leaf_r_identity, 1, WB_E_SIG_POINT, WB_E_RATE},
        {"S changed", leaf_s_flipped, 1, WB_E_SIG, WB_E_RATE},
        {"a lone leaf", lone_leaf, 1, WB_E_CHAIN_LEN, WB_E_RATE},
        {"an ancestor's S changed", root_s_flipped, 1, WB_E_CHAIN_SIG, WB_E_RATE},
        {"the example", NULL, 1, WB_E_NONE, WB_E_RATE},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        for (int left = 0; left < 2; left++) {
            void *world = NULL;
            bucket b = {.left = left};
            assert_int_equal(fixture_up(&world), 0);
            token_fixture *f = world;
            if (cases[i].make) cases[i].make(f);
            f->in.rate_take = take;
            f->in.rate_self = &b;
            wb_verify_result r = fixture_verify(f);
            assert_code(cases[i].name, r.code, left ? cases[i].full : cases[i].empty);
            assert_int_equal(b.asked, cases[i].asked);
            assert_int_equal(r.signatures_checked > 0, left && cases[i].asked);
            if (r.code == WB_E_SIG || r.code == WB_E_SIG_POINT)
                assert_int_equal(r.signatures_checked, 1);
            (void)fixture_down(&world);
        }
    }
    assert_string_equal(wb_token_code_class(WB_E_RATE), "refused");
    assert_false(wb_token_code_is_soft(WB_E_RATE));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
    const struct CMUnitTest tests[] = {
        TEST(own_ids_are_looked_up_in_the_key_ring_alone),
        TEST(own_keys_count_by_role_and_window),
        TEST(what_is_revoked_is_refused_from_its_time_on),
        TEST(revocation_counts_before_every_other_fault_of_the_key),
        TEST(own_tokens_can_be_revoked),
        cmocka_unit_test(the_bucket_is_asked_once_and_only_for_a_signature),
    };
    return cmocka_run_group_tests_name("verify_keys", tests, NULL, NULL);
}
