# SPDX-License-Identifier: Apache-2.0
"""docs/postgres.md, typed as it stands there against a server, and its list of columns."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile

from cli_store import clean_env
from postgres import Cluster, Database, program
from test_postgres import holds, send
from test_store_reference import migrated
from waybill_testkit import ROOT, Sidecar, find_program

sys.path.insert(0, str(ROOT / "tests" / "docs"))
from pages import Block, blocks  # noqa: E402


def columns(cluster: Cluster) -> dict[str, set[str]]:
    rows = cluster.sql("SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                       " WHERE c.relnamespace = 'waybill'::regnamespace AND c.relkind IN ('r', 'p', 'v')"
                       " AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped", "agents")
    tables: dict[str, set[str]] = {}
    for table, column in rows:
        tables.setdefault(table, set()).add(column)
    return tables


def listed_differences() -> dict[str, set[str]]:
    """What the page's last table says of each table that SQLite has, too."""
    found: dict[str, set[str]] = {}
    page = (ROOT / "docs" / "postgres.md").read_text(encoding="utf-8")
    for line in page.split("## Differences")[1].splitlines():
        cells = line.split("|")
        if len(cells) > 2:
            for table in re.findall(r"`(\w+)`", cells[1]):
                found[table] = set(re.findall(r"`(\w+)`", cells[2]))
    return found


def run_block(block: Block, env: dict[str, str]) -> None:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], env=env, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, (block.place, done.stderr)


def run_sidecar(block: Block, cluster: Cluster, home: str) -> None:
    secret = f"{home}/password"
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write("unused")
    text = block.text.replace("db.example.org:5432", f"127.0.0.1:{cluster.port}")
    text = text.replace("?sslmode=verify-full", "").replace("/etc/waybill/postgres.password", secret)
    with Sidecar(config=text) as sidecar:
        holds(Database(cluster, "agents"), send(sidecar, 3))


def test_the_page_is_what_happens():
    here = [block for block in blocks("docs/postgres.md") if block.language in ("sh", "yaml")]
    folders = [str(find_program("waybill").parent), os.path.dirname(program("psql")), os.environ["PATH"]]
    with Cluster() as cluster, tempfile.TemporaryDirectory(prefix="wb-page-", dir="/tmp") as home:
        env = clean_env(PATH=os.pathsep.join(folders), HOME=home, PGHOST="127.0.0.1", PGPORT=str(cluster.port),
                        PGUSER="postgres")
        for block in here:
            if block.language == "sh":
                run_block(block, env)
            else:
                run_sidecar(block, cluster, home)
        tables, file, listed = columns(cluster), migrated(), listed_differences()
    assert tables.keys() - file.keys() == {"trace_windows"} and file.keys() <= tables.keys()
    assert listed["trace_windows"] == tables["trace_windows"]
    for table, names in file.items():
        missing = (tables[table] ^ names) - listed.get(table, set())
        assert not missing, (table, missing)
