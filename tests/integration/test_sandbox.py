# SPDX-License-Identifier: Apache-2.0
"""The locks of a running sidecar, tried from inside and from outside, and what must work in spite of them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

from agents import Asker, a_delegate
from users import as_user, needs_root
from waybill_testkit import Sidecar, find_program, is_sanitized, wait_until

from waybill import _wire
from waybill._wire import Status

SANITIZED = is_sanitized(find_program("waybilld"))


def locked_build(test):
    """A test of what sanitized builds have not: no sandbox, no locked memory. There it is no test."""
    return None if SANITIZED else test


# What an intruder in the process tries, and what comes of it: 0 is a success.
EXPECTED = {
    "read_shadow": errno.EACCES,
    "read_passwd": errno.EACCES,
    "list_root": errno.EACCES,
    "read_environ": errno.EACCES,
    "plant_trust": errno.EACCES,
    "plant_key": errno.EACCES,
    "overwrite_key": errno.EACCES,
    "write_tmp": errno.EACCES,
    "remove_trust": errno.EACCES,
    "move_state": errno.EACCES,
    "setuid_file": errno.EPERM,
    "own_file": 0,
    "setuid_bit": errno.EPERM,
    "own_mode": 0,
    "own_unlink": 0,
    "parked_file": 0,
    "parked_unlink": 0,
    "execve": errno.EPERM,
    "fork": errno.EPERM,
    "process": errno.EPERM,
    "clone3": errno.ENOSYS,
    "ptrace": errno.EPERM,
    "kill": errno.EPERM,
    "peek": errno.EPERM,
    "unshare": errno.EPERM,
    "setuid": errno.EPERM,
    "chroot": errno.EPERM,
    "mount": errno.EPERM,
    "bpf": errno.EPERM,
    "own_memory": 0,
    "make_code": errno.EPERM,
    "map_code": errno.EPERM,
    "socket_tcp": errno.EPERM,
    "socket_udp": errno.EPERM,
    "socket_unix": errno.EPERM,
    "connect": errno.EPERM,
    "bind": errno.EPERM,
    "end": 0,
}


def report(sidecar: Sidecar) -> dict:
    return json.loads(sidecar.cli("status", "--json", check=False))["report"]


def checks(sidecar: Sidecar) -> dict:
    return {c["check"]: c for c in json.loads(sidecar.cli("--json", "doctor", check=False))}


def delegate(sidecar: Sidecar) -> Status:
    asker = Asker(sidecar)
    try:
        return asker.ask(delegate=a_delegate("http://127.0.0.1:1")).status
    finally:
        asker.close()


def stored(sidecar: Sidecar) -> int:
    """Delegations in the store; 0 while it is being made."""
    try:
        with sqlite3.connect(f"file:{sidecar.store}?mode=ro", uri=True) as store:
            return store.execute("SELECT count(*) FROM delegations").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


@locked_build
def test_an_intruder_in_the_process_reaches_nothing(tmp_path):
    says, go = tmp_path / "says", tmp_path / "go"
    intruder = find_program("waybilld").parent / "intruder.so"
    with Sidecar(
        "intruded",
        env={
            "LD_PRELOAD": str(intruder),
            "INTRUDER_SAYS": str(says),
            "INTRUDER_GO": str(go),
        },
    ) as sidecar:
        sidecar.refusals_expected = True
        sidecar.stop()
        held = sidecar.state_dir / "trust.d" / "held.json"
        held.parent.mkdir(mode=0o700, exist_ok=True)
        held.write_text("{}")
        held.chmod(0o600)
        sidecar.extra_env["INTRUDER_STATE"] = str(sidecar.state_dir)
        sidecar.start()
        go.touch()
        assert delegate(sidecar) == Status.OK
        wait_until(lambda: "end 0" in says.read_text(), 5, "the intruder's last word")
        found = dict(line.rsplit(" ", 1) for line in says.read_text().splitlines())
        assert {name: int(why) for name, why in found.items()} == EXPECTED
        # It goes on as before, and says what happened.
        assert delegate(sidecar) == Status.OK
        assert held.read_text() == "{}" and not (sidecar.state_dir / "journal" / "own").exists()
        wait_until(lambda: "sandbox.refused" in sidecar.log(), 5, "the log's line")
        refused = sum(1 for why in EXPECTED.values() if why == errno.EPERM)
        sandbox = report(sidecar)["sandbox"]
        assert sandbox["refused_calls"] == refused and sandbox["last_refused"] == "bind"
        assert 'last="bind"' in sidecar.log() and "level=\"error\"" in sidecar.log()
        found = checks(sidecar)["sandbox"]
        assert found["result"] == "fail" and "bind" in found["detail"] and found["todo"]


@locked_build
def test_status_log_and_doctor_say_which_locks_hold():
    with Sidecar("locked") as sidecar:
        sandbox = report(sidecar)["sandbox"]
        assert sandbox["wanted"] == "auto" and sandbox["refused_calls"] == 0
        assert sandbox["landlock"] == "on" and sandbox["seccomp"] == "on", sandbox
        assert sandbox["no_new_privs"] and sandbox["no_dump"]
        assert "sandbox.on" in sidecar.log()
        assert "Landlock on, seccomp on" in sidecar.cli("status")
        assert checks(sidecar)["sandbox"]["result"] == "ok"
        for task in os.listdir(f"/proc/{sidecar.pid}/task"):  # every thread, also the libraries' own
            with open(f"/proc/{sidecar.pid}/task/{task}/status") as status:
                said = status.read()
            assert re.search(r"^Seccomp:\s+2$", said, re.M) and re.search(r"^NoNewPrivs:\s+1$", said, re.M)


def test_off_is_off_and_said():
    with Sidecar("unlocked", config="sandbox: off\n") as sidecar:
        sandbox = report(sidecar)["sandbox"]
        assert sandbox["landlock"] == "not asked for" and sandbox["seccomp"] == "not asked for"
        assert sandbox["no_new_privs"] and sandbox["no_dump"]
        assert "sandbox.off" in sidecar.log() and checks(sidecar)["sandbox"]["result"] == "warn"


def test_require_does_not_start_where_a_lock_is_missing():
    env = {} if SANITIZED else {"LD_PRELOAD": str(find_program("waybilld").parent / "old_kernel.so")}
    sidecar = Sidecar("required", config="sandbox: require\n", env=env)
    try:
        sidecar.start(wait=False)
        assert sidecar.process.wait(10) == 78
        assert "sandbox: require, but Landlock is not in this" in sidecar.log()
    finally:
        sidecar.close()
    with Sidecar("content", env=env) as sidecar:  # by itself it takes what there is
        sandbox = report(sidecar)["sandbox"]
        assert sandbox["landlock"].startswith("not in this") and sandbox["seccomp"] != "on"
        assert "sandbox.partial" in sidecar.log() and delegate(sidecar) == Status.OK
        assert checks(sidecar)["sandbox"]["result"] == "warn"


@locked_build
def test_require_starts_where_all_of_it_is_there():
    with Sidecar("required", config="sandbox: require\n") as sidecar:
        sandbox = report(sidecar)["sandbox"]
        assert sandbox["wanted"] == "require" and sandbox["landlock"] == sandbox["seccomp"] == "on"


@locked_build
def test_the_key_is_in_memory_that_is_locked_and_never_dumped():
    with Sidecar("memory") as sidecar:
        with open(f"/proc/{sidecar.pid}/smaps") as smaps:
            flags = [line.split()[1:] for line in smaps if line.startswith("VmFlags:")]
        guarded = [f for f in flags if {"lo", "dd"} <= set(f)]  # locked, left out of core dumps
        assert guarded, "no mapping is locked and left out of core dumps"
        # Between uses nobody may read the signing key, ourselves included; other secrets are read only.
        assert any("rd" not in f for f in guarded), guarded
        assert all("wr" not in f and "ex" not in f for f in guarded), guarded
        with open(f"/proc/{sidecar.pid}/limits") as limits:
            core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]


@needs_root
def test_a_process_of_the_same_user_can_neither_trace_nor_read_it():
    with Sidecar("untraced", user=4201) as sidecar:
        pid = sidecar.pid

        def attack():
            libc = ctypes.CDLL(None, use_errno=True)
            found = {}
            for name in ("mem", "environ", "maps", "fd"):
                try:
                    path = f"/proc/{pid}/{name}"
                    os.listdir(path) if name == "fd" else open(path, "rb").read(1)
                    found[name] = 0
                except OSError as why:
                    found[name] = why.errno
            found["ptrace"] = ctypes.get_errno() if libc.ptrace(16, pid, None, None) < 0 else 0
            local = (ctypes.c_void_p * 2)(ctypes.addressof(ctypes.create_string_buffer(8)), 8)
            got = libc.process_vm_readv(pid, local, 1, local, 1, 0)
            found["peek"] = ctypes.get_errno() if got < 0 else 0
            return found

        found = as_user(4201, attack)
        assert set(found.values()) <= {errno.EACCES, errno.EPERM}, found
        assert delegate_as(4201, sidecar) == Status.OK  # it is the agent all the same


def delegate_as(uid: int, sidecar: Sidecar) -> int:
    return as_user(uid, lambda: int(delegate(sidecar)))


@locked_build
def test_a_store_whose_file_goes_comes_back():
    with Sidecar("store") as sidecar:
        assert delegate(sidecar) == Status.OK
        wait_until(lambda: stored(sidecar) == 1, 10, "the first row")
        for path in sidecar.store.parent.iterdir():
            path.unlink()
        assert delegate(sidecar) == Status.OK
        wait_until(lambda: stored(sidecar) >= 1, 20, "the second row")


@locked_build
def test_a_store_directory_that_is_replaced_is_said_and_comes_back_with_a_restart():
    with Sidecar("replaced") as sidecar:
        assert delegate(sidecar) == Status.OK
        wait_until(lambda: stored(sidecar) == 1, 10, "the first row")
        shutil.rmtree(sidecar.store.parent)
        sidecar.store.parent.mkdir(mode=0o700)
        assert delegate(sidecar) == Status.OK  # safe in the journal
        wait_until(lambda: "sandbox.replaced" in sidecar.log(), 10, "the log's line")
        assert report(sidecar)["sandbox"]["replaced"] == str(sidecar.store.parent)
        found = checks(sidecar)["sandbox"]
        assert found["result"] == "fail" and "sandbox_writable" in found["todo"]
        sidecar.restart()
        wait_until(lambda: stored(sidecar) >= 1, 10, "the second row")
        assert report(sidecar)["sandbox"]["replaced"] is None


@locked_build
def test_a_store_directory_that_is_gone_is_the_sandboxs_doing_and_comes_back_as_it_was():
    with Sidecar("removed") as sidecar:
        assert delegate(sidecar) == Status.OK
        wait_until(lambda: stored(sidecar) == 1, 10, "the first row")
        folder = sidecar.store.parent
        aside = folder.with_name("aside")
        folder.rename(aside)
        wait_until(lambda: "sandbox.removed" in sidecar.log(), 5, "the log's line")
        said = report(sidecar)
        assert said["sandbox"]["removed"] == str(folder) and said["sandbox"]["replaced"] is None
        assert said["degraded"] is True
        found = checks(sidecar)["sandbox"]
        assert found["result"] == "fail" and f"{folder} was removed" in found["detail"]
        assert "restart" in found["todo"] and "sandbox_writable" in found["todo"]
        assert str(folder) in sidecar.cli("status")
        assert delegate(sidecar) == Status.OK  # safe in the journal
        aside.rename(folder)
        wait_until(lambda: stored(sidecar) == 2, 20, "both rows, without a restart")
        wait_until(lambda: report(sidecar)["sandbox"]["removed"] is None, 5, "well again")
        assert report(sidecar)["degraded"] is False


@locked_build
def test_sandbox_writable_lets_a_store_directory_come_and_go():
    with Sidecar("comes", env={"WAYBILL_SANDBOX_WRITABLE": "/tmp/wb-unused"}) as sidecar:
        sidecar.stop()
        sidecar.extra_env["WAYBILL_SANDBOX_WRITABLE"] = str(sidecar.data_home)
        sidecar.start()
        shutil.rmtree(sidecar.store.parent, ignore_errors=True)
        assert delegate(sidecar) == Status.OK
        wait_until(lambda: stored(sidecar) == 1, 20, "the row")
        assert report(sidecar)["sandbox"]["replaced"] is None


@locked_build
def test_what_is_read_again_may_have_been_replaced_meanwhile():
    with Sidecar("reread", config="trust: {mode: link}\n") as sidecar:
        fresh = sidecar.config_home / ".new"
        fresh.write_text("trust: {mode: enforce}\n")
        fresh.rename(sidecar.config_file)  # as editors do, and `kubectl` by its links
        shutil.rmtree(sidecar.state_dir / "trust.d", ignore_errors=True)
        (sidecar.state_dir / "trust.d").mkdir(mode=0o700)
        sidecar.cli("key", "rotate", check=False)
        sidecar.process.send_signal(signal.SIGHUP)
        wait_until(lambda: report(sidecar)["trust"]["mode"] == "enforce", 10, "the new mode")
        assert delegate(sidecar) == Status.OK


@locked_build
def test_segments_snapshots_and_quarantine_work_behind_the_locks():
    config = "journal: {segment_bytes: 64KiB, limit_bytes: 1MiB}\n"
    with Sidecar("small", config=config) as sidecar:
        asker = Asker(sidecar)
        for _ in range(900):
            asked = a_delegate("http://127.0.0.1:1")
            reply = asker.ask(delegate=asked)
            while reply.status == Status.FULL:  # until the store has caught up
                time.sleep(0.05)
                reply = asker.ask(delegate=asked)
            assert reply.status == Status.OK
            asker.ask(settle=_wire.Settle(delegation_id=asked.delegation_id, outcome="answered"))
        asker.close()

        def recycled():
            journal = report(sidecar)["journal"]
            return journal["snapshots_taken"] > 0 and journal["first_seq"] > 1

        wait_until(recycled, 10, "snapshots and recycled segments")
        sidecar.kill9()
        segment = sorted((sidecar.state_dir / "journal").glob("segment-*"))[0]
        with open(segment, "r+b") as file:
            file.seek(20000)
            file.write(b"\xff" * 64)
        sidecar.start()
        assert delegate(sidecar) == Status.OK


@locked_build
def test_no_tcp_peer_and_no_name_server_is_ever_asked():
    """A sidecar without far sides over the network has nothing to connect to: the lock is whole."""
    with socket.socket() as listener, Sidecar("quiet") as sidecar:
        listener.bind(("127.0.0.1", 0))
        assert delegate(sidecar) == Status.OK
        held = []
        for fd in os.listdir(f"/proc/{sidecar.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed since
                held.append(os.readlink(f"/proc/{sidecar.pid}/fd/{fd}"))
        sockets = {re.search(r"\d+", link)[0] for link in held if link.startswith("socket:")}
        with open(f"/proc/{sidecar.pid}/net/tcp") as table:
            rows = [line.split() for line in table][1:]
        ours = [row for row in rows if row[9] in sockets]
        assert ours and all(row[3] == "0A" for row in ours), ours  # listening only
