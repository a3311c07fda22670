/* SPDX-License-Identifier: Apache-2.0 */
/* W3C Trace Context Level 2, sections 3.2 and 3.3. */
#include "propagation/w3c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"
#define ZEROS "00000000000000000000000000000000"

static void defective_traceparents_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-011",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01-x",
        "01-" TRACE "-" SPAN "-01x",
        "ff-" TRACE "-" SPAN "-01",
        "FF-" TRACE "-" SPAN "-01",
        "0-0" TRACE "-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-" ZEROS "-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-" SPAN "-0A",
        "00-" TRACE "-" SPAN "-g1",
        " 00-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-01 ",
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_traceparent tp = {.flags = 77};
        if (wb_traceparent_parse(wb_slice_str(cases[i]), &tp) != WB_ERR_MALFORMED)
            fail_msg("\"%s\"", cases[i]);
        assert_int_equal(tp.flags, 77);
    }
}

static void good_traceparents_are_read(void **state)
{
    static const struct {
        const char *text;
        uint8_t flags;
    } cases[] = {
        {"00-" TRACE "-" SPAN "-00", 0},  {"00-" TRACE "-" SPAN "-01", 1},
        {"00-" TRACE "-" SPAN "-03", 3},  {"00-" TRACE "-" SPAN "-ff", 3},
        {"01-" TRACE "-" SPAN "-01", 1},  {"fe-" TRACE "-" SPAN "-02-more", 2},
        {"cc-" TRACE "-" SPAN "-09-", 1},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_traceparent tp;
        char hex[WB_TRACE_HEX + 1];
        assert_int_equal(wb_traceparent_parse(wb_slice_str(cases[i].text), &tp), WB_OK);
        wb_hex(tp.trace.b, sizeof tp.trace.b, hex);
        assert_string_equal(hex, TRACE);
        wb_hex(tp.span.b, sizeof tp.span.b, hex);
        assert_string_equal(hex, SPAN);
        assert_int_equal(tp.flags, cases[i].flags);
    }
}

static void version_00_is_sent(void **state)
{
    wb_traceparent tp;
    char text[WB_TRACEPARENT_LEN];
    (void)state;
    assert_int_equal(wb_traceparent_parse(WB_S("42-" TRACE "-" SPAN "-ff-x"), &tp), WB_OK);
    wb_traceparent_format(&tp, text);
    assert_memory_equal(text, "00-" TRACE "-" SPAN "-03", sizeof text);
}

#define WB "wb=0102030405060708090a0b0c0d0e0f10"
static const wb_id acceptance = {.b = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

static size_t write_one(wb_slice received, char out[WB_TRACESTATE_MAX_BYTES + 1])
{
    return wb_tracestate_write(&received, 1, WB_TRACESTATE_ACCEPTANCE, &acceptance, out);
}

static void our_member_leads_and_others_stay(void **state)
{
    static const struct {
        const char *received, *expected;
    } cases[] = {
        {"", WB},
        {"ot=th:c,vendor=1", WB ",ot=th:c,vendor=1"},
        {"a=1 , ,\tb=2", WB ",a=1,b=2"},
        {"a=1,wb=ffffffffffffffffffffffffffffffff,b=2", WB ",a=1,b=2"},
        {"tenant@system=x y", WB ",tenant@system=x y"},
        {"a=1,a=2", WB ",a=1,a=2"}, /* whose vendor knows which of the two is right */
        {"b=2,a=1,b=2", WB ",b=2,a=1,b=2"},
        {",,a=1,,,", WB ",a=1"},
        {"a= x", WB ",a= x"}, /* a space may begin a value, and not end it */
        {"a=1  ", WB ",a=1"},
        {"0a_-*/@z=!~", WB ",0a_-*/@z=!~"},
        {"ot=th:fd70a4;rv:6e6d1a75832a2f,a=1", WB ",ot=th:fd70a4;rv:6e6d1a75832a2f,a=1"},
        {"wb=d:ffffffffffffffffffffffffffffffff,a=1", WB ",a=1"},
        {"wbx=1,xwb=1", WB ",wbx=1,xwb=1"},
        {"A=1", WB},   /* upper case in a key */
        {"a=", WB},    /* no value */
        {"a=  ", WB},  /* nor here */
        {"a =1", WB},  /* white space in a key */
        {"a=\t1", WB}, /* a tab in a value */
        {"a=1\r\n", WB},
        {"a.b=1", WB},
        {"a", WB},      /* no equals sign */
        {"=1", WB},     /* no key */
        {"a=b=c", WB},  /* an equals sign in a value */
        {"_a=1", WB},   /* a key must begin with a letter or digit */
        {"a=\x01", WB}, /* a control */
        {"a=\xc3\xa4", WB},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        char out[WB_TRACESTATE_MAX_BYTES + 1];
        size_t len = write_one(wb_slice_str(cases[i].received), out);
        assert_string_equal(out, cases[i].expected);
        assert_int_equal(len, strlen(out));
    }
}

/* `a` and `b` around what makes the header `len` characters long together with our member. */
static size_t sent_with(size_t key_len, size_t value_len, const char *rest, char *out)
{
    char received[2048], text[600];
    memset(text, 'k', sizeof text);
    (void)snprintf(received, sizeof received, "%.*s=%.*s%s", (int)key_len, text, (int)value_len,
                   text, rest);
    return write_one(wb_slice_str(received), out);
}

static void lengths_are_exact(void **state)
{
    enum { OURS = 3 + WB_ID_HEX, LEFT = WB_TRACESTATE_MAX_BYTES - OURS };
    char out[WB_TRACESTATE_MAX_BYTES + 1];
    (void)state;
    assert_int_equal(sent_with(256, 1, "", out), OURS + 1 + 258);
    assert_int_equal(sent_with(257, 1, "", out), OURS); /* too long a key spoils the header */
    assert_int_equal(sent_with(1, 256, "", out), OURS + 1 + 258);
    assert_int_equal(sent_with(1, 257, "", out), OURS);
    /* 128 characters stay when something must go, 129 do not */
    char filler[400];
    (void)snprintf(filler, sizeof filler, ",x=%0250d", 7); /* all fits */
    assert_int_equal(sent_with(1, 126, filler, out), OURS + 1 + 128 + 1 + 252);
    (void)snprintf(filler, sizeof filler, ",x=%0124d,y=%0124d,z=%0120d", 7, 7, 7);
    assert_int_equal(sent_with(1, 126, filler, out), OURS + 3 * (1 + 126) + 1 + 128 - 1 - 126);
    assert_int_equal(sent_with(1, 127, filler, out), OURS + 2 * (1 + 126) + 1 + 122);
    /* of two that are too long, the left one stays if that is enough */
    (void)snprintf(filler, sizeof filler, ",x=%0250d,y=%0100d", 7, 7);
    assert_int_equal(sent_with(1, 127, filler, out), OURS + 1 + 129 + 1 + 102);
    /* the last that fits fits to the byte */
    (void)snprintf(filler, sizeof filler, ",x=%0124d,y=%0124d,z=%0*d", 7, 7,
                   LEFT - (1 + 128) - 2 * (1 + 126) - (1 + 2), 7);
    assert_int_equal(sent_with(1, 126, filler, out), WB_TRACESTATE_MAX_BYTES);
    (void)snprintf(filler, sizeof filler, ",x=%0124d,y=%0124d,z=%0*d", 7, 7,
                   LEFT - (1 + 128) - 2 * (1 + 126) - (1 + 2) + 1, 7);
    assert_int_equal(sent_with(1, 126, filler, out), OURS + 1 + 128 + 2 * (1 + 126));
}

static void several_headers_are_one_list(void **state)
{
    const wb_slice values[] = {WB_S("a=1,b=2"), WB_S(""), WB_S(" c=3 ,"), WB_S("a=4")};
    const wb_slice broken[] = {WB_S("a=1"), WB_S("b")}, cut[] = {WB_S("a="), WB_S("1")};
    wb_slice many[33];
    char out[WB_TRACESTATE_MAX_BYTES + 1];
    (void)state;
    (void)wb_tracestate_write(values, 4, WB_TRACESTATE_ACCEPTANCE, &acceptance, out);
    assert_string_equal(out, WB ",a=1,b=2,c=3,a=4");
    (void)wb_tracestate_write(broken, 2, WB_TRACESTATE_ACCEPTANCE, &acceptance, out);
    assert_string_equal(out, WB);
    (void)wb_tracestate_write(cut, 2, WB_TRACESTATE_ACCEPTANCE, &acceptance, out);
    assert_string_equal(out, WB);
    (void)wb_tracestate_write(NULL, 0, WB_TRACESTATE_ACCEPTANCE, &acceptance, out);
    assert_string_equal(out, WB);
    for (size_t i = 0; i < WB_COUNT(many); i++) many[i] = WB_S("k=v");
    assert_int_equal(wb_tracestate_write(many, 32, WB_TRACESTATE_ACCEPTANCE, &acceptance, out),
                     3 + WB_ID_HEX + 31 * 4);
    (void)wb_tracestate_write(many, 33, WB_TRACESTATE_ACCEPTANCE, &acceptance, out);
    assert_string_equal(out, WB);
}

static void a_delegation_is_no_acceptance(void **state)
{
    const wb_slice received = WB_S("a=1," WB);
    char out[WB_TRACESTATE_MAX_BYTES + 1];
    wb_id id = {.b = {9}};
    (void)state;
    size_t len = wb_tracestate_write(&received, 1, WB_TRACESTATE_DELEGATION, &acceptance, out);
    assert_string_equal(out, "wb=d:0102030405060708090a0b0c0d0e0f10,a=1");
    assert_false(wb_tracestate_acceptance(wb_slice_of(out, len), &id));
    assert_int_equal(id.b[0], 9);
}

static void a_33rd_member_pushes_out_the_last(void **state)
{
    char received[512] = "", out[WB_TRACESTATE_MAX_BYTES + 1];
    (void)state;
    for (int i = 0; i < 32; i++)
        (void)sprintf(received + strlen(received), "%sk%02d=1", i ? "," : "", i);
    (void)write_one(wb_slice_str(received), out);
    assert_non_null(strstr(out, ",k30=1"));
    assert_null(strstr(out, "k31=1"));
    char *last = received + strlen(received) - 6; /* ",k31=1" */
    (void)sprintf(last, ",wb=1"); /* an old one of ours leaves room for the others */
    (void)write_one(wb_slice_str(received), out);
    assert_non_null(strstr(out, ",k30=1"));
    (void)sprintf(last, ",k31=1,k32=1"); /* 33 received: the whole header goes */
    (void)write_one(wb_slice_str(received), out);
    assert_string_equal(out, WB);
}

static void long_members_go_before_those_at_the_right(void **state)
{
    char received[1024], out[WB_TRACESTATE_MAX_BYTES + 1], value[257];
    (void)state;
    memset(value, 'v', 256);
    value[256] = '\0';
    (void)snprintf(received, sizeof received, "first=1,long=%s,longer=%s,last=1", value, value);
    (void)write_one(wb_slice_str(received), out);
    assert_non_null(strstr(out, ",first=1,long="));
    assert_non_null(strstr(out, ",last=1"));
    assert_null(strstr(out, "longer="));
    (void)snprintf(received, sizeof received, "first=1,long=%s,last=1", value);
    (void)write_one(wb_slice_str(received), out);
    assert_non_null(strstr(out, "long=")); /* it fits, so it stays */
    (void)snprintf(received, sizeof received, "a=%.100s,b=%.100s,c=%.100s,d=%.100s,e=%.100s,f=1",
                   value, value, value, value, value);
    (void)write_one(wb_slice_str(received), out);
    assert_non_null(strstr(out, ",d="));
    assert_null(strstr(out, ",e="));
    assert_null(strstr(out, ",f="));
}

static void the_acceptance_is_read_back(void **state)
{
    char out[WB_TRACESTATE_MAX_BYTES + 1];
    wb_id id = {.b = {9}};
    (void)state;
    assert_false(wb_tracestate_acceptance(WB_S(""), &id));
    assert_false(wb_tracestate_acceptance(WB_S("a=1"), &id));
    assert_false(wb_tracestate_acceptance(WB_S("wb=12"), &id));
    assert_false(wb_tracestate_acceptance(WB_S(WB ",broken"), &id));
    assert_false(wb_tracestate_acceptance(WB_S("wb=" ZEROS), &id));
    assert_false(wb_tracestate_acceptance(WB_S("xwb=0102030405060708090a0b0c0d0e0f10"), &id));
    assert_int_equal(id.b[0], 9);
    (void)write_one(WB_S("a=1"), out);
    assert_true(wb_tracestate_acceptance(wb_slice_str(out), &id));
    assert_memory_equal(id.b, acceptance.b, sizeof id.b);
    assert_true(wb_tracestate_acceptance(WB_S("a=1, " WB " ,b=2"), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defective_traceparents_are_refused),
        cmocka_unit_test(good_traceparents_are_read),
        cmocka_unit_test(version_00_is_sent),
        cmocka_unit_test(our_member_leads_and_others_stay),
        cmocka_unit_test(lengths_are_exact),
        cmocka_unit_test(several_headers_are_one_list),
        cmocka_unit_test(a_delegation_is_no_acceptance),
        cmocka_unit_test(a_33rd_member_pushes_out_the_last),
        cmocka_unit_test(long_members_go_before_those_at_the_right),
        cmocka_unit_test(the_acceptance_is_read_back),
    };
    return cmocka_run_group_tests_name("w3c", tests, NULL, NULL);
}
