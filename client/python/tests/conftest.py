# SPDX-License-Identifier: Apache-2.0
"""Shared by the client's tests: temporary folders short enough for sockets, and real servers."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile
from typing import Callable, Iterator

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "support"))

import waybill_testkit as kit  # noqa: E402

import waybill  # noqa: E402
from waybill import _context, _wire  # noqa: E402


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    """A temporary folder whose path leaves room for a socket's name."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="wbt-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


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
def wb(sidecar: kit.Sidecar) -> Iterator[waybill.Waybill]:
    client = waybill.Waybill(socket=sidecar.socket, name="agent")
    yield client
    client.close()


def request(**body: object) -> _wire.Request:
    """A request with a fresh id; without a body it is a StatusRequest, which an echo server sends
    back as a Reply with status OK."""
    return _wire.Request(
        id=_context.new_id(16), **(body or {"status": _wire.StatusRequest()})  # type: ignore[arg-type]
    )
