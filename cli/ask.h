/* SPDX-License-Identifier: Apache-2.0 */
/* cli/ask.h: one question to a running sidecar over its socket. */
#ifndef WAYBILL_CLI_ASK_H
#define WAYBILL_CLI_ASK_H

#include "core/arena.h"
#include "core/slice.h"
#include "core/status.h"

struct Waybill__V1__Request; /* protobuf-c's, proto/waybill/v1/ipc.proto */
struct Waybill__V1__Reply;

enum { WB_ASK_MAX_BYTES = 1024 * 1024 };

/** A connection to the sidecar at `path` that has shaken hands: the caller closes it. Each wait for the
 *  other side ends after `timeout_ms`.
 *  Errors  UNAVAILABLE nobody listens, or we are not let in | CONFIG the path is too long */
WB_MUST_USE wb_status wb_ask_open(const char *path, uint32_t timeout_ms, int *fd, wb_error *err);

/** Connect, send `request` (its id and protocol are filled in), and take its Reply, which lives in `arena`.
 *  Errors  as wb_ask_open | TIMEOUT it does not answer | MALFORMED what answers is no sidecar
 *          NO_MEMORY | what the reply's status says, with its detail */
WB_MUST_USE wb_status wb_ask(const char *path, struct Waybill__V1__Request *request,
                             uint32_t timeout_ms, wb_arena *arena,
                             const struct Waybill__V1__Reply **reply, wb_error *err);

#endif
