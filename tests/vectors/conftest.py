# SPDX-License-Identifier: Apache-2.0
"""Makes tests/support and this folder importable, and with the first the Python client."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]

import waybill_testkit  # noqa: E402,F401  puts client/python on the path
