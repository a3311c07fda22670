# SPDX-License-Identifier: Apache-2.0
"""The guards of the senders' processes refuse other hosts and write them down; this machine is let through. The
addresses that are refused here are loopback's, and names that nobody can have: should a guard fail, nothing leaves."""

import os
import pathlib
import subprocess
import sys

import pytest
from provider import Provider

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = """
import guard, socket, urllib.request
host, port = {where!r}
try:
    urllib.request.urlopen(f"http://{{host}}:{{port}}/")
except OSError as error:
    print(type(error).__name__, error)
"""
NODE = """
const error = await fetch('http://{where[0]}:{where[1]}/').catch((error) => error.cause);
console.log(error.status ?? error.code);
"""


def reach(language, where, folder):
    outside = folder / "outside"
    outside.touch()
    env = {**{key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")},
           "DIALECTS_OUTSIDE": str(outside), "PYTHONPATH": str(HERE / "python")}
    command = {"python": [sys.executable, "-c", PYTHON.format(where=where)],
               "node": ["node", "--import", str(HERE / "node" / "guard.mjs"), "--input-type=module",
                        "-e", NODE.format(where=where)]}[language]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, outside.read_text("utf-8")


@pytest.mark.parametrize("language", ["python", "node"])
@pytest.mark.parametrize("host", ["127.0.0.2", "nobody.invalid"])
def test_another_host_is_refused_and_written_down(language, host, tmp_path):
    said, outside = reach(language, (host, 54321), tmp_path)
    assert host in outside
    assert "only this machine" in said or "EACCES" in said


@pytest.mark.parametrize("language", ["python", "node"])
def test_this_machine_is_let_through(language, tmp_path):
    with Provider() as provider:
        host, port = provider.url.removeprefix("http://").split(":")
        said, outside = reach(language, (host, port), tmp_path)
    assert outside == "" and "404" in said
