# SPDX-License-Identifier: Apache-2.0
"""Waybill's client: spans, signed delegations and verified acceptances through the local sidecar.

    import waybill

    wb = waybill.Waybill()                      # or waybill.default(), shared by the process
    with wb.span("search", type="tool_call", attributes={"query.length": 12}):
        ...

For agents on a2a-sdk two lines do the rest (waybill.a2a); for OpenTelemetry see waybill.otel.
"""

from __future__ import annotations

from waybill._context import SpanContext, current_acceptance, current_span, in_context
from waybill._endings import Finishing, Settling
from waybill._version import VERSION as __version__
from waybill.client import Waybill, default, default_socket
from waybill.errors import Denied, NotFound, Refused, Unavailable, WaybillError
from waybill.model import (
    EXTENSION_URI,
    Acceptance,
    Delegation,
    Limits,
    SidecarInfo,
    Stats,
    Target,
    Verdict,
)
from waybill.spans import Span

__all__ = [
    "Acceptance",
    "Delegation",
    "Denied",
    "EXTENSION_URI",
    "Finishing",
    "Limits",
    "NotFound",
    "Refused",
    "Settling",
    "SidecarInfo",
    "Span",
    "SpanContext",
    "Stats",
    "Target",
    "Unavailable",
    "Verdict",
    "Waybill",
    "WaybillError",
    "__version__",
    "current_acceptance",
    "current_span",
    "default",
    "default_socket",
    "in_context",
]
