# SPDX-License-Identifier: Apache-2.0
"""A sidecar between a sender and a backend, and the count of what became of numbered items."""

from __future__ import annotations

import collections
import contextlib
import json
import sqlite3
from typing import Any, Iterator, Mapping

from otlp_backend import OtlpBackend
from peers import Server
from waybill_testkit import Sidecar, free_port, wait_until

SETTLE_S = 120.0  # an exporter's longest wait is 30 s, and a busy machine takes its time
TABLE: list[tuple[str, int, str, int]] = []  # printed at the end: conftest.py


class Wired:
    """A sidecar with receivers on ports of its own and the exporters that are given.

    extra_otlp   further keys below `otlp`"""

    def __init__(self, exporters: Mapping[str, Any], *, extra_otlp: Mapping[str, Any] | None = None,
                 **more: Any) -> None:
        self.http_port, self.grpc_port = free_port(), free_port()
        config = {
            "otlp": {"http": {"listen": f"127.0.0.1:{self.http_port}"},
                     "grpc": {"listen": f"127.0.0.1:{self.grpc_port}"}, **(extra_otlp or {})},
            "exporters": dict(exporters),
            **more,
        }
        self.sidecar = Sidecar("peer", config=json.dumps(config))  # JSON is YAML

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def __enter__(self) -> "Wired":
        try:
            self.sidecar.start()
        except BaseException:
            self.sidecar.close()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.sidecar.close()

    def rows(self, query: str, *values: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(f"file:{self.sidecar.store}?mode=ro", uri=True)) as db:
            return db.execute(query, values).fetchall()

    def stored(self, signal: str, service: str) -> int | None:
        """Rows of the store; None: it keeps no metrics."""
        if signal == "metrics":
            return None
        table = "spans" if signal == "traces" else "logs"
        try:
            return int(self.rows(f"SELECT count(*) FROM {table} WHERE service = ?", service)[0][0])
        except sqlite3.OperationalError:  # the store is not made yet
            return 0

    def exporter(self, name: str) -> dict[str, Any]:
        """Its part of the status."""
        report = json.loads(self.sidecar.cli("--json", "status", check=False))["report"]
        return next(dict(each) for each in report["exporters"] if each["name"] == name)


def otlp_exporter(protocol: str, *, http_url: str, grpc_target: str, **more: Any) -> dict[str, Any]:
    endpoint = f"http://{grpc_target}" if protocol == "grpc" else http_url
    return {"type": "otlp", "endpoint": endpoint, "protocol": protocol, **more}


def items_of(backend: OtlpBackend, signal: str, service: str) -> list[Any]:
    return [item for item in list(backend.items[signal]) if item.resource.get("service.name") == service]


def numbers_of(items: list[Any]) -> collections.Counter[int]:
    return collections.Counter(item.attributes["peer.number"] for item in items)


def unique(signal: str, items: list[Any]) -> int:
    """Spans that came twice count once: others may still be on their way. Other items have no ids."""
    return len({(item.trace_id, item.span_id) for item in items}) if signal == "traces" else len(items)


def settled(wired: Wired, backend: OtlpBackend, signal: str, service: str, sent: int,
            by: Server | None = None) -> tuple[int | None, int]:
    """What is stored and what was delivered, once neither is short of `sent`, or after a while. A server
    that it comes by, and that ends by itself, is an error."""

    def there() -> bool:
        if by:
            by.check()
        stored = wired.stored(signal, service)
        arrived = unique(signal, items_of(backend, signal, service))
        return arrived >= sent and (stored is None or stored >= sent)

    with contextlib.suppress(TimeoutError):
        wait_until(there, SETTLE_S, "items")
    return wired.stored(signal, service), len(items_of(backend, signal, service))


def note(what: str, sent: int, stored: int | None, delivered: int) -> None:
    TABLE.append((what, sent, "-" if stored is None else str(stored), delivered))


@contextlib.contextmanager
def sidecar_to(backend: OtlpBackend, protocol: str = "http/protobuf", **more: Any) -> Iterator[Wired]:
    exporter = otlp_exporter(protocol, http_url=backend.http_url, grpc_target=backend.grpc_target, **more)
    with Wired({"backend": exporter}) as wired:
        yield wired
