# SPDX-License-Identifier: Apache-2.0
"""docs/alerts.yml and docs/grafana/waybill.json against a real sidecar: every metric that an expression names is
there behind real traffic, with the labels it is asked for; Prometheus' own tool reads the expressions and runs the
rules; the dashboard is read with the types that Grafana publishes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest
import yaml
from agents import Asker, a_delegate, an_accept, company, origin
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from measured import A_DAY_OF_WORK, request
from metrics import Scrape
from waybill_testkit import ROOT, wait_until

from waybill import _otlp, _wire
from waybill._wire import Status

PROMTOOL = pathlib.Path(sys.prefix) / "bin/promtool"
ALERTS = ROOT / "docs/alerts.yml"
DASHBOARD = ROOT / "docs/grafana/waybill.json"
PAGE = ROOT / "docs/metrics.md"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
# Of gen_ai_* there are labels, too.
SELECTOR = re.compile(r"\b((?:waybill|process|up)(?:_\w+)?|gen_ai_\w+(?=\{))\b(?:\{([^}]*)\})?")
FROM_PROMETHEUS = {"job", "instance"}  # labels that a scrape adds
MEASURES = "normalise: {enabled: true}\n"


def promtool(*args: str | os.PathLike[str], text: str | None = None) -> None:
    done = subprocess.run([PROMTOOL, *args], input=text, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def panels() -> list[dict]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> dict[str, str]:
    """By panel and query, with the values that Grafana would put in."""
    found = {}
    for panel in panels():
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "4m").replace("$job", ".*")
            found[f"{panel['title']} {target['refId']}"] = expr.replace("$instance", ".*").replace("$exporter", ".*")
    assert not [e for e in found.values() if "$" in e]
    return found


EXPRESSIONS = {f"alert {rule['alert']}": rule["expr"] for rule in RULES} | dashboard_expressions()


@pytest.fixture(scope="module")
def behind_traffic():
    """Two agents have worked together, and a token was refused."""
    names = ["a", "b"]
    with company(names, MEASURES) as sidecars:
        a, b = (Asker(sidecars[name]) for name in names)
        asked = a_delegate(origin(names, "b"))
        reply = a.ask(delegate=asked).delegate
        assert b.ask(accept=an_accept(asked, reply.carrier)).status == Status.OK
        b.ask(accept=an_accept(asked, reply.carrier))  # a duplicate
        a.ask(settle=_wire.Settle(delegation_id=asked.delegation_id, outcome="completed"))
        now = time.time_ns()
        span = _otlp.span(
            trace_id=os.urandom(16), span_id=os.urandom(8), name="x", kind=1, start_ns=now, end_ns=now, attrs={}
        )
        fields = _otlp.resource({"service.name": "test"}), _otlp.scope("test")
        assert a.ask(record=_wire.Record(traces=_otlp.export_request([(*fields, span)]))).status == Status.OK
        for each in (a, b):
            work = _wire.Record(traces=request(A_DAY_OF_WORK).SerializeToString())
            assert each.ask(record=work).status == Status.OK
        a.close()
        b.close()
        wait_until(lambda: Scrape(sidecars["b"])["waybill_refusal_records_total", {"outcome": "kept"}] == 1, 10, "it")
        yield [Scrape(sidecar) for sidecar in sidecars.values()]


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_metric_that_is_named_is_there(where, behind_traffic):
    named = [(name, labels) for name, labels in SELECTOR.findall(EXPRESSIONS[where]) if name != "up"]
    assert named or where == "alert WaybillDown"
    for scrape in behind_traffic:
        for name, labels in named:
            wanted = re.findall(r'(\w+)(=~|=|!=|!~)"([^"]*)"', labels)
            exact = {key: value for key, how, value in wanted if how == "=" and key not in FROM_PROMETHEUS}
            found = scrape.all(name, **exact)
            assert found, f"{where}: no series of {name} with {exact}"
            for key, _, _ in wanted:
                has = any(key in series.labels for series in found)
                assert key in FROM_PROMETHEUS or has, f"{where}: {name} has no label {key}"


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_labels_that_are_kept_exist(where, behind_traffic):
    """`by (...)` and `on (...)` name labels of the metrics within, or what Prometheus adds."""
    expr = EXPRESSIONS[where]
    labels = {label.strip() for found in re.findall(r"\b(?:by|on) \(([^)]*)\)", expr) for label in found.split(",")}
    names = {name for name, _ in SELECTOR.findall(expr)} - {"up"}
    known = {key for name in names for sample in behind_traffic[0].all(name) for key in sample.labels}
    assert labels <= known | FROM_PROMETHEUS, where


def test_prometheus_reads_the_rules():
    promtool("check", "rules", "--lint-fatal", ALERTS)


def test_each_rule_fires_when_it_should_and_not_before():
    cases = ROOT / "tests/integration/alerts.test.yml"
    tried = {c["alertname"] for t in yaml.safe_load(cases.read_text())["tests"] for c in t["alert_rule_test"] if c["exp_alerts"]}
    assert tried == {rule["alert"] for rule in RULES}, "a case for each"
    promtool("test", "rules", cases)


def test_each_rule_says_how_bad_it_is_and_what_to_do():
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
        assert "$labels.instance" in rule["annotations"]["summary"], rule["alert"]


def test_each_rule_is_in_the_page_on_trouble():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    assert sorted(re.findall(r"\bWaybill[A-Z]\w+", page)) == sorted(rule["alert"] for rule in RULES)


def test_prometheus_reads_the_dashboard_s_expressions(tmp_path):
    rules = [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(dashboard_expressions().values())]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yml")


def test_grafana_s_types_know_all_of_the_dashboard():
    """Read into the types of Grafana's published schema and written again it is the same: nothing in it is unknown
    to them, or of another kind."""
    register_default_plugins()
    written = json.loads(DASHBOARD.read_text())
    again = json.loads(JSONEncoder(sort_keys=True, indent=1).encode(Dashboard.from_json(written)))
    assert parts_missing(written, again) == []


def parts_missing(here, there, path="") -> list[str]:
    """Where `there` lacks what is here, or says something else."""
    if isinstance(here, dict) and isinstance(there, dict):
        return [m for k in here for m in (parts_missing(here[k], there[k], f"{path}.{k}") if k in there else [f"{path}.{k}"])]
    if isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        return [m for n, pair in enumerate(zip(here, there)) for m in parts_missing(*pair, f"{path}[{n}]")]
    return [] if here == there else [path]


def test_the_dashboard_is_laid_out():
    board = json.loads(DASHBOARD.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({panel["title"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    variables = {v["name"] for v in board["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}
    assert used <= variables and variables == {"datasource", "job", "instance", "exporter"}


def blocks_of_the_page() -> list[str]:
    return re.findall(r"^```yaml[^\n]*\n(.*?)^```", PAGE.read_text(), re.M | re.S)


def test_the_page_s_scrape_configuration_is_one(tmp_path):
    (scraping,) = [block for block in blocks_of_the_page() if "scrape_configs" in block]
    (tmp_path / "prometheus.yml").write_text(scraping)
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_the_page_s_annotations_name_what_is_there():
    (pod,) = [yaml.safe_load(block) for block in blocks_of_the_page() if "annotations" in block]
    assert pod["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true", "prometheus.io/port": "7412", "prometheus.io/path": "/metrics"
    }  # fmt: skip
