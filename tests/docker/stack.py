# SPDX-License-Identifier: Apache-2.0
"""The compose stack with its overlay, brought up in the tests' engine, and what one asks of it."""

import contextlib
import json
import urllib.request

from waybill_testkit import free_port, wait_until

AGENTS = ["planner", "researcher", "writer"]
D = "spiffe://demo.example/"
FILES = ["-f", "docker-compose.yml", "-f", "docker/docker-compose.otel.yml"]
UP_S = 240.0


class Stack:
    """program   which compose: Debian's 1.29, or a path"""

    def __init__(self, engine, program="docker-compose"):
        self.engine = engine
        self.program = program
        self.ports = {f"JAEGER_{name}_PORT": str(free_port()) for name in ("UI", "GRPC", "HTTP")}

    def compose(self, *args):
        return self.engine.compose(*FILES, *args, env=self.ports, program=self.program)

    def id_of(self, service):
        return self.engine.docker("ps", "-aq", "--filter", f"label=com.docker.compose.service={service}", "--filter",
                                  "label=com.docker.compose.oneoff=False").strip()

    def inspect(self, service):
        return self.engine.inspect(self.id_of(service))

    def health(self, service):
        return self.inspect(service)["State"].get("Health", {}).get("Status")

    def run(self, service, *command):
        return self.engine.docker("exec", self.id_of(service), *command)

    def rows(self, query):
        text = self.run("postgres", "psql", "-h", "/var/run/postgresql", "-U", "waybill", "-d", "waybill", "-At",
                        "-c", f"SELECT coalesce(json_agg(x), '[]') FROM ({query}) x")
        return json.loads(text)

    def jaeger(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['JAEGER_UI_PORT']}{path}", timeout=10) as found:
            return json.load(found)["data"]

    def spans_in_jaeger(self, trace_id):
        return [span for trace in self.jaeger(f"/api/traces/{trace_id}") for span in trace["spans"]]

    def report_trace(self):
        """The id of the report's trace, once the store has all of it."""

        def whole():
            rows = self.rows("SELECT encode(trace_id, 'hex') AS id, status FROM waybill.traces"
                             " WHERE root_name = 'make a report'")
            return rows[0]["id"] if [row["status"] for row in rows] == ["success"] else None

        return wait_until(whole, 60, "the report's trace, in one piece")


@contextlib.contextmanager
def brought_up(engine, program="docker-compose"):
    """Up, with a report made; down with its volumes, whatever comes. The images are built by Debian's compose,
    one of each: 1.29 would build one for each service."""
    found = Stack(engine, program)
    try:
        Stack(engine).compose("build", "keys", "planner")
        found.compose("up", "-d", "--no-build")
        wait_until(lambda: found.health("planner") == "healthy", UP_S, "planner: a report")
        yield found
    except (TimeoutError, RuntimeError) as why:
        raise RuntimeError(f"{why}\n{found.compose('logs', '--tail', '25')[-20000:]}") from None
    finally:
        found.compose("down", "-v", "-t", "5")


def is_marker(span):
    return any(tag["key"].startswith("waybill.marker") for tag in span["tags"])
