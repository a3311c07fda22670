/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/confine.h: which files and system calls this sidecar keeps when it locks itself in. The locks
 * are sidecar/sandbox; which of them hold is in sidecar->sandbox, for status and log. */
#ifndef WAYBILL_SIDECAR_CONFINE_H
#define WAYBILL_SIDECAR_CONFINE_H

#include "sidecar/sidecar.h"

/** Before the first thread, behind what must read elsewhere. Makes the directories that may be needed
 *  later, as far as it can.
 *  Errors  CONFIG `sandbox: require` and something is missing | NO_MEMORY */
WB_MUST_USE wb_status wb_confine_files(wb_sidecar *sidecar, wb_error *err);

/** When all sockets are open and all threads run. Errors as above. */
WB_MUST_USE wb_status wb_confine_calls(wb_sidecar *sidecar, wb_error *err);

/** Once a second, one thread: say it when system calls were refused since the last time, or when a
 *  directory that is written to was replaced or removed and so is closed. */
void wb_confine_tick(wb_sidecar *sidecar);

/** A directory that is written to and is closed. Landlock's rules are bound to what was there at the start:
 *  whatever comes in its place is closed, and nothing can be made in the place of what is gone. */
typedef enum wb_closed_how { WB_CLOSED_NOT, WB_CLOSED_REPLACED, WB_CLOSED_REMOVED } wb_closed_how;
typedef struct wb_closed {
    wb_closed_how how;
    const char *path; /* as long as the sidecar; NULL: none */
} wb_closed;
/** The first of them, as of the last tick. Any thread. */
wb_closed wb_confine_closed(const wb_sidecar *sidecar);

/** When nobody asks any more. */
void wb_confine_free(wb_sidecar *sidecar);

#endif
