# SPDX-License-Identifier: Apache-2.0
"""The packages as they are built: the same bytes again, nothing for lintian, a unit that verifies, a list
of libraries that is true. What they do when installed: test_installed.py. They are built as docs/packages.md
says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
from packages import (
    EPOCH,
    ROOT,
    copy_sources,
    first_difference,
    make_packages,
    page_commands,
    unpack,
)

EXPOSURE = 15  # tenths, of systemd-analyze security: 0 is none, 100 all
UNIT = "usr/lib/systemd/system/waybilld@.service"
DOC = "usr/share/doc/waybill"


@pytest.fixture(scope="module")
def built():
    return make_packages(ROOT, ROOT / "build/package")


@pytest.fixture(scope="module")
def inside(built, tmp_path_factory):
    return unpack(built["waybill"], tmp_path_factory.mktemp("inside") / "waybill")


# ---- the same bytes


def test_another_folder_at_another_time_gives_the_same_bytes(built, tmp_path):
    sources = copy_sources(tmp_path / "elsewhere" / "waybill")
    again = make_packages(sources, tmp_path / "out" / "of" / "tree")
    assert set(again) == set(built)
    for name in built:
        assert first_difference(built[name], again[name], tmp_path / name) == ""


def test_the_page_says_how_they_are_built():
    said = [line.split("#")[0].split() for line in page_commands("Build").splitlines()]
    assert said == [["tools/setup-debian.sh"], ["tools/make-packages"]]


def test_the_first_file_that_differs_is_named(built, tmp_path):
    top = unpack(built["waybill"], tmp_path / "changed")
    with open(top / DOC / "copyright", "a") as file:
        file.write("\n")
    other = tmp_path / "other.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", top, other], check=True, capture_output=True)
    assert first_difference(built["waybill"], other, tmp_path / "work") == f"{DOC}/copyright"


def test_times_in_it_are_the_ones_that_were_given(built, inside):
    listed = subprocess.run(["dpkg-deb", "-c", built["waybill"]], capture_output=True, text=True, check=True,
                            env={**os.environ, "TZ": "UTC"}).stdout
    assert set(re.findall(r" (\d{4}-\d\d-\d\d \d\d:\d\d) ", listed)) == {"2026-01-01 00:00"}
    assert EPOCH == 1_767_225_600
    for program in ("waybill", "waybilld"):
        assert str(ROOT).encode() not in (inside / "usr/bin" / program).read_bytes()


# ---- what is in it


def test_lintian_has_neither_an_error_nor_a_warning(built):
    if not shutil.which("lintian"):
        pytest.skip("lintian is not installed; tools/setup-debian.sh --packages does")
    done = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", *built.values()],
                          capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_every_override_says_why():
    files = sorted(ROOT.glob("packaging/debian/*.lintian-overrides"))
    assert len(files) == 3
    lines = [line for path in files for line in path.read_text().splitlines()]
    for before, line in zip(["", *lines], lines, strict=False):
        assert line.startswith("#") or before.startswith("#"), line


def test_depends_are_what_the_programs_are_linked_to(built):
    depends = subprocess.run(["dpkg-deb", "-f", built["waybill"], "Depends"], capture_output=True, text=True,
                             check=True).stdout
    for library in ("libc6", "libnng1", "libsodium23", "libsqlite3-0", "libmicrohttpd12", "libseccomp2"):
        assert re.search(rf"\b{library}\b", depends), library


def test_the_installed_configuration_is_a_conffile_that_the_program_takes(inside):
    assert (inside / "DEBIAN/conffiles").read_text() == "/etc/waybill/default.yaml\n"
    file = inside / "etc/waybill/default.yaml"
    assert re.search("group: waybill-ipc", file.read_text())  # which the installation makes; here it is not
    done = subprocess.run([inside / "usr/bin/waybilld", "--check", "--config", file],
                          capture_output=True, text=True, env={"HOME": "/nonexistent", "WAYBILL_IPC_GROUP": "0"})
    assert done.returncode == 0 and "group: " in done.stdout, done.stderr


# ---- the unit


@pytest.fixture()
def unit(inside, tmp_path):
    """A copy whose programs are those of the package, since it is not installed here."""
    text = (inside / UNIT).read_text()
    for program in ("waybilld", "waybill"):
        text = text.replace(f"=/usr/bin/{program} ", f"={inside}/usr/bin/{program} ")
    path = tmp_path / "waybilld@default.service"
    path.write_text(text)
    return path


def analyze(*words):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True)


def test_systemd_finds_nothing_wrong_with_the_unit(unit):
    done = analyze("verify", "--man=no", unit)
    said = [line for line in done.stderr.splitlines() if str(unit.name) in line]
    assert (done.returncode, said) == (0, [])


def test_systemd_finds_a_fault_that_is_planted_in_it(unit):
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=strikt"))
    assert "strikt" in analyze("verify", "--man=no", unit).stderr


def test_little_of_the_system_is_exposed_to_the_unit(unit):
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert done.returncode == 0, done.stdout
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystem=no")
                    .replace("SystemCallFilter=", "#").replace("CapabilityBoundingSet=", "#"))
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit).returncode != 0


def systemd_sets():
    """Set -> its members, which may be sets: from systemd itself."""
    sets, current = {}, None
    for line in analyze("syscall-filter").stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            current = sets.setdefault(word, set())
        elif current is not None and word and not word.startswith("#"):
            current.add(word)
    return sets


def calls_of(words, sets):
    return set().union(*(calls_of(sets[word], sets) if word.startswith("@") else {word} for word in words))


def test_the_unit_lets_through_every_call_that_the_sidecars_own_filter_does(unit):
    """Of two filters the stricter one holds, and systemd's says nothing in our log or status. @default needs no
    mention in a unit."""
    sets = systemd_sets()
    let = calls_of(["@default"], sets)
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit.read_text(), re.M):
        named = calls_of(line.lstrip("~").split(), sets)
        let = let - named if line.startswith("~") else let | named
    source = (ROOT / "sidecar/sandbox/seccomp.c").read_text()
    always = re.findall(r'^    "(\w+)",$', source, re.M)
    sometimes = re.findall(r'allow_when\(filter, "(\w+)"', source)
    assert len(always) > 100 and len(sometimes) > 8
    assert set(always + sometimes) - let == set()
    assert {"execve", "socket"} <= let and not {"mount", "ptrace", "bpf", "keyctl", "setuid"} & let


# ---- the list of libraries


def test_the_list_of_libraries_names_all_that_is_loaded_and_how_it_is_licensed(inside):
    found = json.loads((inside / DOC / "waybill.spdx.json").read_text())
    assert found["spdxVersion"] == "SPDX-2.3" and found["creationInfo"]["created"] == "2026-01-01T00:00:00Z"
    by_id = {package["SPDXID"]: package for package in found["packages"]}
    kinds = {by_id[edge["relatedSpdxElement"]]["name"]: edge["relationshipType"] for edge in found["relationships"]}
    assert kinds["waybill"] == "DESCRIBES"
    assert kinds["libnng1"] == kinds["libsodium23"] == kinds["libc6"] == "DYNAMIC_LINK"
    assert kinds["libnettle8"] == "DEPENDS_ON"  # GnuTLS's
    for program in ("waybill", "waybilld"):
        said = subprocess.run(["readelf", "-d", inside / "usr/bin" / program], capture_output=True, text=True).stdout
        needed = set(re.findall(r"NEEDED.*\[(lib[^]]+)\]", said)) - {"libm.so.6"}  # libc6 has it, too
        assert len(needed) <= list(kinds.values()).count("DYNAMIC_LINK")
    for package in found["packages"]:
        assert package["versionInfo"] and "NOASSERTION" not in package["licenseConcluded"]


def test_a_library_whose_licence_nobody_looked_at_stops_the_list(tmp_path):
    tool = tmp_path / "make-spdx"
    text = (ROOT / "tools/make-spdx").read_text()
    build = ROOT / "build/package"
    words = ["--build", build, "--name", "x", "--version", "1", "--output", tmp_path / "list.json",
             build / "bin/waybilld"]
    tool.write_text(text.replace('"nng": ("MIT"', '"nng-of-before": ("MIT"'))
    done = subprocess.run(["python3", tool, *words], capture_output=True, text=True)
    assert done.returncode == 1 and "add a row for the source package nng" in done.stderr
    tool.write_text(text.replace('"License: ISC"', '"License: GPL-9"'))
    done = subprocess.run(["python3", tool, *words], capture_output=True, text=True)
    assert done.returncode == 1 and "no longer says 'License: GPL-9'" in done.stderr


def test_a_wrong_command_line_says_what_is_right():
    for words, said in ((["--revision", "x"], "whole number"), (["--nonsense"], "try --help")):
        done = subprocess.run([ROOT / "tools/make-packages", *words], capture_output=True, text=True)
        assert done.returncode == 2 and said in done.stderr
