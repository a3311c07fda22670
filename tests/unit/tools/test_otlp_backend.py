# SPDX-License-Identifier: Apache-2.0
"""The tests' OTLP backend, since so much is measured with it: it keeps what comes, and answers as told."""

import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

SUPPORT = pathlib.Path(__file__).resolve().parents[2] / "support"
sys.path.insert(0, str(SUPPORT))

from otlp_backend import Answer, OtlpBackend  # noqa: E402

JSON = {"resourceSpans": [{"scopeSpans": [{"spans": [
    {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "a span",
     "attributes": [{"key": "n", "value": {"intValue": 7}}, {"key": "m", "value": {"intValue": "8"}}]}]}]}]}


def post(url, body, kind="application/json", headers=None):
    request = urllib.request.Request(url, body, {"Content-Type": kind, **(headers or {})})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def message(name="a span", count=1):
    found = trace_service_pb2.ExportTraceServiceRequest()
    spans = found.resource_spans.add().scope_spans.add().spans
    for number in range(count):
        spans.add(trace_id=b"\1" * 16, span_id=number.to_bytes(8, "big"), name=name)
    return found


def test_json_ids_are_hex_and_numbers_have_both_forms():
    with OtlpBackend() as backend:
        assert post(f"{backend.http_url}/v1/traces", json.dumps(JSON).encode()) == b"{}"
        item = backend.wait_for("traces", 1)[0]
    assert (item.trace_id, item.span_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert item.attributes == {"n": 7, "m": 8}
    assert item.request.protocol == "http/json"


def test_what_is_no_otlp_is_refused_and_noted():
    with OtlpBackend() as backend:
        for path, body in (("/v1/traces", b"\xff\xff"), ("/v1/other", b"")):
            with pytest.raises(urllib.error.HTTPError):
                post(backend.http_url + path, body, "application/x-protobuf")
        assert len(backend.faults) == 2 and not backend.items["traces"]


def test_a_scripted_answer_counts_for_one_request():
    with OtlpBackend() as backend:
        backend.script(Answer(http=503, retry_after="2"), Answer(rejected=2, message="two are bad"))
        url, body = f"{backend.http_url}/v1/traces", message(count=5).SerializeToString()
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(url, body, "application/x-protobuf")
        assert (refused.value.code, refused.value.headers["Retry-After"]) == (503, "2")
        partial = trace_service_pb2.ExportTraceServiceResponse.FromString(
            post(url, body, "application/x-protobuf"))
        assert partial.partial_success.rejected_spans == 2
        assert post(url, body, "application/x-protobuf") == b""
        assert [request.taken for request in backend.requests] == [False, True, True]
        assert len(backend.items["traces"]) == 8


def test_grpc_says_when_to_come_again():
    with OtlpBackend() as backend, grpc.insecure_channel(backend.grpc_target) as channel:
        stub = trace_service_pb2_grpc.TraceServiceStub(channel)
        backend.script(Answer(grpc=grpc.StatusCode.UNAVAILABLE, retry_info_ms=1500))
        with pytest.raises(grpc.RpcError) as refused:
            stub.Export(message())
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert b"google.rpc.RetryInfo" in dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
        stub.Export(message())
        assert [item.request.protocol for item in backend.items["traces"]] == ["grpc"]


def test_it_goes_away_and_comes_back():
    backend = OtlpBackend()
    for _ in range(2):
        with backend:
            post(f"{backend.http_url}/v1/traces", json.dumps(JSON).encode())
        with pytest.raises(urllib.error.URLError):
            post(f"{backend.http_url}/v1/traces", json.dumps(JSON).encode())
    assert len(backend.items["traces"]) == 2


def test_as_a_program():
    process = subprocess.Popen([sys.executable, str(SUPPORT / "otlp_backend.py")], stdout=subprocess.PIPE)
    try:
        base = f"http://127.0.0.1:{json.loads(process.stdout.readline())['http']}"
        script = [{"refuse_span_named": "bad"}, {"max_bytes": 400}, {"status": 429, "retry_after": "1"}]
        post(f"{base}/_control/script", json.dumps(script).encode())
        for body, code in ((message(), 429), (message("bad"), 400), (message(count=50), 413)):
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(f"{base}/v1/traces", body.SerializeToString(), "application/x-protobuf")
            assert refused.value.code == code
        for _ in range(2):
            post(f"{base}/v1/traces", message().SerializeToString(), "application/x-protobuf")
        with urllib.request.urlopen(f"{base}/_control/items", timeout=10) as answer:
            found = json.load(answer)
        assert found["traces"] == {"total": 2, "unique": 1}
        assert [each["taken"] for each in found["requests"]] == [False, False, False, True, True]
        post(f"{base}/_control/reset", b"")
        post(f"{base}/v1/traces", message("bad").SerializeToString(), "application/x-protobuf")
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()
