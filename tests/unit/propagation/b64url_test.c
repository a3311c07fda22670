/* SPDX-License-Identifier: Apache-2.0 */
/* One spelling per value: everything else is refused, at every length. */
#include "propagation/b64url.h"

#include "core/ids.h"
#include "propagation/ed25519.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void other_spellings_are_refused(void **state)
{
    static const char *const cases[] = {"QUJD?", "QUJD=", "QQ==", "QUI=", "A",
                                        "QUJDQ", "AB",    "QUJ",  " QUJ", "QUJD\n",
                                        "QU+D",  "QU/D",  "QU.D", "QU,D", "QU\xc3\xa4"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        uint8_t out[16];
        size_t len = 99;
        if (wb_b64url_parse(wb_slice_str(cases[i]), out, sizeof out, &len) != WB_ERR_MALFORMED)
            fail_msg("\"%s\" was accepted", cases[i]);
        assert_int_equal(len, 99);
    }
    uint8_t out[16];
    size_t len;
    assert_int_equal(wb_b64url_parse(wb_slice_of("QU\0D", 4), out, sizeof out, &len),
                     WB_ERR_MALFORMED);
}

static void what_does_not_fit_is_refused_before_it_is_decoded(void **state)
{
    uint8_t out[3] = {7, 7, 7};
    size_t len;
    (void)state;
    assert_int_equal(wb_b64url_parse(WB_S("QUJD"), out, 2, &len), WB_ERR_FULL);
    assert_int_equal(out[0], 7);
    assert_int_equal(wb_b64url_parse(WB_S("QUJD"), out, 3, &len), WB_OK);
    assert_int_equal(wb_b64url_parse(WB_S("QUI"), out, 2, &len), WB_OK);
    assert_int_equal(len, 2);
}

static void a_fixed_length_is_exact(void **state)
{
    uint8_t out[4];
    (void)state;
    assert_int_equal(wb_b64url_parse_exact(WB_S("QUI"), out, 3), WB_ERR_MALFORMED);
    assert_int_equal(wb_b64url_parse_exact(WB_S("QUJDRA"), out, 3), WB_ERR_MALFORMED);
    assert_int_equal(wb_b64url_parse_exact(WB_S("QUJD"), out, 3), WB_OK);
    assert_memory_equal(out, "ABC", 3);
}

static void every_length_comes_back_as_it_went(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 100; len++) {
        uint8_t bytes[100], back[100];
        char text[WB_B64URL_LEN(100) + 1];
        size_t got = 99;
        wb_random(bytes, sizeof bytes);
        wb_b64url_format(wb_slice_of(bytes, len), text);
        assert_int_equal(strlen(text), WB_B64URL_LEN(len));
        assert_int_equal(wb_b64url_parse(wb_slice_str(text), back, sizeof back, &got), WB_OK);
        assert_int_equal(got, len);
        assert_memory_equal(back, bytes, len);
    }
}

static void any_changed_character_is_another_value_or_none(void **state)
{
    uint8_t bytes[32], back[32];
    char text[WB_HASH_B64 + 1];
    (void)state;
    wb_random(bytes, sizeof bytes);
    wb_b64url_format(wb_slice_of(bytes, sizeof bytes), text);
    for (size_t i = 0; i < WB_HASH_B64; i++) {
        char kept = text[i];
        for (int c = 0; c < 256; c++) {
            text[i] = (char)c;
            if (text[i] == kept) continue;
            if (wb_b64url_parse_exact(wb_slice_of(text, WB_HASH_B64), back, sizeof back) == WB_OK)
                assert_memory_not_equal(back, bytes, sizeof bytes);
        }
        text[i] = kept;
    }
}

static int up(void **state)
{
    (void)state;
    return wb_self_test(NULL) == WB_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(what_does_not_fit_is_refused_before_it_is_decoded),
        cmocka_unit_test(a_fixed_length_is_exact),
        cmocka_unit_test(every_length_comes_back_as_it_went),
        cmocka_unit_test(any_changed_character_is_another_value_or_none),
    };
    return cmocka_run_group_tests_name("b64url", tests, up, NULL);
}
