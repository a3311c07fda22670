/* SPDX-License-Identifier: Apache-2.0 */
/* A leak on purpose: proves that the sanitizer build it came out of would see a real one. */
#include <stdlib.h>
#include <string.h>

static void *volatile kept;

int main(void)
{
    kept = malloc(64);
    memset(kept, 1, 64);
    kept = NULL;
    return 0;
}
