# SPDX-License-Identifier: Apache-2.0
"""A request's headers and sender as they came, on every transport that a2a-sdk serves.

Two traceparent headers are none, and two tracestates are one list, so it matters that there were
two. a2a-sdk 1.x keeps HTTP's headers in `ServerCallContext.state["headers"]` as a dict, in which
the first of a name stands for all. So its builder of that context is wrapped, and puts the pairs
beside it. A builder of the agent's own that does not call the SDK's leaves only the dict to us.
gRPC's metadata are pairs.

The sender is who the transport authenticated, else its address: limits that the sidecar keeps per
peer (TOKENS.md section 8, step 11) need to tell strangers apart. The port is left out of it, as the
next connection has another.
"""

from __future__ import annotations

import functools
import re
import urllib.parse
from typing import Any

from a2a.server.context import ServerCallContext
from a2a.server.routes.common import DefaultServerCallContextBuilder

HEADERS_KEY = "waybill.headers"
ADDRESS_KEY = "waybill.address"

_GRPC_PEER = re.compile(r"ipv[46]:(.+):\d+")


def headers_of(context: ServerCallContext) -> list[tuple[str, str]]:
    """Names and values of the request that `context` stands for."""
    grpc_context = context.state.get("grpc_context")
    found: Any = context.state.get(HEADERS_KEY)
    if found is None and grpc_context is not None:
        found = grpc_context.invocation_metadata() or ()
    if found is None:
        found = (context.state.get("headers") or {}).items()
    return [(str(name), value) for name, value in found if isinstance(value, str)]


def peer_of(context: ServerCallContext) -> str:
    """Who sent the request; "": a Unix socket, or a transport that does not say."""
    if context.user.is_authenticated:
        return context.user.user_name
    grpc_context = context.state.get("grpc_context")
    if grpc_context is None:
        return str(context.state.get(ADDRESS_KEY, ""))
    found = _GRPC_PEER.fullmatch(urllib.parse.unquote(grpc_context.peer() or ""))
    return found[1].strip("[]") if found else ""


@functools.cache
def install() -> None:
    """Have the SDK keep them; once."""
    build = DefaultServerCallContextBuilder.build

    @functools.wraps(build)
    def kept(self: DefaultServerCallContextBuilder, request: Any) -> ServerCallContext:
        context = build(self, request)
        context.state[HEADERS_KEY] = request.headers.items()
        context.state[ADDRESS_KEY] = request.client.host if request.client else ""
        return context

    DefaultServerCallContextBuilder.build = kept  # type: ignore[method-assign]
