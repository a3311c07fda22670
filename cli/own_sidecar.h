/* SPDX-License-Identifier: Apache-2.0 */
/* cli/own_sidecar.h: the sidecar that `waybill run` works with: the running one of its name, or one that is
 * started for it. Whoever is the last to use a started one stops it. */
#ifndef WAYBILL_CLI_OWN_SIDECAR_H
#define WAYBILL_CLI_OWN_SIDECAR_H

#include "cli/cli.h"
#include "cli/command.h"

typedef struct wb_own_sidecar {
    const wb_cli *cli;         /* lives longer */
    const wb_signals *signals; /* likewise */
    const char *config;        /* its --config; NULL: its own default */
    pid_t pid;                 /* of the one we started; 0: none is running */
    int use_fd;                /* holds the lock that says "in use"; -1: none */
    int log_fd;                /* where the one we start writes; -1: none yet */
    char log[WB_PATH_MAX];     /* the same; "": nobody can read it later */
    unsigned restarts;
    uint64_t started_mono;
} wb_own_sidecar;

void wb_own_sidecar_init(const wb_cli *cli, const wb_signals *signals, const char *config,
                         wb_own_sidecar *own);

/** True if a sidecar answers on the instance's socket. */
bool wb_own_sidecar_answers(const wb_cli *cli, wb_error *err);

/** Use the running one, or start one and wait until it takes requests. The command line must have called
 *  wb_signals_hold.
 *  interrupted  the signal that ended the wait, or 0
 *  Errors       UNAVAILABLE with the sidecar's own reason */
WB_MUST_USE wb_status wb_own_sidecar_ensure(wb_own_sidecar *own, int *interrupted, wb_error *err);

/** After a SIGCHLD: if the one we started is gone, start it again, a few times at most. Does not wait. */
void wb_own_sidecar_tend(wb_own_sidecar *own);

/** Use it no more. If it was started by a `waybill run` and nobody else uses it, let it deliver, end it
 *  and wait until it is gone; the second signal of a person makes it end at once. */
void wb_own_sidecar_release(wb_own_sidecar *own);

#endif
