# SPDX-License-Identifier: Apache-2.0
"""Makes tests/support importable, and with it the Python client."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import waybill_testkit  # noqa: E402,F401  puts client/python on the path
