/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/exporters.h: the configured exporters of one sidecar, each with its runner and thread. The
 * first is the default store, if there is one. */
#ifndef WAYBILL_SIDECAR_EXPORTERS_H
#define WAYBILL_SIDECAR_EXPORTERS_H

#include "core/paths.h"
#include "sidecar/delivery/runner.h"
#include "sidecar/sidecar.h"

typedef struct wb_exporters wb_exporters;

/** Register the cursors, open the exporters, start their threads; sets sidecar->exporters. The writer
 *  runs, but took nothing yet.
 *  Errors  CONFIG settings | NO_MEMORY | what wb_journal_register_cursor says */
WB_MUST_USE wb_status wb_exporters_start(wb_sidecar *sidecar, const wb_paths *paths, wb_error *err);
/** Deliver what the journal holds, at most `timeout_ms`; then the threads are gone, and every cursor
 *  was handed to the writer. */
void wb_exporters_drain(wb_exporters *exporters, uint32_t timeout_ms);
/** After the drain, when nobody asks for statistics any more. */
void wb_exporters_free(wb_exporters *exporters);

/** Now and then, from one thread that may read for a while: exporters that drop the oldest and are too far
 *  behind, or hold back a full journal, skip ahead; while a spare segment is wanted, also those that soon
 *  are. Whether one did: soon the journal is trimmed. */
bool wb_exporters_tick(wb_exporters *exporters, bool spare_wanted);

/** Does one of them take records of that kind? Any thread. */
bool wb_exporters_take(const wb_exporters *exporters, wb_entry_kind kind);

/** How one of them is doing. */
typedef struct wb_exporter_report {
    const char *name, *type; /* as long as the exporters live */
    wb_when_full when_full;
    uint64_t max_lag_bytes; /* in force: with drop_oldest at most half of the journal's limit */
    uint64_t lag_bytes;     /* of journal behind its cursor; exact at the ends of segments */
    wb_runner_stats runner;
} wb_exporter_report;

/** The exporter `at`, from 0; false behind the last. Any thread. */
bool wb_exporters_report(wb_exporters *exporters, size_t at, wb_exporter_report *out);

#endif
