# SPDX-License-Identifier: Apache-2.0
"""What a sidecar tells the service manager that started it, from inside its sandbox."""

from __future__ import annotations

import json
import signal
import socket

import pytest
from waybill_testkit import Sidecar, wait_until


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A bound socket, and the NOTIFY_SOCKET that names it."""
    path = f"/tmp/wb-notify-{tmp_path.name[-24:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(10)
        abstract = request.param == "abstract"
        listening.bind("\0" + path[1:] if abstract else str(tmp_path / "notify"))
        yield listening, "@" + path[1:] if abstract else str(tmp_path / "notify")


def test_ready_reloading_and_stopping_are_told_as_they_come(manager):
    listening, address = manager
    config = "drain_timeout_ms: 7000\nadmin: {listen: '127.0.0.1:0'}\n"
    with Sidecar("told", config=config, env={"NOTIFY_SOCKET": address}) as sidecar:
        assert listening.recv(200) == b"READY=1"
        assert sidecar.socket.exists()
        sidecar.process.send_signal(signal.SIGHUP)
        assert listening.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert listening.recv(200) == b"READY=1"
        report = json.loads(sidecar.cli("status", "--json"))["report"]
        assert report["sandbox"]["refused_calls"] == 0
        sidecar.process.send_signal(signal.SIGTERM)
        assert listening.recv(200) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=22000000"
        assert sidecar.process.wait(20) == 0


def test_ready_is_not_told_by_one_that_cannot_start(manager):
    listening, address = manager
    sidecar = Sidecar("untold", env={"NOTIFY_SOCKET": address})
    (sidecar.state_home / "waybill").write_text("where its state directory should be")
    try:
        sidecar.start(wait=False)
        assert sidecar.process.wait(20) != 0
        assert listening.recv(200).startswith(b"STOPPING=1")
        listening.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listening.recv(200)
    finally:
        sidecar.close()


def test_a_manager_that_is_gone_keeps_nobody_from_starting(tmp_path):
    with Sidecar("alone", env={"NOTIFY_SOCKET": str(tmp_path / "gone")}) as sidecar:
        wait_until(lambda: "notify.unavailable" in sidecar.log(), 5, "the warning")
        assert sidecar.running
