# SPDX-License-Identifier: Apache-2.0
"""`waybilld --check` finds what the start would refuse, and both say where it stands and what to do."""

from __future__ import annotations

import json
import pathlib
import subprocess
from typing import Any

import pytest
from waybill_testkit import Sidecar, find_program, free_port

ADMIN = "admin: {listen: 127.0.0.1:0}\n"


def both(tmp_path: pathlib.Path, text: str) -> str:
    """What --check says, which the start says, too; both refuse with 78."""
    path = tmp_path / "c.yaml"
    path.write_text(ADMIN + text)
    done = subprocess.run([str(find_program("waybilld")), "--check", "--config", str(path)], capture_output=True,
                          text=True, timeout=30, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
    assert done.returncode == 78, done.stdout
    sidecar = Sidecar("refused", config=ADMIN + text)
    sidecar.start(wait=False)
    assert sidecar.process is not None and sidecar.process.wait(20) == 78
    assert done.stderr.removeprefix("waybilld: ").strip() in sidecar.log()
    assert not sidecar.state_dir.exists()  # nothing was made
    sidecar.close()
    return done.stderr


def postgres(**keys: Any) -> str:
    return f"exporters: {json.dumps({'a': {'type': 'postgres', **keys}})}\n"


@pytest.mark.parametrize("url, said", [
    ("mysql://h/d", "postgres://user@host:5432/database"),
    ("postgres://h/d?sslmod=require", "behind the ? is a name that libpq does not know"),
    ("postgres://h/d?sslmode", "behind the ? a parameter has no ="),
    ("postgres://h/d?sslmode=a=b", "= in a value is %3D"),
    ("postgres://u:%zz@h/d", "% itself is %25"),
    ("postgres://u:p@w@h/d", "@ is written %40"),
    ("postgres://[::1/d", "has no ]"),
    ("postgres://h:99999/d", "a port is no number from 1 to 65535"),
    ("postgres://h:1,g:x/d", "a port is no number from 1 to 65535"),
    ("port=0", "a port is no number from 1 to 65535"),
    ("nonsense", "nor host=a user=b dbname=c"),
    ("hots=a", "it has a key that libpq does not know"),
    ("host='a", "a ' in it is not closed"),
])
def test_urls_of_postgres(tmp_path, url, said):
    found = both(tmp_path, postgres(url=url))
    assert "exporters.a: " in found and said in found


def test_a_store_without_a_url(tmp_path):
    assert "store.postgres: url: it is not set" in both(tmp_path, "store: {type: postgres}\n")


def test_files_of_secrets(tmp_path):
    open_file = tmp_path / "open"
    open_file.write_text("secret-word")
    open_file.chmod(0o644)
    for file in ("/nope", str(open_file)):
        text = json.dumps({"a": {"type": "otlp", "endpoint": "http://h", "bearer_file": file}})
        found = both(tmp_path, f"exporters: {text}\n")
        assert "exporters.a: bearer_file: " in found and "secret-word" not in found
        assert "exporters.a: password_file " in both(tmp_path, postgres(url="postgres://h/d", password_file=file))
        assert "otlp.bearer_file: " in both(tmp_path, f"otlp: {{bearer_file: '{file}'}}\n")


def test_ports_used_twice(tmp_path):
    port = free_port()
    one = f"127.0.0.1:{port}"
    found = both(tmp_path, f"otlp: {{http: {{listen: '{one}'}}, grpc: {{listen: '0.0.0.0:{port}'}}, bearer_file: /nope}}\n")
    assert "otlp.http.listen and otlp.grpc.listen" in found


def test_a_default_port_gives_way_to_a_configured_one(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("otlp: {grpc: {listen: '127.0.0.1:4318'}}\nadmin: {listen: '127.0.0.1:4317'}\n")
    done = subprocess.run([str(find_program("waybilld")), "--check", "--config", str(path)], capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_a_certificate_that_is_none(tmp_path):
    for name in ("cert", "key"):
        (tmp_path / name).write_text("no PEM")
        (tmp_path / name).chmod(0o600)
    found = both(tmp_path, f"otlp: {{tls: {{cert_file: {tmp_path}/cert, key_file: {tmp_path}/key}}}}\n")
    assert "otlp.tls" in found


def test_a_group_that_is_none(tmp_path):
    assert "ipc.group" in both(tmp_path, "ipc: {group: nosuchgroup}\n")
