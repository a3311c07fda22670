# SPDX-License-Identifier: Apache-2.0
"""tools/check-layers goes red for one planted include per forbidden direction, and only then."""

import importlib.machinery
import importlib.util
import itertools
import pathlib

import pytest

TOOL = pathlib.Path(__file__).resolve().parents[3] / "tools" / "check-layers"
loader = importlib.machinery.SourceFileLoader("check_layers", str(TOOL))
spec = importlib.util.spec_from_loader("check_layers", loader)
layers = importlib.util.module_from_spec(spec)
loader.exec_module(layers)

SIDECAR_PARTS = ["receivers", "pipeline", "journal", "delegation", "ledger", "delivery", "proxy"]
FORBIDDEN = [
    (a, b)
    for a, b in itertools.permutations(layers.LAYERS, 2)
    if b not in layers.LAYERS[a]
]


def plant(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return layers.check_tree(root)


def include(target):
    return f'/* essay */\n#include "{target}"\n'


@pytest.mark.parametrize("folder,other", FORBIDDEN, ids=lambda name: name)
def test_a_forbidden_direction_is_red(tmp_path, folder, other):
    findings = plant(tmp_path, {f"{folder}/x.c": include(f"{other}/y.h"), f"{other}/y.h": ""})
    assert findings == [f'{folder}/x.c:2: #include "{other}/y.h": {folder} may not include {other}']


@pytest.mark.parametrize(
    "folder,other", [(a, b) for a in layers.LAYERS for b in sorted(layers.LAYERS[a])], ids=lambda name: name
)
def test_an_allowed_direction_is_green(tmp_path, folder, other):
    assert not plant(tmp_path, {f"{folder}/x.c": include(f"{other}/y.h"), f"{other}/y.h": ""})


@pytest.mark.parametrize("part,other", list(itertools.permutations(SIDECAR_PARTS, 2)))
def test_parts_of_the_sidecar_do_not_know_each_other(tmp_path, part, other):
    files = {f"sidecar/{part}/x.c": include(f"sidecar/{other}/y.h"), f"sidecar/{other}/y.h": ""}
    (finding,) = plant(tmp_path, files)
    assert f"sidecar/{part} may not know sidecar/{other}" in finding


def test_delivery_reads_the_journal_by_its_public_header_only(tmp_path):
    files = {
        "sidecar/delivery/x.c": include("sidecar/journal/journal.h"),
        "sidecar/journal/journal.h": "",
        "sidecar/journal/frame.h": "",
    }
    assert not plant(tmp_path, files)
    files["sidecar/delivery/x.c"] = include("sidecar/journal/frame.h")
    assert plant(tmp_path, files)
    files["sidecar/delivery/x.c"] = ""
    files["sidecar/pipeline/x.c"] = include("sidecar/journal/journal.h")
    assert plant(tmp_path, files)


def test_an_example_knows_the_installed_header_and_what_lies_beside_it(tmp_path):
    beside = {"examples/one/x.h": "#include <waybill/waybill.h>\n", "core/slice.h": ""}
    assert not plant(tmp_path, {**beside, "examples/one/x.c": include("x.h")})
    for target in ("core/slice.h", "examples/one/x.h", "../../core/slice.h", "other.h"):
        (finding,) = plant(tmp_path, {**beside, "examples/one/x.c": include(target)})
        assert "an example may not know the source tree" in finding
    (finding,) = plant(tmp_path, {"examples/one/x.c": "", "examples/one/x.h": "#include <curl/curl.h>\n"})
    assert "a third-party header is for .c files only" in finding


def test_a_part_does_not_include_the_root_of_its_folder(tmp_path):
    files = {"sidecar/journal/x.c": include("sidecar/writer.h"), "sidecar/writer.h": ""}
    assert plant(tmp_path, files)
    files = {"sidecar/journal/x.c": "", "sidecar/main.c": include("sidecar/journal/y.h"),
             "sidecar/journal/y.h": ""}
    assert not plant(tmp_path, files)


def test_exporters_know_their_interface_and_not_each_other(tmp_path):
    files = {
        "exporters/exporter.h": "",
        "exporters/otlp/x.c": include("exporters/exporter.h"),
        "exporters/postgres/y.h": "",
    }
    assert not plant(tmp_path, files)
    files["exporters/otlp/x.c"] = include("exporters/postgres/y.h")
    assert plant(tmp_path, files)


@pytest.mark.parametrize("header", ["sodium.h", "nng/nng.h", "sqlite3.h", "yaml.h", "cJSON.h",
                                    "protobuf-c/protobuf-c.h", "microhttpd.h"])
def test_a_third_party_header_in_a_header_is_red(tmp_path, header):
    assert not plant(tmp_path, {"core/x.c": f"#include <{header}>\n"})
    assert plant(tmp_path, {"core/x.h": f"#include <{header}>\n"})
    assert plant(tmp_path, {"core/x.h": f"#  include   <{header}> /* why not */\n"})


def test_a_generated_header_in_a_header_is_red(tmp_path):
    generated = include("proto/waybill/v1/ipc.pb-c.h")
    assert not plant(tmp_path, {"sidecar/x.c": generated})
    assert plant(tmp_path, {"sidecar/x.c": "", "sidecar/x.h": generated})


@pytest.mark.parametrize("line", ['#include "slice.h"', '#include "../core/slice.h"',
                                  "#include SLICE_H"])
def test_an_include_that_is_not_from_the_root_is_red(tmp_path, line):
    assert plant(tmp_path, {"core/slice.h": "", "core/x.c": line + "\n"})


def test_a_folder_without_a_row_is_red(tmp_path):
    assert plant(tmp_path, {"helpers/x.c": ""})


def test_a_comment_is_no_include_and_tests_include_anything(tmp_path):
    files = {
        "core/x.c": '/*\n#include "cli/verb.h"\n*/\n',
        "cli/verb.h": "",
        "tests/unit/core/x_test.c": include("cli/verb.h"),
    }
    assert not plant(tmp_path, files)


def test_this_tree_is_green():
    assert layers.check_tree(TOOL.parents[1]) == []
