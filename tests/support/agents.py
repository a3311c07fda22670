# SPDX-License-Identifier: Apache-2.0
"""Sidecars that know each other, and requests to them by hand.

`company(["a", "b"])` starts one real sidecar per name, with the agent id spiffe://example.org/NAME,
an own origin http://127.0.0.1:9NNN, every other one as a peer, and every other one's key trusted.
`Asker` sends single requests of the wire protocol and returns the Reply as it is: for tests that
want to say what a well-behaved client never would."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import pathlib
from typing import Any, Iterator, Sequence

from waybill_testkit import Sidecar

from nacl.signing import SigningKey
from waybill import _wire
from waybill._connection import Connection
from waybill._wire import Reply, Request

DOMAIN = "spiffe://example.org"


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def agent_id(name: str) -> str:
    return f"{DOMAIN}/{name}"


def origin(names: Sequence[str], name: str) -> str:
    return f"http://127.0.0.1:{9000 + list(names).index(name)}"


def jwk(public: bytes) -> dict[str, str]:
    x = b64url(public)
    canonical = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    kid = b64url(hashlib.sha256(canonical.encode()).digest())
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "waybill"}


def public_key(sidecar: Sidecar) -> bytes:
    """Of the key that the sidecar made at its first start."""
    line = (sidecar.state_dir / "keys" / "current.key").read_text().strip()
    return bytes(SigningKey(unb64url(line.split(":")[2])).verify_key)


def trust(sidecar: Sidecar, issuer: str, public: bytes) -> pathlib.Path:
    """Lay down a trust file before the sidecar starts."""
    folder = sidecar.state_dir / "trust.d"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = b64url(hashlib.sha256(issuer.encode()).digest()) + ".json"
    path = folder / name
    path.write_text(json.dumps({"wb_iss": issuer, "spiffe_sequence": 1, "keys": [jwk(public)]}))
    return path


def config_of(names: Sequence[str], name: str, extra: str = "") -> str:
    lines = [f"self_ids: [{agent_id(name)}]", "admin: {listen: 127.0.0.1:0}"]
    others = [other for other in names if other != name]
    if others:
        lines.append("peers:")
    for other in others:
        lines.append(f"  - {{id: {agent_id(other)}, origins: ['{origin(names, other)}']}}")
    return "\n".join(lines) + "\n" + extra


@contextlib.contextmanager
def company(names: Sequence[str], extra: str = "") -> Iterator[dict[str, Sidecar]]:
    """Sidecars by name, all running, all trusting each other, sharing the first one's store."""
    with contextlib.ExitStack() as stack:
        made: dict[str, Sidecar] = {}
        for name in names:
            data = made[names[0]].data_home if made else None
            sidecar = Sidecar(name, config=config_of(names, name, extra), data_home=data)
            stack.callback(sidecar.close)
            made[name] = sidecar.start()
            sidecar.stop()
        for sidecar in made.values():
            for other in names:
                if other != sidecar.name:
                    trust(sidecar, agent_id(other), public_key(made[other]))
            sidecar.start()
        yield made


class Asker:
    """One connection; `ask(accept=Accept(...))` waits for the Reply."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._connection = Connection(str(sidecar.socket))

    def ask(self, *, timeout_s: float = 5.0, id: bytes | None = None, **body: Any) -> Reply:
        return self.post(timeout_s=timeout_s, id=id, **body).result(timeout_s + 1)

    def post(self, *, timeout_s: float = 5.0, id: bytes | None = None, **body: Any) -> Any:
        request = Request(id=id or os.urandom(16), protocol=1, **body)
        return self._connection.submit(request, timeout_s)

    def close(self) -> None:
        self._connection.close()


def a_delegate(url: str, **more: Any) -> _wire.Delegate:
    """A complete Delegate for a message that has text in it."""
    fields: dict[str, Any] = {
        "delegation_id": os.urandom(16),
        "target_url": url + "/rpc",
        "method": "SendMessage",
        "message_id": "msg-" + os.urandom(4).hex(),
        "body_digest": os.urandom(32),
        "salt": os.urandom(16),
    }
    return _wire.Delegate(**{**fields, **more})


def an_accept(delegate: _wire.Delegate, carrier: str, **more: Any) -> _wire.Accept:
    """The Accept of the same message at the other side."""
    fields: dict[str, Any] = {
        "acceptance_id": os.urandom(16),
        "carrier": carrier,
        "method": delegate.method,
        "message_id": delegate.message_id,
        "context_id": delegate.context_id,
        "task_id": delegate.task_id,
        "body_digest": delegate.body_digest,
    }
    return _wire.Accept(**{**fields, **more})
