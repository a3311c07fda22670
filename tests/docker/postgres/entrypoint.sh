#!/bin/sh
# As the official image: at the first start a cluster whose superuser and database POSTGRES_USER and
# POSTGRES_DB name, with the password of POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE; then the server.
set -eu
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ "$1" != postgres ]; then
    exec "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=${POSTGRES_PASSWORD:-$(cat "$POSTGRES_PASSWORD_FILE")}
    chown postgres:postgres "$PGDATA"
    as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
    umask 077
    printf '%s' "$password" >/tmp/password
    chown postgres /tmp/password
    as initdb -U "$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    as pg_ctl -w -o "-c listen_addresses=''" start
    [ "$database" = postgres ] || as psql -U "$user" -d postgres -c "CREATE DATABASE \"$database\""
    as pg_ctl -w -m fast stop
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@" -c "listen_addresses=*"
