# SPDX-License-Identifier: Apache-2.0
"""One sidecar under load in bad weather, and what must hold whatever the weather was.

A case is a function that is given a `Trial`, brings its fault, and returns in words what it saw. The
campaign then ends the trial, and the invariants of docs/design/faults.md are checked: nothing that was
acknowledged is lost or doubled, fresh work goes through, the process ends in order. What a case
requires of the time in between it says itself, by raising `Broken`."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from load import CONFIG, SMALL_SEGMENTS, Load, Oracle, count_doubled, count_lost
from waybill_testkit import Sidecar, wait_until
from weather import Weather


STANDS_STILL_S = 1.5  # without a conversation getting through


class Broken(AssertionError):
    """The sidecar did not do what is promised."""


def demand(condition: object, what: str) -> None:
    if not condition:
        raise Broken(what)


@dataclasses.dataclass
class Case:
    name: str
    injected: str
    run: Callable[[Any], str]
    fast: bool = False  # of the core tier too
    config: str = ""  # more of it
    journal: str = SMALL_SEGMENTS  # what stands in its section
    root: bool = False  # makes file systems or control groups
    talkers: int = 6  # conversations at once
    pause_s: float = 0.02  # of each of them, between two
    trial: bool = True  # wants a Trial; else it is given a folder's path to build its own things in


CASES: list[Case] = []


def case(injected: str, **how: Any) -> Callable[[Callable[[Any], str]], Callable[[Any], str]]:
    """Enter a function into the campaign, under its own name."""

    def enter(run: Callable[[Any], str]) -> Callable[[Any], str]:
        CASES.append(Case(run.__name__.replace("_", "-"), injected, run, **how))
        return run

    return enter


class Trial:
    def __init__(self, config: str = "", journal: str = SMALL_SEGMENTS, talkers: int = 6,
                 pause_s: float = 0.02) -> None:
        self.sidecar = Sidecar("trial", config="")
        text = CONFIG.replace(SMALL_SEGMENTS, journal) + config
        text = text.replace("OTHER", str(self.sidecar.base / "other.db"))
        self.sidecar.config_file.write_text(text)
        self.weather = Weather(self.sidecar.base)
        self.sidecar.extra_env |= self.weather.env
        self.oracle = Oracle(self.sidecar.base / "oracle")
        self.load: Load | None = None
        self._talkers, self._pause_s = talkers, pause_s
        self.facts: dict[str, int] = {}
        self.also: list[pathlib.Path] = []  # further stores that must hold all
        self.parts: list[pathlib.Path] = []  # stores that hold what the store of the end does not

    # -- its life --------------------------------------------------------------------------------

    def begin(self) -> Trial:
        self.sidecar.start()
        self.begin_load()
        self.work(20)
        return self

    def begin_load(self) -> None:
        self.load = Load(str(self.sidecar.socket), self.oracle, talkers=self._talkers, patient=True,
                         pause_s=self._pause_s)
        self.load.start()

    def work(self, conversations: int, within_s: float = 30.0) -> None:
        """Until so many more conversations are through."""
        assert self.load is not None
        aim = self.load.done + conversations
        wait_until(lambda: self.load.done >= aim or self.load.troubles, within_s,
                   f"{conversations} conversations")
        demand(not self.load.troubles, f"refused: {self.load.troubles[:1]}")

    def end(self) -> None:
        """Fresh work goes through, then the account."""
        if self.load is None:
            return
        if self.sidecar.running:
            self.work(10)
            self.well(30)
        self.load.end()
        demand(not self.load.troubles, f"refused: {self.load.troubles[:1]}")
        if self.sidecar.running:
            code = self.sidecar.stop(30)
            demand(code == 0, f"exit code {code} at the end")
        self.account([self.sidecar.store, *self.parts])
        for store in self.also:
            self.account([store])

    def account(self, stores: list[pathlib.Path]) -> None:
        """Hold a store, or several that hold different parts, against what was acknowledged."""
        held = self.oracle.read()
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(contextlib.closing(
                sqlite3.connect(f"file:{store}?mode=ro", uri=True))) for store in stores]
            lost = count_lost(opened, held)
            doubled = [count_doubled(db) for db in opened]
        demand(not any(lost.values()), f"lost: { {k: n for k, n in lost.items() if n} }")
        for one in doubled:
            demand(not any(one.values()), f"doubled: { {k: n for k, n in one.items() if n} }")
        demand(all(held.values()), "nothing was acknowledged")
        self.facts = {kind: len(found) for kind, found in held.items()}

    def close(self, good: bool) -> None:
        if self.sidecar.running:
            with contextlib.suppress(TimeoutError):
                self.sidecar.process.send_signal(signal.SIGCONT)
                self.sidecar.stop()
        if self.load is not None and not good:
            self.load.abandon()
        if good:
            self.sidecar.close()

    # -- what it says ----------------------------------------------------------------------------

    def get(self, path: str) -> tuple[int, str]:
        """Of the admin port; (0, reason) when it does not answer."""
        try:
            port = self.sidecar.status()["ports"]["admin"]
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode().strip()
        except (OSError, KeyError, http.client.HTTPException) as error:
            return 0, str(error)

    def report(self) -> dict[str, Any]:
        code, text = self.get("/status")
        demand(code == 200, f"/status: {code} {text}")
        return dict(json.loads(text))

    def exporter(self, name: str = "sqlite") -> dict[str, Any]:
        return next(one for one in self.report()["exporters"] if one["name"] == name)

    def trouble(self, pattern: str, within_s: float = 10.0) -> str:
        """Wait until it says that it cannot take work, for a reason that fits."""

        def said() -> str | None:
            code, text = self.get("/readyz")
            return text if code == 503 and re.search(pattern, text) else None

        return str(wait_until(said, within_s, f"/readyz: 503 {pattern!r}, not {self.get('/readyz')}"))

    def trouble_after_a_request(self, pattern: str) -> str:
        """As `trouble`, for what only a commit notices; the request is answered by nobody."""
        assert self.load is not None
        self.load.poke()
        return self.trouble(pattern)

    def delivery_trouble(self, pattern: str, name: str = "sqlite", within_s: float = 15.0) -> str:
        """Wait until an exporter says what is wrong at its far side."""

        def said() -> str | None:
            text = self.exporter(name)["last_error"]
            return text if text and re.search(pattern, text) else None

        return str(wait_until(said, within_s, f"{name}: {pattern!r}, not {self.exporter(name)}"))

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Of the store."""
        db = sqlite3.connect(f"file:{self.sidecar.store}?mode=ro", uri=True)
        with contextlib.closing(db):
            db.row_factory = sqlite3.Row
            return [dict(found) for found in db.execute(sql, values)]

    def well(self, within_s: float = 15.0) -> None:
        """Wait until it takes work and has delivered all."""

        def is_well() -> bool:
            code, _ = self.get("/readyz")
            if code != 200:
                return False
            report = self.report()
            return not report["degraded"] or all(
                one["lag_frames"] < 64 and not one["last_error"] for one in report["exporters"])

        wait_until(is_well, within_s, "ready and undisturbed")

    def put_off(self) -> str:
        assert self.load is not None
        return f"{self.load.put_off} requests waited"

    def stands_still(self) -> bool:
        """Whether no conversation gets through, and there are some."""
        assert self.load is not None
        time.sleep(0.2)
        before = self.load.done
        time.sleep(STANDS_STILL_S)
        return self.load.done == before and self.load.waiting > 0
