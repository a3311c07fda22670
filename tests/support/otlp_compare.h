/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/otlp_compare.h: what protobuf-c and the plain words of trace.proto say about a
 * body, against what Waybill's walk says. */
#ifndef WAYBILL_TESTS_SUPPORT_OTLP_COMPARE_H
#define WAYBILL_TESTS_SUPPORT_OTLP_COMPARE_H

#include "core/batch.h"
#include "proto/signal.h"

/** Does protobuf-c unpack this body? */
bool wb_oracle_unpacks(wb_slice body);
/** The same of any signal's body. */
bool wb_oracle_unpacks_signal(wb_signal signal, wb_slice body);

/** NULL if `batch`, made from `body`, is what protobuf-c says, else what differs first.
 *
 *  Every accepted span is one that protobuf-c unpacks to the same ids, times, name, kind, flags
 *  and status, and to nothing that the rules reject; accepted and rejected together are all its
 *  spans.
 *  exact   also, every rejected span is one that the rules reject. Off for bytes that repeat a
 *          scalar field: of those protobuf keeps the last, and the walk is put off by any */
const char *wb_oracle_differs(const wb_batch *batch, bool exact);

#endif
