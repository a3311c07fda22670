# SPDX-License-Identifier: Apache-2.0
"""Agents with plain OpenTelemetry in them below `waybill run`: not a line of theirs knows Waybill, and their
spans are in the store, once, below the run's; what they did before they still do."""

from __future__ import annotations

import pathlib
import sys
import sysconfig
from typing import Iterator

import pytest
from running import Place, a_place
from waybill_testkit import find_program, wait_until

pytest.importorskip("opentelemetry.sdk.trace")

API_ONLY = """
import threading
from opentelemetry import trace
tracer = trace.get_tracer("agent", "1.0")

@tracer.start_as_current_span("decorated")
def work(): pass

with tracer.start_as_current_span("root"):
    with trace.get_tracer("library").start_as_current_span("child"):
        work()
thread = threading.Thread(target=lambda: tracer.start_span("in a thread").end())
thread.start()
thread.join()
"""

# Its own provider and exporter, set after the first tracer was asked for, as libraries do.
OWN_PROVIDER = """
import sys
from opentelemetry import trace
early = trace.get_tracer("library")
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda s: s.name + "\\n")))
trace.set_tracer_provider(provider)
assert trace.get_tracer_provider() is provider
with early.start_as_current_span("root"):
    with trace.get_tracer("agent").start_as_current_span("child"):
        pass
for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
    early.start_span("many").end()
"""

INSTRUMENTED = """
from opentelemetry import trace
with trace.get_tracer("agent").start_as_current_span("root"):
    with trace.get_tracer("agent").start_as_current_span("child"):
        pass
"""

PRINT_EXPORTERS = """
import os
print(*[os.environ.get(f"OTEL_{signal}_EXPORTER", "-") for signal in ("TRACES", "METRICS", "LOGS")])
"""

NOT_OURS = """
from opentelemetry import context, trace
tracer = trace.get_tracer("agent")
tracer.start_span("request", kind=trace.SpanKind.SERVER).end()
tracer.start_span("message", kind=trace.SpanKind.CONSUMER).end()
tracer.start_span("fresh", context=context.Context()).end()
tracer.start_span("own").end()
"""


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made


def share() -> pathlib.Path:
    return find_program("waybill").parents[1] / "share" / "waybill" / "python"


def run_agent(place: Place, text: str, *args: str, **env: str) -> str:
    """Standard output of the agent, which must end well and say nothing on standard error."""
    done = place.waybill("run", "--span-name", "run", "--", sys.executable,
                         place.script("agent.py", text), *args, **env)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def parents(place: Place) -> dict[str, str | None]:
    """Name of each span -> name of its parent."""
    spans = place.spans()
    names = {span["span_id"]: name for name, span in spans.items()}
    return {name: names.get(span["parent_span_id"]) for name, span in spans.items()}


def one_trace(place: Place) -> None:
    assert len({span["trace_id"] for span in place.spans().values()}) == 1


# -- the three set-ups ------------------------------------------------------------------------------


def test_an_agent_that_sets_no_provider(place: Place) -> None:
    assert run_agent(place, API_ONLY, OTEL_SERVICE_NAME="shop") == ""
    assert parents(place) == {
        "run": None, "root": "run", "child": "root", "decorated": "child", "in a thread": "run",
    }  # fmt: skip
    one_trace(place)
    assert {span["service"] for span in place.spans().values()} == {"shop"}


def test_an_agent_with_a_provider_and_exporters_of_its_own(place: Place) -> None:
    assert run_agent(place, OWN_PROVIDER) == "child\nroot\n"
    assert parents(place) == {"run": None, "root": "run", "child": "root"}
    one_trace(place)


def test_an_agent_started_by_opentelemetry_instrument(place: Place) -> None:
    pytest.importorskip("opentelemetry.distro")
    command = pathlib.Path(sys.executable).with_name("opentelemetry-instrument")
    agent = place.script("agent.py", INSTRUMENTED)
    done = place.waybill("run", "--span-name", "run", "--", str(command), sys.executable, agent)
    assert (done.returncode, done.stderr) == (0, "")
    assert parents(place) == {"run": None, "root": "run", "child": "root"}
    one_trace(place)


def test_a_chosen_exporter_stays_chosen(place: Place) -> None:
    pytest.importorskip("opentelemetry.distro")
    command = pathlib.Path(sys.executable).with_name("opentelemetry-instrument")
    agent = place.script("agent.py", "import os; print(os.environ['OTEL_TRACES_EXPORTER'])")
    env = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    done = place.run(str(command), sys.executable, agent, **env)
    assert (done.returncode, done.stdout) == (0, "console\n"), done.stderr


def without_otlp(place: Place) -> pathlib.Path:
    """What is installed here, as a folder for PYTHONPATH, but for exporters of OTLP. It goes with an
    interpreter that is in no virtual environment."""
    folder = place.base / "lib"
    folder.mkdir()
    for entry in pathlib.Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith("opentelemetry_exporter_otlp"):
            (folder / entry.name).symlink_to(entry)
    return folder


def test_metrics_and_logs_are_left_out_only_where_their_exporter_is_missing(place: Place) -> None:
    """The distro's default is OTLP; what stands in for its exporter here is found as the real one is."""
    pytest.importorskip("opentelemetry.distro")
    agent = place.script("agent.py", PRINT_EXPORTERS)
    installed = without_otlp(place)
    info = place.base / "more" / "exporter-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: exporter\nVersion: 1\n")
    metrics = "opentelemetry.sdk.metrics.export:ConsoleMetricExporter"
    (info / "entry_points.txt").write_text(f"[opentelemetry_metrics_exporter]\notlp_proto_grpc = {metrics}\n")
    python = pathlib.Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    instrument = "import sys; from opentelemetry.instrumentation.auto_instrumentation import run; sys.exit(run())"

    def exporters(*more: pathlib.Path, **env: str) -> list[str]:
        env["PYTHONPATH"] = ":".join(map(str, (*more, installed)))
        done = place.run(str(python), "-c", instrument, str(python), agent, **env)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()[0].split()

    assert exporters() == ["waybill", "none", "none"]
    assert exporters(OTEL_LOGS_EXPORTER="console") == ["waybill", "none", "console"]
    assert exporters(info.parent) == ["waybill", "otlp", "none"]
    assert exporters(info.parent, OTEL_PYTHON_DISTRO="none") == ["waybill", "-", "-"]


def test_an_agent_of_ours_is_not_recorded_twice(place: Place) -> None:
    """Its own processors, as the client's page says, and those that run adds: one span, sent once."""
    text = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
import waybill, waybill.otel
provider = TracerProvider()
provider.add_span_processor(waybill.otel.AcceptanceProcessor())
provider.add_span_processor(BatchSpanProcessor(waybill.otel.SidecarExporter()))
trace.set_tracer_provider(provider)
with trace.get_tracer("agent").start_as_current_span("root"):
    pass
provider.force_flush()
print(waybill.default().stats.spans_recorded)
"""
    client = str(share() / "lib")
    assert run_agent(place, text, PYTHONPATH=client) == "1\n"
    assert parents(place) == {"run": None, "root": "run"}


# -- nothing is lost, nothing is changed ------------------------------------------------------------


def test_a_burst_of_spans_before_the_end_is_in_the_store(place: Place) -> None:
    own = OWN_PROVIDER.replace("BatchSpanProcessor", "SimpleSpanProcessor")  # the other drops some
    assert run_agent(place, own, "6000").count("many\n") == 6000
    assert place.rows("SELECT count(*) AS n FROM spans")[0]["n"] == 6003


def test_an_agent_that_a_signal_ends_has_its_spans_in_the_store(place: Place) -> None:
    agent = place.script("agent.py", """
import signal
from opentelemetry import trace
trace.get_tracer("agent").start_span("before").end()
print("ready", flush=True)
signal.pause()
""")  # fmt: skip
    run = place.start("run", "--span-name", "run", "--", sys.executable, agent)
    assert run.stdout.readline() == "ready\n"
    wait_until(lambda: "before" in place.spans(), 20, "the agent's span")
    run.terminate()
    assert run.wait(20) == 128 + 15
    assert sorted(place.spans()) == ["before", "run"]


def test_what_comes_from_outside_is_no_part_of_the_run(place: Place) -> None:
    run_agent(place, NOT_OURS)
    assert parents(place) == {"run": None, "request": None, "message": None, "fresh": None, "own": "run"}
    assert len({span["trace_id"] for span in place.spans().values()}) == 4


@pytest.mark.parametrize("block", ["opentelemetry.sdk", "opentelemetry"])
def test_an_agent_without_the_sdk_runs_as_ever(place: Place, block: str) -> None:
    text = f"""
import sys
sys.modules[{block!r}] = None
try:
    from opentelemetry import trace
    with trace.get_tracer("agent").start_as_current_span("nowhere") as span:
        assert not span.get_span_context().is_valid
except ImportError:
    pass
print("fine")
"""
    assert run_agent(place, text) == "fine\n"
    assert list(place.spans()) == ["run"]


def test_a_provider_that_is_set_after_the_first_span_takes_over(place: Place) -> None:
    early = OWN_PROVIDER.replace("provider = Tr", "early.start_span('too early').end()\nprovider = Tr")
    assert run_agent(place, early) == "child\nroot\n"
    assert parents(place) == {"run": None, "too early": "run", "root": "run", "child": "root"}


def test_what_asks_for_the_provider_sees_what_it_always_saw(place: Place) -> None:
    text = """
from opentelemetry import trace
trace.get_tracer("agent").start_span("one").end()
print(type(trace.get_tracer_provider()) is trace.ProxyTracerProvider)
"""
    assert run_agent(place, text) == "True\n"
    assert "one" in place.spans()


def test_a_disabled_sdk_stays_disabled(place: Place) -> None:
    for text in (API_ONLY, OWN_PROVIDER):
        run_agent(place, text, OTEL_SDK_DISABLED="true")
    assert {row["name"] for row in place.rows("SELECT name FROM spans")} == {"run"}


def test_a_hidden_sitecustomize_is_run_all_the_same(place: Place) -> None:
    (place.base / "site").mkdir()
    place.script("site/sitecustomize.py", "import sys; sys.hidden = __name__, __file__")
    text = "import sitecustomize, sys; print(*sys.hidden, sitecustomize.__file__)\n" + INSTRUMENTED
    where = str(place.base / "site")
    file = f"{where}/sitecustomize.py"
    assert run_agent(place, text, PYTHONPATH=where) == f"sitecustomize {file} {file}\n"
    assert parents(place) == {"run": None, "root": "run", "child": "root"}


def test_pythonpath_is_as_it_was_without_python(place: Place) -> None:
    show = "import os, sys; print(os.environ.get('PYTHONPATH'))"
    said = [place.waybill("run", *more, "--", sys.executable, "-c", show, **env).stdout
            for more, env in ((["--no-python"], {}), (["--no-python"], {"PYTHONPATH": "/x"}),
                              ([], {}), ([], {"PYTHONPATH": "/x"}))]  # fmt: skip
    start = str(share() / "start")
    assert said == ["None\n", "/x\n", f"{start}\n", f"{start}:/x\n"]


@pytest.mark.parametrize("switch", ["-I", "-E", "-S"])
def test_an_interpreter_that_does_not_read_us_is_not_disturbed(place: Place, switch: str) -> None:
    done = place.run(sys.executable, switch, "-c", "print('fine')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_a_fault_of_ours_is_one_line_and_the_agent_goes_on(place: Place) -> None:
    """Here a package of the agent's own has our name."""
    (place.base / "waybill").mkdir()
    place.script("waybill/__init__.py", "")
    agent = place.script("agent.py", INSTRUMENTED + "print('fine')")
    done = place.run(sys.executable, agent)
    assert (done.returncode, done.stdout) == (0, "fine\n")
    assert done.stderr.startswith("waybill: OpenTelemetry is not traced in process ")
    assert done.stderr.count("\n") == 1


# -- Waybill's own package --------------------------------------------------------------------------


def test_the_version_that_an_agent_brings_is_the_one_it_gets(place: Place) -> None:
    mine = place.base / "mine"
    (mine / "waybill").mkdir(parents=True)
    for file in (share() / "lib" / "waybill").glob("*.py"):
        (mine / "waybill" / file.name).write_text(file.read_text("utf-8"), "utf-8")
    said = run_agent(place, INSTRUMENTED + "import waybill; print(waybill.__file__)", PYTHONPATH=str(mine))
    assert said == f"{mine}/waybill/__init__.py\n"
    assert parents(place) == {"run": None, "root": "run", "child": "root"}


def test_its_spans_are_below_the_run_too_and_below_opentelemetrys(place: Place) -> None:
    text = """
from opentelemetry import trace
import waybill
wb = waybill.default()
with wb.span("ours"):
    with trace.get_tracer("agent").start_as_current_span("theirs"):
        with wb.span("ours again"):
            pass
with wb.span("served", kind="server"):
    pass
"""
    assert run_agent(place, text, PYTHONPATH=str(share() / "lib")) == ""
    assert parents(place) == {
        "run": None, "ours": "run", "theirs": "ours", "ours again": "theirs", "served": None,
    }  # fmt: skip


@pytest.mark.parametrize("asked", [True, False])
def test_the_provider_can_be_asked_for_by_name(place: Place, asked: bool) -> None:
    agent = place.script("agent.py", INSTRUMENTED)
    env = {"PYTHONPATH": str(share() / "lib")}
    if asked:
        env["OTEL_PYTHON_TRACER_PROVIDER"] = "waybill"
    done = place.waybill("run", "--no-python", "--span-name", "run", "--", sys.executable, agent, **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert parents(place) == {"run": None, **({"root": "run", "child": "root"} if asked else {})}
