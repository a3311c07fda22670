# SPDX-License-Identifier: Apache-2.0
"""Run every fuzz target of a build folder from its corpus, a given time each, one per processor.
Targets that read tokens, keys or carriers start from the published vectors too.

What a target finds new is kept in build/fuzz-corpus/TARGET and used again next time; an input that
made it fail is left there as crash-* and named. Exit code 0: none failed.

Usage: run.py [--build DIR] [--seconds N] [--junit FILE] [TARGET ...]
"""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

import vector_seeds

ROOT = pathlib.Path(__file__).resolve().parents[2]


def fuzz(program, seconds):
    """(target, exit code, what it said last)"""
    name = program.name
    kept = ROOT / "build" / "fuzz-corpus" / name
    kept.mkdir(parents=True, exist_ok=True)
    corpus = ROOT / "tests" / "fuzz" / "corpus" / name
    if not corpus.is_dir():
        return name, 1, f"no corpus: {corpus.relative_to(ROOT)}"
    seeds = ROOT / "build" / "fuzz-seeds" / name
    vector_seeds.write(name, seeds)
    done = subprocess.run(
        [program, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024",
         f"-artifact_prefix={kept}/", "-print_final_stats=1", kept, corpus, seeds],
        capture_output=True, text=True, errors="replace")
    lines = done.stderr.splitlines()
    runs = [line.split()[-1] for line in lines if "number_of_executed_units" in line]
    said = f"{runs[0]} inputs" if done.returncode == 0 and runs else "\n".join(lines[-40:])
    return name, done.returncode, said


def write_junit(path, results):
    suite = xml.Element("testsuite", name="fuzz")
    for name, code, _said in results:
        case = xml.SubElement(suite, "testcase", name=name)
        if code != 0:
            xml.SubElement(case, "failure", message=f"exit code {code}")
    xml.ElementTree(suite).write(path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build/fuzz")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--junit")
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args()
    programs = sorted((ROOT / options.build / "bin").glob("*_fuzz"))
    programs = [p for p in programs if not options.targets or p.name in options.targets]
    if not programs:
        print("no fuzz target is built")
        return 1
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda program: fuzz(program, options.seconds), programs))
    for name, code, said in results:
        print(f"{name}: {'ok' if code == 0 else 'FAILED'}: {said}")
    if options.junit:
        write_junit(options.junit, results)
    return 0 if all(code == 0 for _, code, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
