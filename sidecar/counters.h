/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/counters.h: what a sidecar counts while it runs: /metrics and /status read it (docs/metrics.md).
 * Everything only grows, starts at 0 with the process, and may be counted by any thread at any time:
 * relaxed additions, no lock. All zero is a fresh one. */
#ifndef WAYBILL_SIDECAR_COUNTERS_H
#define WAYBILL_SIDECAR_COUNTERS_H

#include "core/delegation_state.h"
#include "core/histogram.h"
#include "core/status.h"
#include "propagation/token.h"
#include "proto/signal.h"
#include "sidecar/pipeline/redact.h"

#include <stdatomic.h>

/* Who brought a request. */
typedef enum wb_receiver {
    WB_RECEIVER_IPC,
    WB_RECEIVER_OTLP_HTTP,
    WB_RECEIVER_OTLP_GRPC,
} wb_receiver;

/* The verbs of IPC. NONE: what came was no request of any. */
typedef enum wb_verb {
    WB_VERB_NONE,
    WB_VERB_HELLO,
    WB_VERB_RECORD,
    WB_VERB_DELEGATE,
    WB_VERB_OBSERVE,
    WB_VERB_ACCEPT,
    WB_VERB_FINISH,
    WB_VERB_SETTLE,
    WB_VERB_STATUS,
    WB_VERB_RELOAD,
    WB_VERB_FORGET_EXPORTER,
} wb_verb;

enum {
    WB_RECEIVERS = WB_RECEIVER_OTLP_GRPC + 1,
    WB_VERBS = WB_VERB_FORGET_EXPORTER + 1,
    WB_STATUSES = WB_ERR_CONFIG + 1,
    WB_CLOSED_STATES = WB_DELEGATION_LOST - WB_DELEGATION_ANSWERED + 1,
};

typedef struct wb_item_counts {
    atomic_ullong accepted, rejected; /* spans, log records or data points */
} wb_item_counts;

typedef struct wb_counters {
    atomic_ullong requests, requests_malformed, clients_closed_out; /* of IPC; those of OTLP count
                                                                       their own (otlp.h) */
    atomic_ullong answers[WB_RECEIVERS][WB_STATUSES];
    wb_item_counts items[WB_RECEIVERS][WB_SIGNALS];
    atomic_ullong spans_dropped_by_clients;
    atomic_ullong redacted_secrets, redacted_cuts, redacted_rules;
    atomic_ullong delegations_signed, delegations_unsigned, delegations_denied, delegations_lost;
    atomic_ullong delegations_closed[WB_CLOSED_STATES], late_answers;
    atomic_ullong signatures_checked;
    atomic_ullong accepted_continue, accepted_link, accepted_unverified, duplicates, refused;
    atomic_ullong refused_by_code[WB_TOKEN_CODES];
    wb_histogram delegation_time;        /* wb_bounds_long: from its opening to its close */
    wb_histogram request_time[WB_VERBS]; /* wb_bounds_short: from arrival to answer, IPC */
} wb_counters;

static inline void wb_count_by(atomic_ullong *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline void wb_count(atomic_ullong *counter) { wb_count_by(counter, 1); }

/** A request is answered: over IPC each one, of OTLP those that the receiver did not refuse itself. */
static inline void wb_count_answer(wb_counters *counters, wb_receiver from, wb_status status)
{
    wb_count(&counters->answers[from][(unsigned)status < WB_STATUSES ? status : WB_ERR_CORRUPT]);
}

/** What became of the items of one request, once that is durable or can never be. */
static inline void wb_count_items(wb_counters *counters, wb_receiver from, wb_signal signal,
                                  uint64_t accepted, uint64_t rejected)
{
    wb_count_by(&counters->items[from][signal].accepted, accepted);
    wb_count_by(&counters->items[from][signal].rejected, rejected);
}

/** What was taken out of a request, whatever becomes of that. */
static inline void wb_count_redacted(wb_counters *counters, const wb_redacted *done)
{
    if (done->secrets) wb_count_by(&counters->redacted_secrets, done->secrets);
    if (done->cuts) wb_count_by(&counters->redacted_cuts, done->cuts);
    if (done->rules) wb_count_by(&counters->redacted_rules, done->rules);
}

/** A delegation closed, once that is durable. `in_flight_ns`: since it was opened. */
void wb_count_closed(wb_counters *counters, wb_delegation_state state, uint64_t in_flight_ns);

/** Spans of all receivers. */
uint64_t wb_counters_spans_accepted(const wb_counters *counters);
uint64_t wb_counters_spans_rejected(const wb_counters *counters);

/** "ipc", "http" ... as in wb_otlp_report; "record" ..., NONE is "none". Static. */
const char *wb_receiver_name(wb_receiver receiver);
const char *wb_verb_name(wb_verb verb);
const char *wb_signal_name(wb_signal signal);

#endif
