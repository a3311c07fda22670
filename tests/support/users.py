# SPDX-License-Identifier: Apache-2.0
"""Doing things as other users, for tests of who may reach what."""

from __future__ import annotations

import json
import encodings.idna  # noqa: F401  for sockets: another user may not reach the library any more
import os
import traceback
from typing import Any, Callable, Sequence

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_user(uid: int, do: Callable[[], Any], gid: int | None = None, groups: Sequence[int] = ()) -> Any:
    """What `do` returns, as JSON can hold it, run in a forked process of user `uid` with no other groups
    than `gid` (else `uid`) and `groups`. Raises RuntimeError with its traceback."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(list(groups))
            os.setgid(uid if gid is None else gid)
            os.setuid(uid)
            said = {"value": do()}
        except BaseException:  # noqa: BLE001  all of it goes to the parent
            said = {"error": traceback.format_exc()}
        with os.fdopen(there, "w") as pipe:
            json.dump(said, pipe)
        os._exit(0)
    os.close(there)
    with os.fdopen(here) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    said = json.loads(text)
    if "error" in said:
        raise RuntimeError(said["error"])
    return said["value"]
