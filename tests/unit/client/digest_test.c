/* SPDX-License-Identifier: Apache-2.0 */
/* tests/vectors/test_digest_in_c.py has the published digests and the comparison with Python; here are
 * the refusals, the example to the byte, and what the two functions owe each other. */
#include "client/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { LIMIT = 1 << 20 };

static const uint8_t salt[WB_SALT_LEN] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* docs/tokens.md section 6: the 132 bytes of the example, and so its digest. */
static const uint8_t example[] =
    "waybill-bdg-v1\0\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
    "\x01\0\0\0\0\0\0\0\2Hi\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    "\x02\0\0\0\0\0\0\0\3\1\2\3\0\0\0\0\0\0\0\5a.bin\0\0\0\0\0\0\0\0"
    "\x04\0\0\0\0\0\0\0\x10{\"a\":\"\xc3\xa9\",\"b\":1}\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

static void hash(wb_slice bytes, uint8_t out[WB_BODY_DIGEST_LEN])
{
    wb_sha256_state state;
    wb_sha256_start(&state);
    wb_sha256_add(&state, bytes);
    wb_sha256_end(&state, out);
}

static void check_json_refused(wb_a2a_dialect dialect, const char *parts, const char *reason)
{
    uint8_t out[WB_BODY_DIGEST_LEN] = {7}, untouched[WB_BODY_DIGEST_LEN] = {7};
    wb_error err = {0};
    wb_status st = wb_body_digest_of_json(salt, dialect, wb_slice_str(parts), LIMIT, out, &err);
    if (st != WB_ERR_MALFORMED) fail_msg("%s: %s", parts, wb_status_name(st));
    assert_string_equal(err.detail, reason);
    assert_memory_equal(out, untouched, sizeof out);
}

static void parts_without_a_digest_are_refused(void **state)
{
    static const struct {
        const char *parts, *reason;
    } cases[] = {
        {"", "not JSON"},
        {"{}", "parts that are no array"},
        {"null", "parts that are no array"},
        {"[\"text\"]", "a part that is no object"},
        {"[null]", "a part that is no object"},
        {"[{\"text\":5}]", "a text, URL or base64 that is no string"},
        {"[{\"url\":{}}]", "a text, URL or base64 that is no string"},
        {"[{\"raw\":true}]", "a text, URL or base64 that is no string"},
        {"[{\"raw\":\"A*==\"}]", "bad base64"},
        {"[{\"raw\":\"AQIDA\"}]", "bad base64"},
        {"[{\"text\":\"a\",\"filename\":1}]", "a file name that is no string"},
        {"[{\"text\":\"a\",\"mediaType\":[]}]", "a media type that is no string"},
        {"[{\"text\":\"a\",\"media_type\":false}]", "a media type that is no string"},
        {"[{\"text\":\"\\ud800\"}]", "not UTF-8, or half a surrogate pair"},
        {"[{\"data\":{\"a\":1,\"a\":1}}]", "a name twice in one object"},
        {"[{\"text\":\"a\",\"text\":\"a\"}]", "a name twice in one object"},
        {"[{\"data\":1e309}]", "a number beyond doubles"},
        {"[{\"video\":-1e309}]", "a number beyond doubles"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        check_json_refused(WB_A2A_1_0, cases[i].parts, cases[i].reason);
}

static void parts_of_0_3_without_a_digest_are_refused(void **state)
{
    static const char no_value[] = "a data part that lacks its member value";
    static const char no_data[] = "a data part that lacks its member data";
    (void)state;
    check_json_refused(WB_A2A_0_3_JSON_RPC,
                       "[{\"data\":{},\"metadata\":{\"data_part_compat\":true}}]", no_value);
    check_json_refused(WB_A2A_0_3_JSON_RPC,
                       "[{\"data\":5,\"metadata\":{\"data_part_compat\":true}}]", no_value);
    check_json_refused(WB_A2A_0_3_HTTP, "[{\"data\":{}}]", no_data);
    check_json_refused(WB_A2A_0_3_HTTP, "[{\"data\":[]}]", no_data);
    check_json_refused(WB_A2A_0_3_HTTP, "[{\"file\":{\"fileWithBytes\":\"!\"}}]", "bad base64");
    check_json_refused(WB_A2A_0_3_JSON_RPC, "[{\"file\":{\"bytes\":\"AQ\",\"name\":4}}]",
                       "a file name that is no string");
    check_json_refused(WB_A2A_0_3_JSON_RPC, "[{\"file\":{\"uri\":\"x\",\"mimeType\":4}}]",
                       "a media type that is no string");
}

static void a_given_part_without_a_digest_is_refused(void **state)
{
    static const struct {
        wb_part part;
        const char *reason;
    } cases[] = {
        {{.kind = WB_PART_TEXT, .content = WB_S("\xff")}, "a text or URL that is not UTF-8"},
        {{.kind = WB_PART_URL, .content = WB_S("\xed\xa0\x80")}, "a text or URL that is not UTF-8"},
        {{.kind = WB_PART_RAW, .filename = WB_S("\x80")},
         "a file name or media type that is not UTF-8"},
        {{.kind = WB_PART_RAW, .media_type = WB_S("\xc0")},
         "a file name or media type that is not UTF-8"},
        {{.kind = WB_PART_DATA, .content = WB_S("{")}, "not JSON"},
        {{.kind = WB_PART_DATA, .content = WB_S("1e999")}, "a number beyond doubles"},
        {{.kind = WB_PART_OTHER, .content = WB_S("{\"a\":1,\"a\":1}")},
         "a name twice in one object"},
        {{.kind = (wb_part_kind)5}, "a part of unknown kind 5"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        uint8_t out[WB_BODY_DIGEST_LEN] = {7};
        wb_error err = {0};
        assert_int_equal(wb_body_digest(salt, &cases[i].part, 1, LIMIT, out, &err),
                         WB_ERR_MALFORMED);
        assert_string_equal(err.detail, cases[i].reason);
        assert_int_equal(out[0], 7);
    }
}

static void the_example_of_the_specification_comes_out_to_the_byte(void **state)
{
    static const wb_part parts[] = {
        {.kind = WB_PART_TEXT, .content = WB_S("Hi")},
        {.kind = WB_PART_RAW, .content = WB_S("\1\2\3"), .filename = WB_S("a.bin")},
        {.kind = WB_PART_DATA, .content = WB_S(" {\"b\": 1.0, \"a\": \"\\u00e9\"}")},
    };
    static const wb_slice json =
        WB_S("[{\"text\":\"Hi\"},{\"raw\":\"AQID\",\"filename\":\"a.bin\"},"
             "{\"data\":{\"b\":1.0,\"a\":\"\xc3\xa9\"}}]");
    uint8_t expected[WB_BODY_DIGEST_LEN], given[WB_BODY_DIGEST_LEN], read[WB_BODY_DIGEST_LEN];
    (void)state;
    assert_int_equal(sizeof example, 132);
    hash(wb_slice_of(example, sizeof example), expected);
    assert_int_equal(wb_body_digest(salt, parts, WB_COUNT(parts), LIMIT, given, NULL), WB_OK);
    assert_memory_equal(given, expected, sizeof expected);
    assert_int_equal(wb_body_digest_of_json(salt, WB_A2A_1_0, json, LIMIT, read, NULL), WB_OK);
    assert_memory_equal(read, expected, sizeof expected);
}

static void check_same(wb_a2a_dialect dialect, const char *json, const wb_part *part)
{
    uint8_t given[WB_BODY_DIGEST_LEN], read[WB_BODY_DIGEST_LEN];
    wb_error err = {0};
    assert_int_equal(wb_body_digest(salt, part, 1, LIMIT, given, NULL), WB_OK);
    if (wb_body_digest_of_json(salt, dialect, wb_slice_str(json), LIMIT, read, &err) != WB_OK)
        fail_msg("%s: %s", json, err.detail);
    if (memcmp(given, read, sizeof read) != 0) fail_msg("%s", json);
}

static void null_is_absent_but_in_data(void **state)
{
    (void)state;
    wb_part a = {.kind = WB_PART_TEXT, .content = WB_S("a")};
    check_same(WB_A2A_1_0, "[{\"text\":\"a\",\"raw\":null,\"filename\":null,\"mediaType\":null}]",
               &a);
    check_same(WB_A2A_1_0, "[{\"text\":\"a\",\"mediaType\":null,\"media_type\":\"b\"}]", &a);
    check_same(WB_A2A_0_3_HTTP, "[{\"text\":\"a\",\"file\":null,\"data\":null}]", &a);
    check_same(WB_A2A_0_3_JSON_RPC, "[{\"text\":\"a\",\"data\":null,\"metadata\":null}]", &a);
    wb_part null = {.kind = WB_PART_DATA, .content = WB_S("null")};
    check_same(WB_A2A_1_0, "[{\"data\":null}]", &null);
    check_same(WB_A2A_0_3_JSON_RPC,
               "[{\"data\":{\"value\":null},\"metadata\":{\"data_part_compat\":true}}]", &null);
    wb_part raw = {.kind = WB_PART_RAW, .content = WB_S("\1")};
    check_same(WB_A2A_0_3_JSON_RPC, "[{\"file\":{\"bytes\":\"AQ\",\"uri\":null,\"name\":null}}]",
               &raw);
}

static void names_and_types_are_where_the_dialect_has_them(void **state)
{
    (void)state;
    wb_part named = {
        .kind = WB_PART_URL, .content = WB_S("x:"), .filename = WB_S("n"), .media_type = WB_S("t")};
    check_same(WB_A2A_1_0, "[{\"url\":\"x:\",\"filename\":\"n\",\"mediaType\":\"t\"}]", &named);
    check_same(WB_A2A_1_0, "[{\"url\":\"x:\",\"filename\":\"n\",\"media_type\":\"t\"}]", &named);
    check_same(WB_A2A_0_3_JSON_RPC,
               "[{\"file\":{\"uri\":\"x:\",\"name\":\"n\",\"mimeType\":\"t\"}}]", &named);
    check_same(WB_A2A_0_3_HTTP,
               "[{\"file\":{\"fileWithUri\":\"x:\",\"name\":\"n\",\"mimeType\":\"t\"}}]", &named);
    named.kind = WB_PART_TEXT;
    check_same(WB_A2A_1_0, "[{\"text\":\"x:\",\"filename\":\"n\",\"mediaType\":\"t\"}]", &named);
    named.kind = WB_PART_DATA;
    named.content = WB_S("[]");
    check_same(WB_A2A_1_0, "[{\"data\":[],\"filename\":\"n\",\"mediaType\":\"t\"}]", &named);
    wb_part bare = {.kind = WB_PART_TEXT, .content = WB_S("x:")};
    check_same(WB_A2A_0_3_JSON_RPC, "[{\"text\":\"x:\",\"filename\":\"n\",\"name\":\"m\"}]", &bare);
}

static void a_part_of_no_kind_or_several_is_hashed_whole(void **state)
{
    static const struct {
        wb_a2a_dialect dialect;
        const char *part;
    } cases[] = {
        {WB_A2A_1_0, "{}"},
        {WB_A2A_1_0, "{\"text\":null}"},
        {WB_A2A_1_0, "{\"url\":\"b\",\"text\":5}"},
        {WB_A2A_1_0, "{\"data\":null,\"raw\":\"*\"}"},
        {WB_A2A_0_3_JSON_RPC, "{\"file\":{\"fileWithBytes\":\"AQ\"}}"},
        {WB_A2A_0_3_JSON_RPC, "{\"file\":\"x\",\"kind\":\"file\"}"},
        {WB_A2A_0_3_HTTP, "{\"file\":{\"fileWithUri\":\"x\",\"fileWithBytes\":\"y\"}}"},
        {WB_A2A_0_3_HTTP, "{\"text\":\"a\",\"data\":{\"data\":{}}}"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char parts[128];
        wb_part whole = {.kind = WB_PART_OTHER,
                         .content = wb_slice_str(cases[i].part),
                         .filename = WB_S("not looked at")};
        (void)snprintf(parts, sizeof parts, "[%s]", cases[i].part);
        check_same(cases[i].dialect, parts, &whole);
    }
}

static void what_is_not_hashed_does_not_matter(void **state)
{
    (void)state;
    wb_part a = {.kind = WB_PART_TEXT, .content = WB_S("a")};
    check_same(WB_A2A_1_0, "[{\"text\":\"a\",\"metadata\":{\"n\":1e999},\"more\":[]}]", &a);
}

static void memory_has_its_limit(void **state)
{
    static const wb_slice parts =
        WB_S("[{\"raw\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"
             ",{\"data\":[1,2.5,\"\\n\"]}]");
    uint8_t out[WB_BODY_DIGEST_LEN];
    wb_status st = WB_ERR_NO_MEMORY;
    size_t limit = 0;
    (void)state;
    for (; st == WB_ERR_NO_MEMORY; limit += 16) {
        wb_error err = {0};
        st = wb_body_digest_of_json(salt, WB_A2A_1_0, parts, limit, out, &err);
        if (st != WB_OK) assert_non_null(strstr(err.detail, "too much memory"));
    }
    assert_int_equal(st, WB_OK);
    assert_true(limit <= 48 * parts.len);
    wb_part data = {.kind = WB_PART_DATA, .content = WB_S("[1,2]")};
    assert_int_equal(wb_body_digest(salt, &data, 1, 16, out, NULL), WB_ERR_NO_MEMORY);
}

/* Base64 needs no tree, so that a file larger than the arena could be. */
static void bytes_beyond_the_limit_are_refused(void **state)
{
    uint8_t out[WB_BODY_DIGEST_LEN];
    wb_error err = {0};
    (void)state;
    assert_int_equal(
        wb_body_digest_of_json(salt, WB_A2A_1_0,
                               WB_S("[{\"raw\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                                    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]"),
                               256, out, &err),
        WB_ERR_NO_MEMORY);
    assert_string_equal(err.detail, "a part's bytes take too much memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_without_a_digest_are_refused),
        cmocka_unit_test(parts_of_0_3_without_a_digest_are_refused),
        cmocka_unit_test(a_given_part_without_a_digest_is_refused),
        cmocka_unit_test(memory_has_its_limit),
        cmocka_unit_test(bytes_beyond_the_limit_are_refused),
        cmocka_unit_test(the_example_of_the_specification_comes_out_to_the_byte),
        cmocka_unit_test(null_is_absent_but_in_data),
        cmocka_unit_test(names_and_types_are_where_the_dialect_has_them),
        cmocka_unit_test(a_part_of_no_kind_or_several_is_hashed_whole),
        cmocka_unit_test(what_is_not_hashed_does_not_matter),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
