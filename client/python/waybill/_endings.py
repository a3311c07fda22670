# SPDX-License-Identifier: Apache-2.0
"""`with wb.settling(delegation)` and `with wb.finishing(acceptance)`: every way out of a block is
told to the sidecar, so that nothing stays open which nobody works on.

What the block says of the outcome stands. If it said nothing final, an exception decides: canceled
for what ends a task or a process rather than a call (asyncio's CancelledError, GeneratorExit,
KeyboardInterrupt, SystemExit), else failed.

How long that may take is as in `settle` and `finish`. Whoever is being cancelled does not wait at
all, and no error of the telling takes the place of the exception that is on its way.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, TypeVar

from waybill import _context
from waybill._states import FINISHED, TERMINAL
from waybill.errors import WaybillError
from waybill.model import Acceptance, Delegation
from waybill.spans import error_type

E = TypeVar("E", bound="_Ending")


@dataclasses.dataclass(frozen=True)
class Verb:
    """One of a client's calls, in its three forms."""

    wait: Callable[..., object]
    await_: Callable[..., Coroutine[Any, Any, object]]
    soon: Callable[..., None]


class _Ending:
    """What both have: the block's part, and the three ways to say it."""

    outcome: str
    task_state: str
    error_type: str
    task_id: str

    def __init__(self, about: object) -> None:
        self.outcome = self.task_state = self.error_type = self.task_id = ""
        self._about = about
        self._process = _context.process

    _outcomes: Mapping[str, str]
    _failure: str

    def _verb(self) -> tuple[Verb, dict[str, str]]:
        """The call that says what the block said."""
        raise NotImplementedError

    def _leave(self) -> None:
        """The block's code has ended."""

    def _ended(self, error: BaseException | None) -> tuple[Verb, dict[str, str]]:
        self.outcome = self.outcome or self._outcomes.get(self.task_state, "")
        if error is not None and not self.outcome:
            self.outcome = self._failure if isinstance(error, Exception) else "canceled"
            self.error_type = self.error_type or error_type(error)
        return self._verb()

    def __enter__(self: E) -> E:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()
        if self._process is not _context.process:
            return  # forked in the block: it is the parent's to say
        verb, words = self._ended(exc)
        if exc is None:
            verb.wait(self._about, **words)
        elif isinstance(exc, Exception):
            with contextlib.suppress(WaybillError):
                verb.wait(self._about, **words)
        else:
            verb.soon(self._about, **words)

    async def __aenter__(self: E) -> E:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()
        if self._process is not _context.process:
            return
        verb, words = self._ended(exc)
        if exc is None:
            await verb.await_(self._about, **words)
        elif isinstance(exc, Exception):
            with contextlib.suppress(WaybillError):
                await verb.await_(self._about, **words)
        else:
            verb.soon(self._about, **words)


class Settling(_Ending):
    """What `settling` gives to its block, which may set

    outcome      answered completed failed canceled rejected; "": by task_state
    task_state   the last TASK_STATE_* seen. A final one settles by its name; another one is
                 observed, and the delegation stays open, for the next turn or for `settle`; "": a
                 plain Message answered
    error_type   of a failure
    task_id, context_id   as the peer named them"""

    context_id: str
    _outcomes = TERMINAL
    _failure = "failed"

    def __init__(self, delegation: Delegation, settle: Verb, observe: Verb) -> None:
        super().__init__(delegation)
        self.delegation = delegation
        self.context_id = ""
        self._settle, self._observe = settle, observe

    def _verb(self) -> tuple[Verb, dict[str, str]]:
        words = {
            "task_state": self.task_state,
            "task_id": self.task_id,
            "context_id": self.context_id,
        }
        if not self.outcome and self.task_state:
            return self._observe, words
        said = {"outcome": self.outcome or "answered", "error_type": self.error_type}
        return self._settle, words | said


class Finishing(_Ending):
    """What `finishing` gives to its block, which may set

    outcome      ok error canceled rejected interrupted; "": by task_state
    task_state   TASK_STATE_* that the answer will say; "": the answer is a plain Message
    error_type   of a failure
    task_id      as the answer names it"""

    _outcomes = FINISHED
    _failure = "error"

    def __init__(self, acceptance: Acceptance, finish: Verb) -> None:
        super().__init__(acceptance)
        self.acceptance = acceptance
        self._finish = finish
        self._inside = acceptance.work()

    def __enter__(self) -> Finishing:
        self._inside.__enter__()
        return self

    def _leave(self) -> None:
        self._inside.__exit__(None, None, None)

    def _verb(self) -> tuple[Verb, dict[str, str]]:
        return self._finish, {
            "outcome": self.outcome or "ok",
            "task_state": self.task_state,
            "error_type": self.error_type,
            "task_id": self.task_id,
        }
