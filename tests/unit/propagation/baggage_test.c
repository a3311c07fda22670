/* SPDX-License-Identifier: Apache-2.0 */
/* W3C Baggage, sections 3.2 and 3.3. */
#include "propagation/baggage.h"

#include "core/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static const wb_baggage_rule everything = {.all = true};

static size_t write_one(const char *received, const wb_baggage_rule *rule,
                        char out[WB_BAGGAGE_MAX_BYTES + 1])
{
    const wb_slice value = wb_slice_str(received);
    return wb_baggage_write(&value, 1, rule, out);
}

static void defective_members_are_left_out_whole(void **state)
{
    static const char *const cases[] = {
        "",       "a",      "=1",     "a b=1", "a\xc3\xa4=1", "a=\"1\"",   "a=1 2",      "a=1\\",
        "a=\x7f", "a=\x01", "a=\xc3", "(a)=1", "a;p=1",       "a=1;",      "a=1;;p=1",   "a=1;p q",
        "a=1;=2", "a[]=1",  "a@b=1",  ",",     " \t,\t ",     "a=1;p=\"x", "a=1; p=q r",
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char out[WB_BAGGAGE_MAX_BYTES + 1], text[64];
        if (write_one(cases[i], &everything, out) != 0)
            fail_msg("\"%s\" gave \"%s\"", cases[i], out);
        (void)snprintf(text, sizeof text, "x=1,%s,y=2", cases[i]);
        (void)write_one(text, &everything, out);
        if (strcmp(out, "x=1,y=2") != 0) fail_msg("\"%s\" gave \"%s\"", text, out);
    }
}

static void good_members_pass_as_they_came(void **state)
{
    static const struct {
        const char *received, *expected;
    } cases[] = {
        {"a=1", "a=1"},
        {" a = 1 ", "a = 1"},
        {"a=", "a="},
        {"a=1,b=2 ,\tc=3", "a=1,b=2,c=3"},
        {"a=b=c==", "a=b=c=="},                   /* `=` in a value */
        {"a=%20x%2Cy%3B", "a=%20x%2Cy%3B"},       /* percent-encoding is not undone */
        {"a=%zz%", "a=%zz%"},                     /* nor judged: it is only carried */
        {"a=1;p;q=2; r = 3", "a=1;p;q=2; r = 3"}, /* properties */
        {"a=1;p=x=y", "a=1;p=x=y"},
        {"a=1,a=2,b=3,a=4", "a=1,a=2,b=3,a=4"}, /* keys that come twice keep their order */
        {"!#$%&'*+-.^_`|~09azAZ=1", "!#$%&'*+-.^_`|~09azAZ=1"},
        {"a=!#$%&'()*+-./:<=>?@[]^_`{|}~", "a=!#$%&'()*+-./:<=>?@[]^_`{|}~"},
        {",,a=1,,", "a=1"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char out[WB_BAGGAGE_MAX_BYTES + 1];
        assert_int_equal(write_one(cases[i].received, &everything, out), strlen(cases[i].expected));
        assert_string_equal(out, cases[i].expected);
    }
}

static void only_named_keys_pass(void **state)
{
    const wb_slice keys[] = {WB_S("user.tier"), WB_S("Tenant")};
    const wb_baggage_rule some = {.keys = keys, .n_keys = WB_COUNT(keys)}, none = {.all = false};
    char out[WB_BAGGAGE_MAX_BYTES + 1];
    (void)state;
    (void)write_one("secret=1,user.tier=gold;p=1,tenant=x,Tenant = y,user=2", &some, out);
    assert_string_equal(out, "user.tier=gold;p=1,Tenant = y");
    assert_int_equal(write_one("user.tier=gold", &none, out), 0);
    assert_string_equal(out, "");
}

static void several_headers_are_one_list(void **state)
{
    const wb_slice values[] = {WB_S("b=1"), WB_S(""), WB_S("a=2, b=3"), WB_S(",")};
    char out[WB_BAGGAGE_MAX_BYTES + 1];
    (void)state;
    (void)wb_baggage_write(values, WB_COUNT(values), &everything, out);
    assert_string_equal(out, "b=1,a=2,b=3");
    assert_int_equal(wb_baggage_write(NULL, 0, &everything, out), 0);
}

static void up_to_64_members_pass(void **state)
{
    char received[1024] = "", out[WB_BAGGAGE_MAX_BYTES + 1];
    (void)state;
    for (int i = 0; i < 64; i++)
        (void)sprintf(received + strlen(received), "%sk%02d=1", i ? "," : "", i);
    assert_int_equal(write_one(received, &everything, out), strlen(received));
    assert_string_equal(out, received);
    size_t all = strlen(received);
    (void)sprintf(received + all, ",k64=1");
    assert_int_equal(write_one(received, &everything, out), all);
}

/* `n` members of `len` characters each, and one of `last`. */
static size_t sent(size_t n, size_t len, size_t last, char *out)
{
    static char received[2 * WB_BAGGAGE_READ_BYTES];
    size_t at = 0;
    for (size_t i = 0; i <= n; i++) {
        size_t this_len = i < n ? len : last;
        if (this_len == 0) break;
        if (at) received[at++] = ',';
        memset(received + at, 'v', this_len);
        memcpy(received + at, "k=", 2);
        at += this_len;
    }
    received[at] = '\0';
    return write_one(received, &everything, out);
}

static void up_to_8192_bytes_pass(void **state)
{
    char out[WB_BAGGAGE_MAX_BYTES + 1];
    (void)state;
    assert_int_equal(sent(1, 8192, 0, out), 8192); /* one member may take all of it */
    assert_int_equal(sent(1, 8193, 0, out), 0);
    assert_int_equal(sent(8, 1000, 8192 - 8 * 1001, out), 8192);
    assert_int_equal(sent(8, 1000, 8192 - 8 * 1001 + 1, out), 8 * 1001 - 1);
    /* what is too long makes no room for itself at others' cost */
    assert_int_equal(sent(1, 9000, 100, out), 100);
}

static void floods_are_not_read(void **state)
{
    char out[WB_BAGGAGE_MAX_BYTES + 1];
    (void)state;
    assert_int_equal(sent(1, WB_BAGGAGE_READ_BYTES - 4, 3, out), 3);
    assert_int_equal(sent(1, WB_BAGGAGE_READ_BYTES - 3, 3, out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defective_members_are_left_out_whole),
        cmocka_unit_test(good_members_pass_as_they_came),
        cmocka_unit_test(only_named_keys_pass),
        cmocka_unit_test(several_headers_are_one_list),
        cmocka_unit_test(up_to_64_members_pass),
        cmocka_unit_test(up_to_8192_bytes_pass),
        cmocka_unit_test(floods_are_not_read),
    };
    return cmocka_run_group_tests_name("baggage", tests, NULL, NULL);
}
