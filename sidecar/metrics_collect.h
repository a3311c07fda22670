/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/metrics_collect.h: one look at a sidecar, for metrics.c. */
#ifndef WAYBILL_SIDECAR_METRICS_COLLECT_H
#define WAYBILL_SIDECAR_METRICS_COLLECT_H

#include "sidecar/exporters.h"
#include "sidecar/metrics_text.h"
#include "sidecar/otlp.h"
#include "sidecar/sidecar.h"

/* What a metric without labels has as its value. Times are in ns. */
typedef struct wb_scrape_values {
    uint64_t healthy, degraded, draining, recovering, clock_jumped, unreachable, state_age_ns;
    uint64_t started_ns, cpu_ns, resident_bytes, virtual_bytes, open_fds, max_fds;
    uint64_t in_hand, closed_out, dropped_by_clients;
    uint64_t denied, late_answers, oldest_ns, kept_delegations, open_acceptances, replay_rows;
    uint64_t signatures;
    uint64_t used_bytes, limit_bytes, reserve_bytes, snapshot_bytes, quarantined_bytes, segments;
    uint64_t failed, removed, durable_seq, commits, failed_syncs, snapshots, lost_frames;
    uint64_t issuers, faulty_files, revocations, generation, loaded_ns, problems, needs_restart;
    uint64_t refused_calls;
} wb_scrape_values;

/* The same of one exporter. */
typedef struct wb_exporter_values {
    uint64_t cursor, lag_frames, lag_bytes, max_lag_bytes, lag_ns, failing, backoff_ns;
    uint64_t sent_records, sent_bytes, parked_records, undecided_records, last_drop_ns;
    uint64_t unsampled_spans, unsure_spans;
} wb_exporter_values;

typedef struct wb_scrape {
    wb_sidecar *sidecar;
    wb_scrape_values values;
    wb_seen seen;
    wb_journal_full full;
    wb_process_stats process;
    wb_refusals_stats refusals;
    size_t n_exporters;
    size_t n_receivers;
    wb_otlp_report receivers[WB_RECEIVERS];
    wb_exporter_report exporters[WB_EXPORTERS_MAX];
    wb_exporter_values exporter_values[WB_EXPORTERS_MAX];
} wb_scrape;

void wb_scrape_look(wb_sidecar *sidecar, wb_scrape *out);

/* The samples of those with labels. */
typedef void wb_scrape_samples(wb_metrics_text *text, const wb_scrape *scrape);
wb_scrape_samples wb_scrape_build_info, wb_scrape_sidecar_info, wb_scrape_answers, wb_scrape_items,
    wb_scrape_otlp_requests, wb_scrape_otlp_bytes, wb_scrape_otlp_refused,
    wb_scrape_otlp_connections, wb_scrape_otlp_closed_out, wb_scrape_redacted,
    wb_scrape_request_time, wb_scrape_opened, wb_scrape_closed, wb_scrape_open_by_state,
    wb_scrape_delegation_time, wb_scrape_verdicts, wb_scrape_refusals, wb_scrape_refusal_records,
    wb_scrape_full, wb_scrape_commit_time, wb_scrape_exporter_info, wb_scrape_exporter_state,
    wb_scrape_sends, wb_scrape_dropped, wb_scrape_sandbox;

#endif
