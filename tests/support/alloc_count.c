/* SPDX-License-Identifier: Apache-2.0 */
/* The linker's --wrap reaches all that is linked into the program. */
#include "tests/support/alloc_count.h"

#include <stdlib.h>

static __thread unsigned asked;

void *__real_malloc(size_t size);           /* NOLINT: the linker's names */
void *__real_calloc(size_t n, size_t size); /* NOLINT */
void *__real_realloc(void *p, size_t size); /* NOLINT */
void *__wrap_malloc(size_t size);           /* NOLINT */
void *__wrap_calloc(size_t n, size_t size); /* NOLINT */
void *__wrap_realloc(void *p, size_t size); /* NOLINT */

void *__wrap_malloc(size_t size)
{
    asked++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    asked++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    asked++;
    return __real_realloc(p, size);
}

unsigned wb_alloc_count(void) { return asked; }
