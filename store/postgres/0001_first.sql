-- SPDX-License-Identifier: Apache-2.0
-- compatible_with: 1
-- Store schema in Postgres, version 1. What each table promises: docs/store.md; how this one is run:
-- docs/postgres.md. Run by `waybill store migrate`, in one transaction, by the role that owns it all.
--
-- Ids are raw bytes, times Unix nanoseconds (*_ns) or, where Postgres has to know a day, timestamptz
-- cut to microseconds (*_at). An absent value is NULL, never '' or 0, but in keys: there an absent trace
-- is 16 zero bytes. Every key of what belongs to a trace holds its trace_id, and there is no foreign
-- key, so that these tables can be spread over nodes by it.

CREATE TABLE waybill.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    compatible_with integer NOT NULL,  -- the oldest version whose programs may use this schema
    applied_at timestamptz NOT NULL DEFAULT now(),
    program text NOT NULL              -- version of the program that applied it
);

CREATE TABLE waybill.sidecars (
    sidecar_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    journal_id bytea NOT NULL UNIQUE CHECK (octet_length(journal_id) = 16),
    agent_id text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    isolation text NOT NULL,
    first_seen_ns bigint NOT NULL,
    last_seen_ns bigint NOT NULL
);

CREATE TABLE waybill.delivered (
    journal_id bytea PRIMARY KEY CHECK (octet_length(journal_id) = 16),
    seq bigint NOT NULL,
    entry integer NOT NULL
);

-- Messages may be larger than an index takes, hence the digest (SHA-256).
CREATE TABLE waybill.resources (
    resource_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    bytes bytea NOT NULL
);

CREATE TABLE waybill.scopes (
    scope_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    bytes bytea NOT NULL
);

-- Between which starts a trace's spans lie: whoever adds spans locks the rows of their traces first, in
-- the order of the keys, and then looks for a span in the few partitions that can hold it. That makes
-- the first write of (trace_id, span_id) win though no index can see across partitions.
CREATE TABLE waybill.trace_windows (
    trace_id bytea PRIMARY KEY CHECK (octet_length(trace_id) = 16),
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL
) WITH (fillfactor = 90);

CREATE SEQUENCE waybill.rows AS bigint;

CREATE TABLE waybill.spans (
    trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16),
    span_id bytea NOT NULL CHECK (octet_length(span_id) = 8),
    started_at timestamptz NOT NULL,   -- started_ns, cut to microseconds
    span_row bigint NOT NULL DEFAULT nextval('waybill.rows'),
    parent_span_id bytea,
    name text NOT NULL,
    kind text NOT NULL,
    started_ns bigint NOT NULL,
    ended_ns bigint NOT NULL,
    status text NOT NULL,
    status_message text,
    service text,
    span_type text,
    error_type text,
    session_id text,
    acceptance_id bytea,
    delegation_id bytea,
    sidecar_id bigint NOT NULL,
    seq bigint NOT NULL,
    entry integer NOT NULL,
    resource_id bigint,
    scope_id bigint,
    span bytea NOT NULL,
    PRIMARY KEY (trace_id, span_id, started_at)
) PARTITION BY RANGE (started_at);

CREATE INDEX spans_roots ON waybill.spans (trace_id, started_ns) WHERE parent_span_id IS NULL;
CREATE INDEX spans_arrival ON waybill.spans (sidecar_id, seq, entry);
CREATE TABLE waybill.spans_default PARTITION OF waybill.spans DEFAULT;

CREATE TABLE waybill.logs (
    trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16), -- zeros: of no trace
    time_at timestamptz NOT NULL,      -- time_ns, cut to microseconds
    sidecar_id bigint NOT NULL,
    seq bigint NOT NULL,
    entry integer NOT NULL,
    item integer NOT NULL,
    log_row bigint NOT NULL DEFAULT nextval('waybill.rows'),
    span_id bytea,
    time_ns bigint NOT NULL,
    observed_ns bigint,
    severity bigint NOT NULL,
    severity_text text,
    event_name text,
    body text,
    service text,
    acceptance_id bytea,
    delegation_id bytea,
    resource_id bigint,
    scope_id bigint,
    log bytea NOT NULL,
    PRIMARY KEY (trace_id, time_at, sidecar_id, seq, entry, item)
) PARTITION BY RANGE (time_at);

CREATE INDEX logs_arrival ON waybill.logs (sidecar_id, seq, entry);
CREATE TABLE waybill.logs_default PARTITION OF waybill.logs DEFAULT;

CREATE TABLE waybill.delegations (
    trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16),
    delegation_id bytea NOT NULL CHECK (octet_length(delegation_id) = 16),
    version bigint NOT NULL,
    sidecar_id bigint NOT NULL,
    seq bigint NOT NULL,
    entry integer NOT NULL,
    state text NOT NULL,
    span_id bytea NOT NULL,
    parent_span_id bytea,
    trace_flags bigint NOT NULL,
    parent_acceptance bytea,
    target_url text,
    target_agent_id text,
    target_name text,
    method text,
    message_id text,
    context_id text,
    task_id text,
    body_digest bytea,
    task_state text,
    error_type text,
    event text,
    opened_ns bigint NOT NULL,
    updated_ns bigint NOT NULL,
    closed_ns bigint,
    deadline_ns bigint,
    late_answer boolean NOT NULL,
    chain text NOT NULL,
    unsigned_reason text,
    token_hash bytea,
    token_exp_s bigint,
    issuer text,
    key_id text,
    depth bigint NOT NULL,
    currency text,
    granted_cost_micros bigint,
    granted_tokens bigint,
    granted_ms bigint,
    turns bigint NOT NULL,
    PRIMARY KEY (trace_id, delegation_id)
);

CREATE INDEX delegations_span ON waybill.delegations (trace_id, span_id);
CREATE INDEX delegations_open ON waybill.delegations (opened_ns) WHERE closed_ns IS NULL;
CREATE INDEX delegations_opened ON waybill.delegations (opened_ns);
CREATE INDEX delegations_token ON waybill.delegations (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX delegations_arrival ON waybill.delegations (sidecar_id, seq, entry);

CREATE TABLE waybill.acceptances (
    trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16),
    acceptance_id bytea NOT NULL CHECK (octet_length(acceptance_id) = 16),
    version bigint NOT NULL,
    sidecar_id bigint NOT NULL,
    seq bigint NOT NULL,
    entry integer NOT NULL,
    verdict text NOT NULL,
    verified boolean NOT NULL,
    code text,
    warnings text NOT NULL,
    pass boolean NOT NULL,
    agent_id text,
    issuer text,
    subject text,
    jti text,
    token_hash bytea,
    token_exp_s bigint,
    chain text NOT NULL,
    depth bigint NOT NULL,
    span_id bytea NOT NULL,
    parent_span_id bytea,
    trace_flags bigint NOT NULL,
    link_trace_id bytea,
    link_span_id bytea,
    method text,
    message_id text,
    context_id text,
    task_id text,
    body_digest bytea,
    peer text,
    opened_ns bigint NOT NULL,
    finished_ns bigint,
    deadline_ns bigint,
    outcome text,
    error_type text,
    task_state text,
    PRIMARY KEY (trace_id, acceptance_id)
);

CREATE INDEX acceptances_span ON waybill.acceptances (trace_id, span_id);
CREATE INDEX acceptances_link ON waybill.acceptances (link_trace_id) WHERE link_trace_id IS NOT NULL;
CREATE INDEX acceptances_token ON waybill.acceptances (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX acceptances_arrival ON waybill.acceptances (sidecar_id, seq, entry);
CREATE INDEX acceptances_opened ON waybill.acceptances (opened_ns, sidecar_id, verdict, verified);

CREATE TABLE waybill.trace_parts (
    trace_id bytea NOT NULL CHECK (octet_length(trace_id) = 16),
    sidecar_id bigint NOT NULL,
    span_count bigint NOT NULL,
    error_count bigint NOT NULL,
    delegation_count bigint NOT NULL,
    acceptance_count bigint NOT NULL,
    started_ns bigint NOT NULL,
    ended_ns bigint NOT NULL,
    PRIMARY KEY (trace_id, sidecar_id)
) WITH (fillfactor = 90);

CREATE INDEX trace_parts_started ON waybill.trace_parts (started_ns);

-- As in SQLite's schema: nobody writes a trace's status.
CREATE VIEW waybill.traces AS
SELECT t.trace_id,
    CASE
        WHEN t.open_delegation_count > 0 OR r.span_id IS NULL THEN 'running'
        WHEN EXISTS (SELECT 1 FROM waybill.delegations d
                      WHERE d.trace_id = t.trace_id AND d.span_id = r.span_id
                        AND d.state = 'canceled')
          OR EXISTS (SELECT 1 FROM waybill.acceptances a
                      WHERE a.trace_id = t.trace_id AND a.span_id = r.span_id
                        AND a.outcome = 'canceled')
          OR r.error_type IN ('canceled', 'cancelled', 'delegation.canceled', 'CancelledError',
                              'asyncio.exceptions.CancelledError') THEN 'cancelled'
        WHEN r.status = 'error' THEN 'error'
        ELSE 'success'
    END AS status,
    t.started_ns,
    nullif(t.ended_ns, 0) AS ended_ns,
    t.span_count,
    t.error_count,
    t.sidecar_count,
    t.agent_count,
    t.delegation_count,
    t.open_delegation_count,
    t.acceptance_count,
    t.depth,
    r.span_id AS root_span_id,
    r.name AS root_name,
    r.service AS root_service,
    r.session_id AS session_id
FROM (
    SELECT p.trace_id,
        min(p.started_ns) AS started_ns,
        max(p.ended_ns) AS ended_ns,
        sum(p.span_count)::bigint AS span_count,
        sum(p.error_count)::bigint AS error_count,
        count(*) AS sidecar_count,
        count(DISTINCT c.agent_id) AS agent_count,
        sum(p.delegation_count)::bigint AS delegation_count,
        sum(p.acceptance_count)::bigint AS acceptance_count,
        (SELECT count(*) FROM waybill.delegations d
          WHERE d.trace_id = p.trace_id AND d.closed_ns IS NULL) AS open_delegation_count,
        (SELECT coalesce(max(d.depth) + 1, 0) FROM waybill.delegations d
          WHERE d.trace_id = p.trace_id) AS depth
    FROM waybill.trace_parts p JOIN waybill.sidecars c ON c.sidecar_id = p.sidecar_id
    GROUP BY p.trace_id
) t
LEFT JOIN waybill.trace_windows w ON w.trace_id = t.trace_id
LEFT JOIN LATERAL (
    SELECT * FROM (
        (SELECT 1 AS choice, s.* FROM waybill.spans s
          WHERE s.trace_id = t.trace_id AND s.parent_span_id IS NULL
            AND s.started_at BETWEEN w.first_at AND w.last_at
          ORDER BY s.started_ns, s.span_row LIMIT 1)
        UNION ALL
        (SELECT 2 AS choice, s.* FROM waybill.acceptances a
           JOIN waybill.spans s ON s.trace_id = a.trace_id AND s.span_id = a.span_id
            AND s.started_at BETWEEN w.first_at AND w.last_at
          WHERE a.trace_id = t.trace_id
            AND NOT EXISTS (SELECT 1 FROM waybill.spans u
                             WHERE u.trace_id = t.trace_id AND u.span_id = s.parent_span_id
                               AND u.started_at BETWEEN w.first_at AND w.last_at)
            AND NOT EXISTS (SELECT 1 FROM waybill.delegations d
                             WHERE d.trace_id = t.trace_id AND d.span_id = s.parent_span_id)
          ORDER BY s.started_ns, s.span_row LIMIT 1)
    ) c ORDER BY choice LIMIT 1
) r ON true;

-- ---- days ---------------------------------------------------------------------------------------

-- Make the partitions of these days, as far as they lie within 31 days behind and 8 ahead of now: nobody
-- fills the catalogue with what a broken clock wrote. Returns how many tables were made. Writers call it:
-- it is all that they can do to the schema. Rows of such a day that came before are moved out of the
-- default partition. That needs the default partition alone for a moment: a transaction that holds it up for
-- longer than 200 ms, such as a backup, makes this fail, for whoever waits for us waits for that, too. Rows
-- of the day then go to the default partition, and are moved by a later call.
CREATE FUNCTION waybill.make_days(days date[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today constant date := (now() AT TIME ZONE 'UTC')::date;
    made integer := 0;
    d date;
    parent text;
    part text;
    key text;
    lower_at timestamptz;
    upper_at timestamptz;
BEGIN
    FOR d IN SELECT DISTINCT x FROM unnest(days) x
              WHERE x BETWEEN today - 31 AND today + 8 ORDER BY x LOOP
        FOREACH parent IN ARRAY ARRAY['logs', 'spans'] LOOP
            part := parent || '_' || to_char(d, 'YYYYMMDD');
            key := CASE parent WHEN 'spans' THEN 'started_at' ELSE 'time_at' END;
            CONTINUE WHEN EXISTS (SELECT 1 FROM pg_class WHERE relname = part
                                   AND relnamespace = 'waybill'::regnamespace);
            PERFORM set_config('lock_timeout', '5s', true); -- others make theirs
            PERFORM pg_advisory_xact_lock(6287404696018373700); -- "WAYBILLD": one at a time
            PERFORM set_config('lock_timeout', '200ms', true);
            CONTINUE WHEN EXISTS (SELECT 1 FROM pg_class WHERE relname = part
                                   AND relnamespace = 'waybill'::regnamespace);
            lower_at := d::timestamp AT TIME ZONE 'UTC';
            upper_at := (d + 1)::timestamp AT TIME ZONE 'UTC';
            EXECUTE format('CREATE TABLE waybill.%I (LIKE waybill.%I INCLUDING ALL)', part, parent);
            EXECUTE format('LOCK TABLE waybill.%I IN ACCESS EXCLUSIVE MODE', parent || '_default');
            EXECUTE format('WITH moved AS (DELETE FROM waybill.%I WHERE %I >= $1 AND %I < $2 RETURNING *)'
                           ' INSERT INTO waybill.%I SELECT * FROM moved',
                           parent || '_default', key, key, part) USING lower_at, upper_at;
            EXECUTE format('ALTER TABLE waybill.%I ATTACH PARTITION waybill.%I FOR VALUES FROM (%L) TO (%L)',
                           parent, part, lower_at, upper_at);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$$;

-- Drop the days that ended at least `keep` ago, and what else is older: of traces whose last span started
-- before, of delegations and acceptances that are over, of the default partitions. Owner's business, unless
-- he grants it.
CREATE FUNCTION waybill.prune(keep interval, OUT days integer, OUT rows bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limit_at constant timestamptz := now() - keep;
    limit_ns constant bigint := (extract(epoch FROM limit_at) * 1000000000)::bigint;
    part record;
    n bigint;
BEGIN
    IF keep < interval '1 hour' THEN
        RAISE EXCEPTION 'prune keeps at least an hour, not %', keep USING ERRCODE = '22023';
    END IF;
    days := 0;
    rows := 0;
    PERFORM set_config('lock_timeout', '10s', true);
    PERFORM pg_advisory_xact_lock(6287404696018373700);
    FOR part IN SELECT c.relname, p.relname AS parent FROM pg_inherits i
                  JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
                 WHERE i.inhparent IN ('waybill.spans'::regclass, 'waybill.logs'::regclass)
                   AND c.relname ~ '_[0-9]{8}$' ORDER BY p.relname, c.relname LOOP
        CONTINUE WHEN (to_date(right(part.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' > limit_at;
        EXECUTE format('DROP TABLE waybill.%I', part.relname);
        days := days + 1;
    END LOOP;
    DELETE FROM waybill.logs_default WHERE time_at < limit_at;
    GET DIAGNOSTICS n = ROW_COUNT; rows := rows + n;
    DELETE FROM waybill.spans_default WHERE started_at < limit_at;
    GET DIAGNOSTICS n = ROW_COUNT; rows := rows + n;
    DELETE FROM waybill.delegations WHERE opened_ns < limit_ns AND closed_ns < limit_ns;
    GET DIAGNOSTICS n = ROW_COUNT; rows := rows + n;
    DELETE FROM waybill.acceptances WHERE opened_ns < limit_ns AND coalesce(finished_ns, opened_ns) < limit_ns;
    GET DIAGNOSTICS n = ROW_COUNT; rows := rows + n;
    DELETE FROM waybill.trace_windows w WHERE last_at < date_trunc('day', limit_at, 'UTC');
    GET DIAGNOSTICS n = ROW_COUNT; rows := rows + n;
    DELETE FROM waybill.trace_parts p WHERE started_ns < limit_ns AND ended_ns < limit_ns
        AND NOT EXISTS (SELECT 1 FROM waybill.trace_windows w WHERE w.trace_id = p.trace_id)
        AND NOT EXISTS (SELECT 1 FROM waybill.delegations d WHERE d.trace_id = p.trace_id)
        AND NOT EXISTS (SELECT 1 FROM waybill.acceptances a WHERE a.trace_id = p.trace_id);
    GET DIAGNOSTICS n = ROW_COUNT; rows := rows + n;
END
$$;

REVOKE ALL ON FUNCTION waybill.make_days(date[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION waybill.prune(interval) FROM PUBLIC;

-- ---- roles --------------------------------------------------------------------------------------

-- What a sidecar's role may: add rows, and renew those that are a sidecar's own or only grow. It cannot
-- delete anything, nor change a span.
CREATE FUNCTION waybill.grant_writer(role name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA waybill TO %I', role);
    EXECUTE format('GRANT SELECT ON waybill.migrations TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT ON waybill.sidecars, waybill.delivered, waybill.resources,'
                   ' waybill.scopes, waybill.trace_windows, waybill.trace_parts, waybill.delegations,'
                   ' waybill.acceptances TO %I', role);
    EXECUTE format('GRANT SELECT (trace_id, span_id, started_at, started_ns, ended_ns, status), INSERT'
                   ' ON waybill.spans TO %I', role);
    EXECUTE format('GRANT SELECT (trace_id, time_at, sidecar_id, seq, entry, item), INSERT'
                   ' ON waybill.logs TO %I', role);
    EXECUTE format('GRANT UPDATE (agent_id, name, version, isolation, last_seen_ns)'
                   ' ON waybill.sidecars TO %I', role);
    EXECUTE format('GRANT UPDATE (seq, entry) ON waybill.delivered TO %I', role);
    EXECUTE format('GRANT UPDATE (first_at, last_at) ON waybill.trace_windows TO %I', role);
    EXECUTE format('GRANT UPDATE (span_count, error_count, delegation_count, acceptance_count,'
                   ' started_ns, ended_ns) ON waybill.trace_parts TO %I', role);
    EXECUTE format('GRANT UPDATE ON waybill.delegations, waybill.acceptances TO %I', role);
    EXECUTE format('GRANT USAGE ON SEQUENCE waybill.rows TO %I', role);
    EXECUTE format('GRANT EXECUTE ON FUNCTION waybill.make_days(date[]) TO %I', role);
END
$$;

CREATE FUNCTION waybill.grant_reader(role name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA waybill TO %I', role);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA waybill TO %I', role);
END
$$;

REVOKE ALL ON FUNCTION waybill.grant_writer(name), waybill.grant_reader(name) FROM PUBLIC;
