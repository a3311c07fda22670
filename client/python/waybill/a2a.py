# SPDX-License-Identifier: Apache-2.0
"""Waybill for agents on a2a-sdk 1.x, in two lines.

    client = waybill.a2a.traced(client)      # the calling side
    handler = waybill.a2a.guarded(handler)   # the called side

How and why: waybill/_a2a_client.py, waybill/_a2a_server.py. Needs the extra `a2a`.
"""

from __future__ import annotations

from a2a.client.client import Client
from a2a.server.request_handlers.request_handler import RequestHandler

from waybill._a2a_client import TracedClient
from waybill._a2a_errors import RefusedByWaybill
from waybill._a2a_message import extension
from waybill._a2a_server import GuardedHandler
from waybill.client import Waybill, default
from waybill.model import EXTENSION_URI

__all__ = [
    "EXTENSION_URI",
    "GuardedHandler",
    "RefusedByWaybill",
    "TracedClient",
    "extension",
    "guarded",
    "traced",
]


def traced(client: Client, waybill: Waybill | None = None) -> TracedClient:
    """`client`, with every message that it sends a signed and settled delegation.

    waybill  default: waybill.default()"""
    return TracedClient(client, waybill or default())


def guarded(handler: RequestHandler, waybill: Waybill | None = None) -> GuardedHandler:
    """`handler`, with every message that it takes verified first and finished before its answer
    leaves. Serve the result only. The handler's `agent_executor` is wrapped in place.

    waybill  default: waybill.default()"""
    return GuardedHandler(handler, waybill or default())
