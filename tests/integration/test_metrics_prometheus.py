# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes two real sidecars, with docs/alerts.yml for its rules: it takes what they answer, every rule
is evaluated, a sidecar that ends is an alert, and each query of the dashboard has an answer."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest
import yaml
from agents import Asker, a_delegate, an_accept, company, origin
from measured import A_DAY_OF_WORK, request
from test_delivery import record
from test_metrics_files import ALERTS, DASHBOARD, MEASURES, RULES, panels
from waybill_testkit import free_port, wait_until

from waybill import _wire
from waybill._wire import Status

NAMES = ["a", "b"]
PATIENCE_S = 60
RARE = {"Refusals, by code"}  # nothing of the kind happens here, and it says so by being empty


class Prometheus:
    def __init__(self, folder: pathlib.Path, targets: list[str]) -> None:
        rules = yaml.safe_load(ALERTS.read_text())
        for rule in rules["groups"][0]["rules"]:
            rule.pop("for", None)  # nobody waits for minutes here
        (folder / "alerts.yml").write_text(json.dumps(rules))
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [{"job_name": "waybill", "static_configs": [{"targets": targets}]}],
            "rule_files": ["alerts.yml"],
        }))  # fmt: skip
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(folder / "log", "wb")  # noqa: SIM115
        self.process = subprocess.Popen(
            [pathlib.Path(sys.prefix) / "bin/prometheus", f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.url.removeprefix('http://')}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip

    def ask(self, what: str, **params: str):
        with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(params)}", timeout=10) as answer:
            said = json.load(answer)
        assert said["status"] == "success" and not said.get("warnings")
        return said["data"]

    def is_ready(self) -> bool:
        assert self.process.poll() is None, pathlib.Path(self.log.name).read_text()
        try:
            return len(self.query('up{job="waybill"} == 1')) == len(NAMES)
        except OSError:
            return False

    def query(self, expr: str) -> list[dict]:
        return self.ask("query", query=expr)["result"]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    with company(NAMES, MEASURES) as sidecars:
        targets = {name: f"127.0.0.1:{sidecars[name].status()['ports']['admin']}" for name in NAMES}
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), list(targets.values()))
        try:
            wait_until(prometheus.is_ready, PATIENCE_S, "both targets up")
            yield sidecars, targets, prometheus
        finally:
            prometheus.close()


def work(sidecars) -> None:
    a, b = (Asker(sidecars[name]) for name in NAMES)
    asked = a_delegate(origin(NAMES, "b"))
    reply = a.ask(delegate=asked)
    assert reply.status == Status.OK
    assert b.ask(accept=an_accept(asked, reply.delegate.carrier)).status == Status.OK
    assert a.ask(settle=_wire.Settle(delegation_id=asked.delegation_id, outcome="completed")).status == Status.OK
    assert a.ask(record=record(3)).status == Status.OK
    measured = _wire.Record(traces=request(A_DAY_OF_WORK).SerializeToString())
    assert b.ask(record=measured).status == Status.OK
    a.close()
    b.close()


def test_it_takes_what_a_sidecar_answers(scraped):
    sidecars, targets, prometheus = scraped
    health = {t["labels"]["instance"]: (t["health"], t["lastError"]) for t in prometheus.ask("targets")["activeTargets"]}
    assert health == {target: ("up", "") for target in targets.values()}
    before = {r["metric"]["instance"]: float(r["value"][1]) for r in prometheus.query(RECEIVED)}
    work(sidecars)
    wait_until(
        lambda: float(next(r["value"][1] for r in prometheus.query(RECEIVED) if r["metric"]["instance"] == targets["a"]))
        == before[targets["a"]] + 3,
        PATIENCE_S,
        "three spans more",
    )
    types = prometheus.ask("metadata")
    assert types["waybill_items"][0]["type"] == "counter"  # as OpenMetrics names the family: that was asked for
    assert types["waybill_journal_commit_duration_seconds"][0]["type"] == "histogram"


RECEIVED = 'waybill_items_total{receiver="ipc", signal="traces", outcome="accepted"}'


def test_each_query_of_the_dashboard_has_an_answer(scraped):
    sidecars, _, prometheus = scraped
    missing: set[str] = set()

    def find_missing() -> bool:
        missing.clear()
        work(sidecars)
        for panel in panels():
            values = {"$__rate_interval": "10s", "$job": ".*", "$instance": ".*", "$exporter": ".*"}
            found = 0
            for target in panel["targets"]:
                expr = target["expr"]
                for name, value in values.items():
                    expr = expr.replace(name, value)
                found += sum(result["value"][1] != "NaN" for result in prometheus.query(expr))
            if not found and panel["title"] not in RARE:
                missing.add(panel["title"])
        return not missing

    try:
        wait_until(find_missing, PATIENCE_S, "answers")
    except TimeoutError:
        raise AssertionError(f"no answer: {missing}") from None
    for variable in json.loads(DASHBOARD.read_text())["templating"]["list"]:
        if variable["type"] != "query":
            continue
        series, label = variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        series = series.replace("$job", ".*").replace("$instance", ".*")
        assert prometheus.ask(f"label/{label}/values", **{"match[]": series}), variable["name"]


def test_each_rule_is_evaluated_and_only_a_sidecar_that_ends_is_an_alert(scraped):
    sidecars, targets, prometheus = scraped

    def rules() -> list[dict]:
        return prometheus.ask("rules")["groups"][0]["rules"]

    wait_until(lambda: all(rule["health"] == "ok" for rule in rules()), PATIENCE_S, "an evaluation of each")
    assert {rule["name"] for rule in rules()} == {rule["alert"] for rule in RULES}
    assert [rule["name"] for rule in rules() if rule["state"] != "inactive"] == []
    sidecars["b"].stop()

    def down() -> list[dict]:
        return [a for a in prometheus.ask("alerts")["alerts"] if a["labels"]["alertname"] == "WaybillDown"]

    (alert,) = wait_until(down, PATIENCE_S, "the alert")
    assert alert["state"] == "firing" and alert["labels"]["instance"] == targets["b"]
    assert alert["annotations"]["summary"] == f"The sidecar at {targets['b']} does not answer"
    sidecars["b"].start()
