#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make what docker-compose.yml needs before anything starts, and nothing that is there already: a key for
# each sidecar, everybody's trust, three passwords of the database, and folders that belong to who uses
# them. Runs once, as root without a network, in the image of the sidecar:
#
#     /state/NAME    the volume that NAME's sidecar has at /var/lib/waybill
#     /socket/NAME   the volume that NAME and its sidecar share, at /run/waybill
#     /database      three passwords; for the database, and for who makes roles and tables in it
set -eu
umask 077
agents="planner researcher writer"
domain=spiffe://demo.example
sidecar=10002

as_sidecar() { setpriv --reuid=$sidecar --regid=$sidecar --clear-groups "$@"; }
waybill_of() { # NAME ARGS
    of=$1
    shift
    as_sidecar waybill --name "$of" --state-dir "/state/$of/$of" "$@"
}
password() { # FILE
    [ -s "$1" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$1.new"
    [ -s "$1" ] || mv "$1.new" "$1"
    chown $sidecar:$sidecar "$1"
    chmod 0400 "$1"
}

for agent in $agents; do
    chown $sidecar:$sidecar "/state/$agent" "/socket/$agent"
    chmod 0700 "/state/$agent"
    chmod 0755 "/socket/$agent"
    install -d -m 0700 -o $sidecar -g $sidecar "/state/$agent/$agent" "/state/$agent/secrets"
    [ -e "/state/$agent/$agent/keys/current.key" ] \
        || waybill_of "$agent" key new --id "$domain/$agent" >/dev/null
done

# Each believes the two others. What is known already is no failure (exit code 1).
for agent in $agents; do
    for other in $agents; do
        [ "$agent" = "$other" ] && continue
        waybill_of "$other" trust bundle --id "$domain/$other" >/tmp/bundle
        waybill_of "$agent" trust add - </tmp/bundle || [ $? = 1 ]
    done
done

chown $sidecar:$sidecar /database
chmod 0700 /database
for role in owner writer reader; do
    password "/database/$role"
done
for agent in $agents; do
    cp /database/writer "/state/$agent/secrets/postgres"
    chown $sidecar:$sidecar "/state/$agent/secrets/postgres"
    chmod 0400 "/state/$agent/secrets/postgres"
done
echo "keys, trust and passwords are there"
