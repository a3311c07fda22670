/* SPDX-License-Identifier: Apache-2.0 */
/* From the staging tables into the store. Every transaction takes its locks in the same order, and within a
 * table in the order of the keys, so that two sidecars wait for each other but never in a circle:
 * resources, scopes, trace_windows, spans, logs, delegations, acceptances, and then trace_parts, whose rows are
 * a sidecar's own.
 *
 * First write of a span wins, whatever its start. The unique key holds the start, since Postgres wants
 * the partition's column in it, so it cannot see a span that came before with another one. Instead the
 * rows of trace_windows are locked: whoever comes second waits until the first has committed, and
 * its next statement sees what that wrote. It then looks for the span in the partitions between the first
 * and last start of that trace, which as a rule is one. */
#include "exporters/postgres/stage.h"

#define STAGED(name, type) "s." #name ", "
#define RENEW(name, type) #name " = excluded." #name ", "

#define SPAN_NAMES WB_SPAN_CELLS(WB_CELL_NAME)
#define SPAN_STAGED WB_SPAN_CELLS(STAGED)
#define LOG_NAMES WB_LOG_CELLS(WB_CELL_NAME)
#define LOG_STAGED WB_LOG_CELLS(STAGED)
#define DELEGATION_NAMES WB_DELEGATION_CELLS(WB_CELL_NAME)
#define DELEGATION_STAGED WB_DELEGATION_CELLS(STAGED)
#define DELEGATION_RENEW WB_DELEGATION_CELLS(RENEW)
#define ACCEPTANCE_NAMES WB_ACCEPTANCE_CELLS(WB_CELL_NAME)
#define ACCEPTANCE_STAGED WB_ACCEPTANCE_CELLS(STAGED)
#define ACCEPTANCE_RENEW WB_ACCEPTANCE_CELLS(RENEW)

/* Those of spans and of log records in one, because of the order of locks. */
#define ADD_MESSAGES(table, from)                                                                  \
    "INSERT INTO waybill." table " (digest, bytes)"                                                \
    " SELECT DISTINCT sha256(m.message), m.message FROM (" from ") m (message)"                    \
    " WHERE m.message IS NOT NULL AND NOT EXISTS (SELECT 1 FROM waybill." table " t"               \
    "  WHERE t.digest = sha256(m.message)) ORDER BY 1 ON CONFLICT (digest) DO NOTHING"
#define OF_SPANS(column) "SELECT " column " FROM pg_temp.waybill_spans_1"
#define OF_LOGS(column) "SELECT " column " FROM pg_temp.waybill_logs_1"
#define OF_BOTH(column) OF_SPANS(column) " UNION ALL " OF_LOGS(column)

/* [there are spans + 2 * there are log records] */
static const char *const add_resources[4] = {NULL, ADD_MESSAGES("resources", OF_SPANS("resource")),
                                             ADD_MESSAGES("resources", OF_LOGS("resource")),
                                             ADD_MESSAGES("resources", OF_BOTH("resource"))};
static const char *const add_scopes[4] = {NULL, ADD_MESSAGES("scopes", OF_SPANS("scope")),
                                          ADD_MESSAGES("scopes", OF_LOGS("scope")),
                                          ADD_MESSAGES("scopes", OF_BOTH("scope"))};

#define JOIN_MESSAGES(staged)                                                                      \
    " LEFT JOIN (SELECT m.resource_no AS no, r.resource_id FROM pg_temp." staged " m"              \
    "  JOIN waybill.resources r ON r.digest = sha256(m.resource) WHERE m.resource IS NOT NULL) r"  \
    "  ON r.no = s.resource_no"                                                                    \
    " LEFT JOIN (SELECT m.scope_no AS no, c.scope_id FROM pg_temp." staged " m"                    \
    "  JOIN waybill.scopes c ON c.digest = sha256(m.scope) WHERE m.scope IS NOT NULL) c"           \
    "  ON c.no = s.scope_no"

/* A row that the WHERE leaves as it is gets locked all the same. */
static const char lock_windows[] =
    "INSERT INTO waybill.trace_windows AS w (trace_id, first_at, last_at)"
    " SELECT trace_id, min(started_at), max(started_at) FROM pg_temp.waybill_spans_1"
    " GROUP BY trace_id ORDER BY trace_id"
    " ON CONFLICT (trace_id) DO UPDATE SET first_at = least(w.first_at, excluded.first_at),"
    " last_at = greatest(w.last_at, excluded.last_at)"
    " WHERE w.first_at > excluded.first_at OR w.last_at < excluded.last_at";

#define INTO_PARTS                                                                                 \
    " INSERT INTO waybill.trace_parts AS p (trace_id, sidecar_id, span_count, error_count,"        \
    " delegation_count, acceptance_count, started_ns, ended_ns)"

#define ADD_UP                                                                                     \
    " GROUP BY trace_id ORDER BY trace_id ON CONFLICT (trace_id, sidecar_id) DO UPDATE SET"        \
    " span_count = p.span_count + excluded.span_count,"                                            \
    " error_count = p.error_count + excluded.error_count,"                                         \
    " delegation_count = p.delegation_count + excluded.delegation_count,"                          \
    " acceptance_count = p.acceptance_count + excluded.acceptance_count,"                          \
    " started_ns = least(p.started_ns, excluded.started_ns),"                                      \
    " ended_ns = greatest(p.ended_ns, excluded.ended_ns)"

/* OFFSET 0 keeps the search for one span a search for one span, by the primary key: as a join it might
 * be planned as a walk through all of the table. */
static const char add_spans[] =
    "WITH added AS (INSERT INTO waybill.spans (" SPAN_NAMES
    " started_at, sidecar_id, seq, entry, resource_id, scope_id)"
    " SELECT DISTINCT ON (s.trace_id, s.span_id) " SPAN_STAGED
    " s.started_at, $1, s.seq, s.entry::integer, r.resource_id, c.scope_id"
    " FROM pg_temp.waybill_spans_1 s"
    " JOIN waybill.trace_windows w ON w.trace_id = s.trace_id" JOIN_MESSAGES(
        "waybill_spans_1") " WHERE NOT EXISTS (SELECT 1 FROM waybill.spans x WHERE x.trace_id = "
                           "s.trace_id"
                           "  AND x.span_id = s.span_id AND x.started_at BETWEEN w.first_at AND "
                           "w.last_at OFFSET 0)"
                           " ORDER BY s.trace_id, s.span_id, s.seq, s.entry, s.item"
                           " ON CONFLICT (trace_id, span_id, started_at) DO NOTHING"
                           " RETURNING trace_id, status, started_ns, ended_ns)" INTO_PARTS
                           " SELECT trace_id, $1, count(*), count(*) FILTER (WHERE status = "
                           "'error'), 0, 0,"
                           " min(started_ns), max(ended_ns) FROM added" ADD_UP;

static const char add_logs[] =
    "INSERT INTO waybill.logs (" LOG_NAMES
    " time_at, sidecar_id, seq, entry, item, resource_id, scope_id) SELECT " LOG_STAGED
    " s.time_at, $1, s.seq, s.entry::integer, s.item::integer, r.resource_id, c.scope_id"
    " FROM pg_temp.waybill_logs_1 s" JOIN_MESSAGES(
        "waybill_logs_1") " ORDER BY s.trace_id, s.time_at, s.seq, s.entry, s.item ON CONFLICT DO "
                          "NOTHING";

/* xmax is 0 in a row that was inserted, not replaced. */
static const char add_delegations[] =
    "WITH added AS (INSERT INTO waybill.delegations AS d (" DELEGATION_NAMES
    " sidecar_id, seq, entry)"
    " SELECT DISTINCT ON (s.trace_id, s.delegation_id) " DELEGATION_STAGED
    " $1, s.seq, s.entry::integer FROM pg_temp.waybill_delegations_1 s"
    " ORDER BY s.trace_id, s.delegation_id, s.version DESC, s.seq, s.entry"
    " ON CONFLICT (trace_id, delegation_id) DO UPDATE SET " DELEGATION_RENEW
    " seq = excluded.seq, entry = excluded.entry"
    " WHERE d.version < excluded.version AND d.sidecar_id = excluded.sidecar_id"
    " RETURNING trace_id, opened_ns, xmax = 0 AS is_new)" INTO_PARTS
    " SELECT trace_id, $1, 0, 0, count(*), 0, min(opened_ns), 0 FROM added WHERE is_new" ADD_UP;

static const char add_acceptances[] =
    "WITH added AS (INSERT INTO waybill.acceptances AS a (" ACCEPTANCE_NAMES
    " sidecar_id, seq, entry)"
    " SELECT DISTINCT ON (s.trace_id, s.acceptance_id) " ACCEPTANCE_STAGED
    " $1, s.seq, s.entry::integer FROM pg_temp.waybill_acceptances_1 s"
    " ORDER BY s.trace_id, s.acceptance_id, s.version DESC, s.seq, s.entry"
    " ON CONFLICT (trace_id, acceptance_id) DO UPDATE SET " ACCEPTANCE_RENEW
    " seq = excluded.seq, entry = excluded.entry"
    " WHERE a.version < excluded.version AND a.sidecar_id = excluded.sidecar_id"
    " RETURNING trace_id, opened_ns, xmax = 0 AS is_new)" INTO_PARTS
    " SELECT trace_id, $1, 0, 0, 0, count(*), min(opened_ns), 0 FROM added WHERE is_new" ADD_UP;

void wb_stage_merge(wb_pg_pipeline *pipeline, const wb_staged *staged, int64_t sidecar_id)
{
    wb_pg_params p = {0};
    wb_pg_add_number(&p, sidecar_id);
    size_t with_messages = (size_t)staged->spans + 2 * (size_t)staged->logs;
    if (with_messages) {
        wb_pg_pipeline_add(pipeline, add_resources[with_messages], NULL);
        wb_pg_pipeline_add(pipeline, add_scopes[with_messages], NULL);
    }
    if (staged->spans) {
        wb_pg_pipeline_add(pipeline, lock_windows, NULL);
        wb_pg_pipeline_add(pipeline, add_spans, &p);
    }
    if (staged->logs) wb_pg_pipeline_add(pipeline, add_logs, &p);
    if (staged->delegations) wb_pg_pipeline_add(pipeline, add_delegations, &p);
    if (staged->acceptances) wb_pg_pipeline_add(pipeline, add_acceptances, &p);
}
