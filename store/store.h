/* SPDX-License-Identifier: Apache-2.0 */
/* store/store.h: the read queries over a store. Tables and columns: docs/store.md.
 *
 * Rows are handed to a callback one by one, borrowed for the call: slices end with it. What is absent
 * is an empty slice, an all-zero id or 0. A callback that returns another status than WB_OK ends the
 * query, which then returns that status. One thread at a time per wb_store. */
#ifndef WAYBILL_STORE_STORE_H
#define WAYBILL_STORE_STORE_H

#include "core/clock.h"
#include "core/delegation_state.h"
#include "core/ids.h"
#include "core/slice.h"
#include "core/status.h"

typedef struct wb_store wb_store;

/** Open for reading: a file of SQLite, or postgres://... (docs/postgres.md).
 *  Errors  NOT_FOUND no store of that name yet | CONFIG not a Waybill store, or a newer one |
 *          CORRUPT | UNAVAILABLE locked for 5 s, no permission | NO_MEMORY */
WB_MUST_USE wb_status wb_store_open(const char *name, wb_store **out, wb_error *err);
void wb_store_close(wb_store *store);
static inline void wb_store_free(wb_store *store) { wb_store_close(store); }
WB_DEFINE_AUTO(wb_store)

/** Several queries between begin and end see one state of the store. */
WB_MUST_USE wb_status wb_store_begin(wb_store *store, wb_error *err);
void wb_store_end(wb_store *store);

/* ---- traces --------------------------------------------------------------------------------- */

typedef struct wb_stored_trace {
    wb_trace_id trace_id;
    wb_slice status; /* running success error cancelled */
    wb_time_ns started_ns;
    wb_time_ns ended_ns; /* of its spans so far; 0: none */
    uint64_t span_count, error_count, sidecar_count, agent_count;
    uint64_t delegation_count, open_delegation_count, acceptance_count, depth;
    wb_span_id root_span_id; /* absent: it has not arrived */
    wb_slice root_name, root_service, session_id;
} wb_stored_trace;

/** Absent fields do not filter. */
typedef struct wb_trace_filter {
    wb_time_ns since_ns;  /* started at or after */
    wb_time_ns until_ns;  /* started before */
    wb_slice status;      /* equals */
    wb_slice agent;       /* some sidecar's agent id or name in it equals */
    wb_trace_id trace_id; /* this one only */
    uint32_t limit;       /* the newest so many; 0: all */
} wb_trace_filter;

/** Newest start first. */
WB_MUST_USE wb_status wb_store_traces(wb_store *store, const wb_trace_filter *filter,
                                      wb_status (*each)(void *ctx, const wb_stored_trace *row),
                                      void *ctx, wb_error *err);

/** The one trace whose id in hex begins with `prefix` (1 to 32 digits of either case).
 *  Errors  MALFORMED not such a prefix | NOT_FOUND | REJECTED more than one begins so */
WB_MUST_USE wb_status wb_store_find_trace(wb_store *store, wb_slice prefix, wb_trace_id *out,
                                          wb_error *err);

/* ---- what a trace is made of ---------------------------------------------------------------- */

typedef struct wb_stored_sidecar {
    uint64_t sidecar_id; /* key within this store */
    wb_id journal_id;
    wb_slice agent_id, name, version, isolation;
    wb_time_ns first_seen_ns, last_seen_ns;
} wb_stored_sidecar;

WB_MUST_USE wb_status wb_store_sidecars(wb_store *store,
                                        wb_status (*each)(void *ctx, const wb_stored_sidecar *row),
                                        void *ctx, wb_error *err);

typedef struct wb_stored_span {
    uint64_t span_row; /* grows with the order of arrival */
    wb_trace_id trace_id;
    wb_span_id span_id, parent_id;
    wb_slice name, kind, status, status_message, service, span_type, error_type, session_id;
    wb_id acceptance_id, delegation_id;
    wb_time_ns started_ns, ended_ns;
    uint64_t sidecar_id, seq;
    uint64_t resource_id, scope_id;  /* equal ids, equal messages; 0: none */
    wb_slice span, resource, scope;  /* OTLP messages: proto/otlp_read.h */
    wb_slice agent_id, sidecar_name; /* of who delivered it */
} wb_stored_span;

typedef enum wb_span_order {
    WB_SPANS_BY_START,
    WB_SPANS_GROUPED, /* by resource, then scope, then start */
} wb_span_order;

/** The spans of a trace. */
WB_MUST_USE wb_status wb_store_spans(wb_store *store, const wb_trace_id *trace, wb_span_order order,
                                     wb_status (*each)(void *ctx, const wb_stored_span *row),
                                     void *ctx, wb_error *err);

typedef struct wb_stored_log {
    uint64_t log_row;     /* grows with the order of arrival */
    wb_trace_id trace_id; /* absent: of no trace */
    wb_span_id span_id;   /* absent: of no span */
    wb_time_ns time_ns;   /* when it happened, else when it was seen */
    wb_time_ns observed_ns;
    uint32_t severity; /* 1 to 24; 0: none */
    wb_slice severity_text, event_name, service;
    wb_slice body; /* the beginning of a body that is text; all of it is in `log` */
    wb_id acceptance_id, delegation_id;
    uint64_t sidecar_id, seq;
    uint32_t entry, item;          /* its place in the frame */
    wb_slice log, resource, scope; /* OTLP messages: proto/otlp_read.h */
    wb_slice agent_id, sidecar_name;
} wb_stored_log;

/** The log records of a trace, by time. With an absent id those of no trace, the newest first, at most
 *  `limit` (0: all). */
WB_MUST_USE wb_status wb_store_logs(wb_store *store, const wb_trace_id *trace, uint32_t limit,
                                    wb_status (*each)(void *ctx, const wb_stored_log *row),
                                    void *ctx, wb_error *err);

typedef struct wb_stored_delegation {
    wb_id delegation_id, parent_acceptance;
    uint64_t version;
    wb_slice state;
    wb_trace_id trace_id;
    wb_span_id span_id, parent_id;
    uint32_t trace_flags, depth;
    wb_slice target_url, target_agent_id, target_name, method, message_id, context_id, task_id;
    wb_slice body_digest, task_state, error_type, event, unsigned_reason, issuer, key_id,
        token_hash;
    wb_slice chain;                                           /* JSON array of tokens, root first */
    wb_slice agent_id, sidecar_name;                          /* of the delegating agent */
    wb_time_ns opened_ns, updated_ns, closed_ns, deadline_ns; /* closed 0: open */
    uint64_t token_exp_s;
    wb_slice currency; /* of what was granted; empty: no token was made */
    uint64_t granted_cost_micros, granted_tokens, granted_ms; /* WB_NOLIM: no limit */
    uint32_t turns;                                           /* messages of the task */
    bool late_answer;
    uint64_t sidecar_id, seq;
} wb_stored_delegation;

typedef struct wb_delegation_filter {
    wb_trace_id trace_id; /* absent: all */
    bool open_only;
    wb_time_ns since_ns; /* opened at or after, or still open */
    uint32_t limit;      /* the newest so many; 0: all */
} wb_delegation_filter;

/** By opening, oldest first. */
WB_MUST_USE wb_status wb_store_delegations(wb_store *store, const wb_delegation_filter *filter,
                                           wb_status (*each)(void *ctx,
                                                             const wb_stored_delegation *row),
                                           void *ctx, wb_error *err);

typedef struct wb_stored_acceptance {
    wb_id acceptance_id;
    uint64_t version;
    wb_slice verdict, code, agent_id, issuer, subject, jti, token_hash;
    wb_slice warnings, chain; /* JSON arrays of text */
    bool verified, pass;
    wb_trace_id trace_id, link_trace_id;
    wb_span_id span_id, parent_id, link_span_id;
    uint32_t trace_flags, depth;
    wb_slice method, message_id, context_id, task_id, body_digest, peer;
    wb_slice outcome, error_type, task_state;
    wb_time_ns opened_ns, finished_ns, deadline_ns; /* finished 0: open */
    uint64_t token_exp_s;
    uint64_t sidecar_id, seq;
    wb_slice sidecar_name;
} wb_stored_acceptance;

/** Those of a trace, and those that link to it, by opening. */
WB_MUST_USE wb_status wb_store_acceptances(wb_store *store, const wb_trace_id *trace,
                                           wb_status (*each)(void *ctx,
                                                             const wb_stored_acceptance *row),
                                           void *ctx, wb_error *err);

/* Acceptances that a stricter trust mode would have refused, put together by peer and code. */
typedef struct wb_stored_lenience {
    wb_slice peer, code; /* of a DUPLICATE the code is empty */
    bool is_refusal;     /* only trust.mode observe let it pass; else `require` would refuse it */
    uint64_t count;
    wb_time_ns last_ns;
} wb_stored_lenience;

/** Of the agent `agent_id`, opened at or after `since_ns`; the most frequent `limit` of them first. */
WB_MUST_USE wb_status wb_store_leniences(
    wb_store *store, wb_slice agent_id, wb_time_ns since_ns, uint32_t limit,
    wb_status (*each)(void *ctx, const wb_stored_lenience *row), void *ctx, wb_error *err);

/* ---- agents --------------------------------------------------------------------------------- */

/* What an agent's sidecars brought: counted by their rows, whoever wrote them. */
typedef struct wb_stored_agent {
    wb_slice agent_id, name, version, isolation; /* the last three of the sidecar seen last */
    uint64_t sidecar_count;                      /* journals it ever had */
    wb_time_ns first_seen_ns, last_seen_ns;
    uint64_t trace_count, span_count, error_count;    /* of traces that began within the time */
    uint64_t delegation_count, open_delegation_count; /* it opened within the time */
    uint64_t failed_count;                            /* of these: failed or lost */
    uint64_t rejected_count;                     /* of these: the other agent refused the work */
    uint64_t acceptance_count, unverified_count; /* work it was handed within the time */
} wb_stored_agent;

/** Agents seen at or after `since_ns`, the last seen first, at most `limit` (0: all). */
WB_MUST_USE wb_status wb_store_agents(wb_store *store, wb_time_ns since_ns, uint32_t limit,
                                      wb_status (*each)(void *ctx, const wb_stored_agent *row),
                                      void *ctx, wb_error *err);

/* ---- what arrives --------------------------------------------------------------------------- */

/** Has any process changed the store since this was asked last? True at first. Reads no table.
 *  Errors  UNAVAILABLE its file was removed or replaced: close it, open it again */
WB_MUST_USE wb_status wb_store_changed(wb_store *store, bool *changed, wb_error *err);

/** What has been handed out of a store; outlives the wb_store. The rule: store/sqlite/follow.c. */
typedef struct wb_follow wb_follow;

/** NULL when memory is out. */
WB_MUST_USE wb_follow *wb_follow_new(void);
void wb_follow_free(wb_follow *follow);
WB_DEFINE_AUTO(wb_follow)

/** Count all that is there as handed out, but for the `last_spans` that arrived last. */
WB_MUST_USE wb_status wb_follow_from_now(wb_follow *follow, wb_store *store, uint32_t last_spans,
                                         wb_error *err);

/** NULL: not wanted. A row counts as handed out whatever the callback returns; another status than
 *  WB_OK ends the reading, and the next one goes on behind that row. */
typedef struct wb_arrivals {
    wb_status (*span)(void *ctx, const wb_stored_span *row);
    wb_status (*delegation)(void *ctx, const wb_stored_delegation *row);
    wb_status (*acceptance)(void *ctx, const wb_stored_acceptance *row);
    wb_status (*log)(void *ctx, const wb_stored_log *row);
} wb_arrivals;

/** Hand out what arrived since: each span and each log record once, of delegations and acceptances each version that is
 *  there when it is looked at.
 *  Errors  NO_MEMORY | those of callbacks | as all reads */
WB_MUST_USE wb_status wb_follow_read(wb_follow *follow, wb_store *store, const wb_arrivals *take,
                                     void *ctx, wb_error *err);

/** The store was opened anew, and may be another file now. */
void wb_follow_reopened(wb_follow *follow);

#endif
