#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write token_v1.json: the published vectors of docs/tokens.md section 18.

Seeds and clock are fixed and Ed25519 signatures have one form, so the file comes out the same each
time. `--check` proves that the file in the tree is what is made here; docs/vectors.md says what is
in it. Expectations are written in the cases, by hand: no verifier is asked.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import builder  # noqa: E402
import cases_chain  # noqa: E402
import cases_form  # noqa: E402
import cases_truth  # noqa: E402
import digests  # noqa: E402

FILE = HERE / "token_v1.json"


def made() -> dict[str, Any]:
    """The vectors. The module keeps one list of cases, so this is for one call a process."""
    assert builder.hash_of(builder.ROOT) == "3GZ2X3zZWzv254HyTHiY8mnNCnapO_aW04pUsR2Na18"
    assert builder.hash_of(builder.CHILD) == "bJPgXyb4LPFqERUJ4RKoE_y2Z5D2O_kb3di5qRTlSPU"
    for part in (cases_form, cases_truth, cases_chain):
        part.cases()
    return {
        "version": 1,
        "keys": {name: {"seed": key.seed.hex(), "kid": key.kid} for name, key in builder.KEYS.items()},
        "bundles": builder.BUNDLES,
        "digests": digests.made(),
        "cases": builder.CASES,
    }


def text_of(vectors: dict[str, Any]) -> str:
    """One line for each key, bundle, digest and case, so that a diff shows which one changed."""
    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)

    def block(name: str) -> str:
        value = vectors[name]
        if isinstance(value, dict):
            rows = [f"{line(key)}:{line(item)}" for key, item in value.items()]
            return f'"{name}":{{\n' + ",\n".join(rows) + "\n}"
        return f'"{name}":[\n' + ",\n".join(line(item) for item in value) + "\n]"

    blocks = [block(name) for name in ("keys", "bundles", "digests", "cases")]
    return '{\n"version":1,\n' + ",\n".join(blocks) + "\n}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file differs")
    options = parser.parse_args()
    vectors = made()
    text = text_of(vectors)
    assert json.loads(text) == vectors
    if options.check:
        same = FILE.exists() and FILE.read_text("ascii") == text
        print(f"{FILE.name}: " + ("as made" if same else "differs: run tests/vectors/make.py"))
        return 0 if same else 1
    FILE.write_text(text, "ascii")
    print(f"{len(vectors['cases'])} cases, {len(vectors['digests'])} digests, {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
