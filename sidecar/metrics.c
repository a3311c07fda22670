/* SPDX-License-Identifier: Apache-2.0 */
/* One row is a metric: its name, type, labels and meaning, and where its value comes from. The answer of
 * /metrics and docs/metrics.md are both made from this table, so they cannot disagree.
 *
 * Names follow Prometheus: base units, _total for what only grows, _seconds, _bytes, _info. Labels have
 * few values that are known beforehand: receivers, verbs, states, codes, causes, and the configured names
 * of exporters; never an id, a peer or a URL. Series that could be are there from the start with 0, so that
 * the first refusal is an increase. Whoever renames or drops a row changes the interface of dashboards and
 * alerts: docs/alerts.yml and docs/grafana/waybill.json are held against it by a test. */
#include "sidecar/metrics.h"

#include "sidecar/metrics_collect.h"
#include "sidecar/metrics_genai.h"

#include <string.h>

typedef enum unit {
    NUMBER,
    SECONDS, /* the value is in ns */
    MEMORY,  /* a number that is left out where the kernel would not say */
    FDS,     /* the same */
} unit;

typedef struct metric {
    const char *heading; /* of the rows behind it, in the reference; no metric then */
    const char *name, *labels, *help;
    wb_metric_type type;
    unit unit;
    size_t value_at, exporter_at; /* in the values; + 1, 0: not from there */
    wb_scrape_samples *samples;   /* else */
    const wb_bounds *bounds;      /* of a histogram */
} metric;

#define VALUE(metric_name, metric_type, metric_unit, field, text)                                  \
    {                                                                                              \
        .name = (metric_name), .type = WB_METRIC_##metric_type, .unit = (metric_unit),             \
        .value_at = offsetof(wb_scrape_values, field) + 1, .help = (text)                          \
    }
#define OF_EXPORTER(metric_name, metric_type, metric_unit, field, text)                            \
    {                                                                                              \
        .name = (metric_name), .type = WB_METRIC_##metric_type, .unit = (metric_unit),             \
        .labels = "exporter", .exporter_at = offsetof(wb_exporter_values, field) + 1,              \
        .help = (text)                                                                             \
    }
#define LABELLED(metric_name, metric_type, names, function, text)                                  \
    {                                                                                              \
        .name = (metric_name), .type = WB_METRIC_##metric_type, .labels = (names),                 \
        .samples = wb_scrape_##function, .help = (text)                                            \
    }
#define HISTOGRAM(metric_name, names, function, ladder, text)                                      \
    {                                                                                              \
        .name = (metric_name), .type = WB_METRIC_HISTOGRAM, .labels = (names), .unit = SECONDS,    \
        .samples = wb_scrape_##function, .bounds = &(ladder), .help = (text)                       \
    }

static const metric metrics[] = {
    {.heading = "The process"},
    LABELLED("waybill_build_info", GAUGE, "version", build_info,
             "Always 1; the version of waybilld is its label."),
    LABELLED("waybill_sidecar_info", GAUGE, "name, agent_id, isolation", sidecar_info,
             "Always 1; who this sidecar is are its labels."),
    VALUE("process_start_time_seconds", GAUGE, SECONDS, started_ns,
          "When the process started, Unix time."),
    VALUE("process_cpu_seconds_total", COUNTER, SECONDS, cpu_ns,
          "CPU time of all threads, in user and kernel."),
    VALUE("process_resident_memory_bytes", GAUGE, MEMORY, resident_bytes, "Resident memory."),
    VALUE("process_virtual_memory_bytes", GAUGE, MEMORY, virtual_bytes, "Virtual memory."),
    VALUE("process_open_fds", GAUGE, FDS, open_fds, "Open file descriptors."),
    VALUE("process_max_fds", GAUGE, FDS, max_fds,
          "File descriptors that may be open; 0: no limit."),
    {.heading = "Health"},
    VALUE("waybill_healthy", GAUGE, NUMBER, healthy,
          "1 while requests are taken and kept, which is when /readyz says 200; /status says why "
          "not."),
    VALUE("waybill_degraded", GAUGE, NUMBER, degraded,
          "1 while it works, but not as its files say, or delivers not everything, or verifies no "
          "token."),
    VALUE("waybill_draining", GAUGE, NUMBER, draining, "1 while it shuts down."),
    VALUE("waybill_recovering", GAUGE, NUMBER, recovering,
          "1 while tokens are refused because the journal lost which were used."),
    VALUE(
        "waybill_clock_jumped", GAUGE, NUMBER, clock_jumped,
        "1 while wall time has moved against monotonic time of late: replay rows are not purged."),
    VALUE("waybill_ipc_unreachable", GAUGE, NUMBER, unreachable,
          "1 while the socket has been removed: new clients cannot connect until a restart."),
    VALUE("waybill_state_age_seconds", GAUGE, SECONDS, state_age_ns,
          "How old the figures of open delegations, acceptances and replay rows are; grows only "
          "while a disk holds up the writer."),
    {.heading = "Requests and items"},
    LABELLED("waybill_requests_total", COUNTER, "receiver, outcome", answers,
             "Requests that were answered, by their receiver and the status of the answer; of OTLP "
             "those that its receiver did not refuse itself."),
    LABELLED("waybill_otlp_requests_total", COUNTER, "receiver", otlp_requests,
             "OTLP requests; of receivers that listen."),
    LABELLED("waybill_otlp_refused_requests_total", COUNTER, "receiver, cause", otlp_refused,
             "OTLP requests that were refused, by the receiver or by what is behind it."),
    LABELLED("waybill_otlp_received_bytes_total", COUNTER, "receiver", otlp_bytes,
             "Bytes of their bodies, as they came."),
    LABELLED("waybill_otlp_connections_total", COUNTER, "receiver", otlp_connections,
             "OTLP connections that were let in."),
    LABELLED("waybill_otlp_closed_connections_total", COUNTER, "receiver", otlp_closed_out,
             "Those of them that were closed by the receiver: too many of one peer, too slow."),
    LABELLED("waybill_items_total", COUNTER, "receiver, signal, outcome", items,
             "Spans, log records and metric data points that were made durable and acknowledged "
             "(accepted), or left out for good (rejected)."),
    VALUE("waybill_client_dropped_spans_total", COUNTER, NUMBER, dropped_by_clients,
          "Spans that clients dropped before they could send them, as they say."),
    LABELLED("waybill_redacted_total", COUNTER, "what", redacted,
             "What was taken out of telemetry before it was kept: secrets that were masked, "
             "content that was cut "
             "to a preview, attributes that a rule dropped or hashed."),
    HISTOGRAM("waybill_ipc_request_duration_seconds", "verb", request_time, wb_bounds_short,
              "From the arrival of a request over IPC to its answer, commit included; verb none is "
              "what was no request."),
    VALUE("waybill_ipc_requests_in_hand", GAUGE, NUMBER, in_hand,
          "Requests over IPC that a worker has begun and that are not answered yet."),
    VALUE("waybill_ipc_clients_closed_out_total", COUNTER, NUMBER, closed_out,
          "Clients that were closed: a user without access, a malformed or stalled message, too "
          "many."),
    {.heading = "Delegations and acceptances"},
    LABELLED("waybill_delegations_opened_total", COUNTER, "token", opened,
             "Delegations, turns and renewals that were given a token (signed) or let go without "
             "one (unsigned)."),
    VALUE("waybill_delegations_denied_total", COUNTER, NUMBER, denied,
          "Delegations that were denied because the agent asked for more than it holds."),
    LABELLED("waybill_delegations_closed_total", COUNTER, "state", closed,
             "Delegations that closed, by their last state; lost are those without an answer at "
             "deadline and grace."),
    VALUE("waybill_delegations_late_answers_total", COUNTER, NUMBER, late_answers,
          "Answers that came when the delegation was lost already."),
    LABELLED("waybill_delegations_open", GAUGE, "state", open_by_state,
             "Delegations in flight, by state."),
    VALUE("waybill_delegations_kept", GAUGE, NUMBER, kept_delegations,
          "Delegations in the table, with those that closed of late."),
    VALUE("waybill_delegation_oldest_seconds", GAUGE, SECONDS, oldest_ns,
          "Age of the delegation that has been in flight longest, as of the last second; 0: none "
          "is."),
    HISTOGRAM("waybill_delegation_duration_seconds", NULL, delegation_time, wb_bounds_long,
              "Time in flight of a delegation, observed when it closes, lost ones included."),
    VALUE("waybill_acceptances_open", GAUGE, NUMBER, open_acceptances,
          "Accepted messages that the agent has not finished."),
    LABELLED("waybill_verdicts_total", COUNTER, "verdict", verdicts,
             "Incoming messages, by the verdict on their token."),
    LABELLED("waybill_refusals_total", COUNTER, "code", refusals,
             "Tokens that were refused, repeated ones included, by code (docs/tokens.md)."),
    LABELLED(
        "waybill_refusal_records_total", COUNTER, "outcome", refusal_records,
        "Refusals kept for waybill token why, and those beyond a peer's share or a failing disk."),
    VALUE("waybill_signatures_checked_total", COUNTER, NUMBER, signatures,
          "Ed25519 signatures of incoming tokens that were checked."),
    VALUE("waybill_replay_rows", GAUGE, NUMBER, replay_rows, "Tokens that are remembered as used."),
    {.heading = "The journal"},
    VALUE("waybill_journal_used_bytes", GAUGE, NUMBER, used_bytes,
          "Size of all files of the journal, with reserve and quarantine."),
    VALUE("waybill_journal_limit_bytes", GAUGE, NUMBER, limit_bytes, "journal.limit_bytes."),
    VALUE("waybill_journal_reserve_bytes", GAUGE, NUMBER, reserve_bytes,
          "Space that is held for what must go on when the journal is full."),
    VALUE("waybill_journal_snapshot_bytes", GAUGE, NUMBER, snapshot_bytes,
          "Size of the newest snapshot of the state."),
    VALUE("waybill_journal_quarantined_bytes", GAUGE, NUMBER, quarantined_bytes,
          "Damaged files that were set aside."),
    VALUE("waybill_journal_segments", GAUGE, NUMBER, segments, "Segments that hold frames."),
    LABELLED("waybill_journal_full", GAUGE, "cause", full,
             "1 while new work is refused because journal.limit_bytes is reached (limit) or the "
             "disk has no room (disk)."),
    VALUE("waybill_journal_failed", GAUGE, NUMBER, failed,
          "1 while the disk fails and nothing is accepted."),
    VALUE("waybill_journal_removed", GAUGE, NUMBER, removed,
          "1 once the journal was removed under the process: nothing is accepted until a restart."),
    VALUE("waybill_journal_durable_sequence", GAUGE, NUMBER, durable_seq,
          "Sequence of the last durable frame."),
    VALUE("waybill_journal_commits_total", COUNTER, NUMBER, commits,
          "Writes with their fdatasync; one makes a whole group of requests durable."),
    HISTOGRAM("waybill_journal_commit_duration_seconds", NULL, commit_time, wb_bounds_short,
              "From a group's first append to the end of its fdatasync; groups that failed are not "
              "in it."),
    VALUE("waybill_journal_failed_syncs_total", COUNTER, NUMBER, failed_syncs,
          "Writes or syncs that failed."),
    VALUE("waybill_journal_snapshots_total", COUNTER, NUMBER, snapshots,
          "Snapshots that were taken."),
    VALUE("waybill_journal_lost_frames", GAUGE, NUMBER, lost_frames,
          "Frames that the last start found lost or damaged though they had been safe."),
    {.heading = "Exporters"},
    LABELLED("waybill_exporter_info", GAUGE, "exporter, type, when_full", exporter_info,
             "Always 1; what the exporter is and what it does when it is too far behind are its "
             "labels."),
    LABELLED("waybill_exporter_state", GAUGE, "exporter, state", exporter_state,
             "1 for the state that the exporter is in, 0 for the others; backoff: its far side is "
             "away."),
    OF_EXPORTER("waybill_exporter_failing", GAUGE, NUMBER, failing, "1 when its last send failed."),
    OF_EXPORTER("waybill_exporter_backoff_seconds", GAUGE, SECONDS, backoff_ns,
                "The present wait before it tries again."),
    OF_EXPORTER("waybill_exporter_cursor", GAUGE, NUMBER, cursor,
                "Sequence up to which frames were delivered or parked."),
    OF_EXPORTER("waybill_exporter_lag_frames", GAUGE, NUMBER, lag_frames,
                "Durable frames that it has not delivered."),
    OF_EXPORTER("waybill_exporter_lag_bytes", GAUGE, NUMBER, lag_bytes,
                "Bytes of journal behind its cursor."),
    OF_EXPORTER("waybill_exporter_max_lag_bytes", GAUGE, NUMBER, max_lag_bytes,
                "How far it may fall behind before new work waits, or the oldest is dropped."),
    OF_EXPORTER("waybill_exporter_lag_seconds", GAUGE, SECONDS, lag_ns,
                "Since it was last caught up; 0 while it is."),
    OF_EXPORTER("waybill_exporter_sent_records_total", COUNTER, NUMBER, sent_records,
                "Records that its far side took; repeats count once."),
    OF_EXPORTER("waybill_exporter_sent_bytes_total", COUNTER, NUMBER, sent_bytes,
                "Their size in the journal."),
    LABELLED("waybill_exporter_sends_total", COUNTER, "exporter, outcome", sends,
             "Sends, by whether they succeeded."),
    OF_EXPORTER(
        "waybill_exporter_parked_records_total", COUNTER, NUMBER, parked_records,
        "Records that its far side will never take: they are in files in the parked directory, "
        "the youngest 128 MiB of them."),
    LABELLED("waybill_exporter_dropped_records_total", COUNTER, "exporter, cause", dropped,
             "Records that were never sent because it was too far behind (lag; goes on counting "
             "over restarts), that the far side took and dropped (far_side), or that were parked "
             "and removed to make room for younger ones (parked)."),
    OF_EXPORTER("waybill_exporter_unsampled_spans_total", COUNTER, NUMBER, unsampled_spans,
                "Spans that sampling.ratio left out and no rule of sampling.keep kept."),
    OF_EXPORTER("waybill_exporter_unsure_spans_total", COUNTER, NUMBER, unsure_spans,
                "Spans that were kept because too many traces were to be kept to know them all."),
    OF_EXPORTER("waybill_exporter_undecided_records", GAUGE, NUMBER, undecided_records,
                "Records that were given up while they were being sent: they may have arrived."),
    OF_EXPORTER("waybill_exporter_last_drop_timestamp_seconds", GAUGE, SECONDS, last_drop_ns,
                "When records were last dropped for lag, Unix time; 0: never."),
    {.heading = "Trust, configuration, sandbox"},
    VALUE("waybill_trust_issuers", GAUGE, NUMBER, issuers, "Issuers whose keys are trusted."),
    VALUE("waybill_trust_faulty_files", GAUGE, NUMBER, faulty_files,
          "Trust files that are left out for a fault."),
    VALUE("waybill_trust_revocations", GAUGE, NUMBER, revocations, "Revocations in force."),
    VALUE("waybill_reload_generation", GAUGE, NUMBER, generation,
          "1 at the start, one more with each reload."),
    VALUE("waybill_reload_timestamp_seconds", GAUGE, SECONDS, loaded_ns,
          "When keys, trust and configuration were last read, Unix time."),
    VALUE("waybill_reload_problems", GAUGE, NUMBER, problems,
          "Faults in these files, the OTLP bearer's too; what was in force before goes on."),
    VALUE("waybill_reload_needs_restart", GAUGE, NUMBER, needs_restart,
          "Keys that changed in the file and wait for a restart."),
    LABELLED("waybill_sandbox_on", GAUGE, "part", sandbox,
             "1 while the part of the sandbox is in force."),
    VALUE("waybill_sandbox_refused_calls_total", COUNTER, NUMBER, refused_calls,
          "System calls that the sandbox refused."),
};

/* ---- the answer ----------------------------------------------------------------------------- */

static uint64_t value_in(const void *values, size_t at)
{
    uint64_t value;
    memcpy(&value, (const char *)values + at - 1, sizeof value);
    return value;
}

static void write_one(wb_metrics_text *text, const metric *m, const wb_label *labels, size_t n,
                      uint64_t value)
{
    if (m->unit == SECONDS)
        wb_metrics_seconds(text, labels, n, value);
    else
        wb_metrics_number(text, labels, n, value);
}

static void write_metric(wb_metrics_text *text, const metric *m, const wb_scrape *scrape)
{
    if (m->unit == MEMORY && !scrape->process.has_memory) return;
    if (m->unit == FDS && !scrape->process.has_fds) return;
    wb_metrics_family(text, m->name, m->type, m->help);
    if (m->value_at > 0)
        write_one(text, m, NULL, 0, value_in(&scrape->values, m->value_at));
    else if (m->samples)
        m->samples(text, scrape);
    for (size_t i = 0; m->exporter_at > 0 && i < scrape->n_exporters; i++) {
        const wb_label label = {"exporter", wb_slice_str(scrape->exporters[i].name)};
        write_one(text, m, &label, 1, value_in(&scrape->exporter_values[i], m->exporter_at));
    }
}

wb_status wb_metrics_print(wb_sidecar *sidecar, wb_metrics_format format, wb_buffer *out)
{
    wb_metrics_text text = {.out = out, .open_metrics = format == WB_METRICS_OPEN};
    wb_scrape scrape;
    wb_scrape_look(sidecar, &scrape);
    for (size_t i = 0; i < WB_COUNT(metrics); i++)
        if (metrics[i].name) write_metric(&text, &metrics[i], &scrape);
    wb_metrics_genai_print(&text, sidecar->series);
    wb_metrics_end(&text);
    return text.status;
}

/* Prometheus lists what it takes, its favourite first; weights do not matter where both say the same. */
wb_metrics_format wb_metrics_accepted(const char *accept)
{
    const char *open = accept ? strstr(accept, "application/openmetrics-text") : NULL;
    const char *end = open ? open + strcspn(open, ",") : NULL;
    const char *version = open ? strstr(open, "version=1.") : NULL;
    return version && version < end ? WB_METRICS_OPEN : WB_METRICS_PROMETHEUS;
}

const char *wb_metrics_content_type(wb_metrics_format format)
{
    return format == WB_METRICS_OPEN ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                     : "text/plain; version=0.0.4; charset=utf-8";
}

/* ---- the reference -------------------------------------------------------------------------- */

static wb_status describe(const metric *m, wb_buffer *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    return wb_buffer_printf(out, "| `%s` | %s | %s | %s |\n", m->name, types[m->type],
                            m->labels ? m->labels : "", m->help);
}

static wb_status describe_bounds(const char *used_by, const wb_bounds *bounds, wb_buffer *out)
{
    char text[WB_BOUND_TEXT];
    WB_TRY(wb_buffer_printf(out, "%s, in seconds:", used_by));
    for (size_t i = 0; i < bounds->n; i++) {
        wb_metrics_bound(bounds, i, text);
        WB_TRY(wb_buffer_printf(out, " %s", text));
    }
    return wb_buffer_printf(out, ".\n\n");
}

static wb_status describe_heading(const char *heading, bool is_first, wb_buffer *out)
{
    return wb_buffer_printf(out,
                            "%s### %s\n\n| metric | type | labels | meaning |\n"
                            "|---|---|---|---|\n",
                            is_first ? "" : "\n", heading);
}

wb_status wb_metrics_reference(wb_buffer *out)
{
    for (size_t i = 0; i < WB_COUNT(metrics); i++) {
        const metric *m = &metrics[i];
        if (m->name)
            WB_TRY(describe(m, out));
        else
            WB_TRY(describe_heading(m->heading, i == 0, out));
    }
    WB_TRY(describe_heading("Models, tools, agents", false, out));
    WB_TRY(wb_metrics_genai_rows(out));
    WB_TRY(wb_buffer_printf(out, "\n### Buckets\n\n"));
    for (size_t i = 0; i < WB_COUNT(metrics); i++)
        if (metrics[i].bounds) WB_TRY(describe_bounds(metrics[i].name, metrics[i].bounds, out));
    return wb_metrics_genai_buckets(out);
}
