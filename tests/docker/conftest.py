# SPDX-License-Identifier: Apache-2.0
"""One engine for all tests of this folder, with the images that stand in for a registry's."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from docker_engine import Engine  # noqa: E402


@pytest.fixture(scope="session")
def engine():
    with Engine() as found:
        found.make_stand_ins()
        yield found
