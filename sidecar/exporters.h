/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/exporters.h: the configured exporters of one sidecar, each with its runner and thread. */
#ifndef WAYBILL_SIDECAR_EXPORTERS_H
#define WAYBILL_SIDECAR_EXPORTERS_H

#include "core/paths.h"
#include "sidecar/sidecar.h"

typedef struct wb_exporters wb_exporters;

/** Register the cursors, open the exporters, start their threads; sets sidecar->runner. The writer
 *  runs, but took nothing yet.
 *  Errors  CONFIG settings | NO_MEMORY | what wb_journal_register_cursor says */
WB_MUST_USE wb_status wb_exporters_start(wb_sidecar *sidecar, const wb_paths *paths,
                                         wb_exporters **out, wb_error *err);
/** Deliver what the journal holds, at most `timeout_ms`; then the threads are gone, and every cursor
 *  was handed to the writer. */
void wb_exporters_drain(wb_exporters *exporters, uint32_t timeout_ms);
/** After the drain, when nobody asks for statistics any more. */
void wb_exporters_free(wb_exporters *exporters);

#endif
