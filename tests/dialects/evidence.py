# SPDX-License-Identifier: Apache-2.0
"""What was captured, to look things up in: may a value be expected of a store?

A number is looked for as protobuf's varint, as a double and in digits; a text as a whole word, in JSON too, and in
JSON within JSON. Keys are no values: `openai.response.service_tier` tells of no provider.

Look up in what a run kept (DIALECTS_KEEP=FOLDER):  python tests/dialects/evidence.py FOLDER/PACKAGE VALUE [...]
"""

from __future__ import annotations

import json
import pathlib
import re
import struct
import sys
from typing import Any, Iterable, Iterator

from capture import Export, logs_of, spans_of
from provider import FACTS

# ---- values of OTLP ------------------------------------------------------------------------------


def value_of(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def attributes_of(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: value_of(pair.value) for pair in pairs}


def leaves(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from leaves(each)
    else:
        yield node


def pairs(node: Any) -> Iterator[tuple[str, Any]]:
    """All keys of a tree with their values."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield str(key), value
        yield from pairs(value)


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def texts_in(message: Any) -> Iterator[str]:
    """Every text of a protobuf message, but for keys."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if field.message_type:
                yield from texts_in(each)
            elif isinstance(each, str) and field.name != "key":
                yield each


class Evidence:
    """What was captured of one call: may a value be expected?"""

    def __init__(self, spans: list[Any], logs: list[Any]) -> None:
        self._bytes = b"\0\0".join(each.SerializeToString() for each in [*spans, *logs])
        self._texts = "\0".join(text for each in [*spans, *logs] for text in texts_in(each))
        self._spans, self.logs = spans, logs
        self.names = [each.name for span in spans for each in (span, *span.events)]
        carriers = [carrier for span in spans for carrier in (span, *span.events)]
        self.values = [each for carrier in carriers for each in leaves(attributes_of(carrier.attributes))]
        self.values += [each for record in logs
                        for each in leaves([attributes_of(record.attributes), value_of(record.body)])]

    def text(self, text: str) -> bool:
        """As a whole word: an asked model's name begins an answered one's. In JSON in a string, too."""
        forms = {text, json.dumps(text)[1:-1], json.dumps(json.dumps(text)[1:-1])[1:-1]}
        return any(re.search(rf"(?<![\w-]){re.escape(form)}(?![\w-])", self._texts) for form in forms)

    def find(self, pattern: str) -> bool:
        """In any text; they stand between U+0000."""
        return re.search(pattern, self._texts) is not None

    def number(self, number: int) -> bool:
        as_int, as_double = b"\x18" + varint(number), b"\x21" + struct.pack("<d", number)
        return (as_int in self._bytes or as_double in self._bytes
                or re.search(rf"(?<![\d.]){number}(?![\d.])", self._texts) is not None)

    def arguments(self) -> bool:
        name, value = next(iter(FACTS["tool"]["arguments"].items()))
        # in JSON, in JSON within JSON, in a list of pairs
        return re.search(name.encode() + rb".{1,12}?" + value.encode(), self._bytes, re.S) is not None

    def keys(self, pattern: str) -> list[Any]:
        """Values of all attributes whose key is like that."""
        return [value for span in self._spans for key, value in attributes_of(span.attributes).items()
                if re.search(pattern, key)]


# ---- by hand -------------------------------------------------------------------------------------


def kept(folder: pathlib.Path) -> list[Export]:
    """The exports that rig.keep left."""
    found = []
    for file in sorted(folder.glob("[0-9][0-9][0-9]-*")):
        signal, form = file.stem.split("-")[1], file.suffix[1:]
        found.append(Export(signal, "", "application/json" if form == "json" else "", file.read_bytes(), 200, b""))
    return found


def main(folder: str, *values: str) -> None:
    exports = kept(pathlib.Path(folder))
    spans, logs = spans_of(exports), logs_of(exports)
    raw = b"".join(export.body for export in exports if export.signal != "metrics")
    print(f"{len(raw)} bytes, {len(spans)} spans, {len(logs)} log records")
    for value in values:
        def tells(record: Any, value: str = value) -> bool:
            seen = Evidence([record] if record in spans else [], [record] if record in logs else [])
            return seen.number(int(value)) if value.isdigit() else seen.text(value)

        where = dict.fromkeys([span.name for span in spans if tells(span)]
                              + [f"log {log.event_name}" for log in logs if tells(log)])
        print(f"{value}: {', '.join(where) or 'nowhere'}; its bytes {raw.count(value.encode())} times")


if __name__ == "__main__":
    main(*sys.argv[1:])
