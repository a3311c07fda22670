# SPDX-License-Identifier: Apache-2.0
"""researcher: finds words in the text files of this machine and streams what it finds.

Usage: researcher.py PORT
"""

from __future__ import annotations

import asyncio
import pathlib

import waybill
import waybill.a2a
from a2a.helpers import new_task_from_user_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import TaskUpdater

from common import argument, make_card, make_handler, serve

FOLDERS = ["/usr/share/common-licenses", "/usr/share/doc", "/usr/share/perl5"]
MAX_FILES = 8
MAX_BYTES = 256 * 1024
SUFFIXES = {"", ".txt", ".md", ".pm"}

wb = waybill.default()


def texts() -> list[pathlib.Path]:
    """The first few text files found, in a stable order."""
    found: list[pathlib.Path] = []
    for folder in FOLDERS:
        for path in sorted(pathlib.Path(folder).glob("*")):
            if path.is_file() and path.suffix in SUFFIXES and path.stat().st_size <= MAX_BYTES:
                found.append(path)
    return found[:MAX_FILES] or [pathlib.Path(__file__)]


def count(path: pathlib.Path, word: str) -> int:
    attributes = {"file.path": str(path), "word": word}
    with wb.span("read file", type="tool_call", attributes=attributes) as span:
        found = path.read_text("utf-8", "replace").lower().count(word.lower())
        span.set_attribute("hits", found)
        return found


class Researcher(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        task = context.current_task or new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        word = context.get_user_input().split()[-1].strip("?.\"'")
        total = 0
        with wb.span("search", type="retrieval", attributes={"word": word}):
            for path in texts():
                hits = await asyncio.to_thread(count, path, word)
                total += hits
                if hits:
                    text = f"{path}: {hits}"
                    await updater.add_artifact([new_text_part(text)], name=path.name)
        answer = updater.new_agent_message([new_text_part(f"{word}: {total} times")])
        await updater.complete(answer)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError("a search is over before one can cancel it")


def main() -> None:
    port = int(argument(1))
    card = make_card("researcher", port, "Finds words in texts", [waybill.a2a.extension()])
    handler = waybill.a2a.guarded(make_handler(Researcher(), card))
    asyncio.run(serve(handler, card, port))


if __name__ == "__main__":
    main()
