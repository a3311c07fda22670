# SPDX-License-Identifier: Apache-2.0
"""The package as people get it: built, checked, installed, typed, documented."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import waybill_testkit as kit
from conftest import Store

import waybill
from waybill import _connection, _otlp, _recorder, client, spans

pytest.importorskip("build")
pytestmark = pytest.mark.package
DATE = 1_000_000_000
CALL_S = client.CALL_S  # before a fixture makes it longer
PACKAGE = kit.CLIENT / "waybill"
EXAMPLE = kit.ROOT / "examples" / "nested_tools"
VERSION = waybill.__version__
PUBLIC = ("waybill", "waybill.a2a", "waybill.digest", "waybill.otel")


def run(*command: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **env},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )


def build(folder: pathlib.Path, **env: str) -> tuple[pathlib.Path, pathlib.Path]:
    """The wheel and the source archive."""
    done = run(sys.executable, kit.ROOT / "tools" / "package-python", folder, **env)
    assert done.returncode == 0, done.stderr
    wheel, sdist = sorted(folder.iterdir())
    return wheel, sdist


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    return build(tmp_path_factory.mktemp("dist"), SOURCE_DATE_EPOCH=str(DATE))


@pytest.fixture(scope="module")
def installed(
    built: tuple[pathlib.Path, pathlib.Path], tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The interpreter of a fresh environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("venv")
    assert run(sys.executable, "-m", "venv", "--without-pip", folder).returncode == 0
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    done = run(*pip, "install", "--no-index", built[0])
    assert done.returncode == 0, done.stderr
    return python


# -- built ---------------------------------------------------------------------------------------


def test_the_wheel_is_the_package_its_licence_and_no_more(
    built: tuple[pathlib.Path, pathlib.Path],
) -> None:
    names = zipfile.ZipFile(built[0]).namelist()
    sources = {
        f"waybill/{one.name}" for one in PACKAGE.iterdir() if one.suffix in (".py", ".typed")
    }
    assert "waybill/py.typed" in sources
    assert {one for one in names if ".dist-info/" not in one} == sources
    licence = zipfile.ZipFile(built[0]).read(f"waybill-{VERSION}.dist-info/licenses/LICENSE")
    assert licence == (kit.ROOT / "LICENSE").read_bytes()


def test_the_source_archive_has_all_that_building_it_takes(
    built: tuple[pathlib.Path, pathlib.Path],
) -> None:
    with tarfile.open(built[1]) as archive:
        members = {member.name: member for member in archive}
        assert all(member.isfile() or member.isdir() for member in members.values())
        for name in ("LICENSE", "README.md", "pyproject.toml", "waybill/py.typed"):
            assert f"waybill-{VERSION}/{name}" in members
        assert not any("/tests" in name for name in members)


def test_the_wheel_needs_nothing_and_the_archive_does_not_either(
    built: tuple[pathlib.Path, pathlib.Path],
) -> None:
    metadata = zipfile.ZipFile(built[0]).read(f"waybill-{VERSION}.dist-info/METADATA").decode()
    needs = re.findall(r"^Requires-Dist: (.*)$", metadata, re.M)
    assert needs and all("; extra ==" in one for one in needs)


def test_two_builds_have_the_same_bytes_and_the_date_of_a_wheel_is_the_asked_one(
    built: tuple[pathlib.Path, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    elsewhere = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": str(DATE)}
    again, _ = build(tmp_path / "again", **elsewhere)
    assert again.read_bytes() == built[0].read_bytes()
    assert {one.date_time[:3] for one in zipfile.ZipFile(again).infolist()} == {(2001, 9, 9)}


def test_what_twine_would_not_upload_does_not_pass(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "repository" / "client" / "python"
    folder.parent.mkdir(parents=True)
    (tmp_path / "repository" / "tools").mkdir()
    (tmp_path / "repository" / "LICENSE").write_bytes(b"")
    tool = tmp_path / "repository" / "tools" / "package-python"
    tool.write_bytes((kit.ROOT / "tools" / "package-python").read_bytes())
    done = run("cp", "-r", kit.CLIENT, folder)
    assert done.returncode == 0, done.stderr
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace('readme = "README.md"\n', ""))
    done = run(sys.executable, tool, tmp_path / "out")
    assert done.returncode == 1 and "long_description" in done.stdout + done.stderr


def test_the_version_is_the_project_s_everywhere(
    built: tuple[pathlib.Path, pathlib.Path],
) -> None:
    listing = (kit.ROOT / "CMakeLists.txt").read_text()
    found = re.search(r"project\(waybill VERSION ([0-9.]+)", listing)
    assert found is not None and found[1] == VERSION
    assert [one.name for one in built] == [
        f"waybill-{VERSION}-py3-none-any.whl",
        f"waybill-{VERSION}.tar.gz",
    ]


# -- installed -----------------------------------------------------------------------------------

PROGRAM = """
import waybill
assert waybill.__file__.startswith({prefix!r}), waybill.__file__
waybill.client.CALL_S = 20.0
wb = waybill.default()

@wb.traced(type="tool_call")
def search():
    made = wb.delegate(waybill.Target("http://127.0.0.1:1/"), method="SendMessage", message_id="m")
    with wb.settling(made):
        assert not made.local

search()
assert wb.flush(10)
print(waybill.__version__)
"""


def test_the_installed_wheel_works_in_a_fresh_environment(
    installed: pathlib.Path, sidecar: kit.Sidecar, store: Store
) -> None:
    env = {**sidecar.env, "WAYBILL_SOCKET": str(sidecar.socket)}
    program = PROGRAM.format(prefix=str(installed.parents[1]))
    done = run(installed, "-c", program, **env)
    assert (done.returncode, done.stdout) == (0, VERSION + "\n"), done.stderr
    store.one("SELECT 1 FROM spans WHERE name = 'search' AND span_type = 'tool_call'")
    store.one("SELECT 1 FROM delegations WHERE state = 'answered'")


def test_an_extra_that_is_missing_is_said_at_its_import(installed: pathlib.Path) -> None:
    for module in ("waybill.a2a", "waybill.otel"):
        done = run(installed, "-c", f"import {module}")
        assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr


# -- typed ---------------------------------------------------------------------------------------

GOOD = """
import asyncio
from collections.abc import AsyncIterator
import waybill

wb = waybill.Waybill(name="agent")

@wb.traced(type="tool_call", arguments=["query"])
def search(query: str, limit: int = 3) -> list[str]:
    return [query] * limit

@wb.traced()
async def stream(count: int) -> AsyncIterator[int]:
    for i in range(count):
        yield i

async def main() -> str:
    made = await wb.adelegate(waybill.Target("http://x/"), method="SendMessage", message_id="m")
    async with wb.settling(made) as end:
        end.task_state = "TASK_STATE_COMPLETED"
    async for number in stream(3):
        number.bit_length()
    acceptance = await wb.aaccept(method="SendMessage", message_id="m", headers={"a": "b"})
    async with wb.finishing(acceptance) as done:
        done.outcome = "ok"
    work = waybill.in_context(search)
    return work("x", limit=2)[0] + wb.settle(made, "completed")

asyncio.run(main())
"""

BAD = """
import waybill
wb = waybill.Waybill(name=3)
@wb.traced(kinds="x")
def search(query: str) -> list[str]:
    return [query]
made = wb.delegate("http://x/", method="SendMessage", message_id="m")
with wb.settling(made) as end:
    end.outcom = "ok"
search(1)
"""


def mypy(tmp_path: pathlib.Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("mypy")
    cache = tmp_path / "cache"
    return run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *arguments)


def test_a_program_is_checked_against_the_installed_package_s_types(
    installed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    for name, text in (("good.py", GOOD), ("bad.py", BAD)):
        (tmp_path / name).write_text(text)
    there = ("--config-file", "/dev/null", "--python-executable", installed)
    done = mypy(tmp_path, *there, tmp_path / "good.py")
    assert done.returncode == 0, done.stdout
    done = mypy(tmp_path, *there, EXAMPLE / "agent.py", EXAMPLE / "graph.py")
    assert done.returncode == 0, done.stdout
    done = mypy(tmp_path, *there, tmp_path / "bad.py")
    lines = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert lines == {3, 4, 7, 9, 10}, done.stdout


def test_the_package_is_typed_and_all_of_its_python_in_order(tmp_path: pathlib.Path) -> None:
    done = mypy(tmp_path, "--config-file", kit.CLIENT / "pyproject.toml", PACKAGE)
    assert done.returncode == 0, done.stdout
    pytest.importorskip("ruff")
    ruff = (sys.executable, "-m", "ruff")
    config = ("--config", kit.CLIENT / "pyproject.toml")
    for check in (["check"], ["format", "--check"]):
        done = run(*ruff, *check, "--no-cache", *config, kit.CLIENT, EXAMPLE)
        assert done.returncode == 0, done.stdout


# -- documented ----------------------------------------------------------------------------------


def public() -> Iterator[tuple[str, object]]:
    for module in PUBLIC:
        found = importlib.import_module(module)
        names = getattr(found, "__all__", None) or [
            name
            for name, value in vars(found).items()
            if not name.startswith("_") and getattr(value, "__module__", "") == module
        ]
        for name in names:
            yield f"{module}.{name}", getattr(found, name)


def members(name: str, thing: object) -> Iterator[tuple[str, object]]:
    """A class's public methods and properties, but those that a base of another package has and
    says what they do."""
    mro = thing.__mro__ if isinstance(thing, type) else ()
    foreign = [base for base in mro if not base.__module__.startswith("waybill")]
    for base in set(mro) - set(foreign):
        for member, value in vars(base).items():
            callable_ = inspect.isroutine(value) or isinstance(value, (property, classmethod))
            known = any(hasattr(other, member) for other in foreign)
            if callable_ and not known and not member.startswith("_"):
                yield f"{name}.{member}", value


def test_every_public_name_has_a_docstring() -> None:
    named = dict(public())
    assert len(named) > 30
    bare = [
        name
        for name, thing in named.items()
        if not isinstance(thing, (str, int, frozenset)) and not inspect.getdoc(thing)
    ]
    bare += [
        member
        for name, thing in named.items()
        for member, value in members(name, thing)
        if not inspect.getdoc(value)
    ]
    # An exception's or a record's generated text is no docstring.
    bare += [
        name
        for name, thing in named.items()
        if isinstance(thing, type) and (thing.__doc__ or "").startswith(f"{thing.__name__}(")
    ]
    assert bare == []


def test_the_readme_knows_every_public_name() -> None:
    readme = (kit.CLIENT / "README.md").read_text()
    names = {
        name.rpartition(".")[2] for name, _ in public() if not name.startswith("waybill.digest")
    }
    calls = {name for name in vars(waybill.Waybill) if not name.startswith("_")}
    calls.discard("record_encoded")
    missing = [name for name in sorted(names | calls) if not re.search(rf"\b{name}\b", readme)]
    assert missing == []


def test_the_limits_that_the_docs_tell_are_those_of_the_code() -> None:
    page = (kit.ROOT / "docs" / "clients.md").read_text()

    def grouped(value: int) -> str:
        return f"{value:,}".replace(",", " ") if value >= 10_000 else str(value)

    mib, kib = 1 << 20, 1 << 10
    for row in (
        f"{grouped(_recorder.MAX_SPANS)}, and {_recorder.MAX_BYTES // mib} MiB |",
        f"{_recorder.FLUSH_S} s, or {_recorder.BATCH_SPANS} spans, or"
        f" {_recorder.BATCH_BYTES // kib} KiB |",
        f"| attributes of a span | {_otlp.MAX_ATTRIBUTES};",
        f"| attributes of an event | {_otlp.MAX_ATTRIBUTES};",
        f"| events of a span | {spans.MAX_EVENTS};",
        f"| {grouped(_otlp.MAX_STRING)}; cut |",
        f"| {_otlp.MAX_DEPTH}; deeper ones",
        f"| {_connection.MAX_PENDING}, and {_connection.MAX_PENDING_BYTES // mib} MiB;",
        f"| {_connection.MAX_REPLY_BYTES // mib} MiB; a longer one",
        f"| {CALL_S:.0f} s; `delegate` and `accept` not at all in the {client.BREAKER_S:.0f} s",
        f"| {CALL_S:.0f} s, not at all in those {client.BREAKER_S:.0f} s; then told for"
        f" {client.TELL_S / 60:.0f} minutes |",
        f"| {client.FINISH_WAIT_S:.0f} s, not at all",
        f"| {client.EXIT_S:.0f} s, or as you say |",
    ):
        assert row in page, row


def test_the_readme_s_python_runs_from_top_to_bottom(
    sidecar: kit.Sidecar, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents = pytest.importorskip("a2a_agents")
    pytest.importorskip("opentelemetry.sdk")
    monkeypatch.setenv("WAYBILL_SOCKET", str(sidecar.socket))
    monkeypatch.setattr("waybill.client._default", None)
    port = kit.free_port()
    sent: list[Any] = []

    def send(message: dict[str, Any], headers: dict[str, str]) -> dict[str, str]:
        sent.append((message, headers))
        return {"id": "task-1", "state": "TASK_STATE_COMPLETED"}

    names: dict[str, Any] = {
        "__name__": "readme",
        "card": agents.card_of("agent", port),
        "executor": agents.Executor(),
        "DefaultRequestHandler": agents.DefaultRequestHandler,
        "InMemoryTaskStore": agents.InMemoryTaskStore,
        "request": agents.asking("message"),
        "send": send,
    }

    async def main() -> None:
        async with agents.serving(port, None):
            for line, text in blocks():
                text = text.replace("127.0.0.1:9001", f"127.0.0.1:{port}")
                code = compile(
                    "\n" * (line - 1) + text, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                )
                made = eval(code, names)
                if inspect.iscoroutine(made):
                    await made
            await names["client"].close()

    asyncio.run(main())
    assert len(blocks()) == 8
    assert names["found"] == ["RAIN"] and names["results"] == [["RAIN"], ["WIND"]]
    assert names["words"] == ["a", "b", "c"] and len(names["answers"]) == 1
    assert sent[0][1]["traceparent"] == names["delegation"].headers["traceparent"]
    assert names["reply"]["state"] == "TASK_STATE_COMPLETED"
    names["provider"].shutdown()
    assert names["wb"].flush(10)
    names["wb"].close()
    for name, count in {"search": 4, "answer": 1, "work": 1, "theirs": 1, "ours below": 1}.items():
        assert len(store.wait("SELECT 1 FROM spans WHERE name = ?", name, count=count)) == count
    said = store.wait("SELECT state, task_id FROM delegations WHERE closed_ns IS NOT NULL", count=2)
    assert {(row["state"], row["task_id"]) for row in said} >= {("completed", "task-1")}
    store.one("SELECT 1 FROM acceptances WHERE message_id = 'm-2' AND outcome = 'ok'")


def blocks() -> list[tuple[int, str]]:
    """The README's Python blocks, with the line that each begins at."""
    readme = (kit.CLIENT / "README.md").read_text()
    found = re.finditer(r"^```python\n(.*?)^```", readme, re.M | re.S)
    return [(readme[: one.start(1)].count("\n") + 1, one[1]) for one in found]
