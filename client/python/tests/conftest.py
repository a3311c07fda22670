# SPDX-License-Identifier: Apache-2.0
"""Shared by the client's tests: temporary folders short enough for sockets, and real servers."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator

import pytest

# The client before the server: loaded the other way round, a2a-sdk 1.3.0's client factory takes 1.0
# for every gRPC peer.
with contextlib.suppress(ImportError):
    import a2a.client  # noqa: F401

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "support"))

import waybill_testkit as kit  # noqa: E402

import waybill  # noqa: E402
from waybill import _context, _wire, client  # noqa: E402


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """A temporary folder whose path leaves room for a socket's name."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="wbt-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(autouse=True)
def patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loaded machine, or a sidecar with a sanitizer in it, may need more than the second that an
    agent waits; tests of that second say so by the mark `on_time`."""
    if request.node.get_closest_marker("on_time") is None:
        monkeypatch.setattr(client, "CALL_S", 20.0)


def program(name: str) -> pathlib.Path:
    try:
        return kit.find_program(name)
    except kit.NotBuilt as missing:
        pytest.skip(str(missing))


@pytest.fixture
def sidecars() -> Iterator[Callable[..., kit.Sidecar]]:
    """Makes sidecars, which share one folder and one store; all are ended after the test."""
    program("waybilld")
    base = pathlib.Path(tempfile.mkdtemp(prefix="wbt-", dir="/tmp"))
    made: list[kit.Sidecar] = []

    def make(name: str = "agent", **options: object) -> kit.Sidecar:
        sidecar = kit.Sidecar(name, base=base, **options)  # type: ignore[arg-type]
        made.append(sidecar)
        return sidecar.start()

    yield make
    for sidecar in made:
        sidecar.close()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def sidecar(sidecars: Callable[..., kit.Sidecar]) -> kit.Sidecar:
    return sidecars("agent")


@pytest.fixture
def store(sidecar: kit.Sidecar) -> Store:
    return Store(sidecar.store)


@pytest.fixture
def wb(sidecar: kit.Sidecar) -> Iterator[waybill.Waybill]:
    client = waybill.Waybill(socket=sidecar.socket, name="agent")
    yield client
    client.close()


class Store:
    """What the sidecars delivered, read as plain rows."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def rows(self, sql: str, *values: object) -> list[dict[str, object]]:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
                db.row_factory = sqlite3.Row
                return [dict(row) for row in db.execute(sql, values)]
        except sqlite3.OperationalError:  # not made yet
            return []

    def wait(self, sql: str, *values: object, count: int = 1) -> list[dict[str, object]]:
        """The rows, once there are at least `count`."""
        return kit.wait_until(
            lambda: rows if len(rows := self.rows(sql, *values)) >= count else None, 10, sql
        )

    def one(self, sql: str, *values: object) -> dict[str, object]:
        found = self.wait(sql, *values)
        assert len(found) == 1, found
        return found[0]


class Agent:
    """A sidecar, a client on it, and the ports that the agent serves A2A on: HTTP, gRPC."""

    def __init__(self, sidecar: kit.Sidecar, port: int, grpc_port: int) -> None:
        self.sidecar = sidecar
        self.port = port
        self.grpc_port = grpc_port
        self.wb = waybill.Waybill(socket=sidecar.socket, name=sidecar.name)

    @property
    def id(self) -> str:
        return f"spiffe://example.org/{self.sidecar.name}"


class Company:
    """Agents a, b, c: each knows the others' ports and trusts their keys; one store."""

    def __init__(self, base: pathlib.Path, extra: str = "") -> None:
        agents = pytest.importorskip("agents")  # needs PyNaCl for the public keys
        program("waybilld")
        ports = {name: (kit.free_port(), kit.free_port()) for name in "abc"}
        sidecars = {}
        for name in ports:
            peers = "".join(
                f"  - {{id: spiffe://example.org/{other},"
                f" origins: {[f'http://127.0.0.1:{port}' for port in theirs]}}}\n"
                for other, theirs in ports.items()
                if other != name
            )
            sidecars[name] = kit.Sidecar(
                name,
                base=base,
                config=f"self_ids: [spiffe://example.org/{name}]\n"
                f"admin: {{listen: 127.0.0.1:0}}\npeers:\n{peers}{extra}",
            )
            sidecars[name].start()
            sidecars[name].stop()
        for name, sidecar in sidecars.items():
            for other in ports:
                if other != name:
                    key = agents.public_key(sidecars[other])
                    agents.trust(sidecar, f"spiffe://example.org/{other}", key)
            sidecar.start()
        self.a, self.b, self.c = (Agent(sidecars[name], *ports[name]) for name in "abc")
        self.store = Store(sidecars["a"].store)

    def close(self) -> None:
        for agent in (self.a, self.b, self.c):
            agent.wb.close()
            agent.sidecar.close()


@pytest.fixture(scope="module")
def company() -> Iterator[Company]:
    base = pathlib.Path(tempfile.mkdtemp(prefix="wbt-", dir="/tmp"))
    made = Company(base)
    yield made
    made.close()
    shutil.rmtree(base, ignore_errors=True)


def request(**body: object) -> _wire.Request:
    """A request with a fresh id; without a body it is a StatusRequest, which an echo server sends
    back as a Reply with status OK."""
    return _wire.Request(
        id=_context.new_id(16),
        **(body or {"status": _wire.StatusRequest()}),  # type: ignore[arg-type]
    )


def walk(data: object) -> dict[int, list[object]]:
    """The fields of a protobuf message."""
    assert isinstance(data, bytes)
    found: dict[int, list[object]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        value: object
        if tag & 7 == 0:
            value = varint()
        elif tag & 7 == 2:
            size = varint()
            value, at = data[at : at + size], at + size
        else:
            size = 8 if tag & 7 == 1 else 4
            value, at = int.from_bytes(data[at : at + size], "little"), at + size
        found.setdefault(tag >> 3, []).append(value)
    return found
