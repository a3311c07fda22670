/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/alloc_count.h: how often a thread asked for memory, in a program that waybill_count_allocs (CMake) made. */
#ifndef WAYBILL_TESTS_SUPPORT_ALLOC_COUNT_H
#define WAYBILL_TESTS_SUPPORT_ALLOC_COUNT_H

/** Calls of malloc, calloc and realloc so far, of the calling thread; shared libraries' own are not among them. */
unsigned wb_alloc_count(void);

#endif
