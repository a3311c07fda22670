# SPDX-License-Identifier: Apache-2.0
"""Links of the pages lead somewhere, the files that they name exist, and the index has every page."""

import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "docs"))

import pages  # noqa: E402

ROOT = pages.ROOT
PAGES = pages.pages()
FOLDERS = "core|proto|propagation|store|exporters|a2a|sidecar|client|cli|tests|tools|docs|examples|cmake"
NAMED = re.compile(rf"`((?:\./)?(?:{FOLDERS})/[\w./-]*\w/?)`")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = [link.partition("#")[0] for link in pages.links(page) if "://" not in link]
    assert [link for link in links if link and not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_anchors_are_headings(page):
    wrong = []
    for link in pages.links(page):
        file, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(file).resolve() if file else (ROOT / page).resolve()
        if "://" in link or not anchor or not target.exists():
            continue
        if anchor not in pages.anchors(str(target.relative_to(ROOT))):
            wrong.append(link)
    assert wrong == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_files_that_are_named_exist(page):
    named = NAMED.findall(pages.read(page))
    missing = [name for name in named if "*" not in name and not (ROOT / name).exists()]
    assert missing == []


def test_the_index_has_every_page():
    listed = {link.partition("#")[0] for link in pages.links("docs/README.md")}
    folder = [page.removeprefix("docs/") for page in PAGES if page.startswith("docs/")]
    assert [page for page in folder if page != "README.md" and page not in listed] == []


@pytest.mark.parametrize(("heading", "anchor"), [
    ("# Two companies", "two-companies"),
    ("## JSON of `status` and `doctor`", "json-of-status-and-doctor"),
    ("## What is refused, and why", "what-is-refused-and-why"),
    ("## [A link](x.md) here", "a-link-here"),
])
def test_an_anchor_is_what_a_browser_goes_to(heading, anchor, tmp_path, monkeypatch):
    (tmp_path / "page.md").write_text(f"{heading}\n```\n# no heading\n```\n", "utf-8")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    assert pages.anchors("page.md") == {anchor}
