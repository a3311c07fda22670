# SPDX-License-Identifier: Apache-2.0
"""A graph of steps, as agent frameworks have it: nodes change a state, routes say what comes next.

A node is a coroutine from the state to what it adds: lists grow, all else is replaced. A route
looks at the state after a node and names the nodes that follow, each with what it is given; several
run at the same time, and what follows them runs once. Without a route a node is an end. Loops are
routes that lead back, and end after `max_steps`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

State = dict[str, Any]
Node = Callable[[State], Awaitable[State]]
Route = Callable[[State], Iterable[tuple[str, State]]]


class Graph:
    def __init__(self, start: str, max_steps: int = 20) -> None:
        self._start, self._max_steps = start, max_steps
        self._nodes: dict[str, Node] = {}
        self._routes: dict[str, Route] = {}

    def add(self, name: str, node: Node, route: Route | None = None) -> None:
        self._nodes[name] = node
        if route is not None:
            self._routes[name] = route

    async def run(self, state: State, entered: Callable[[str], None]) -> State:
        """The state at the end. `entered` is told each node before it runs."""
        front = [(self._start, state)]
        for _ in range(self._max_steps):
            for name, _ in front:
                entered(name)
            added = await asyncio.gather(*(self._nodes[name](given) for name, given in front))
            for one in added:
                _merge(state, one)
            front = self._following({name for name, _ in front}, state)
            if not front:
                return state
        raise RuntimeError(f"no end after {self._max_steps} steps")

    def _following(self, done: set[str], state: State) -> list[tuple[str, State]]:
        routes = (self._routes[name] for name in sorted(done) if name in self._routes)
        return [step for route in routes for step in route(state)]


def _merge(state: State, added: State) -> None:
    for key, value in added.items():
        if isinstance(value, list):
            state[key] = state.get(key, []) + value
        else:
            state[key] = value
