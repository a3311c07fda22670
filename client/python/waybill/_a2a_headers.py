# SPDX-License-Identifier: Apache-2.0
"""A request's headers as they came, on every transport that a2a-sdk serves.

Two traceparent headers are none, and two tracestates are one list, so it matters that there were two.
a2a-sdk 1.x keeps HTTP's headers in `ServerCallContext.state["headers"]` as a dict, in which the first
of a name stands for all. So its builder of that context is wrapped, and puts the pairs beside it. A
builder of the agent's own that does not call the SDK's leaves only the dict to us. gRPC's metadata are
pairs.
"""

from __future__ import annotations

import functools
from typing import Any

from a2a.server.context import ServerCallContext
from a2a.server.routes.common import DefaultServerCallContextBuilder

STATE_KEY = "waybill.headers"


def of(context: ServerCallContext) -> list[tuple[str, str]]:
    """Names and values of the request that `context` stands for."""
    grpc_context = context.state.get("grpc_context")
    found: Any = context.state.get(STATE_KEY)
    if found is None and grpc_context is not None:
        found = grpc_context.invocation_metadata() or ()
    if found is None:
        found = (context.state.get("headers") or {}).items()
    return [(str(name), value) for name, value in found if isinstance(value, str)]


@functools.cache
def install() -> None:
    """Have the SDK keep the pairs; once."""
    build = DefaultServerCallContextBuilder.build

    @functools.wraps(build)
    def kept(self: DefaultServerCallContextBuilder, request: Any) -> ServerCallContext:
        context = build(self, request)
        context.state[STATE_KEY] = request.headers.items()
        return context

    DefaultServerCallContextBuilder.build = kept  # type: ignore[method-assign]
