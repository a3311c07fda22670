# SPDX-License-Identifier: Apache-2.0
"""planner in a container: once its sidecar and the two others answer, it has one report made, says so in
/tmp/reported, and stays, since its sidecar lives in its network. For another report:

    docker compose exec planner python planner.py brief http://researcher:9101 http://writer:9102
"""

import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

OTHERS = ["http://researcher:9101", "http://writer:9102"]
REPORTED = pathlib.Path("/tmp/reported")


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/.well-known/agent-card.json", timeout=2).close()
    except OSError:
        return False
    return True


def is_ready() -> bool:
    socket = pathlib.Path(os.environ["WAYBILL_SOCKET"])
    return socket.is_socket() and all(map(answers, OTHERS))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while not is_ready():
        time.sleep(0.5)
    for _ in range(5):
        if subprocess.call([sys.executable, "planner.py", "brief", *OTHERS]) == 0:
            REPORTED.touch()
            break
        time.sleep(2)
    while True:
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
