# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as a caller has to tell it apart.

    WaybillError
     +- Unavailable   the sidecar is away, slow or full: nothing is known to have happened
     +- Refused       a token was refused; only its class and a reference are known here
     +- Denied        the sidecar would not mint: a budget or a limit said no
     +- NotFound      the delegation or acceptance named is not one of this sidecar's

A refusal tells its class (TOKENS.md section 15) and a random reference; the reason is in the log of
the side that refused, under that reference. Bytes that are no message at all raise `WireError`
inside the package; to a caller such a peer is as good as away, so it sees `Unavailable`.
"""

from __future__ import annotations


class WaybillError(Exception):
    """Base of all errors of this package. The sidecar answered with a status other than OK."""


class Unavailable(WaybillError):
    """No usable answer came in time. `retry_after_s` is what the sidecar asked for, if it did."""

    def __init__(self, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Refused(WaybillError):
    """A token was refused.

    wire_class  malformed stale unauthenticated replayed refused
    ref         16 hex digits; `waybill token why REF` explains it at the side that refused
    """

    def __init__(self, wire_class: str, ref: str, detail: str = "") -> None:
        super().__init__(detail or f"refused by Waybill: {wire_class}, ref {ref}")
        self.wire_class = wire_class
        self.ref = ref


class Denied(WaybillError):
    """The sidecar did not open the delegation: the ask is above what this agent may hand out."""


class NotFound(WaybillError):
    """No such delegation or acceptance here."""


class WireError(ValueError):
    """Bytes from the socket that are not what the protocol allows."""
