/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { READ_MAX = 16384 };

/* Standard error is a pipe while a line is written. */
typedef struct capture {
    int pipe[2], real;
    char text[READ_MAX];
} capture;

static void begin(capture *c)
{
    assert_int_equal(pipe(c->pipe), 0);
    c->real = dup(STDERR_FILENO);
    assert_true(c->real >= 0);
    assert_int_equal(dup2(c->pipe[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *end(capture *c)
{
    assert_int_equal(dup2(c->real, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(c->pipe[1]), 0);
    ssize_t n = read(c->pipe[0], c->text, sizeof c->text - 1);
    assert_true(n >= 0);
    c->text[n] = '\0';
    assert_int_equal(close(c->pipe[0]), 0);
    assert_int_equal(close(c->real), 0);
    return c->text;
}

static size_t count(const char *text, char c)
{
    size_t n = 0;
    for (; *text; text++) n += *text == c;
    return n;
}

static void below_the_level_nothing_is_written(void **state)
{
    (void)state;
    capture c;
    wb_log_setup(WB_LOG_WARN, WB_LOG_LOGFMT);
    begin(&c);
    WB_LOG(INFO, "test.info", "not this");
    WB_LOG(WARN, "test.warn", "but this");
    const char *text = end(&c);
    assert_null(strstr(text, "not this"));
    assert_non_null(strstr(text, " level=\"warn\" event=\"test.warn\" msg=\"but this\"\n"));
}

static void a_value_cannot_forge_a_line_or_a_pair(void **state)
{
    (void)state;
    capture c;
    const char *evil = "x\" level=\"error\nlevel=\"error\" \x1b[2J \\ \xc3\xa9";
    wb_log_setup(WB_LOG_INFO, WB_LOG_LOGFMT);
    begin(&c);
    WB_LOG(INFO, "test.evil", "text", WB_KV("peer", evil));
    const char *text = end(&c);
    assert_int_equal(count(text, '\n'), 1);
    assert_int_equal(count(text, '\x1b'), 0);
    assert_non_null(strstr(text,
                           "peer=\"x\\x22 level=\\x22error\\x0alevel=\\x22error\\x22 \\x1b[2J "
                           "\\x5c \\xc3\\xa9\"\n"));
}

static void a_long_line_is_cut_but_still_ends(void **state)
{
    (void)state;
    capture c;
    char *lots = calloc(1, 8000);
    assert_non_null(lots);
    memset(lots, '"', 7999);
    for (int json = 0; json < 2; json++) {
        wb_log_setup(WB_LOG_INFO, json ? WB_LOG_JSON : WB_LOG_LOGFMT);
        begin(&c);
        WB_LOG(INFO, "test.long", "text", WB_KV("lots", (const char *)lots));
        const char *text = end(&c);
        assert_true(strlen(text) <= 4096);
        assert_int_equal(count(text, '\n'), 1);
        assert_int_equal(text[strlen(text) - 1], '\n');
        if (json) assert_int_equal(text[strlen(text) - 2], '}');
    }
    free(lots);
}

static void json_lines_have_their_pairs_with_types(void **state)
{
    (void)state;
    capture c;
    uint64_t large = UINT64_MAX;
    wb_log_setup(WB_LOG_DEBUG, WB_LOG_JSON);
    begin(&c);
    WB_LOG(ERROR, "test.json", "a \"text\"", WB_KV("used_bytes", large), WB_KV("delta_ms", -5),
           WB_KV("name", "n"), WB_KV("bytes", WB_S("a\0b")), WB_KV("none", (const char *)NULL));
    const char *text = end(&c);
    assert_int_equal(text[0], '{');
    assert_non_null(strstr(text, "Z\",\"level\":\"error\",\"event\":\"test.json\","
                                 "\"msg\":\"a \\u0022text\\u0022\","
                                 "\"used_bytes\":18446744073709551615,\"delta_ms\":-5,"
                                 "\"name\":\"n\",\"bytes\":\"a\\u0000b\",\"none\":\"\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_the_level_nothing_is_written),
        cmocka_unit_test(a_value_cannot_forge_a_line_or_a_pair),
        cmocka_unit_test(a_long_line_is_cut_but_still_ends),
        cmocka_unit_test(json_lines_have_their_pairs_with_types),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
