# SPDX-License-Identifier: Apache-2.0
"""What the client's calls return: plain immutable records."""

from __future__ import annotations

import contextlib
import dataclasses

from waybill import _context
from waybill._context import SpanContext
from waybill._wire import Limits, Verdict

__all__ = ["Acceptance", "Delegation", "Limits", "SidecarInfo", "Stats", "Target", "Verdict"]

EXTENSION_URI = "https://w3id.org/waybill/a2a/v1"  # TOKENS.md section 2


@dataclasses.dataclass(frozen=True)
class Target:
    """Whom a delegation is for.

    url       the interface URL in use
    agent_id  `params.agent_id` of its card's Waybill extension, if it has one
    declares  whether its card declares that extension
    name      its card's name, for people
    """

    url: str
    agent_id: str = ""
    declares: bool = False
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Delegation:
    """A task handed on, or the next message of one, as the sidecar opened it.

    id               16 bytes; in hex it is the delegation's id everywhere
    carrier          JSON text for `metadata[EXTENSION_URI]`, or "" for none: then send none
    context          the delegation's span: the parent of what the remote agent does
    unsigned_reason  why there is no carrier: a code, "no_peer", or "unavailable"
    deadline_s       Unix seconds after which it counts as lost; 0 if local
    baggage          the W3C baggage that may go along, or ""
    turn             which message of the delegation this is, from 1
    granted          what the token allows; an amount that is None has no limit. None: no token
    local            the sidecar was away: it knows nothing of this delegation
    """

    id: bytes
    carrier: str
    context: SpanContext
    method: str = ""
    target: Target = Target("")
    unsigned_reason: str = ""
    deadline_s: int = 0
    local: bool = False
    baggage: str = ""
    turn: int = 1
    granted: Limits | None = None

    @property
    def silent(self) -> bool:
        """Whether there is nothing to tell the sidecar of it."""
        return self.local

    @property
    def signed(self) -> bool:
        """Whether a token goes along."""
        return bool(self.carrier)

    @property
    def headers(self) -> dict[str, str]:
        """The W3C headers of the outgoing request."""
        found = {"traceparent": self.context.traceparent}
        if self.context.tracestate:
            found["tracestate"] = self.context.tracestate
        if self.baggage:
            found["baggage"] = self.baggage
        return found


@dataclasses.dataclass(frozen=True)
class Acceptance:
    """A delegation that arrived and may be worked on.

    id        16 bytes; spans of the work carry it as `waybill.acceptance.id`
    verdict   CONTINUE: `context` is in the caller's trace; LINK: in a trace of our own; DUPLICATE
              (only with on_duplicate "pass"): the message was accepted before, as `id`, and
              `context` is that acceptance's. Work on it is nobody's: it is not finished, and what
              it hands on has no parent
    verified  the token's signature and chain held
    context   the parent of the work's spans; never the claimed one
    issuer    agent id of who delegated, if verified
    baggage   what of the caller's W3C baggage passed the border, or ""
    local     the sidecar was away: nothing was verified, and it knows nothing of this acceptance
    """

    id: bytes
    verdict: Verdict
    verified: bool
    context: SpanContext
    issuer: str = ""
    warnings: tuple[str, ...] = ()
    local: bool = False
    baggage: str = ""

    @property
    def silent(self) -> bool:
        """Whether there is nothing to tell the sidecar of it."""
        return self.local or self.verdict == Verdict.DUPLICATE

    def work(self) -> contextlib.AbstractContextManager[None]:
        """`with acceptance.work(): ...`: spans and delegations of the block belong to it."""
        return _context.inside(self.context, self)


@dataclasses.dataclass(frozen=True)
class SidecarInfo:
    """What the sidecar said when the connection was made.

    version            of its program
    agent_id           whom it signs for; "" if it has none
    name               its instance's
    extension_uri      the A2A extension that carries tokens
    trust_mode         observe verify enforce
    on_unavailable     what agents shall do without it: unsigned fail
    max_message_bytes  the longest request that it reads
    """

    version: str
    agent_id: str
    name: str
    extension_uri: str
    trust_mode: str
    on_unavailable: str
    max_message_bytes: int


@dataclasses.dataclass(frozen=True)
class Stats:
    """Counts since the process began (in a forked child: since the fork).

    spans_recorded          ended here
    spans_acknowledged      on the sidecar's disk
    spans_rejected          looked at and refused by the sidecar
    spans_dropped           not kept, because the buffer was full
    spans_buffered          waiting for the sidecar's answer
    unsigned_delegations    opened without the sidecar
    unverified_acceptances  taken without the sidecar
    unconfirmed             finish, settle, observe that no sidecar confirmed in time
    """

    spans_recorded: int
    spans_acknowledged: int
    spans_rejected: int
    spans_dropped: int
    spans_buffered: int
    unsigned_delegations: int
    unverified_acceptances: int
    unconfirmed: int
