/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/ipc_requests.h: requests to measure with, packed before the clock starts. */
#ifndef WAYBILL_TESTS_BENCH_IPC_REQUESTS_H
#define WAYBILL_TESTS_BENCH_IPC_REQUESTS_H

#include "core/arena.h"
#include "tests/bench/ipc_load.h"

/* Configuration of the sidecar that all of them are for. */
extern const char wb_bench_config[];

/** `n` Delegates to a known peer, each another delegation; and: did it mint a token? */
wb_slice *wb_bench_delegates(size_t n, wb_arena *arena);
const char *wb_bench_judge_delegate(wb_slice reply);

/** `n` Accepts, each with a chain of two links that is good for the next two minutes; and:
 *  CONTINUE? Writes the issuers' keys into `trust_dir`, which the sidecar reads when it starts. */
wb_slice *wb_bench_accepts(size_t n, const char *trust_dir, wb_arena *arena);
const char *wb_bench_judge_accept(wb_slice reply);

/** The same of the same issuers, from a host of that address, with the last link's signature forged: each
 *  is refused. */
wb_slice *wb_bench_forged_accepts(size_t n, const char *peer, wb_arena *arena);

/** `n` Records of `spans` spans each; and: were all taken? */
wb_slice *wb_bench_records(size_t n, size_t spans, wb_arena *arena);
const char *wb_bench_judge_record(wb_slice reply);

/** A Status; and a judge that takes any, and keeps the largest "lag_bytes" that an exporter has. */
wb_slice wb_bench_status(wb_arena *arena);
const char *wb_bench_judge_status(wb_slice reply);
/** What the last judged Status said. */
uint64_t wb_bench_lag_bytes(void);

#endif
