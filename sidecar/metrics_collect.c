/* SPDX-License-Identifier: Apache-2.0 */
/* A scrape copies what it needs from each part in turn, under that part's own lock, and holds one at a
 * time: so it can stand in nobody's way, and figures of different parts may be a moment apart. */
#include "sidecar/metrics_collect.h"

#include "sidecar/trouble.h"

static uint64_t load(const atomic_ullong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- the look ------------------------------------------------------------------------------- */

static void look_at_health(wb_sidecar *sidecar, const wb_world *world, wb_scrape_values *v)
{
    char text[WB_TROUBLE_TEXT];
    v->healthy = wb_sidecar_trouble(sidecar, text) == WB_TROUBLE_NONE;
    v->degraded = wb_sidecar_is_degraded(sidecar, world);
    v->draining = atomic_load(&sidecar->draining);
    v->recovering = wb_sidecar_recovering_until(sidecar, world) > 0;
    v->clock_jumped = atomic_load(&sidecar->clock_jumped);
    v->unreachable = atomic_load(&sidecar->unreachable);
    v->started_ns = sidecar->started_ns;
}

static void look_at_state(wb_sidecar *sidecar, wb_scrape *out)
{
    wb_scrape_values *v = &out->values;
    uint64_t mono = wb_mono(sidecar->clock);
    wb_time_ns now = wb_now(sidecar->clock), oldest = atomic_load(&sidecar->oldest_open_ns);
    wb_look_at(&sidecar->look, &out->seen);
    v->state_age_ns = mono > out->seen.seen_mono ? mono - out->seen.seen_mono : 0;
    v->kept_delegations = out->seen.delegations_kept;
    v->open_acceptances = out->seen.acceptances_open;
    v->replay_rows = out->seen.replay_rows;
    v->oldest_ns = oldest > 0 && now > oldest ? now - oldest : 0;
}

static void look_at_counters(wb_sidecar *sidecar, wb_scrape_values *v)
{
    const wb_counters *c = &sidecar->counters;
    uint64_t answers = 0;
    int last_refused;
    for (size_t i = 0; i < WB_STATUSES; i++) answers += load(&c->answers[WB_RECEIVER_IPC][i]);
    uint64_t requests =
        load(&c->requests); /* behind the answers: of each of them it counts the request */
    v->in_hand = requests > answers ? requests - answers : 0;
    v->closed_out = load(&c->clients_closed_out);
    v->dropped_by_clients = load(&c->spans_dropped_by_clients);
    v->denied = load(&c->delegations_denied);
    v->late_answers = load(&c->late_answers);
    v->signatures = load(&c->signatures_checked);
    v->refused_calls = wb_sandbox_refused(&last_refused);
}

static void look_at_journal(wb_sidecar *sidecar, wb_scrape *out)
{
    wb_scrape_values *v = &out->values;
    wb_journal_stats stats;
    wb_journal_get_stats(sidecar->journal, &stats);
    out->full = stats.full;
    v->used_bytes = stats.used_bytes;
    v->limit_bytes = stats.limit_bytes;
    v->reserve_bytes = stats.reserve_bytes;
    v->snapshot_bytes = stats.snapshot_bytes;
    v->quarantined_bytes = stats.quarantined_bytes;
    v->segments = stats.segments;
    v->failed = stats.failed;
    v->removed = wb_writer_lost_its_journal(sidecar->writer);
    v->durable_seq = stats.durable_seq;
    v->commits = stats.commits;
    v->failed_syncs = stats.failed_syncs;
    v->snapshots = stats.snapshots_taken;
    v->lost_frames = stats.lost_frames;
}

static void look_at_world(const wb_world *world, wb_scrape_values *v)
{
    while (wb_trust_at(world->trust, v->issuers)) v->issuers++;
    v->faulty_files = wb_trust_problems(world->trust);
    v->revocations = wb_revoked_count(world->revoked);
    v->generation = world->generation;
    v->loaded_ns = world->loaded_ns;
    v->problems = wb_world_problems(world);
    v->needs_restart = wb_world_stale(world);
}

static void look_at_process(wb_sidecar *sidecar, wb_scrape *out)
{
    wb_scrape_values *v = &out->values;
    wb_process_look(&sidecar->process, &out->process);
    v->cpu_ns = out->process.cpu_ns;
    v->resident_bytes = out->process.resident_bytes;
    v->virtual_bytes = out->process.virtual_bytes;
    v->open_fds = out->process.open_fds;
    v->max_fds = out->process.max_fds;
}

static void look_at_exporter(const wb_exporter_report *report, wb_exporter_values *out)
{
    const wb_runner_stats *stats = &report->runner;
    *out = (wb_exporter_values){.cursor = stats->cursor,
                                .lag_frames = stats->lag_seq,
                                .lag_bytes = report->lag_bytes,
                                .max_lag_bytes = report->max_lag_bytes,
                                .lag_ns = stats->lag_ns,
                                .failing = stats->last_error.status != WB_OK,
                                .backoff_ns = stats->backoff_ms * WB_NS_PER_MS,
                                .sent_records = stats->sent_records,
                                .sent_bytes = stats->sent_bytes,
                                .parked_records = stats->parked_records,
                                .undecided_records = stats->undecided_records,
                                .last_drop_ns = stats->skipped_ns};
}

void wb_scrape_look(wb_sidecar *sidecar, wb_scrape *out)
{
    *out = (wb_scrape){.sidecar = sidecar};
    const wb_world *world = wb_world_take(sidecar->worlds);
    look_at_health(sidecar, world, &out->values);
    look_at_world(world, &out->values);
    wb_world_drop(world);
    look_at_state(sidecar, out);
    look_at_counters(sidecar, &out->values);
    look_at_journal(sidecar, out);
    look_at_process(sidecar, out);
    wb_refusals_get_stats(sidecar->refusals, &out->refusals);
    while (out->n_receivers < WB_RECEIVERS &&
           wb_otlp_get_report(sidecar, out->n_receivers, &out->receivers[out->n_receivers]))
        out->n_receivers++;
    for (size_t i = 0; i < WB_EXPORTERS_MAX; i++) {
        if (!wb_exporters_report(sidecar->exporters, i, &out->exporters[i])) break;
        look_at_exporter(&out->exporters[i], &out->exporter_values[i]);
        out->n_exporters++;
    }
}

/* ---- samples with labels -------------------------------------------------------------------- */

static void one_label(wb_metrics_text *t, const char *name, const char *value, uint64_t number)
{
    const wb_label label = {name, wb_slice_str(value)};
    wb_metrics_number(t, &label, 1, number);
}

static void two_labels(wb_metrics_text *t, const char *name, const char *value, const char *name_2,
                       const char *value_2, uint64_t number)
{
    const wb_label labels[] = {{name, wb_slice_str(value)}, {name_2, wb_slice_str(value_2)}};
    wb_metrics_number(t, labels, WB_COUNT(labels), number);
}

void wb_scrape_build_info(wb_metrics_text *t, const wb_scrape *s)
{
    (void)s;
    one_label(t, "version", WAYBILL_VERSION, 1);
}

void wb_scrape_sidecar_info(wb_metrics_text *t, const wb_scrape *s)
{
    const wb_label labels[] = {{"name", wb_slice_str(s->sidecar->config->name)},
                               {"agent_id", s->sidecar->config->self_ids[0]},
                               {"isolation", wb_slice_str(s->sidecar->isolation)}};
    wb_metrics_number(t, labels, WB_COUNT(labels), 1);
}

void wb_scrape_answers(wb_metrics_text *t, const wb_scrape *s)
{
    for (unsigned from = 0; from < WB_RECEIVERS; from++)
        for (unsigned status = WB_OK; status < WB_STATUSES; status++)
            two_labels(t, "receiver", wb_receiver_name(from), "outcome", wb_status_name(status),
                       load(&s->sidecar->counters.answers[from][status]));
}

void wb_scrape_otlp_requests(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_receivers; i++)
        one_label(t, "receiver", s->receivers[i].name, s->receivers[i].requests);
}

void wb_scrape_otlp_bytes(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_receivers; i++)
        one_label(t, "receiver", s->receivers[i].name, s->receivers[i].bytes);
}

void wb_scrape_otlp_refused(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_receivers; i++)
        for (size_t k = 0; k < s->receivers[i].n_refused; k++)
            two_labels(t, "receiver", s->receivers[i].name, "cause",
                       s->receivers[i].refused[k].cause, s->receivers[i].refused[k].n);
}

void wb_scrape_otlp_connections(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_receivers; i++)
        one_label(t, "receiver", s->receivers[i].name, s->receivers[i].connections);
}

void wb_scrape_otlp_closed_out(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_receivers; i++)
        one_label(t, "receiver", s->receivers[i].name, s->receivers[i].closed_out);
}

static void write_items(wb_metrics_text *t, const wb_counters *c, wb_receiver from,
                        wb_signal signal)
{
    const char *const outcomes[] = {"accepted", "rejected"};
    const wb_item_counts *items = &c->items[from][signal];
    for (size_t i = 0; i < WB_COUNT(outcomes); i++) {
        const wb_label labels[] = {{"receiver", wb_slice_str(wb_receiver_name(from))},
                                   {"signal", wb_slice_str(wb_signal_name(signal))},
                                   {"outcome", wb_slice_str(outcomes[i])}};
        wb_metrics_number(t, labels, WB_COUNT(labels),
                          load(i == 0 ? &items->accepted : &items->rejected));
    }
}

void wb_scrape_items(wb_metrics_text *t, const wb_scrape *s)
{
    for (unsigned from = 0; from < WB_RECEIVERS; from++)
        for (unsigned signal = 0; signal < WB_SIGNALS; signal++)
            if (from != WB_RECEIVER_IPC || signal == WB_SIGNAL_TRACES) /* IPC brings no others */
                write_items(t, &s->sidecar->counters, from, signal);
}

void wb_scrape_request_time(wb_metrics_text *t, const wb_scrape *s)
{
    for (unsigned verb = 0; verb < WB_VERBS; verb++) {
        const wb_label label = {"verb", wb_slice_str(wb_verb_name(verb))};
        wb_metrics_histogram(t, &label, 1, &s->sidecar->counters.request_time[verb],
                             &wb_bounds_short);
    }
}

void wb_scrape_redacted(wb_metrics_text *t, const wb_scrape *s)
{
    const wb_counters *c = &s->sidecar->counters;
    one_label(t, "what", "secret", load(&c->redacted_secrets));
    one_label(t, "what", "cut", load(&c->redacted_cuts));
    one_label(t, "what", "rule", load(&c->redacted_rules));
}

void wb_scrape_opened(wb_metrics_text *t, const wb_scrape *s)
{
    one_label(t, "token", "signed", load(&s->sidecar->counters.delegations_signed));
    one_label(t, "token", "unsigned", load(&s->sidecar->counters.delegations_unsigned));
}

void wb_scrape_closed(wb_metrics_text *t, const wb_scrape *s)
{
    for (unsigned i = 0; i < WB_CLOSED_STATES; i++)
        one_label(t, "state",
                  wb_delegation_state_name((wb_delegation_state)(WB_DELEGATION_ANSWERED + i)),
                  load(&s->sidecar->counters.delegations_closed[i]));
}

void wb_scrape_open_by_state(wb_metrics_text *t, const wb_scrape *s)
{
    for (wb_delegation_state i = WB_DELEGATION_SENT; i <= WB_DELEGATION_DETACHED; i++)
        one_label(t, "state", wb_delegation_state_name(i), s->seen.open_in[i]);
}

void wb_scrape_delegation_time(wb_metrics_text *t, const wb_scrape *s)
{
    wb_metrics_histogram(t, NULL, 0, &s->sidecar->counters.delegation_time, &wb_bounds_long);
}

void wb_scrape_verdicts(wb_metrics_text *t, const wb_scrape *s)
{
    const wb_counters *c = &s->sidecar->counters;
    one_label(t, "verdict", "continue", load(&c->accepted_continue));
    one_label(t, "verdict", "link", load(&c->accepted_link));
    one_label(t, "verdict", "link_unverified", load(&c->accepted_unverified));
    one_label(t, "verdict", "duplicate", load(&c->duplicates));
    one_label(t, "verdict", "reject", load(&c->refused));
}

void wb_scrape_refusals(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = WB_E_NONE + 1; i < WB_TOKEN_CODES; i++)
        one_label(t, "code", wb_token_code_name((wb_token_code)i),
                  load(&s->sidecar->counters.refused_by_code[i]));
}

void wb_scrape_refusal_records(wb_metrics_text *t, const wb_scrape *s)
{
    one_label(t, "outcome", "kept", s->refusals.kept);
    one_label(t, "outcome", "not_kept", s->refusals.not_kept);
}

void wb_scrape_full(wb_metrics_text *t, const wb_scrape *s)
{
    one_label(t, "cause", "limit", s->full == WB_JOURNAL_FULL_LIMIT);
    one_label(t, "cause", "disk", s->full == WB_JOURNAL_FULL_DISK);
}

void wb_scrape_commit_time(wb_metrics_text *t, const wb_scrape *s)
{
    wb_metrics_histogram(t, NULL, 0, wb_journal_commit_time(s->sidecar->journal), &wb_bounds_short);
}

void wb_scrape_exporter_info(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_exporters; i++) {
        const wb_exporter_report *x = &s->exporters[i];
        bool drops = x->when_full == WB_WHEN_FULL_DROP_OLDEST;
        const wb_label labels[] = {
            {"exporter", wb_slice_str(x->name)},
            {"type", wb_slice_str(x->type)},
            {"when_full", wb_slice_str(drops ? "drop_oldest" : "backpressure")}};
        wb_metrics_number(t, labels, WB_COUNT(labels), 1);
    }
}

void wb_scrape_exporter_state(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_exporters; i++)
        for (wb_runner_state state = WB_RUNNER_IDLE; state <= WB_RUNNER_STOPPED; state++)
            two_labels(t, "exporter", s->exporters[i].name, "state", wb_runner_state_name(state),
                       s->exporters[i].runner.state == state);
}

void wb_scrape_sends(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_exporters; i++) {
        const wb_exporter_report *x = &s->exporters[i];
        two_labels(t, "exporter", x->name, "outcome", "ok",
                   x->runner.sends - x->runner.failed_sends);
        two_labels(t, "exporter", x->name, "outcome", "failed", x->runner.failed_sends);
    }
}

void wb_scrape_dropped(wb_metrics_text *t, const wb_scrape *s)
{
    for (size_t i = 0; i < s->n_exporters; i++) {
        const wb_exporter_report *x = &s->exporters[i];
        two_labels(t, "exporter", x->name, "cause", "lag", x->runner.skipped_records);
        two_labels(t, "exporter", x->name, "cause", "far_side", x->runner.dropped_records);
        two_labels(t, "exporter", x->name, "cause", "parked", x->runner.unparked_records);
    }
}

void wb_scrape_sandbox(wb_metrics_text *t, const wb_scrape *s)
{
    one_label(t, "part", "landlock", s->sidecar->sandbox.files.on);
    one_label(t, "part", "seccomp", s->sidecar->sandbox.calls.on);
}
