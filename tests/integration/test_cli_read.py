# SPDX-License-Identifier: Apache-2.0
"""What `waybill` says about a store, a sidecar and their surroundings: text, JSON, exit codes."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time

import pytest
from agents import Asker, a_delegate
from cli_store import FAILURE, NO, USAGE, YES, clean_env, filled_store, read, trace_id, waybill
from waybill_testkit import Sidecar, find_program, wait_until

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def store():
    with filled_store() as path:
        yield path


def walk(node):
    for child in node["children"]:
        yield child
        yield from walk(child)


# ---- refusals first ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["trace"],
        ["trace", "shew"],
        ["trace", "show"],
        ["trace", "show", "a", "b"],
        ["trace", "show", "not-hex"],
        ["trace", "list", "--status", "fine"],
        ["trace", "list", "--limit", "0"],
        ["trace", "list", "--limit", "many"],
        ["trace", "list", "--since", "yesterday"],
        ["trace", "list", "--what"],
        ["delegations", "extra"],
        ["status", "--color", "sometimes"],
        ["status", "--name", "../etc"],
        ["nothing"],
    ],
)
def test_a_wrong_command_line_is_2_and_says_where_to_look(store, args):
    done = waybill("--store", str(store), *args)
    assert done.returncode == USAGE
    assert done.stdout == ""
    assert done.stderr.startswith("waybill: ")
    assert "Usage:" in done.stderr or "--help" in done.stderr or "name has" in done.stderr


def test_no_store_is_3_with_a_way_out(tmp_path):
    export = ["trace", "export", "--all", "-o", str(tmp_path / "out")]
    for verb in (["trace", "list"], ["trace", "show", "ab"], ["delegations"], export, ["tail"], ["agents"]):
        done = waybill("--store", str(tmp_path / "none.db"), *verb)
        assert done.returncode == FAILURE
        assert "no store at" in done.stderr and "--store" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_trace_that_is_not_there_is_1(store):
    done = waybill("--store", str(store), "trace", "show", "ff")
    assert done.returncode == NO
    assert "no trace with this id" in done.stderr


def test_an_ambiguous_prefix_is_1(store):
    done = waybill("--store", str(store), "trace", "show", "000")
    assert done.returncode == NO
    assert "more than one" in done.stderr


def test_a_newer_store_is_refused_and_left_alone(store, tmp_path):
    newer = tmp_path / "store.db"
    shutil.copy(store, newer)
    with contextlib.closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version = 99")
    before = newer.read_bytes()
    done = waybill("--store", str(newer), "trace", "list")
    assert done.returncode == FAILURE
    assert "newer Waybill" in done.stderr and "upgrade" in done.stderr
    assert newer.read_bytes() == before


def test_hostile_names_reach_neither_terminal_nor_json(store):
    for args in (["trace", "list"], ["trace", "show", trace_id(4)], ["trace", "show", trace_id(4), "--attributes"]):
        for options in ([], ["--json"]):
            done = waybill("--store", str(store), "--color", "never", *options, *args)
            assert done.returncode == YES
            assert not CONTROL.search(done.stdout), CONTROL.findall(done.stdout)
    shown = waybill("--store", str(store), "trace", "show", trace_id(4)).stdout
    assert "\\u{1b}]0;owned\\u{7}" in shown
    assert not any(line.startswith("forged line") for line in shown.splitlines())
    tree = read(store, "trace", "show", trace_id(4))
    assert any(node.get("name", "").startswith("\x1b]0;owned") for node in walk(tree))


def test_an_argument_with_escapes_does_not_come_back_raw(store):
    done = waybill("--store", str(store), "trace", "show", "\x1b[2J")
    assert done.returncode == USAGE
    assert "\x1b" not in done.stderr


# ---- trace list and trace show -----------------------------------------------------------------


def test_traces_are_listed_newest_first_with_what_they_are(store):
    traces = read(store, "trace", "list")
    assert [int(t["trace_id"], 16) for t in traces] == [8, 7, 6, 5, 4, 3, 2, 1]
    by_id = {int(t["trace_id"], 16): t for t in traces}
    assert {n: t["status"] for n, t in by_id.items()} == {
        1: "success", 2: "running", 3: "success", 4: "error",
        5: "error", 6: "cancelled", 7: "running", 8: "success",
    }
    one = by_id[1]
    assert (one["span_count"], one["agent_count"], one["delegation_count"], one["depth"]) == (6, 3, 2, 2)
    assert one["open_delegation_count"] == 0 and by_id[2]["open_delegation_count"] == 1
    assert one["root_name"] == "plan" and one["ended_ns"] - one["started_ns"] == 1_000_000_000
    assert by_id[2]["root_span_id"] is None


def test_filters_of_the_list(store):
    def ids(*args: str) -> list[int]:
        return [int(t["trace_id"], 16) for t in read(store, "trace", "list", *args)]

    assert ids("--status", "running") == [7, 2]
    assert ids("--agent", "researcher") == [3, 1]
    assert ids("--agent", "spiffe://waybill.local/host/researcher", "--limit", "1") == [3]
    assert ids("--limit", "2") == [8, 7]
    assert ids("--since", "1h") == []
    assert len(ids("--since", "20000d")) == 8


def test_a_trace_is_one_tree_over_all_agents(store):
    trace = read(store, "trace", "show", trace_id(1))
    (root,) = trace["children"]
    chain = [root]
    while chain[-1]["children"]:
        (child,) = chain[-1]["children"]
        assert child["parent_span_id"] == chain[-1]["span_id"]
        chain.append(child)
    assert [node["sidecar"] for node in chain] == ["planner"] * 2 + ["writer"] * 3 + ["researcher"]
    assert [node["kind"] for node in chain] == ["internal", "client", "server", "internal", "client", "server"]
    sent, got = chain[1]["delegation"], chain[2]["acceptance"]
    assert sent["state"] == "completed" and sent["chain"] == ["root.token.1"]
    assert got["verdict"] == "continue" and got["verified"] and got["chain"] == sent["chain"]
    assert got["token_hash"] == sent["token_hash"] == "a1" * 32
    assert chain[4]["delegation"]["parent_acceptance"] == got["acceptance_id"]
    assert chain[5]["acceptance"]["warnings"] == ["WB_W_SUB"]
    assert chain[3]["attributes"]["waybill.acceptance.id"] == got["acceptance_id"]
    assert root["resource"] == {"service.name": "planner"} and root["duration_ns"] == 1_000_000_000
    (linked,) = trace["linked_from"]
    assert (linked["verdict"], linked["verified"], linked["code"]) == ("link", False, "WB_E_MISSING")
    assert linked["trace_id"] == trace_id(3)


def test_what_is_open_stands_in_the_tree(store):
    (delegation,) = read(store, "trace", "show", trace_id(2))["children"]
    assert delegation["open"] and delegation["delegation"]["state"] == "in_flight"
    (accepted,) = delegation["children"]
    assert accepted["open"] and accepted["acceptance"]["open"]
    (work,) = accepted["children"]
    assert not work["open"] and work["name"] == "drafting"
    text = waybill("--store", str(store), "trace", "show", trace_id(2)).stdout
    assert "delegate writer (open)" in text and "in_flight" in text and "running" in text


def test_every_span_is_shown_once_whatever_its_parent_says(store):
    trace = read(store, "trace", "show", trace_id(4))
    names = sorted(node["name"] for node in walk(trace))
    assert len(names) == trace["span_count"] == 6 and len(set(names)) == 6
    assert {n["name"] for n in walk(trace) if n["orphan"]} >= {"orphan"}


def test_a_very_deep_trace_is_cut_and_says_so(store):
    text = waybill("--store", str(store), "trace", "show", trace_id(8)).stdout
    assert text.count("deep  [") == 200 and "(100 spans below are too deep to show)" in text
    trace = read(store, "trace", "show", trace_id(8))
    nodes = list(walk(trace))
    assert len(nodes) == 200 and nodes[-1]["children_left_out"]


def test_the_text_tree_names_agents_verdicts_and_durations(store):
    text = waybill("--store", str(store), "trace", "show", trace_id(1), "--attributes").stdout
    lines = text.splitlines()
    assert lines[0].startswith(f"trace {trace_id(1)}  success")
    assert any("└─ delegate writer client  [planner]  890.0ms  completed" in line for line in lines)
    assert "continue: verified, depth 0" in text and "warnings: WB_W_SUB" in text
    assert 'test.note = "a \\"quoted\\" value"' in text
    assert f"linked from trace {trace_id(3)}" in text
    ascii_text = waybill("--store", str(store), "trace", "show", trace_id(1), env=clean_env(LANG="C")).stdout
    assert ascii_text.isascii() and "`- delegate writer" in ascii_text


def test_colours_only_where_asked_for(store):
    assert "\x1b" not in waybill("--store", str(store), "trace", "list").stdout
    assert "\x1b[32msuccess\x1b[0m" in waybill("--store", str(store), "--color=always", "trace", "list").stdout


# ---- delegations -------------------------------------------------------------------------------


def test_delegations_oldest_first_and_the_open_ones(store):
    every = read(store, "delegations")
    assert [d["state"] for d in every] == ["completed", "answered", "in_flight", "canceled"]
    (still,) = read(store, "delegations", "--open")
    assert still["open"] and still["target_name"] == "writer" and still["sidecar"] == "planner"
    text = waybill("--store", str(store), "delegations").stdout.splitlines()
    assert text[0].split() == ["ID", "AGE", "STATE", "FROM", "TO", "TASK", "DEADLINE", "TRACE"]
    assert len(text) == 5 and "passed" in text[3]


def test_watch_prints_each_change_as_one_json_line(store, tmp_path):
    copy = tmp_path / "store.db"
    shutil.copy(store, copy)
    process = subprocess.Popen(
        [str(find_program("waybill")), "--store", str(copy), "delegations", "--watch", "--open"],
        env=clean_env(), stdout=subprocess.PIPE, text=True,
    )
    try:
        first = json.loads(process.stdout.readline())
        assert first["state"] == "in_flight"
        with contextlib.closing(sqlite3.connect(copy)) as db, db:
            db.execute("UPDATE delegations SET state = 'waiting_input', version = 9 WHERE closed_ns IS NULL")
        second = json.loads(process.stdout.readline())
        assert (second["delegation_id"], second["state"]) == (first["delegation_id"], "waiting_input")
        time.sleep(1.2)
        assert process.poll() is None
    finally:
        process.kill()
        rest, _ = process.communicate()
    assert rest == ""


# ---- status and doctor -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sidecar():
    with Sidecar("planner") as running:
        yield running


def ask(sidecar: Sidecar, *args: str) -> subprocess.CompletedProcess[str]:
    return waybill(*args, env=sidecar.env)


def checks(sidecar: Sidecar) -> tuple[int, dict[str, dict]]:
    done = ask(sidecar, "--json", "doctor")
    found: dict[str, dict] = {}
    order = ["ok", "warn", "fail"]
    for check in json.loads(done.stdout):  # a check may say several things: keep the worst
        known = found.get(check["check"])
        if not known or order.index(check["result"]) > order.index(known["result"]):
            found[check["check"]] = check
    return done.returncode, found


def test_status_without_a_sidecar_is_1():
    with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as home:
        env = clean_env(XDG_RUNTIME_DIR=home)
        done = waybill("status", "--name", "nobody", env=env)
        assert done.returncode == NO and "no sidecar named nobody" in done.stderr
        done = waybill("status", "--name", "nobody", "--json", env=env)
        assert done.returncode == NO and json.loads(done.stdout)["running"] is False


def test_status_shows_who_runs_and_how(sidecar):
    done = ask(sidecar, "status")
    assert done.returncode == YES, done.stderr
    assert done.stdout.startswith("planner: running\n")
    assert str(sidecar.pid) in done.stdout and "isolation   none" in done.stdout
    assert re.search(r"^  loaded +generation 1, 20\d\d-", done.stdout, re.M), done.stdout
    report = json.loads(ask(sidecar, "status", "--json").stdout)
    assert report["running"] and report["report"]["name"] == "planner"
    assert report["socket"] == str(sidecar.socket) and report["store"] == str(sidecar.store)


def test_doctor_is_content_with_a_healthy_sidecar(sidecar):
    code, found = checks(sidecar)
    assert code == YES, found
    for check in ("sidecar", "version", "run dir", "socket", "state dir", "key", "journal", "exporter"):
        assert found[check]["result"] == "ok", found[check]
    assert found["trust"]["result"] == "warn" and "trust add" in found["trust"]["todo"]


@pytest.mark.parametrize(
    "check, path, mode",
    [
        ("state dir", lambda s: s.state_dir, 0o755),
        ("run dir", lambda s: s.run_dir, 0o777),
        ("socket", lambda s: s.socket, 0o666),
        ("key", lambda s: s.state_dir / "keys" / "current.key", 0o644),
    ],
)
def test_doctor_fails_what_others_could_get_at(sidecar, check, path, mode):
    victim = path(sidecar)
    before = victim.stat().st_mode & 0o7777
    victim.chmod(mode)
    try:
        code, found = checks(sidecar)
    finally:
        victim.chmod(before)
    assert code == NO
    assert found[check]["result"] == "fail" and found[check]["todo"]
    # the sidecar too may have seen the key like that, and looks again after a while
    wait_until(lambda: checks(sidecar)[0] == YES, 30, "a doctor that is content again")


def test_doctor_names_a_broken_trust_file(sidecar):
    folder = sidecar.state_dir / "trust.d"
    made = not folder.exists()
    folder.mkdir(mode=0o700, exist_ok=True)
    bad = folder / "broken.json"
    bad.write_text("{", encoding="utf-8")
    bad.chmod(0o600)
    try:
        code, found = checks(sidecar)
    finally:
        bad.unlink()
        if made:
            folder.rmdir()
    assert code == NO
    assert found["trust"]["result"] == "fail" and "broken.json" in found["trust"]["detail"]


def test_doctor_fails_an_exporter_that_fails(sidecar):
    asker = Asker(sidecar)
    asker.ask(delegate=a_delegate("http://127.0.0.1:1"))
    wait_until(sidecar.store.exists, 10, "the store")
    db = sqlite3.connect(sidecar.store, isolation_level=None, timeout=20)
    db.execute("BEGIN IMMEDIATE")
    asker.ask(delegate=a_delegate("http://127.0.0.1:1"))

    def trouble():
        found = checks(sidecar)[1]["exporter"]
        return found if found["result"] != "ok" else None

    found = wait_until(trouble, 30, "the error")
    db.execute("ROLLBACK")
    db.close()
    asker.close()
    assert found["result"] == "fail" and "locked" in found["detail"], found
    wait_until(lambda: checks(sidecar)[1]["exporter"]["result"] == "ok", 30, "an exporter that goes on")


def test_doctor_fails_where_no_sidecar_of_that_name_runs(sidecar):
    for args in ((), ("--strict",)):
        done = ask(sidecar, "doctor", "--name", "nosuch", *args)
        assert done.returncode == NO
        (line,) = [each for each in done.stdout.splitlines() if each.split()[1] == "sidecar"]
        assert line.startswith("fail ") and "no sidecar named nosuch runs here" in line and "--name" in line
        assert "1 failures" in done.stdout


def test_doctor_looks_for_no_store_where_there_is_none():
    with Sidecar("storeless", config="store: {type: none}\n") as storeless:
        store = checks(storeless)[1]["store"]
        assert store["result"] == "ok" and "store.type: none" in store["detail"]


def test_doctor_does_not_say_what_it_cannot_know(sidecar):
    with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as home:
        env = clean_env(XDG_RUNTIME_DIR=home, XDG_STATE_HOME=home, HOME=home)
        done = waybill("doctor", "--name", "nobody", env=env)
        assert "nothing holds back" not in done.stdout and "unknown: " in done.stdout
    ring = sidecar.state_dir / "refusals.ring"
    ring.rename(ring.with_suffix(".away"))
    try:
        found = checks(sidecar)[1]["enforce"]
    finally:
        ring.with_suffix(".away").rename(ring)
    assert found["result"] == "warn" and found["detail"].startswith("unknown: ")


def test_doctor_and_status_tell_a_killed_sidecar_from_one_that_never_ran():
    with Sidecar("victim") as killed:
        killed.kill9()
        done = ask(killed, "status")
        assert done.returncode == NO and "is gone" in done.stderr
        code, found = checks(killed)
        assert code == NO and found["sidecar"]["result"] == "fail"
        assert "start waybilld" in found["sidecar"]["todo"]


def test_what_is_not_there_is_not_mistaken_for_a_key_or_a_token():
    with tempfile.TemporaryDirectory(prefix="wb-", dir="/tmp") as home:
        env = clean_env(XDG_RUNTIME_DIR=home, XDG_STATE_HOME=home, HOME=home)
        for verb in (["token", "verify"], ["token", "inspect"], ["trust", "add"]):
            for name in ("nofile", f"{home}/no-such-file-of-a-name-that-is-long-enough.json"):
                done = waybill(*verb, name, env=env)
                assert done.returncode == FAILURE and "no such file" in done.stderr, (verb, done)
        done = waybill("trust", "add", "/dev/null", env=env)
        assert done.returncode == NO and "neither a public key" in done.stderr
        window = ("--id", "spiffe://example.org/a", "--not-before", "10", "--not-after", "5")
        done = waybill("trust", "add", "A" * 43, *window, env=env)
        assert done.returncode == USAGE and "later than --not-before" in done.stderr
        for verb in (["reload"], ["trust", "policy"], ["exporter", "forget", "x"]):
            assert waybill(*verb, "--name", "nobody", env=env).returncode == FAILURE, verb


def test_help_of_every_verb():
    overview = waybill("--help")
    assert overview.returncode == YES
    verbs = re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", overview.stdout.split("Global options")[0], re.M)
    assert len(verbs) >= 11
    for verb in verbs:
        done = waybill(*verb.split(), "--help")
        assert done.returncode == YES and done.stdout.startswith(f"Usage: waybill {verb}")
        assert "--json" in done.stdout
    assert waybill("--version").stdout.startswith("waybill ")
