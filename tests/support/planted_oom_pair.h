/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/planted_oom_pair.h: code with a planted fault. */
#ifndef WAYBILL_TESTS_SUPPORT_PLANTED_OOM_PAIR_H
#define WAYBILL_TESTS_SUPPORT_PLANTED_OOM_PAIR_H

#include <stdbool.h>

/** Two pieces of memory; false and nothing when there is none. The fault: not nothing. */
bool planted_pair(void *pair[2]);
void planted_pair_free(void *pair[2]);

#endif
