# SPDX-License-Identifier: Apache-2.0
"""Clients that misbehave: each is closed, says nothing to the others, and leaves nothing behind."""

from __future__ import annotations

import os
import random
import socket
import struct
import time

import pytest
from agents import Asker, a_delegate
from waybill_testkit import Sidecar, find_program, is_sanitized, wait_until

from waybill import _wire
from waybill._wire import Request, Status

HANDSHAKE = b"\0SP\0\0\x30\0\0"
ANSWER = b"\0SP\0\0\x31\0\0"


@pytest.fixture(scope="module")
def sidecar():
    with Sidecar("abused") as running:
        yield running


@pytest.fixture(autouse=True)
def still_serves(sidecar):
    """After every test a fresh client is served, and nothing is in hand."""
    yield
    asker = Asker(sidecar)
    try:
        assert asker.ask(status=_wire.StatusRequest()).status == Status.OK
    finally:
        asker.close()


def raw(sidecar, handshake=HANDSHAKE):
    client = socket.socket(socket.AF_UNIX)
    connect(client, sidecar)
    client.sendall(handshake)
    return client


def connect(client, sidecar):
    """Patient where the listener's backlog is full."""
    client.settimeout(None)
    client.connect(str(sidecar.socket))
    client.settimeout(10)


def greeted(sidecar):
    client = raw(sidecar)
    assert client.recv(8) == ANSWER
    return client


def frame(body, number=1):
    return b"\1" + struct.pack(">QI", 4 + len(body), 0x80000000 | number) + body


def request(**body):
    return _wire.encode(Request(id=os.urandom(16), protocol=1, **body))


def is_closed(client):
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def open_files(sidecar):
    return len(os.listdir(f"/proc/{sidecar.pid}/fd"))


def rss_kib(sidecar):
    """Resident memory; 0 where a sanitizer makes the figure mean nothing."""
    if is_sanitized(find_program("waybilld")):
        return 0
    with open(f"/proc/{sidecar.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def test_clients_that_vanish_at_any_moment_leave_the_listener_alive(sidecar):
    before = open_files(sidecar)
    seed = random.Random(1518)
    whole = HANDSHAKE + frame(request(status=_wire.StatusRequest()))
    for _ in range(2000):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(sidecar.socket))
        client.sendall(whole[: seed.randrange(len(whole) + 1)])
        client.close()
    wait_until(lambda: open_files(sidecar) <= before + 2, 10, "descriptors given back")


@pytest.mark.parametrize(
    "handshake", [b"GET / HT", b"\0SP\0\0\x31\0\0", b"\0SP\1\0\x30\0\0", b"\0SP\0\0\x30\0\1"]
)
def test_another_protocol_is_closed(sidecar, handshake):
    assert is_closed(raw(sidecar, handshake))


@pytest.mark.parametrize(
    "message",
    [
        b"\1" + struct.pack(">Q", 4 << 30),
        b"\1" + struct.pack(">Q", 2**64 - 1),
        b"\1" + struct.pack(">Q", (8 << 20) + 1),
        b"\1" + struct.pack(">Q", 3) + b"abc",
        b"\2" + struct.pack(">QI", 4, 0x80000001),
        b"\1" + struct.pack(">QI", 4, 0x00000001),
    ],
)
def test_a_frame_that_cannot_be_is_closed_and_nothing_is_allocated(sidecar, message):
    before = rss_kib(sidecar)
    client = greeted(sidecar)
    client.sendall(message)
    assert is_closed(client)
    assert rss_kib(sidecar) < before + 2048


@pytest.mark.parametrize("body", [b"", b"\xff" * 20, b"\x0a\x10" + b"x" * 15, random.Random(300).randbytes(300)])
def test_bytes_that_are_no_request_are_answered_as_malformed(sidecar, body):
    client = greeted(sidecar)
    client.sendall(frame(body, 7))
    reply = client.recv(4096)
    assert reply[9:13] == struct.pack(">I", 0x80000007)
    assert _wire.decode(_wire.Reply, reply[13:]).status == Status.MALFORMED


def test_random_requests_never_end_the_sidecar(sidecar):
    seed = random.Random(42)
    good = [
        request(delegate=a_delegate("http://127.0.0.1:1")),
        request(accept=_wire.Accept(acceptance_id=b"a" * 16, carrier='{"v":"1"}')),
        request(settle=_wire.Settle(delegation_id=b"b" * 16, outcome="completed")),
    ]
    client = greeted(sidecar)
    for number in range(1500):
        body = bytearray(seed.choice(good))
        for _ in range(seed.randrange(1, 5)):
            body[seed.randrange(len(body))] = seed.randrange(256)
        client.sendall(frame(bytes(body), number))
        head = client.recv(13, socket.MSG_WAITALL)
        client.recv(struct.unpack(">Q", head[1:9])[0] - 4, socket.MSG_WAITALL)


def test_a_client_that_stops_amid_a_message_is_closed_and_gives_back_its_place(sidecar):
    stalled = []
    for _ in range(140):  # more than there are places
        client = greeted(sidecar)
        client.sendall(b"\1" + struct.pack(">QI", 60000, 0x80000001) + b"x")
        stalled.append(client)
    assert all(is_closed(client) for client in stalled[:10])
    for client in stalled:
        client.close()


@pytest.mark.parametrize("count", [1, 4])
def test_clients_that_read_no_replies_are_closed_and_hinder_nobody(sidecar, count):
    """Four would hold all places: some are kept for clients that hold none."""
    silent = {greeted(sidecar) for _ in range(count)}
    for client in silent:
        client.setblocking(False)
    asker = Asker(sidecar)
    message = frame(request(status=_wire.StatusRequest()))
    sent, worst, end = 0, 0.0, time.monotonic() + 8
    while time.monotonic() < end and silent:
        for client in list(silent):
            try:
                for _ in range(50):
                    sent += client.send(message) // len(message)
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                silent.remove(client)
        began = time.monotonic()
        assert asker.ask(status=_wire.StatusRequest()).status == Status.OK
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.02)
    asker.close()
    assert not silent and sent > 64 * count
    assert worst < 2.0
    assert "reads no replies" in sidecar.log()


def test_many_idle_clients_are_carried_and_too_many_are_closed(sidecar):
    clients = [greeted(sidecar) for _ in range(900)]
    asker = Asker(sidecar)
    assert asker.ask(status=_wire.StatusRequest()).status == Status.OK
    asker.close()
    extra = []
    for _ in range(200):
        client = socket.socket(socket.AF_UNIX)
        connect(client, sidecar)
        extra.append(client)
    assert is_closed(extra[-1])
    for client in clients + extra:
        client.close()
    wait_until(lambda: open_files(sidecar) < 100, 10, "descriptors given back")


def test_large_messages_wait_their_turn_within_the_limit(sidecar):
    """Six at once of 8 MiB, with 12 MiB in hand allowed: all are answered, memory stays bounded."""
    body = request(record=_wire.Record(traces=b"\xff" * ((8 << 20) - 64)))
    clients = [greeted(sidecar) for _ in range(6)]
    for client in clients:
        client.setblocking(False)
    left = {client: memoryview(frame(body)) for client in clients}
    end = time.monotonic() + 30
    while left and time.monotonic() < end:
        for client in list(left):
            try:
                left[client] = left[client][client.send(left[client]) :]
            except BlockingIOError:
                continue
            if not left[client]:
                del left[client]
    assert not left
    for client in clients:
        client.settimeout(20)
        reply = client.recv(4096)
        assert _wire.decode(_wire.Reply, reply[13:]).status == Status.MALFORMED
        client.close()
    assert rss_kib(sidecar) < 100 * 1024
