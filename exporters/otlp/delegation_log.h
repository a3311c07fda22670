/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/delegation_log.h: a change of a delegation as a log record. Private to exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_DELEGATION_LOG_H
#define WAYBILL_EXPORTERS_OTLP_DELEGATION_LOG_H

#include "core/arena.h"
#include "exporters/exporter.h"

/** Append an ExportLogsServiceRequest of one record for the payload of a WB_ENTRY_DELEGATION:
 *  waybill.delegation.opened, progress or closed, in the delegation's trace and span.
 *  arena   for what is between
 *  Errors  REJECTED not a delegation | NO_MEMORY */
WB_MUST_USE wb_status wb_otlp_delegation_log(wb_slice payload, const wb_exporter_origin *origin,
                                             wb_arena *arena, wb_buffer *out, wb_error *err);

#endif
