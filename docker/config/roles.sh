#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The roles of the sidecars and of readers: made once, their passwords set each time. Their rights are the
# schema's matter: `waybill store migrate` grants them. Runs as the owner.
set -eu
PGHOST=postgres PGUSER=waybill PGDATABASE=waybill PGPASSWORD=$(cat /run/passwords/owner)
export PGHOST PGUSER PGDATABASE PGPASSWORD
for role in writer reader; do
    psql -q --no-psqlrc -v ON_ERROR_STOP=1 -v "role=waybill_$role" -v "password=$(cat /run/passwords/$role)" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'role') WHERE NOT EXISTS (
    SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" PASSWORD :'password';
SQL
done
echo "the roles waybill_writer and waybill_reader are there"
