/* SPDX-License-Identifier: Apache-2.0 */
#include "core/status.h"

#include "core/utf8.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_detail_that_is_too_long_is_cut_and_ends(void **state)
{
    (void)state;
    char text[400];
    wb_error err;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(wb_fail(&err, WB_ERR_FULL, "%s", text), WB_ERR_FULL);
    assert_int_equal(strlen(err.detail), sizeof err.detail - 1);
    assert_string_equal(err.detail + sizeof err.detail - 5, "x...");
    memcpy(text, "open ", 5);
    memcpy(text + sizeof text - 6, "/name", 6);
    assert_int_equal(wb_fail_errno(&err, WB_ERR_FULL, EIO, "%s", text), WB_ERR_FULL);
    assert_int_equal(strlen(err.detail), sizeof err.detail - 1);
    assert_memory_equal(err.detail, "open xx", 7);
    const char *end = "xx/name: Input/output error";
    assert_string_equal(err.detail + sizeof err.detail - 1 - strlen(end), end);
}

static void what_fits_is_not_cut(void **state)
{
    (void)state;
    char text[sizeof((wb_error *)0)->detail];
    wb_error err;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)wb_fail(&err, WB_ERR_FULL, "%s", text);
    assert_string_equal(err.detail, text);
}

/* Wherever the cut falls within characters of two, three and four bytes. */
static void no_character_is_cut(void **state)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\x9a"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(characters); i++)
        for (size_t before = 0; before < 5; before++) {
            char text[400] = "";
            wb_error err;
            memset(text, 'x', before);
            for (size_t at = before; at + 8 < sizeof text; at += strlen(characters[i]))
                memcpy(text + at, characters[i], strlen(characters[i]) + 1);
            (void)wb_fail(&err, WB_ERR_FULL, "%s", text);
            assert_true(wb_utf8_valid(wb_slice_str(err.detail)));
            assert_true(strlen(err.detail) > sizeof err.detail - 5);
            assert_string_equal(err.detail + strlen(err.detail) - 3, "...");
            (void)wb_fail_errno(&err, WB_ERR_FULL, EIO, "%s", text);
            assert_true(wb_utf8_valid(wb_slice_str(err.detail)));
            assert_non_null(strstr(err.detail, "..."));
        }
}

static void bytes_that_are_no_text_are_cut_all_the_same(void **state)
{
    (void)state;
    char text[400];
    wb_error err;
    memset(text, '\x80', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)wb_fail(&err, WB_ERR_FULL, "%s", text);
    assert_true(strlen(err.detail) > sizeof err.detail - 5);
    (void)wb_fail_errno(&err, WB_ERR_FULL, EIO, "%s", text);
    assert_non_null(strstr(err.detail, "...: Input/output error"));
}

static void nobody_need_listen(void **state)
{
    (void)state;
    assert_int_equal(wb_fail(NULL, WB_ERR_DENIED, "%d", 1), WB_ERR_DENIED);
    assert_int_equal(wb_fail_errno(NULL, WB_ERR_CORRUPT, EIO, "%d", 1), WB_ERR_CORRUPT);
}

static void the_detail_says_what_and_why(void **state)
{
    (void)state;
    wb_error err;
    (void)wb_fail_errno(&err, WB_ERR_UNAVAILABLE, ENOSPC, "write %s", "file");
    assert_int_equal(err.status, WB_ERR_UNAVAILABLE);
    assert_string_equal(err.detail, "write file: No space left on device");
}

static void every_status_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = WB_OK; i <= WB_ERR_CONFIG; i++) {
        const char *name = wb_status_name((wb_status)i);
        assert_string_not_equal(name, "unknown");
        for (int k = WB_OK; k < i; k++) assert_string_not_equal(name, wb_status_name((wb_status)k));
    }
    assert_string_equal(wb_status_name((wb_status)(WB_ERR_CONFIG + 1)), "unknown");
    assert_string_equal(wb_status_name((wb_status)-1), "unknown");
}

static wb_status fails_at(int step, int *reached)
{
    for (int i = 0; i < 3; i++) {
        *reached = i;
        WB_TRY(i == step ? WB_ERR_TIMEOUT : WB_OK);
    }
    return WB_OK;
}

static void a_failed_step_ends_the_function(void **state)
{
    (void)state;
    int reached = -1;
    assert_int_equal(fails_at(1, &reached), WB_ERR_TIMEOUT);
    assert_int_equal(reached, 1);
    assert_int_equal(fails_at(3, &reached), WB_OK);
    assert_int_equal(reached, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_detail_that_is_too_long_is_cut_and_ends),
        cmocka_unit_test(what_fits_is_not_cut),
        cmocka_unit_test(no_character_is_cut),
        cmocka_unit_test(bytes_that_are_no_text_are_cut_all_the_same),
        cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(the_detail_says_what_and_why),
        cmocka_unit_test(every_status_has_a_name_of_its_own),
        cmocka_unit_test(a_failed_step_ends_the_function),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
