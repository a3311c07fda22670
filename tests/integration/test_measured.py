# SPDX-License-Identifier: Apache-2.0
"""What spans measure, in /metrics and at a real OTLP backend, held against what was sent (tests/support/measured.py)."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import signal
import sys
import time
from typing import Any

import pytest
from agents import Asker
from measured import A_DAY_OF_WORK, MODEL, USED, Sent, expected, in_otlp, in_prometheus, request, same
from metrics import Scrape, scrape
from otlp_backend import OtlpBackend
from otlp_http import port_of, post
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from waybill_testkit import ROOT, Sidecar, find_program, is_sanitized, wait_until

from waybill import _wire
from waybill._wire import Status

sys.path.insert(0, str(ROOT / "tests/fault"))
from weather import Weather  # noqa: E402

FAMILIES = ("gen_ai_", "waybill_agent_")


def config(backend: OtlpBackend | None = None, *, normalise: bool = True, protocol: str = "http/protobuf",
           signals: tuple[str, ...] = ("traces", "metrics"), **metrics: Any) -> str:
    exporters = {}
    if backend:
        endpoint = f"http://{backend.grpc_target}" if protocol == "grpc" else backend.http_url
        exporters = {"out": {"type": "otlp", "endpoint": endpoint, "protocol": protocol, "signals": list(signals)}}
    return json.dumps({  # JSON is YAML
        "admin": {"listen": "127.0.0.1:0"}, "otlp": {"http": {"listen": "127.0.0.1:0"}, "grpc": {"listen": "off"}},
        "normalise": {"enabled": normalise}, "metrics": {"interval_s": 1} | metrics, "exporters": exporters,
        "drain_timeout_ms": 10_000})  # fmt: skip


def send(sidecar: Sidecar, sent: list[Sent]) -> None:
    assert post(port_of(sidecar), "/v1/traces", request(sent).SerializeToString()).code == 200


def record(sidecar: Sidecar, sent: list[Sent], **more: Any) -> int:
    asker = Asker(sidecar)
    reply = asker.ask(record=_wire.Record(traces=request(sent).SerializeToString()), **more)
    asker.close()
    return reply.status


def measured(sidecar: Sidecar) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {(s.name, frozenset(s.labels.items())): s.value for s in Scrape(sidecar).samples
            if s.name.startswith(FAMILIES)}  # fmt: skip


def assert_measured(sidecar: Sidecar, sent: list[Sent], names: str = "v1.41") -> None:
    found, wanted = measured(sidecar), in_prometheus(expected(sent, names))
    assert found.keys() == wanted.keys()
    assert found == pytest.approx(wanted, abs=1e-6)


def wait_for_report(backend: OtlpBackend, sent: list[Sent], names: str = "v1.41", after: int = 0) -> None:
    wanted = expected(sent, names)
    wait_until(lambda: same(in_otlp(backend.items["metrics"][after:]), wanted), 20, "these numbers at the backend")


# ---- the numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["v1.41", "latest", "both"])
def test_numbers_are_those_of_the_spans(names: str) -> None:
    with OtlpBackend() as backend, Sidecar("planner", config=config(backend, names=names)) as sidecar:
        send(sidecar, A_DAY_OF_WORK)
        assert_measured(sidecar, A_DAY_OF_WORK, names)
        wait_for_report(backend, A_DAY_OF_WORK, names)
        assert record(sidecar, A_DAY_OF_WORK[:5]) == Status.OK  # over IPC
        more = A_DAY_OF_WORK + A_DAY_OF_WORK[:5]
        assert_measured(sidecar, more, names)
        wait_for_report(backend, more, names)
        assert not backend.faults


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_the_backend_is_told_who_measured_and_since_when(protocol: str) -> None:
    with OtlpBackend() as backend, Sidecar("planner", config=config(backend, protocol=protocol)) as sidecar:
        send(sidecar, A_DAY_OF_WORK)
        wait_for_report(backend, A_DAY_OF_WORK)
        started = Scrape(sidecar)["process_start_time_seconds"]
        for item in backend.items["metrics"]:
            assert item.scope == "waybill.sidecar" and item.resource["service.name"] == "planner"
            assert len(item.resource["service.instance.id"]) == 32
            assert item.proto.start_time_unix_nano / 1e9 == pytest.approx(started, abs=1e-3)
            assert item.proto.time_unix_nano > item.proto.start_time_unix_nano
        units = {}
        for each in backend.requests:
            if each.signal != "metrics":
                continue
            for metric in each.message.resource_metrics[0].scope_metrics[0].metrics:
                units[metric.name] = metric.unit
                data = metric.histogram if metric.HasField("histogram") else metric.sum
                assert data.aggregation_temporality == 2 and metric.description  # cumulative
                assert metric.HasField("histogram") or metric.sum.is_monotonic
        assert units["gen_ai.client.operation.duration"] == "s"
        assert units["gen_ai.client.token.usage"] == "{token}"


def test_both_formats_say_the_same(tmp_path: pathlib.Path) -> None:
    with Sidecar("planner", config=config()) as sidecar:
        send(sidecar, A_DAY_OF_WORK)
        _, text = scrape(sidecar, "application/openmetrics-text;version=1.0.0")
        strict = {(s.name, frozenset(s.labels.items())): s.value for f in read_openmetrics(text) for s in f.samples
                  if s.name.startswith(FAMILIES)}  # fmt: skip
        assert strict == measured(sidecar) and strict


def test_no_secret_becomes_a_label() -> None:
    secret = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
    with OtlpBackend() as backend, Sidecar("planner", config=config(backend)) as sidecar:
        send(sidecar, [Sent("execute_tool", 40, {"gen_ai.tool.name": f"curl {secret}"}),
                       Sent("chat", 40, {"gen_ai.request.model": secret, "error.type": secret}, failed=True)])
        assert Scrape(sidecar)["gen_ai_execute_tool_duration_seconds_count"] == 1
        assert secret not in Scrape(sidecar).text
        wait_until(lambda: len(in_otlp(backend.items["metrics"])) == 2, 20, "a report")
        assert secret not in str([i.attributes for i in backend.items["metrics"]])


# ---- once, and only what is durable ------------------------------------------------------------


def test_what_is_sent_again_counts_as_the_protocol_says() -> None:
    """IPC knows a request by its id. OTLP does not: who resends after a lost answer is counted twice."""
    with Sidecar("planner", config=config()) as sidecar:
        once = A_DAY_OF_WORK[:3]
        asker, request_id = Asker(sidecar), os.urandom(16)
        body = _wire.Record(traces=request(once).SerializeToString())
        for _ in range(2):
            assert asker.ask(record=body, id=request_id).status == Status.OK
        asker.close()
        assert_measured(sidecar, once)
        again = request(once).SerializeToString()
        for _ in range(2):
            assert post(port_of(sidecar), "/v1/traces", again).code == 200
        assert_measured(sidecar, 3 * once)


def test_a_batch_that_does_not_become_durable_counts_nothing(tmp_path: pathlib.Path) -> None:
    if is_sanitized(find_program("waybilld")):
        return  # a sanitizer wants to be preloaded alone
    weather = Weather(tmp_path)
    with Sidecar("planner", config=config(), env=weather.env) as sidecar:
        send(sidecar, A_DAY_OF_WORK[:1])
        weather.rule("sync", path="/journal/", error=errno.EIO)
        refused = post(port_of(sidecar), "/v1/traces", request(A_DAY_OF_WORK).SerializeToString())
        assert refused.code == 503
        assert_measured(sidecar, A_DAY_OF_WORK[:1])
        sidecar.kill9()


def test_a_restart_begins_anew_and_the_last_report_is_not_lost() -> None:
    with OtlpBackend() as backend:
        with Sidecar("planner", config=config(backend, interval_s=3600)) as sidecar:
            send(sidecar, A_DAY_OF_WORK)
            sidecar.stop()  # an hour too early for a report
            wait_for_report(backend, A_DAY_OF_WORK)
            before = len(backend.items["metrics"])
            started = backend.items["metrics"][-1].proto.start_time_unix_nano
            instance = backend.items["metrics"][-1].resource["service.instance.id"]
            sidecar.start()
            assert measured(sidecar) == {}
            send(sidecar, A_DAY_OF_WORK[:2])
            sidecar.stop()
            wait_for_report(backend, A_DAY_OF_WORK[:2], after=before)
            assert backend.items["metrics"][-1].proto.start_time_unix_nano > started
            assert backend.items["metrics"][-1].resource["service.instance.id"] == instance


# ---- how much, and when ------------------------------------------------------------------------


def test_beyond_the_last_series_there_is_an_overflow() -> None:
    with OtlpBackend() as backend, Sidecar("planner", config=config(backend, max_series=3)) as sidecar:
        tools = [Sent("execute_tool", 40, {"gen_ai.tool.name": f"tool-{i}"}) for i in range(10)]
        send(sidecar, tools)
        now = Scrape(sidecar)
        name = "gen_ai_execute_tool_duration_seconds_count"
        assert {s.labels.get("gen_ai_tool_name") for s in now.all(name)} == {"tool-0", "tool-1", "tool-2", None}
        assert now[name, {"otel_metric_overflow": "true"}] == 7
        wait_until(lambda: len(backend.items["metrics"]) >= 4, 20, "a report")
        over = [i for i in backend.items["metrics"] if i.attributes == {"otel.metric.overflow": True}]
        assert over[0].proto.count == 7 and over[0].proto.sum == pytest.approx(7 * 0.04)


def test_as_many_series_as_there_may_be_fit_into_an_answer_and_small_segments() -> None:
    """Labels of 128 bytes, of which each is escaped: not the number but the text is the bound."""
    text = json.loads(config(max_series=10_000))
    text["journal"] = {"segment_bytes": "64KiB"}
    with OtlpBackend() as backend:
        text["exporters"] = {"out": {"type": "otlp", "endpoint": backend.http_url, "signals": ["metrics"]}}
        with Sidecar("planner", config=json.dumps(text)) as sidecar:
            for batch in range(60):
                send(sidecar, [Sent("execute_tool", 40, {"gen_ai.tool.name": f"{batch:02}{i:02}".ljust(200, '"')})
                               for i in range(20)])  # fmt: skip
            now = Scrape(sidecar)
            name = "gen_ai_execute_tool_duration_seconds_count"
            assert 3_000_000 < len(now.text) < 5_500_000
            assert now[name] == 1200 and now[name, {"otel_metric_overflow": "true"}] > 0
            assert max(len(s.labels.get("gen_ai_tool_name", "")) for s in now.all(name)) == 128
            series = len(now.all(name))
            sidecar.stop()  # the report is many records, one after the other
            wait_until(lambda: len(in_otlp(backend.items["metrics"])) == series, 20, "all of them")
            assert sum(s.count for s in in_otlp(backend.items["metrics"]).values()) == 1200
            assert len({i.request.at for i in backend.items["metrics"]}) > 1 and not backend.faults


def test_without_a_change_or_a_taker_nothing_is_written() -> None:
    def frames() -> float:
        return Scrape(sidecar)["waybill_journal_durable_sequence"]

    with OtlpBackend() as backend:
        with Sidecar("planner", config=config(backend)) as sidecar:
            send(sidecar, A_DAY_OF_WORK)
            wait_for_report(backend, A_DAY_OF_WORK)
            reports = len([r for r in backend.requests if r.signal == "metrics"])
            time.sleep(3)
            assert len([r for r in backend.requests if r.signal == "metrics"]) == reports
        for text in (config(backend, signals=("traces",)), config(), config(backend, interval_s=0)):
            with Sidecar("other", config=text) as sidecar:
                before = len(backend.items["metrics"])
                send(sidecar, A_DAY_OF_WORK)
                assert measured(sidecar)
                sidecar.stop()
                assert len(backend.items["metrics"]) == before


def test_switches_are_live() -> None:
    chat = [Sent("chat", 250, MODEL | USED)]
    with OtlpBackend() as backend, Sidecar("planner", config=config(backend, genai=False)) as sidecar:

        def reload(**changes: Any) -> None:
            before = Scrape(sidecar)["waybill_reload_generation"]
            sidecar.config_file.write_text(config(backend, **changes))
            os.kill(sidecar.pid, signal.SIGHUP)
            wait_until(lambda: Scrape(sidecar)["waybill_reload_generation"] > before, 10, "the reload")
            assert Scrape(sidecar)["waybill_reload_needs_restart"] == 0

        send(sidecar, chat)
        assert measured(sidecar) == {}
        reload(normalise=False)
        send(sidecar, chat)
        assert measured(sidecar) == {}  # of what is not normalised nobody knows what it is
        reload()
        send(sidecar, chat)
        assert_measured(sidecar, chat)
        reload(names="latest")
        send(sidecar, chat)
        both = in_prometheus(expected(chat)) | in_prometheus(expected(chat, "latest"))
        assert measured(sidecar) == pytest.approx(both)  # the old ones stay where they were
        wait_until(lambda: same(in_otlp(backend.items["metrics"]), expected(chat) | expected(chat, "latest")), 20, "it")


def test_rates_of_success_are_a_query() -> None:
    """As docs/metrics.md has it; that Prometheus evaluates it: test_metrics_prometheus.py."""
    with Sidecar("planner", config=config()) as sidecar:
        send(sidecar, A_DAY_OF_WORK + [Sent("invoke_agent", 1, {"gen_ai.agent.name": "never well"}, failed=True)])
        now = Scrape(sidecar)
        name = "waybill_agent_operations_total"
        for agent, rate in (("planner", 2 / 3), ("never well", 0.0)):
            all_of = now[name, {"gen_ai_agent_name": agent}]
            assert now[name, {"gen_ai_agent_name": agent, "outcome": "success"}] / all_of == pytest.approx(rate)
