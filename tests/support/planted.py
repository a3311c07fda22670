# SPDX-License-Identifier: Apache-2.0
"""Run the programs with a planted fault of a sanitizer build; each must go red, and say why.

Usage: planted.py asan|tsan      exit code 0: every planted fault was found
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPECTED = {
    "asan": {"planted_leak": "detected memory leaks", "planted_undefined": "signed integer overflow"},
    "tsan": {"planted_race": "data race"},
}


def goes_red(program, words):
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    print(f"{program.name}: exit code {done.returncode}")
    if done.returncode != 0 and words in done.stderr:
        return True
    print(f"not found: {words}\n{done.stderr}")
    return False


def sweep_goes_red(program):
    """What is lost when one of two allocations fails is found."""
    done = subprocess.run([sys.executable, ROOT / "tests/support/oom_sweep.py", program],
                          capture_output=True, text=True, timeout=120)
    last = done.stdout.splitlines()[-1]
    print(f"{program.name}: exit code {done.returncode}, {last}")
    return done.returncode == 1 and "Direct leak of 32 byte" in done.stdout


def main():
    preset = sys.argv[1]
    programs = ROOT / "build" / preset / "bin"
    results = [goes_red(programs / name, words) for name, words in EXPECTED[preset].items()]
    if preset == "asan":
        results.append(sweep_goes_red(programs / "planted_oom"))
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
