# SPDX-License-Identifier: Apache-2.0
"""Markdown pages, as far as the tests of the documentation read them: fenced blocks, links, anchors,
inline code.

The words behind a fence's backticks say what a test does with the block; docs/README.md has the table.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)```+ *(.*?)\s*$")
LINK = re.compile(r"(?<!\!)\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`\n]+)`")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block. `options` are the fence's NAME=VALUE words; not_run is the reason, or ""."""

    page: str
    line: int
    language: str
    flags: frozenset[str]
    options: dict[str, str]
    not_run: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page of the repository, tracked or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    return sorted(page for page in set(listed) if (ROOT / page).exists())


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def block_of(page: str, line: int, info: str, text: str) -> Block:
    info, _, reason = info.partition("not-run:")
    words = shlex.split(info)
    language = words[0] if words else ""
    options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    flags = frozenset(word for word in words[1:] if "=" not in word)
    return Block(page, line, language, flags, options, reason.strip(), text)


def blocks(page: str) -> list[Block]:
    found: list[Block] = []
    opened: tuple[int, str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(read(page).splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                opened, lines = (number, fence.group(2), len(fence.group(1))), []
        elif fence and not fence.group(2):
            found.append(block_of(page, opened[0], opened[1], "\n".join(lines) + "\n"))
            opened = None
        else:
            lines.append(line[opened[2]:] if line[: opened[2]].isspace() else line)
    if opened is not None:
        raise ValueError(f"{page}:{opened[0]}: a fence is not closed")
    return found


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    kept, inside = [], False
    for line in read(page).splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def links(page: str) -> list[str]:
    return LINK.findall(INLINE.sub("", prose(page)))


def inline_code(page: str) -> list[str]:
    return INLINE.findall(prose(page))


def anchors(page: str) -> set[str]:
    """What GitHub makes of the headings."""
    found: dict[str, int] = {}
    for line in prose(page).splitlines():
        heading = re.match(r"#{1,6} +(.*?)\s*#*$", line)
        if not heading:
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1))
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
        if found[slug]:
            slug += f"-{found[slug]}"
            found[slug] = 0
    return set(found)
