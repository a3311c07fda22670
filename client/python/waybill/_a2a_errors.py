# SPDX-License-Identifier: Apache-2.0
"""A refusal in the form of TOKENS.md section 15, on every transport that a2a-sdk serves.

    JSON-RPC   error {code -32600, message "refused by Waybill", data [ErrorInfo]}
    HTTP+JSON  401 UNAUTHENTICATED and the like, details [ErrorInfo], WWW-Authenticate: Waybill
    gRPC       google.rpc.Status of the same status name, details [ErrorInfo]
    ErrorInfo  reason WAYBILL_<CLASS>, domain w3id.org/waybill, metadata {ref}

a2a-sdk 1.x makes errors out of the *exact* class of the exception, by tables (which may be added
to) and by `build_error_details`, which writes its own domain into every ErrorInfo and has no hook.
So there is one exception class per wire class, entered in the tables, and `build_error_details` is
wrapped where the SDK looks it up: for our classes it answers our details, for all else it is the
SDK's. HTTP's challenge header needs the same at `_create_error_response`, and gRPC, whose handlers
build their status in `abort_context`, the same there.

The tables are also read backwards, code to class, when the SDK's client transports are imported; so
those are imported before ours is entered, or a client would make our class of every -32600.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from collections.abc import Callable
from typing import Any

from a2a.server.jsonrpc_models import JSONRPCError
from a2a.server.request_handlers import response_helpers
from a2a.utils import error_handlers
from a2a.utils.errors import (
    A2A_ERROR_MAPPING,
    JSON_RPC_ERROR_CODE_MAP,
    ErrorMapping,
    InvalidRequestError,
)

from waybill.errors import Refused

MESSAGE = "refused by Waybill"
DOMAIN = "w3id.org/waybill"
CODE = -32600
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

_HTTP = {
    "malformed": (400, "INVALID_ARGUMENT"),
    "stale": (401, "UNAUTHENTICATED"),
    "unauthenticated": (401, "UNAUTHENTICATED"),
    "replayed": (409, "ALREADY_EXISTS"),
    "refused": (403, "PERMISSION_DENIED"),
}


class RefusedByWaybill(InvalidRequestError):
    """What a server raises for a refused message; the peer learns its class and `ref`."""

    wire_class = "refused"

    def __init__(self, ref: str) -> None:
        super().__init__(MESSAGE)
        self.ref = ref
        self.details = [
            {
                "@type": _ERROR_INFO,
                "reason": f"WAYBILL_{self.wire_class.upper()}",
                "domain": DOMAIN,
                "metadata": {"ref": ref},
            }
        ]
        self.data: Any = self.details  # as the SDK's 0.3 endpoint writes it


_CLASSES: dict[str, type[RefusedByWaybill]] = {
    name: type(f"{name.capitalize()}ByWaybill", (RefusedByWaybill,), {"wire_class": name})
    for name in _HTTP
}


def refusal(refused: Refused) -> RefusedByWaybill:
    """The exception for the SDK."""
    install()
    return _CLASSES.get(refused.wire_class, _CLASSES["refused"])(refused.ref)


def _details(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(original)
    def build_error_details(error: Any) -> Any:
        return error.details if isinstance(error, RefusedByWaybill) else original(error)

    return build_error_details


def _challenge(original: Callable[[Exception], Any]) -> Callable[[Exception], Any]:
    @functools.wraps(original)
    def create_error_response(error: Exception) -> Any:
        response = original(error)
        if isinstance(error, RefusedByWaybill) and response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Waybill"
        return response

    return create_error_response


def _abort(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def abort_context(self: Any, error: Any, context: Any) -> None:
        if not isinstance(error, RefusedByWaybill):
            await original(self, error, context)
            return
        status = _grpc_status(error)
        context.set_trailing_metadata(
            (*(context.trailing_metadata() or ()), *status.trailing_metadata)
        )
        await context.abort(status.code, status.details)

    return abort_context


def _grpc_status(error: RefusedByWaybill) -> Any:
    from a2a.utils.grpc_status import status_to_grpc
    from google.protobuf import any_pb2
    from google.rpc import code_pb2, error_details_pb2, status_pb2

    said = error.details[0]
    info, packed = error_details_pb2.ErrorInfo(), any_pb2.Any()
    info.reason, info.domain = said["reason"], said["domain"]
    info.metadata.update(said["metadata"])
    packed.Pack(info)
    code = code_pb2.Code.Value(_HTTP[error.wire_class][1])
    return status_to_grpc(status_pb2.Status(code=code, message=MESSAGE, details=[packed]))


def _install_grpc() -> None:
    """Where grpcio is there; both handlers, of 1.0 and of 0.3."""
    for module, name in (
        ("a2a.server.request_handlers.grpc_handler", "GrpcHandler"),
        ("a2a.compat.v0_3.grpc_handler", "CompatGrpcHandler"),
    ):
        with contextlib.suppress(ImportError, AttributeError):
            handler: Any = getattr(importlib.import_module(module), name)
            handler.abort_context = _abort(handler.abort_context)


@functools.cache
def install() -> None:
    """Teach the SDK our errors; once."""
    for module in ("a2a.client.transports.jsonrpc", "a2a.compat.v0_3.jsonrpc_transport"):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    for name, cls in _CLASSES.items():
        http_code, status = _HTTP[name]
        JSON_RPC_ERROR_CODE_MAP[cls] = CODE
        response_helpers.EXCEPTION_MAP[cls] = JSONRPCError
        A2A_ERROR_MAPPING[cls] = ErrorMapping(http_code, status, f"WAYBILL_{name.upper()}")
    places: tuple[Any, ...] = (error_handlers, response_helpers)
    for place in places:
        place.build_error_details = _details(place.build_error_details)
    http_errors: Any = error_handlers
    if hasattr(http_errors, "_create_error_response"):
        http_errors._create_error_response = _challenge(http_errors._create_error_response)
    _install_grpc()
