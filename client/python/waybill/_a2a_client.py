# SPDX-License-Identifier: Apache-2.0
"""The calling side's hook: a wrapper of a2a-sdk's Client.

`send_message` opens a delegation just before the message leaves and closes it on every way out:

    answered by a Message                      settle answered
    Task or status in a terminal state         settle completed failed canceled rejected
    Task that goes on (polling, streams)       observe; stays open, is found again by its task id
    INPUT_REQUIRED, AUTH_REQUIRED              observe: waiting; the next message is its next turn,
                                               of the same delegation; if that message fails the
                                               task waits as before
    stream ends or breaks before that          observe stream_broken: detached; the server works on
    the caller leaves (break, cancellation)    the same: who stops listening stops no work
    an error answer, no connection             settle failed with error.type; refused: rejected

What must be told is told before the event reaches the caller, so that it may break off right there.
`get_task`, `list_tasks`, `subscribe`, `cancel_task` through the same wrapper observe and settle the
delegations that are still open; the table for that is bounded (`MAX_TASKS`), and `track` and
`tracked` let an agent carry it over a restart.

Where the hook sits: method, card and the final message are known only inside the SDK's
`send_message`, and there a client interceptor sees them. So a send puts a `_Hop` into a context
variable, and the interceptor, which is added at the first send and so comes last, finds it there.
What is changed are copies that the caller does not hold.

A sidecar that is away, or that cannot make sense of a message, never breaks a call; `Denied`, and
`Unavailable` under on_unavailable "fail", do.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import logging
import re
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
from a2a.client.client import Client, ClientCallContext
from a2a.client.errors import A2AClientError, A2AClientTimeoutError
from a2a.client.interceptors import AfterArgs, BeforeArgs, ClientCallInterceptor
from a2a.client.service_parameters import ServiceParametersFactory, with_a2a_extensions
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import JSON_RPC_ERROR_CODE_MAP, A2AError

from waybill import _context, digest, spans
from waybill._a2a_errors import MESSAGE as REFUSED
from waybill._a2a_message import put_carrier, state_name, target_of
from waybill._states import INTERRUPTED, TERMINAL
from waybill.client import Waybill
from waybill.errors import Denied, Unavailable, WaybillError
from waybill.model import EXTENSION_URI, Delegation

MAX_TASKS = 4096

_logger = logging.getLogger("waybill.a2a")
_METHODS = {"send_message": "SendMessage", "send_message_streaming": "SendStreamingMessage"}
_RPC_ERROR = re.compile(r"JSON-RPC Error (-?\d+)")


class _Watch:
    """One delegation while it is open: what was last told of it, and the telling."""

    def __init__(self, client: Waybill, delegation: Delegation | bytes) -> None:
        self._client = client
        self.delegation = delegation
        self.open = True
        self.state = ""
        self.task_id = ""
        self.context_id = ""
        self.earlier: _Watch | None = None  # of the same task, in another delegation

    async def saw(self, task_id: str, context_id: str, state: str, event: str = "") -> None:
        """The task is in `state`, as the caller is about to learn."""
        if not self.open:
            return
        self.task_id, self.context_id = task_id or self.task_id, context_id or self.context_id
        if state in TERMINAL:
            await self.settle(TERMINAL[state], state, with_earlier=True)
        elif state and (state != self.state or event == "reattached"):
            self.state = state
            await self._guard(
                self._client.aobserve(
                    self.delegation,
                    task_state=state,
                    task_id=self.task_id,
                    context_id=self.context_id,
                    event=event,
                )
            )

    async def settle(
        self, outcome: str, state: str = "", error_type: str = "", with_earlier: bool = False
    ) -> None:
        """with_earlier: it is the task that has ended, and not only this message that failed."""
        if not self.open:
            return
        self.open = False
        said = self._client.asettle(
            self.delegation,
            outcome,
            task_state=state,
            error_type=error_type,
            task_id=self.task_id,
            context_id=self.context_id,
        )
        if self.earlier is not None and with_earlier:
            await self.earlier.settle(outcome, state, error_type, with_earlier)
        await self._guard(said)

    async def back_to(self, state: str) -> None:
        """The next turn's message failed: the task stands where it stood."""
        self.state = state
        if self.open and state:
            await self._guard(self._client.aobserve(self.delegation, task_state=state))

    async def _guard(self, said: Any) -> None:
        """A sidecar that does not know the delegation is no reason to break the agent's call."""
        try:
            await said
        except WaybillError as error:
            _logger.warning("delegation %s: %s", self.hex, error)

    def detach(self) -> None:
        """Nobody listens any more; the work goes on. Does not wait: the caller may be cancelled."""
        if self.open and self.state not in INTERRUPTED:
            self._client.observe_soon(
                self.delegation,
                task_id=self.task_id,
                context_id=self.context_id,
                event="stream_broken",
            )

    @property
    def id(self) -> bytes:
        found = self.delegation
        return found if isinstance(found, bytes) else found.id

    @property
    def hex(self) -> str:
        return self.id.hex()


@dataclasses.dataclass
class _Hop:
    """One message on its way: filled by the interceptor."""

    owner: TracedClient
    watch: _Watch | None = None
    streaming: bool = False
    asked: bool = False
    heard: bool = False  # at least one event came back
    before_turn: str | None = None  # the task's state before this message, if it is a later turn

    async def before(self, args: BeforeArgs) -> None:
        if self.asked or args.method not in _METHODS:
            return
        self.asked = True
        self.streaming = args.method == "send_message_streaming"
        delegation = await self.owner._delegate(args)
        if delegation is None:
            return
        self._watch_it(delegation, args.input.message)
        if delegation.carrier:
            put_carrier(args.input.message, delegation.carrier)
        args.context = _with_headers(args.context, delegation)

    def _watch_it(self, delegation: Delegation, message: Message) -> None:
        earlier = self.owner._watches.get(message.task_id)
        if earlier is not None and earlier.id == delegation.id:
            self.watch, self.before_turn = earlier, earlier.state
            earlier.state = ""  # the sidecar has it in flight again
            return
        self.watch = _Watch(self.owner.waybill, delegation)
        self.watch.task_id, self.watch.context_id = message.task_id, message.context_id
        self.watch.earlier = earlier

    async def saw(self, event: StreamResponse) -> None:
        self.heard = True
        if self.watch is None:
            return
        await _note(self.watch, event)
        self.owner._remember(self.watch)

    async def failed(self, error: BaseException) -> None:
        """The SDK raised. Was that the answer, or did we only stop hearing?"""
        if self.watch is None:
            return
        leaving = not isinstance(error, Exception)
        if leaving or (self.streaming and self.heard and not _is_answer(error)):
            self.watch.detach()
            return
        if self.before_turn is not None and not self.heard:
            await self.watch.back_to(self.before_turn)
            return
        await self.watch.settle(
            "rejected" if _is_refusal(error) else "failed",
            error_type=_error_type(error),
            with_earlier=self.heard,
        )
        self.owner._remember(self.watch)

    def ended(self) -> None:
        """No more events. A stream that ends before its task does was cut."""
        if self.watch is not None and (self.streaming or not self.heard):
            self.watch.detach()


_hop: contextvars.ContextVar[_Hop | None] = contextvars.ContextVar("waybill_hop", default=None)


class _Interceptor(ClientCallInterceptor):
    async def before(self, args: BeforeArgs) -> None:
        hop = _hop.get()
        if hop is not None:
            await hop.before(args)

    async def after(self, args: AfterArgs) -> None:
        return


class TracedClient(Client):
    """A Client whose messages are delegations; see `waybill.a2a.traced`."""

    def __init__(self, client: Client, waybill: Waybill) -> None:
        super().__init__()
        self._client = client
        self.waybill = waybill
        self._watches: OrderedDict[str, _Watch] = OrderedDict()
        self._interceptor: _Interceptor | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "_client":
            raise AttributeError(name)
        return getattr(self._client, name)

    # -- delegations that are open ---------------------------------------------------------------

    @property
    def tracked(self) -> dict[str, str]:
        """task id -> delegation id in hex, of what is open."""
        return {task_id: watch.hex for task_id, watch in self._watches.items() if watch.open}

    def track(self, task_id: str, delegation_id: str, context_id: str = "") -> None:
        """Take up again an open delegation of a task, after a restart."""
        watch = _Watch(self.waybill, bytes.fromhex(delegation_id))
        watch.task_id, watch.context_id = task_id, context_id
        self._remember(watch)

    def _remember(self, watch: _Watch) -> None:
        if not watch.task_id:
            return
        if not watch.open:
            kept = self._watches.get(watch.task_id)
            if kept is not None and not kept.open:
                del self._watches[watch.task_id]
            return
        self._watches[watch.task_id] = watch
        self._watches.move_to_end(watch.task_id)
        if len(self._watches) > MAX_TASKS:
            self._watches.popitem(last=False)  # stays open at the sidecar, until its deadline

    async def _delegate(self, args: BeforeArgs) -> Delegation | None:
        """Open the delegation of a message that is about to leave; None: it goes untraced."""
        message = args.input.message
        salt, body = _context.new_id(digest.SALT_LEN), b""
        with contextlib.suppress(digest.DigestError):
            body = digest.body_digest(salt, message.parts, _dialect(self._client))
        known = self._watches.get(message.task_id)
        try:
            return await self.waybill.adelegate(
                target_of(args.agent_card, _url_in_use(self._client)),
                method=_METHODS[args.method],
                message_id=message.message_id,
                context_id=message.context_id,
                task_id=message.task_id,
                turn_of=known.id if known is not None and message.task_id else None,
                body_digest=body,
                salt=salt if body else b"",
                baggage=_baggage(args.context),
            )
        except (Denied, Unavailable):
            raise
        except WaybillError as error:
            if self.waybill.on_unavailable == "fail":
                raise
            _logger.warning("message %s goes untraced: %s", message.message_id, error)
            return None

    # -- the Client interface --------------------------------------------------------------------

    async def send_message(
        self, request: SendMessageRequest, *, context: ClientCallContext | None = None
    ) -> AsyncIterator[StreamResponse]:
        if self._interceptor is None:
            self._interceptor = _Interceptor()
            await self._client.add_interceptor(self._interceptor)
        copied = SendMessageRequest()
        copied.CopyFrom(request)
        if not copied.message.message_id:
            copied.message.message_id = str(uuid.uuid4())
        hop = _Hop(self)
        stream = self._client.send_message(copied, context=context)
        try:
            while True:
                event = await _next(stream, hop)
                if event is None:
                    break
                await hop.saw(event)
                try:
                    yield event
                except BaseException:
                    hop.ended()
                    raise
            hop.ended()
        finally:
            await _close(stream)

    async def subscribe(
        self, request: SubscribeToTaskRequest, *, context: ClientCallContext | None = None
    ) -> AsyncIterator[StreamResponse]:
        watch = self._watches.get(request.id)
        if watch is None:
            async for passed_on in self._client.subscribe(request, context=context):
                yield passed_on
            return
        hop = _Hop(self, watch=watch, streaming=True, asked=True)
        stream = self._client.subscribe(request, context=context)
        event_name = "reattached"
        try:
            while True:
                event = await _next(stream, hop, settles=False)
                if event is None:
                    break
                hop.heard = True
                await _note(watch, event, event_name)
                event_name = ""
                self._remember(watch)
                try:
                    yield event
                except BaseException:
                    hop.ended()
                    raise
            hop.ended()
        finally:
            await _close(stream)

    async def get_task(
        self, request: GetTaskRequest, *, context: ClientCallContext | None = None
    ) -> Task:
        return await self._polled(await self._client.get_task(request, context=context))

    async def list_tasks(
        self, request: ListTasksRequest, *, context: ClientCallContext | None = None
    ) -> ListTasksResponse:
        response = await self._client.list_tasks(request, context=context)
        for task in response.tasks:
            await self._polled(task)
        return response

    async def cancel_task(
        self, request: CancelTaskRequest, *, context: ClientCallContext | None = None
    ) -> Task:
        return await self._polled(await self._client.cancel_task(request, context=context))

    async def _polled(self, task: Task) -> Task:
        watch = self._watches.get(task.id)
        if watch is not None:
            await watch.saw(task.id, task.context_id, state_name(task.status.state), "polled")
            self._remember(watch)
        return task

    async def create_task_push_notification_config(
        self, request: TaskPushNotificationConfig, *, context: ClientCallContext | None = None
    ) -> TaskPushNotificationConfig:
        return await self._client.create_task_push_notification_config(request, context=context)

    async def get_task_push_notification_config(
        self,
        request: GetTaskPushNotificationConfigRequest,
        *,
        context: ClientCallContext | None = None,
    ) -> TaskPushNotificationConfig:
        return await self._client.get_task_push_notification_config(request, context=context)

    async def list_task_push_notification_configs(
        self,
        request: ListTaskPushNotificationConfigsRequest,
        *,
        context: ClientCallContext | None = None,
    ) -> ListTaskPushNotificationConfigsResponse:
        return await self._client.list_task_push_notification_configs(request, context=context)

    async def delete_task_push_notification_config(
        self,
        request: DeleteTaskPushNotificationConfigRequest,
        *,
        context: ClientCallContext | None = None,
    ) -> None:
        await self._client.delete_task_push_notification_config(request, context=context)

    async def get_extended_agent_card(
        self,
        request: GetExtendedAgentCardRequest,
        *,
        context: ClientCallContext | None = None,
        signature_verifier: Callable[[AgentCard], None] | None = None,
    ) -> AgentCard:
        return await self._client.get_extended_agent_card(
            request, context=context, signature_verifier=signature_verifier
        )

    async def add_interceptor(self, interceptor: ClientCallInterceptor) -> None:
        await self._client.add_interceptor(interceptor)

    async def close(self) -> None:
        await self._client.close()


async def _next(
    stream: AsyncIterator[StreamResponse], hop: _Hop, settles: bool = True
) -> StreamResponse | None:
    """The next event, or None at the end; the hop is current while the SDK runs."""
    token = _hop.set(hop)
    try:
        return await stream.__anext__()
    except StopAsyncIteration:
        return None
    except BaseException as error:
        if settles:
            await hop.failed(error)
        elif hop.heard:
            hop.ended()
        raise
    finally:
        _hop.reset(token)


async def _close(stream: Any) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


async def _note(watch: _Watch, event: StreamResponse, name: str = "") -> None:
    kind = event.WhichOneof("payload")
    if kind == "message":
        watch.context_id = event.message.context_id or watch.context_id
        await watch.settle("answered")
    elif kind == "task":
        task = event.task
        await watch.saw(task.id, task.context_id, state_name(task.status.state), name)
    elif kind == "status_update":
        update = event.status_update
        await watch.saw(update.task_id, update.context_id, state_name(update.status.state), name)
    elif kind == "artifact_update":
        watch.task_id = event.artifact_update.task_id or watch.task_id


def _baggage(context: ClientCallContext | None) -> str | None:
    """The call's own baggage header; None: it has none, so the running code's goes along."""
    given = (context.service_parameters if context else None) or {}
    values = _context.header_values(given, "baggage")
    return ",".join(values) if values else None


def _with_headers(context: ClientCallContext | None, delegation: Delegation) -> ClientCallContext:
    """A copy of the call's context with the delegation's headers; they replace any others."""
    given = context or ClientCallContext()
    headers = delegation.headers
    kept = {
        name: value
        for name, value in (given.service_parameters or {}).items()
        if name.lower() not in ("traceparent", "tracestate", "baggage")
    }
    updates = [lambda parameters: parameters.update(headers)]
    if delegation.carrier:
        updates.append(with_a2a_extensions([EXTENSION_URI]))
    made = ServiceParametersFactory.create_from(kept, updates)
    return given.model_copy(update={"service_parameters": made})


def _transport(client: Any) -> Any:
    """The SDK's transport, below its tenant decorator."""
    found: Any = getattr(client, "_transport", None)
    while hasattr(found, "_base"):
        found = found._base
    return found


def _url_in_use(client: Client) -> str:
    return str(getattr(_transport(client), "url", ""))


def _dialect(client: Client) -> str:
    """Of the peer. The SDK has transports of their own for 0.3."""
    return "0.3" if ".compat.v0_3." in type(_transport(client)).__module__ else "1.0"


def _is_answer(error: BaseException) -> bool:
    """Whether the far side said this, rather than the way to it having broken."""
    return isinstance(error, A2AError) and not isinstance(
        error.__cause__, (httpx.RequestError, ValueError)
    )


def _is_refusal(error: BaseException) -> bool:
    """Whether the far side's Waybill refused the message: as JSON-RPC error, or as HTTP error."""
    if not isinstance(error, A2AError):
        return False
    if isinstance(error.__cause__, httpx.HTTPStatusError):
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError, ValueError):
            return REFUSED in error.__cause__.response.text
    return error.message == REFUSED


def _error_type(error: BaseException) -> str:
    """`error.type`: a JSON-RPC code, an HTTP status, "timeout", or the exception's class."""
    code = JSON_RPC_ERROR_CODE_MAP.get(type(error)) if isinstance(error, A2AError) else None
    if code is not None:
        return str(code)
    if isinstance(error, A2AClientTimeoutError):
        return "timeout"
    if isinstance(error, A2AClientError):
        found = _RPC_ERROR.match(error.message)
        if found:
            return found[1]
        if isinstance(error.__cause__, httpx.HTTPStatusError):
            return str(error.__cause__.response.status_code)
        if error.__cause__ is not None:
            return spans.error_type(error.__cause__)
    return spans.error_type(error)
