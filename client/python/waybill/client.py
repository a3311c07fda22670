# SPDX-License-Identifier: Apache-2.0
"""The client: one object per process and sidecar, for plain code and asyncio alike.

Each call comes twice, `delegate` and `adelegate`, `accept` and `aaccept` and so on: the same
request on the same connection, once waited for by the thread and once by the task. In a coroutine
use the second kind; the first would hold the event loop. `observe_soon`, `settle_soon` and
`finish_soon` do not wait.

How long a call may take, and what it does without a sidecar (DESIGN.md section 3):

    span                     never waits; bounded buffer, drops are counted
    delegate, accept         1 s; then for 5 s they fail at once (the breaker), so that a dead
                             sidecar costs an agent one second and not one for each call
        on_unavailable=unsigned   go on: a delegation without token in plain W3C context, an
                                  acceptance with nothing verified; counted, and marked on a span
        on_unavailable=fail       raise Unavailable
    observe, settle, finish  told to the sidecar as soon as it is there, for up to 10 minutes; the
                             call waits 1 s for that (finish 3 s, as the sidecar waits for open
                             spans), and not at all while the breaker is open

`on_unavailable` is the caller's, else what the sidecar said at the last connection, else
`WAYBILL_DELEGATE_ON_UNAVAILABLE`, else unsigned. A sidecar that was in trust mode `enforce` when it
was last seen makes `accept` fail in any case: no valid token, no entry, also while it restarts.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from waybill import _context, _otlp, _traced, _wire, spans
from waybill._calls import Call, awaiting, blocking, check, posting
from waybill._connection import Connection
from waybill._context import Headers, SpanContext
from waybill._endings import Finishing, Settling, Verb
from waybill._recorder import Recorder
from waybill._version import VERSION
from waybill._wire import Reply, Request, Status, Verdict
from waybill.digest import DIGEST_LEN, SALT_LEN
from waybill.errors import Refused, Unavailable, WaybillError
from waybill.model import Acceptance, Delegation, Limits, SidecarInfo, Stats, Target
from waybill.spans import Span

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

CALL_S = 1.0
BREAKER_S = 5.0
TELL_S = 600.0
FINISH_WAIT_S = 3.0
EXIT_S = 2.0

_ON_UNAVAILABLE = ("unsigned", "fail")
_ON_DUPLICATE = ("refuse", "pass")
_RESTING = "the sidecar was away a moment ago"


def default_name() -> str:
    """The instance that an agent belongs to when nothing else is said."""
    env = os.environ
    return env.get("WAYBILL_NAME") or env.get("OTEL_SERVICE_NAME") or "default"


def default_socket(name: str | None = None) -> str:
    """Where the sidecar `name` listens: WAYBILL_SOCKET, else ipc.sock in its run folder."""
    env = os.environ
    if name is None and env.get("WAYBILL_SOCKET"):
        return env["WAYBILL_SOCKET"]
    runtime = env.get("XDG_RUNTIME_DIR") or "/run"
    return os.path.join(runtime, "waybill", name or default_name(), "ipc.sock")


class Waybill:
    """socket          path of the sidecar's socket; default `default_socket(name)`
    name            the agent's name, for people and as service.name of its spans
    on_unavailable  "unsigned" or "fail"; default: as the head of this module says
    on_duplicate    what `accept` does with a message that was accepted before: "refuse" (the
                    default) raises Refused, "pass" lets it through with verdict DUPLICATE; default:
                    WAYBILL_ON_DUPLICATE

    Thread-safe; may be shared by threads, tasks, and across fork."""

    info: SidecarInfo | None
    """What the sidecar said at the last connection; None before the first."""

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        name: str | None = None,
        *,
        on_unavailable: str | None = None,
        on_duplicate: str | None = None,
    ) -> None:
        if on_unavailable is not None and on_unavailable not in _ON_UNAVAILABLE:
            raise ValueError(f"on_unavailable is one of {', '.join(_ON_UNAVAILABLE)}")
        if on_duplicate is not None and on_duplicate not in _ON_DUPLICATE:
            raise ValueError(f"on_duplicate is one of {', '.join(_ON_DUPLICATE)}")
        self.name = name or default_name()
        self.socket = os.fspath(socket) if socket is not None else default_socket(name)
        self.info: SidecarInfo | None = None
        self._on_unavailable = on_unavailable
        self._on_duplicate = on_duplicate or os.environ.get("WAYBILL_ON_DUPLICATE", "")
        self._breaker_until = 0.0
        self._lock = threading.Lock()
        self._unsigned = self._unverified = self._unconfirmed = 0
        self._scope = _otlp.scope("waybill", VERSION)
        self._resource: tuple[int, bytes] = (0, b"")
        self._connection = Connection(self.socket, self._hello, self._greeted, _close_at_exit)
        self._recorder = Recorder(self._connection.submit, self._connection.start)
        _context.find_bridge()
        _clients.add(self)

    # -- connection ------------------------------------------------------------------------------

    def _hello(self) -> Request:
        hello = _wire.Hello(
            client=f"waybill-python/{VERSION}", pid=os.getpid(), agent_name=self.name
        )
        return _request(hello=hello)

    def _greeted(self, reply: Reply) -> None:
        said = reply.hello
        if reply.status != Status.OK or said is None:
            return
        self.info = SidecarInfo(
            version=said.version,
            agent_id=said.agent_id,
            name=said.name,
            extension_uri=said.extension_uri,
            trust_mode=said.trust_mode,
            on_unavailable=said.on_unavailable,
            max_message_bytes=said.max_message_bytes,
        )
        if said.max_message_bytes:
            room = max(4096, said.max_message_bytes - 4096)
            self._recorder.batch_bytes = min(self._recorder.batch_bytes, room)
        self._breaker_until = 0.0

    def _ask(self, request: Request) -> Future[Reply]:
        """A call that the agent waits for: bounded; refused at once while the breaker is open."""
        if self._breaker_open:
            refused: Future[Reply] = Future()
            refused.set_exception(Unavailable(_RESTING))
            return refused
        return self._connection.submit(request, CALL_S)

    def _tell(
        self,
        about: Delegation | Acceptance | bytes,
        request: Request,
        wait_s: float,
        result: Callable[[Reply | None], T],
    ) -> Call[T]:
        """Something that the sidecar must learn, now or when it is back; `result` makes what the
        call returns of the reply, or of None. What only we know of there is no word about."""
        if not isinstance(about, bytes) and about.silent:
            return Call(None, lambda _: result(None))

        def answered(reply: Reply | Unavailable) -> T:
            if isinstance(reply, Unavailable):
                with self._lock:
                    self._unconfirmed += 1
                if not self._connection.connected:
                    self._open_breaker()
                return result(None)
            check(reply)
            return result(reply)

        future = self._connection.submit(request, TELL_S)
        return Call(future, answered, 0.0 if self._breaker_open else wait_s)

    @property
    def _breaker_open(self) -> bool:
        return time.monotonic() < self._breaker_until

    def _open_breaker(self) -> None:
        if not self._breaker_open:
            self._breaker_until = time.monotonic() + BREAKER_S

    def _go_on(self, why: Unavailable, accepting: bool = False) -> None:
        """Raise `why` unless the agent is to go on without its sidecar."""
        self._open_breaker()
        enforced = accepting and self.info is not None and self.info.trust_mode == "enforce"
        if self.on_unavailable == "fail" or enforced:
            raise why

    @property
    def on_unavailable(self) -> str:
        """What delegate and accept do without a sidecar: "unsigned" or "fail"."""
        said = self.info.on_unavailable if self.info else ""
        env = os.environ.get("WAYBILL_DELEGATE_ON_UNAVAILABLE", "")
        found = self._on_unavailable or said or env
        return found if found in _ON_UNAVAILABLE else _ON_UNAVAILABLE[0]

    # -- spans -----------------------------------------------------------------------------------

    def span(
        self,
        name: str,
        *,
        type: str | None = None,
        kind: str = "internal",
        attributes: Mapping[str, Any] | None = None,
        links: tuple[SpanContext, ...] = (),
    ) -> Span:
        """`with wb.span("search", type="tool_call") as span:`; see waybill.spans. type: one of
        waybill.spans.TYPES; kind: internal server client producer consumer."""
        return Span(
            self.record_encoded, name, type=type, kind=kind, attributes=attributes, links=links
        )

    def traced(
        self,
        name: str | None = None,
        *,
        type: str | None = None,
        kind: str = "internal",
        attributes: Mapping[str, Any] | None = None,
        arguments: Iterable[str] = (),
    ) -> Callable[[F], F]:
        """`@wb.traced(type="tool_call")`: each call of the function is a span. Of a coroutine it
        lasts until it returns; of a generator, also an asynchronous one, from the first step to the
        last, and what its consumer does in between is not inside.

        name        default: the function's, with its class's before it
        arguments   parameters whose values become attributes of the same names; none by default,
                    since they may be anybody's secrets. What is no string, number, bool, bytes or
                    None is written as its text at the time of the call"""
        spans.check(type, kind)
        fixed = dict(attributes or {})
        return _traced.decorator(
            lambda called, read: self.span(
                called, type=type, kind=kind, attributes={**fixed, **read}
            ),
            name,
            arguments,
        )

    def record_encoded(
        self, span: bytes, scope: bytes | None = None, resource: bytes | None = None
    ) -> bool:
        """Buffer one span that is encoded already (waybill.otel does). False: it was dropped."""
        return self._recorder.add(
            self._resource_field() if resource is None else resource,
            self._scope if scope is None else scope,
            span,
        )

    def _resource_field(self) -> bytes:
        pid, field = self._resource
        if pid != os.getpid():
            pid = os.getpid()
            field = _otlp.resource(
                {
                    "service.name": self.name,
                    "process.pid": pid,
                    "telemetry.sdk.language": "python",
                    "telemetry.sdk.name": "waybill",
                    "telemetry.sdk.version": VERSION,
                }
            )
            self._resource = (pid, field)
        return field

    def flush(self, timeout_s: float = EXIT_S) -> bool:
        """Wait until the sidecar has acknowledged every span ended so far; false at the timeout."""
        return self._recorder.flush(timeout_s)

    async def aflush(self, timeout_s: float = EXIT_S) -> bool:
        """The form of `flush` for coroutines."""
        return await asyncio.to_thread(self._recorder.flush, timeout_s)

    # -- delegate, observe, settle: the calling side ---------------------------------------------

    def _delegate(
        self,
        target: Target,
        *,
        method: str,
        message_id: str,
        body_digest: bytes = b"",
        salt: bytes = b"",
        context_id: str = "",
        task_id: str = "",
        ask: Limits | None = None,
        deadline_s: int = 0,
        delegation_id: bytes | None = None,
        turn_of: Delegation | bytes | None = None,
        parent: Acceptance | None = None,
        baggage: str | None = None,
    ) -> Call[Delegation]:
        """Open a delegation before its message is sent.

        method         SendMessage or SendStreamingMessage
        body_digest    waybill.digest.body_digest(salt, parts); both empty: a delegation that is
                       traced, without token
        ask            limits; None: the sidecar's default
        delegation_id  16 bytes; the same id is the same message, asked for again
        turn_of        the open delegation whose task `task_id` is; without it the sidecar looks for
                       one by target and task. What is returned then has that delegation's id
        parent         default: the acceptance that the running code works on
        baggage        W3C baggage header that would go along, if the sidecar lets it; default: what
                       came with the acceptance, or OpenTelemetry's

        Raises Denied, or Unavailable if on_unavailable is "fail"."""
        if len(body_digest) not in (0, DIGEST_LEN) or len(salt) not in (0, SALT_LEN):
            raise ValueError("a body digest has 32 bytes and a salt 16")
        parent = parent or _context.current_acceptance()
        where = _context.current_span() or (parent.context if parent else _context.process_parent())
        along = _context.current_baggage(parent) if baggage is None else baggage
        asked = _wire.Delegate(
            delegation_id=delegation_id or _context.new_id(16),
            parent_acceptance=parent.id if parent and not parent.silent else b"",
            trace_id=where.trace_id if where else b"",
            parent_span_id=where.span_id if where else b"",
            trace_claimed=bool(where and (where.remote or where.claimed)),
            turn_of=_id_of(turn_of) if turn_of is not None else b"",
            trace_flags=where.flags if where else _context.TRACE_FLAGS_NEW,
            target_url=target.url,
            target_agent_id=target.agent_id,
            target_declares=target.declares,
            target_name=target.name,
            method=method,
            message_id=message_id,
            context_id=context_id,
            task_id=task_id,
            body_digest=body_digest,
            salt=salt,
            ask=ask,
            deadline_s=deadline_s,
            tracestate=where.tracestate if where else "",
            baggage=[along] if along else [],
        )

        def answered(reply: Reply | Unavailable) -> Delegation:
            if isinstance(reply, Unavailable):
                return self._undelegated(asked, target, where, reply)
            return _delegated(asked, target, reply)

        return Call(
            self._ask(_request(delegate=asked)),
            answered,
            abandoned=lambda: self.settle_soon(asked.delegation_id, "canceled"),
        )

    delegate = blocking(_delegate)
    adelegate = awaiting(_delegate)

    def _undelegated(
        self, asked: _wire.Delegate, target: Target, where: SpanContext | None, why: Unavailable
    ) -> Delegation:
        """Go on in plain W3C context, without baggage: nobody is there to say what may pass. A
        sidecar that was only slow may have opened the delegation all the same; nobody else will
        close it."""
        if str(why) != _RESTING:
            self.settle_soon(asked.delegation_id, "canceled", error_type="client.timeout")
        self._go_on(why)
        with self._lock:
            self._unsigned += 1
        trace_id = where.trace_id if where else _context.new_id(16)
        context = SpanContext(trace_id, _context.new_span_id(), asked.trace_flags, asked.tracestate)
        self._mark(
            asked.method,
            "client",
            "delegation",
            {"waybill.delegation.id": asked.delegation_id.hex()},
            context=context,
            parent=where,
        )
        return Delegation(
            id=asked.delegation_id,
            carrier="",
            context=context,
            method=asked.method,
            target=target,
            unsigned_reason="unavailable",
            local=True,
        )

    def _mark(
        self, name: str, kind: str, type: str, attributes: dict[str, Any], **more: Any
    ) -> None:
        """One span that says: from here the agent went on without its sidecar."""
        attributes["waybill.token.error"] = "unavailable"
        Span(self.record_encoded, name, kind=kind, type=type, attributes=attributes, **more).end()

    def _observe(
        self,
        delegation: Delegation | bytes,
        *,
        task_state: str = "",
        task_id: str = "",
        context_id: str = "",
        event: str = "",
    ) -> Call[str]:
        """Say what the caller saw of the remote task.

        task_state  TASK_STATE_*, or empty
        event       stream_broken reattached polled, or empty

        Returns the delegation's state, or "" if no sidecar confirmed in time."""
        said = _wire.Observe(
            delegation_id=_id_of(delegation),
            task_state=task_state,
            task_id=task_id,
            context_id=context_id,
            event=event,
        )
        return self._tell(delegation, _request(observe=said), CALL_S, _state)

    observe = blocking(_observe)
    aobserve = awaiting(_observe)
    observe_soon = posting(_observe)

    def _settle(
        self,
        delegation: Delegation | bytes,
        outcome: str,
        *,
        task_state: str = "",
        error_type: str = "",
        task_id: str = "",
        context_id: str = "",
    ) -> Call[str]:
        """Close a delegation.

        outcome     answered completed failed canceled rejected; a task that goes on is observed
        task_state  the last TASK_STATE_* seen, or empty: answered by a plain Message

        Returns the delegation's state, or "" if no sidecar confirmed in time."""
        said = _wire.Settle(
            delegation_id=_id_of(delegation),
            task_state=task_state,
            outcome=outcome,
            error_type=error_type,
            task_id=task_id,
            context_id=context_id,
        )
        return self._tell(delegation, _request(settle=said), CALL_S, _state)

    settle = blocking(_settle)
    asettle = awaiting(_settle)
    settle_soon = posting(_settle)

    def settling(self, delegation: Delegation) -> Settling:
        """`with wb.settling(delegation) as end:`, or `async with`: send the message inside. Every
        way out of the block settles the delegation; what the block may say: waybill.Settling."""
        return Settling(
            delegation,
            Verb(self.settle, self.asettle, self.settle_soon),
            Verb(self.observe, self.aobserve, self.observe_soon),
        )

    # -- accept, finish: the called side ---------------------------------------------------------

    def _accept(
        self,
        *,
        carrier: str = "",
        headers: Headers = (),
        traceparent: str = "",
        tracestate: str = "",
        method: str,
        message_id: str,
        context_id: str = "",
        task_id: str = "",
        body_digest: bytes = b"",
        peer: str = "",
        acceptance_id: bytes | None = None,
    ) -> Call[Acceptance]:
        """Have an arrived message judged before the agent sees it.

        carrier      JSON text of metadata[EXTENSION_URI]; "": none came
        headers      of the request, as they came: names in any case, repeated ones as pairs. What
                     they claim is for the sidecar to judge; other than W3C's none is looked at
        traceparent, tracestate   the same for who has only these
        body_digest  made with the carrier's salt; b"" if that could not be done
        peer         address or authenticated name of the transport's peer

        Raises Refused if the message must not be worked on, or Unavailable if on_unavailable is
        "fail" or the sidecar enforces."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        parents = [traceparent] if traceparent else []
        parents += _context.header_values(pairs, "traceparent")
        states = [tracestate] if tracestate else []
        states += _context.header_values(pairs, "tracestate")
        asked = _wire.Accept(
            acceptance_id=acceptance_id or _context.new_id(16),
            carrier=carrier,
            traceparent=parents[0] if parents else "",
            tracestate=states[0] if states else "",
            more_traceparents=parents[1:],
            more_tracestates=states[1:],
            baggage=_context.header_values(pairs, "baggage"),
            method=method,
            message_id=message_id,
            context_id=context_id,
            task_id=task_id,
            body_digest=body_digest,
            peer=peer,
        )

        def answered(reply: Reply | Unavailable) -> Acceptance:
            if isinstance(reply, Unavailable):
                return self._unaccepted(asked, reply)
            return _accepted(asked, reply, self._on_duplicate == "pass")

        return Call(
            self._ask(_request(accept=asked)),
            answered,
            abandoned=lambda: self.finish_soon(asked.acceptance_id, "canceled"),
        )

    accept = blocking(_accept)
    aaccept = awaiting(_accept)

    def _unaccepted(self, asked: _wire.Accept, why: Unavailable) -> Acceptance:
        """An own trace with a link to the claimed context: a LINK with nothing verified."""
        if str(why) != _RESTING:  # as in _undelegated
            self.finish_soon(asked.acceptance_id, "canceled", error_type="client.timeout")
        self._go_on(why, accepting=True)
        with self._lock:
            self._unverified += 1
        context = SpanContext(_context.new_id(16), _context.new_span_id())
        alone = not asked.more_traceparents  # two make none
        claimed = SpanContext.parse(asked.traceparent) if alone else None
        self._mark(
            asked.method,
            "server",
            "agent",
            {"waybill.acceptance.id": asked.acceptance_id.hex()},
            context=context,
            links=(claimed,) if claimed else (),
        )
        return Acceptance(
            id=asked.acceptance_id,
            verdict=Verdict.LINK,
            verified=False,
            context=context,
            warnings=("unavailable",),
            local=True,
        )

    def _finish(
        self,
        acceptance: Acceptance | bytes,
        outcome: str,
        *,
        task_state: str = "",
        error_type: str = "",
        task_id: str = "",
    ) -> Call[bool]:
        """Say that the work is done, before the answer leaves.

        outcome     ok error canceled rejected interrupted
        task_state  TASK_STATE_*, or empty for a plain Message

        True once the sidecar has confirmed; False if it will be told later."""
        self._recorder.hurry()
        said = _wire.Finish(
            acceptance_id=_id_of(acceptance),
            task_state=task_state,
            outcome=outcome,
            error_type=error_type,
            task_id=task_id,
        )
        return self._tell(acceptance, _request(finish=said), FINISH_WAIT_S, lambda r: r is not None)

    finish = blocking(_finish)
    afinish = awaiting(_finish)
    finish_soon = posting(_finish)

    def finishing(self, acceptance: Acceptance) -> Finishing:
        """`with wb.finishing(acceptance) as end:`, or `async with`: do the work inside, and answer
        after it. Spans and delegations of the block belong to the acceptance, and every way out of
        the block finishes it; see waybill.Finishing for what the block may say."""
        return Finishing(acceptance, Verb(self.finish, self.afinish, self.finish_soon))

    # -- the rest --------------------------------------------------------------------------------

    def _status(self) -> Call[dict[str, Any]]:
        """The sidecar's own report. Raises Unavailable."""
        request = _request(status=_wire.StatusRequest())
        return Call(self._connection.submit(request, CALL_S), _report)

    status = blocking(_status)
    astatus = awaiting(_status)

    @property
    def stats(self) -> Stats:
        """What became of spans, and what was done without the sidecar; see waybill.Stats."""
        spans = self._recorder.stats
        return Stats(
            spans_recorded=spans.recorded,
            spans_acknowledged=spans.acknowledged,
            spans_rejected=spans.rejected,
            spans_dropped=spans.dropped,
            spans_buffered=self._recorder.buffered,
            unsigned_delegations=self._unsigned,
            unverified_acceptances=self._unverified,
            unconfirmed=self._unconfirmed,
        )

    def close(self, timeout_s: float = EXIT_S) -> None:
        """Deliver what waits, at most for `timeout_s`, and end. At exit this is done by itself."""
        deadline = time.monotonic() + timeout_s
        self._recorder.flush(timeout_s)
        while not self._connection.idle and time.monotonic() < deadline:
            time.sleep(0.005)
        self._recorder.close()
        self._connection.close()

    def __enter__(self) -> Waybill:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def _request(**body: Any) -> Request:
    return Request(id=_context.new_id(16), protocol=_wire.PROTOCOL, **body)


def _id_of(thing: Delegation | Acceptance | bytes) -> bytes:
    found = thing if isinstance(thing, bytes) else thing.id
    if len(found) != 16:
        raise ValueError("an id has 16 bytes")
    return found


def _verdict(number: int) -> Verdict:
    try:
        return Verdict(number)
    except ValueError:
        return Verdict.UNSPECIFIED


def _delegated(asked: _wire.Delegate, target: Target, reply: Reply) -> Delegation:
    check(reply)
    made = reply.delegate
    if made is None or len(made.trace_id) != 16 or len(made.span_id) != 8:
        raise WaybillError("the sidecar's answer to Delegate lacks its body")
    sent = SpanContext.parse(made.traceparent)
    flags = sent.flags if sent else asked.trace_flags
    return Delegation(
        id=made.delegation_id or asked.delegation_id,
        carrier=made.carrier,
        context=SpanContext(made.trace_id, made.span_id, flags, made.tracestate),
        method=asked.method,
        target=target,
        unsigned_reason=made.unsigned_reason,
        deadline_s=made.deadline_s,
        baggage=made.baggage,
        turn=made.turn or 1,
        granted=made.granted,
    )


def _accepted(asked: _wire.Accept, reply: Reply, duplicates_pass: bool) -> Acceptance:
    # In trust mode `observe` a reply may tell a class and ref, and let the message pass.
    said = reply.accept
    again = said is not None and said.verdict == Verdict.DUPLICATE and len(said.trace_id) == 16
    if not (again and duplicates_pass):
        check(reply)
    if said is None or len(said.trace_id) != 16 or len(said.span_id) != 8:
        raise WaybillError("the sidecar's answer to Accept lacks its body")
    if not said.pass_ and not again:
        raise Refused(reply.wire_class or "refused", reply.ref)
    sent = SpanContext.parse(said.traceparent)
    flags = sent.flags if sent else _context.TRACE_FLAGS_NEW
    return Acceptance(
        id=said.acceptance_id or asked.acceptance_id,
        verdict=_verdict(said.verdict),
        verified=said.verified,
        context=SpanContext(said.trace_id, said.span_id, flags, said.tracestate),
        issuer=said.issuer,
        warnings=tuple(said.warnings),
        baggage=said.baggage,
    )


def _state(reply: Reply | None) -> str:
    said = (reply.observe or reply.settle) if reply else None
    return said.state if said else ""


def _report(reply: Reply | Unavailable) -> dict[str, Any]:
    if isinstance(reply, Unavailable):
        raise reply
    check(reply)
    said = reply.status_report
    try:
        return dict(json.loads(said.json)) if said else {}
    except ValueError as error:
        raise WaybillError(f"the sidecar's report is no JSON object: {error}") from error


_clients: weakref.WeakSet[Waybill] = weakref.WeakSet()
_default: Waybill | None = None
_default_lock = threading.Lock()


def default() -> Waybill:
    """The process's shared client, made at the first call from the environment."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Waybill()
        return _default


def _after_fork_in_child() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    for client in list(_clients):
        client._lock = threading.Lock()
        client._unsigned = client._unverified = client._unconfirmed = 0


os.register_at_fork(after_in_child=_after_fork_in_child)


@atexit.register
def _close_all() -> None:
    for client in list(_clients):
        client.close()


def _close_at_exit() -> None:
    """A child of multiprocessing leaves by os._exit, after finalizers of its own; atexit never runs
    there. It forgets what was registered before it came to life, so this is done at first use."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=0)
