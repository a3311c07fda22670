-- SPDX-License-Identifier: Apache-2.0
-- Schema version 4: log records. One that names a span is an event of it, whoever wrote the two and
-- whichever came first.

-- OTLP gives log records no id. What is delivered again is known by its place in the sidecar's journal: the
-- first write of (sidecar_id, seq, entry, item) wins.
CREATE TABLE logs (
    log_row INTEGER PRIMARY KEY,
    trace_id BLOB CHECK (length(trace_id) = 16), -- NULL: of no trace
    span_id BLOB CHECK (length(span_id) = 8),    -- NULL: of no span
    time_ns INTEGER NOT NULL,          -- when it happened, else when it was seen; 0: nobody says
    observed_ns INTEGER,
    severity INTEGER NOT NULL,         -- SeverityNumber, 1 to 24; 0: none
    severity_text TEXT,
    event_name TEXT,
    body TEXT,                         -- where it is text: its first 500 characters
    service TEXT,                      -- resource service.name
    acceptance_id BLOB,                -- waybill.acceptance.id
    delegation_id BLOB,                -- waybill.delegation.id
    sidecar_id INTEGER NOT NULL REFERENCES sidecars,
    seq INTEGER NOT NULL,              -- journal frame it came in,
    entry INTEGER NOT NULL,            -- which record of that,
    item INTEGER NOT NULL,             -- which log record of that; all from 0
    resource_id INTEGER REFERENCES resources,
    scope_id INTEGER REFERENCES scopes,
    log BLOB NOT NULL,                 -- the OTLP LogRecord message: body, attributes
    UNIQUE (sidecar_id, seq, entry, item)
) STRICT;

CREATE INDEX logs_trace ON logs (trace_id, time_ns) WHERE trace_id IS NOT NULL;
CREATE INDEX logs_alone ON logs (time_ns) WHERE trace_id IS NULL;
