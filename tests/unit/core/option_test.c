/* SPDX-License-Identifier: Apache-2.0 */
/* A table of options as parser and as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/option.h"

typedef struct test_line {
    bool flag;
    const char *text, *way, *word, *second;
    uint64_t since_ms, limit;
} test_line;

static const wb_option table[] = {
    {.name = "--flag", .also = "-f", WB_INTO_FLAG(test_line, flag), .help = "wave it"},
    {.name = "--text", .value = "TEXT", WB_INTO_TEXT(test_line, text), .help = "say it"},
    {.name = "--way",
     .value = "WAY",
     WB_INTO_TEXT(test_line, way),
     .choices = "left|right|up",
     .help = "go there"},
    {.name = "--since", .value = "DURATION", WB_INTO_MS(test_line, since_ms), .help = "then"},
    {.name = "--limit",
     .value = "N",
     WB_INTO_NUMBER(test_line, limit),
     .min = 1,
     .max = 100,
     .fallback = "20",
     .help = "at most so many, which is a long way to say it so that the line has to be filled"},
    {.value = "WORD", WB_INTO_TEXT(test_line, word), .help = "the first"},
    {.value = "SECOND", WB_INTO_TEXT(test_line, second), .optional = true, .help = "the other"},
    {0},
};

typedef struct command_line {
    const char *title;
    bool flag;
    wb_words pairs, words;
} command_line;

static const wb_option command_table[] = {
    {.name = "--flag", WB_INTO_FLAG(command_line, flag), .help = "wave it"},
    {.name = "--title", .value = "TITLE", WB_INTO_TEXT(command_line, title), .help = "of it"},
    {.name = "--pair",
     .value = "PAIR",
     WB_INTO_LIST(command_line, pairs),
     .max = 3,
     .help = "one of some"},
    {.value = "COMMAND", WB_INTO_WORDS(command_line, words), .help = "with its arguments"},
    {0},
};

enum { WORDS_MAX = 8 };

static wb_status parse(const wb_option *options, const char *const *words, void *line,
                       wb_error *err)
{
    static const char *argv[WORDS_MAX + 2]; /* the line points into it */
    int argc = 1;
    argv[0] = "v";
    for (; words[argc - 1]; argc++) argv[argc] = words[argc - 1];
    argv[argc] = NULL;
    const wb_option_table tables[] = {{options, line}};
    wb_options_reset(tables);
    return wb_options_parse(tables, 1, argc, (char **)argv, err);
}

static void what_the_table_does_not_know_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *words[WORDS_MAX], *reason;
    } bad[] = {
        {{NULL}, "an argument is missing: WORD"},
        {{"a", "b", "c"}, "one argument too many: c"},
        {{"a", "--unknown"}, "unknown option --unknown"},
        {{"a", "-x"}, "unknown option -x"},
        {{"a", "--flag=yes"}, "unknown option --flag=yes"},
        {{"a", "--text"}, "--text wants a value"},
        {{"a", "--textual", "x"}, "unknown option --textual"},
        {{"a", "--way=down"}, "--way down: not one of left, right, up"},
        {{"a", "--way=lef"}, "--way lef: not one of left, right, up"},
        {{"a", "--way="}, "--way : not one of left, right, up"},
        {{"a", "--since=soon"}, "--since soon: "},
        {{"a", "--since=-1m"}, "--since -1m: "},
        {{"a", "--since="}, "--since : "},
        {{"a", "--since=18446744073709551615"}, "--since 18446744073709551615: "},
        {{"a", "--limit=0"}, "--limit 0: "},
        {{"a", "--limit=101"}, "--limit 101: "},
        {{"a", "--limit=5m"}, "--limit 5m: "},
        {{"a", "--limit=99999999999999999999"}, "--limit 99999999999999999999: "},
    };
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        test_line line;
        wb_error err = {0};
        assert_int_equal(parse(table, bad[i].words, &line, &err), WB_ERR_MALFORMED);
        if (strncmp(err.detail, bad[i].reason, strlen(bad[i].reason)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", err.detail, bad[i].reason);
    }
}

static void options_may_stand_anywhere_and_two_dashes_end_them(void **state)
{
    (void)state;
    test_line line;
    const char *first[] = {"--since", "30m", "abc", "--text=x=y", "-f", "--way", "up", NULL};
    assert_int_equal(parse(table, first, &line, NULL), WB_OK);
    assert_true(line.flag);
    assert_string_equal(line.text, "x=y");
    assert_string_equal(line.way, "up");
    assert_string_equal(line.word, "abc");
    assert_null(line.second);
    assert_int_equal(line.since_ms, 30 * 60 * 1000);
    const char *second[] = {"--limit=100", "--", "--flag", "--", NULL};
    assert_int_equal(parse(table, second, &line, NULL), WB_OK);
    assert_false(line.flag);
    assert_string_equal(line.word, "--flag");
    assert_string_equal(line.second, "--");
    assert_int_equal(line.limit, 100);
}

static void what_may_be_said_often_comes_in_order(void **state)
{
    (void)state;
    command_line line;
    wb_error err = {0};
    const char *words[] = {"--pair", "a=1", "--flag", "--pair=b=2", "--pair",
                           "",       "x",   "--pair", NULL};
    assert_int_equal(parse(command_table, words, &line, NULL), WB_OK);
    assert_int_equal(line.pairs.n, 3);
    assert_string_equal(line.pairs.at[0], "a=1");
    assert_string_equal(line.pairs.at[1], "b=2");
    assert_string_equal(line.pairs.at[2], "");
    assert_true(line.flag);
    assert_int_equal(line.words.n, 2);
    assert_string_equal(line.words.at[0], "x");
    assert_string_equal(line.words.at[1], "--pair");
    const char *none[] = {"x", NULL};
    assert_int_equal(parse(command_table, none, &line, NULL), WB_OK);
    assert_int_equal(line.pairs.n, 0);
    const char *many[] = {"--pair=1", "--pair=2", "--pair=3", "--pair=4", "x", NULL};
    assert_int_equal(parse(command_table, many, &line, &err), WB_ERR_MALFORMED);
    assert_string_equal(err.detail, "--pair may be said 3 times at most");
    const char *bare[] = {"--pair", NULL};
    assert_int_equal(parse(command_table, bare, &line, &err), WB_ERR_MALFORMED);
}

static void what_is_not_given_is_its_fallback(void **state)
{
    (void)state;
    test_line line;
    const char *words[] = {"abc", NULL};
    memset(&line, 0x55, sizeof line);
    assert_int_equal(parse(table, words, &line, NULL), WB_OK);
    assert_false(line.flag);
    assert_null(line.text);
    assert_null(line.way);
    assert_true(line.since_ms == WB_OPTION_UNSET);
    assert_int_equal(line.limit, 20);
}

static void a_tables_extent_is_that_of_its_line(void **state)
{
    (void)state;
    static const wb_option nothing[] = {{0}};
    assert_int_equal(wb_options_extent(table), sizeof(test_line));
    assert_int_equal(wb_options_extent(command_table), sizeof(command_line));
    assert_int_equal(wb_options_extent(nothing), 0);
}

static void a_key_that_begins_with_a_dash_is_an_argument(void **state)
{
    (void)state;
    test_line line;
    const char *words[] = {"-ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop", NULL};
    assert_int_equal(strlen(words[0]), 43);
    assert_int_equal(parse(table, words, &line, NULL), WB_OK);
    assert_string_equal(line.word, words[0]);
}

static void a_command_keeps_its_own_options(void **state)
{
    (void)state;
    command_line line;
    const char *plain[] = {"--title", "t", "make", "--flag", "-j2", NULL};
    assert_int_equal(parse(command_table, plain, &line, NULL), WB_OK);
    assert_false(line.flag);
    assert_int_equal(line.words.n, 3);
    assert_string_equal(line.words.at[0], "make");
    assert_string_equal(line.words.at[1], "--flag");
    assert_null(line.words.at[3]);
    const char *dashes[] = {"--flag", "--", "--odd", "--", NULL};
    assert_int_equal(parse(command_table, dashes, &line, NULL), WB_OK);
    assert_true(line.flag);
    assert_int_equal(line.words.n, 2);
    assert_string_equal(line.words.at[0], "--odd");
    const char *none[] = {"--flag", "--", NULL};
    assert_int_equal(parse(command_table, none, &line, NULL), WB_ERR_MALFORMED);
}

static void assert_text(wb_buffer *got, const char *wanted)
{
    assert_int_equal(wb_buffer_printf(got, "%s", ""), WB_OK);
    if (got->len != strlen(wanted) || memcmp(got->ptr, wanted, got->len) != 0)
        fail_msg("printed:\n%.*s\nwanted:\n%s", WB_SLICE_ARG(wb_buffer_slice(got)), wanted);
    wb_buffer_clear(got);
}

static void help_shows_each_row_within_eighty_columns(void **state)
{
    (void)state;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 4096);
    assert_int_equal(wb_options_print(table, &out), WB_OK);
    assert_text(&out,
                "  -f, --flag        wave it\n"
                "  --text TEXT       say it\n"
                "  --way WAY         go there: left, right or up\n"
                "  --since DURATION  then\n"
                "  --limit N         at most so many, which is a long way to say it so that the\n"
                "                    line has to be filled (default: 20)\n"
                "  WORD              the first\n"
                "  SECOND            the other\n");
    assert_int_equal(wb_options_synopsis(command_table, true, &out), WB_OK);
    assert_text(&out, "[--flag] [--title TITLE] [--pair PAIR]... COMMAND...");
    assert_int_equal(wb_options_synopsis(table, true, &out), WB_OK);
    assert_text(&out, "[options] WORD [SECOND]");
    assert_int_equal(wb_options_synopsis(table, false, &out), WB_OK);
    assert_text(&out, "[--flag] [--text TEXT] [--way WAY] [--since DURATION] [--limit N] WORD "
                      "[SECOND]");
}

static void prose_is_filled_and_examples_are_kept(void **state)
{
    (void)state;
    WB_AUTO_BUFFER out;
    wb_buffer_init(&out, 4096);
    assert_int_equal(wb_prose_print("one two\nthree\n"
                                    "  an   example\n"
                                    "\n"
                                    "four\n",
                                    &out),
                     WB_OK);
    assert_text(&out, "one two three\n  an   example\n\nfour\n");
    assert_int_equal(
        wb_prose_print("1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 "
                       "1234567890 123 5\n",
                       &out),
        WB_OK);
    assert_text(&out, "1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 "
                      "1234567890 123\n5\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_table_does_not_know_is_refused_with_its_reason),
        cmocka_unit_test(options_may_stand_anywhere_and_two_dashes_end_them),
        cmocka_unit_test(what_may_be_said_often_comes_in_order),
        cmocka_unit_test(what_is_not_given_is_its_fallback),
        cmocka_unit_test(a_tables_extent_is_that_of_its_line),
        cmocka_unit_test(a_key_that_begins_with_a_dash_is_an_argument),
        cmocka_unit_test(a_command_keeps_its_own_options),
        cmocka_unit_test(help_shows_each_row_within_eighty_columns),
        cmocka_unit_test(prose_is_filled_and_examples_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
