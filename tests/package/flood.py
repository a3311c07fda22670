# SPDX-License-Identifier: Apache-2.0
"""Runs in the throw-away root, as an agent: records spans until the sidecar takes no more, or `--spans` are
acknowledged. Prints one JSON object: what was acknowledged, and the last answer."""

from __future__ import annotations

import argparse
import json
import os
import time

from waybill import _otlp, _wire
from waybill._connection import Connection
from waybill._wire import Request, Status

BATCH, TEXT, ANSWER_S, END_S = 10, "x" * 2000, 3.0, 60.0


def export(n: int) -> tuple[bytes, list[str]]:
    trace_id, now = os.urandom(16), time.time_ns()
    ids = [os.urandom(8) for _ in range(n)]
    resource, scope = _otlp.resource({"service.name": "flood"}), _otlp.scope("flood")
    spans = [(resource, scope, _otlp.span(trace_id=trace_id, span_id=one, name="flood", kind=1, start_ns=now,
                                          end_ns=now + 1, attrs={"text": TEXT})) for one in ids]
    return _otlp.export_request(spans), [(trace_id + one).hex() for one in ids]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--spans", type=int, default=10**9)
    options = parser.parse_args()
    connection = Connection(options.socket)
    acknowledged: list[str] = []
    last, end = "", time.monotonic() + END_S
    while len(acknowledged) < options.spans and time.monotonic() < end:
        traces, ids = export(min(BATCH, options.spans - len(acknowledged)))
        request = Request(id=os.urandom(16), protocol=1, record=_wire.Record(traces=traces))
        try:
            reply = connection.submit(request, ANSWER_S).result(ANSWER_S + 1)
        except Exception as why:  # noqa: BLE001  it is told, whatever it is
            last = f"{type(why).__name__}: {why}"
            break
        last = f"{Status(reply.status).name} {reply.detail}"
        if reply.status != Status.OK:
            break
        acknowledged += ids
    connection.close()
    print(json.dumps({"acknowledged": acknowledged, "last": last}))


if __name__ == "__main__":
    main()
