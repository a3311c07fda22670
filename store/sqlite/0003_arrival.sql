-- SPDX-License-Identifier: Apache-2.0
-- Schema version 3: what arrived since, and what an agent did within a time, without reading every row.
-- A row's seq is the frame of its sidecar's journal that changed it last.

CREATE INDEX delegations_arrival ON delegations (sidecar_id, seq);
CREATE INDEX acceptances_arrival ON acceptances (sidecar_id, seq);
CREATE INDEX acceptances_opened ON acceptances (opened_ns, sidecar_id, verdict, verified);
