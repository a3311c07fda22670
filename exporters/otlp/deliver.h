/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/otlp/deliver.h: the records of one send as requests, and how far they came. Private to
 * exporters/otlp/. */
#ifndef WAYBILL_EXPORTERS_OTLP_DELIVER_H
#define WAYBILL_EXPORTERS_OTLP_DELIVER_H

#include "exporters/otlp/encode.h"

/** A record, or a part of one: by its place in the journal and by its bytes. */
typedef struct wb_otlp_mark {
    uint64_t seq;
    uint32_t entry, crc;
    size_t len;
} wb_otlp_mark;

/** How far within a record that takes several requests. */
typedef struct wb_otlp_progress {
    wb_otlp_mark of;
    uint32_t at, bad; /* items through, and those that were refused */
} wb_otlp_progress;

/** What outlives a send. Zeroed at first but for what is above the line. */
typedef struct wb_otlp_delivery {
    const wb_otlp_settings *settings;
    const wb_exporter_origin *origin;
    const wb_otlp_secrets *secrets; /* that answers may not repeat */
    const wb_clock *clock;
    wb_otlp_transport *transport;
    wb_otlp_encoder encoder;
    wb_otlp_reply reply;
    wb_buffer part;              /* some items of a record */
    wb_arena *arena, *row_arena; /* of the send in hand; of the row in hand */
    /* -- */
    wb_otlp_mark marks[WB_SIGNALS]; /* all of the signal at or below it is through */
    wb_otlp_progress progress;
    uint32_t server_errors; /* in a row */
    uint64_t server_errors_since_ns;
    bool suspects;     /* what the server stumbles over is to be found */
    uint64_t rejected; /* items dropped by the far side, not handed to the runner yet */
} wb_otlp_delivery;

/** The signal that a record of this kind goes with; false: none here. */
bool wb_otlp_record_signal(const wb_otlp_settings *settings, wb_entry_kind kind, wb_signal *out);

/** exporters/exporter.h, send. */
WB_MUST_USE wb_status wb_otlp_deliver(wb_otlp_delivery *delivery, const wb_record_view *records,
                                      size_t n, uint32_t timeout_ms, wb_export_result *result,
                                      wb_error *err);

#endif
