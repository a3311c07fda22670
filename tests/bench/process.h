/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/process.h: the programs beside a bench, and a real waybilld in folders of its own. */
#ifndef WAYBILL_TESTS_BENCH_PROCESS_H
#define WAYBILL_TESTS_BENCH_PROCESS_H

#include "core/slice.h"

#include <sys/types.h>

/** Start the program `name` of this build. `env` NULL: ours; `log` NULL: our standard error, else a
 *  file to append to. Gives up when it cannot. */
pid_t wb_process_start(const char *name, const char *const *args, const char *const *env,
                       const char *log);
/** The same for any program; reads what it says first, up to a line's end, into `said`. */
pid_t wb_process_start_path(const char *path, const char *const *args, const char *log, char *said,
                            size_t size);
/** Kill and reap. */
void wb_process_stop(pid_t pid);
/** Processor time that it has used so far, of all its threads. */
uint64_t wb_process_cpu_ns(pid_t pid);
/** A number of /proc/PID/status in kB, such as "RssAnon". */
uint64_t wb_process_kib(pid_t pid, const char *key);
/** A TCP port of the loopback address that was free a moment ago. */
uint16_t wb_process_free_port(void);
/** Remove a folder and what is in it. */
void wb_process_remove(const char *folder);
/** The path of a program of this build. Gives up if it is not there. */
void wb_process_path(const char *name, char *out, size_t size);
/** Run a program of the system, found in PATH, with `input` as its standard input, its output thrown
 *  away, to its end. Gives up when it does not end with 0. */
void wb_process_run(const char *const *args, const char *input);

/** One waybilld. */
typedef struct wb_bench_sidecar {
    char base[64];    /* temporary folder; goes with the sidecar */
    char socket[100]; /* of a Unix socket's 107 */
    char trust[160];  /* its trust directory */
    char config[160];
    pid_t pid; /* 0: not running */
} wb_bench_sidecar;

/** Make the folders; `config` is YAML, may be empty. */
void wb_bench_sidecar_init(wb_bench_sidecar *s, const char *config);
/** Start; returns the time in ns until it completed nng's handshake with us. */
uint64_t wb_bench_sidecar_start(wb_bench_sidecar *s);
/** Kill it, as a power cut would. */
void wb_bench_sidecar_kill(wb_bench_sidecar *s);
/** Kill it if it runs, and remove its folders. */
void wb_bench_sidecar_done(wb_bench_sidecar *s);

#endif
