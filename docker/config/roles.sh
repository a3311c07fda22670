#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The role of the sidecars: made once, its password set each time, its rights given each time (a newer
# schema may have more tables). Runs as the schema's owner.
set -eu
PGHOST=postgres PGUSER=waybill PGDATABASE=waybill PGPASSWORD=$(cat /run/passwords/owner)
export PGHOST PGUSER PGDATABASE PGPASSWORD
writer=$(cat /run/passwords/writer)
psql -q --no-psqlrc -v ON_ERROR_STOP=1 -v "password=$writer" <<'SQL'
SELECT 'CREATE ROLE waybill_writer LOGIN' WHERE NOT EXISTS (
    SELECT FROM pg_roles WHERE rolname = 'waybill_writer') \gexec
ALTER ROLE waybill_writer PASSWORD :'password';
SELECT waybill.grant_writer('waybill_writer');
SQL
echo "the role waybill_writer is there"
