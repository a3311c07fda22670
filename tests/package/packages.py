# SPDX-License-Identifier: Apache-2.0
"""Built packages, for tests: building them, and comparing two that should be the same."""

from __future__ import annotations

import filecmp
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
EPOCH = 1_767_225_600  # no commit's time: it must come from the variable
BUILD_S = 600


def make_packages(sources: pathlib.Path, build: pathlib.Path, revision: int = 1) -> dict[str, pathlib.Path]:
    """Built from `sources` in `build`: package name -> file."""
    done = subprocess.run(
        [sources / "tools/make-packages", "--build", build, "--revision", str(revision)],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}, capture_output=True, text=True, timeout=BUILD_S)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    found = [pathlib.Path(line) for line in done.stdout.splitlines()]
    return {path.name.split("_")[0]: path for path in found}


def unpack(package: pathlib.Path, to: pathlib.Path) -> pathlib.Path:
    """What is in it, and its control files in DEBIAN."""
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "-R", package, to], check=True)
    return to


def copy_sources(to: pathlib.Path) -> pathlib.Path:
    """What git knows of the tree, as it is now; with other times than the originals."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            (to / name).write_bytes((ROOT / name).read_bytes())
            (to / name).chmod(0o755 if os.access(ROOT / name, os.X_OK) else 0o644)
    return to


def names(top: pathlib.Path) -> list[str]:
    return sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if not path.is_dir())


def text_difference(one: pathlib.Path, other: pathlib.Path) -> str:
    try:
        lines = zip(one.read_text().splitlines(), other.read_text().splitlines(), strict=False)
    except UnicodeDecodeError:
        return ""
    return next((f": {left} / {right}" for left, right in lines if left != right), "")


def first_difference(one: pathlib.Path, other: pathlib.Path, work: pathlib.Path) -> str:
    """The first file in which two packages differ; "" if they are the same bytes. md5sums comes last: it
    differs whenever a file does."""
    if filecmp.cmp(one, other, shallow=False):
        return ""
    tops = unpack(one, work / "one"), unpack(other, work / "other")
    lists = [names(top) for top in tops]
    if lists[0] != lists[1]:
        return "only in one of them: " + min(set(lists[0]) ^ set(lists[1]))
    for name in sorted(lists[0], key=lambda name: (name == "DEBIAN/md5sums", name)):
        if not filecmp.cmp(tops[0] / name, tops[1] / name, shallow=False):
            return name + text_difference(tops[0] / name, tops[1] / name)
    listed = [subprocess.run(["dpkg-deb", "-c", path], capture_output=True, text=True, check=True).stdout.splitlines()
              for path in (one, other)]
    for left, right in zip(*listed, strict=False):
        if left != right:
            return f"times, owners, modes or order: {left} / {right}"
    return "how the archives themselves are packed"


def page_commands(heading: str, nth: int = 0) -> str:
    """What docs/packages.md says to type: the nth shell block below a heading."""
    text = (ROOT / "docs/packages.md").read_text().split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    return re.findall(r"^```sh[^\n]*\n(.*?)^```", text, re.M | re.S)[nth]
