# SPDX-License-Identifier: Apache-2.0
"""W3C headers through real sidecars, by hand: what is read of those that came, what is sent."""

from __future__ import annotations

import json
import os

import pytest
from agents import Asker, a_delegate, an_accept, company, origin

from waybill._wire import Status, Verdict

NAMES = ["a", "b", "c"]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLAIMED = f"00-{TRACE}-{SPAN}-01"
VENDORS = "ot=th:fd70a4;rv:6e6d1a75832a2f,vendor=1"


@pytest.fixture(scope="module")
def ask():
    with company(NAMES) as sidecars:
        askers = {name: Asker(sidecar) for name, sidecar in sidecars.items()}
        yield {name: asker.ask for name, asker in askers.items()}
        for asker in askers.values():
            asker.close()


def stranger(ask, sidecar="b", **headers):
    """Accept of a message without token, and the row it made."""
    reply = ask[sidecar](accept=an_accept(a_delegate("http://x"), "", **headers))
    assert reply.status == Status.OK, reply.detail
    return reply.accept


def signed(ask, **asked_more):
    """A delegation of a to b, whose headers are for Accept."""
    asked = a_delegate(origin(NAMES, "b"), **asked_more)
    reply = ask["a"](delegate=asked)
    assert reply.status == Status.OK, reply.detail
    return asked, reply.delegate


def joined(ask, asked, made, **headers):
    reply = ask["b"](accept=an_accept(asked, made.carrier, **headers))
    assert reply.status == Status.OK, reply.detail
    assert reply.accept.verdict == Verdict.CONTINUE
    return reply.accept


def wb(reply):
    return f"wb={reply.acceptance_id.hex()}"


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": CLAIMED},
        {"traceparent": CLAIMED[:-1] + "0"},
        {"traceparent": CLAIMED, "more_traceparents": [CLAIMED]},
        {"traceparent": CLAIMED.upper()},
        {"traceparent": CLAIMED + "-01"},
        {"traceparent": "ff" + CLAIMED[2:]},
        {"traceparent": CLAIMED.replace(SPAN, "0" * 16)},
        {},
    ],
)
def test_a_stranger_gets_a_trace_of_its_own_whatever_it_claims(ask, headers):
    got = stranger(ask, tracestate=VENDORS, baggage=["tier=gold"], **headers)
    assert got.verdict == Verdict.LINK and not got.verified
    assert got.trace_id.hex() != TRACE
    assert got.traceparent == f"00-{got.trace_id.hex()}-{got.span_id.hex()}-03"
    assert got.tracestate == wb(got) and got.baggage == ""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": ""},
        {"traceparent": CLAIMED},  # of another trace than the token's
        {"traceparent": "00-{0}-" + SPAN.upper() + "-01"},
        {"traceparent": "00-{0}-" + SPAN + "-01", "more_traceparents": ["00-{0}-" + SPAN + "-01"]},
        {"traceparent": "", "more_traceparents": ["00-{0}-" + SPAN + "-01"]},
    ],
)
def test_tracestate_means_nothing_without_the_traceparent_of_its_trace(ask, headers):
    asked, made = signed(ask)
    trace = made.trace_id.hex()
    fill = {
        name: text.format(trace) if isinstance(text, str) else [each.format(trace) for each in text]
        for name, text in headers.items()
    }
    got = joined(ask, asked, made, tracestate=VENDORS, **fill)
    assert got.trace_id == made.trace_id and got.tracestate == wb(got)


@pytest.mark.parametrize(
    "states", [["a"], ["a=1", "B=2"], ["a=1,b=" + "x" * 257], [f"k{i}=1" for i in range(33)]]
)
def test_a_bad_tracestate_is_dropped_and_voids_no_traceparent(ask, states):
    asked, made = signed(ask)
    got = joined(
        ask, asked, made, traceparent=made.traceparent, tracestate=states[0],
        more_tracestates=states[1:],
    )
    assert got.tracestate == wb(got) and got.warnings == []


def test_a_traceparent_that_came_twice_is_no_warning_since_it_is_none(ask):
    asked, made = signed(ask)
    assert "WB_W_TRACEPARENT" in joined(ask, asked, made, traceparent=CLAIMED).warnings
    asked, made = signed(ask)
    got = joined(ask, asked, made, traceparent=CLAIMED, more_traceparents=[CLAIMED])
    assert got.warnings == []


# -- headers in ------------------------------------------------------------------------------------


def test_tracestate_of_the_joined_trace_goes_on_behind_our_member(ask):
    asked, made = signed(ask)
    got = joined(
        ask, asked, made, traceparent=f" {made.traceparent}\t", tracestate=f"{made.tracestate},{VENDORS}",
        more_tracestates=[" third=3 ,, vendor=2"],
    )
    assert got.tracestate == f"{wb(got)},{VENDORS},third=3,vendor=2"


def test_a_higher_version_is_read_and_sent_on_as_00(ask):
    asked, made = signed(ask)
    newer = "cc" + made.traceparent[2:] + "-what-comes-later"
    got = joined(ask, asked, made, traceparent=newer, tracestate="vendor=1")
    assert got.tracestate == f"{wb(got)},vendor=1"
    assert got.traceparent.startswith("00-") and len(got.traceparent) == 55


@pytest.mark.parametrize("flags", [0, 1, 2, 3])
def test_flags_of_a_trace_that_goes_on_are_kept_and_others_sent_as_0(ask, flags):
    asked, made = signed(ask, trace_id=os.urandom(16), trace_flags=flags | 0xFC)
    assert made.traceparent.endswith(f"-0{flags}")
    got = joined(ask, asked, made, traceparent=made.traceparent)
    assert got.traceparent == f"00-{made.trace_id.hex()}-{got.span_id.hex()}-0{flags}"
    onward = a_delegate(origin(NAMES, "c"), parent_acceptance=got.acceptance_id)
    assert ask["b"](delegate=onward).delegate.traceparent.endswith(f"-0{flags}")


def test_a_trace_that_starts_here_says_that_it_is_random(ask):
    assert signed(ask, trace_flags=0)[1].traceparent.endswith("-03")


def test_an_accept_sent_again_is_answered_the_same(ask):
    asked, made = signed(ask)
    accept = an_accept(
        asked, made.carrier, traceparent=made.traceparent, tracestate=VENDORS, baggage=["a=1"]
    )
    assert ask["b"](accept=accept).accept == ask["b"](accept=accept).accept


# -- headers out -----------------------------------------------------------------------------------


def test_a_delegation_carries_the_tracestate_of_its_trace(ask):
    trace_id = os.urandom(16)
    asked, made = signed(ask, trace_id=trace_id, trace_flags=1, tracestate=f"wb={'1' * 32},{VENDORS}")
    assert made.trace_id == trace_id
    assert made.tracestate == f"wb=d:{made.delegation_id.hex()},{VENDORS}"
    assert ask["a"](delegate=asked).delegate == made


def test_the_tracestate_of_another_trace_stays_behind(ask):
    got = stranger(ask, "a")
    _, made = signed(
        ask, parent_acceptance=got.acceptance_id, trace_id=os.urandom(16), tracestate=VENDORS
    )
    assert made.trace_id == got.trace_id
    assert made.tracestate == f"wb=d:{made.delegation_id.hex()}"
    _, made = signed(ask, tracestate=VENDORS)  # a new trace
    assert made.tracestate == f"wb=d:{made.delegation_id.hex()}"


# -- baggage ---------------------------------------------------------------------------------------

BAGGAGE = ["tier=gold;ttl=1, note=a%20b=c", "broken member, tier=silver"]
PASSED = "tier=gold;ttl=1,note=a%20b=c,tier=silver"


def test_baggage_of_a_joined_caller_reaches_the_agent_and_goes_to_peers(ask):
    asked, made = signed(ask, baggage=BAGGAGE)
    assert made.baggage == PASSED
    got = joined(ask, asked, made, baggage=BAGGAGE)
    assert got.baggage == PASSED
    assert joined(ask, *signed(ask)).baggage == ""


def test_baggage_is_not_sent_to_those_who_are_no_peers(ask):
    asked = a_delegate("https://x.example", baggage=BAGGAGE)
    asked.target_agent_id, asked.target_declares = "https://x.example/agent", True
    made = ask["a"](delegate=asked).delegate
    assert json.loads(made.carrier) and made.baggage == ""
    assert ask["a"](delegate=a_delegate("https://y.example", baggage=BAGGAGE)).delegate.baggage == ""


@pytest.mark.parametrize(
    "accept, send, of_joined, of_stranger, to_peer, to_stranger",
    [
        ("none", "none", "", "", "", ""),
        ("all", "all", PASSED, PASSED, PASSED, PASSED),
        ("note, other", "tier", "note=a%20b=c", "note=a%20b=c", "tier=gold;ttl=1,tier=silver",
         "tier=gold;ttl=1,tier=silver"),
    ],
)
def test_borders_are_configured(accept, send, of_joined, of_stranger, to_peer, to_stranger):
    extra = f"context: {{baggage: {{accept: [{accept}], send: [{send}]}}}}\n"
    with company(["a", "b"], extra) as two:
        askers = {name: Asker(sidecar) for name, sidecar in two.items()}
        ask = {name: asker.ask for name, asker in askers.items()}
        asked = a_delegate(origin(["a", "b"], "b"), baggage=BAGGAGE)
        made = ask["a"](delegate=asked).delegate
        assert made.baggage == to_peer
        assert joined(ask, asked, made, baggage=BAGGAGE).baggage == of_joined
        assert stranger(ask, baggage=BAGGAGE).baggage == of_stranger
        assert (
            ask["a"](delegate=a_delegate("http://x", baggage=BAGGAGE)).delegate.baggage
            == to_stranger
        )
        for asker in askers.values():
            asker.close()


def test_observe_keeps_what_is_claimed():
    with company(["b"], "trust: {mode: observe}\n") as one:
        asker = Asker(one["b"])
        ask = {"b": asker.ask}
        got = stranger(ask, traceparent=CLAIMED, tracestate=VENDORS, baggage=BAGGAGE)
        assert got.trace_id.hex() == TRACE and got.traceparent.endswith("-01")
        assert got.tracestate == f"{wb(got)},{VENDORS}" and got.baggage == PASSED
        got = stranger(
            ask, traceparent=CLAIMED, more_traceparents=[CLAIMED], tracestate=VENDORS, baggage=BAGGAGE
        )
        assert got.trace_id.hex() != TRACE and got.tracestate == wb(got) and got.baggage == ""
        asker.close()
