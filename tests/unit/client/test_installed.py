# SPDX-License-Identifier: Apache-2.0
"""libwaybill as a user has it: installed in a prefix that the build did not know of."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

import c_agent  # noqa: E402

STRICT = ["-pedantic", "-Wall", "-Wextra", "-Werror"]
USE = """
#include <waybill/waybill.h>
int main(void)
{
    waybill_span span;
    waybill_context context;
    waybill_client *client = NULL;
    waybill_error why;
    if (waybill_open(NULL, &client, &why) != WAYBILL_OK) return 1;
    waybill_span_start(client, &span, "step", NULL, WAYBILL_TOOL_CALL);
    waybill_span_set_text(&span, "key", "value");
    waybill_span_set_int(&span, "n", 1);
    waybill_span_set_double(&span, "x", 0.5);
    waybill_span_set_bool(&span, "b", true);
    context = span.context;
    waybill_span_drop(&span);
    waybill_close(client, 0);
    return context.trace_id[0] == 0 && context.trace_id[1] == 0;
}
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("installed") / "here"
    c_agent.install_client(folder / "before")
    # moved: neither way of finding it may have kept where it was installed first
    shutil.move(folder / "before", folder / "prefix")
    return folder / "prefix"


def starts(program: pathlib.Path) -> bool:
    done = subprocess.run([str(program), "--help"], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.startswith("Usage: proofreader")


def test_the_example_builds_by_the_readmes_pkg_config_line(prefix, tmp_path):
    assert starts(c_agent.build_by_pkg_config(prefix, tmp_path / "proofreader"))


def test_the_example_builds_by_find_package(prefix, tmp_path):
    assert starts(c_agent.build_by_cmake(prefix, tmp_path / "build"))
    cache = (tmp_path / "build" / "CMakeCache.txt").read_text("utf-8")
    assert f"waybill_DIR:PATH={prefix}" in cache


def test_the_example_knows_nothing_of_the_source_tree(prefix, tmp_path):
    """A copy of its folder alone builds as well."""
    alone = tmp_path / "alone"
    shutil.copytree(c_agent.EXAMPLE, alone)
    (line,) = c_agent.commands("cc ")
    c_agent.run(line, c_agent.build_env(prefix) | {"CPATH": ""}, alone)
    assert starts(alone / "proofreader")


def test_an_older_minor_version_is_not_taken_for_the_one_asked_for(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(x C)\nfind_package(waybill 0.99 REQUIRED)\n"
    )
    with pytest.raises(RuntimeError, match="0.99"):
        c_agent.run(["cmake", "-S", ".", "-B", "b", f"-DCMAKE_PREFIX_PATH={prefix}"],
                    c_agent.build_env(prefix), tmp_path)


@pytest.mark.parametrize(
    "compiler,standard,name",
    [("cc", "c99", "use.c"), ("cc", "c17", "use.c"), ("c++", "c++11", "use.cpp"),
     ("clang", "c99", "use.c"), ("clang++", "c++11", "use.cpp")],
)
def test_the_header_compiles_and_links_without_a_warning(prefix, tmp_path, compiler, standard, name):
    (tmp_path / name).write_text(USE)
    env = c_agent.build_env(prefix)
    found = subprocess.run(["pkg-config", "--cflags", "--libs", "waybill"], env=env, check=True,
                           capture_output=True, text=True).stdout.split()
    linked = f"-Wl,-rpath,{c_agent.library(prefix).parent}"
    c_agent.run([compiler, f"-std={standard}", *STRICT, name, "-o", "use", *found, linked], env, tmp_path)
    without_sidecar = {**os.environ, "WAYBILL_SOCKET": str(tmp_path / "none.sock")}
    assert subprocess.run([str(tmp_path / "use")], env=without_sidecar).returncode == 0


def declared(prefix: pathlib.Path) -> set[str]:
    header = (prefix / "include" / "waybill" / "waybill.h").read_text("utf-8")
    code = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    inline = set(re.findall(r"static inline [^;{]*?\b(waybill_\w+)\(", code))
    return set(re.findall(r"\b(waybill_[a-z0-9_]+)\(", code)) - inline


def test_the_library_exports_what_the_header_declares_and_nothing_else(prefix):
    listed = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", str(c_agent.library(prefix))],
                            check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    functions = {row[0].split("@")[0] for row in rows if row[1] == "T"}
    assert functions == declared(prefix)
    assert [row[0] for row in rows if row[1] != "T"] == ["WAYBILL_0"]  # the version's own name


def test_the_library_needs_nng_protobuf_c_and_the_c_library_alone(prefix):
    shown = subprocess.run(["readelf", "-d", str(c_agent.library(prefix))], check=True,
                           capture_output=True, text=True).stdout
    needed = {name.split(".so")[0] for name in re.findall(r"NEEDED.*\[(.*)\]", shown)}
    of_the_c_library = {"libc", "libm", "libpthread"}
    assert {"libnng", "libprotobuf-c"} <= needed <= {"libnng", "libprotobuf-c"} | of_the_c_library
    assert re.search(r"SONAME.*\[libwaybill\.so\.0\]", shown)
    assert "RPATH" not in shown and "RUNPATH" not in shown


def test_the_header_says_the_version_that_is_installed(prefix):
    header = (prefix / "include" / "waybill" / "waybill.h").read_text("utf-8")
    parts = [re.search(rf"WAYBILL_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
    shown = subprocess.run(["pkg-config", "--modversion", "waybill"], env=c_agent.build_env(prefix),
                           check=True, capture_output=True, text=True).stdout.strip()
    assert shown == ".".join(parts)
