/* SPDX-License-Identifier: Apache-2.0 */
/* A signed overflow on purpose: proves that the sanitizer build would see a real one. */
#include <limits.h>

int main(int argc, char **argv)
{
    (void)argv;
    volatile int largest = INT_MAX;
    largest = largest + argc;
    return 0;
}
