# SPDX-License-Identifier: Apache-2.0
"""/metrics of real sidecars: each value moves as the traffic says, other programs read the text, and a sidecar
that is stuck still answers."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import grpc
import pytest
from agents import Asker, a_delegate, agent_id, an_accept, company, origin
from metrics import Scrape, scrape
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from test_delivery import Plain, fill, lock_store, record
from waybill_testkit import ROOT, Sidecar, find_program, free_port, is_sanitized, wait_until

from waybill import _otlp, _wire
from waybill._wire import Status, Verdict

sys.path.insert(0, str(ROOT / "tests/fault"))
from weather import Weather  # noqa: E402

PROMTOOL = pathlib.Path(sys.prefix) / "bin/promtool"
NAMES = ["a", "b"]
PROMETHEUS = (  # as version 2.42 asks
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.fixture(scope="module")
def pair():
    with company(NAMES, "delegation: {grace_s: 0}\n") as sidecars:
        yield sidecars


@pytest.fixture
def ask(pair):
    askers = {name: Asker(sidecar) for name, sidecar in pair.items()}
    yield {name: asker.ask for name, asker in askers.items()}
    for asker in askers.values():
        asker.close()


class Watch:
    """How far each series has moved since this was made. `rise("waybill_x_total", code="y")`"""

    def __init__(self, sidecar: Sidecar) -> None:
        self._sidecar, self._before = sidecar, Scrape(sidecar)

    def rise(self, name: str, **labels: str) -> float:
        return Scrape(self._sidecar)[name, labels] - self._before[name, labels]

    def wait(self, rise: float, name: str, **labels: str) -> None:
        wait_until(lambda: self.rise(name, **labels) == rise, 10, f"{name} {labels} risen by {rise}")


def some_spans(count, trace_id=None):
    fields = _otlp.resource({"service.name": "test"}), _otlp.scope("test")
    now = time.time_ns()
    spans = [
        _otlp.span(trace_id=trace_id or os.urandom(16), span_id=os.urandom(8), name="work", kind=1,
                   start_ns=now, end_ns=now + 1, attrs={})
        for _ in range(count)
    ]  # fmt: skip
    return _otlp.export_request([(*fields, span) for span in spans])


def delegate(ask, **more):
    asked = a_delegate(origin(NAMES, "b"), **more)
    reply = ask["a"](delegate=asked)
    assert reply.status == Status.OK, reply.detail
    return asked, reply.delegate


# ---- what the text is --------------------------------------------------------------------------


def test_prometheus_finds_no_fault_in_it(pair):
    kind, text = scrape(pair["a"])
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_openmetrics_is_the_same_in_its_own_words(pair):
    kind, text = scrape(pair["a"], PROMETHEUS)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = {f.name: f for f in read_openmetrics(text)}  # strict: a fault of any line is an error
    plain = {f.name: f for f in Scrape(pair["a"]).families}
    assert families.keys() == plain.keys()
    for name, family in families.items():
        series = {(s.name, tuple(s.labels.items())) for s in family.samples}
        assert series == {(s.name, tuple(s.labels.items())) for s in plain[name].samples}, name
        assert (family.type, family.documentation) == (plain[name].type, plain[name].documentation)


def test_it_is_the_reference_page_no_more_no_less(pair):
    page = (ROOT / "docs/metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) \|", page, re.M)
    said = {name: (kind, set(filter(None, labels.split(", ")))) for name, kind, labels in rows}
    now = Scrape(pair["a"])
    found = {f.name + "_total" * (f.type == "counter"): f for f in now.families}
    assert found.keys() == said.keys()
    for name, family in found.items():
        kind, labels = said[name]
        assert family.type == kind, name
        for sample in family.samples:  # what was measured of a span has labels that the span has
            has = sample.labels.keys() - {"le"}
            assert has <= labels if name.startswith(("gen_ai_", "waybill_agent_")) else has == labels, name


def test_labels_are_few_and_values_no_ids(pair, ask):
    before = {(s.name, *s.labels.values()) for s in Scrape(pair["a"]).samples}
    for i in range(5):  # new ids, peers, targets: no new series
        delegate(ask, task_id=f"task-{i}", context_id=f"context-{i}")
        ask["a"](accept=an_accept(a_delegate(f"http://10.0.0.{i}"), "no token", peer=f"10.0.0.{i}"))
    after = {(s.name, *s.labels.values()) for s in Scrape(pair["a"]).samples}
    assert after == before and len(after) < 1000


# ---- what the values are -----------------------------------------------------------------------


def test_delegations_are_counted_by_what_became_of_them(pair, ask):
    watch = Watch(pair["a"])
    asked = [delegate(ask)[0] for _ in range(3)]
    watch.wait(3, "waybill_delegations_opened_total", token="signed")
    watch.wait(3, "waybill_delegations_open", state="sent")
    wait_until(lambda: Scrape(pair["a"])["waybill_delegation_oldest_seconds"] > 0, 10, "an age")
    seen = ask["a"](observe=_wire.Observe(delegation_id=asked[0].delegation_id, task_state="TASK_STATE_WORKING"))
    assert seen.status == Status.OK
    watch.wait(1, "waybill_delegations_open", state="in_flight")
    for one, outcome in zip(asked, ("completed", "completed", "failed")):
        settle = _wire.Settle(delegation_id=one.delegation_id, outcome=outcome)
        for _ in range(2):  # the second time changes nothing
            assert ask["a"](settle=settle).status == Status.OK
    watch.wait(2, "waybill_delegations_closed_total", state="completed")
    watch.wait(1, "waybill_delegations_closed_total", state="failed")
    watch.wait(3, "waybill_delegation_duration_seconds_count")
    watch.wait(0, "waybill_delegations_open")
    assert 0 < watch.rise("waybill_delegation_duration_seconds_sum") < 60
    watch.wait(6, "waybill_ipc_request_duration_seconds_count", verb="settle")
    watch.wait(6, "waybill_ipc_request_duration_seconds_bucket", verb="settle", le="+Inf")


def test_a_lost_delegation_and_its_late_answer(pair, ask):
    watch = Watch(pair["a"])
    asked, _ = delegate(ask, deadline_s=int(time.time()) + 2)
    wait_until(lambda: watch.rise("waybill_delegations_closed_total", state="lost") == 1, 20, "the loss")
    settle = _wire.Settle(delegation_id=asked.delegation_id, outcome="completed")
    assert ask["a"](settle=settle).settle.late
    watch.wait(1, "waybill_delegations_late_answers_total")
    assert watch.rise("waybill_delegations_closed_total", state="completed") == 0
    watch.wait(1, "waybill_delegation_duration_seconds_count")


def test_verdicts_refusals_and_signatures(pair, ask):
    watch = Watch(pair["b"])
    asked, reply = delegate(ask)
    for verdict in (Verdict.CONTINUE, Verdict.DUPLICATE):
        assert ask["b"](accept=an_accept(asked, reply.carrier)).accept.verdict == verdict
    ask["b"](accept=an_accept(asked, ""))  # linked, unverified
    other, reply = delegate(ask)
    assert ask["b"](accept=an_accept(other, reply.carrier, body_digest=b"x" * 32)).status == Status.DENIED
    watch.wait(1, "waybill_verdicts_total", verdict="continue")
    watch.wait(1, "waybill_verdicts_total", verdict="duplicate")
    watch.wait(1, "waybill_verdicts_total", verdict="link_unverified")
    watch.wait(1, "waybill_verdicts_total", verdict="reject")
    watch.wait(1, "waybill_refusals_total", code="WB_E_BIND_BODY")
    watch.wait(3, "waybill_refusal_records_total", outcome="kept")  # of what was let in unverified too
    watch.wait(2, "waybill_requests_total", receiver="ipc", outcome="denied")
    assert watch.rise("waybill_signatures_checked_total") >= 2
    assert watch.rise("waybill_acceptances_open") == 2
    assert watch.rise("waybill_replay_rows") == 1


def test_items_requests_and_commits(pair, ask):
    watch = Watch(pair["a"])
    assert ask["a"](record=_wire.Record(traces=some_spans(7), dropped_spans=2)).status == Status.OK
    wrong = ask["a"](record=_wire.Record(traces=some_spans(2, trace_id=bytes(16))))
    assert wrong.record.rejected_spans == 2
    assert ask["a"](record=_wire.Record(traces=b"\xff\xff")).status == Status.MALFORMED
    watch.wait(7, "waybill_items_total", receiver="ipc", signal="traces", outcome="accepted")
    watch.wait(2, "waybill_items_total", receiver="ipc", signal="traces", outcome="rejected")
    watch.wait(2, "waybill_client_dropped_spans_total")
    watch.wait(2, "waybill_requests_total", receiver="ipc", outcome="ok")
    watch.wait(1, "waybill_requests_total", receiver="ipc", outcome="malformed")
    watch.wait(3, "waybill_ipc_request_duration_seconds_count", verb="record")
    now = Scrape(pair["a"])
    assert watch.rise("waybill_journal_commits_total") >= 1
    assert now["waybill_journal_commit_duration_seconds_count"] <= now["waybill_journal_commits_total"]
    assert watch.rise("waybill_journal_commit_duration_seconds_count") >= 1
    assert now["waybill_ipc_requests_in_hand"] == 0
    assert 0 < now["waybill_journal_used_bytes"] < now["waybill_journal_limit_bytes"]


def test_otlp_over_http_counts_as_its_own_receiver():
    port, headers, body = free_port(), {"Content-Type": "application/x-protobuf"}, some_spans(5)
    config = f"admin: {{listen: 127.0.0.1:0}}\notlp: {{http: {{listen: 127.0.0.1:{port}}}, grpc: {{listen: 'off'}}}}\n"
    with Sidecar("otlp", config=config) as sidecar:
        watch = Watch(sidecar)
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/traces", data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        watch.wait(5, "waybill_items_total", receiver="http", signal="traces", outcome="accepted")
        watch.wait(1, "waybill_otlp_requests_total", receiver="http")
        watch.wait(1, "waybill_requests_total", receiver="http", outcome="ok")
        watch.wait(len(body), "waybill_otlp_received_bytes_total", receiver="http")
        assert watch.rise("waybill_items_total", receiver="ipc") == 0
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/traces", data=b"\xff", headers=headers)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10)
        watch.wait(1, "waybill_otlp_refused_requests_total", receiver="http", cause="malformed")
        assert Scrape(sidecar).all("waybill_otlp_requests_total", receiver="grpc") == []  # it is off


def test_otlp_over_grpc_too():
    port = free_port()
    config = f"admin: {{listen: 127.0.0.1:0}}\notlp: {{grpc: {{listen: 127.0.0.1:{port}}}, http: {{listen: 'off'}}}}\n"
    with Sidecar("otlp", config=config) as sidecar, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        watch, body = Watch(sidecar), some_spans(4)
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        assert export(body, timeout=10) == b""
        watch.wait(4, "waybill_items_total", receiver="grpc", signal="traces", outcome="accepted")
        watch.wait(1, "waybill_otlp_requests_total", receiver="grpc")
        watch.wait(1, "waybill_requests_total", receiver="grpc", outcome="ok")
        with pytest.raises(grpc.RpcError):
            export(b"\xff", timeout=10)
        watch.wait(1, "waybill_otlp_refused_requests_total", receiver="grpc", cause="malformed")


def test_exporters_say_what_they_delivered(pair, ask):
    watch = Watch(pair["b"])
    assert ask["b"](record=_wire.Record(traces=some_spans(1))).status == Status.OK
    watch.wait(1, "waybill_exporter_sent_records_total", exporter="sqlite")
    wait_until(lambda: Scrape(pair["b"])["waybill_exporter_state", {"state": "idle"}] == 1, 10, "idle")
    now = Scrape(pair["b"])
    assert now["waybill_exporter_info", {"exporter": "sqlite", "type": "sqlite", "when_full": "backpressure"}] == 1
    assert now["waybill_exporter_lag_frames"] == now["waybill_exporter_lag_seconds"] == 0
    assert now["waybill_exporter_cursor"] == now["waybill_journal_durable_sequence"]
    assert now["waybill_exporter_failing"] == now["waybill_exporter_sends_total", {"outcome": "failed"}] == 0
    for name in ("waybill_exporter_parked_records_total", "waybill_exporter_dropped_records_total"):
        assert now[name] == 0


def test_the_process_and_its_health(pair):
    now = Scrape(pair["a"])
    assert now["waybill_healthy"] == 1
    for name in ("degraded", "draining", "recovering", "clock_jumped", "ipc_unreachable", "journal_full",
                 "journal_failed", "journal_removed", "journal_lost_frames"):  # fmt: skip
        assert now[f"waybill_{name}"] == 0, name
    descriptors = len(os.listdir(f"/proc/{pair['a'].pid}/fd"))
    assert abs(now["process_open_fds"] - descriptors) <= 3  # a connection or two come and go
    status = pathlib.Path(f"/proc/{pair['a'].pid}/status").read_text()
    resident = int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024
    assert resident / 2 < now["process_resident_memory_bytes"] < resident * 2
    assert abs(now["process_start_time_seconds"] - time.time()) < 3600
    (info,) = now.all("waybill_sidecar_info")
    assert info.labels == {"name": "a", "agent_id": agent_id("a"), "isolation": "none"}
    assert now["waybill_trust_issuers"] == 1 and now["waybill_reload_generation"] >= 1


def test_scrapes_and_work_at_once_lose_nothing(pair):
    """Also what a race detector is to watch: every part is read while it is written."""
    threads, each = 4, 25
    watch, failed = Watch(pair["a"]), []

    def work() -> None:
        asker = Asker(pair["a"])
        for _ in range(each):
            asked = a_delegate(origin(NAMES, "b"))
            told = [asker.ask(delegate=asked), asker.ask(record=_wire.Record(traces=some_spans(3))),
                    asker.ask(settle=_wire.Settle(delegation_id=asked.delegation_id, outcome="completed"))]  # fmt: skip
            failed.extend(reply for reply in told if reply.status != Status.OK)
        asker.close()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        Scrape(pair["a"])
        urllib.request.urlopen(f"http://127.0.0.1:{pair['a'].status()['ports']['admin']}/status", timeout=20).close()
    for worker in workers:
        worker.join()
    assert failed == []
    watch.wait(threads * each * 3, "waybill_items_total", receiver="ipc", signal="traces", outcome="accepted")
    watch.wait(threads * each, "waybill_delegations_closed_total", state="completed")
    watch.wait(0, "waybill_delegations_open")
    watch.wait(threads * each * 3, "waybill_requests_total", receiver="ipc", outcome="ok")


# ---- in trouble --------------------------------------------------------------------------------


def test_counters_begin_at_nothing_with_the_process():
    with Sidecar("again", config="admin: {listen: 127.0.0.1:0}\n") as sidecar:
        asker = Asker(sidecar)
        assert asker.ask(record=_wire.Record(traces=some_spans(3))).status == Status.OK
        asker.close()
        assert Scrape(sidecar)["waybill_items_total", {"receiver": "ipc", "outcome": "accepted"}] == 3
        sidecar.restart()
        assert Scrape(sidecar)["waybill_items_total", {"receiver": "ipc", "outcome": "accepted"}] == 0


def test_an_exporter_that_is_away_and_the_journal_that_it_fills():
    config = "admin: {listen: 127.0.0.1:0}\njournal: {segment_bytes: 256KiB, limit_bytes: 2MiB}\n"
    with Sidecar("full", config=config) as sidecar:
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        wait_until(lambda: Scrape(sidecar)["waybill_exporter_sent_records_total"] == 1, 10, "a store")
        lock = lock_store(sidecar.store)
        taken, refused = fill(asker)
        assert refused.status == Status.FULL
        wait_until(lambda: Scrape(sidecar)["waybill_exporter_failing"] == 1, 20, "the failure")
        times = 1
        # on a slow disk it may first have been full for want of a segment that was still being made
        while (now := Scrape(sidecar))["waybill_journal_full", {"cause": "limit"}] == 0:
            more, refused = fill(asker)
            taken, times = taken + more, times + 1
            assert refused.status == Status.FULL and times < 50
        assert now["waybill_journal_full", {"cause": "disk"}] == 0
        assert now["waybill_healthy"] == 0 and now["waybill_degraded"] == 1
        assert now["waybill_requests_total", {"receiver": "ipc", "outcome": "full"}] == times
        assert now["waybill_items_total", {"receiver": "ipc", "outcome": "accepted"}] == 1 + taken
        assert now["waybill_exporter_lag_frames"] >= taken and now["waybill_exporter_lag_seconds"] > 0
        assert now["waybill_exporter_lag_bytes"] > 20_000 * taken * 0.9
        assert now["waybill_exporter_sends_total", {"outcome": "failed"}] >= 1
        assert now["waybill_journal_used_bytes"] > now["waybill_journal_limit_bytes"] / 2
        lock.execute("ROLLBACK")
        lock.close()
        wait_until(lambda: Scrape(sidecar)["waybill_healthy"] == 1, 40, "room again")
        wait_until(lambda: Scrape(sidecar)["waybill_exporter_lag_frames"] == 0, 20, "all of it")
        now = Scrape(sidecar)
        assert now["waybill_journal_full"] == now["waybill_exporter_failing"] == now["waybill_exporter_lag_bytes"] == 0
        assert now["waybill_exporter_sent_records_total"] == 1 + taken
        asker.close()


def test_an_exporter_that_drops_its_oldest_counts_them_also_over_a_restart():
    base = "admin: {listen: 127.0.0.1:0}\njournal: {segment_bytes: 256KiB, limit_bytes: 4MiB}\n"
    with Sidecar("drops", config=base) as sidecar:
        stuck = sidecar.base / "stuck.db"
        more = f"exporters: {{stuck: {{path: {stuck}, when_full: drop_oldest, max_lag_bytes: 1MiB}}}}\n"
        sidecar.config_file.write_text(base + more)
        sidecar.restart()
        asker = Plain(sidecar)
        assert asker.ask(record=record()).status == Status.OK
        wait_until(lambda: Scrape(sidecar)["waybill_exporter_sent_records_total", {"exporter": "stuck"}] == 1, 10, "it")
        lock = lock_store(stuck)

        def drops() -> float:
            for _ in range(20):
                assert asker.ask(record=record(1, 10_000)).status == Status.OK
            return Scrape(sidecar)["waybill_exporter_dropped_records_total", {"exporter": "stuck", "cause": "lag"}]

        wait_until(lambda: drops() > 0, 40, "a drop")
        now = Scrape(sidecar)
        assert now["waybill_exporter_info", {"exporter": "stuck", "when_full": "drop_oldest"}] == 1
        assert now["waybill_exporter_max_lag_bytes", {"exporter": "stuck"}] == 1 << 20
        assert abs(now["waybill_exporter_last_drop_timestamp_seconds", {"exporter": "stuck"}] - time.time()) < 3600
        assert now["waybill_exporter_dropped_records_total", {"exporter": "sqlite"}] == 0
        asker.close()
        lock.close()
        sidecar.restart()
        assert Scrape(sidecar)["waybill_exporter_dropped_records_total", {"exporter": "stuck", "cause": "lag"}] > 0


def test_a_sidecar_whose_disk_hangs_still_answers_and_says_so(tmp_path):
    """The disk fails twice, and hangs when the writer, with the state locked, reads again what is durable."""
    if is_sanitized(find_program("waybilld")):
        return  # a sanitizer wants to be preloaded alone
    weather = Weather(tmp_path)
    with Sidecar("stuck", config="admin: {listen: 127.0.0.1:0}\n", env=weather.env) as sidecar:
        asker = Asker(sidecar)
        assert asker.ask(record=_wire.Record(traces=some_spans(1))).status == Status.OK
        weather.rule("read", path="/journal/", delay_s=60)
        weather.rule("sync", path="/journal/", error=errno.EIO)
        lost = asker.post(record=_wire.Record(traces=some_spans(1)), timeout_s=5)
        wait_until(lambda: Scrape(sidecar)["waybill_state_age_seconds"] > 1, 20, "a stuck state")
        now = Scrape(sidecar)
        assert now["waybill_journal_failed"] == 1 and now["waybill_healthy"] == 0
        assert now["waybill_journal_failed_syncs_total"] >= 2
        said = sidecar.status()
        for path in ("/healthz", "/readyz"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{said['ports']['admin']}{path}", timeout=10)
            assert refused.value.code == 503 and b"journal cannot write" in refused.value.read()
        with urllib.request.urlopen(f"http://127.0.0.1:{said['ports']['admin']}/status", timeout=10) as answer:
            assert json.load(answer)["journal"]["failed"] is True
        assert not lost.done() or lost.exception() or lost.result().status != Status.OK
        asker.close()
        sidecar.kill9()
