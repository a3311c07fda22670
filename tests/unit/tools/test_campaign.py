# SPDX-License-Identifier: Apache-2.0
"""tests/fault/campaign.py says of itself what it left out."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]

AS_A_USER = """
import os, runpy, sys
os.geteuid = lambda: 1000
sys.argv = ["campaign.py", "--only", "disk-really-full", "wrong-keys", *sys.argv[1:]]
sys.path.insert(0, "tests/fault")
runpy.run_path("tests/fault/campaign.py", run_name="__main__")
"""


@pytest.mark.parametrize("words, code", [([], 1), (["--fast"], 0)])
def test_a_skipped_case_fails_the_campaign_but_not_the_fast_one(words, code):
    done = subprocess.run([sys.executable, "-c", AS_A_USER, *words], cwd=ROOT, capture_output=True,
                          text=True, timeout=60)
    assert "1 of 1 cases held, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert done.returncode == code
    assert ("run the campaign as root" in done.stdout) == bool(code)
