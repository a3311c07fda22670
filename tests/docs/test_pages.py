# SPDX-License-Identifier: Apache-2.0
"""What the pages say to type works, and what they say comes of it comes of it.

Each page is worked through by a Reader: a home of its own, a real sidecar where the page starts one, one
shell from the first block to the last. docs/README.md says what each kind of block is held to.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import sqlite3
import subprocess
import time

import pages
import pytest
from authority import Authority
from machine import NoMachine
from scenes import Reader
from shell import Failed, commands, matches, transcript
from waybill_testkit import NotBuilt, find_program

RUN = {"sh", "console"}
KINDS = RUN | {"python", "c", "yaml", "sql", "json", "ini", "text", "mermaid", ""}
READS = re.compile(r"waybill (trace|delegations|status|doctor|token|agents)\b[^|;&]*$")
TYPED = re.compile(r"^ *(\$ |\./|waybilld? |cmake |ctest |pip |python3? |sqlite3 |systemctl |tests/|tools/)", re.M)
NOT_RUN_MOST = 16  # blocks in all pages; whoever adds one takes another away, or says here why not

PAGES = pages.pages()
BLOCKS = [block for page in PAGES for block in pages.blocks(page)]


def is_built() -> bool:
    try:
        return bool(find_program("waybilld") and find_program("waybill"))
    except NotBuilt:
        return False


needs_programs = pytest.mark.skipif(not is_built(), reason="waybilld and waybill are not built")


def is_run_elsewhere(block: pages.Block) -> bool:
    """By a test of its own, which the reason begins with, and which reads this page."""
    test = pages.ROOT / block.not_run.split(" ")[0]
    return test.suffix == ".py" and test.is_file() and block.page in test.read_text("utf-8")


def blocks_of(*kinds: str) -> list[pages.Block]:
    return [b for b in BLOCKS if b.language in kinds and not b.not_run]


def places(found: list[pages.Block]) -> list[str]:
    return [block.place for block in found]


# ---- shell -----------------------------------------------------------------------------------------


def run_console(reader: Reader, block: pages.Block) -> None:
    for command, shown in transcript(block.text):
        command, deadline = reader.fill_in(command), time.monotonic() + 5
        while True:
            code, said = reader.shell.run(command)
            right = code == 0 and matches(shown, said)
            # A store is written a moment later; a reader types slower than that.
            if right or not READS.match(command) or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if not right:
            raise Failed(f"{block.place}: $ {command}\nexit code {code}, said:\n{said}\nshown:\n{shown}")


def run_script(reader: Reader, block: pages.Block) -> None:
    for command in commands(reader.fill_in(block.text)):
        code, said = reader.shell.run(command)
        if code != 0:
            raise Failed(f"{block.place}: {command}\nexit code {code}, said:\n{said}")


def run_block(reader: Reader, block: pages.Block) -> None:
    if "file" in block.options:
        reader.put(block.options["file"], block.text)
    elif "terminal" in block.flags:
        reader.go_on(block.text, block.options["ready"], block.options.get("instead-of"))
    elif block.language == "console":
        run_console(reader, block)
    elif block.language == "sh":
        run_script(reader, block)


WITH_COMMANDS = sorted({block.page for block in blocks_of(*RUN)})


@needs_programs
@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_a_reader_who_types_what_the_page_says_sees_what_it_shows(page):
    try:
        reader = Reader(page)
    except NoMachine as why:
        pytest.skip(str(why))
    try:
        reader.begin()
        for block in pages.blocks(page):
            if not block.not_run:
                run_block(reader, block)
    finally:
        reader.close()


def test_commands_stand_in_blocks_that_are_run():
    """A block without a language is for drawings and formats."""
    loose = [b.place for b in BLOCKS if b.language in ("", "text") and TYPED.search(b.text)]
    assert loose == []


def test_every_fence_has_a_known_kind_and_every_block_left_out_a_reason():
    assert [b.place for b in BLOCKS if b.language not in KINDS] == []
    left_out = [b for b in BLOCKS if b.not_run and not is_run_elsewhere(b)]
    assert [b.place for b in BLOCKS if "not-run" in b.flags] == [], "not-run: wants a reason"
    assert [b.place for b in left_out if len(b.not_run) < 15] == []
    assert len(left_out) <= NOT_RUN_MOST, places(left_out)


# ---- other languages -------------------------------------------------------------------------------


def imports_of(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}:{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("block", blocks_of("python"), ids=places(blocks_of("python")))
def test_python_blocks_compile_and_import_what_there_is(block):
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compile(block.text, block.place, "exec", flags=flags)
    tree = compile(block.text, block.place, "exec", flags=flags | ast.PyCF_ONLY_AST)
    for name in sorted(imports_of(tree)):
        module, _, attribute = name.partition(":")
        found = importlib.import_module(module)
        assert not attribute or hasattr(found, attribute) or importlib.import_module(f"{module}.{attribute}")


def attributes_of_waybill(tree: ast.AST) -> set[str]:
    """Names below `waybill` that a block uses: "default", "a2a.traced" ..."""
    found = set()
    for node in ast.walk(tree):
        names = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if names and isinstance(node, ast.Name) and node.id == "waybill":
            found.add(".".join(reversed(names)))
    return found


@pytest.mark.parametrize("block", blocks_of("python"), ids=places(blocks_of("python")))
def test_python_blocks_name_what_the_package_has(block):
    tree = ast.parse(block.text) if "await" not in block.text else compile(
        block.text, block.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
    for name in sorted(attributes_of_waybill(tree)):
        thing = importlib.import_module("waybill")
        for part in name.split("."):
            if not hasattr(thing, part):
                importlib.import_module(f"{thing.__name__}.{part}")
            thing = getattr(thing, part)


@pytest.mark.parametrize("block", blocks_of("c"), ids=places(blocks_of("c")))
def test_c_blocks_compile_with_the_public_header(block):
    command = ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{pages.ROOT / 'include'}",
               "-x", "c", "-"]
    done = subprocess.run(command, input=f"#include <waybill/waybill.h>\n{block.text}", text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


@needs_programs
@pytest.mark.parametrize("block", blocks_of("yaml"), ids=places(blocks_of("yaml")))
def test_configurations_are_taken(block, tmp_path):
    """With the files that they name, which --check looks into."""
    authority = Authority(tmp_path)
    issued = authority.issue("ours")
    files = {"cert_file": issued.cert, "key_file": issued.key, "client_ca_file": authority.file, "ca_file": authority.file}
    for key, text in {"bearer_file": "token", "basic_file": "user:password", "headers_file": "x-key=value",
                      "password_file": "password"}.items():
        files[key] = tmp_path / key
        files[key].write_text(text)
        files[key].chmod(0o600)
    file = tmp_path / "page.yaml"
    file.write_text(re.sub(r"\b(\w+_file): [\w./-]+", lambda found: f"{found[1]}: {files[found[1]]}", block.text), "utf-8")
    command = [str(find_program("waybilld")), "--check", "--config", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert said.returncode == 0, said.stderr


@needs_programs
@pytest.mark.parametrize("block", blocks_of("sql"), ids=places(blocks_of("sql")))
def test_queries_are_taken_by_a_store(block, tmp_path):
    path = tmp_path / "store.db"
    subprocess.run([str(find_program("store_fill")), str(path)], check=True, timeout=60)
    with sqlite3.connect(path) as store:
        for query in block.text.split(";"):
            if query.strip():
                store.execute(query).fetchall()


def test_json_blocks_parse():
    for block in blocks_of("json"):
        json.loads(block.text)


# ---- inline ----------------------------------------------------------------------------------------


def help_of(*verb: str) -> str:
    said = subprocess.run([str(find_program("waybill")), *verb, "--help"], capture_output=True, text=True,
                          timeout=30)
    return said.stdout if said.returncode == 0 else ""


@needs_programs
def test_verbs_and_options_in_the_text_exist():
    listed = help_of().partition("Verbs:")[2].partition("\n\n")[0]
    verbs = {tuple(line.strip().split("  ")[0].split()) for line in listed.splitlines() if line.strip()}
    assert ("trace", "show") in verbs and ("doctor",) in verbs
    everywhere, wrong = help_of(), []
    for page in PAGES:
        for code in pages.inline_code(page):
            words = code.split()
            if words[0] != "waybill" or len(words) < 2 or not re.fullmatch("[a-z]+", words[1]):
                continue
            verb = tuple(words[1:3]) if tuple(words[1:3]) in verbs else tuple(words[1:2])
            said = help_of(*verb) if verb in verbs else ""
            options = [w.split("=")[0].rstrip(",;") for w in words if w.startswith("--") and len(w) > 2]
            if not said or [o for o in options if o not in said and o not in everywhere]:
                families = {v[0] for v in verbs}
                if not (len(words) == 2 and words[1] in families):
                    wrong.append(f"{page}: {code}")
    assert wrong == []


# ---- the runner itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(("shown", "said", "same"), [
    ("a b", "a   b", True),
    ("a ...", "a 1 2", True),
    ("a...c\n", "abc", True),
    ("a\n...\nz", "a\nb\nc\nz", True),
    ("a\n...", "a", True),
    ("a", "a\nb", False),
    ("a\nb", "a", False),
    ("4 words", "5 words", False),
    ("", "x", False),
])
def test_output_is_what_is_shown_or_it_is_not(shown, said, same):
    assert matches(shown, said) is same


def test_a_failing_command_is_found(tmp_path):
    from shell import Terminal

    terminal = Terminal({"PATH": "/usr/bin:/bin"}, tmp_path)
    try:
        assert terminal.run("cd / && X=1") == (0, "")
        assert terminal.run("pwd; echo $X") == (0, "/\n1")
        assert terminal.run("false")[0] == 1
        assert terminal.run("cat")[0] == 0  # nobody types
        with pytest.raises(Failed):
            terminal.run("exit 3")
    finally:
        terminal.close()


def test_here_documents_and_loops_stay_whole():
    script = "cat <<EOF\n$(date)\nEOF\nfor i in 1 2; do\n  echo $i\ndone\nls \\\n  -l\n# nothing\nx=1\n"
    assert [c.splitlines()[0] for c in commands(script)] == ["cat <<EOF", "for i in 1 2; do", "ls \\", "x=1"]


# ---- troubleshooting -------------------------------------------------------------------------------

SOURCES = ["sidecar", "cli", "core", "store", "exporters", "propagation", "a2a", "client/python/waybill"]
TROUBLE = "docs/troubleshooting.md"


def source_text() -> str:
    """All programs' text, with strings that go on over lines put together and formats made alike."""
    found = []
    for folder in SOURCES:
        for path in sorted((pages.ROOT / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".py"):
                found.append(path.read_text("utf-8"))
    text = re.sub(r'"\s*(?:WB_\w+_FILE\s*)?"', "", "\n".join(found))
    return re.sub(r"%[-+.*0-9]*(?:llu|zu|lld|ld|s|u|d|o|03o)|\{[\w.]+\}", "\0", text)


def quoted_cells(page: str) -> list[str]:
    """First cells of the tables that quote what programs say."""
    cells, quoting = [], False
    for line in pages.prose(page).splitlines():
        if not line.startswith("|"):
            quoting = False
        elif line.split(" | ")[0] in ("| you see", "| it says", "| message"):
            quoting = True
        elif quoting and not line.startswith("|---"):
            cells.append(line.split(" | ")[0].removeprefix("| "))
    return cells


def fragments(code: str) -> list[str]:
    """The parts of a shown text between what differs: capitals, a lone N, an ellipsis."""
    parts = re.split(r"…|\.\.\.|\bN+\b|\b(?:NAME|REF|CLASS)\b", code)
    return [part.strip() for part in parts if len(part.strip()) > 3]


@pytest.mark.parametrize("page", [TROUBLE, "docs/upgrade.md", "docs/trust.md"])
def test_what_you_see_is_what_the_programs_say(page):
    said, missing, cells = source_text(), [], quoted_cells(page)
    assert len(cells) > 5
    for cell in cells:
        for code in re.findall(r"`([^`]+)`", cell):
            missing += [f"{code}: {part}" for part in fragments(code) if part not in said]
    assert missing == []


def test_a_text_that_no_program_says_is_found():
    said = source_text()
    assert all(part in said for part in fragments("process N is gone but left …"))
    assert not all(part in said for part in fragments("process N is gone for a walk"))


def test_every_warning_and_error_of_the_log_is_explained():
    pattern = re.compile(r"WB_LOG\(\s*(?:WARN|ERROR),\s*(?:\w+ \? (\"[\w.]+\") : )?\"([\w.]+)\"")
    explained, missing = pages.read(TROUBLE) + pages.read("docs/upgrade.md"), []
    for path in sorted((pages.ROOT / "sidecar").rglob("*.c")):
        for event in pattern.finditer(path.read_text("utf-8")):
            names = [name.strip('"') for name in event.groups() if name]
            missing += [name for name in names if f"`{name}`" not in explained]
    assert missing == []


def test_every_check_of_doctor_is_listed():
    page = pages.read(TROUBLE)
    names = set()
    for path in sorted((pages.ROOT / "cli").glob("doctor*.c")):
        text = path.read_text("utf-8")
        names |= set(re.findall(r'wb_doctor_say\(\s*\w+, [^"]*?"([a-z ]+)"', text))
        names |= set(re.findall(r'check_dir\(\w+, "([a-z ]+)"', text))
    names = {name for name in names if len(name) <= 10}  # longer ones are what to do
    assert len(names) > 15 and [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_the_upgrade_page_has_the_versions_of_the_code():
    page = pages.read("docs/upgrade.md")
    said = dict(re.findall(r"^\| ([^|]+?) \| (\d+) \|", page, re.M))
    wire = (pages.ROOT / "client/python/waybill/_wire.py").read_text("utf-8")
    layout = (pages.ROOT / "sidecar/journal/layout.h").read_text("utf-8")
    assert said["store schema"] == str(len(list((pages.ROOT / "store/sqlite").glob("[0-9]*.sql"))))
    assert said["socket protocol"] == re.search(r"^PROTOCOL(?:: \w+)? = (\d+)", wire, re.M).group(1)
    assert said["journal: segments and snapshots"] == re.search(
        r"WB_JOURNAL_VERSION UINT32_C\((\d+)\)", layout).group(1)


def test_the_worked_example_of_sizing_is_in_its_table():
    page = pages.read("docs/sizing.md")
    head, row = (line for line in page.splitlines() if re.match(r" *(span/s|100) ", line))
    hours = re.findall(r"(\d+) h away", head)
    size = re.findall(r"[\d.]+ [GM]iB", row)[hours.index("8")]
    assert "100 spans a second" in page and f"The table says\n{size}; 256 MiB on top" in page
    limit = re.search(r"limit_bytes: (\d+)GiB", page).group(1)
    assert 0 <= float(limit) - float(size.split()[0]) - 0.25 < 1 and f"a limit of {limit} GiB" in page
