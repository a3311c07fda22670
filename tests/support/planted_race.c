/* SPDX-License-Identifier: Apache-2.0 */
/* A data race on purpose: proves that the sanitizer build it came out of would see a real one. */
#include <pthread.h>
#include <stddef.h>

static int shared;

static void *add(void *unused)
{
    for (int i = 0; i < 1000; i++) shared++;
    return unused;
}

int main(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, add, NULL) != 0) return 2;
    for (int i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
    return shared == 0;
}
