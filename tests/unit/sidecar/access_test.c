/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/access.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { OWN = 990, AGENT = 1001, OVERFLOW = 65534 };

static wb_access access_of(const uid_t *allowed, size_t n)
{
    wb_access access;
    assert_int_equal(wb_access_init(OWN, OVERFLOW, allowed, n, &access, NULL), WB_OK);
    return access;
}

static void the_overflow_uid_can_be_neither_ours_nor_allowed(void **state)
{
    (void)state;
    const uid_t allowed[] = {AGENT, OVERFLOW};
    wb_access access = {.own = 7};
    wb_error err;
    assert_int_equal(wb_access_init(OVERFLOW, OVERFLOW, NULL, 0, &access, &err), WB_ERR_CONFIG);
    assert_non_null(strstr(err.detail, "a user of its own"));
    assert_int_equal(wb_access_init(OWN, OVERFLOW, allowed, 2, &access, &err), WB_ERR_CONFIG);
    assert_non_null(strstr(err.detail, "ipc.allow_uids"));
    assert_int_equal(access.own, 7); /* untouched on failure */
}

static void without_a_list_our_own_user_is_the_agent_and_nobody_else(void **state)
{
    (void)state;
    wb_access access = access_of(NULL, 0);
    static const uint64_t strangers[] = {
        0, AGENT, OVERFLOW, OWN + 1, UINT64_MAX, UINT32_MAX, (UINT64_C(1) << 32) + OWN};
    for (size_t i = 0; i < WB_COUNT(strangers); i++) {
        assert_int_equal(wb_access_roles(&access, strangers[i]), 0);
        assert_non_null(wb_access_refusal(&access, strangers[i]));
    }
    assert_int_equal(wb_access_roles(&access, OWN), WB_ROLE_AGENT | WB_ROLE_ADMIN);
    assert_null(wb_access_refusal(&access, OWN));
    assert_false(wb_access_is_split(&access));
}

static void a_listed_user_is_the_agent_and_does_not_administer(void **state)
{
    (void)state;
    const uid_t allowed[] = {AGENT, 0};
    wb_access access = access_of(allowed, 1);
    assert_int_equal(wb_access_roles(&access, AGENT), WB_ROLE_AGENT);
    assert_int_equal(wb_access_roles(&access, OWN), WB_ROLE_ADMIN);
    assert_int_equal(wb_access_roles(&access, 0), 0); /* root is let in like others: when listed */
    assert_true(wb_access_is_split(&access));
    access = access_of(allowed, 2);
    assert_int_equal(wb_access_roles(&access, 0), WB_ROLE_AGENT);
}

static void our_own_user_in_the_list_is_not_split(void **state)
{
    (void)state;
    const uid_t allowed[] = {AGENT, OWN};
    wb_access access = access_of(allowed, 2);
    assert_int_equal(wb_access_roles(&access, OWN), WB_ROLE_AGENT | WB_ROLE_ADMIN);
    assert_false(wb_access_is_split(&access));
}

static void advice_names_the_key_where_one_helps(void **state)
{
    (void)state;
    wb_access access = access_of(NULL, 0);
    char text[160];
    wb_access_advice(&access, 1234, text);
    assert_non_null(strstr(text, "add 1234 to ipc.allow_uids"));
    wb_access_advice(&access, OVERFLOW, text);
    assert_non_null(strstr(text, "user namespace"));
    assert_null(strstr(text, "ipc.allow_uids"));
    wb_access_advice(&access, UINT64_MAX, text);
    assert_null(strstr(text, "ipc.allow_uids"));
}

static void the_kernel_says_its_overflow_uid(void **state)
{
    (void)state;
    assert_int_equal(wb_overflow_uid(), OVERFLOW); /* of every kernel that nobody changed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_overflow_uid_can_be_neither_ours_nor_allowed),
        cmocka_unit_test(without_a_list_our_own_user_is_the_agent_and_nobody_else),
        cmocka_unit_test(a_listed_user_is_the_agent_and_does_not_administer),
        cmocka_unit_test(our_own_user_in_the_list_is_not_split),
        cmocka_unit_test(advice_names_the_key_where_one_helps),
        cmocka_unit_test(the_kernel_says_its_overflow_uid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
