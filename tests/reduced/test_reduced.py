# SPDX-License-Identifier: Apache-2.0
"""A build without OTLP, Postgres and the admin endpoint has no library of them, and works."""

from __future__ import annotations

import json
import subprocess

import pytest
from agents import Asker, a_delegate
from waybill_testkit import Sidecar, find_program, wait_until

LEFT_OUT = ("libcurl", "libpq", "libmicrohttpd", "libnghttp2", "libgnutls", "libdeflate")


@pytest.mark.parametrize("program", ["waybilld", "waybill"])
def test_no_library_of_what_was_left_out(program):
    linked = subprocess.run(["ldd", str(find_program(program))], capture_output=True, text=True, check=True).stdout
    assert "libc.so" in linked
    assert [line for line in linked.splitlines() if any(name in line for name in LEFT_OUT)] == []


@pytest.mark.parametrize("program", ["waybilld", "waybill"])
def test_no_function_of_what_was_left_out(program):
    """Symbols of the parts' own files: what stands in for them answers "not in this build"."""
    symbols = subprocess.run(["nm", str(find_program(program))], capture_output=True, text=True, check=True).stdout
    assert " T main" in symbols
    for part in ("wb_http_refuse", "wb_http_reply", "wb_otlp_admit", "wb_grpc_", "wb_exporter_otlp", "wb_exporter_postgres", "MHD_", "curl_", "PQ"):
        assert not [line for line in symbols.splitlines() if line.split()[-1].startswith(part)], part


def test_it_delegates_delivers_and_is_looked_after(tmp_path):
    with Sidecar("small") as sidecar:
        asker = Asker(sidecar)
        reply = asker.ask(delegate=a_delegate("http://127.0.0.1:9999"))
        asker.close()
        assert reply.delegate is not None, reply
        report = json.loads(sidecar.cli("status", "--json"))
        assert report["running"] and report["report"]["name"] == "small" and report["admin_port"] == 0
        # while the store is being made, asking for what is in it fails
        stored = wait_until(lambda: json.loads(sidecar.cli("delegations", "--json", check=False) or "[]"), 10)
        assert len(stored) == 1
        assert all(found["result"] != "fail" for found in json.loads(sidecar.cli("doctor", "--json")))


@pytest.mark.parametrize("config,says", [
    ("admin: {listen: '127.0.0.1:0'}", "unknown key admin"),
    ("otlp: {http: {listen: '127.0.0.1:0'}}", "unknown key otlp"),
    ("exporters: {a: {type: otlp, endpoint: 'http://127.0.0.1:1'}}", "one of sqlite is needed"),
    ("exporters: {a: {type: postgres, url: 'postgres://x'}}", "one of sqlite is needed"),
])
def test_asking_for_what_was_left_out_is_refused(tmp_path, config, says):
    file = tmp_path / "config.yaml"
    file.write_text(config)
    done = subprocess.run([str(find_program("waybilld")), "--check", "--config", str(file)],
                          capture_output=True, text=True)
    assert done.returncode == 78 and says in done.stderr
