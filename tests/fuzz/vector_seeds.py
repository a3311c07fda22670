# SPDX-License-Identifier: Apache-2.0
"""Inputs for the fuzz targets out of the published vectors: every token, payload, carrier, key set and body
that a case shows is a point to start from. Written anew at each run; the vectors stay the only copy.

Two targets hold that nothing but the worked example continues its trace. The vectors are signed with
the example's keys, so of all other links the signatures are spoilt first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
from collections.abc import Iterator
from typing import Any

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors" / "token_v1.json"


SIGNED = "example_chain"  # the case whose links the fuzz targets know


def spoilt(link: str, own: list[str]) -> str:
    return link if link in own or len(link) < 100 else link[:-4] + "AAAA"


def chain_of(case: dict[str, Any]) -> list[Any]:
    carrier = case.get("carrier")
    chain = carrier.get("chain") if isinstance(carrier, dict) else None
    return chain if isinstance(chain, list) else []


def carriers(case: dict[str, Any], own: list[str]) -> Iterator[bytes]:
    if "carrier_text" in case:
        yield case["carrier_text"].encode()
        return
    carrier = case["carrier"]
    if chain_of(case):
        chain = [spoilt(x, own) if isinstance(x, str) else x for x in carrier["chain"]]
        carrier = {**carrier, "chain": chain}
    yield json.dumps(carrier, separators=(",", ":")).encode()


def links(case: dict[str, Any], own: list[str]) -> Iterator[bytes]:
    yield from (spoilt(x, own).encode() for x in chain_of(case) if isinstance(x, str))


def parts(case: dict[str, Any], own: list[str]) -> Iterator[bytes]:
    for link in links(case, own):
        yield from link.split(b".")


def texts(case: dict[str, Any], own: list[str]) -> Iterator[bytes]:
    """Headers and payloads, decoded where that can be done."""
    for link in links(case, own):
        for part in link.split(b".")[:2]:
            try:
                yield base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
            except ValueError:
                continue


def traceparents(case: dict[str, Any], _own: list[str]) -> Iterator[bytes]:
    yield case["message"].get("traceparent", "").encode()


SEEDS = {"carrier_fuzz": carriers, "jws_fuzz": links, "b64_fuzz": parts, "json_fuzz": texts,
         "claims_fuzz": texts, "traceparent_fuzz": traceparents}


def seeds_for(target: str) -> set[bytes]:
    vectors = json.loads(VECTORS.read_text("ascii"))
    if target == "trust_fuzz":
        return {json.dumps(bundle).encode() for bundle in vectors["bundles"].values()}
    if target in ("a2a_parts_fuzz", "jcs_fuzz"):
        return {json.dumps(row["parts"], ensure_ascii=False).encode() for row in vectors["digests"]}
    take = SEEDS.get(target)
    own = next(chain_of(case) for case in vectors["cases"] if case["name"] == SIGNED)
    return {seed for case in vectors["cases"] for seed in take(case, own)} if take else set()


def write(target: str, folder: pathlib.Path) -> int:
    """Fill `folder`, which is made if need be; how many files there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    seeds = seeds_for(target)
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()[:32]).write_bytes(seed)
    return len(seeds)
