/* SPDX-License-Identifier: Apache-2.0 */
/* What other agents sent must not reach a terminal as anything but text. */
#include "cli/http_get.h"
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *safe(const char *text, size_t len)
{
    static char out[512];
    WB_AUTO_BUFFER buf;
    wb_buffer_init(&buf, sizeof out);
    assert_int_equal(wb_safe_text(&buf, wb_slice_of(text, len)), WB_OK);
    memcpy(out, buf.ptr ? (const char *)buf.ptr : "", buf.len);
    out[buf.len] = '\0';
    return out;
}

static const char *json(const char *text, size_t len)
{
    static char out[512];
    wb_json_out j;
    wb_json_out_init(&j);
    wb_json_text(&j, NULL, wb_slice_of(text, len));
    assert_int_equal(j.status, WB_OK);
    memcpy(out, j.text.ptr, j.text.len);
    out[j.text.len] = '\0';
    wb_json_out_done(&j);
    return out;
}

static const struct {
    const char *text;
    size_t len;
    const char *safe, *json;
} cases[] = {
    {"\x1b[31m", 5, "\\u{1b}[31m", "\"\\u001b[31m\""}, /* CSI */
    {"\xC2\x9B"
     "31m",
     5, "\\u{9b}31m", "\"\\u009b31m\""},                     /* C1 CSI */
    {"a\r\nb", 4, "a\\u{d}\\u{a}b", "\"a\\u000d\\u000ab\""}, /* a forged line */
    {"\x07\x7F\0", 3, "\\u{7}\\u{7f}\\u{0}", "\"\\u0007\\u007f\\u0000\""},
    /* NOLINTNEXTLINE(misc-misleading-bidirectional): the point */
    {"\xE2\x80\xAE"
     "exe.txt",
     10, "\\u{202e}exe.txt", "\"\\u202eexe.txt\""}, /* right-to-left override */
    /* NOLINTNEXTLINE(misc-misleading-bidirectional): the point */
    {"\xE2\x81\xA6", 3, "\\u{2066}", "\"\\u2066\""},                     /* isolate */
    {"\xFF\xC0\xAF", 3, "\\xff\\xc0\\xaf", "\"\\ufffd\\ufffd\\ufffd\""}, /* not UTF-8 */
    {"\xED\xA0\x80", 3, "\\xed\\xa0\\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
    {"\xE2\x82", 2, "\\xe2\\x82", "\"\\ufffd\\ufffd\""},                 /* cut off */
    {"a\"b\\c", 5, "a\"b\\c", "\"a\\\"b\\\\c\""},
    {"gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80", 11, "gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80",
     "\"gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80\""},
    {"", 0, "", "\"\""},
};

static void dangerous_text_is_shown_and_not_obeyed(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        assert_string_equal(safe(cases[i].text, cases[i].len), cases[i].safe);
}

static void dangerous_text_is_escaped_in_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        assert_string_equal(json(cases[i].text, cases[i].len), cases[i].json);
}

static void json_that_is_made_already_is_printed_harmlessly(void **state)
{
    (void)state;
    static const char made[] = "{\"a\":\"x\xC2\x9B"
                               "31m \xE2\x80\xAE \x7F gr\xC3\xBC\xC3\x9F \xFF\"}\n";
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    assert_non_null(file);
    assert_true(wb_print_json(file, wb_slice_of(made, sizeof made - 1)));
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text,
                        "{\"a\":\"x\\u009b31m \\u202e \\u007f gr\xC3\xBC\xC3\x9F \\ufffd\"}\n");
    free(text);
}

static void sizes_read_well(void **state)
{
    (void)state;
    char text[WB_SIZE_TEXT];
    assert_string_equal(wb_size_text(0, text), "0 B");
    assert_string_equal(wb_size_text(1023, text), "1023 B");
    assert_string_equal(wb_size_text(1536, text), "1.5 KiB");
    assert_string_equal(wb_size_text(UINT64_C(5) << 40, text), "5.0 TiB");
    assert_string_equal(wb_size_text(UINT64_MAX, text), "16777216.0 TiB");
}

static void json_has_commas_where_they_belong(void **state)
{
    (void)state;
    wb_json_out j;
    wb_json_out_init(&j);
    wb_json_open(&j, NULL, '{');
    wb_json_open(&j, "empty", '[');
    wb_json_close(&j, ']');
    wb_json_number(&j, "big", UINT64_MAX);
    wb_json_number_or_null(&j, "none", 0);
    wb_json_open(&j, "list", '[');
    wb_json_bool(&j, NULL, true);
    wb_json_open(&j, NULL, '{');
    wb_json_hex(&j, "id", "\x01\xAB", 2);
    wb_json_hex(&j, "zero", "\0\0", 2);
    wb_json_close(&j, '}');
    wb_json_close(&j, ']');
    wb_json_raw(&j, "raw", WB_S("[1]"));
    wb_json_text_or_null(&j, "text", WB_S(""));
    wb_json_close(&j, '}');
    assert_int_equal(j.status, WB_OK);
    assert_int_equal(wb_buffer_add(&j.text, "", 1), WB_OK);
    assert_string_equal((const char *)j.text.ptr,
                        "{\"empty\":[],\"big\":18446744073709551615,\"none\":null,\"list\":[true,"
                        "{\"id\":\"01ab\",\"zero\":null}],\"raw\":[1],\"text\":null}");
    wb_json_out_done(&j);
}

static void durations_and_times_read_well(void **state)
{
    (void)state;
    char out[WB_TIME_TEXT];
    static const struct {
        uint64_t ns;
        const char *text;
    } durations[] = {
        {0, "0us"},
        {850000, "850us"},
        {12340000, "12.3ms"},
        {4210000000, "4.21s"},
        {123000000000, "2m03s"},
        {3900000000000, "1h05m"},
        {273600000000000, "3d04h"},
        {UINT64_MAX, "-"},
    };
    for (size_t i = 0; i < WB_COUNT(durations); i++)
        assert_string_equal(wb_duration_text(durations[i].ns, out), durations[i].text);
    assert_string_equal(wb_time_text(UINT64_C(1767323045) * WB_NS_PER_S, out),
                        "2026-01-02 03:04:05Z");
    assert_string_equal(wb_time_text(0, out), "-");
    (void)wb_time_text(UINT64_MAX, out); /* year 2554: whatever, but it ends */
}

static void a_table_aligns_by_characters(void **state)
{
    (void)state;
    char text[256] = "";
    wb_cli cli = {0};
    wb_table table;
    wb_table_init(&table, 2);
    wb_table_add(&table, WB_COLOR_DIM, WB_S("gr\xC3\xBC\xC3\x9F"));
    wb_table_add(&table, WB_COLOR_NONE, WB_S("x"));
    wb_table_add(&table, WB_COLOR_NONE, WB_S("a\x1b"));
    wb_table_addf(&table, WB_COLOR_NONE, "%d", 7);
    FILE *file = fmemopen(text, sizeof text, "w");
    wb_table_print(&table, &cli, file);
    fclose(file);
    assert_string_equal(text, "gr\xC3\xBC\xC3\x9F     x\na\\u{1b}  7\n");
    wb_table_done(&table);
}

static void answers_that_are_no_http_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 200 OK\n\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        int code = 7;
        wb_slice body = {0};
        assert_int_equal(wb_http_parse(wb_slice_str(bad[i]), &code, &body), WB_ERR_MALFORMED);
        assert_int_equal(code, 7);
        assert_null(body.ptr);
    }
}

static void an_answers_body_is_what_its_length_says(void **state)
{
    (void)state;
    int code;
    wb_slice body;
    wb_slice answer = WB_S("HTTP/1.1 503 No\r\nx: y\r\ncontent-LENGTH:\t2\r\n\r\n{}trailing");
    assert_int_equal(wb_http_parse(answer, &code, &body), WB_OK);
    assert_int_equal(code, 503);
    assert_true(wb_slice_eq(body, WB_S("{}")));
    assert_int_equal(wb_http_parse(WB_S("HTTP/1.0 200 OK\r\n\r\nto the end"), &code, &body), WB_OK);
    assert_true(wb_slice_eq(body, WB_S("to the end")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dangerous_text_is_shown_and_not_obeyed),
        cmocka_unit_test(dangerous_text_is_escaped_in_json),
        cmocka_unit_test(json_that_is_made_already_is_printed_harmlessly),
        cmocka_unit_test(sizes_read_well),
        cmocka_unit_test(json_has_commas_where_they_belong),
        cmocka_unit_test(durations_and_times_read_well),
        cmocka_unit_test(a_table_aligns_by_characters),
        cmocka_unit_test(answers_that_are_no_http_are_refused),
        cmocka_unit_test(an_answers_body_is_what_its_length_says),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
