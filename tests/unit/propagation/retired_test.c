/* SPDX-License-Identifier: Apache-2.0 */
/* The line of a retired key, and the files that carry it. */
#include "propagation/retired.h"

#include "tests/unit/propagation/folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define PK "waybill-pk-v1:"
#define NOLIM "9007199254740991"

static void a_line_that_is_not_exactly_the_form_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        PK,
        PK KID_B,
        PK KID_B ":" X_B,
        PK KID_B ":" X_B ":5",
        PK KID_B ":" X_B ":5:",
        PK KID_B ":" X_B "::10",
        PK KID_B ":" X_B ":5:10:",
        PK KID_B ":" X_B ":5:10:11",
        PK KID_B ":" X_B ":5:10 ",
        PK KID_B ":" X_B ":5:10\r\n",
        PK KID_B ":" X_B ":5:10\n\n",
        " " PK KID_B ":" X_B ":5:10",
        PK KID_B ":" X_B ":05:10",
        PK KID_B ":" X_B ":-5:10",
        PK KID_B ":" X_B ":+5:10",
        PK KID_B ":" X_B ":5:1e3",
        PK KID_B ":" X_B ":5:9007199254740992",
        PK KID_B ":" X_B ":5:18446744073709551626",
        PK KID_A ":" X_B ":5:10", /* another key's id */
        PK KID_B ":" X_B "A:5:10",
        PK KID_B "=:" X_B ":5:10",
        "waybill-sk-v1:" KID_B ":" X_B ":5:10",
        "waybill-pk-v2:" KID_B ":" X_B ":5:10",
        /* a point of order 2, and its thumbprint would not help either */
        PK KID_B ":7P_______________________________________38:5:10",
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_trust_key key = {.nbf = 77};
        if (wb_retired_parse(wb_slice_str(cases[i]), &key) != WB_ERR_MALFORMED)
            fail_msg("\"%s\" was read", cases[i]);
        assert_int_equal(key.nbf, 77); /* untouched on failure */
    }
}

static void what_is_written_is_read_again(void **state)
{
    static const char *const lines[] = {PK KID_B ":" X_B ":0:0\n", PK KID_A ":" X_A ":5:10\n",
                                        PK KID_A ":" X_A ":0:" NOLIM "\n",
                                        PK KID_A ":" X_A ":" NOLIM ":" NOLIM "\n"};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(lines); i++) {
        wb_trust_key key;
        char out[WB_RETIRED_LINE_MAX];
        assert_int_equal(wb_retired_parse(wb_slice_str(lines[i]), &key), WB_OK);
        assert_int_equal(wb_retired_format(&key, out), strlen(lines[i]));
        assert_string_equal(out, lines[i]);
    }
}

static void keys_are_listed_from_the_one_that_ended_last(void **state)
{
    folder *f = *state;
    wb_trust_key keys[WB_RETIRED_MAX];
    size_t n = 9;
    uint64_t newest = 0;
    folder_key(f, "retired/" KID_A ".pub", PK KID_A ":" X_A ":0:10", 0600);
    folder_key(f, "retired/" KID_B ".pub", PK KID_B ":" X_B ":0:20", 0400);
    assert_int_equal(wb_retired_load(f->keys, keys, &n, &newest, NULL), WB_OK);
    assert_int_equal(n, 2);
    assert_string_equal(keys[0].kid, KID_B);
    assert_string_equal(keys[1].kid, KID_A);
    assert_true(newest > 0);
}

static void no_folder_is_no_keys(void **state)
{
    folder *f = *state;
    wb_trust_key keys[WB_RETIRED_MAX];
    size_t n = 9;
    uint64_t newest = 3;
    assert_int_equal(wb_retired_load(f->keys, keys, &n, &newest, NULL), WB_OK);
    assert_int_equal(n, 0);
    assert_int_equal(newest, 3);
}

/* The folder itself may be a link of a mounted secret, but not lead elsewhere. */
static void a_folder_elsewhere_is_refused(void **state)
{
    folder *f = *state;
    wb_trust_key keys[WB_RETIRED_MAX];
    size_t n;
    uint64_t newest = 0;
    char inside[160], link_name[160], outside[160];
    folder_key(f, "..1/" KID_B ".pub", PK KID_B ":" X_B ":0:20", 0400);
    (void)snprintf(link_name, sizeof link_name, "%s/retired", f->keys);
    assert_int_equal(symlink("..1", link_name), 0);
    assert_int_equal(wb_retired_load(f->keys, keys, &n, &newest, NULL), WB_OK);
    assert_int_equal(n, 1);
    (void)snprintf(inside, sizeof inside, "%s/..1", f->keys);
    (void)snprintf(outside, sizeof outside, "%s/elsewhere", f->root);
    assert_int_equal(rename(inside, outside), 0);
    assert_int_equal(unlink(link_name), 0);
    assert_int_equal(symlink(outside, link_name), 0);
    assert_int_equal(wb_retired_load(f->keys, keys, &n, &newest, NULL), WB_ERR_CONFIG);
}

static void a_key_is_laid_down_closed_to_others_and_dropped_once(void **state)
{
    folder *f = *state;
    wb_trust_key key, again[WB_RETIRED_MAX];
    struct stat st;
    char path[200];
    size_t n;
    uint64_t newest = 0;
    assert_int_equal(mkdir(f->keys, 0700), 0);
    assert_int_equal(wb_retired_parse(WB_S(PK KID_B ":" X_B ":0:20"), &key), WB_OK);
    assert_int_equal(wb_retired_put(f->keys, &key, NULL), WB_OK);
    (void)snprintf(path, sizeof path, "%s/retired", f->keys);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    (void)snprintf(path, sizeof path, "%s/retired/" KID_B ".pub", f->keys);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    key.exp = 30;
    assert_int_equal(wb_retired_put(f->keys, &key, NULL), WB_OK);
    assert_int_equal(wb_retired_load(f->keys, again, &n, &newest, NULL), WB_OK);
    assert_int_equal(n, 1);
    assert_int_equal(again[0].exp, 30);
    assert_int_equal(wb_retired_drop(f->keys, KID_B, NULL), WB_OK);
    assert_int_equal(wb_retired_drop(f->keys, KID_B, NULL), WB_ERR_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_up, folder_down)
    const struct CMUnitTest tests[] = {
        TEST(a_line_that_is_not_exactly_the_form_is_refused),
        TEST(what_is_written_is_read_again),
        TEST(keys_are_listed_from_the_one_that_ended_last),
        TEST(no_folder_is_no_keys),
        TEST(a_folder_elsewhere_is_refused),
        TEST(a_key_is_laid_down_closed_to_others_and_dropped_once),
    };
    return cmocka_run_group_tests_name("retired", tests, NULL, NULL);
}
