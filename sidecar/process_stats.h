/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/process_stats.h: what this process uses, by the kernel's account (proc(5)). Its files are opened
 * before the sandbox closes /proc, and read when asked. */
#ifndef WAYBILL_SIDECAR_PROCESS_STATS_H
#define WAYBILL_SIDECAR_PROCESS_STATS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wb_process_files {
    int statm, fds; /* -1: not to be had here */
} wb_process_files;

typedef struct wb_process_stats {
    bool has_memory, has_fds;
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds; /* max_fds 0: no limit */
    uint64_t cpu_ns;            /* of all threads, in user and kernel */
} wb_process_stats;

/** Before wb_sandbox_process. Cannot fail: what is not there is left out of the report. */
void wb_process_files_open(wb_process_files *files);
void wb_process_files_close(wb_process_files *files);

/** One thread at a time. */
void wb_process_look(const wb_process_files *files, wb_process_stats *out);

#endif
