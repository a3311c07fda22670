# SPDX-License-Identifier: Apache-2.0
"""The carrier in an A2A message (TOKENS.md section 2), for a2a-sdk's protobuf messages.

`metadata[EXTENSION_URI]` of the message holds it. Metadata is a protobuf Struct, so numbers are
doubles here; the JSON text for the sidecar is made in RFC 8785 form, where a `v` of 1.0 reads `1`
again. What is there is passed on whatever it is: the sidecar judges, this code only carries.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import re
from typing import Any

from a2a.extensions.common import find_extension_by_uri
from a2a.types.a2a_pb2 import AgentCard, AgentExtension, Message, TaskState

from waybill import digest
from waybill.model import EXTENSION_URI, Target

MAX_CARRIER = 64 << 10  # more than any chain; what is above is malformed, and need not be sent on

_B64URL_16 = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclasses.dataclass(frozen=True)
class Carrier:
    """text  JSON for the sidecar; "": none came
    salt  of the body digest; None if there is no good one"""

    text: str
    salt: bytes | None


def state_name(state: int) -> str:
    """TASK_STATE_*; "" for unspecified and for states that this SDK does not know."""
    try:
        name = TaskState.Name(state)
    except ValueError:
        return ""
    return "" if name == "TASK_STATE_UNSPECIFIED" else name


def put_carrier(message: Message, text: str) -> None:
    """Put what the sidecar answered into an outgoing message, and name the extension."""
    message.metadata.update({EXTENSION_URI: json.loads(text)})
    if EXTENSION_URI not in message.extensions:
        message.extensions.append(EXTENSION_URI)


def take_carrier(message: Message) -> Carrier:
    """Remove the carrier from an arrived message, lest it land in the task's history."""
    fields = message.metadata.fields
    if not message.HasField("metadata") or EXTENSION_URI not in fields:
        return Carrier("", None)
    value = digest.struct_value(fields[EXTENSION_URI])
    del fields[EXTENSION_URI]
    if not fields:
        message.ClearField("metadata")
    try:
        text = digest.canonical(value)[:MAX_CARRIER]
    except digest.DigestError:
        text = "NaN"  # no JSON, as what came
    return Carrier(text, _salt(value))


def _salt(carrier: Any) -> bytes | None:
    text = carrier.get("salt") if isinstance(carrier, dict) else None
    if not isinstance(text, str) or not _B64URL_16.fullmatch(text):
        return None
    try:
        return base64.urlsafe_b64decode(text + "==")
    except binascii.Error:
        return None


def body_digest(message: Message, salt: bytes | None) -> bytes:
    """The message's digest; b"" if it has none."""
    if salt is None:
        return b""
    try:
        return digest.body_digest(salt, message.parts)
    except digest.DigestError:
        return b""


def extension(agent_id: str = "") -> AgentExtension:
    """What a card's `capabilities.extensions` says of an agent that takes tokens. `agent_id`: its
    own id; peers use it if it is an https id of the card's origin, else they need it configured."""
    made = AgentExtension(
        uri=EXTENSION_URI, description="Waybill: signed delegations", required=False
    )
    if agent_id:
        made.params.update({"agent_id": agent_id})
    return made


def target_of(card: AgentCard, url: str) -> Target:
    """Whom a message goes to, from the card and the interface's URL in use."""
    declared = find_extension_by_uri(card, EXTENSION_URI)
    agent_id = ""
    if declared is not None and "agent_id" in declared.params.fields:
        agent_id = declared.params.fields["agent_id"].string_value
    if not url and card.supported_interfaces:
        url = card.supported_interfaces[0].url
    return Target(url=url, agent_id=agent_id, declares=declared is not None, name=card.name)
