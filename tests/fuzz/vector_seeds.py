# SPDX-License-Identifier: Apache-2.0
"""Inputs for the fuzz targets out of the published vectors: every token, payload, carrier and key set
that a case shows is a point to start from. Written anew at each run; the vectors stay the only copy."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "token_v1.json"


def carriers(case: dict[str, Any]) -> Iterator[bytes]:
    if "carrier_text" in case:
        yield case["carrier_text"].encode()
    else:
        yield json.dumps(case["carrier"], separators=(",", ":")).encode()


def links(case: dict[str, Any]) -> Iterator[bytes]:
    carrier = case.get("carrier")
    chain = carrier.get("chain") if isinstance(carrier, dict) else None
    for link in chain if isinstance(chain, list) else []:
        if isinstance(link, str):
            yield link.encode()


def parts(case: dict[str, Any]) -> Iterator[bytes]:
    for link in links(case):
        yield from link.split(b".")


def texts(case: dict[str, Any]) -> Iterator[bytes]:
    """Headers and payloads, decoded where that can be done."""
    for link in links(case):
        for part in link.split(b".")[:2]:
            try:
                yield base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
            except ValueError:
                continue


def traceparents(case: dict[str, Any]) -> Iterator[bytes]:
    yield case["message"].get("traceparent", "").encode()


SEEDS = {"carrier_fuzz": carriers, "jws_fuzz": links, "b64_fuzz": parts, "json_fuzz": texts,
         "claims_fuzz": texts, "traceparent_fuzz": traceparents}


def seeds_for(target: str) -> set[bytes]:
    vectors = json.loads(VECTORS.read_text("ascii"))
    if target == "trust_fuzz":
        return {json.dumps(bundle).encode() for bundle in vectors["bundles"].values()}
    take = SEEDS.get(target)
    return {seed for case in vectors["cases"] for seed in take(case)} if take else set()


def write(target: str, folder: pathlib.Path) -> int:
    """Fill `folder`, which is made if need be; how many files there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    seeds = seeds_for(target)
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()[:32]).write_bytes(seed)
    return len(seeds)
