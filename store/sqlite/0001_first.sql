-- SPDX-License-Identifier: Apache-2.0
-- Store schema, version 1. What each table promises: docs/store.md.
-- Ids are raw bytes, times Unix nanoseconds, an absent value is NULL, never '' or 0.

CREATE TABLE migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied_ns INTEGER NOT NULL,
    program TEXT NOT NULL              -- version of the program that applied it
) STRICT;

-- One row per journal. A sidecar whose state directory was wiped is a new row.
CREATE TABLE sidecars (
    sidecar_id INTEGER PRIMARY KEY,
    journal_id BLOB NOT NULL UNIQUE CHECK (length(journal_id) = 16),
    agent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    isolation TEXT NOT NULL,           -- none uid
    first_seen_ns INTEGER NOT NULL,
    last_seen_ns INTEGER NOT NULL
) STRICT;

-- All records of a journal up to (seq, entry) are in this store. Written in the transaction that
-- brought them.
CREATE TABLE delivered (
    journal_id BLOB PRIMARY KEY CHECK (length(journal_id) = 16),
    seq INTEGER NOT NULL,
    entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- OTLP Resource and InstrumentationScope messages, each once.
CREATE TABLE resources (
    resource_id INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE scopes (
    scope_id INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL UNIQUE
) STRICT;

-- The first write of (trace_id, span_id) wins.
CREATE TABLE spans (
    span_row INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL CHECK (length(trace_id) = 16),
    span_id BLOB NOT NULL CHECK (length(span_id) = 8),
    parent_span_id BLOB,               -- NULL: root of its trace
    name TEXT NOT NULL,
    kind TEXT NOT NULL,                -- unspecified internal server client producer consumer
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER NOT NULL,
    status TEXT NOT NULL,              -- unset ok error
    status_message TEXT,
    service TEXT,                      -- resource service.name
    span_type TEXT,                    -- waybill.span.type
    error_type TEXT,                   -- error.type
    session_id TEXT,                   -- session.id
    acceptance_id BLOB,                -- waybill.acceptance.id: the work that it belongs to
    delegation_id BLOB,                -- waybill.delegation.id
    sidecar_id INTEGER NOT NULL REFERENCES sidecars,
    seq INTEGER NOT NULL,              -- journal frame it came in
    resource_id INTEGER REFERENCES resources,
    scope_id INTEGER REFERENCES scopes,
    span BLOB NOT NULL,                -- the OTLP Span message: attributes, events, links
    UNIQUE (trace_id, span_id)
) STRICT;

CREATE INDEX spans_roots ON spans (trace_id, started_ns) WHERE parent_span_id IS NULL;

-- Written by the delegating agent's sidecar alone; a row is replaced by a higher version only.
CREATE TABLE delegations (
    delegation_id BLOB PRIMARY KEY CHECK (length(delegation_id) = 16),
    version INTEGER NOT NULL,
    state TEXT NOT NULL,               -- sent in_flight waiting_input waiting_auth detached,
                                       -- answered completed failed canceled rejected lost
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,             -- the CLIENT span, written when it closes
    parent_span_id BLOB,
    trace_flags INTEGER NOT NULL,
    parent_acceptance BLOB,            -- acceptances.acceptance_id; NULL: the agent's own root
    target_url TEXT,
    target_agent_id TEXT,
    target_name TEXT,
    method TEXT,
    message_id TEXT,
    context_id TEXT,
    task_id TEXT,
    body_digest BLOB,
    task_state TEXT,                   -- the last TASK_STATE_* seen
    error_type TEXT,
    event TEXT,                        -- the last of stream_broken reattached polled
    opened_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL,
    closed_ns INTEGER,                 -- NULL: open
    deadline_ns INTEGER,
    late_answer INTEGER NOT NULL,      -- 1: answered after it was declared lost
    chain TEXT NOT NULL,               -- JSON array of the tokens sent, root first; []: unsigned
    unsigned_reason TEXT,
    token_hash BLOB,                   -- SHA-256 over the last token's ASCII
    token_exp_s INTEGER,               -- Unix seconds
    issuer TEXT,                       -- own agent id
    key_id TEXT,
    depth INTEGER NOT NULL,            -- 0: root token
    sidecar_id INTEGER NOT NULL REFERENCES sidecars,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX delegations_trace ON delegations (trace_id, span_id);
CREATE INDEX delegations_open ON delegations (opened_ns) WHERE closed_ns IS NULL;
CREATE INDEX delegations_opened ON delegations (opened_ns);
CREATE INDEX delegations_token ON delegations (token_hash) WHERE token_hash IS NOT NULL;

-- Written by the accepting agent's sidecar alone; versions as above.
CREATE TABLE acceptances (
    acceptance_id BLOB PRIMARY KEY CHECK (length(acceptance_id) = 16),
    version INTEGER NOT NULL,
    verdict TEXT NOT NULL,             -- continue link duplicate reject
    verified INTEGER NOT NULL,         -- 1: the leaf's signature and bindings hold
    code TEXT,                         -- WB_E_*: why an unverified LINK is unverified
    warnings TEXT NOT NULL,            -- JSON array of WB_W_*
    pass INTEGER NOT NULL,             -- 1: the agent was let to work on it
    agent_id TEXT,                     -- own id
    issuer TEXT,
    subject TEXT,
    jti TEXT,
    token_hash BLOB,
    token_exp_s INTEGER,
    chain TEXT NOT NULL,               -- JSON array of the tokens received, root first
    depth INTEGER NOT NULL,
    trace_id BLOB NOT NULL,            -- the trace of the agent's own spans
    span_id BLOB NOT NULL,             -- the SERVER span
    parent_span_id BLOB,               -- CONTINUE: the delegation's span
    trace_flags INTEGER NOT NULL,
    link_trace_id BLOB,                -- LINK: what was claimed or signed
    link_span_id BLOB,
    method TEXT,
    message_id TEXT,
    context_id TEXT,
    task_id TEXT,
    body_digest BLOB,
    peer TEXT,
    opened_ns INTEGER NOT NULL,
    finished_ns INTEGER,               -- NULL: open
    deadline_ns INTEGER,               -- the grant's dln
    outcome TEXT,                      -- ok error canceled rejected interrupted
    error_type TEXT,
    task_state TEXT,
    sidecar_id INTEGER NOT NULL REFERENCES sidecars,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX acceptances_trace ON acceptances (trace_id, span_id);
CREATE INDEX acceptances_link ON acceptances (link_trace_id) WHERE link_trace_id IS NOT NULL;
CREATE INDEX acceptances_token ON acceptances (token_hash) WHERE token_hash IS NOT NULL;

-- Each sidecar adds to its own row what it really inserted, so totals never count a span twice.
CREATE TABLE trace_parts (
    trace_id BLOB NOT NULL CHECK (length(trace_id) = 16),
    sidecar_id INTEGER NOT NULL REFERENCES sidecars,
    span_count INTEGER NOT NULL,
    error_count INTEGER NOT NULL,      -- spans with status error
    delegation_count INTEGER NOT NULL,
    acceptance_count INTEGER NOT NULL,
    started_ns INTEGER NOT NULL,       -- earliest of all these
    ended_ns INTEGER NOT NULL,         -- latest end of a span; 0: none yet
    PRIMARY KEY (trace_id, sidecar_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX trace_parts_started ON trace_parts (started_ns);

-- Nobody writes a trace's status: an open delegation, or a root that has not ended, means running.
-- The root is the span without a parent or, when the caller keeps its spans elsewhere, the first
-- accepted one whose parent nobody here knows.
CREATE VIEW traces AS
SELECT t.trace_id,
    CASE
        WHEN t.open_delegation_count > 0 OR r.span_row IS NULL THEN 'running'
        WHEN EXISTS (SELECT 1 FROM delegations d
                      WHERE d.trace_id = r.trace_id AND d.span_id = r.span_id
                        AND d.state = 'canceled')
          OR EXISTS (SELECT 1 FROM acceptances a
                      WHERE a.trace_id = r.trace_id AND a.span_id = r.span_id
                        AND a.outcome = 'canceled')
          OR r.error_type IN ('canceled', 'cancelled', 'delegation.canceled', 'CancelledError',
                              'asyncio.exceptions.CancelledError') THEN 'cancelled'
        WHEN r.status = 'error' THEN 'error'
        ELSE 'success'
    END AS status,
    t.started_ns,
    nullif(t.ended_ns, 0) AS ended_ns, -- of the spans so far
    t.span_count,
    t.error_count,
    t.sidecar_count,
    t.agent_count,
    t.delegation_count,
    t.open_delegation_count,
    t.acceptance_count,
    t.depth,                           -- links of its longest chain of delegations
    r.span_id AS root_span_id,         -- NULL: it has not arrived
    r.name AS root_name,
    r.service AS root_service,
    r.session_id AS session_id
FROM (
    SELECT p.trace_id,
        min(p.started_ns) AS started_ns,
        max(p.ended_ns) AS ended_ns,
        sum(p.span_count) AS span_count,
        sum(p.error_count) AS error_count,
        count(*) AS sidecar_count,
        count(DISTINCT c.agent_id) AS agent_count,
        sum(p.delegation_count) AS delegation_count,
        sum(p.acceptance_count) AS acceptance_count,
        (SELECT count(*) FROM delegations d
          WHERE d.trace_id = p.trace_id AND d.closed_ns IS NULL) AS open_delegation_count,
        (SELECT coalesce(max(d.depth) + 1, 0) FROM delegations d
          WHERE d.trace_id = p.trace_id) AS depth,
        coalesce(
            (SELECT s.span_row FROM spans s
              WHERE s.trace_id = p.trace_id AND s.parent_span_id IS NULL
              ORDER BY s.started_ns LIMIT 1),
            (SELECT s.span_row FROM acceptances a
               JOIN spans s ON s.trace_id = a.trace_id AND s.span_id = a.span_id
              WHERE a.trace_id = p.trace_id
                AND NOT EXISTS (SELECT 1 FROM spans u
                                 WHERE u.trace_id = s.trace_id AND u.span_id = s.parent_span_id)
                AND NOT EXISTS (SELECT 1 FROM delegations d
                                 WHERE d.trace_id = s.trace_id AND d.span_id = s.parent_span_id)
              ORDER BY s.started_ns LIMIT 1)) AS root_row
    FROM trace_parts p JOIN sidecars c ON c.sidecar_id = p.sidecar_id
    GROUP BY p.trace_id
) t
LEFT JOIN spans r ON r.span_row = t.root_row;
