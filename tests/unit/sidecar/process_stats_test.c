/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/process_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

enum { MORE = 200 }; /* more than one call of getdents64 lists */

static void descriptors_are_counted_each_time_anew(void **state)
{
    wb_process_files files;
    wb_process_stats before, with, behind;
    int fds[MORE];
    (void)state;
    wb_process_files_open(&files);
    wb_process_look(&files, &before);
    for (int i = 0; i < MORE; i++) assert_true((fds[i] = dup(0)) >= 0);
    wb_process_look(&files, &with);
    for (int i = 0; i < MORE; i++) (void)close(fds[i]);
    wb_process_look(&files, &behind);
    wb_process_files_close(&files);
    assert_true(before.has_fds && with.has_fds && behind.has_fds);
    assert_int_equal(with.open_fds, before.open_fds + MORE);
    assert_int_equal(behind.open_fds, before.open_fds);
    assert_true(before.max_fds == 0 || before.max_fds >= with.open_fds);
}

static void memory_and_time_are_this_process_s(void **state)
{
    wb_process_files files;
    wb_process_stats stats;
    (void)state;
    wb_process_files_open(&files);
    wb_process_look(&files, &stats);
    wb_process_files_close(&files);
    assert_true(stats.has_memory);
    assert_true(stats.resident_bytes > 0 && stats.virtual_bytes >= stats.resident_bytes);
    assert_true(stats.cpu_ns > 0);
}

static void without_proc_the_rest_is_still_said(void **state)
{
    const wb_process_files none = {-1, -1};
    wb_process_stats stats;
    (void)state;
    wb_process_look(&none, &stats);
    assert_false(stats.has_memory || stats.has_fds);
    assert_true(stats.cpu_ns > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_counted_each_time_anew),
        cmocka_unit_test(memory_and_time_are_this_process_s),
        cmocka_unit_test(without_proc_the_rest_is_still_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
