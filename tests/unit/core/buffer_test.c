/* SPDX-License-Identifier: Apache-2.0 */
#include "core/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void beyond_the_limit_nothing_is_appended(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    uint8_t *at = NULL;
    wb_buffer_init(&buf, 8);
    assert_int_equal(wb_buffer_add(&buf, "123456", 6), WB_OK);
    assert_int_equal(wb_buffer_add(&buf, "789", 3), WB_ERR_NO_MEMORY);
    assert_int_equal(wb_buffer_reserve(&buf, SIZE_MAX, &at), WB_ERR_NO_MEMORY);
    assert_null(at);
    assert_int_equal(wb_buffer_printf(&buf, "%d", 42), WB_ERR_NO_MEMORY); /* 2 bytes and the NUL */
    assert_int_equal(buf.len, 6);
    assert_int_equal(wb_buffer_add(&buf, "78", 2), WB_OK);
    assert_memory_equal(buf.ptr, "12345678", 8);
}

static void nothing_may_be_appended_to_nothing(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_buffer_init(&buf, 0);
    assert_int_equal(wb_buffer_add(&buf, NULL, 0), WB_OK);
    assert_int_equal(wb_buffer_add_slice(&buf, (wb_slice){NULL, 0}), WB_OK);
    assert_null(buf.ptr);
    assert_int_equal(wb_buffer_add(&buf, "x", 1), WB_ERR_NO_MEMORY);
}

static void what_was_appended_survives_growth(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_buffer_init(&buf, 1 << 20);
    for (int i = 0; i < 5000; i++) assert_int_equal(wb_buffer_printf(&buf, "%04d,", i), WB_OK);
    assert_int_equal(buf.len, 25000);
    assert_memory_equal(buf.ptr, "0000,0001,", 10);
    assert_memory_equal(buf.ptr + 24990, "4998,4999,", 10);
}

static void cleared_it_keeps_its_memory_done_it_does_not(void **state)
{
    (void)state;
    wb_buffer buf;
    wb_buffer_init(&buf, 1000);
    assert_int_equal(wb_buffer_add_slice(&buf, WB_S("something")), WB_OK);
    const uint8_t *memory = buf.ptr;
    wb_buffer_clear(&buf);
    assert_int_equal(buf.len, 0);
    assert_ptr_equal(buf.ptr, memory);
    wb_buffer_done(&buf);
    assert_null(buf.ptr);
    assert_int_equal(wb_buffer_add(&buf, "again", 5), WB_OK); /* the limit is remembered */
    assert_true(wb_slice_eq(wb_buffer_slice(&buf), WB_S("again")));
    wb_buffer_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beyond_the_limit_nothing_is_appended),
        cmocka_unit_test(nothing_may_be_appended_to_nothing),
        cmocka_unit_test(what_was_appended_survives_growth),
        cmocka_unit_test(cleared_it_keeps_its_memory_done_it_does_not),
    };
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
