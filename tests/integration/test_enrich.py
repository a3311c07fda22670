# SPDX-License-Identifier: Apache-2.0
"""What a sidecar adds to what arrives, in the store and at a backend: who the agent is, the session of an
acceptance, what is configured. Every case alone is in tests/unit/pipeline/enrich_test.c."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import Any

import pytest
from agents import Asker, a_delegate, an_accept, company, origin
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_backend import OtlpBackend
from otlp_http import logs, metrics, port_of, post, traces
from test_model import flat
from waybill_testkit import Sidecar, find_program, wait_until

from waybill import _wire
from waybill._wire import Status

ADMIN = ("admin: {listen: 127.0.0.1:0}\notlp: {http: {listen: 127.0.0.1:0}, grpc: {listen: 'off'}}\n"
         "normalise: {enabled: false}\n")  # so that what is there besides is known
ENRICH = """enrich:
  resource_attributes: [deployment.environment.name=prod, team=tides]
  attributes: [tenant=north, tier=gold]
"""
VARIABLES = {"OTEL_RESOURCE_ATTRIBUTES": "team=other,k8s.node.name=node%2C1", "OTEL_SERVICE_NAME": "tide-service"}
STAMP = "waybill.acceptance.id"
NAMES = ["a", "b"]


def stored(sidecar: Sidecar) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Attributes of each span of the store and of its resource, by the span's name."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    if not sidecar.store.exists():
        return found
    for line in sidecar.cli("trace", "export", "--all", check=False).splitlines():
        for group in json.loads(line)["resourceSpans"]:
            for scope in group["scopeSpans"]:
                for span in scope["spans"]:
                    found[span["name"]] = (flat(span), flat(group.get("resource", {})))
    return found


def stored_soon(sidecar: Sidecar, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    wait_until(lambda: name in stored(sidecar), 20, f"{name} in the store")
    return stored(sidecar)[name]


def send(sidecar: Sidecar, request: ExportTraceServiceRequest) -> None:
    assert post(port_of(sidecar), "/v1/traces", request.SerializeToString()).code == 200


def named(name: str, **attributes: str) -> ExportTraceServiceRequest:
    """One span, and a resource that says nothing."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=os.urandom(16), span_id=os.urandom(8), name=name, kind=1,
        start_time_unix_nano=time.time_ns(), end_time_unix_nano=time.time_ns() + 1)
    for key, value in attributes.items():
        span.attributes.add(key=key.replace("__", ".")).value.string_value = value
    return request


# -- who, and what is configured -------------------------------------------------------------------


@pytest.fixture(scope="module")
def backend():
    with OtlpBackend() as one:
        yield one


@pytest.fixture(scope="module")
def sidecar(backend):
    out = {"type": "otlp", "endpoint": backend.http_url}
    config = ADMIN + ENRICH + f"self_ids: [spiffe://example.org/tide]\nexporters: {json.dumps({'out': out})}\n"
    with Sidecar("tide", config=config, env=VARIABLES) as one:
        yield one


RESOURCE = {
    "waybill.agent.id": "spiffe://example.org/tide", "waybill.agent.name": "tide", "waybill.isolation": "none",
    "gen_ai.agent.id": "spiffe://example.org/tide", "gen_ai.agent.name": "tide",
    "service.name": "tide-service", "deployment.environment.name": "prod", "team": "tides",
    "k8s.node.name": "node,1",
}


def test_a_resource_without_a_word_gets_all(sidecar, backend):
    send(sidecar, named("bare"))
    span, resource = stored_soon(sidecar, "bare")
    assert resource == RESOURCE
    assert span == {"tenant": "north", "tier": "gold"}
    wait_until(lambda: any(item.name == "bare" for item in backend.items["traces"]), 20, "bare at the backend")
    (item,) = [item for item in backend.items["traces"] if item.name == "bare"]
    assert (item.resource, item.attributes) == (RESOURCE, span)


def test_what_the_program_says_stays(sidecar):
    request = named("speaks", tier="tin")
    for key, value in {"service.name": "shop", "service.instance.id": "7", "team": "own"}.items():
        request.resource_spans[0].resource.attributes.add(key=key).value.string_value = value
    send(sidecar, request)
    span, resource = stored_soon(sidecar, "speaks")
    kept = {key: value for key, value in RESOURCE.items() if not key.startswith("gen_ai.")}
    assert resource == {**kept, "service.name": "shop", "service.instance.id": "7", "team": "own"}
    assert span == {"tier": "tin", "tenant": "north"}


def test_logs_and_metrics_say_whose_they_are(sidecar, backend):
    assert post(port_of(sidecar), "/v1/logs", logs(["ebb"]).SerializeToString()).code == 200
    assert post(port_of(sidecar), "/v1/metrics", metrics(["level"]).SerializeToString()).code == 200
    (log,) = [item for item in backend.wait_for("logs", 1) if item.name == "ebb"]
    assert log.resource["waybill.agent.name"] == "tide" and log.resource["team"] == "tides"
    assert log.resource["service.name"] == "planner" and "tier" not in log.attributes
    (point,) = [item for item in backend.wait_for("metrics", 1) if item.name == "level"]
    assert point.resource == RESOURCE


def test_a_normalised_resource_names_the_agent_by_its_own_words():
    with Sidecar("words", config=ADMIN.replace("false", "true")) as sidecar:
        request = named("speaks", gen_ai__conversation__id="own")
        request.resource_spans[0].resource.attributes.add(key="service.name").value.string_value = "shop"
        request.resource_spans.extend(named("bare").resource_spans)
        send(sidecar, request)
        span, resource = stored_soon(sidecar, "speaks")
        assert span["session.id"] == "own" and span["waybill.span.type"] == "execution"
        assert (resource["gen_ai.agent.name"], resource["waybill.agent.name"]) == ("shop", "words")
        assert stored(sidecar)["bare"][1]["gen_ai.agent.name"] == "words"


def test_the_whole_stage_can_be_off():
    with Sidecar("plain", config=ADMIN + ENRICH + "  enabled: false\n") as sidecar:
        send(sidecar, named("bare"))
        assert stored_soon(sidecar, "bare") == ({}, {})


# -- sessions --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair():
    with company(NAMES, ADMIN.partition("\n")[2] + ENRICH) as sidecars:
        yield sidecars


def accepted(pair: dict[str, Sidecar], context: str) -> tuple[_wire.Delegate, _wire.AcceptReply]:
    """A message of that context from a to b."""
    askers = {name: Asker(sidecar) for name, sidecar in pair.items()}
    try:
        asked = a_delegate(origin(NAMES, "b"), context_id=context)
        carrier = askers["a"].ask(delegate=asked).delegate.carrier
        reply = askers["b"].ask(accept=an_accept(asked, carrier))
        assert reply.status == Status.OK, reply.detail
        return asked, reply.accept
    finally:
        for asker in askers.values():
            asker.close()


def finish(sidecar: Sidecar, **body: Any) -> None:
    asker = Asker(sidecar)
    assert asker.ask(**body).status == Status.OK
    asker.close()


def test_spans_of_an_acceptance_are_of_its_session(pair):
    asked, acceptance = accepted(pair, "ctx-of-a")
    _, other = accepted(pair, "ctx-other")
    b = pair["b"]
    request = named("stamped", **{STAMP: acceptance.acceptance_id.hex()})
    for name, attributes in {
        "of another": {STAMP: other.acceptance_id.hex()},
        "with its own": {STAMP: acceptance.acceptance_id.hex(), "gen_ai.conversation.id": "own"},
        "foreign": {STAMP: os.urandom(16).hex()},
        "without": {},
    }.items():
        request.resource_spans.extend(named(name, **attributes).resource_spans)
    send(b, request)
    assert stored_soon(b, "stamped")[0]["session.id"] == "ctx-of-a"
    spans = stored(b)
    assert spans["of another"][0]["session.id"] == "ctx-other"
    assert "session.id" not in spans["with its own"][0]
    assert spans["foreign"][0].keys() == {"claimed." + STAMP, "tenant", "tier"}
    assert spans["without"][0] == {"tenant": "north", "tier": "gold"}

    # The sidecars' own spans of it, at both ends.
    finish(b, finish=_wire.Finish(acceptance_id=acceptance.acceptance_id, outcome="ok"))
    finish(pair["a"], settle=_wire.Settle(delegation_id=asked.delegation_id, outcome="completed"))

    def both() -> list[tuple[dict[str, Any], dict[str, Any]]]:
        found = []
        for line in b.cli("trace", "export", "--all").splitlines():
            for group in json.loads(line)["resourceSpans"]:
                for span in group["scopeSpans"][0]["spans"]:
                    if span["name"] == asked.method and flat(span).get("gen_ai.conversation.id") == "ctx-of-a":
                        found.append((flat(span), flat(group["resource"])))
        return found if len(found) == 2 else []

    own = wait_until(both, 20, "the spans of delegation and acceptance")
    assert [span["session.id"] for span, _ in own] == ["ctx-of-a"] * 2
    assert sorted(resource["waybill.agent.name"] for _, resource in own) == NAMES
    assert all(resource["team"] == "tides" and "tenant" not in span for span, resource in own)


def test_a_session_survives_the_sidecar(pair):
    _, acceptance = accepted(pair, "ctx-kept")
    b = pair["b"]
    b.kill9()
    b.start()
    send(b, named("after the crash", **{STAMP: acceptance.acceptance_id.hex()}))
    assert stored_soon(b, "after the crash")[0]["session.id"] == "ctx-kept"


def test_a_message_without_a_context_gives_no_session(pair):
    _, acceptance = accepted(pair, "")
    send(pair["b"], named("no context", **{STAMP: acceptance.acceptance_id.hex()}))
    assert stored_soon(pair["b"], "no context")[0].keys() == {STAMP, "tenant", "tier"}


# -- changing it, and getting it wrong -------------------------------------------------------------


def test_a_reload_takes_it():
    with Sidecar("turns", config=ADMIN + ENRICH) as sidecar:
        send(sidecar, named("before"))
        assert stored_soon(sidecar, "before")[0]["tenant"] == "north"
        assert sidecar.config_file
        sidecar.config_file.write_text(ADMIN + "enrich: {attributes: [tenant=south]}\n", encoding="utf-8")
        sidecar.cli("reload")
        send(sidecar, named("after"))
        span, resource = stored_soon(sidecar, "after")
        assert span == {"tenant": "south"} and "team" not in resource
        assert resource["waybill.agent.name"] == "turns"
        sidecar.config_file.write_text(ADMIN + "enrich: {attributes: [tenant]}\n", encoding="utf-8")
        assert "turns.yaml:4: enrich.attributes: key=value is needed" in sidecar.cli("reload", check=False)
        send(sidecar, named("kept"))
        assert stored_soon(sidecar, "kept")[0] == {"tenant": "south"}


def test_a_wrong_pair_is_refused_before_the_start(tmp_path):
    (tmp_path / "wrong.yaml").write_text("enrich:\n  attributes:\n  - tier=gold\n  - waybill.x=1\n")
    done = subprocess.run([find_program("waybilld"), "--check", "--config", tmp_path / "wrong.yaml"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 78
    assert "wrong.yaml:4: enrich.attributes: keys of waybill. are the sidecar's own" in done.stderr


def test_a_broken_variable_of_opentelemetry_is_said_and_left_out():
    with Sidecar("bent", config=ADMIN, env={"OTEL_RESOURCE_ATTRIBUTES": "team=tides,broken"}) as sidecar:
        assert 'event="enrich.variable_ignored"' in sidecar.log_file.read_text()
        send(sidecar, named("bare"))
        assert "team" not in stored_soon(sidecar, "bare")[1]
