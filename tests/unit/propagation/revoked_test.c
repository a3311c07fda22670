/* SPDX-License-Identifier: Apache-2.0 */
/* revoked.txt: which texts are refused, when a line is in force, and that asking costs nothing. */
#include "propagation/revoked.h"

#include "core/ids.h"
#include "propagation/token.h"
#include "tests/unit/propagation/folder.h"

#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define ISS "spiffe://example.org/a"

static wb_revoked *parse(const char *text)
{
    wb_revoked *revoked = NULL;
    wb_error err = {0};
    if (wb_revoked_parse(wb_slice_str(text), &revoked, &err) != WB_OK)
        fail_msg("\"%s\": %s", text, err.detail);
    return revoked;
}

static void a_line_with_a_fault_makes_the_list_count_for_nothing(void **state)
{
    static const char *const bad[] = {
        "kid",
        "kid " KID_A,
        "kid 5",
        "kid " KID_A " 5 6",
        "kid " KID_A " 5 # why",
        "kid " KID_A " -5",
        "kid " KID_A " 05",
        "kid " KID_A " 5.0",
        "kid " KID_A " 1e3",
        "kid " KID_A " 9007199254740992",
        "kid " KID_A "= 5",
        "kid A 5",
        "KID " KID_A " 5",
        "key " KID_A " 5",
        "tth " ISS " 5",
        "iss " KID_A " 5",
        "iss https:///x 5",
        "iss spiffe://Example.org/a 5",
        KID_A " 5",
        "kid:" KID_A ":5",
        "\xef\xbb\xbfkid " KID_A " 5",
        "kid " KID_A "\v5",
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        char text[512];
        wb_revoked *revoked = NULL;
        wb_error err = {0};
        (void)snprintf(text, sizeof text, "# good\niss " ISS " 1\n%s\niss " ISS " 2\n", bad[i]);
        wb_status status = wb_revoked_parse(wb_slice_str(text), &revoked, &err);
        if (status != WB_ERR_MALFORMED) fail_msg("\"%s\" was read", bad[i]);
        assert_null(revoked);
        assert_non_null(strstr(err.detail, "line 3 "));
    }
    wb_revoked *revoked = NULL;
    assert_int_equal(wb_revoked_parse(WB_S("kid " KID_A "\0 5"), &revoked, NULL), WB_ERR_MALFORMED);
}

static void what_cannot_change_a_meaning_is_let_pass(void **state)
{
    static const char *const good[] = {
        "kid " KID_A " 5",
        "kid " KID_A " 5\n",
        "kid " KID_A " 5\r\n",
        "  kid\t" KID_A "   5  ",
        "\n\n# a\n#b\n \t\nkid " KID_A " 5\n",
        "#\nkid " KID_A " 5\n#",
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(good); i++) {
        WB_AUTO(wb_revoked) revoked = parse(good[i]);
        assert_int_equal(wb_revoked_count(revoked), 1);
        assert_false(wb_revoked_kid(revoked, WB_S(KID_A), 4));
        assert_true(wb_revoked_kid(revoked, WB_S(KID_A), 5));
    }
    WB_AUTO(wb_revoked) empty = parse("");
    assert_int_equal(wb_revoked_count(empty), 0);
    assert_false(wb_revoked_kid(empty, WB_S(KID_A), UINT64_MAX));
}

static void a_line_is_in_force_from_its_time_on(void **state)
{
    uint8_t hash[WB_HASH_BYTES], other[WB_HASH_BYTES] = {0};
    WB_AUTO(wb_revoked) revoked = parse("kid " KID_A " 100\ntth " KID_B " 200\niss " ISS " 300\n");
    (void)state;
    assert_int_equal(wb_b64url_parse_exact(WB_S(KID_B), hash, sizeof hash), WB_OK);
    assert_false(wb_revoked_kid(revoked, WB_S(KID_A), 99));
    assert_true(wb_revoked_kid(revoked, WB_S(KID_A), 100));
    assert_false(wb_revoked_tth(revoked, hash, 199));
    assert_true(wb_revoked_tth(revoked, hash, 200));
    assert_false(wb_revoked_iss(revoked, WB_S(ISS), 299));
    assert_true(wb_revoked_iss(revoked, WB_S(ISS), 300));
    /* A kind is not another, and a prefix is not an id. */
    assert_false(wb_revoked_kid(revoked, WB_S(KID_B), 999));
    assert_false(wb_revoked_tth(revoked, other, 999));
    assert_false(wb_revoked_iss(revoked, WB_S(ISS "/"), 999));
    assert_false(wb_revoked_iss(revoked, WB_S("spiffe://example.org/"), 999));
    assert_false(wb_revoked_kid(revoked, WB_S("no kid at all"), 999));
    assert_true(wb_revoked_token(revoked, WB_S("https://x"), WB_S(KID_A), other, 100));
    assert_true(wb_revoked_token(revoked, WB_S("https://x"), WB_S(KID_B), hash, 200));
    assert_true(wb_revoked_token(revoked, WB_S(ISS), WB_S(KID_B), other, 300));
    assert_false(wb_revoked_token(revoked, WB_S("https://x"), WB_S(KID_B), other, 999));
}

static void the_earliest_of_several_times_counts(void **state)
{
    WB_AUTO(wb_revoked)
    revoked = parse("kid " KID_A " 300\nkid " KID_A " 100\nkid " KID_A " 200\nkid " KID_B " 5\n");
    (void)state;
    assert_false(wb_revoked_kid(revoked, WB_S(KID_A), 99));
    assert_true(wb_revoked_kid(revoked, WB_S(KID_A), 100));
}

static void no_list_revokes_nothing(void **state)
{
    const uint8_t hash[WB_HASH_BYTES] = {0};
    (void)state;
    assert_false(wb_revoked_token(NULL, WB_S(ISS), WB_S(KID_A), hash, 5));
    assert_int_equal(wb_revoked_count(NULL), 0);
    wb_revoked_free(NULL);
}

static void lines_are_listed_as_they_stand(void **state)
{
    WB_AUTO(wb_revoked) revoked = parse("# x\nkid " KID_A " 100\n\niss " ISS " 300");
    (void)state;
    assert_int_equal(wb_revoked_count(revoked), 2);
    wb_revocation first = wb_revoked_at(revoked, 0), second = wb_revoked_at(revoked, 1);
    assert_int_equal(first.kind, WB_REVOKED_KID);
    assert_true(wb_slice_eq(first.value, WB_S(KID_A)) && first.from_s == 100);
    assert_int_equal(second.kind, WB_REVOKED_ISS);
    assert_true(wb_slice_eq(second.value, WB_S(ISS)) && second.from_s == 300);
    assert_string_equal(wb_revoked_kind_name(WB_REVOKED_TTH), "tth");
}

static void limits_come_before_memory(void **state)
{
    wb_revoked *revoked = NULL;
    const size_t lines = WB_REVOKED_MAX_LINES;
    char *text = malloc(WB_REVOKED_MAX_BYTES + 2);
    (void)state;
    assert_non_null(text);
    memset(text, '\n', lines + 1);
    assert_int_equal(wb_revoked_parse(wb_slice_of(text, lines), &revoked, NULL), WB_OK);
    wb_revoked_free(revoked);
    revoked = NULL;
    assert_int_equal(wb_revoked_parse(wb_slice_of(text, lines + 1), &revoked, NULL), WB_ERR_FULL);
    memset(text, '#', WB_REVOKED_MAX_BYTES + 1);
    assert_int_equal(wb_revoked_parse(wb_slice_of(text, WB_REVOKED_MAX_BYTES), &revoked, NULL),
                     WB_OK);
    wb_revoked_free(revoked);
    revoked = NULL;
    assert_int_equal(wb_revoked_parse(wb_slice_of(text, WB_REVOKED_MAX_BYTES + 1), &revoked, NULL),
                     WB_ERR_FULL);
    assert_null(revoked);
    free(text);
}

/* Row 19 of TOKENS section 17. */
static void a_million_strange_kids_cost_no_memory(void **state)
{
    enum { LINES = 20000, ASKED = 1000000, LINE = 64 };
    char *text = malloc(LINES * LINE);
    size_t len = 0, hits = 0;
    uint8_t random[WB_HASH_BYTES];
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < LINES; i++) {
        char kid[WB_HASH_B64 + 1];
        wb_random(random, sizeof random);
        wb_b64url_format(wb_slice_of(random, sizeof random), kid);
        len += (size_t)snprintf(text + len, LINE, "%s %s %zu\n", i % 2 ? "kid" : "tth", kid, i);
    }
    WB_AUTO(wb_revoked) revoked = NULL;
    assert_int_equal(wb_revoked_parse(wb_slice_of(text, len), &revoked, NULL), WB_OK);
    free(text);
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < ASKED; i++) {
        memcpy(random, &i, sizeof i);
        hits += wb_revoked_tth(revoked, random, UINT64_MAX);
    }
    for (size_t i = 0; i < wb_revoked_count(revoked); i++) {
        wb_revocation r = wb_revoked_at(revoked, i);
        if (r.kind == WB_REVOKED_KID) assert_true(wb_revoked_kid(revoked, r.value, r.from_s));
    }
    assert_int_equal(hits, 0);
    assert_true(mallinfo2().uordblks <= before);
}

/* ---- the file ------------------------------------------------------------------------------- */

static void no_file_is_an_empty_list_and_a_broken_one_is_none(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_revoked) none = NULL;
    WB_AUTO(wb_revoked) empty = NULL;
    WB_AUTO(wb_revoked) broken = NULL;
    wb_error err = {0};
    assert_int_equal(wb_revoked_load(f->trust, &none, NULL), WB_OK);
    assert_int_equal(wb_revoked_count(none), 0);
    folder_trust(f, "revoked.txt", "");
    assert_int_equal(wb_revoked_load(f->trust, &empty, NULL), WB_OK);
    folder_trust(f, "revoked.txt", "kid " KID_A " 5\nkid " KID_A "\n");
    assert_int_equal(wb_revoked_load(f->trust, &broken, &err), WB_ERR_CONFIG);
    assert_non_null(strstr(err.detail, "line 2 "));
    assert_null(broken);
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    folder *f = *state;
    char path[120];
    wb_revoked *revoked = NULL;
    folder_trust(f, "revoked.txt", "kid " KID_A " 5\n");
    (void)snprintf(path, sizeof path, "%s/revoked.txt", f->trust);
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(wb_revoked_load(f->trust, &revoked, NULL), WB_ERR_CONFIG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(wb_revoked_load(f->trust, &revoked, NULL), WB_ERR_CONFIG);
}

static wb_status add(folder *f, wb_revoked_kind kind, const char *value, uint64_t from_s)
{
    const wb_revocation r = {kind, wb_slice_str(value), from_s};
    return wb_revoked_add(f->trust, &r, false, NULL);
}

static void a_line_is_added_behind_what_stands_there(void **state)
{
    folder *f = *state;
    char path[120], text[512] = {0};
    assert_int_equal(add(f, WB_REVOKED_KID, KID_A, 100), WB_OK); /* makes the folder, too */
    assert_int_equal(add(f, WB_REVOKED_KID, KID_A, 100), WB_ERR_REJECTED);
    assert_int_equal(add(f, WB_REVOKED_KID, KID_A, 200), WB_ERR_REJECTED);
    assert_int_equal(add(f, WB_REVOKED_KID, KID_A, 50), WB_OK); /* earlier says more */
    assert_int_equal(add(f, WB_REVOKED_KID, "A", 50), WB_ERR_MALFORMED);
    assert_int_equal(add(f, WB_REVOKED_ISS, "nobody", 50), WB_ERR_MALFORMED);
    assert_int_equal(add(f, WB_REVOKED_TTH, KID_B, WB_NOLIM + 1), WB_ERR_MALFORMED);
    folder_trust(f, "revoked.txt", "# since the audit\nkid " KID_A " 100"); /* no line feed */
    assert_int_equal(add(f, WB_REVOKED_ISS, ISS, 7), WB_OK);
    (void)snprintf(path, sizeof path, "%s/revoked.txt", f->trust);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    assert_true(fread(text, 1, sizeof text - 1, in) > 0);
    (void)fclose(in);
    assert_string_equal(text, "# since the audit\nkid " KID_A " 100\niss " ISS " 7\n");
}

static void nothing_is_added_to_a_file_with_a_fault(void **state)
{
    folder *f = *state;
    folder_trust(f, "revoked.txt", "what\n");
    assert_int_equal(add(f, WB_REVOKED_ISS, ISS, 7), WB_ERR_CONFIG);
}

static void a_list_that_must_be_there_is_not_made(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_revoked) revoked = NULL;
    wb_error err = {0};
    const wb_revocation r = {WB_REVOKED_ISS, WB_S(ISS), 7};
    assert_int_equal(wb_revoked_add(f->trust, &r, true, &err), WB_ERR_NOT_FOUND);
    assert_non_null(strstr(err.detail, "is gone"));
    assert_int_equal(wb_revoked_load(f->trust, &revoked, NULL), WB_OK);
    assert_false(wb_revoked_is_laid(revoked));
    folder_trust(f, "revoked.txt", "");
    assert_int_equal(wb_revoked_add(f->trust, &r, true, &err), WB_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_up, folder_down)
    const struct CMUnitTest tests[] = {
        TEST(a_line_with_a_fault_makes_the_list_count_for_nothing),
        TEST(what_cannot_change_a_meaning_is_let_pass),
        TEST(a_line_is_in_force_from_its_time_on),
        TEST(the_earliest_of_several_times_counts),
        TEST(no_list_revokes_nothing),
        TEST(lines_are_listed_as_they_stand),
        TEST(limits_come_before_memory),
        TEST(a_million_strange_kids_cost_no_memory),
        TEST(no_file_is_an_empty_list_and_a_broken_one_is_none),
        TEST(a_file_that_others_may_write_is_refused),
        TEST(a_line_is_added_behind_what_stands_there),
        TEST(nothing_is_added_to_a_file_with_a_fault),
        TEST(a_list_that_must_be_there_is_not_made),
    };
    return cmocka_run_group_tests_name("revoked", tests, NULL, NULL);
}
