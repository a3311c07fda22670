# SPDX-License-Identifier: Apache-2.0
"""Makes this folder and tests/support importable."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "support"))
