# SPDX-License-Identifier: Apache-2.0
"""The demo passes, twice without an id in common; and it fails when something is really broken."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo" / "run.py"
CHECKER = ROOT / "examples" / "demo" / "checker.py"
LIMIT_S = 60

IDS = [
    "SELECT hex(trace_id) FROM spans",
    "SELECT hex(span_id) FROM spans",
    "SELECT hex(delegation_id) FROM delegations",
    "SELECT message_id FROM delegations",
    "SELECT hex(token_hash) FROM delegations WHERE token_hash IS NOT NULL",
    "SELECT hex(acceptance_id) FROM acceptances",
    "SELECT hex(journal_id) FROM sidecars",
]


def play(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEMO), *options], capture_output=True, text=True, timeout=3 * LIMIT_S
    )


def store_of(folder: pathlib.Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "data" / "waybill" / "store.db")


def ids_of(folder: pathlib.Path) -> set[str]:
    db = store_of(folder)
    return {row[0] for query in IDS for row in db.execute(query)}


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> list[tuple[pathlib.Path, subprocess.CompletedProcess[str], float]]:
    runs = []
    for number in range(2):
        folder = tmp_path_factory.mktemp("demo") / str(number)
        started = time.monotonic()
        done = play("--json", "--folder", str(folder))
        runs.append((folder, done, time.monotonic() - started))
    return runs


def test_the_demo_passes_within_its_time(played):
    for _, done, took in played:
        assert done.returncode == 0, done.stdout + done.stderr
        assert took <= LIMIT_S
        acts = [line[0] for line in done.stderr.splitlines() if line[1:4] == " | "]
        assert acts == list("012345")


def test_two_runs_share_no_id(played):
    first, second = (ids_of(folder) for folder, _, _ in played)
    assert len(first) > 40 and len(second) > 40
    assert not first & second


def test_json_is_the_tree_of_the_main_trace(played):
    folder, done, _ = played[0]
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report["trace_id"] in json.dumps(json.loads(done.stdout))


HOPS_THROUGH_C = """
SELECT d.issuer, d.target_agent_id, hex(d.trace_id), hex(a.trace_id), hex(d.span_id), hex(a.parent_span_id),
       a.verdict, a.verified, client.kind, server.kind
FROM delegations d
JOIN acceptances a ON a.message_id = d.message_id
JOIN spans client ON client.trace_id = d.trace_id AND client.span_id = d.span_id
JOIN spans server ON server.trace_id = a.trace_id AND server.span_id = a.span_id
WHERE d.issuer LIKE '%/proofreader' OR d.target_agent_id LIKE '%/proofreader'
ORDER BY d.depth
"""


def test_an_agent_in_c_stands_between_two_in_python_in_one_verified_trace(played):
    """planner, by a2a-sdk, asks proofreader, in C, which asks researcher, by a2a-sdk."""
    for folder, _, _ in played:
        trace = json.loads((folder / "report.json").read_text("utf-8"))["trace_id"]
        rows = store_of(folder).execute(HOPS_THROUGH_C).fetchall()
        domain = "spiffe://demo.example/"
        assert [row[:2] for row in rows] == [
            (f"{domain}planner", f"{domain}proofreader"),
            (f"{domain}proofreader", f"{domain}researcher"),
        ]
        for _, _, asked_in, worked_in, client_span, parent, *judged in rows:
            assert asked_in.lower() == worked_in.lower() == trace
            assert client_span == parent
            assert judged == ["continue", 1, "client", "server"]


def test_the_agent_in_c_is_a_program_on_the_installed_library(played):
    program = played[0][0] / "c_agent" / "proofreader"
    shown = subprocess.run(["readelf", "-d", str(program)], capture_output=True, text=True, check=True).stdout
    assert "[libwaybill.so.0]" in shown


@pytest.mark.parametrize(
    "plant,says",
    [
        ("missing-key", "checker: spiffe://demo.example/planner -> spiffe://demo.example/writer"),
        ("missing-key-c", "checker: spiffe://demo.example/planner -> spiffe://demo.example/proofreader"),
        ("no-restart", "checker: "),
    ],
)
def test_a_planted_fault_fails_the_demo(tmp_path, plant, says):
    done = play("--plant", plant, "--folder", str(tmp_path / plant))
    assert done.returncode != 0
    findings = [line for line in done.stdout.splitlines() if line.startswith("checker: ")]
    assert any(says in line for line in findings), done.stdout + done.stderr


def altered(folder: pathlib.Path, statement: str) -> subprocess.CompletedProcess[str]:
    """The checker's verdict on a store in which one thing was changed."""
    db = store_of(folder)
    file = folder / "altered.db"
    file.unlink(missing_ok=True)
    db.execute("VACUUM INTO ?", (str(file),))
    db.close()
    changed = sqlite3.connect(file)
    with changed:
        assert changed.execute(statement).rowcount > 0
    changed.close()
    report = json.loads((folder / "report.json").read_text("utf-8"))
    report["store"] = str(file)
    report["logs"] = {name: str(folder / name / f"{name}.log") for name in report["logs"]}
    report["trust"] = {
        name: str(folder / name / "state" / "waybill" / name / "trust.d") for name in report["trust"]
    }
    (folder / "altered.json").write_text(json.dumps(report))
    return subprocess.run(
        [sys.executable, str(CHECKER), str(folder / "altered.json")], capture_output=True, text=True
    )


def test_the_checker_accepts_an_unaltered_copy(played):
    done = altered(played[0][0], "UPDATE sidecars SET name = name")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM spans WHERE kind = 'server' AND rowid = (SELECT min(rowid) FROM spans WHERE kind = 'server')",
        "DELETE FROM spans WHERE name = 'search'",
        "DELETE FROM acceptances WHERE depth = 1",
        "DELETE FROM delegations WHERE depth = 1",
        "UPDATE spans SET parent_span_id = NULL WHERE name = 'outline'",
        "UPDATE spans SET trace_id = x'00112233445566778899aabbccddeeff' WHERE name = 'write'",
        "UPDATE spans SET acceptance_id = NULL WHERE name = 'outline'",
        "UPDATE spans SET acceptance_id = NULL WHERE name = 'count words'",
        "DELETE FROM spans WHERE name = 'proofread'",
        "UPDATE delegations SET state = 'failed' WHERE issuer LIKE '%proofreader'",
        "UPDATE acceptances SET parent_span_id = span_id WHERE issuer LIKE '%proofreader'",
        "UPDATE acceptances SET verdict = 'link' WHERE agent_id LIKE '%proofreader'",
        "UPDATE spans SET acceptance_id = (SELECT acceptance_id FROM spans WHERE name = 'write')"
        " WHERE name = 'read file' AND rowid = (SELECT min(rowid) FROM spans WHERE name = 'read file')",
        "UPDATE acceptances SET verified = 1 WHERE verified = 0",
        "UPDATE acceptances SET verdict = 'link' WHERE depth = 1",
        "UPDATE acceptances SET finished_ns = NULL WHERE agent_id LIKE '%writer'",
        "UPDATE acceptances SET chain = json_array(replace(json_extract(chain, '$[0]'), '.e', '.f'))"
        " WHERE agent_id LIKE '%writer'",
        "UPDATE delegations SET state = 'lost' WHERE depth = 1",
        "UPDATE delegations SET body_digest = token_hash WHERE depth = 0",
        "UPDATE delegations SET chain = json_array(json_extract(chain, '$[1]')) WHERE depth = 1",
        "UPDATE delegations SET chain = '[]' WHERE depth = 1",
    ],
)
def test_the_checker_sees_one_altered_fact(played, statement):
    done = altered(played[0][0], statement)
    assert done.returncode != 0, done.stdout


def test_the_checker_sees_a_flipped_signature(played):
    """The last sixty characters of a stored token belong to its signature."""
    statement = (
        "UPDATE acceptances SET chain = CASE WHEN substr(chain, length(chain) - 40, 1) = 'A'"
        " THEN substr(chain, 1, length(chain) - 41) || 'B' || substr(chain, length(chain) - 39)"
        " ELSE substr(chain, 1, length(chain) - 41) || 'A' || substr(chain, length(chain) - 39) END"
        " WHERE verified = 1"
    )
    done = altered(played[0][0], statement)
    assert done.returncode != 0
    assert "a signature is bad" in done.stdout
