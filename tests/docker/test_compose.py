# SPDX-License-Identifier: Apache-2.0
"""The compose stack with Jaeger, out of the unchanged files, in a real engine: it comes up by itself, its
three agents make a report, and the trace of that is one verified tree, the same in Postgres and in Jaeger."""

import collections
import json
import re

import pytest

from stack import AGENTS, D, brought_up, is_marker
from waybill_testkit import wait_until

HOPS = {(D + "planner", D + "researcher"): 0, (D + "planner", D + "writer"): 0,
        (D + "writer", D + "researcher"): 1}


@pytest.fixture(scope="module")
def stack(engine):
    with brought_up(engine) as found:
        yield found


@pytest.fixture(scope="module")
def trace_id(stack):
    return stack.report_trace()


# ---- the containers ------------------------------------------------------------------------------


def test_steps_that_run_once_succeeded(stack):
    for service in ("keys", "schema", "roles"):
        state = stack.inspect(service)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), service


@pytest.mark.parametrize("agent", AGENTS)
def test_sidecar_is_healthy_isolated_and_locked_in(stack, agent):
    service = f"{agent}-waybill"
    wait_until(lambda: stack.health(service) == "healthy", 60, f"{service}: healthy")
    report = json.loads(stack.run(service, "waybill", "--json", "status"))["report"]
    assert report["isolation"] == "uid", report["isolation_because"]
    assert report["sandbox"]["landlock"] and report["sandbox"]["seccomp"], report["sandbox"]
    assert report["sandbox"]["refused_calls"] == 0
    assert report["agent_id"] == D + agent
    states = {each["name"]: each["last_error"] for each in report["exporters"]}
    assert "jaeger" in states and len(states) == 2 and not any(states.values()), states


@pytest.mark.parametrize("agent", AGENTS)
def test_two_users_one_network_and_only_the_socket_between_them(stack, agent):
    ours, theirs = stack.inspect(f"{agent}-waybill"), stack.inspect(agent)
    assert ours["HostConfig"]["NetworkMode"] == f"container:{theirs['Id']}"
    mounts = [{mount.get("Name") or mount["Source"] for mount in each["Mounts"]} for each in (ours, theirs)]
    assert {name.split("_", 1)[-1] for name in mounts[0] & mounts[1]} == {f"{agent}-socket"}
    assert {name.split("_", 1)[-1] for name in mounts[1]} == {f"{agent}-socket"}
    uids = [stack.run(name, "id", "-u").strip() for name in (f"{agent}-waybill", agent)]
    assert uids == ["10002", "10001"]


@pytest.mark.parametrize("service", [*AGENTS, *(f"{agent}-waybill" for agent in AGENTS)])
def test_root_file_system_is_read_only_and_no_capability_is_left(stack, service):
    host = stack.inspect(service)["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    wrote = stack.engine.try_docker("exec", "-u", "0", stack.id_of(service), "sh", "-c", "echo x >/usr/bin/x")
    assert wrote.returncode != 0 and "Read-only file system" in wrote.stderr
    caps = stack.run(service, "cat", "/proc/1/status")
    assert re.search(r"^CapEff:\s*0+$", caps, re.MULTILINE) and re.search(r"^NoNewPrivs:\s*1$", caps, re.MULTILINE)


def test_agent_cannot_reach_what_is_its_sidecars(stack):
    tried = stack.engine.try_docker("exec", stack.id_of("writer"), "sh", "-c",
                                    "ls -R /var/lib/waybill /run/passwords 2>/dev/null; cat /run/waybill/*/status.json")
    assert "current.key" not in tried.stdout and "journal" not in tried.stdout.replace('"journal', "")
    modes = stack.run("writer-waybill", "stat", "-c", "%a %u", "/var/lib/waybill/writer/keys/current.key",
                      "/var/lib/waybill/secrets/postgres")
    assert modes.split() == ["600", "10002", "400", "10002"]


def test_no_secret_is_in_an_image_or_a_container_s_environment(stack):
    for image in ("waybill:local", "waybill-demo-agent:local"):
        found = stack.engine.docker("run", "--rm", "--network", "none", "-u", "0", "--entrypoint", "find", image, "/",
                                    "-xdev", "(", "-name", "*.key", "-o", "-path", "*/trust.d/*", ")", "-type", "f")
        assert found == ""
    roles = ("owner", "writer", "reader")
    passwords = [stack.run("postgres", "cat", f"/run/passwords/{role}").strip() for role in roles]
    assert all(len(password) == 48 for password in passwords)
    for service in (*AGENTS, *(f"{agent}-waybill" for agent in AGENTS), "postgres", "schema", "roles"):
        said = json.dumps(stack.inspect(service))
        assert not any(password in said for password in passwords), service


# ---- the trace -----------------------------------------------------------------------------------


def test_every_hop_is_signed_and_verified(stack, trace_id):
    delegations = stack.rows("SELECT encode(token_hash, 'hex') AS token, issuer, target_agent_id, depth, state,"
                             f" chain FROM waybill.delegations WHERE trace_id = decode('{trace_id}', 'hex')")
    acceptances = stack.rows("SELECT encode(token_hash, 'hex') AS token, issuer, agent_id, verdict, verified,"
                             " outcome, finished_ns FROM waybill.acceptances"
                             f" WHERE trace_id = decode('{trace_id}', 'hex')")
    assert {(row["issuer"], row["target_agent_id"]): row["depth"] for row in delegations} == HOPS
    assert {row["state"] for row in delegations} == {"completed"}
    assert all(len(json.loads(row["chain"])) == row["depth"] + 1 for row in delegations)
    accepted = {row["token"]: row for row in acceptances}
    assert sorted(accepted) == sorted(row["token"] for row in delegations)
    for row in delegations:
        other = accepted[row["token"]]
        assert (other["verdict"], other["verified"], other["outcome"]) == ("continue", True, "ok")
        assert other["agent_id"] == row["target_agent_id"]


def test_postgres_has_one_tree(stack, trace_id):
    spans = stack.rows("SELECT encode(span_id, 'hex') AS id, encode(parent_span_id, 'hex') AS parent, name,"
                       f" sidecar_id FROM waybill.spans WHERE trace_id = decode('{trace_id}', 'hex')")
    ids = {span["id"] for span in spans}
    assert len(ids) == len(spans)
    assert [span["name"] for span in spans if span["parent"] is None] == ["make a report"]
    assert not [span["name"] for span in spans if span["parent"] and span["parent"] not in ids]
    assert len({span["sidecar_id"] for span in spans}) == 3
    assert {"search", "read file", "outline", "write"} <= {span["name"] for span in spans}


def test_jaeger_has_the_same_tree_each_span_once(stack, trace_id):
    rows = stack.rows("SELECT encode(span_id, 'hex') AS id, encode(parent_span_id, 'hex') AS parent, name"
                      f" FROM waybill.spans WHERE trace_id = decode('{trace_id}', 'hex')")
    expected = {(row["id"], row["parent"], row["name"]) for row in rows}

    def of_jaeger():
        return [span for span in stack.spans_in_jaeger(trace_id) if not is_marker(span)]

    wait_until(lambda: len(of_jaeger()) >= len(expected), 30, "Jaeger: all spans")
    spans = of_jaeger()
    times = collections.Counter(span["spanID"] for span in spans)
    assert set(times.values()) == {1}
    assert {(span["spanID"], next((ref["spanID"] for ref in span["references"]
                                   if ref["refType"] == "CHILD_OF" and ref["traceID"] == trace_id), None),
             span["operationName"]) for span in spans} == expected


def test_jaeger_was_shown_the_delegation_while_it_was_in_flight(stack, trace_id):
    """writer takes more than two seconds: one marker after one second, below the delegation's span."""
    markers = [span for span in stack.spans_in_jaeger(trace_id) if is_marker(span)]
    parents = {ref["spanID"] for span in markers for ref in span["references"] if ref["refType"] == "CHILD_OF"}
    slow = stack.rows("SELECT encode(span_id, 'hex') AS id FROM waybill.delegations"
                      f" WHERE trace_id = decode('{trace_id}', 'hex') AND target_agent_id = '{D}writer'")
    assert {row["id"] for row in slow} <= parents
    assert all(span["duration"] == 0 for span in markers)


def test_the_command_line_shows_the_tree_from_postgres(stack, trace_id):
    password = stack.run("postgres", "cat", "/run/passwords/reader")
    shown = stack.engine.docker(
        "run", "--rm", "--network", "waybill_default", "--read-only", "-e", f"PGPASSWORD={password}", "--entrypoint",
        "waybill", "waybill:local", "--store", "postgres://waybill_reader@postgres/waybill", "trace", "show", trace_id)
    for words in ("make a report", "[planner]", "[researcher]", "[writer]", "continue: verified"):
        assert words in shown
    assert "depth 2" in shown


# ---- its life ------------------------------------------------------------------------------------


def test_a_restart_keeps_keys_and_loses_nothing(stack, trace_id):
    before = stack.rows("SELECT count(*) AS spans FROM waybill.spans")[0]["spans"]
    keys = [stack.run(f"{agent}-waybill", "waybill", "key", "show") for agent in AGENTS]
    stack.compose("stop", "-t", "10", "writer-waybill")
    assert stack.inspect("writer-waybill")["State"]["ExitCode"] == 0
    stack.compose("up", "-d")
    stack.compose("run", "--rm", "keys")
    for agent in AGENTS:
        wait_until(lambda: stack.health(f"{agent}-waybill") == "healthy", 60, f"{agent}-waybill: healthy")
    assert [stack.run(f"{agent}-waybill", "waybill", "key", "show") for agent in AGENTS] == keys
    stack.run("planner", "python", "planner.py", "brief", "http://researcher:9101", "http://writer:9102")
    query = "SELECT status FROM waybill.traces WHERE root_name = 'make a report'"
    wait_until(lambda: [row["status"] for row in stack.rows(query)] == ["success"] * 2, 60, "a second report")
    assert stack.rows("SELECT count(*) AS spans FROM waybill.spans")[0]["spans"] > before
