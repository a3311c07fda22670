# SPDX-License-Identifier: Apache-2.0
"""The codec against the .proto file's text and against protobuf itself, refusals first."""

from __future__ import annotations

import dataclasses
import pathlib
import random
import re
import shutil
import subprocess

import pytest

from waybill import _wire
from waybill.errors import WireError

PROTO = pathlib.Path(__file__).resolve().parents[3] / "proto" / "waybill" / "v1" / "ipc.proto"
MESSAGES = {
    cls.__name__: cls
    for cls in vars(_wire).values()
    if isinstance(cls, type) and issubclass(cls, _wire.Message) and cls is not _wire.Message
}


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # tag without value
        b"\x80" * 11,  # varint of more than 10 bytes
        b"\x10" + b"\xff" * 9 + b"\x02",  # varint of more than 64 bits
        b"\x0a\x05abcd",  # longer than what is there
        b"\x0a\xff\xff\xff\xff\x0f",  # 4 GiB
        b"\x00\x00",  # field number 0
        b"\x08\x01",  # id is bytes, not a number
        b"\x12\x01a",  # status is a number, not bytes
        b"\x1a\x02\xc3\x28",  # detail is not UTF-8
        b"\x5b\x5c",  # a group
        b"\xf9\x01abc",  # fixed64 cut off
        b"\xfd\x01abc",  # fixed32 cut off
        b"\x72\x02\x0a\x05",  # nested: cut off
    ],
)
def test_bytes_that_are_no_reply_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        _wire.decode(_wire.Reply, data)


def test_a_list_longer_than_its_bound_is_refused() -> None:
    item = _wire.delimited(10, b"x")
    assert len(_wire.decode(_wire.AcceptReply, item * 64).warnings) == 64
    with pytest.raises(WireError):
        _wire.decode(_wire.AcceptReply, item * 65)


def test_a_string_longer_than_its_bound_is_refused() -> None:
    with pytest.raises(WireError):
        _wire.decode(_wire.Reply, _wire.delimited(3, b"x" * (_wire.MAX_STRING + 1)))


def test_a_value_that_its_field_cannot_hold_is_not_written() -> None:
    with pytest.raises(ValueError):
        _wire.encode(_wire.Hello(pid=1 << 32))
    with pytest.raises(ValueError):
        _wire.encode(_wire.Settle(outcome="\ud800"))


def test_unknown_fields_are_skipped() -> None:
    unknown = b"\xf8\x01\x05" + b"\xf9\x01" + b"x" * 8 + b"\xfa\x01\x02hi" + b"\xfd\x01" + b"y" * 4
    assert _wire.decode(_wire.Reply, unknown + b"\x10\x03" + unknown).status == 3


def test_random_bytes_raise_wire_error_and_nothing_else() -> None:
    rng = random.Random(7)
    valid = _wire.encode(full(_wire.Reply, rng))
    for _ in range(20_000):
        if rng.random() < 0.5:
            data = rng.randbytes(rng.randrange(64))
        else:
            mutated = bytearray(valid[: rng.randrange(len(valid) + 1)])
            for _ in range(rng.randrange(4)):
                if mutated:
                    mutated[rng.randrange(len(mutated))] = rng.randrange(256)
            data = bytes(mutated)
        try:
            message = _wire.decode(_wire.Reply, data)
        except WireError:
            continue
        # What was understood is understood the same when written again.
        assert _wire.decode(_wire.Reply, _wire.encode(message)) == message


def proto_text() -> str:
    return re.sub(r"//[^\n]*", "", PROTO.read_text(encoding="utf-8"))


def proto_messages() -> dict[str, dict[int, tuple[str, str]]]:
    """{message: {number: (field, type)}} of the .proto file. A oneof of one member is an optional
    field."""
    found: dict[str, dict[int, tuple[str, str]]] = {}
    text = re.sub(r"oneof \w+ \{ ([^;{}]*;) \}", r"optional \1", proto_text())
    for match in re.finditer(r"^message (\w+) \{(\}|.*?^\})", text, re.M | re.S):
        fields = {}
        for label, kind, name, number in re.findall(
            r"(repeated |optional )?(\w+) (\w+) = (\d+);", match[2]
        ):
            fields[int(number)] = (name, label.strip() + " " + kind if label else kind)
        found[match[1]] = fields
    return found


def test_the_table_is_the_proto_file() -> None:
    enums = set(re.findall(r"^enum (\w+)", proto_text(), re.M))
    told = proto_messages()
    assert set(told) == set(MESSAGES)
    for name, cls in MESSAGES.items():
        ours = {}
        for column in _wire.columns(cls):
            kind = {"strings": "repeated string"}.get(column.kind, column.kind)
            if column.message is not None:
                kind = column.message.__name__
            elif column.optional:
                kind = f"optional {kind}"
            elif column.kind == "enum":
                kind = next(e for e in enums if told[name][column.number][1] == e)
            ours[column.number] = (column.name.rstrip("_"), kind)
        assert ours == told[name], name


@pytest.mark.parametrize("cls", [_wire.Status, _wire.Verdict])
def test_the_enums_are_the_proto_file_s(cls: type[_wire.Status]) -> None:
    body = re.search(rf"^enum {cls.__name__} \{{(.*?)^\}}", proto_text(), re.M | re.S)
    assert body is not None
    told = {name: int(number) for name, number in re.findall(r"(\w+) = (\d+);", body[1])}
    prefix = cls.__name__.upper() + "_"
    assert {prefix + member.name: member.value for member in cls} == told


def full(cls: type[_wire.Message], rng: random.Random) -> _wire.Message:
    """A message with every field set, one of the oneof."""
    message = cls()
    bodies = [c for c in _wire.columns(cls) if c.message is not None]
    if cls in (_wire.Request, _wire.Reply):
        bodies = [rng.choice(bodies)]
    for column in _wire.columns(cls):
        value: object
        if column.message is not None:
            if column not in bodies:
                continue
            value = full(column.message, rng)
        elif column.kind == "bytes":
            value = rng.randbytes(rng.choice([1, 16, 200]))
        elif column.kind == "string":
            value = rng.choice(["x", "é€😀", "a" * 300])
        elif column.kind == "strings":
            value = ["one", "", "zwei"]
        elif column.kind == "bool":
            value = True
        elif column.kind == "enum":
            value = rng.randrange(1, 4)
        else:
            value = rng.randrange(1, 1 << (64 if column.kind == "uint64" else 32))
        setattr(message, column.name, value)
    return message


@pytest.fixture(scope="module")
def protobuf(tmp_path_factory: pytest.TempPathFactory) -> dict[str, type]:
    """The same messages by protobuf itself."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")
    from google.protobuf import descriptor_pool, message_factory

    if shutil.which("protoc") is None:
        pytest.skip("protoc is not installed")
    out = tmp_path_factory.mktemp("proto") / "set"
    subprocess.run(
        ["protoc", f"--descriptor_set_out={out}", f"-I{PROTO.parent}", PROTO.name], check=True
    )
    files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(files.file[0])
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"waybill.v1.{name}"))
        for name in MESSAGES
    }


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_protobuf_reads_and_writes_the_same_bytes(name: str, protobuf: dict[str, type]) -> None:
    rng = random.Random(name)
    for _ in range(20):
        ours = full(MESSAGES[name], rng)
        theirs = protobuf[name].FromString(_wire.encode(ours))
        theirs.DiscardUnknownFields()
        assert theirs.SerializeToString() == _wire.encode(ours)
        assert _wire.decode(MESSAGES[name], theirs.SerializeToString()) == ours
    empty = protobuf[name]().SerializeToString()
    assert empty == b"" == _wire.encode(MESSAGES[name]())
    assert _wire.decode(MESSAGES[name], b"") == MESSAGES[name]()


def test_an_optional_field_is_written_even_if_zero() -> None:
    asked = _wire.Limits(cost_micros=0)
    assert _wire.decode(_wire.Limits, _wire.encode(asked)) == asked
    assert dataclasses.asdict(_wire.decode(_wire.Limits, b""))["cost_micros"] is None
