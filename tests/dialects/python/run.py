# SPDX-License-Identifier: Apache-2.0
"""Run one of the programs in senders/, behind guard.py.

Usage: run.py NAME
"""

import pathlib
import runpy
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[0] = str(HERE)

import guard  # noqa: F401 it watches from now on

runpy.run_path(str(HERE / "senders" / f"{sys.argv[1]}.py"), run_name="__main__")
