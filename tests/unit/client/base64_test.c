/* SPDX-License-Identifier: Apache-2.0 */
#include "client/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void what_spells_no_bytes_is_refused(void **state)
{
    static const wb_slice bad[] = {WB_S("A"),          WB_S("AQIDA"), WB_S("A==="),  WB_S("A*=="),
                                   WB_S("AQ=I"),       WB_S("=AQI"),  WB_S("AQ ID"), WB_S("AQID\n"),
                                   WB_S("AQ\xc3\xa4"), WB_S("AQI\0"), WB_S("AQ.D")};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, 64);
        if (wb_base64_parse(bad[i], &out) != WB_ERR_MALFORMED) fail_msg("case %zu", i);
        assert_int_equal(out.len, 0);
    }
}

static void both_alphabets_are_taken_padded_or_not(void **state)
{
    static const struct {
        const char *text;
        wb_slice bytes;
    } cases[] = {
        {"", WB_S("")},
        {"====", WB_S("")},
        {"Zg==", WB_S("f")},
        {"Zg", WB_S("f")},
        {"Zm8=", WB_S("fo")},
        {"Zm8", WB_S("fo")},
        {"Zm9v", WB_S("foo")},
        {"Zm9vYg==", WB_S("foob")},
        {"Zm9vYmFy", WB_S("foobar")},
        {"Zm9vYmFy==", WB_S("foobar")},
        {"+/+/", WB_S("\xfb\xff\xbf")},
        {"-_-_", WB_S("\xfb\xff\xbf")},
        {"+_-/", WB_S("\xfb\xff\xbf")},
        {"Zh==", WB_S("f")}, /* unused bits */
        {"AAAA", WB_S("\0\0\0")},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, 64);
        assert_int_equal(wb_base64_parse(wb_slice_str(cases[i].text), &out), WB_OK);
        if (!wb_slice_eq(wb_buffer_slice(&out), cases[i].bytes)) fail_msg("%s", cases[i].text);
    }
}

static void the_limit_is_looked_at_first(void **state)
{
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 2);
    assert_int_equal(wb_base64_parse(WB_S("AQID"), &out), WB_ERR_NO_MEMORY);
    assert_int_equal(wb_base64_parse(WB_S("AQI"), &out), WB_OK);
    assert_int_equal(out.len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_spells_no_bytes_is_refused),
        cmocka_unit_test(both_alphabets_are_taken_padded_or_not),
        cmocka_unit_test(the_limit_is_looked_at_first),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
