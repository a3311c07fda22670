/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/raw_blocks.h: what Waybill's requests are made of, bare: a round trip over nng, a
 * signature, a synced write. Each is the plainest use of its library. */
#ifndef WAYBILL_TESTS_BENCH_RAW_BLOCKS_H
#define WAYBILL_TESTS_BENCH_RAW_BLOCKS_H

#include "core/slice.h"

#include <sys/types.h>

/** nng REQ to a REP socket of another process (tests/bench/raw_echo.c), over ipc. */
typedef struct wb_raw_echo wb_raw_echo;
/** Start the other process on a socket in `dir`; each reply has `reply_bytes`. */
wb_raw_echo *wb_raw_echo_start(const char *dir, size_t request_bytes, size_t reply_bytes);
void wb_raw_echo_once(void *self);
void wb_raw_echo_stop(wb_raw_echo *echo);

/** Sign `bytes` bytes; check a signature with both of TOKENS section 14's steps for R and S. */
typedef struct wb_raw_sign wb_raw_sign;
wb_raw_sign *wb_raw_sign_new(size_t bytes);
void wb_raw_sign_once(void *self);
void wb_raw_verify_once(void *self);
void wb_raw_sign_free(wb_raw_sign *sign);

/** Frame `bytes` bytes (length, CRC32C), write them behind the last ones into a file made of zeros
 *  before, and fdatasync. The file is in `dir`. */
typedef struct wb_raw_sync wb_raw_sync;
wb_raw_sync *wb_raw_sync_new(const char *dir, size_t bytes);
void wb_raw_sync_once(void *self);
void wb_raw_sync_free(wb_raw_sync *sync);

#endif
