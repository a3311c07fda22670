/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/waybill/v1/ipc.pb-c.h"

enum { LIMIT = 8, ROOM = 4096 };

static wb_text_rule rule_of(const char *field)
{
    return (wb_text_rule){.most = LIMIT, .any_bytes = strcmp(field, "more_traceparents") == 0};
}

/* A Request with an Accept in it, of whose message id `len` bytes of `text` are on the wire. */
static wb_slice request(uint8_t wire[ROOM], const char *text, size_t len, size_t headers)
{
    static char *many[ROOM];
    char id[LIMIT + 2] = "";
    Waybill__V1__Request out = WAYBILL__V1__REQUEST__INIT;
    Waybill__V1__Accept accept = WAYBILL__V1__ACCEPT__INIT;
    memset(id, 'x', len);
    out.body_case = WAYBILL__V1__REQUEST__BODY_ACCEPT;
    out.accept = &accept;
    accept.message_id = id;
    for (size_t i = 0; i < headers; i++) many[i] = (char[]){"h"};
    accept.n_more_traceparents = headers;
    accept.more_traceparents = many;
    size_t size = waybill__v1__request__pack(&out, wire);
    assert_true(size < ROOM);
    for (size_t i = 0; len > 0 && i + len <= size; i++)
        if (memcmp(wire + i, id, len) == 0) {
            memcpy(wire + i, text, len); /* a packer would stop at the NUL */
            break;
        }
    return (wb_slice){wire, size};
}

static const char *fault(const char *text, size_t len, size_t headers)
{
    uint8_t wire[ROOM];
    return wb_texts_fault(&waybill__v1__request__descriptor, request(wire, text, len, headers),
                          rule_of);
}

static void a_text_with_a_nul_in_it_is_refused(void **state)
{
    (void)state;
    assert_non_null(fault("m1\0x", 4, 0));
    assert_non_null(fault("\0", 1, 0));
    assert_non_null(fault("m1x\0", 4, 0));
    assert_null(fault("m1 x", 4, 0));
}

static void a_text_that_is_not_utf8_is_refused_unless_its_reader_judges_it(void **state)
{
    uint8_t wire[ROOM];
    (void)state;
    assert_non_null(fault("m\xFFx", 3, 0));
    assert_non_null(fault("\xED\xA0\x80", 3, 0));
    assert_null(fault("m\xC3\xA9", 3, 0));
    wb_slice whole = request(wire, "m1", 2, 1);
    uint8_t *header = memchr(wire, 'h', whole.len);
    assert_non_null(header);
    *header = 0xFF;
    assert_null(wb_texts_fault(&waybill__v1__request__descriptor, whole, rule_of));
}

static void a_text_beyond_its_limit_is_refused(void **state)
{
    (void)state;
    assert_non_null(fault("123456789", LIMIT + 1, 0));
    assert_null(fault("12345678", LIMIT, 0));
    assert_null(fault("", 0, 0));
}

static void values_of_a_repeated_field_are_counted_and_measured(void **state)
{
    (void)state;
    assert_null(fault("m1", 2, WB_TEXTS_ELEMENTS_MAX));
    assert_non_null(fault("m1", 2, WB_TEXTS_ELEMENTS_MAX + 1));
}

static void what_is_no_message_is_refused(void **state)
{
    uint8_t wire[ROOM];
    (void)state;
    wb_slice whole = request(wire, "m1", 2, 2);
    assert_null(wb_texts_fault(&waybill__v1__request__descriptor, whole, rule_of));
    whole.len--;
    assert_non_null(wb_texts_fault(&waybill__v1__request__descriptor, whole, rule_of));
    assert_non_null(wb_texts_fault(&waybill__v1__request__descriptor, WB_S("\x0b"), rule_of));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_with_a_nul_in_it_is_refused),
        cmocka_unit_test(a_text_that_is_not_utf8_is_refused_unless_its_reader_judges_it),
        cmocka_unit_test(a_text_beyond_its_limit_is_refused),
        cmocka_unit_test(values_of_a_repeated_field_are_counted_and_measured),
        cmocka_unit_test(what_is_no_message_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
