# SPDX-License-Identifier: Apache-2.0
"""Clients that misbehave, in great number, beside one that does not."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time

from trial import Trial, case, demand
from waybill_testkit import agent_env, wait_until

from waybill import _wire

HANDSHAKE = b"\0SP\0\0\x30\0\0"


def connected(trial: Trial, said: bytes = HANDSHAKE) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(trial.sidecar.socket))
    client.sendall(said)
    return client


def frame(body: bytes) -> bytes:
    return b"\1" + struct.pack(">QI", 4 + len(body), 0x80000001) + body


def status_request() -> bytes:
    return _wire.encode(_wire.Request(id=os.urandom(16), protocol=1, status=_wire.StatusRequest()))


def rss_kib(trial: Trial) -> int:
    with open(f"/proc/{trial.sidecar.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


def descriptors(trial: Trial) -> int:
    return len(os.listdir(f"/proc/{trial.sidecar.pid}/fd"))


@case("10 000 connects, each leaving at another point of its first message", fast=True)
def ten_thousand_connects(trial: Trial) -> str:
    trial.begin()
    before, memory = descriptors(trial), rss_kib(trial)
    whole = HANDSHAKE + frame(status_request())
    for i in range(10_000):
        with contextlib.suppress(OSError), contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(5)
            client.connect(str(trial.sidecar.socket))
            client.sendall(whole[: i % (len(whole) + 1)])
    trial.work(20)
    wait_until(lambda: descriptors(trial) <= before + 4, 15, "descriptors given back")
    demand(rss_kib(trial) < memory + 16384, f"{rss_kib(trial) - memory} KiB more memory")
    return f"{descriptors(trial) - before} descriptors and {rss_kib(trial) - memory} KiB kept"


@case("3 000 connections held open in silence")
def connections_held(trial: Trial) -> str:
    trial.begin()
    held = []
    try:
        for _ in range(3000):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(5)
            try:
                client.connect(str(trial.sidecar.socket))
            except OSError:
                client.close()
                break
            held.append(client)
        trial.work(20)
    finally:
        for client in held:
            client.close()
    return f"{len(held)} connected, the others were served"


@case("lengths of 0, 4 GiB, 2^64-1 and just above the limit; another protocol", fast=True)
def absurd_lengths(trial: Trial) -> str:
    trial.begin()
    memory, closed = rss_kib(trial), 0
    for said in (b"\1" + struct.pack(">Q", 0), b"\1" + struct.pack(">Q", 4 << 30),
                 b"\1" + struct.pack(">Q", 2**64 - 1), b"\1" + struct.pack(">Q", (8 << 20) + 1),
                 b"GET / HTTP/1.1\r\n\r\n"):
        for _ in range(50):
            with contextlib.closing(connected(trial, HANDSHAKE + said)) as client:
                with contextlib.suppress(ConnectionError):
                    while client.recv(4096):
                        pass
                closed += 1
    demand(rss_kib(trial) < memory + 8192, f"{rss_kib(trial) - memory} KiB more memory")
    return f"{closed} closed out; {rss_kib(trial) - memory} KiB kept"


@case("a Record of 9 MiB, beyond ipc.max_message_bytes")
def oversize_record(trial: Trial) -> str:
    trial.begin()
    with contextlib.closing(connected(trial)) as client:
        client.recv(8)
        with contextlib.suppress(ConnectionError):
            client.sendall(frame(bytes(9 << 20)))
        with contextlib.suppress(ConnectionError):
            demand(client.recv(1) == b"", "answered")
    closed = trial.report()["counters"]["clients_closed_out"]
    demand(closed >= 1, "not counted")
    return f"closed before it was read; counted ({closed})"


@case("32 clients that ask without ever reading an answer", fast=True)
def clients_that_never_read(trial: Trial) -> str:
    trial.begin()
    memory = rss_kib(trial)
    clients = [connected(trial) for _ in range(32)]
    try:
        asked, body = 0, frame(status_request())
        for client in clients:
            client.setblocking(False)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(body)
                    asked += 1
        trial.work(20)
    finally:
        for client in clients:
            client.close()
    demand(rss_kib(trial) < memory + 32768, f"{rss_kib(trial) - memory} KiB more memory")
    return f"{asked} requests sent; {rss_kib(trial) - memory} KiB more; the others were served"


@case("clients killed in the middle of a message of 1 MiB")
def clients_die_midway(trial: Trial) -> str:
    trial.begin()
    for _ in range(100):
        with contextlib.closing(connected(trial)) as client:
            client.sendall(frame(bytes(1 << 20))[: 500_000])
    trial.work(20)
    return "100 half messages dropped"


@case("messages that trickle in, one byte each 50 ms, on 64 connections")
def slow_senders(trial: Trial) -> str:
    trial.begin()
    clients = [connected(trial) for _ in range(64)]
    body = frame(status_request())
    closed = 0
    try:
        for i in range(100):
            for client in clients:
                try:
                    client.send(body[i % len(body): i % len(body) + 1])
                except OSError:
                    closed += 1
            time.sleep(0.05)
        trial.work(20)
    finally:
        for client in clients:
            client.close()
    return f"{closed} sends refused by then; the others were served"


AGENT = """
    import os, sys, time, waybill
    wb = waybill.Waybill(socket=sys.argv[1], name="agent")
    with wb.span("first"): pass
    wb.flush(5)
    print("go", flush=True)
    def queued():  # seconds in which this process waited for a processor
        return sum(int(open(f"/proc/self/task/{t}/schedstat").read().split()[1])
                   for t in os.listdir("/proc/self/task")) / 1e9
    worst, n, end = 0.0, 0, time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        before, started = queued(), time.perf_counter()
        with wb.span("work"): pass
        took = time.perf_counter() - started
        if took > worst: worst = max(worst, took - (queued() - before))
        n += 1
        time.sleep(0.001)
    wb.flush(10)
    print(n, worst, wb.stats.spans_dropped, flush=True)
"""


def agent(trial: Trial, code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(trial.sidecar.socket), *args],
        env=agent_env(trial.sidecar) | {"LD_PRELOAD": "", "WAYBILL_FAULTS": ""},
        stdout=subprocess.PIPE, text=True)


@case("the sidecar is stopped (SIGSTOP), killed and restarted under a Python agent")
def agent_never_waits(trial: Trial) -> str:
    trial.begin()
    trial.load.rest()
    with agent(trial, AGENT, "6") as process:
        demand(process.stdout.readline() == "go\n", "the agent did not start")
        time.sleep(0.5)
        trial.sidecar.process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        trial.sidecar.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        trial.sidecar.kill9()
        time.sleep(1.5)
        trial.sidecar.start()
        said, _ = process.communicate(timeout=30)
    n, worst, dropped = said.split()
    trial.load.go_on()
    demand(float(worst) < 0.005 * 4, f"a span took {1000 * float(worst):.1f} ms")
    demand(int(dropped) == 0, f"{dropped} spans dropped within the buffer's bound")
    return f"{n} spans, the slowest {1000 * float(worst):.2f} ms without waits for a processor, {dropped} dropped"


FORKED = """
    import os, sys, waybill
    wb = waybill.Waybill(socket=sys.argv[1], name="agent")
    with wb.span("parent"): pass
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            with wb.span("child"): pass
            ok = wb.flush(5)
            os._exit(0 if ok else 1)
        assert os.waitpid(pid, 0)[1] == 0
    with wb.span("parent"): pass
    assert wb.flush(5)
    print("done", flush=True)
"""


@case("the agent forks, parent and children go on recording")
def fork_in_the_agent(trial: Trial) -> str:
    trial.begin()
    with agent(trial, FORKED) as process:
        said, _ = process.communicate(timeout=30)
    demand(said == "done\n", "parent or child could not record")
    return "4 children and their parent recorded"
