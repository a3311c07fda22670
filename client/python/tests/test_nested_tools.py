# SPDX-License-Identifier: Apache-2.0
"""examples/nested_tools leaves the tree in the store that its README draws."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys

import waybill_testkit as kit
from conftest import Store

EXAMPLE = kit.ROOT / "examples" / "nested_tools"


@dataclasses.dataclass
class Node:
    name: str
    type: str
    children: list[Node] = dataclasses.field(default_factory=list)

    @property
    def shape(self) -> tuple[object, ...]:
        """The same for the same tree, whichever of two that began together was first."""
        return (self.name, self.type, tuple(sorted(child.shape for child in self.children)))


def drawn() -> Node:
    """The tree in the README."""
    block = re.search(r"^session .*?^```", (EXAMPLE / "README.md").read_text(), re.M | re.S)
    assert block is not None
    path: list[Node] = []
    for line in block[0].splitlines()[:-1]:
        depth = (len(line) - len(line.lstrip())) // 2
        name, type = re.split(r"  +", line.strip())
        node = Node(name, type)
        if depth:
            path[depth - 1].children.append(node)
        path[depth:] = [node]
    return path[0]


def kept(rows: list[dict[str, object]]) -> Node:
    """The tree in the store."""
    nodes = {row["span_id"]: Node(str(row["name"]), str(row["span_type"])) for row in rows}
    roots = []
    for row in rows:
        parent = row["parent_span_id"]
        (nodes[parent].children if parent else roots).append(nodes[row["span_id"]])
    assert len(roots) == 1
    return roots[0]


def test_the_tree_in_the_store_is_the_one_that_is_drawn(sidecar: kit.Sidecar, store: Store) -> None:
    expected = drawn()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(EXAMPLE / "agent.py")],
            env=kit.agent_env(sidecar),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        answer, trace_id = done.stdout.split()
        assert answer == "Quibdo"
        of_trace = "FROM spans WHERE hex(trace_id) = upper(?) ORDER BY started_ns"
        rows = store.wait(f"SELECT * {of_trace}", trace_id, count=20)
        assert kept(rows).shape == expected.shape
        # The three branches were under way together, and the loop came after the check.
        branches = [row for row in rows if row["name"] == "research"]
        together = branches[:3]
        assert max(int(str(one["started_ns"])) for one in together) < min(
            int(str(one["ended_ns"])) for one in together
        )
        assert [row["name"] for row in rows if row["name"] in ("model", "research")] == (
            "model research research research model research model model".split()
        )
        assert all(row["status"] != "error" for row in rows)


def test_it_works_without_a_sidecar_too(folder: os.PathLike[str]) -> None:
    env = {**os.environ, "WAYBILL_SOCKET": f"{folder}/none", "PYTHONPATH": str(kit.CLIENT)}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "agent.py")],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith("Quibdo\n"), done.stderr
