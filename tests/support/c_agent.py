# SPDX-License-Identifier: Apache-2.0
"""The example agent in C, built as examples/c_agent/README.md says: against an installed libwaybill, by the
commands that stand there.

The copy is installed from the build folder of the programs under test into a prefix of the caller's. Where
those carry a sanitizer the agent gets the same one, or it could not load the library.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

from waybill_testkit import ROOT, NotBuilt, find_program

EXAMPLE = ROOT / "examples" / "c_agent"
SANITIZERS = {b"__asan_init": "address,undefined", b"__tsan_init": "thread"}


def run(command: str | list[str], env: dict[str, str], cwd: pathlib.Path) -> None:
    """Raises RuntimeError with what it said."""
    done = subprocess.run(command, shell=isinstance(command, str), env=env, cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")


def install_client(prefix: pathlib.Path) -> None:
    """libwaybill, its header and what finds them, as packages would have them."""
    build = find_program("waybill").resolve().parents[1]
    if not (build / "cmake_install.cmake").is_file():
        raise NotBuilt(f"{build} is no build folder, so there is no libwaybill to install from it")
    for part in ("library", "dev"):
        run(["cmake", "--install", str(build), "--prefix", str(prefix), "--component", part],
            dict(os.environ), build)


def library(prefix: pathlib.Path) -> pathlib.Path:
    return next(prefix.glob("lib*/**/libwaybill.so"))


def build_env(prefix: pathlib.Path) -> dict[str, str]:
    """An environment in which the prefix is found, and nothing of this tree."""
    env = {**os.environ, "PREFIX": str(prefix), "CC": "cc", "CFLAGS": ""}
    env["PKG_CONFIG_PATH"] = str(library(prefix).parent / "pkgconfig")
    code = library(prefix).read_bytes()
    for mark, names in SANITIZERS.items():
        if mark in code:
            env.update(CC="clang", CFLAGS=f"-fsanitize={names}")
    return env


def commands(start: str) -> list[str]:
    """Of the README, those that begin with `start`."""
    lines = (line.strip() for line in (EXAMPLE / "README.md").read_text("utf-8").splitlines())
    return [line for line in lines if line.startswith(start)]


def build_by_pkg_config(prefix: pathlib.Path, program: pathlib.Path) -> pathlib.Path:
    """By the README's one line."""
    env = build_env(prefix)
    (line,) = commands("cc ")
    line = line.replace("cc ", '"$CC" $CFLAGS ', 1).replace("-o proofreader", f"-o '{program}'")
    run(line, env, EXAMPLE)
    return program


def build_by_cmake(prefix: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """By the README's two lines, in `folder`."""
    env = build_env(prefix)
    for line in commands("cmake -S ") + commands("cmake --build "):
        run(line.replace("-B build", f"-B '{folder}'").replace("--build build", f"--build '{folder}'"),
            env, EXAMPLE)
    return folder / "proofreader"
