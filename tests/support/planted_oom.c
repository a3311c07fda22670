/* SPDX-License-Identifier: Apache-2.0 */
/* A test whose code under test loses memory when its second allocation fails: oom_sweep.py must see it,
 * although the test's assertion ends the test there. */
#include "tests/support/planted_oom_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_pair_is_made(void **state)
{
    (void)state;
    void *pair[2] = {NULL, NULL};
    assert_true(planted_pair(pair));
    planted_pair_free(pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_pair_is_made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
