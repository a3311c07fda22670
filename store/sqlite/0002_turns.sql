-- SPDX-License-Identifier: Apache-2.0
-- Schema version 2: what a delegation was granted, and its turns. A limit that is NULL is no limit;
-- without a currency no token was ever made.

ALTER TABLE delegations ADD COLUMN currency TEXT;
ALTER TABLE delegations ADD COLUMN granted_cost_micros INTEGER;
ALTER TABLE delegations ADD COLUMN granted_tokens INTEGER;
ALTER TABLE delegations ADD COLUMN granted_ms INTEGER;
ALTER TABLE delegations ADD COLUMN turns INTEGER NOT NULL DEFAULT 1; -- messages of the task
