/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/sandbox/sandbox.h: what a running sidecar takes from itself, so that whoever takes it over
 * gains little: no way to other files, programs, processes or peers. docs/security.md says it to users.
 *
 * Three steps, in this order: wb_sandbox_process before anything, wb_sandbox_files before the first
 * thread (Landlock restricts the calling thread and those that it starts), wb_sandbox_calls after all
 * sockets are open and all threads run. None can be undone. */
#ifndef WAYBILL_SIDECAR_SANDBOX_SANDBOX_H
#define WAYBILL_SIDECAR_SANDBOX_SANDBOX_H

#include "core/slice.h"
#include "core/status.h"

typedef enum wb_sandbox_wish {
    WB_SANDBOX_AUTO,    /* what kernel and build have */
    WB_SANDBOX_OFF,     /* the process step only */
    WB_SANDBOX_REQUIRE, /* Landlock and seccomp, or no start */
} wb_sandbox_wish;

/** One mechanism. */
typedef struct wb_sandbox_part {
    bool on;
    int version;     /* Landlock's ABI */
    const char *why; /* not on: in a few words, static */
} wb_sandbox_part;

enum { WB_EGRESS_PORTS_MAX = 64 };

/** Whom a process may connect to. Zeroed: nobody. */
typedef struct wb_egress {
    bool tcp;      /* to `ports`; names may be resolved */
    bool any_port; /* to all ports */
    bool unix_sockets;
    uint16_t ports[WB_EGRESS_PORTS_MAX];
    size_t n_ports;
} wb_egress;

typedef struct wb_sandbox {
    wb_sandbox_wish wish;
    wb_egress egress; /* for both of the steps below; set before them */
    bool no_new_privs, no_dump, no_write_exec;
    wb_sandbox_part files; /* Landlock */
    wb_sandbox_part calls; /* seccomp */
} wb_sandbox;

enum { WB_SANDBOX_READ = 0, WB_SANDBOX_WRITE = 1, WB_SANDBOX_LISTEN = 2 };

/** A directory with all below it, or a file. One that is not there is left out. */
typedef struct wb_sandbox_path {
    const char *path; /* borrowed for the call */
    unsigned may;     /* READ, with WRITE also make and remove, with LISTEN also sockets */
} wb_sandbox_path;

/** Nothing gains privileges, no core dumps, other processes of our user can neither trace us nor read
 *  our memory; where the kernel can, memory that was written to is never run. Cannot fail: what the
 *  kernel refused is false in `out`. */
void wb_sandbox_process(wb_sandbox_wish wish, wb_sandbox *out);

/** From now on this thread, and what it starts, reaches only these paths and connects by TCP as `egress` says. (Without Landlock for the net, that is
 *  before Linux 6.7, only the system calls are checked: wb_sandbox_calls.)
 *  Errors  CONFIG `require` and the kernel, or this build, has it not */
WB_MUST_USE wb_status wb_sandbox_files(wb_sandbox *sandbox, const wb_sandbox_path *paths, size_t n,
                                       wb_error *err);

/** From now on every thread may make only the system calls that a sidecar needs. Any other gives EPERM,
 *  and is counted. Errors as above. */
WB_MUST_USE wb_status wb_sandbox_calls(wb_sandbox *sandbox, wb_error *err);

/** How many system calls were refused so far; the number of the last one, -1: none. Any thread. */
uint64_t wb_sandbox_refused(int *last);
/** The name of system call `number`, "?" if it has none. */
void wb_sandbox_call_name(int number, char out[32]);

#endif
