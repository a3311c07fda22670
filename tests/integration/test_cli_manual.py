# SPDX-License-Identifier: Apache-2.0
"""What the command line tells of itself: manual pages, reference, exit codes, completion. All of it is
made from the tables that the programs parse by; here it is held against what they really do."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess

import pytest
from shells import shell
from waybill_testkit import ROOT, Sidecar, find_program

BIN = find_program("waybill").parent


def run(*command: str | pathlib.Path, text: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WAYBILL_", "OTEL_", "XDG_", "LC_", "MAN"))}
    return subprocess.run(
        [str(word) for word in command],
        env={**kept, "LANG": "C.UTF-8", "HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent", **env},
        input=text or "",
        capture_output=True,
        text=True,
        timeout=30,
    )


def waybill(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return run(BIN / "waybill", *args, **env)


def plain(page: pathlib.Path | str) -> str:
    """A page as a reader sees it, without bold and underlining, in one line."""
    done = run("mandoc", "-T", "ascii", page)
    assert done.returncode == 0, done.stderr
    return " ".join(re.sub(r".\x08", "", done.stdout).split())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    folder = tmp_path_factory.mktemp("man")
    assert waybill("manual", "--into", str(folder)).returncode == 0
    (folder / "waybilld.8").write_text(run(BIN / "waybilld", "--print-manual").stdout)
    return {path.stem: path for path in sorted(folder.iterdir())}


def verbs() -> list[str]:
    overview = waybill("--help").stdout.split("Global options")[0]
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)  +\S", overview, re.M)


def options_of(*verb: str) -> list[str]:
    own = waybill(*verb, "--help").stdout.split("Global options")[0]
    return re.findall(r"^  (--[a-z-]+)", own, re.M)


# ---- manual pages ------------------------------------------------------------------------------


def test_mandoc_and_man_have_no_complaint_about_any_page(pages):
    assert len(pages) > 8
    for page in pages.values():
        lint = run("mandoc", "-T", "lint", page)
        assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", ""), page.name
        read = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page)
        assert (read.returncode, read.stderr) == (0, ""), page.name


def test_a_broken_page_would_be_complained_about(pages, tmp_path):
    broken = tmp_path / "broken.1"
    broken.write_text(pages["waybill"].read_text().replace(".SH FILES", ".XX FILES"))
    assert run("mandoc", "-T", "lint", broken).stdout != ""


def test_every_verb_has_its_page_with_every_option(pages):
    seen = {name: plain(path) for name, path in pages.items()}
    for verb in verbs():
        page = seen[f"waybill-{verb.split()[0]}"]
        assert f"waybill {verb}" in page
        for option in options_of(*verb.split()):
            assert option in page, (verb, option)
        assert verb in seen["waybill"]
    assert {name for name in pages if name.startswith("waybill-")} == {f"waybill-{v.split()[0]}" for v in verbs()}


def test_each_page_is_found_by_its_verb_and_none_else(pages):
    for name, path in pages.items():
        if name != "waybilld":
            assert waybill("manual", name).stdout == path.read_text()
    assert waybill("manual", "trace").stdout == pages["waybill-trace"].read_text()
    assert waybill("manual").stdout == pages["waybill"].read_text()
    assert waybill("manual", "trac").returncode == 1
    assert waybill("manual", "trace", "--markdown").returncode == 2
    assert waybill("manual", "--into", "/nonexistent").returncode == 3


def test_the_daemons_page_has_every_option_and_every_key(pages):
    page = plain(pages["waybilld"])
    reference = run(BIN / "waybilld", "--print-config-reference").stdout
    keys = re.findall(r"^\| `([^`]+)` \|", reference, re.M)
    assert len(keys) > 30
    options = re.findall(r"^  (--[a-z-]+)", run(BIN / "waybilld", "--help").stdout, re.M)
    assert len(options) == 8
    for word in [*keys, *options]:
        assert f" {word} " in page, word


def test_pages_and_completion_are_installed(tmp_path):
    done = run("cmake", "--install", BIN.parent, "--component", "runtime", "--prefix", "/usr", DESTDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    share = tmp_path / "usr/share"
    assert {f"waybill-{v.split()[0]}.1.gz" for v in verbs()} | {"waybill.1.gz"} == {
        path.name for path in (share / "man/man1").glob("waybill*")
    }
    found = run("man", "-M", share / "man", "-w", "8", "waybilld")
    assert found.stdout.strip() == str(share / "man/man8/waybilld.8.gz"), found.stderr
    for shell_name, file in (("bash", "bash-completion/completions/waybill"), ("zsh", "zsh/site-functions/_waybill")):
        assert (share / file).read_text() == waybill("completion", shell_name).stdout


# ---- reference and exit codes ------------------------------------------------------------------


def test_the_reference_page_is_the_tables():
    page = (ROOT / "docs/cli.md").read_text()
    printed = waybill("manual", "--markdown").stdout
    assert page[page.index("## Global options") :] == printed, "waybill manual --markdown prints what must stand there"


def test_each_exit_code_is_what_the_table_says():
    table = re.findall(r"^  (\d)  ", waybill("--help").stdout.split("Exit codes:")[1], re.M)
    assert table == ["0", "1", "2", "3", "4"]
    assert waybill("--version").returncode == 0
    assert waybill("status").returncode == 1
    assert waybill("trace", "list", "--limit", "0").returncode == 2
    assert waybill("trace", "list").returncode == 3
    with Sidecar("codes") as sidecar:
        (sidecar.state_dir / "trust.d").mkdir(exist_ok=True)
        (sidecar.state_dir / "trust.d/broken.json").write_text("{")
        trust = ["--name", sidecar.name, "trust", "revoke", "iss", "https://a.example/x"]
        assert run(BIN / "waybill", *trust, **sidecar.env).returncode == 4


def test_the_daemons_exit_codes_are_what_its_page_says(pages, tmp_path):
    codes = plain(pages["waybilld"]).split("EXIT STATUS")[1].split("ENVIRONMENT")[0]
    for code in ("0 Drained", "1 Could not start", "2 Wrong command line", "78 A person must change"):
        assert code in codes
    broken = tmp_path / "broken.yaml"
    broken.write_text("no_such_key: 1\n")
    assert run(BIN / "waybilld", "--help").returncode == 0
    assert run(BIN / "waybilld", "--bogus").returncode == 2
    assert run(BIN / "waybilld", "argument").returncode == 2
    assert run(BIN / "waybilld", "--check", "--config", broken).returncode == 78


# ---- completion --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("store") / "store.db"
    subprocess.run([str(find_program("store_fill")), str(path)], check=True)
    return path


@pytest.fixture(scope="module", params=["bash", "zsh", "zsh, sourced"])
def tab(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    for name in ("a.jws", "a token.jws"):
        (folder / name).touch()
    (folder / "a-dir").mkdir()
    (folder / "run/waybill/planner").mkdir(parents=True)
    functions = folder / "functions"
    functions.mkdir()
    (functions / "_waybill").write_text(waybill("completion", "zsh").stdout)
    kind = request.param[:4].strip(",")
    env = {"PATH": f"{BIN}:/usr/bin:/bin", "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(folder / "run")}
    if request.param == "zsh":
        with shell("zsh", folder, env, fpath=str(functions)) as it:
            yield it
    else:
        with shell(kind, folder, env, [f"source <(waybill completion {kind})"]) as it:
            yield it


def test_tab_offers_what_fits_and_nothing_else(tab):
    for line, offered in {
        "waybill zz": [],
        "waybill foo ": [],
        "waybill status ": [],
        "waybill trace list --limit ": [],
        "waybill --version": [],
        "waybill tr": ["trace", "trust"],
        "waybill help tr": ["trace", "trust"],
        "waybill trace ": sorted(v.split()[1] for v in verbs() if v.startswith("trace ")),
        "waybill --json trace sh": ["show"],
        "waybill trace list --stat": ["--state-dir", "--status"],
        "waybill trace list --status ": ["cancelled", "error", "running", "success"],
        "waybill trace list --status=er": ["--status=error"],
        "waybill trace list --since 1h --status r": ["running"],
        "waybill --color al": ["always"],
        "waybill --name pl": ["planner"],
        "waybill --name=pl": ["--name=planner"],
        "waybill trust revoke ": ["iss", "kid", "tth"],
        "waybill trust revoke kid ": [],
        "waybill trust add --id spiffe://a.example/x a.": ["a.jws"],
        "waybill trust add --id spiffe://": [],
        "waybill token inspect a": ["a token.jws", "a-dir", "a.jws"],
        "waybill token inspect a.jws ": [],
        "waybill --state-dir a": ["a-dir"],
        "waybill completion ": ["bash", "zsh"],
        "waybill run --no": ["--no-python"],
        "waybill run -- mkfif": ["mkfifo"],
        "waybill exec --attr x=y mkfif": ["mkfifo"],
        "waybill run --verbose -- cat a": ["a token.jws", "a-dir", "a.jws"],
        "waybill run cat --no": [],
    }.items():
        assert tab.offers(line) == offered, line


def test_tab_offers_every_verb_and_every_option(tab):
    everywhere = re.findall(r"^  (?:-h, )?(--[a-z-]+)", waybill("--help").stdout, re.M)
    assert tab.offers("waybill ") == sorted({*(v.split()[0] for v in verbs()), "help"})
    for verb in ("trace list", "token verify", "doctor"):
        assert tab.offers(f"waybill {verb} --") == sorted([*options_of(*verb.split()), *everywhere])


def test_tab_offers_the_ids_of_traces_and_is_silent_without_a_store(tab, store):
    ids = [t["trace_id"] for t in json.loads(waybill("trace", "list", "--json", "--store", str(store)).stdout)]
    assert len(ids) > 3
    assert tab.offers(f"waybill --store {store} trace show ") == sorted(ids)
    assert tab.offers("waybill --store /nonexistent trace show ") == []
