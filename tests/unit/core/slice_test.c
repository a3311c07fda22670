/* SPDX-License-Identifier: Apache-2.0 */
#include "core/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Of exact allocations, so that a sanitizer sees a byte too far. */
static wb_slice copy_of(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len > 0) memcpy(copy, bytes, len);
    return (wb_slice){copy, len};
}

static void short_ones_are_compared_to_the_last_byte(void **state)
{
    enum { MOST = 70 };
    uint8_t bytes[MOST];
    (void)state;
    for (size_t i = 0; i < MOST; i++) bytes[i] = (uint8_t)(i * 37);
    for (size_t len = 0; len <= MOST; len++) {
        wb_slice a = copy_of(bytes, len), b = copy_of(bytes, len);
        assert_true(wb_slice_eq_short(a, b));
        if (len > 0) assert_false(wb_slice_eq_short(a, (wb_slice){b.ptr, len - 1}));
        for (size_t at = 0; at < len; at++) {
            ((uint8_t *)(uintptr_t)b.ptr)[at] ^= 0x80;
            assert_false(wb_slice_eq_short(a, b));
            ((uint8_t *)(uintptr_t)b.ptr)[at] ^= 0x80;
        }
        free((void *)(uintptr_t)a.ptr);
        free((void *)(uintptr_t)b.ptr);
    }
    assert_true(wb_slice_eq_short((wb_slice){NULL, 0}, (wb_slice){bytes, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_ones_are_compared_to_the_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
