/* SPDX-License-Identifier: Apache-2.0 */
/* cli/http_get.h: one GET from a sidecar's admin endpoint on this machine. */
#ifndef WAYBILL_CLI_HTTP_GET_H
#define WAYBILL_CLI_HTTP_GET_H

#include "core/arena.h"
#include "core/slice.h"
#include "core/status.h"

enum { WB_HTTP_MAX_BYTES = 1024 * 1024 };

/** GET http://host:port/path and its answer's body, in `arena`.
 *  host        a numeric address
 *  timeout_ms  of connecting, and again of each wait for bytes
 *  code        the HTTP status
 *  Errors      UNAVAILABLE nobody listens | TIMEOUT | MALFORMED no HTTP/1 answer, or a larger one than
 *              WB_HTTP_MAX_BYTES | NO_MEMORY */
WB_MUST_USE wb_status wb_http_get(const char *host, uint16_t port, const char *path,
                                  uint32_t timeout_ms, wb_arena *arena, int *code, wb_slice *body,
                                  wb_error *err);

/** Read an answer to a request that said "Connection: close": status line, headers, body up to
 *  Content-Length or the end. MALFORMED if it is cut short, chunked or no HTTP/1. */
WB_MUST_USE wb_status wb_http_parse(wb_slice answer, int *code, wb_slice *body);

#endif
