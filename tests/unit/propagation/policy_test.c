/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults by trust domain, and what one entry of the configuration overrides. */
#include "propagation/trust.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define SELF "spiffe://example.org/c"

static void strangers_are_linked_and_see_the_leaf_alone(void **state)
{
    static const char *const strangers[] = {"https://example.org/a", "spiffe://example.com/a",
                                            "spiffe://example.org.evil.com/a",
                                            "spiffe://example.or", ""};
    const wb_policies policies = {.self_id = WB_S(SELF)};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(strangers); i++) {
        wb_trust_policy p = wb_policy_for(&policies, wb_slice_str(strangers[i]));
        assert_int_equal(p.verdict, WB_POLICY_LINK);
        assert_int_equal(p.chain, WB_CHAIN_LEAF);
        assert_int_equal(p.mode, WB_MODE_LINK);
        assert_false(p.require || p.carry);
    }
}

static void the_own_trust_domain_continues_and_sees_chains(void **state)
{
    const wb_policies policies = {.self_id = WB_S(SELF)};
    (void)state;
    wb_trust_policy p = wb_policy_for(&policies, WB_S("spiffe://example.org/deep/agent"));
    assert_int_equal(p.verdict, WB_POLICY_CONTINUE);
    assert_int_equal(p.chain, WB_CHAIN_FULL);
    p = wb_policy_for(&policies, WB_S("spiffe://example.org"));
    assert_int_equal(p.verdict, WB_POLICY_CONTINUE);
}

static void an_https_id_of_ours_makes_no_trust_domain(void **state)
{
    const wb_policies policies = {.self_id = WB_S("https://example.org/c")};
    (void)state;
    wb_trust_policy p = wb_policy_for(&policies, WB_S("https://example.org/a"));
    assert_int_equal(p.verdict, WB_POLICY_LINK);
}

static void an_entry_overrides_only_what_it_says(void **state)
{
    const wb_trust_policy entries[] = {
        {.id = WB_S("spiffe://example.org/a"), .verdict = WB_POLICY_REJECT},
        {.id = WB_S("https://partner.example"), .chain = WB_CHAIN_FULL, .carry = true},
        {.id = WB_S("https://strict.example"), .mode = WB_MODE_ENFORCE},
        {.id = WB_S("https://watched.example"), .mode = WB_MODE_OBSERVE},
    };
    const wb_policies policies = {
        .self_id = WB_S(SELF), .entries = entries, .n = WB_COUNT(entries)};
    (void)state;
    wb_trust_policy p = wb_policy_for(&policies, WB_S("spiffe://example.org/a"));
    assert_int_equal(p.verdict, WB_POLICY_REJECT);
    assert_int_equal(p.chain, WB_CHAIN_FULL);
    p = wb_policy_for(&policies, WB_S("https://partner.example"));
    assert_int_equal(p.verdict, WB_POLICY_LINK);
    assert_int_equal(p.chain, WB_CHAIN_FULL);
    assert_true(p.carry);
    p = wb_policy_for(&policies, WB_S("https://partner.example/"));
    assert_int_equal(p.chain, WB_CHAIN_LEAF);
    p = wb_policy_for(&policies, WB_S("https://strict.example"));
    assert_true(p.require);
    p = wb_policy_for(&policies, WB_S("https://watched.example"));
    assert_int_equal(p.mode, WB_MODE_OBSERVE);
    assert_false(p.require);
}

static void enforce_for_all_requires_tokens_of_all(void **state)
{
    const wb_policies policies = {.self_id = WB_S(SELF), .mode = WB_MODE_ENFORCE};
    (void)state;
    assert_true(wb_policy_for(&policies, WB_S("https://stranger.example")).require);
    assert_true(wb_policy_for(&policies, (wb_slice){0}).require);
    assert_string_equal(wb_trust_mode_name(WB_MODE_ENFORCE), "enforce");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_linked_and_see_the_leaf_alone),
        cmocka_unit_test(the_own_trust_domain_continues_and_sees_chains),
        cmocka_unit_test(an_https_id_of_ours_makes_no_trust_domain),
        cmocka_unit_test(an_entry_overrides_only_what_it_says),
        cmocka_unit_test(enforce_for_all_requires_tokens_of_all),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
