# SPDX-License-Identifier: Apache-2.0
"""A sidecar under a user of its own: who gets in, who does not, and what the agent can reach.

Four users without names: the sidecar's, the agent's, one of the group that is not listed, and one of
neither. Becoming them takes root."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess

import pytest
from agents import Asker, a_delegate
from users import as_user, needs_root
from waybill_testkit import Sidecar, find_program, wait_until

from waybill import _wire
from waybill._wire import Status

pytestmark = needs_root

SIDECAR, AGENT, MEMBER, STRANGER, GROUP = 4201, 4202, 4203, 4204, 4200
HANDSHAKE, ANSWER = b"\0SP\0\0\x30\0\0", b"\0SP\0\0\x31\0\0"
CONFIG = f"ipc: {{allow_uids: [{AGENT}], group: '{GROUP}'}}\n"


def isolated(name="apart", config=CONFIG, **more):
    return Sidecar(name, config=config, user=SIDECAR, groups=[GROUP], **more)


@pytest.fixture(scope="module")
def apart():
    with isolated() as sidecar:
        yield sidecar


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def knock(sidecar):
    """What a peer gets that says the handshake and then something: "answered", "closed" before a byte of
    a message was taken, or the error of connecting."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        try:
            client.connect(str(sidecar.socket))
        except OSError as why:
            return errno.errorcode[why.errno]
        try:
            client.sendall(HANDSHAKE)
            got = client.recv(8)
            return "answered" if got == ANSWER else "closed"
        except (ConnectionResetError, BrokenPipeError):
            return "closed"


def ask(sidecar, **body):
    asker = Asker(sidecar)
    try:
        reply = asker.ask(**body)
        return [int(reply.status), reply.detail]
    finally:
        asker.close()


def delegate(sidecar):
    return ask(sidecar, delegate=a_delegate("http://127.0.0.1:1"))[0]


def cli_as(uid, sidecar, *args):
    """`waybill ARGS` run by a user, in this sidecar's environment."""
    program = sidecar.base / "waybill"
    if not program.exists():
        shutil.copy(find_program("waybill"), program)
    return subprocess.run(
        [str(program), *args],
        env={**sidecar.env, "XDG_DATA_HOME": "/nonexistent"},
        user=uid,
        group=uid,
        extra_groups=[GROUP],
        capture_output=True,
        text=True,
        timeout=30,
    )


def report(sidecar):
    return json.loads(sidecar.cli("status", "--json", check=False))["report"]


def closed_out(sidecar, uid):
    said = f"peer_uid={uid} "
    wait_until(lambda: said in sidecar.log(), 5, "the log's line")
    return next(line for line in sidecar.log().splitlines() if said in line)


# ---- who gets in ---------------------------------------------------------------------------------


def test_modes_let_the_group_to_the_socket_and_nobody_to_anything_else(apart):
    assert mode(apart.run_dir) == 0o750 and apart.run_dir.stat().st_gid == GROUP
    assert mode(apart.socket) == 0o660 and apart.socket.stat().st_gid == GROUP
    assert mode(apart.status_file) == 0o640 and apart.status_file.stat().st_gid == GROUP
    assert mode(apart.state_dir) == 0o700
    as_user(AGENT, lambda: delegate(apart), groups=[GROUP])
    wait_until(apart.store.exists, 10, "the store")
    for top, folders, files in os.walk(apart.state_dir):
        for name in folders + files:
            path = os.path.join(top, name)
            assert os.lstat(path).st_uid == SIDECAR
            assert stat.S_IMODE(os.lstat(path).st_mode) & 0o077 == 0, path
    assert mode(apart.store) == 0o600


def test_the_listed_user_is_the_agent(apart):
    assert as_user(AGENT, lambda: delegate(apart), groups=[GROUP]) == Status.OK


def test_the_group_alone_lets_nobody_in(apart):
    assert as_user(MEMBER, lambda: knock(apart), groups=[GROUP]) == "closed"
    line = closed_out(apart, MEMBER)
    assert f"own_uid={SIDECAR}" in line and "another user" in line
    assert f"add {MEMBER} to ipc.allow_uids" in line


def test_without_the_group_the_socket_is_out_of_reach(apart):
    assert as_user(STRANGER, lambda: knock(apart)) == "EACCES"
    assert as_user(AGENT, lambda: knock(apart)) == "EACCES"  # listed, but not in the group


def test_root_is_let_in_like_others_when_it_is_listed(apart):
    assert knock(apart) == "closed"
    assert "add 0 to ipc.allow_uids" in closed_out(apart, 0)


def test_the_sidecars_own_user_may_administer_but_is_not_the_agent(apart):
    def tries():
        return {
            "status": ask(apart, status=_wire.StatusRequest()),
            "delegate": ask(apart, delegate=a_delegate("http://127.0.0.1:1")),
            "settle": ask(apart, settle=_wire.Settle(delegation_id=b"x" * 16, outcome="answered")),
        }

    found = as_user(SIDECAR, tries, groups=[GROUP])
    assert found["status"][0] == Status.OK
    assert found["delegate"][0] == Status.DENIED and found["settle"][0] == Status.DENIED
    assert "ipc.role_refused" in apart.log()


def test_root_administers_as_the_sidecars_user():
    """What root lays down is the sidecar's to read, at once and at the next start."""
    with isolated("ruled") as sidecar:
        done = cli_as(0, sidecar, "trust", "revoke", "iss", "spiffe://example.org/evil")
        assert done.returncode == 0, done.stderr
        assert "generation 2" in done.stderr
        assert (sidecar.state_dir / "trust.d").stat().st_uid == SIDECAR
        assert report(sidecar)["trust"]["revocations"] == 1
        assert cli_as(0, sidecar, "key", "rotate").returncode == 0
        sidecar.restart()
        assert report(sidecar)["trust"]["revocations"] == 1


def test_the_agent_may_not_administer(apart):
    done = cli_as(AGENT, apart, "reload")
    assert done.returncode != 0, done.stdout
    assert "reload.done" not in apart.log()
    done = cli_as(SIDECAR, apart, "reload")
    assert done.returncode == 0, done.stderr
    assert "reload.done" in apart.log()


def test_messages_of_the_refused_are_never_read(apart):
    before = report(apart)["counters"]
    for _ in range(20):
        as_user(MEMBER, lambda: knock(apart), groups=[GROUP])
    after = report(apart)["counters"]
    assert after["clients_closed_out"] >= before["clients_closed_out"] + 20
    assert after["requests"] == before["requests"]


def test_a_user_without_a_number_here_is_refused_and_told_why():
    """A sidecar in a user namespace that knows only its own user sees all others as one: 65534."""
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode != 0:
        pytest.skip("this system makes no user namespaces")
    with Sidecar("spaced") as sidecar:
        sidecar.stop()
        inside = sidecar.base / "inside"
        inside.write_text(f'#!/bin/sh\nexec unshare -Ur {find_program("waybilld")} "$@"\n')
        inside.chmod(0o755)
        sidecar.program = inside
        sidecar.start()
        for folder in (sidecar.base, sidecar.runtime_home, sidecar.run_dir.parent, sidecar.run_dir):
            folder.chmod(0o711)  # take the folders' protection away: the check must hold alone
        sidecar.socket.chmod(0o666)
        assert delegate(sidecar) == Status.OK
        assert as_user(AGENT, lambda: knock(sidecar)) == "closed"
        line = closed_out(sidecar, 65534)
        assert "a user of a user namespace that has no number in ours" in line
        assert "own_uid=0" in line and "map the agent's user" in line
        sidecar.run_dir.chmod(0o700)


# ---- what the agent can reach ----------------------------------------------------------------------


def test_the_agent_can_read_neither_keys_nor_state_nor_memory(apart):
    def tries():
        found = {}
        for path in (
            apart.state_dir,
            apart.state_dir / "keys" / "current.key",
            apart.state_dir / "journal",
            apart.state_dir / "journal" / "segment-0000000000000001",
            apart.state_dir / "trust.d",
            apart.store,
            f"/proc/{apart.pid}/mem",
            f"/proc/{apart.pid}/environ",
            f"/proc/{apart.pid}/fd/0",
        ):
            for how in (os.O_RDONLY, os.O_RDWR):
                try:
                    os.close(os.open(path, how))
                    found[str(path)] = "opened"
                except IsADirectoryError:
                    pass
                except OSError as why:
                    found[str(path)] = errno.errorcode[why.errno]
        try:
            (apart.run_dir / "planted").touch()
            found["planted"] = "made"
        except OSError as why:
            found["planted"] = errno.errorcode[why.errno]
        try:
            apart.socket.unlink()
            found["socket"] = "removed"
        except OSError as why:
            found["socket"] = errno.errorcode[why.errno]
        return found

    found = as_user(AGENT, tries, groups=[GROUP])
    assert set(found.values()) == {"EACCES"}, found


# ---- what is said ----------------------------------------------------------------------------------


def test_isolation_is_said_by_status_doctor_and_every_export(apart):
    as_user(AGENT, lambda: delegate(apart), groups=[GROUP])
    said = report(apart)
    assert said["isolation"] == "uid" and said["isolation_because"] is None
    assert said["uid"] == SIDECAR and said["agent_uids"] == [AGENT]
    assert "isolation   uid\n" in apart.cli("status")
    assert json.loads(apart.status_file.read_text())["isolation"] == "uid"
    wait_until(apart.store.exists, 10, "the store")

    def exported():
        with sqlite3.connect(f"file:{apart.store}?mode=ro", uri=True) as store:
            return store.execute("SELECT isolation FROM sidecars").fetchall()

    wait_until(lambda: exported() == [("uid",)], 10, "the store's row")
    # Root and the sidecar's own user see all; the agent's sees what it may, and that it may no more.
    for uid in (SIDECAR, AGENT):
        done = cli_as(uid, apart, "--json", "doctor")
        found = {c["check"]: c for c in json.loads(done.stdout)}
        assert found["isolation"]["result"] == "ok", found
        assert f"uid {AGENT}" in found["isolation"]["detail"]
        assert found["socket"]["result"] == "ok" and found["run dir"]["result"] == "ok", found
    assert "out of uid" in found["state dir"]["detail"] and found["state dir"]["result"] == "ok"
    assert done.returncode == 0, done.stdout


def test_spans_of_the_sidecar_carry_it(apart):
    def whole():
        asker = Asker(apart)
        asked = a_delegate("http://127.0.0.1:1")
        asker.ask(delegate=asked)
        asker.ask(settle=_wire.Settle(delegation_id=asked.delegation_id, outcome="answered"))
        asker.close()

    as_user(AGENT, whole, groups=[GROUP])

    def resources():
        with sqlite3.connect(f"file:{apart.store}?mode=ro", uri=True) as store:
            return [row[0] for row in store.execute("SELECT bytes FROM resources")]

    wait_until(lambda: apart.store.exists() and resources(), 10, "a span's resource")
    key = b"waybill.isolation"
    assert all(found[found.index(key) + len(key) :].startswith(b"\x12\x05\n\x03uid") for found in resources())


@pytest.mark.parametrize(
    "spoil, because",
    [
        (lambda s: s.state_home.chmod(0o777), "replace what lies below it"),
        (lambda s: (s.state_home.chmod(0o711), os.chown(s.state_home, AGENT, AGENT)), f"belongs to uid {AGENT}"),
        (lambda s: s.state_dir.chmod(0o750), "read keys and state"),
        (lambda s: s.config_file.chmod(0o666), "change who is let in"),
    ],
)
def test_what_would_let_the_agent_in_makes_it_none(spoil, because):
    with isolated("spoilt") as sidecar:
        assert report(sidecar)["isolation"] == "uid"
        spoil(sidecar)
        said = report(sidecar)
        assert said["isolation"] == "none" and because in said["isolation_because"]
        doctor = {c["check"]: c for c in json.loads(sidecar.cli("--json", "doctor", check=False))}
        assert doctor["isolation"]["result"] == "warn"
        assert "ipc.allow_uids" in doctor["isolation"]["todo"]


@pytest.mark.parametrize(
    "uids, because", [([SIDECAR], "own uid"), ([AGENT, SIDECAR], "own uid"), ([AGENT, 0], "uid 0")]
)
def test_users_that_are_not_apart_make_it_none(uids, because):
    config = f"ipc: {{allow_uids: {uids}, group: '{GROUP}'}}\n"
    with isolated("together", config=config) as sidecar:
        said = report(sidecar)
        assert said["isolation"] == "none" and because in said["isolation_because"]
        assert as_user(uids[0], lambda: delegate(sidecar), groups=[GROUP]) == Status.OK


# ---- what does not start ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config, more, says",
    [
        (f"ipc: {{allow_uids: [{AGENT}]}}\n", {}, "set ipc.group"),
        (CONFIG, {"groups": []}, "must be in group"),
        ("ipc: {group: no-such-group-here}\n", {}, "there is no group no-such-group-here"),
        (f"ipc: {{allow_uids: [65534], group: '{GROUP}'}}\n", {}, "cannot be let in"),
        ("workers: 1\n", {"user": 65534}, "give it a user of its own"),
    ],
)
def test_a_setting_that_cannot_hold_ends_with_78_and_says_what_to_do(config, more, says):
    options = {"user": SIDECAR, "groups": [GROUP], **more}
    sidecar = Sidecar("wrong", config=config, **options)
    try:
        sidecar.start(wait=False)
        assert sidecar.process.wait(10) == 78
        assert says in sidecar.log()
    finally:
        sidecar.close()
