/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/on_export.h: where the OTLP receivers hand on what they read. */
#ifndef WAYBILL_SIDECAR_ON_EXPORT_H
#define WAYBILL_SIDECAR_ON_EXPORT_H

#include "sidecar/receivers/otlp/export.h"
#include "sidecar/sidecar.h"

/** The sink over this sidecar and its room for bodies (WB_EXPORT_ROOM_BYTES in all). `self` is the sidecar;
 *  what comes of it is counted as of `receiver`. */
wb_export_sink wb_export_sink_of(wb_sidecar *sidecar, wb_receiver receiver);

#endif
