# SPDX-License-Identifier: Apache-2.0
"""libwaybill against real sidecars, driven through its public header by tests/support/client_driver.c."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

import pytest
from agents import agent_id, company, origin
from waybill_testkit import Sidecar, find_program, is_sanitized, wait_until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))

from weather import Weather  # noqa: E402

NAMES = ["a", "b"]


@pytest.fixture(scope="module")
def two():
    with company(NAMES) as sidecars:
        yield sidecars


@pytest.fixture
def one():
    with contextlib.closing(Sidecar("driver")) as sidecar:
        yield sidecar.start()


def drive(*args, timeout_s=60, **more):
    done = subprocess.run(
        [str(find_program("client_driver")), *map(str, args)],
        capture_output=True, text=True, timeout=timeout_s, **more,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def spans_of(sidecar, trace_id):
    with contextlib.suppress(sqlite3.OperationalError):  # no file yet, or no table
        with contextlib.closing(sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return db.execute("SELECT * FROM spans WHERE trace_id = ?", [bytes.fromhex(trace_id)]).fetchall()
    return []


def delegation_of(sidecar, delegation_id, until):
    def look():
        rows = json.loads(sidecar.cli("delegations", "--json", check=False) or "[]")
        return next((r for r in rows if r["delegation_id"] == delegation_id and until(r)), None)

    return wait_until(look, what="the row in the store")


# -- refusals and absence ---------------------------------------------------------------------------


def test_a_spoilt_carrier_is_refused_with_class_and_ref_and_no_more(two):
    said = drive("hop", two["a"].socket, two["b"].socket, origin(NAMES, "b"), "spoil")
    assert said["accept"] == "denied"
    assert said["wire_class"] in ("malformed", "unauthenticated")
    assert re.fullmatch("[0-9a-f]{16}", said["ref"])
    why = two["b"].cli("token", "why", said["ref"])
    assert "WB_E_" in why
    row = delegation_of(two["a"], said["delegation_id"], lambda r: r["state"] not in ("sent", "in_flight"))
    assert row["state"] == "rejected"


def test_without_a_sidecar_it_waits_once_and_goes_on_unsigned():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        said = drive("away", f"{folder}/ipc.sock", "unsigned")
    assert (said["first"], said["second"], said["accept"]) == ("ok", "ok", "ok")
    assert said["local"] and said["carrier"] == "" and not said["verified"] and said["verdict"] == 2
    assert said["first_ms"] < 3000 and said["rest_ms"] < 500
    assert said["work_trace"] != "0af7651916cd43dd8448eb211c80319c"
    assert (said["unsigned"], said["unverified"]) == (2, 1)
    assert said["dropped"] > 1000 and said["buffered"] > 20000
    assert said["recorded"] == said["dropped"] + said["buffered"]


def test_without_a_sidecar_it_fails_who_asks_for_that():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        said = drive("away", f"{folder}/ipc.sock", "fail")
    assert (said["first"], said["second"], said["accept"]) == ("unavailable",) * 3
    assert "sidecar" in said["detail"] and said["unsigned"] == 0


def test_a_sidecar_that_says_fail_is_obeyed_when_it_is_gone():
    config = "delegate: {on_unavailable: fail}\n"
    with contextlib.closing(Sidecar("driver", config=config)) as sidecar:
        sidecar.start()
        env = {**os.environ, "WAYBILL_DELEGATE_ON_UNAVAILABLE": ""}
        process = subprocess.Popen(
            [str(find_program("client_driver")), "obey", str(sidecar.socket)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
        )
        assert process.stdout.readline() == "greeted\n"
        sidecar.kill9()
        out, _ = process.communicate("gone\n", timeout=30)
    assert json.loads(out)["first"] == "unavailable"


def test_what_listens_and_is_no_sidecar_is_no_answer():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/ipc.sock")
        server.listen()
        said = drive("away", f"{folder}/ipc.sock", "unsigned")
    assert said["local"] and said["first"] == "ok"


def test_a_path_too_long_for_a_socket_is_said_at_once():
    done = subprocess.run([str(find_program("client_driver")), "report", "/tmp/" + "x" * 200],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "config" in done.stderr and "too long" in done.stderr


# -- a delegation -----------------------------------------------------------------------------------


def test_a_delegation_is_signed_verified_and_in_one_trace(two):
    said = drive("hop", two["a"].socket, two["b"].socket, origin(NAMES, "b"))
    assert said["accept"] == "ok" and said["signed"] and said["verified"]
    assert said["verdict"] == 1 and said["issuer"] == agent_id("a")
    assert said["work_trace"] == said["trace_id"] and said["tokens"] == 50 and said["turn"] == 1
    row = delegation_of(two["a"], said["delegation_id"], lambda r: r["state"] == "completed")
    assert row["trace_id"] == said["trace_id"]
    found = wait_until(
        lambda: (rows := spans_of(two["a"], said["trace_id"])) and len(rows) == 4 and rows,
        what="four spans",
    )
    by_id = {span["span_id"]: span for span in found}
    work = next(span for span in found if span["name"] == "work")
    server = by_id[work["parent_span_id"]]
    client = by_id[server["parent_span_id"]]
    root = by_id[client["parent_span_id"]]
    assert (server["kind"], client["kind"], root["name"]) == ("server", "client", "ask")
    assert said["unconfirmed"] == 0


# -- spans ------------------------------------------------------------------------------------------


def test_spans_of_many_threads_are_all_acknowledged_and_stored_once(one):
    said = drive("spans", one.socket, 8, 1000)
    assert said["flushed"] and said["recorded"] == 8001
    kept = said["acknowledged"]
    assert kept + said["dropped"] == 8001 and kept > 4000  # who waits 5 ms for the buffer drops, and counts it
    found = wait_until(
        lambda: (rows := spans_of(one, said["trace_id"])) and len(rows) == kept and rows, 20, "all spans"
    )
    root = next(span for span in found if span["name"] == "root")
    assert {span["parent_span_id"] for span in found if span["name"] == "work"} == {root["span_id"]}
    assert root["span_type"] == "agent" if "span_type" in root.keys() else True


def test_a_sidecar_killed_and_restarted_under_spans_loses_none(one):
    process = subprocess.Popen(
        [str(find_program("client_driver")), "steady", str(one.socket), "1000"],
        stdout=subprocess.PIPE, text=True,
    )
    for _ in range(3):
        wait_until(lambda: one.store.exists(), 10, "the store")
        one.kill9()
        one.start()
    out, _ = process.communicate(timeout=60)
    said = json.loads(out)
    assert said["flushed"] and said["dropped"] == 0 and said["rejected"] == 0
    assert said["acknowledged"] == said["recorded"] == 1001
    wait_until(lambda: len(spans_of(one, said["trace_id"])) == 1001, 20, "every span, once")


def test_a_sidecar_that_dies_during_the_handshake_is_not_the_end(tmp_path):
    """nng's own dialer ends for good when the peer is gone at its first send, and says so to nobody."""
    driver = find_program("client_driver")
    weather = Weather(tmp_path)
    weather.rule("send", times=1, delay_s=0.5)
    with contextlib.closing(Sidecar("late")) as late, socket.socket(socket.AF_UNIX) as dying:
        late.socket.parent.mkdir(parents=True, mode=0o700)
        dying.bind(str(late.socket))
        dying.listen()
        dying.settimeout(20)
        process = subprocess.Popen(
            [str(driver), "steady", str(late.socket), "100"],
            stdout=subprocess.PIPE, text=True,
            # A sanitizer wants to be the first; then the peer may be gone a little later.
            env=os.environ | ({} if is_sanitized(driver) else weather.env),
        )
        connection, _ = dying.accept()
        connection.close()
        dying.close()
        late.socket.unlink()
        time.sleep(0.6)
        late.start()
        out, _ = process.communicate(timeout=60)
        said = json.loads(out)
        assert said["flushed"] and said["acknowledged"] == said["recorded"] == 101


# -- process ----------------------------------------------------------------------------------------


def test_a_forked_child_is_told_unavailable_and_its_parent_goes_on(two):
    said = drive("fork", two["a"].socket, origin(NAMES, "b"))
    # The thread sanitizer ends every child of a process with threads, by an exit code of its own.
    assert said["child"] == 0 or is_sanitized(find_program("client_driver"))
    assert said["unsigned"] == 0 and said["flushed"]


def test_the_report_is_the_sidecars_own(one):
    assert drive("report", one.socket)["name"] == "driver"
