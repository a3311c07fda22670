# SPDX-License-Identifier: Apache-2.0
"""outsider: an honest agent of another house. It has a sidecar and a key, but nobody here knows it.

Usage: outsider.py RESEARCHER_URL
"""

from __future__ import annotations

import asyncio

import waybill
import waybill.a2a
from a2a.helpers import get_stream_response_text

from common import argument, connect, request_of, say


async def main() -> None:
    wb = waybill.default()
    with wb.span("ask a neighbour", type="session") as span:
        say("began", trace_id=span.context.trace_id.hex())
        async with connect(argument(1)) as client:
            client = waybill.a2a.traced(client)
            texts = []
            async for event in client.send_message(request_of("How often is it said: copy")):
                texts.append(get_stream_response_text(event))
    say("answered", events=len(texts), answer=texts[-1])
    wb.close()


if __name__ == "__main__":
    asyncio.run(main())
