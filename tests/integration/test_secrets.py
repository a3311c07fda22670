# SPDX-License-Identifier: Apache-2.0
"""No secret in any output: what a configuration, an address or a header holds is not printed or said again."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pytest
from test_otlp_out import named, tell
from waybill_testkit import Sidecar, find_program, wait_until

SECRET = "sekret77"


def run(program: str, *args: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(find_program(program)), *map(str, args)], capture_output=True, text=True, timeout=30,
                          env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})


def check(tmp_path: pathlib.Path, exporter: dict) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "c.yaml"
    path.write_text(f"exporters: {json.dumps({'a': exporter})}\n")
    return run("waybilld", "--check", "--config", path)


@pytest.mark.parametrize("url", [
    f"mysql://u:{SECRET}@h/db", f"postgress://u:{SECRET}@h/db", f"postgres:/u:{SECRET}@h/db", f"u:{SECRET}@h/db",
    f"postgres://u:{SECRET}@h/db", f"postgres://h/db?user=u&pass%77ord={SECRET}", f"postgres://h/db?sslpassword={SECRET}",
    f"postgres://u:x@{SECRET}@h/db", f"host=h pwd={SECRET}", f"postgres://h/db?{SECRET}", f"postgres://h:{SECRET}@/db",
    f"postgres://u:%zz{SECRET}@h/db", f"postgres://h/db?a={SECRET}={SECRET}", f"host=h password='{SECRET}",
])
def test_no_part_of_a_url_that_may_be_secret_is_said(tmp_path, url):
    done = check(tmp_path, {"type": "postgres", "url": url})
    assert SECRET not in done.stdout + done.stderr
    asked = run("waybill", "trace", "list", "--store", url)
    assert asked.returncode != 0 and SECRET not in asked.stdout + asked.stderr
    checked = run("waybill", "doctor", "--store", url)
    assert SECRET not in checked.stdout + checked.stderr


@pytest.mark.parametrize("exporter", [
    {"endpoint": "http://h", "traces_endpoint": f"https://h/x?api_key={SECRET}"},
    {"endpoint": f"https://{SECRET}@h"},
    {"endpoint": f"u:{SECRET}@h:4318"},
    {"endpoint": f"htps://u:{SECRET}@h"},
    {"endpoint": "http://h", "headers": [f"x-team={SECRET}", f"y: {SECRET}"]},
    {"endpoint": "http://h", "headers": [f"Proxy-Authorization=Bearer {SECRET}"]},
    {"endpoint": "http://h", "headers": [SECRET]},
])
def test_nor_of_an_endpoint_or_a_header(tmp_path, exporter):
    done = check(tmp_path, {"type": "otlp", **exporter})
    assert SECRET not in done.stdout + done.stderr
    assert "***" in done.stdout or done.returncode == 78


def test_what_authorizes_a_proxy_does_not_belong_into_headers(tmp_path):
    done = check(tmp_path, {"type": "otlp", "endpoint": "http://h", "headers": ["proxy-authorization: Basic eA=="]})
    assert done.returncode == 78 and "headers_file" in done.stderr


def test_a_header_is_printed_by_its_name(tmp_path):
    done = check(tmp_path, {"type": "otlp", "endpoint": "http://h", "headers": ["x-team=blue"]})
    assert done.returncode == 0 and '- "x-team=***"' in done.stdout


def test_doctor_speaks_of_the_sidecars_store_without_its_password():
    url = f"postgres://u:{SECRET}@127.0.0.1:1/d"
    text = f"admin: {{listen: 127.0.0.1:0}}\ndrain_timeout_ms: 100\nstore: {{type: postgres, postgres: {{url: '{url}'}}}}\n"
    with Sidecar("pg", config=text) as sidecar:
        said = sidecar.cli("doctor", check=False)
        assert "postgres://***@127.0.0.1:1/d" in said and "store.db" not in said
        tell(sidecar, named("x"))

        def failed() -> bool:
            return any(line.startswith("fail") and " store " in line and "postgres://***@" in line
                       for line in sidecar.cli("doctor", check=False).splitlines())

        wait_until(failed, 20, "it is away")
        assert SECRET not in sidecar.cli("doctor", check=False) + sidecar.cli("status", check=False) + sidecar.log()
