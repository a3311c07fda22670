# SPDX-License-Identifier: Apache-2.0
"""A WSGI application for gunicorn, and gunicorn's configuration in one: an agent that is loaded
before the workers are forked, with its connection, its threads and a recorded span.

/ack    records two spans and a delegation, and answers once the sidecar has them all
/work   the same, and answers at once"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import waybill

waybill.client.CALL_S = 20.0  # as the tests' own patience: a loaded machine is not the subject
wb = waybill.default()
with wb.span("preload"):
    pass
assert wb.flush(10)


def own_socket() -> int:
    """Which socket this process talks to its sidecar on; 0 before it does."""
    found = wb._connection._socket
    return os.fstat(found.fileno()).st_ino if found is not None else 0


MASTER, MASTERS_SOCKET = os.getpid(), own_socket()


def holds(inode: int) -> bool:
    """Whether any descriptor of this process is that socket."""
    for fd in os.listdir("/proc/self/fd"):
        try:
            if os.stat(f"/proc/self/fd/{fd}").st_ino == inode:
                return True
        except FileNotFoundError:  # the listing's own
            pass
    return False


def work(message_id: str) -> tuple[list[str], str, bool]:
    with wb.span("outer") as outer:
        made = wb.delegate(
            waybill.Target("http://127.0.0.1:1/"), method="SendMessage", message_id=message_id
        )
        with wb.settling(made), wb.span("inner") as inner:
            assert inner.parent == outer.context
    spans = [one.context.span_id.hex() for one in (outer, inner)]
    return spans, made.id.hex(), made.local


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    spans, delegation, local = work(environ["QUERY_STRING"])
    answer = {
        "pid": os.getpid(),
        "spans": spans,
        "delegation": delegation,
        "local": local,
        "acknowledged": environ["PATH_INFO"] == "/ack" and wb.flush(10),
        "socket": own_socket(),
        "master's": MASTERS_SOCKET,
        "holds master's": holds(MASTERS_SOCKET),
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


def on_exit(server: object) -> None:
    """gunicorn calls this in the master, when all workers are gone."""
    assert os.getpid() == MASTER and own_socket() == MASTERS_SOCKET
    with wb.span("master's last"):
        pass
