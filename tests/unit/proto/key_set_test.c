/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/key_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void new_refuses_empty_keys_and_too_many(void **state)
{
    (void)state;
    wb_key_set *set = NULL;
    wb_error err;
    const wb_slice empty = WB_S("");
    wb_slice many[WB_KEY_PREFIX_MAX + 1];
    for (size_t i = 0; i < WB_COUNT(many); i++) many[i] = WB_S("p");
    assert_int_equal(wb_key_set_new(&empty, 1, NULL, 0, &set, &err), WB_ERR_CONFIG);
    assert_int_equal(wb_key_set_new(NULL, 0, &empty, 1, &set, &err), WB_ERR_CONFIG);
    assert_int_equal(wb_key_set_new(NULL, 0, many, WB_COUNT(many), &set, &err), WB_ERR_CONFIG);
    assert_int_equal(wb_key_set_new(many, WB_KEY_SET_MAX + 1, NULL, 0, &set, &err), WB_ERR_CONFIG);
    assert_null(set);
}

static void an_empty_set_has_nothing(void **state)
{
    (void)state;
    WB_AUTO(wb_key_set) set = NULL;
    assert_int_equal(wb_key_set_new(NULL, 0, NULL, 0, &set, NULL), WB_OK);
    assert_false(wb_key_set_find(set, WB_S("")));
    assert_false(wb_key_set_find(set, WB_S("a")));
}

static void a_set_knows_the_places_of_its_keys_and_no_others(void **state)
{
    enum { KEYS = 1000 };
    (void)state;
    static char text[2 * KEYS][24];
    wb_slice keys[KEYS];
    WB_AUTO(wb_key_set) set = NULL;
    for (size_t i = 0; i < WB_COUNT(text); i++)
        (void)snprintf(text[i], sizeof text[i], i % 7 ? "gen_ai.key.%zu.x" : "%zu", i);
    for (size_t i = 0; i < KEYS; i++) keys[i] = wb_slice_str(text[2 * i]);
    assert_int_equal(wb_key_set_new(keys, KEYS, NULL, 0, &set, NULL), WB_OK);
    for (size_t i = 0; i < WB_COUNT(text); i++)
        assert_int_equal(wb_key_set_find(set, wb_slice_str(text[i])), i % 2 == 0 ? i / 2 + 1 : 0);
}

static void a_set_has_whatever_starts_with_a_prefix(void **state)
{
    (void)state;
    WB_AUTO(wb_key_set) set = NULL;
    const wb_slice prefixes[] = {WB_S("waybill."), WB_S("a2a.")}, keys[] = {WB_S("a"), WB_S("a")};
    assert_int_equal(wb_key_set_new(keys, 2, prefixes, 2, &set, NULL), WB_OK);
    assert_int_equal(wb_key_set_find(set, WB_S("waybill.")), 3);
    assert_int_equal(wb_key_set_find(set, WB_S("waybill.span.type")), 3);
    assert_int_equal(wb_key_set_find(set, WB_S("a2a.task")), 4);
    assert_int_equal(wb_key_set_find(set, WB_S("a")), 1);
    assert_false(wb_key_set_find(set, WB_S("waybill")));
    assert_false(wb_key_set_find(set, WB_S("wayside")));
    assert_false(wb_key_set_find(set, WB_S("aa")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_refuses_empty_keys_and_too_many),
        cmocka_unit_test(an_empty_set_has_nothing),
        cmocka_unit_test(a_set_knows_the_places_of_its_keys_and_no_others),
        cmocka_unit_test(a_set_has_whatever_starts_with_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
