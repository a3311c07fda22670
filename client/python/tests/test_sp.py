# SPDX-License-Identifier: Apache-2.0
"""nng's framing: what is refused, and that any split of the bytes gives the same messages."""

from __future__ import annotations

import random

import pytest

from waybill import _sp
from waybill.errors import WireError

HELLO = _sp.header(_sp.PROTOCOL_REP)
ID = 0x80000005


def decoder(limit: int = 1000) -> _sp.Decoder:
    made = _sp.Decoder(limit)
    assert list(made.feed(HELLO)) == [] and made.greeted
    return made


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1",
        b"\0SP\1\0\x31\0\0",  # another version of the protocol
        b"\0SP\0\0\x31\0\1",  # reserved bits
        _sp.header(_sp.PROTOCOL_REQ),
        b"\0SP\0\0\x10\0\0",  # a PAIR socket
    ],
)
def test_a_peer_that_is_no_rep_socket_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        list(_sp.Decoder(1000).feed(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\2" + _sp.frame(ID, b"x")[1:],  # another kind of message
        b"\1" + (1005).to_bytes(8, "big"),  # one above the limit: by its header alone
        b"\1" + (1 << 63).to_bytes(8, "big"),
        b"\1" + (3).to_bytes(8, "big"),  # no room for an id
        _sp.frame(5, b"x"),  # the id's top bit is clear
    ],
)
def test_a_bad_message_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        list(decoder().feed(data))


def test_a_message_of_exactly_the_limit_passes() -> None:
    assert list(decoder().feed(_sp.frame(ID, b"x" * 1000))) == [(ID, b"x" * 1000)]


def test_every_split_gives_the_same_messages() -> None:
    rng = random.Random(3)
    sent = [(_sp.FINAL | rng.getrandbits(31), rng.randbytes(rng.randrange(50))) for _ in range(40)]
    stream = HELLO + b"".join(_sp.frame(*message) for message in sent)
    for _ in range(200):
        made, got, at = _sp.Decoder(1000), [], 0
        while at < len(stream):
            step = rng.randrange(1, 30)
            got += made.feed(stream[at : at + step])
            at += step
        assert got == sent


def test_random_bytes_raise_wire_error_and_nothing_else() -> None:
    rng = random.Random(5)
    for _ in range(5000):
        made = _sp.Decoder(64)
        try:
            list(made.feed(HELLO + rng.randbytes(rng.randrange(40))))
        except WireError:
            pass


def test_the_header_is_the_one_of_nng() -> None:
    assert _sp.header() == bytes.fromhex("00535000 0030 0000".replace(" ", ""))
    assert _sp.frame(ID, b"ab") == bytes.fromhex(
        "01 0000000000000006 80000005 6162".replace(" ", "")
    )
