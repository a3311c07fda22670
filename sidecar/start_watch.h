/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/start_watch.h: end a start that does not come to its end. */
#ifndef WAYBILL_SIDECAR_START_WATCH_H
#define WAYBILL_SIDECAR_START_WATCH_H

#include "core/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

typedef struct wb_start_watch {
    pthread_mutex_t lock; /* guards is_over */
    pthread_cond_t over;
    pthread_t thread;
    struct timespec limit;
    bool is_over;
} wb_start_watch;

/** Unless wb_start_watch_end is called within `limit_s` the process says why and ends with `exit_code`; so
 *  each success needs an end.  Errors  NO_MEMORY no thread */
WB_MUST_USE wb_status wb_start_watch_begin(wb_start_watch *watch, unsigned limit_s, wb_error *err);
void wb_start_watch_end(wb_start_watch *watch);

#endif
