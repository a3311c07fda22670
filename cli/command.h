/* SPDX-License-Identifier: Apache-2.0 */
/* cli/command.h: run another program as a shell would: same terminal, same signals, same exit code. */
#ifndef WAYBILL_CLI_COMMAND_H
#define WAYBILL_CLI_COMMAND_H

#include "core/clock.h"
#include "core/paths.h"

#include <signal.h>
#include <sys/types.h>

/** The signals that are taken by waiting for them, from wb_signals_hold to the process's end. */
typedef struct wb_signals {
    sigset_t held;
    sigset_t before; /* the mask that we were started with */
} wb_signals;

/** Hold INT TERM HUP QUIT USR1 USR2 WINCH and CHLD. Once, before the first child. */
void wb_signals_hold(wb_signals *signals);
/** In a forked child, before its exec: as we were started.
 *  ignores_pipe  whether SIGPIPE was ignored then */
void wb_signals_restore(const wb_signals *signals, bool ignores_pipe);
/** Wait up to `ms`; returns the signal by which a person or a supervisor wants us to end (INT, TERM, HUP,
 *  QUIT), else 0. A child's end cuts the wait short. */
int wb_signals_pause(const wb_signals *signals, uint32_t ms);

typedef struct wb_command {
    char *const *argv; /* argv[0] is looked for in PATH; ends in NULL */
    bool ignores_pipe;
    const wb_clock *clock;
    void (*on_child)(void *self); /* some child changed its state; NULL is allowed */
    void *self;
} wb_command;

typedef struct wb_command_end {
    int code;   /* as a shell says it: its own, 128 + signal, 127 not found, 126 not executable */
    int signal; /* that ended it; 0: none */
    int exec_errno; /* why it could not be executed; 0: it was */
    pid_t pid;
    wb_time_ns started_ns, ended_ns;
    char path[WB_PATH_MAX]; /* of what was executed; "": unknown */
} wb_command_end;

/** Run it to its end.
 *  Errors  NO_MEMORY no process could be made */
WB_MUST_USE wb_status wb_command_run(const wb_command *command, const wb_signals *signals,
                                     wb_command_end *end, wb_error *err);

#endif
