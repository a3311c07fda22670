# SPDX-License-Identifier: Apache-2.0
"""Imported before a sender: it may speak with this machine alone. Whatever would reach for another host is refused
before it leaves, and written down in the file $DIALECTS_OUTSIDE, a line each."""

import os
import sys

LOCAL = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None)


def guard(event, args):
    if event == "socket.getaddrinfo":
        host = args[0].decode() if isinstance(args[0], bytes) else args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    if host in LOCAL:
        return
    with open(os.environ["DIALECTS_OUTSIDE"], "a", encoding="utf-8") as file:
        file.write(f"{event} {host}\n")
    raise PermissionError(f"{event} {host}: only this machine")


sys.addaudithook(guard)
