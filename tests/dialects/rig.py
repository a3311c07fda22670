# SPDX-License-Identifier: Apache-2.0
"""Runs one instrumentation between the provider and a sidecar, and reads what the sidecar's store made of it."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import tempfile
from typing import Any

import cells
from capture import Capture
from evidence import attributes_of, value_of
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from peers import clean_env, peer
from provider import Exchange, Provider
from runs import Run
from waybill_testkit import Sidecar, free_port, wait_until

HERE = pathlib.Path(__file__).resolve().parent
RUN_S, STORE_S = 120.0, 60.0
NODE_PACKAGES = {  # what is named in the matrix; in Python a sender's requirements say it
    "ai_sdk_5": ["ai-5"], "ai_sdk_6": ["ai-6"], "ai_sdk_7": ["ai", "@ai-sdk/otel"],
    "langfuse_js": ["@langfuse/openai", "@langfuse/otel"],
    "openinference_js": ["@arizeai/openinference-instrumentation-openai"],
    "openllmetry_js": ["@traceloop/instrumentation-openai"],
}
JUDGED: dict[str, list[cells.Cell]] = {}  # package: its cells, printed at the end


def senders() -> list[str]:
    return sorted(file.stem for pattern in ("python/senders/*.py", "node/senders/*.mjs") for file in HERE.glob(pattern))


def versions(name: str) -> str:
    """The packages under test, as pinned: what a sender's file names first."""
    if name in NODE_PACKAGES:
        pinned = json.loads((HERE / "node" / "package.json").read_text("utf-8"))["dependencies"]
        return ", ".join(f"{package} {pinned[package]}" for package in NODE_PACKAGES[name])
    lines = (HERE / "python" / f"{name}.txt").read_text("utf-8").splitlines()
    listed = dict(line.split("==") for line in lines if "==" in line)
    essay = (HERE / "python" / "senders" / f"{name}.py").read_text("utf-8").split('"""')[1]
    named = [word for word in re.findall(r"[\w.-]*\w", essay) if word in listed]
    return ", ".join(f"{package} {listed[package]}" for package in dict.fromkeys(named))


@dataclasses.dataclass
class Outcome:
    """What one sender's run left behind.

    outside   hosts beyond this machine that its process reached for
    refused   exports that the sidecar did not take whole
    """

    code: int
    said: str
    exchanges: list[Exchange]
    faults: list[str]
    outside: str
    refused: list[str]
    cells: list[cells.Cell]


def command_of(name: str) -> tuple[list[str], dict[str, str]]:
    if (HERE / "node" / "senders" / f"{name}.mjs").exists():
        node = HERE / "node"
        return (["node", "--import", str(node / "guard.mjs"), str(node / "senders" / f"{name}.mjs")],
                {"DIALECTS_NODE_MODULES": str(peer("dialects-node"))})
    return [str(peer(f"dialects-{name}")), str(HERE / "python" / "run.py"), name], {}


def environment(folder: pathlib.Path, provider: Provider, capture: Capture, more: dict[str, str]) -> dict[str, str]:
    """Nothing of the caller's that steers a client; a proxy that nobody listens at, for what heeds one."""
    kept = {key: value for key, value in clean_env().items()
            if not re.match(r"(?i).*_proxy$|OPENAI|ANTHROPIC|LANGFUSE|TRACELOOP|AGENTOPS|OPENLIT|LOGFIRE", key)}
    nowhere = f"http://127.0.0.1:{free_port()}"
    proxies = {name: nowhere for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")}
    return {**kept, **proxies, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
            "HOME": str(folder), "TMPDIR": str(folder), "DIALECTS_OUTSIDE": str(folder / "outside"),
            "DIALECTS_PROVIDER": provider.url, "DIALECTS_OTLP": capture.url, **more}


def read_store(sidecar: Sidecar, wanted: set[tuple[bytes, bytes]],
               log_count: int) -> tuple[dict[Any, dict[str, Any]], dict[Any, list[bytes]]]:
    """Spans and log records of the store, once all that was exported is there."""

    def rows(query: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True)) as db:
            return db.execute(query).fetchall()

    def there() -> bool:
        with contextlib.suppress(sqlite3.OperationalError):  # it is not made yet
            return (wanted <= set(rows("SELECT trace_id, span_id FROM spans"))
                    and rows("SELECT count(*) FROM logs")[0][0] >= log_count)
        return False

    wait_until(there, STORE_S, "all exported spans and log records in the store")
    spans = {(trace_id, span_id): attributes_of(Span.FromString(span).attributes)
             for trace_id, span_id, span in rows("SELECT trace_id, span_id, span FROM spans")}
    records = collections.defaultdict(list)
    for trace_id, span_id, log in rows("SELECT trace_id, span_id, log FROM logs WHERE span_id IS NOT NULL"):
        records[trace_id, span_id].append(log)
    return spans, records


def run(name: str) -> Outcome:
    """Run a sender, and judge."""
    command, more = command_of(name)
    port = free_port()
    config = {"otlp": {"http": {"listen": f"127.0.0.1:{port}"}, "grpc": {"listen": f"127.0.0.1:{free_port()}"}},
              "normalise": {"enabled": True},
              "redact": {"content": "verbose"}}  # a preview has not all that was said, and that is what is judged
    with (tempfile.TemporaryDirectory(prefix="wb-dialect-", dir="/tmp") as folder, Provider() as provider,
          contextlib.closing(Sidecar("dialect", config=json.dumps(config))) as sidecar, Capture(port) as capture):
        sidecar.start()
        outside = pathlib.Path(folder) / "outside"
        outside.touch()
        done = subprocess.run(command, env=environment(pathlib.Path(folder), provider, capture, more), cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_S)
        found, caught = [], {}
        if done.returncode == 0:
            caught = json.loads(done.stdout.strip().splitlines()[-1])["caught"]
            spans, logs = capture.spans(), capture.logs()
            stored, records = read_store(sidecar, {(span.trace_id, span.span_id) for span in spans}, len(logs))
            found = cells.Judge(Run(provider.exchanges, spans, logs, stored, records, caught,
                                    capture.raw)).all()
            keep(name, capture, stored)
        refused = [f"{each.path}: {each.status} {each.answer[:200]!r}" for each in capture.exports
                   if each.status != 200 or b"rejected" in each.answer.lower() or each.answer[:1] == b"\x0a"]
        return Outcome(done.returncode, (done.stdout + done.stderr)[-6000:], provider.exchanges, provider.faults,
                       outside.read_text("utf-8"), refused, found)


# ---- to look at ----------------------------------------------------------------------------------


def keep(name: str, capture: Capture, stored: dict[Any, dict[str, Any]]) -> None:
    """With $DIALECTS_KEEP, a folder: the raw exports, and a text that sets what came beside what was stored."""
    folder = os.environ.get("DIALECTS_KEEP")
    if not folder:
        return
    place = pathlib.Path(folder) / name
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("[0-9][0-9][0-9]-*"):
        old.unlink()
    for number, export in enumerate(capture.exports):
        form = "json" if "json" in export.content_type else "pb"
        (place / f"{number:03}-{export.signal}.{form}").write_bytes(export.body)
    lines = []
    for span in sorted(capture.spans(), key=lambda each: each.start_time_unix_nano):
        lines.append(f"\nspan {span.name} kind {span.kind} status {span.status.code} {span.status.message}"
                     f" id {span.span_id.hex()} parent {span.parent_span_id.hex()}")
        came = attributes_of(span.attributes)
        has = stored.get((span.trace_id, span.span_id), {})
        for key in sorted(came | has):
            same = came.get(key) == has.get(key)
            mark = " " if same else "-" if key not in has else "+" if key not in came else "~"
            lines.append(f"  {mark} {key} = {has.get(key, came.get(key))!r}")
        lines += [f"    event {event.name} {attributes_of(event.attributes)}" for event in span.events]
    for record in capture.logs():
        lines.append(f"\nlog {record.event_name} span {record.span_id.hex()} {value_of(record.body)!r}"
                     f" {attributes_of(record.attributes)}")
    (place / "seen.txt").write_text("\n".join(lines), "utf-8")
