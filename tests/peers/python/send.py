# SPDX-License-Identifier: Apache-2.0
"""Send numbered items with OpenTelemetry's SDK for Python.

Usage: send.py SIGNAL PROTOCOL ENDPOINT COUNT TAG [gzip]

SIGNAL traces, logs, metrics; PROTOCOL http/protobuf, http/json, grpc. Each item has the attributes
`peer.tag` (TAG) and `peer.number` (0 to COUNT - 1). Prints one JSON line: how many were sent, how many
exports the exporter called a success and a failure.
"""

import json
import os
import sys
import time

from opentelemetry.sdk.resources import Resource

SIGNAL, PROTOCOL, ENDPOINT, COUNT, TAG = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
GZIP = "gzip" in sys.argv[6:]
RESOURCE = Resource.create({"service.name": f"py-{TAG}"})
outcomes = {"success": 0, "failure": 0}


def exporter():
    kind = {"traces": ("trace_exporter", "OTLPSpanExporter"), "logs": ("_log_exporter", "OTLPLogExporter"),
            "metrics": ("metric_exporter", "OTLPMetricExporter")}[SIGNAL]
    package = {"http/protobuf": "proto.http", "http/json": "json.http", "grpc": "proto.grpc"}[PROTOCOL]
    name = f"opentelemetry.exporter.otlp.{package}.{kind[0]}"
    module = __import__(name, fromlist=[kind[1]])
    if GZIP:
        os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
    where = {"endpoint": ENDPOINT, "insecure": True} if PROTOCOL == "grpc" else {
        "endpoint": f"{ENDPOINT}/v1/{SIGNAL}"}
    made = getattr(module, kind[1])(**where)
    export = made.export

    def counted(*args, **kwargs):
        result = export(*args, **kwargs)
        outcomes["success" if result.name == "SUCCESS" else "failure"] += 1
        return result

    made.export = counted
    return made


def facts(number):
    return {"peer.tag": TAG, "peer.number": number}


def send_traces():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(exporter(), max_queue_size=COUNT + 64, max_export_batch_size=64))
    tracer = provider.get_tracer("peers")
    for number in range(COUNT):
        with tracer.start_as_current_span(f"span {number}", attributes=facts(number)) as span:
            span.add_event("seen", {"peer.list": ["a", "b"], "peer.ratio": 0.5, "peer.yes": True})
    provider.shutdown()


def send_logs():
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter(), max_queue_size=COUNT + 64,
                                                              max_export_batch_size=64))
    logger = provider.get_logger("peers")
    for number in range(COUNT):
        logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=SeverityNumber.INFO,
                              severity_text="INFO", body=f"log {number}", attributes=facts(number)))
    provider.shutdown()


def send_metrics():
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    reader = PeriodicExportingMetricReader(exporter(), export_interval_millis=3_600_000)
    provider = MeterProvider(resource=RESOURCE, metric_readers=[reader])
    meter = provider.get_meter("peers")
    counter, histogram = meter.create_counter("peer.count"), meter.create_histogram("peer.sizes")
    for number in range(COUNT):
        (counter.add if number % 2 else histogram.record)(number, facts(number))
    provider.shutdown()  # collects and exports once


{"traces": send_traces, "logs": send_logs, "metrics": send_metrics}[SIGNAL]()
print(json.dumps({"sent": COUNT, **outcomes}))
