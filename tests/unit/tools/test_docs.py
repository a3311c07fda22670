# SPDX-License-Identifier: Apache-2.0
"""Links of the pages lead somewhere, and the files that they name exist."""

import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGES = sorted(
    line
    for line in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    if (ROOT / line).exists()
)
FOLDERS = "core|proto|propagation|store|exporters|a2a|sidecar|client|cli|tests|tools|docs|examples|cmake"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
NAMED = re.compile(rf"`((?:\./)?(?:{FOLDERS})/[\w./-]*\w/?)`")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text("utf-8")
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_that_are_named_exist(page):
    named = NAMED.findall((ROOT / page).read_text("utf-8"))
    missing = [name for name in named if "*" not in name and not (ROOT / name).exists()]
    assert missing == []
