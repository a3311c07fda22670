#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An agent with a graph, tools that call tools, a loop and parallel branches; every step is a span.

The model is a function that always says the same, so that the trace is the same each time: what it
shows is where spans stand, and how little the code says about it. No call passes a span along.

    waybilld --name nested &
    WAYBILL_NAME=nested python agent.py
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import AsyncIterator
from typing import Any

from graph import Graph, State

import waybill

wb = waybill.default()
pool = concurrent.futures.ThreadPoolExecutor(2)

LIBRARY = {
    "Bergen": ["Rain in Bergen: 2490 mm in 202 days", "Bergen has seven mountains"],
    "Hilo": ["Rain in Hilo: 126.7 in in 272 days"],
    "Quibdo": ["Quibdo lies on the Atrato"],
    "Quibdo rain": ["Rain in Quibdo: 7328 mm in 304 days"],
}


# -- the model -----------------------------------------------------------------------------------


@wb.traced("model", type="llm_call", arguments=["task"])
async def model(task: str, facts: list[State]) -> Any:
    await asyncio.sleep(0)
    if task == "plan":
        return ["Bergen", "Hilo", "Quibdo"]
    if task == "check":
        return [fact["city"] + " rain" for fact in facts if fact["mm_a_day"] is None]
    return max(facts, key=lambda fact: fact["mm_a_day"] or 0)["city"].removesuffix(" rain")


# -- the tools -----------------------------------------------------------------------------------


@wb.traced(type="tool_call", arguments=["city"])
async def research(city: str) -> State:
    """A tool made of tools: find, read (in threads), convert."""
    found = [page async for page in find(city)]
    loop = asyncio.get_running_loop()
    read_here = waybill.in_context(read)  # or the pool's threads would not know where they stand
    rain = await asyncio.gather(*(loop.run_in_executor(pool, read_here, page) for page in found))
    return {"city": city, "mm_a_day": next((value for value in rain if value is not None), None)}


@wb.traced(type="retrieval")
async def find(words: str) -> AsyncIterator[str]:
    """Streams its results. What the consumer does between two of them is not below this span."""
    for page in LIBRARY[words]:
        await asyncio.sleep(0)
        yield page


@wb.traced(type="tool_call", arguments=["page"])
def read(page: str) -> float | None:
    """Rain a day, in mm, if the page says it."""
    time.sleep(0.005)
    if not page.startswith("Rain"):
        return None
    amount, unit, _, days, _ = page.partition(": ")[2].split()
    return (float(amount) if unit == "mm" else inches(float(amount))) / int(days)


@wb.traced(type="tool_call")
def inches(amount: float) -> float:
    return amount * 25.4


# -- the graph -----------------------------------------------------------------------------------


async def plan(state: State) -> State:
    return {"open": tuple(await model("plan", []))}


async def look(state: State) -> State:
    return {"facts": [await research(state["city"])]}


async def check(state: State) -> State:
    known = {fact["city"].removesuffix(" rain") for fact in state["facts"] if fact["mm_a_day"]}
    missing = [fact for fact in state["facts"] if fact["city"] not in known]
    return {"open": tuple(await model("check", missing))}


async def answer(state: State) -> State:
    return {"answer": await model("answer", state["facts"])}


def branches(state: State) -> list[tuple[str, State]]:
    return [("look", {"city": city}) for city in state["open"]]


def made() -> Graph:
    graph = Graph("plan")
    graph.add("plan", plan, branches)
    graph.add("look", look, lambda state: [("check", state)])
    graph.add("check", check, lambda state: branches(state) or [("answer", state)])
    graph.add("answer", answer)
    return graph


async def main() -> None:
    with wb.span("session", type="session", attributes={"session.id": "rain-1"}) as session:
        with wb.span("rain agent", type="agent", attributes={"question": "Where?"}) as agent:
            end = await made().run({}, lambda node: agent.add_event(node))
        print(end["answer"])
    print(session.context.trace_id.hex())


if __name__ == "__main__":
    asyncio.run(main())
    pool.shutdown()
