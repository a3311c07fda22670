/* SPDX-License-Identifier: Apache-2.0 */
/* client/recorder.h: the buffer between an agent's finished spans and the sidecar.
 *
 * Whoever ends a span copies its bytes in under a lock that is held for nothing else but copies; a
 * thread of the client's sends. A span leaves the buffer when the sidecar has said that it is on its
 * disk. */
#ifndef WAYBILL_CLIENT_RECORDER_H
#define WAYBILL_CLIENT_RECORDER_H

#include "client/link.h"

enum {
    WB_RECORDER_BYTES = 8 * 1024 * 1024, /* of finished spans, those in flight included */
    WB_RECORDER_CHUNK = 256 * 1024,      /* one Record, and the largest span */
    WB_RECORDER_WAIT_MS = 5,             /* for other threads' copies, then the span is dropped */
};

typedef struct wb_recorder wb_recorder;

typedef struct wb_recorder_stats {
    uint64_t recorded, acknowledged, rejected, dropped, buffered;
} wb_recorder_stats;

/** resource, scope  encoded fields of ResourceSpans and ScopeSpans, tags included; copied
 *  Errors           NO_MEMORY, also for the thread */
WB_MUST_USE wb_status wb_recorder_new(wb_link *link, wb_slice resource, wb_slice scope,
                                      wb_recorder **out, wb_error *err);
/** Stop the thread; what is not acknowledged is lost. NULL is allowed. */
void wb_recorder_free(wb_recorder *recorder);

/** Add one encoded Span message. False: dropped, and counted. Any thread; at most WB_RECORDER_WAIT_MS. */
bool wb_recorder_add(wb_recorder *recorder, const uint8_t *span, size_t len);

/** Have it sent now, without waiting. */
void wb_recorder_hurry(wb_recorder *recorder);
/** Until everything added so far has its answer; false after `timeout_ms`. */
bool wb_recorder_flush(wb_recorder *recorder, uint32_t timeout_ms);

void wb_recorder_get_stats(wb_recorder *recorder, wb_recorder_stats *out);

#endif
