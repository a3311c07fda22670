/* SPDX-License-Identifier: Apache-2.0 */
/* What planted_oom.c tests: memory is lost when the second allocation fails. It is compiled from a copy
 * outside of tests/, since the sweep leaves to a test what the test does itself. */
#include "tests/support/planted_oom_pair.h"

#include <stdlib.h>

bool planted_pair(void *pair[2])
{
    void *first = malloc(32), *second = malloc(64);
    if (!first || !second) return false;
    pair[0] = first;
    pair[1] = second;
    return true;
}

void planted_pair_free(void *pair[2])
{
    free(pair[0]);
    free(pair[1]);
}
