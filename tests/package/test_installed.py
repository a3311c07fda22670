# SPDX-License-Identifier: Apache-2.0
"""The package on a machine: installed by apt, started by systemd, used, upgraded with a full journal,
removed, purged, with the commands of docs/packages.md. One throw-away root for all, and the steps build on
each other in this order; the first one that fails ends the run (`-x`)."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time

import pytest
from packages import ROOT, make_packages, page_commands
from throwaway_root import Missing, Root

NAMES = ["waybill", "libwaybill0", "libwaybill-dev"]
CLIENT = "/opt/client"
STORE = "/var/lib/waybill/{}/data/waybill/store.db"
LEFT = {"etc/.pwd.lock", "etc/group-", "etc/gshadow-", "etc/passwd-", "etc/shadow-", "etc/subuid-", "etc/subgid-",
        "etc/systemd/system/multi-user.target.wants", "etc/ld.so.cache"}
DROP_IN = "etc/systemd/system/waybilld@planner.service.d/small.conf"
SMALL = "[Service]\nEnvironment=WAYBILL_JOURNAL_SEGMENT_BYTES=64KiB WAYBILL_JOURNAL_LIMIT_BYTES=4MiB\n"
LOCK = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=30)
db.execute("BEGIN IMMEDIATE")
open("/tmp/locked", "w").close()
time.sleep(600)
"""
SPAN = """
import waybill
with waybill.default() as wb:
    with wb.span("search", type="tool_call"):
        pass
    assert wb.flush(10), wb.stats
"""


def missing():
    if os.geteuid() != 0:
        return "only root can make a root of its own"
    absent = [tool for tool in ("debootstrap", "unshare", "nsenter") if not shutil.which(tool)]
    return f"{', '.join(absent)} missing; tools/setup-debian.sh --packages installs it" if absent else ""


pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def root():
    try:
        made = Root()
        made.make()
    except Missing as why:
        pytest.skip(str(why))
    try:
        made.boot()
        shutil.copytree(ROOT / "client/python/waybill", made.path / CLIENT.lstrip("/") / "waybill")
        shutil.copy(ROOT / "tests/package/flood.py", made.path / CLIENT.lstrip("/"))
        for revision in (1, 2):
            (made.path / f"opt/{revision}").mkdir()
            for package in make_packages(ROOT, ROOT / "build/package", revision).values():
                shutil.copy(package, made.path / f"opt/{revision}")
        made.apt("update")
        yield made
    finally:
        made.remove()


def wait(condition, seconds, what):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return found


def unit(root, name, field):
    return root.run(["systemctl", "show", "-P", field, f"waybilld@{name}"]).stdout.strip()


def report(root, name):
    said = root.run(["waybill", "--name", name, "--json", "status"], check=False).stdout
    return json.loads(said)["report"] if said else {}


def python(root, user, *words, name="default", check=True):
    env = {"PYTHONPATH": CLIENT, "PYTHONDONTWRITEBYTECODE": "1", "WAYBILL_NAME": name,
           "WAYBILL_SOCKET": f"/run/waybill/{name}/ipc.sock"}
    return root.run(["python3", *words], user=user, env=env, check=check, timeout=120)


def flood(root, user, name, *more):
    words = [f"{CLIENT}/flood.py", "--socket", f"/run/waybill/{name}/ipc.sock", *more]
    return json.loads(python(root, user, *words, name=name).stdout)


def stored(root, name):
    """Ids of the spans in an instance's store, each as often as it is there."""
    text = ("import sqlite3, sys; db = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True); "
            "print(*[r[0].hex() + r[1].hex() for r in db.execute('SELECT trace_id, span_id FROM spans')])")
    return root.run(["python3", "-c", text, STORE.format(name)], user="waybill").stdout.split()


@pytest.fixture(scope="module")
def before(root):
    return root.files()


# ---- install


def test_apt_installs_it_with_all_that_it_needs(root, before):
    assert before and not any("waybilld" in name for name in before)
    said = root.type(page_commands("Install") + "apt-get install ./lib*.deb", "/opt/1")
    assert "Setting up waybill (0.1.0-1)" in said
    assert root.run(["waybilld", "--version"]).stdout.startswith("waybilld 0.1.0")
    assert root.run(["id", "-nG", "waybill"]).stdout.split() == ["waybill", "waybill-ipc"]
    assert root.run(["getent", "passwd", "waybill"]).stdout.strip().endswith("/usr/sbin/nologin")


def test_the_c_library_is_found_by_its_name(root):
    load = "import ctypes; ctypes.CDLL('libwaybill.so.0').waybill_open"
    assert root.run(["python3", "-c", load], check=False).returncode == 0
    assert root.run(["python3", "-c", load.replace("waybill_open", "waybill_nothing")], check=False).returncode != 0


def test_nothing_starts_by_itself(root):
    assert root.run(["systemctl", "list-units", "--plain", "--no-legend", "waybilld@*"]).stdout == ""


# ---- the instance of the installed configuration


def test_the_default_instance_starts_as_its_own_user_and_says_when_it_is_ready(root):
    root.run(["systemctl", "enable", "--now", "waybilld@default"])
    assert unit(root, "default", "ActiveState") == "active" and unit(root, "default", "Type") == "notify"
    folder = root.path / "proc" / unit(root, "default", "MainPID")
    status = root.run(["cat", f"/proc/{folder.name}/status"]).stdout
    uid = root.run(["id", "-u", "waybill"]).stdout.strip()
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in status
    assert "CapBnd:\t0000000000000000" in status and "NoNewPrivs:\t1" in status


def test_the_units_sandbox_lets_the_sidecar_lock_itself_in(root):
    sandbox = report(root, "default")["sandbox"]
    assert sandbox["landlock"] == sandbox["seccomp"] == "on", sandbox
    assert sandbox["no_dump"] and sandbox["no_new_privs"] and sandbox["refused_calls"] == 0, sandbox


def test_its_state_is_closed_to_all_others(root):
    state = root.path / "var/lib/waybill/default"
    uid = int(root.run(["id", "-u", "waybill"]).stdout)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700 and state.stat().st_uid == uid
    assert (root.path / "var/lib/waybill").stat().st_uid == 0


def test_the_default_instance_takes_spans_from_its_own_user_only(root):
    python(root, "waybill", "-c", SPAN)
    listed = wait(lambda: root.run(["waybill", "--json", "trace", "list"], check=False).stdout.strip() or None,
                  20, "a trace in the store")
    assert "search" in listed or json.loads(listed)
    refused = python(root, "nobody", "-c", SPAN, check=False)
    assert refused.returncode != 0


def test_doctor_has_no_complaint(root):
    done = root.run(["waybill", "doctor"])
    assert done.returncode == 0 and "0 failures" in done.stdout


# ---- an agent of its own


@pytest.fixture(scope="module")
def planner(root):
    """The instance `planner` beside the first one, for an agent that is another user; its journal is small."""
    root.run(["useradd", "--system", "--user-group", "--no-create-home", "planner"])
    (root.path / DROP_IN).parent.mkdir()
    (root.path / DROP_IN).write_text(SMALL)
    root.run(["systemctl", "daemon-reload"])
    root.type(page_commands("One instance for each agent"))
    return root


def test_an_agent_that_is_another_user_is_isolated_from_its_sidecar(planner):
    python(planner, "planner", "-c", SPAN, name="planner")
    assert report(planner, "planner")["isolation"] == "uid", report(planner, "planner")
    looked = planner.type(page_commands("One instance for each agent", 1))
    assert "isolation   uid" in looked and "0 failures" in looked
    peek = planner.run(["cat", "/var/lib/waybill/planner/keys/current.key"], user="planner", check=False)
    assert peek.returncode != 0 and "Permission denied" in peek.stderr


def test_a_sidecar_sees_nothing_of_the_state_of_another(planner):
    pid = unit(planner, "planner", "MainPID")
    seen = planner.run(["nsenter", f"--target={pid}", "--mount", "--root", "ls", "/var/lib/waybill"]).stdout.split()
    assert seen == ["planner"]


def test_an_instance_without_a_configuration_does_not_start(root):
    root.run(["systemctl", "start", "waybilld@nobody"], check=False)
    assert unit(root, "nobody", "ConditionResult") == "no" and unit(root, "nobody", "ActiveState") == "inactive"


def test_reload_says_whether_the_change_was_taken_over(planner):
    generation = report(planner, "planner")["reload"]["generation"]
    planner.run(["systemctl", "reload", "waybilld@planner"])
    assert report(planner, "planner")["reload"]["generation"] > generation
    path = planner.path / "etc/waybill/planner.yaml"
    good = path.read_text()
    path.write_text(good + "trust: {mode: nonsense}\n")
    assert planner.run(["systemctl", "reload", "waybilld@planner"], check=False).returncode != 0
    assert unit(planner, "planner", "ActiveState") == "active"
    path.write_text(good)
    planner.run(["systemctl", "reload", "waybilld@planner"])
    python(planner, "planner", "-c", SPAN, name="planner")  # systemd has given nothing to another group
    assert report(planner, "planner")["isolation"] == "uid"


def test_a_broken_configuration_is_not_started_again_and_again(planner):
    path = planner.path / "etc/waybill/broken.yaml"
    path.write_text("nonsense: 1\n")
    assert planner.run(["systemctl", "start", "waybilld@broken"], check=False).returncode != 0
    assert unit(planner, "broken", "ExecMainStatus") == "78" and unit(planner, "broken", "NRestarts") == "0"
    path.unlink()


def test_a_sidecar_that_is_killed_comes_back(planner):
    old = unit(planner, "default", "MainPID")
    planner.run(["sh", "-c", f"kill -9 {old}"])
    wait(lambda: unit(planner, "default", "MainPID") not in ("0", old)
         and unit(planner, "default", "ActiveState") == "active", 15, "a new process")


# ---- upgrade


def test_an_upgrade_with_a_full_journal_loses_nothing(planner):
    wait(lambda: os.path.exists(f"{planner.path}{STORE.format('planner')}"), 20, "the store")
    lock = planner.run(["systemd-run", "--unit=lock", "--uid=waybill", "python3", "-c", LOCK,
                        STORE.format("planner")])
    assert lock.returncode == 0
    wait(lambda: planner.run(["test", "-e", "/tmp/locked"], check=False).returncode == 0, 40, "the lock")
    said = flood(planner, "planner", "planner")
    assert len(said["acknowledged"]) > 100, said["last"]
    assert report(planner, "planner")["journal"]["full"], said["last"]
    key, old = report(planner, "planner")["key_id"], unit(planner, "planner", "MainPID")

    upgraded = planner.type(page_commands("Upgrade"), "/opt/2")
    assert "Setting up waybill (0.1.0-2)" in upgraded
    assert unit(planner, "planner", "ActiveState") == "active" and unit(planner, "planner", "MainPID") != old
    assert report(planner, "planner")["key_id"] == key
    assert not set(said["acknowledged"]) <= set(stored(planner, "planner")), "the store was not blocked"
    planner.run(["systemctl", "stop", "lock"])
    wait(lambda: set(said["acknowledged"]) <= set(stored(planner, "planner")), 60, "what was acknowledged")
    found = stored(planner, "planner")
    assert len(found) == len(set(found))
    assert flood(planner, "planner", "planner", "--spans", "10")["last"].startswith("OK")


def test_an_upgrade_keeps_a_changed_configuration(planner):
    path = planner.path / "etc/waybill/default.yaml"
    path.write_text(path.read_text() + "# ours\n")
    planner.type("apt-get install --reinstall -o Dpkg::Options::=--force-confold ./waybill_*.deb", "/opt/2")
    assert path.read_text().endswith("# ours\n")


# ---- the end


def test_a_stop_drains_within_the_time_that_the_sidecar_asks_for(planner):
    said = flood(planner, "planner", "planner", "--spans", "50")
    planner.run(["systemctl", "stop", "waybilld@planner"])
    assert unit(planner, "planner", "Result") == "success" and unit(planner, "planner", "ExecMainStatus") == "0"
    assert set(said["acknowledged"]) <= set(stored(planner, "planner"))
    planner.run(["systemctl", "start", "waybilld@planner"])


def test_a_removal_stops_the_sidecars_keeps_their_state_and_says_so(planner):
    pids = [unit(planner, name, "MainPID") for name in ("default", "planner")]
    remove, _ = page_commands("Remove").splitlines()
    said = planner.type(remove)
    assert "stay in /var/lib/waybill" in said
    for pid in pids:
        assert planner.run(["test", "-e", f"/proc/{pid}"], check=False).returncode != 0
    assert (planner.path / "var/lib/waybill/planner/keys/current.key").exists()
    assert (planner.path / "etc/waybill/planner.yaml").exists()
    assert not (planner.path / "usr/bin/waybilld").exists()
    assert planner.run(["ls", "/run"]).stdout.split().count("waybill") == 0


def test_what_was_kept_goes_on_after_a_new_installation(planner):
    key = (planner.path / "var/lib/waybill/planner/keys/current.key").read_bytes()
    planner.type(page_commands("Install"), "/opt/2")
    planner.run(["systemctl", "start", "waybilld@planner"])
    assert flood(planner, "planner", "planner", "--spans", "10")["last"].startswith("OK")
    assert (planner.path / "var/lib/waybill/planner/keys/current.key").read_bytes() == key


def test_a_purge_says_what_it_removes_and_leaves_nothing(planner, before):
    _, purge = page_commands("Remove").splitlines()
    said = planner.type(purge)
    assert "removing the keys, journals and stores in /var/lib/waybill" in said
    planner.run(["userdel", "planner"])
    shutil.rmtree((planner.path / DROP_IN).parent)  # it stays, since it is the administrator's
    planner.apt("purge", *NAMES[1:])
    planner.apt("autoremove", "--purge")
    own = {name for name in planner.files() if name.startswith("opt/") or name in LEFT}
    assert planner.files() - own - before == set()
    assert planner.run(["getent", "passwd", "waybill"]).returncode == 0  # a number must not become another's


def test_it_comes_and_goes_where_systemd_is_not_at_work(planner, before):
    """In a container or a chroot: the last step, for it halts the root."""
    planner.halt()
    planner.chroot(["sh", "-c", "apt-get -q install /opt/2/*.deb"], 300)
    assert planner.chroot(["waybilld", "--version"]).returncode == 0
    assert (planner.path / "run/waybill").is_dir()
    planner.chroot(["apt-get", "-q", "purge", *NAMES], 300)
    assert not [name for name in planner.files() - before if "waybill" in name and not name.startswith("opt/")]
