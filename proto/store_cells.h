/* SPDX-License-Identifier: Apache-2.0 */
/* proto/store_cells.h: records as rows of values, for stores that keep them in tables. The columns and what
 * they mean: docs/store.md. What is absent (0, empty, all-zero id) is NULL where the lists below say
 * nothing else. */
#ifndef WAYBILL_PROTO_STORE_CELLS_H
#define WAYBILL_PROTO_STORE_CELLS_H

#include "core/arena.h"
#include "proto/log_batch.h"
#include "proto/span_batch.h"

typedef enum wb_cell_type {
    WB_CELL_NULL,
    WB_CELL_NUMBER,
    WB_CELL_BOOL,  /* in `number` */
    WB_CELL_TEXT,  /* in `bytes`; what came as text need not be UTF-8 */
    WB_CELL_BYTES, /* in `bytes` */
} wb_cell_type;

typedef struct wb_cell {
    wb_cell_type type;
    int64_t number; /* what is above 2^63-1 is that */
    wb_slice bytes; /* into the record, the arena, or static */
} wb_cell;

/* X(name, SQL type) in the order of the cells. */

#define WB_SPAN_CELLS(X)                                                                           \
    X(trace_id, bytea)                                                                             \
    X(span_id, bytea)                                                                              \
    X(parent_span_id, bytea)                                                                       \
    X(name, text)                                                                                  \
    X(kind, text)                                                                                  \
    X(started_ns, bigint)                                                                          \
    X(ended_ns, bigint)                                                                            \
    X(status, text)                                                                                \
    X(status_message, text)                                                                        \
    X(service, text)                                                                               \
    X(span_type, text)                                                                             \
    X(error_type, text)                                                                            \
    X(session_id, text)                                                                            \
    X(acceptance_id, bytea)                                                                        \
    X(delegation_id, bytea)                                                                        \
    X(span, bytea)

#define WB_LOG_CELLS(X)                                                                            \
    X(trace_id, bytea)                                                                             \
    X(span_id, bytea)                                                                              \
    X(time_ns, bigint)                                                                             \
    X(observed_ns, bigint)                                                                         \
    X(severity, bigint)                                                                            \
    X(severity_text, text)                                                                         \
    X(event_name, text)                                                                            \
    X(body, text)                                                                                  \
    X(service, text)                                                                               \
    X(acceptance_id, bytea)                                                                        \
    X(delegation_id, bytea)                                                                        \
    X(log, bytea)

#define WB_DELEGATION_CELLS(X)                                                                     \
    X(delegation_id, bytea)                                                                        \
    X(version, bigint)                                                                             \
    X(state, text)                                                                                 \
    X(trace_id, bytea)                                                                             \
    X(span_id, bytea)                                                                              \
    X(parent_span_id, bytea)                                                                       \
    X(trace_flags, bigint)                                                                         \
    X(parent_acceptance, bytea)                                                                    \
    X(target_url, text)                                                                            \
    X(target_agent_id, text)                                                                       \
    X(target_name, text)                                                                           \
    X(method, text)                                                                                \
    X(message_id, text)                                                                            \
    X(context_id, text)                                                                            \
    X(task_id, text)                                                                               \
    X(body_digest, bytea)                                                                          \
    X(task_state, text)                                                                            \
    X(error_type, text)                                                                            \
    X(event, text)                                                                                 \
    X(opened_ns, bigint)                                                                           \
    X(updated_ns, bigint)                                                                          \
    X(closed_ns, bigint)                                                                           \
    X(deadline_ns, bigint)                                                                         \
    X(late_answer, boolean)                                                                        \
    X(chain, text)                                                                                 \
    X(unsigned_reason, text)                                                                       \
    X(token_hash, bytea)                                                                           \
    X(token_exp_s, bigint)                                                                         \
    X(issuer, text)                                                                                \
    X(key_id, text)                                                                                \
    X(depth, bigint)                                                                               \
    X(currency, text)                                                                              \
    X(granted_cost_micros, bigint)                                                                 \
    X(granted_tokens, bigint)                                                                      \
    X(granted_ms, bigint)                                                                          \
    X(turns, bigint)

#define WB_ACCEPTANCE_CELLS(X)                                                                     \
    X(acceptance_id, bytea)                                                                        \
    X(version, bigint)                                                                             \
    X(verdict, text)                                                                               \
    X(verified, boolean)                                                                           \
    X(code, text)                                                                                  \
    X(warnings, text)                                                                              \
    X(pass, boolean)                                                                               \
    X(agent_id, text)                                                                              \
    X(issuer, text)                                                                                \
    X(subject, text)                                                                               \
    X(jti, text)                                                                                   \
    X(token_hash, bytea)                                                                           \
    X(token_exp_s, bigint)                                                                         \
    X(chain, text)                                                                                 \
    X(depth, bigint)                                                                               \
    X(trace_id, bytea)                                                                             \
    X(span_id, bytea)                                                                              \
    X(parent_span_id, bytea)                                                                       \
    X(trace_flags, bigint)                                                                         \
    X(link_trace_id, bytea)                                                                        \
    X(link_span_id, bytea)                                                                         \
    X(method, text)                                                                                \
    X(message_id, text)                                                                            \
    X(context_id, text)                                                                            \
    X(task_id, text)                                                                               \
    X(body_digest, bytea)                                                                          \
    X(peer, text)                                                                                  \
    X(opened_ns, bigint)                                                                           \
    X(finished_ns, bigint)                                                                         \
    X(deadline_ns, bigint)                                                                         \
    X(outcome, text)                                                                               \
    X(error_type, text)                                                                            \
    X(task_state, text)

/* The columns' names, for SQL. */
#define WB_CELL_NAME(name, type) #name ", "

/* The places of the cells: WB_SPAN_AT_trace_id and so on. */
#define WB_SPAN_AT(name, type) WB_SPAN_AT_##name,
#define WB_LOG_AT(name, type) WB_LOG_AT_##name,
#define WB_DELEGATION_AT(name, type) WB_DELEGATION_AT_##name,
#define WB_ACCEPTANCE_AT(name, type) WB_ACCEPTANCE_AT_##name,
enum { WB_SPAN_CELLS(WB_SPAN_AT) WB_SPAN_CELL_COUNT };
enum { WB_LOG_CELLS(WB_LOG_AT) WB_LOG_CELL_COUNT };
enum { WB_DELEGATION_CELLS(WB_DELEGATION_AT) WB_DELEGATION_CELL_COUNT };
enum { WB_ACCEPTANCE_CELLS(WB_ACCEPTANCE_AT) WB_ACCEPTANCE_CELL_COUNT };
enum { WB_CELLS_MAX = WB_DELEGATION_CELL_COUNT };

typedef struct wb_cells {
    wb_cell of[WB_CELLS_MAX];
    size_t n;
    uint8_t ids[2][16]; /* what some of them point at: do not move it */
} wb_cells;

/** A span, with its resource's service name. Cannot fail. */
void wb_cells_of_span(const wb_span_row *row, wb_slice service, wb_cells *out);
/** A log record, likewise. */
void wb_cells_of_log(const wb_log_row *row, wb_slice service, wb_cells *out);
/** A payload of WB_ENTRY_DELEGATION or WB_ENTRY_ACCEPTANCE.
 *  Errors  REJECTED not such a row: never will be | NO_MEMORY */
WB_MUST_USE wb_status wb_cells_of_delegation(wb_slice payload, wb_arena *arena, wb_cells *out,
                                             wb_error *err);
WB_MUST_USE wb_status wb_cells_of_acceptance(wb_slice payload, wb_arena *arena, wb_cells *out,
                                             wb_error *err);

#endif
