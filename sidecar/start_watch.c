/* SPDX-License-Identifier: Apache-2.0 */
/* Two libraries do not return when an allocation fails while they initialise: nng 1.5.2 takes apart what it
 * has begun and waits for a lock that it holds itself; libseccomp 2.5.4 walks a list for ever. A process
 * that hangs is not started again by anybody, one that ends is; and nothing was acknowledged yet. */
#include "sidecar/start_watch.h"

#include "core/log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void *watch_start(void *arg)
{
    wb_start_watch *w = arg;
    int rv = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->is_over && rv != ETIMEDOUT)
        rv = pthread_cond_timedwait(&w->over, &w->lock, &w->limit);
    bool is_over = w->is_over;
    pthread_mutex_unlock(&w->lock);
    if (is_over) return NULL;
    WB_LOG(ERROR, "start.hangs", "the start hangs in a library, most likely for want of memory",
           WB_KV("todo", "start again; if that hangs too, allow more memory"));
    _exit(EXIT_FAILURE);
}

wb_status wb_start_watch_begin(wb_start_watch *watch, unsigned limit_s, wb_error *err)
{
    pthread_condattr_t attr;
    *watch = (wb_start_watch){.is_over = false};
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watch->over, &attr);
    (void)pthread_condattr_destroy(&attr);
    pthread_mutex_init(&watch->lock, NULL);
    (void)clock_gettime(CLOCK_MONOTONIC, &watch->limit);
    watch->limit.tv_sec += (time_t)limit_s;
    int rv = pthread_create(&watch->thread, NULL, watch_start, watch);
    return rv == 0 ? WB_OK : wb_fail_errno(err, WB_ERR_NO_MEMORY, rv, "start watch thread");
}

void wb_start_watch_end(wb_start_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->is_over = true;
    pthread_cond_signal(&watch->over);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    pthread_cond_destroy(&watch->over);
    pthread_mutex_destroy(&watch->lock);
}
