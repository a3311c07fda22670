/* SPDX-License-Identifier: Apache-2.0 */
/* Text as man(7): what would be a request, an escape or a hyphen must not become one. That whole pages
 * are right is for mandoc and man to say (tests/integration/test_cli_manual.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/manual.h"

static void assert_text(const wb_buffer *got, const char *wanted)
{
    if (got->len != strlen(wanted) || memcmp(got->ptr, wanted, got->len) != 0)
        fail_msg("printed:\n%.*s\nwanted:\n%s", WB_SLICE_ARG(wb_buffer_slice(got)), wanted);
}

static void no_text_becomes_a_request_or_an_escape(void **state)
{
    (void)state;
    static const struct {
        const char *text, *page;
    } cases[] = {
        {".so /etc/passwd\n", ".PP\n\\&.so /etc/passwd\n"},
        {"'so\n", ".PP\n\\&'so\n"},
        {"a .de x\n", ".PP\na \\&.de x\n"},
        {"a\\fBb\n", ".PP\na\\efBb\n"},
        {"  .kept \\n\n", ".PP\n.EX\n  \\&.kept \\en\n.EE\n"},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, 4096);
        assert_int_equal(wb_manual_prose(cases[i].text, &out), WB_OK);
        assert_text(&out, cases[i].page);
    }
}

static void a_dash_that_is_typed_is_no_hyphen(void **state)
{
    (void)state;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 4096);
    assert_int_equal(wb_manual_prose("well-known --id (-) `a-b`\n", &out), WB_OK);
    assert_text(&out, ".PP\nwell-known \\-\\-id (\\-) \\fBa\\-b\\fP\n");
}

static void a_paragraph_behind_a_heading_begins_by_itself(void **state)
{
    (void)state;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 4096);
    assert_int_equal(wb_manual_heading("FILES", &out), WB_OK);
    assert_int_equal(wb_manual_prose("one\n\ntwo\n  three\n  four\n\n  five\n", &out), WB_OK);
    assert_text(
        &out, ".SH FILES\none\n.PP\ntwo\n.PP\n.EX\n  three\n  four\n.EE\n.PP\n.EX\n  five\n.EE\n");
}

static void a_synopsis_says_what_may_be_left_out_and_what_repeated(void **state)
{
    (void)state;
    static const wb_option rows[] = {
        {.value = "FILE | -", .kind = WB_OPTION_TEXT, .optional = true},
        {.name = "--id", .value = "ID", .kind = WB_OPTION_TEXT},
        {.name = "--all", .kind = WB_OPTION_FLAG},
        {.value = "COMMAND", .kind = WB_OPTION_WORDS},
        {0},
    };
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 4096);
    assert_int_equal(wb_manual_synopsis("waybill x", rows, &out), WB_OK);
    assert_text(&out, ".SY \"waybill x\"\n.OP \\-\\-id ID\n.OP \\-\\-all\n.RI [ \"FILE | \\-\" ]\n"
                      ".IR \"COMMAND\" ...\n.YS\n");
}

static void a_page_that_outgrows_its_limit_fails(void **state)
{
    (void)state;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 64);
    assert_int_equal(wb_manual_begin("waybill", 1, "a summary that is somewhat longer", &out),
                     WB_ERR_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_text_becomes_a_request_or_an_escape),
        cmocka_unit_test(a_dash_that_is_typed_is_no_hyphen),
        cmocka_unit_test(a_paragraph_behind_a_heading_begins_by_itself),
        cmocka_unit_test(a_synopsis_says_what_may_be_left_out_and_what_repeated),
        cmocka_unit_test(a_page_that_outgrows_its_limit_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
