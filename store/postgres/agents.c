/* SPDX-License-Identifier: Apache-2.0 */
/* Agents out of what their sidecars brought: each part is summed by sidecar over an index on time before
 * the parts meet, as for SQLite. */
#include "store/postgres/query.h"

static const char AGENTS[] =
    "WITH parts AS (SELECT sidecar_id, count(*) AS traces, sum(span_count) AS spans,"
    "  sum(error_count) AS errors FROM waybill.trace_parts WHERE started_ns >= $1"
    "  GROUP BY sidecar_id),"
    " sent AS (SELECT sidecar_id, count(*) AS n, count(*) FILTER (WHERE closed_ns IS NULL) AS open,"
    "  count(*) FILTER (WHERE state IN ('failed', 'lost')) AS failed,"
    "  count(*) FILTER (WHERE state = 'rejected') AS rejected"
    "  FROM waybill.delegations WHERE opened_ns >= $1 GROUP BY sidecar_id),"
    " got AS (SELECT sidecar_id, count(*) AS n, count(*) FILTER (WHERE NOT verified) AS unverified"
    "  FROM waybill.acceptances WHERE opened_ns >= $1 GROUP BY sidecar_id),"
    " newest AS (SELECT DISTINCT ON (agent_id) agent_id, name, version, isolation"
    "  FROM waybill.sidecars ORDER BY agent_id, last_seen_ns DESC, sidecar_id DESC)"
    " SELECT agent_id, n.name, n.version, n.isolation, count(*), min(s.first_seen_ns),"
    "  max(s.last_seen_ns),"
    "  coalesce(sum(parts.traces), 0)::bigint, coalesce(sum(parts.spans), 0)::bigint,"
    "  coalesce(sum(parts.errors), 0)::bigint, coalesce(sum(sent.n), 0)::bigint,"
    "  coalesce(sum(sent.open), 0)::bigint, coalesce(sum(sent.failed), 0)::bigint,"
    "  coalesce(sum(sent.rejected), 0)::bigint, coalesce(sum(got.n), 0)::bigint,"
    "  coalesce(sum(got.unverified), 0)::bigint"
    " FROM waybill.sidecars s LEFT JOIN parts USING (sidecar_id) LEFT JOIN sent USING (sidecar_id)"
    "  LEFT JOIN got USING (sidecar_id) JOIN newest n USING (agent_id)"
    " GROUP BY agent_id, n.name, n.version, n.isolation HAVING max(s.last_seen_ns) >= $1"
    " ORDER BY max(s.last_seen_ns) DESC, agent_id LIMIT $2";

typedef struct agent_taker {
    wb_status (*each)(void *ctx, const wb_stored_agent *row);
    void *ctx;
} agent_taker;

static wb_status take_agent(void *ctx, const wb_pg_result *result)
{
    agent_taker *taker = ctx;
    wb_stored_agent row = wb_read_agent(wb_pg_columns(result));
    return taker->each(taker->ctx, &row);
}

wb_status wb_pg_agents(wb_store *store, wb_time_ns since_ns, uint32_t limit,
                       wb_status (*each)(void *ctx, const wb_stored_agent *row), void *ctx,
                       wb_error *err)
{
    wb_pg_params p = {0};
    agent_taker taker = {each, ctx};
    wb_pg_add_number(&p, (int64_t)since_ns);
    wb_pg_add_number_or_null(&p, limit);
    return wb_pg_read_each(store, AGENTS, &p, take_agent, &taker, err);
}
