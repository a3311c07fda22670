# SPDX-License-Identifier: Apache-2.0
"""The lists of libraries as SPDX's own tools read them: every rule of SPDX 2.3, licence names included."""

from __future__ import annotations

import json

import pytest
from packages import ROOT, make_packages, unpack
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    top = tmp_path_factory.mktemp("lists")
    built = make_packages(ROOT, ROOT / "build/package")
    inside = [unpack(path, top / name) for name, path in built.items()]
    return [path for folder in inside for path in folder.glob("usr/share/doc/*/*.spdx.json")]


def complaints(path):
    return [message.validation_message for message in validate_full_spdx_document(parse_file(str(path)))]


def test_there_is_one_for_the_programs_and_one_for_the_c_library(lists):
    assert sorted(path.name for path in lists) == ["libwaybill.spdx.json", "waybill.spdx.json"]


def test_spdxs_own_tools_find_nothing_wrong(lists):
    assert {path.name: complaints(path) for path in lists} == {path.name: [] for path in lists}


def test_spdxs_own_tools_find_what_is_planted(lists, tmp_path):
    made = json.loads(lists[0].read_text())
    made["packages"][0]["licenseConcluded"] = "No-Such-Licence"
    path = tmp_path / "wrong.spdx.json"
    path.write_text(json.dumps(made))
    assert any("No-Such-Licence" in said for said in complaints(path))
