/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void the_limit_refuses_and_later_smaller_requests_still_fit(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) arena = wb_arena_new(100);
    assert_non_null(wb_arena_alloc(arena, 60)); /* 64 with its alignment */
    assert_null(wb_arena_alloc(arena, 40));
    assert_int_equal(wb_arena_used(arena), 64);
    assert_non_null(wb_arena_alloc(arena, 32));
    assert_null(wb_arena_alloc(arena, 1));
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) arena = wb_arena_new(SIZE_MAX);
    assert_null(wb_arena_alloc(arena, SIZE_MAX));
    assert_null(wb_arena_alloc(arena, SIZE_MAX - 8));
    assert_null(wb_arena_array(arena, SIZE_MAX / 2, 3));
    assert_null(wb_arena_array(arena, (size_t)1 << 33, (size_t)1 << 33));
    wb_slice copy = {NULL, 7};
    assert_int_equal(wb_arena_dup(arena, (wb_slice){NULL, SIZE_MAX}, &copy), WB_ERR_NO_MEMORY);
    assert_int_equal(copy.len, 7);
    assert_int_equal(wb_arena_used(arena), 0);
}

static void text_that_does_not_fit_is_null(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) arena = wb_arena_new(16);
    assert_null(wb_arena_printf(arena, "%s", "sixteen bytes...")); /* and a NUL */
    assert_string_equal(wb_arena_printf(arena, "%s-%d", "fits", 15), "fits-15");
}

static void memory_is_zeroed_aligned_and_does_not_overlap(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 20);
    uint8_t *before = NULL;
    for (size_t size = 0; size < 700; size++) { /* crosses several blocks */
        uint8_t *p = wb_arena_alloc(arena, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        memset(p, 0xAA, size);
        if (before) assert_int_equal(before[0], 0xAA); /* the one before it is untouched */
        before = size > 0 ? p : before;
    }
}

static void after_a_reset_memory_is_zeroed_again_and_the_limit_starts_anew(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) arena = wb_arena_new(8192);
    for (int round = 0; round < 3; round++) {
        uint8_t *small = wb_arena_alloc(arena, 64), *large = wb_arena_alloc(arena, 8128);
        assert_non_null(small);
        assert_non_null(large);
        for (size_t i = 0; i < 64; i++) assert_int_equal(small[i], 0);
        for (size_t i = 0; i < 8128; i++) assert_int_equal(large[i], 0);
        memset(small, round + 1, 64);
        memset(large, round + 1, 8128);
        assert_null(wb_arena_alloc(arena, 1));
        wb_arena_reset(arena);
        assert_int_equal(wb_arena_used(arena), 0);
    }
}

static void a_copy_ends_in_a_nul_that_is_not_counted(void **state)
{
    (void)state;
    WB_AUTO(wb_arena) arena = wb_arena_new(1024);
    wb_slice copy;
    assert_int_equal(wb_arena_dup(arena, WB_S("text"), &copy), WB_OK);
    assert_int_equal(copy.len, 4);
    assert_string_equal((const char *)copy.ptr, "text");
    assert_int_equal(wb_arena_dup(arena, (wb_slice){NULL, 0}, &copy), WB_OK);
    assert_int_equal(copy.len, 0);
    assert_int_equal(copy.ptr[0], 0);
}

static void freeing_none_is_allowed(void **state)
{
    (void)state;
    wb_arena_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_refuses_and_later_smaller_requests_still_fit),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(text_that_does_not_fit_is_null),
        cmocka_unit_test(memory_is_zeroed_aligned_and_does_not_overlap),
        cmocka_unit_test(after_a_reset_memory_is_zeroed_again_and_the_limit_starts_anew),
        cmocka_unit_test(a_copy_ends_in_a_nul_that_is_not_counted),
        cmocka_unit_test(freeing_none_is_allowed),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
