# SPDX-License-Identifier: Apache-2.0
"""What may not be kept is nowhere: two hundred secrets in every place of a request that has text, in all three signals,
against the bytes of the journal, of the store and of what a backend was sent. And previews, verbose mode and rules, in
what the store and a backend then have. All secrets are made up anew in each run, from a seed that a failure tells."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import pathlib
import random
import re
import string
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import otlp_grpc
import pytest
from agents import Asker, a_delegate
from google.protobuf import json_format
from metrics import Scrape
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_backend import OtlpBackend, attributes_of
from otlp_http import port_of, post, zipped
from waybill import _wire
from waybill_testkit import Sidecar, wait_until

START_NS = 1_796_040_000_000_000_000
LETTERS = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits


class Maker:
    """Secrets of every kind, no two alike."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def word(self, length: int, letters: str = LETTERS) -> str:
        while True:
            text = "".join(self.rng.choice(letters) for _ in range(length))
            if any(c.isdigit() for c in text) and any(c.isalpha() for c in text):
                return text

    def hex(self, length: int) -> str:
        return self.word(length, "0123456789abcdef")

    def tokens(self) -> list[str]:
        w, h = self.word, self.hex
        jwt = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=")
                       for part in ('{"alg":"HS256"}', json.dumps({"sub": w(12)}), w(32)))
        return [
            "sk-" + w(48), "sk-proj-" + w(40), "sk-svcacct-" + w(40), "sk-ant-api03-" + w(60), "sk-or-v1-" + h(64),
            "sk_live_" + w(24), "sk_test_" + w(24), "rk_live_" + w(24), "whsec_" + w(32), "ghp_" + w(36), "gho_" + w(36),
            "ghs_" + w(36), "github_pat_" + w(22) + "_" + w(59), "glpat-" + w(20), "glptt-" + w(20),
            "xoxb-123456789012-" + w(24), "xoxp-12345-" + w(24), "xapp-1-A01-" + h(64), "AKIA" + w(16, UPPER),
            "ASIA" + w(16, UPPER), "AIza" + w(35), "ya29." + w(60), "GOCSPX-" + w(28), "hf_" + w(34), "r8_" + w(37),
            "gsk_" + w(52), "xai-" + w(80), "pplx-" + w(48), "lsv2_pt_" + h(32) + "_" + h(10), "sk-lf-" + w(36),
            "tvly-" + w(32), "nvapi-" + w(64), "dapi" + h(32), "npm_" + w(36), "pypi-AgEIcHlwaS5vcmc" + w(80),
            "dckr_pat_" + w(27), "SG." + w(22) + "." + w(43), "key-" + h(32), h(32) + "-us12", "SK" + h(32),
            "shpat_" + h(32), "sq0atp-" + w(22), "dop_v1_" + h(64), "hvs." + w(90), "dp.pt." + w(43),
            "AGE-SECRET-KEY-1" + w(58, UPPER), "lin_api_" + w(40), "secret_" + w(43), "ntn_" + w(46), "figd_" + w(40),
            "PMAK-" + h(24) + "-" + h(34), "sntrys_" + w(60), "glsa_" + w(32) + "_" + h(8), "NRAK-" + w(27, UPPER),
            "dt0c01." + w(24) + "." + w(64), jwt, f"{self.rng.randrange(10**8, 10**9)}:AA" + w(33),
            "MTk4NjIyNDgzNDcx" + w(8) + "." + w(6) + "." + w(27), "LTAI" + w(20), "sb_secret_" + w(22), "phx_" + w(43),
            "ATATT3xFfGF0" + w(60), "v4.local." + w(80), "rubygems_" + h(48), "pul-" + h(40), "pcsk_" + w(40),
            "jina_" + w(40), "fc-" + h(32), "re_" + w(8) + "_" + w(24), "HRKU-" + w(36),
        ]

    def told(self) -> list[tuple[str, str]]:
        """Texts that give a secret a name, and the secret."""
        forms = [
            "password={}", "Password: {}", "passwd: '{}'", '{{"password":"{}"}}', "{{'passphrase': '{}'}}",
            '{{\\"pwd\\":\\"{}\\"}}', "--password {} -v", "--api-key={}", "PGPASSWORD={} psql", 'export DB_PASSWORD="{}"',
            "api_key: {}", "X-Api-Key: {}", "apiKey={}", "?api_key={}&x=1", "OPENAI_API_KEY={}", "client_secret={}",
            'clientSecret: "{}"', "aws_secret_access_key = {}", "access_token={}", '"refresh_token":"{}"',
            "token={}", "secret: {}", "Authorization: Bearer {}", "authorization={}", "-H 'Authorization: Bearer {}'",
            '"Authorization":"Token {}"', "Proxy-Authorization: Bearer {}", 'headers["Authorization"] = "{}"',
            "Cookie: sid={}; theme=dark", "Set-Cookie: sid={}; Path=/; HttpOnly", '"Cookie":"sid={}"',
            "JSESSIONID={}; x", "PHPSESSID={}", "sessionid={}", "[(b'cookie', b'sid={}')]", '("authorization", "{}")',
            '{{"name":"authorization","value":"{}"}}', '{{"name": "DB_PASSWORD", "value": "{}"}}',
            "<password>{}</password>", "my password is {}.", "the API key is {}", "postgres://user:{}@db:5432/x",
            "redis://:{}@h:6379/0", "mongodb+srv://u:{}@c.example.net/", "amqp://guest:{}@mq//",
            "https://{}@o1.ingest.sentry.example/1", "user:{}@tcp(127.0.0.1:3306)/db",
            "Server=db;User Id=sa;Password={};Encrypt=true", "Uid=sa;Pwd={};", "AccountName=x;AccountKey={};",
            "Endpoint=sb://x/;SharedAccessKey={}", "jdbc:postgresql://h/db?user=u&password={}&ssl=1",
            "https://hooks.slack.com/services/T00/B00/{}", "https://discord.com/api/webhooks/12/{}",
            "https://s3.example/x?X-Amz-Signature={}&a=1", "https://x.blob.example/?sv=1&sig={}&se=1",
            "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN OPENSSH PRIVATE KEY-----\\n{}\\n-----END OPENSSH PRIVATE KEY-----\\n",
            "spring.datasource.password={}", 'password => "{}"', 'password := "{}"', "smtp_pass: {}",
            "//registry.example/:_authToken={}", '{{"auth": "{}"}}', "connection refused (password={})",
            "x-vault-token: {}", "x-amz-security-token={}", "DD_APP_KEY={}", "Ocp-Apim-Subscription-Key: {}",
            "curl -u x --header 'X-Auth-Token: {}'", '"db_password" : "{}"', "MYSQL_PWD={}", "api-key={}",
            "Authorization: Token {}", "secret_key: '{}'", "refreshToken={}", "access-token: {}",
            "laravel_session={}", "private_key='{}'", "signing_key={}", '{{\\\\\\"api_key\\\\\\": \\\\\\"{}\\\\\\"}}',
        ]
        made = []
        for form in forms:
            secret = self.word(20)
            made.append((form.format(secret), secret))
        basic = base64.b64encode(f"user:{self.word(16)}".encode()).decode().rstrip("=")
        made.append((f"Authorization: Basic {basic}==", basic))
        return made

    def names(self) -> list[str]:
        """Keys of attributes whose values are secrets."""
        return [
            "password", "db.password", "user.passwd", "api_key", "apiKey", "llm.api_key", "x-api-key", "OPENAI_API_KEY",
            "http.request.header.authorization", "http.request.header.cookie", "http.response.header.set-cookie",
            "http.request.header.x-api-key", "rpc.grpc.request.metadata.authorization", "client_secret", "clientSecret",
            "aws.secret_access_key", "access_token", "refresh_token", "id_token", "github.token", "session_cookie",
            "credentials", "gcp.credentials", "private_key", "ssh_key", "encryption-key", "passphrase", "smtp.pass",
            "azure.account_key", "http.request.header.x-auth-token", "jwt_token", "connection.pwd", "secret",
            "app.secrets", "webhook_secret", "http.request.header.proxy-authorization", "licenseKey",
            "ai.telemetry.metadata.apiKey", "http.cookie", "hmac_key", "service_key", "bearer", "master.key", "deploy_key",
            "subscription-key", "db_passphrase", "http.request.header.x-csrf-token", "oauth.client.secret", "http.request.header.authorization.0",
        ]


def put(owner: Any, key: str, value: Any) -> None:
    into = owner.add(key=key).value if hasattr(owner, "add") else owner
    if isinstance(value, bytes):
        into.bytes_value = value
    elif isinstance(value, list):
        for item in value:
            into.array_value.values.add().string_value = item
    elif isinstance(value, dict):
        for name, item in value.items():
            put(into.kvlist_value.values, name, item)
    elif isinstance(value, int):
        into.int_value = value
    else:
        into.string_value = value


def a_span(request: ExportTraceServiceRequest, n: int) -> Any:
    """A span of its own resource and scope."""
    scope = request.resource_spans.add().scope_spans.add()
    digest = hashlib.sha256(str(n).encode()).digest()
    return scope.spans.add(trace_id=digest[:16], span_id=digest[16:24], name="work", start_time_unix_nano=START_NS,
                           end_time_unix_nano=START_NS + 1)


def named(text: str) -> str:
    """Where control characters have no business."""
    return text.replace("\n", " ")


SPAN_PLACES: dict[str, Callable[[Any, Any, Any, str], None]] = {
    "name": lambda r, s, span, t: setattr(span, "name", t),
    "attribute": lambda r, s, span, t: put(span.attributes, "note", t),
    "key": lambda r, s, span, t: put(span.attributes, named(t), "x"),
    "array": lambda r, s, span, t: put(span.attributes, "list", ["one", t, "three"]),
    "map": lambda r, s, span, t: put(span.attributes, "map", {"a": "b", "c": t}),
    "deep map": lambda r, s, span, t: put(span.attributes, "map", {"a": {"b": {"c": {"d": t}}}}),
    "bytes": lambda r, s, span, t: put(span.attributes, "raw", t.encode()),
    "JSON": lambda r, s, span, t: put(span.attributes, "gen_ai.tool.call.result", json.dumps({"out": t})),
    "message": lambda r, s, span, t: put(span.attributes, "gen_ai.input.messages", json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": t}]}])),
    "flattened": lambda r, s, span, t: put(span.attributes, "llm.input_messages.0.message.content", t),
    "JSON in JSON": lambda r, s, span, t: put(span.attributes, "input.value", json.dumps({"b": json.dumps({"c": t})})),
    "status": lambda r, s, span, t: setattr(span.status, "message", t),
    "trace state": lambda r, s, span, t: setattr(span, "trace_state", t),
    "event": lambda r, s, span, t: put(span.events.add(name="e", time_unix_nano=START_NS).attributes, "exception.message", t),
    "event name": lambda r, s, span, t: span.events.add(name=t, time_unix_nano=START_NS),
    "link": lambda r, s, span, t: put(span.links.add(trace_id=b"1" * 16, span_id=b"2" * 8).attributes, "note", t),
    "link state": lambda r, s, span, t: span.links.add(trace_id=b"1" * 16, span_id=b"2" * 8, trace_state=t),
    "resource": lambda r, s, span, t: put(r.resource.attributes, "process.command_line", t),
    "arguments": lambda r, s, span, t: put(r.resource.attributes, "process.command_args", ["prog", t]),
    "scope name": lambda r, s, span, t: setattr(s.scope, "name", t),
    "scope version": lambda r, s, span, t: setattr(s.scope, "version", t),
    "scope": lambda r, s, span, t: put(s.scope.attributes, "note", t),
    "schema": lambda r, s, span, t: setattr(r, "schema_url", t),
}


def in_traces(texts: list[str]) -> Iterator[ExportTraceServiceRequest]:
    for place, fill in SPAN_PLACES.items():
        request = ExportTraceServiceRequest()
        for n, text in enumerate(texts):
            span = a_span(request, hash((place, n)))
            resource = request.resource_spans[-1]
            fill(resource, resource.scope_spans[0], span, text)
        yield request


def in_logs(texts: list[str]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add().scope_logs.add()
    for text in texts:
        logs.log_records.add(time_unix_nano=START_NS).body.string_value = text
        put(logs.log_records.add(time_unix_nano=START_NS).body, "", {"message": text})
        put(logs.log_records.add(time_unix_nano=START_NS).attributes, "note", text)
        logs.log_records.add(time_unix_nano=START_NS, severity_text=text)
        logs.log_records.add(time_unix_nano=START_NS, span_id=b"abcdefgh", trace_id=b"1" * 16, event_name=text)
    return request


def in_metrics(texts: list[str]) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    for text in texts:
        metric = scope.metrics.add(name=text, description=text, unit=text)
        put(metric.metadata, "note", text)
        point = metric.sum.data_points.add(time_unix_nano=START_NS, as_int=1)
        put(point.attributes, "note", text)
        put(point.exemplars.add(as_int=1, time_unix_nano=START_NS).filtered_attributes, "note", text)
        metric = scope.metrics.add(name="h")
        put(metric.histogram.data_points.add(time_unix_nano=START_NS).attributes, "note", text)
        put(metric.histogram.data_points[0].exemplars.add(as_int=1).filtered_attributes, "note", text)
    return request


def by_name(names: dict[str, str]) -> ExportTraceServiceRequest:
    """Secrets that nothing but their attribute's key tells from other words."""
    request = ExportTraceServiceRequest()
    for n, (key, secret) in enumerate(names.items()):
        span = a_span(request, n)
        resource = request.resource_spans[-1]
        put(span.attributes, key, secret)
        put(span.attributes, "map", {key: secret})
        put(span.attributes, "arguments", ["--" + key, secret])
        put(span.attributes, "input.value", json.dumps({key: secret, "other": 1}))
        put(span.events.add(name="e").attributes, key, [secret])
        put(span.links.add(trace_id=b"1" * 16, span_id=b"2" * 8).attributes, key, secret.encode())
        put(resource.resource.attributes, key, secret)
        put(resource.scope_spans[0].scope.attributes, key, secret)
    return request


CONFIG = """
admin: {{listen: 127.0.0.1:0}}
otlp: {{http: {{listen: 127.0.0.1:0}}, grpc: {{listen: 127.0.0.1:0}}}}
normalise: {{enabled: true}}
exporters: {{far: {{type: otlp, endpoint: "{endpoint}"}}}}
{more}
"""


def files_of(sidecar: Sidecar) -> Iterator[tuple[str, bytes]]:
    for folder in (sidecar.state_home, sidecar.data_home, sidecar.runtime_home):
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()


def delivered(sidecar: Sidecar) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{sidecar.status()['ports']['admin']}/status") as answer:
        return all(exporter["lag_frames"] == 0 for exporter in json.load(answer)["exporters"])


def test_no_secret_is_kept_anywhere() -> None:
    seed = random.SystemRandom().randrange(2**32)
    make = Maker(seed)
    tokens, told, names = make.tokens(), make.told(), {name: make.word(20) for name in make.names()}
    texts = [f"before {token} after" for token in tokens] + [text for text, _ in told]
    secrets = tokens + [secret for _, secret in told] + list(names.values())
    assert len(set(secrets)) == len(secrets) >= 200
    with OtlpBackend() as backend, Sidecar(config=CONFIG.format(endpoint=backend.http_url, more="")) as sidecar:
        port = port_of(sidecar)
        for request in [*in_traces(texts), by_name(names)]:
            assert post(port, "/v1/traces", request.SerializeToString()).code == 200
        assert post(port, "/v1/logs", in_logs(texts).SerializeToString()).code == 200
        assert post(port, "/v1/metrics", in_metrics(texts).SerializeToString()).code == 200
        wait_until(lambda: delivered(sidecar), 60.0, "all of it delivered")
        places = dict(files_of(sidecar))
        sent = b"".join(request.message.SerializeToString() for request in backend.requests)
        assert len(sent) > 100_000
        places["the backend"] = sent
        found = {(name, secret): data[max(at - 60, 0):at + 60] for name, data in places.items() for secret in secrets
                 if (at := data.find(secret.encode())) >= 0}
        assert sent.count(b"[redacted]") > 20 * len(texts)
        assert Scrape(sidecar)["waybill_redacted_total", {"what": "secret"}] > 30 * len(texts)
    assert not found, (seed, found)


def field(number: int, data: bytes) -> bytes:
    """A length-delimited field of less than 16 384 bytes."""
    size = bytes([len(data)]) if len(data) < 128 else bytes([len(data) & 127 | 128, len(data) >> 7])
    return bytes([number << 3 | 2]) + size + data


def pair(key: str, secret: str, way: str) -> bytes:
    """A KeyValue as no encoder writes it, though all may read it."""
    parts = {"key": field(1, key.encode()), "value": field(2, field(1, secret.encode())), "unknown": field(9, b"x" * 74)}
    return b"".join(parts[part] for part in way.split())


@pytest.mark.parametrize("way", ["value key", "key unknown value", "unknown value key", "value key unknown"])
@pytest.mark.parametrize("place", ["span", "map", "event", "log", "resource", "metric"])
def test_a_key_may_stand_anywhere_beside_its_value(way: str, place: str) -> None:
    secrets = {name: Maker(5).word(20) for name in ("password", "auth.token", "api_key", "x.secret", "cookie")}
    fill = field(9, field(1, b"J" * 70) + field(2, field(1, b"more")))
    pairs = [pair(key, secret, way) for key, secret in secrets.items()]
    ids = field(1, b"1" * 16) + field(2, b"2" * 8)
    inner = {
        "span": b"".join(field(9, p) + fill for p in pairs),
        "map": field(9, field(1, b"m") + field(2, field(6, b"".join(field(1, p) for p in pairs)))) + fill,
        "event": field(11, b"".join(field(3, p) for p in pairs)) + fill,
    }
    resource = field(1, b"".join(field(1, p) for p in pairs) if place == "resource" else b"")
    path, item = "/v1/traces", ids + inner.get(place, b"")
    if place == "log":
        path, item = "/v1/logs", b"".join(field(6, p) for p in pairs)
    if place == "metric":
        point = b"".join(field(7, p) for p in pairs)
        path, item = "/v1/metrics", field(1, b"m") + field(5, field(1, point))
    body = field(1, resource + field(2, field(2, item)))
    with OtlpBackend() as backend, Sidecar(config=CONFIG.format(endpoint=backend.http_url, more="")) as sidecar:
        assert post(port_of(sidecar), path, body).code == 200
        wait_until(lambda: delivered(sidecar), 60.0, "all of it delivered")
        places = {name: data for name, data in files_of(sidecar)}
        places["the backend"] = b"".join(request.message.SerializeToString() for request in backend.requests)
        assert places["the backend"].count(b"[redacted]") == len(secrets)
        assert not [(name, key) for name, data in places.items() for key, secret in secrets.items()
                    if secret.encode() in data]


def one_span(values: dict[str, Any], n: int = 1) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = a_span(request, n)
    for key, value in values.items():
        put(span.attributes, key, value)
    return request


def stored_attributes(sidecar: Sidecar) -> dict[str, Any]:
    (line,) = sidecar.cli("trace", "export", "--all").splitlines()
    traces = json_format.Parse(line, ExportTraceServiceRequest())
    return attributes_of(traces.resource_spans[0].scope_spans[0].spans[0].attributes)


def sent_through(values: dict[str, Any], more: str = "", exporter: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """What the store and a backend have of a span with these attributes."""
    with OtlpBackend() as backend:
        config = CONFIG.format(endpoint=backend.http_url, more=more).replace('"}}', '"' + exporter + "}}")
        with Sidecar(config=config) as sidecar:
            assert post(port_of(sidecar), "/v1/traces", one_span(values).SerializeToString()).code == 200
            (item,) = backend.wait_for("traces", 1)
            wait_until(lambda: delivered(sidecar), 20.0, "delivery")
            return stored_attributes(sidecar), item.attributes


LONG = "Größe " * 60_000  # 360 000 characters, 480 000 bytes
MESSAGES = json.dumps([{"role": "user", "parts": [{"type": "text", "content": LONG}]}], ensure_ascii=False)


@pytest.mark.parametrize("key", ["gen_ai.input.messages", "gen_ai.tool.call.result", "gen_ai.prompt.0.content",
                                 "input.value", "ai.prompt.messages", "langfuse.observation.output"])
def test_content_is_a_preview(key: str) -> None:
    for attributes in sent_through({key: LONG, "other": "y" * 2000}):
        assert len(attributes[key]) == 500
        assert attributes[key][:499] == LONG[:499] and attributes[key][499] == "…"
        assert attributes["waybill.cut." + key] == len(LONG.encode())
        assert attributes["other"] == "y" * 2000
        for other in set(attributes) - {key, "other"}:  # what was made of it
            assert len(str(attributes[other])) <= 500, other


def test_a_preview_of_json_is_json() -> None:
    stored, sent = sent_through({"gen_ai.input.messages": MESSAGES, "gen_ai.operation.name": "chat"})
    assert stored == sent
    text = stored["gen_ai.input.messages"]
    assert len(text) == 500
    assert json.loads(text)[0]["parts"][0]["content"].startswith("Größe Größe")
    assert stored["waybill.cut.gen_ai.input.messages"] == len(MESSAGES.encode())


def test_parts_are_cut_and_what_is_made_of_them_too() -> None:
    parts = {f"llm.input_messages.{n}.message.{what}": value for n in range(9)
             for what, value in (("role", "user"), ("content", str(n) * 400))}
    stored, sent = sent_through({**parts, "openinference.span.kind": "LLM"})
    assert stored == sent
    assert 450 < len(stored["gen_ai.input.messages"]) <= 500
    assert json.loads(stored["gen_ai.input.messages"])[0]["role"] == "user"
    assert stored["llm.input_messages.8.message.content"] == "8" * 400


def test_what_stands_behind_the_cut_is_known_all_the_same() -> None:
    answer = json.dumps({"padding": "x" * 5000, "id": "chatcmpl-1", "service_tier": "flex"})
    for attributes in sent_through({"openinference.span.kind": "LLM", "output.value": answer}):
        assert len(attributes["output.value"]) <= 500
        assert attributes["gen_ai.response.id"] == "chatcmpl-1"
        assert attributes["openai.response.service_tier"] == "flex"


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_what_has_as_many_attributes_as_it_may_is_cut_and_not_lost(signal: str) -> None:
    values = {f"k{n}": n for n in range(1023)} | {"input.value": LONG}
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START_NS)
    for key, value in values.items():
        put(record.attributes, key, value)
    request = one_span(values) if signal == "traces" else logs
    with OtlpBackend() as backend, Sidecar(config=CONFIG.format(endpoint=backend.http_url, more="")) as sidecar:
        assert post(port_of(sidecar), f"/v1/{signal}", request.SerializeToString()).code == 200
        (item,) = backend.wait_for(signal, 1)
        assert len(item.attributes["input.value"]) == 500
        assert item.attributes["waybill.cut.input.value"] == len(LONG.encode())


def test_structured_content_shares_one_preview() -> None:
    stored, sent = sent_through({"gen_ai.tool.call.arguments": {"a": "x" * 300, "b": "y" * 300, "c": "z" * 300}})
    assert stored == sent
    texts = stored["gen_ai.tool.call.arguments"]
    assert texts["a"] == "x" * 300 and texts["b"] == "y" * 199 + "…" and texts["c"] == ""
    assert "waybill.cut.gen_ai.tool.call.arguments" in stored


def test_verbose_shows_200_kib() -> None:
    for attributes in sent_through({"gen_ai.output.messages": LONG}, "redact: {content: verbose}"):
        assert 200 * 1024 - 4 <= len(attributes["gen_ai.output.messages"].encode()) <= 200 * 1024
        assert attributes["gen_ai.output.messages"][:-1] == LONG[:len(attributes["gen_ai.output.messages"]) - 1]
        assert attributes["waybill.cut.gen_ai.output.messages"] == len(LONG.encode())


def test_what_was_cut_before_says_its_first_length() -> None:
    with OtlpBackend() as backend, Sidecar(config=CONFIG.format(endpoint=backend.http_url, more="")) as sidecar:
        request = one_span({"input.value": LONG, "waybill.cut.input.value": 10**6})
        assert post(port_of(sidecar), "/v1/traces", request.SerializeToString()).code == 200
        (item,) = backend.wait_for("traces", 1)
        (said,) = [each for each in item.proto.attributes if each.key == "waybill.cut.input.value"]
        assert said.value.int_value == 10**6


def test_whole_and_none() -> None:
    for attributes in sent_through({"gen_ai.output.messages": LONG}, "redact: {content: whole}"):
        assert attributes["gen_ai.output.messages"] == LONG
    for attributes in sent_through({"gen_ai.output.messages": "short", "input.value": "short", "other": "kept"},
                                   "redact: {content: none}"):
        assert "gen_ai.output.messages" not in attributes and "input.value" not in attributes
        assert attributes["other"] == "kept"


def test_rules_drop_hash_and_cut() -> None:
    values = {"customer.name": "Ada", "customer.id": 7, "user.email": "ada@example.org", "langfuse.user.id": "ada",
              "report": "r" * 600, "other": "ada@example.org"}
    rules = 'redact: {drop: ["customer.*"], hash: [user.email, user.id], cut: [report]}'
    for attributes in sent_through(values, rules):
        assert not [key for key in attributes if key.startswith("customer")]
        assert re.fullmatch("[0-9a-f]{32}", attributes["user.email"])
        assert re.fullmatch("[0-9a-f]{32}", attributes["user.id"])  # made of langfuse.user.id
        assert attributes["report"] == "r" * 499 + "…" and attributes["waybill.cut.report"] == 600
        assert attributes["other"] == "ada@example.org"


def test_secrets_stay_where_nobody_wants_them_masked() -> None:
    token = "ghp_" + Maker(1).word(36)
    for attributes in sent_through({"note": token}, "redact: {secrets: false}"):
        assert attributes["note"] == token


def test_a_cut_leaves_no_half_of_a_secret() -> None:
    token = "ghp_" + Maker(2).word(36)
    text = "x " * 240 + token + " y" * 300
    for attributes in sent_through({"input.value": text}):
        assert token[:12] not in attributes["input.value"]
        assert attributes["waybill.cut.input.value"] == len(text.replace(token, "[redacted]"))


def test_bodies_of_content_events_are_previews_and_other_logs_are_not() -> None:
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add().scope_logs.add()
    event = logs.log_records.add(time_unix_nano=START_NS, event_name="gen_ai.user.message")
    put(event.body, "", {"content": LONG})
    logs.log_records.add(time_unix_nano=START_NS, event_name="gen_ai.choice").body.string_value = LONG
    logs.log_records.add(time_unix_nano=START_NS, event_name="app.report").body.string_value = LONG
    with OtlpBackend() as backend, Sidecar(config=CONFIG.format(endpoint=backend.http_url, more="")) as sidecar:
        assert post(port_of(sidecar), "/v1/logs", request.SerializeToString()).code == 200
        records = backend.wait_for("logs", 3)
        user, choice, report = (record.proto.body for record in records)
        assert len(user.kvlist_value.values[0].value.string_value) == 500
        assert len(choice.string_value) == 500
        assert report.string_value == LONG
        assert records[1].attributes["waybill.cut.body"] == len(LONG.encode())
        assert "waybill.cut.body" not in records[2].attributes


def test_every_way_in() -> None:
    token = "glpat-" + Maker(3).word(20)
    span = one_span({"note": token, "input.value": LONG})
    with OtlpBackend() as backend, Sidecar(config=CONFIG.format(endpoint=backend.http_url, more="")) as sidecar:
        port = port_of(sidecar)
        body = span.SerializeToString()
        assert post(port, "/v1/traces", zipped(body), headers={"Content-Encoding": "gzip"}).code == 200
        as_json = json_format.MessageToDict(span)
        for resource in as_json["resourceSpans"]:
            for key in ("traceId", "spanId"):
                span_json = resource["scopeSpans"][0]["spans"][0]
                span_json[key] = base64.b64decode(span_json[key]).hex()
        assert post(port, "/v1/traces", json.dumps(as_json).encode(),
                    kind="application/json").code == 200
        assert otlp_grpc.export(otlp_grpc.port_of(sidecar), otlp_grpc.TRACES, body).code == grpc.StatusCode.OK
        with contextlib.closing(Asker(sidecar)) as asker:
            assert asker.ask(record=_wire.Record(traces=body)).status == 0
        for item in backend.wait_for("traces", 4):
            assert item.attributes["note"] == "[redacted]"
            assert len(item.attributes["input.value"]) == 500


def test_what_is_said_of_delegations_is_masked() -> None:
    make = Maker(4)
    password, key, quoted = make.word(16), make.word(24), make.word(24)
    url = f"https://agent:{password}@127.0.0.1:1/rpc?api_key={key}"
    with Sidecar(config=CONFIG.format(endpoint="http://127.0.0.1:1", more="")) as sidecar:
        with contextlib.closing(Asker(sidecar)) as asker:
            asked = a_delegate("x", target_url=url)
            assert asker.ask(delegate=asked).status == 0
            settle = _wire.Settle(delegation_id=asked.delegation_id, outcome="failed",
                                  error_type=f"401: Authorization: Bearer {quoted}")
            assert asker.ask(settle=settle).status == 0
        wait_until(lambda: "https://agent:" in sidecar.cli("delegations", "--json", check=False), 20.0, "the delegation's row")
        assert "[redacted]@127.0.0.1:1" in sidecar.cli("delegations", "--json")
        for name, data in [*files_of(sidecar), ("the log", sidecar.log_file.read_bytes())]:
            for secret in (password, key, quoted):
                assert secret.encode() not in data, name


# ---- less for one backend --------------------------------------------------------------------------

TWO = """
admin: {{listen: 127.0.0.1:0}}
otlp: {{http: {{listen: 127.0.0.1:0}}, grpc: {{listen: 127.0.0.1:0}}}}
normalise: {{enabled: true}}
exporters:
  lax: {{type: otlp, endpoint: "{lax}", protocol: {lax_protocol}}}
  strict: {{type: otlp, endpoint: "{strict}", protocol: {strict_protocol}{redact}}}
{more}
"""


def two_backends(lax: OtlpBackend, strict: OtlpBackend, protocol: str, redact: str, more: str = "") -> str:
    def url(backend: OtlpBackend, how: str) -> str:
        return backend.grpc_url if how == "grpc" else backend.http_url

    lax_protocol = "http/protobuf" if protocol == "grpc" else "grpc"
    return TWO.format(lax=url(lax, lax_protocol), lax_protocol=lax_protocol, strict=url(strict, protocol),
                      strict_protocol=protocol, redact=redact and f", redact: {{{redact}}}", more=more)


def everywhere(texts: dict[str, str]) -> tuple[ExportTraceServiceRequest, ExportLogsServiceRequest, ExportMetricsServiceRequest]:
    """Attributes in every place that has some, in all three signals."""
    owners = []
    traces = ExportTraceServiceRequest()
    for n in range(3):
        span = a_span(traces, n)
        resource = traces.resource_spans[-1]
        owners += [span, span.events.add(name="exception"), span.links.add(trace_id=b"1" * 16, span_id=b"2" * 8),
                   resource.resource, resource.scope_spans[0].scope]
    logs = ExportLogsServiceRequest()
    above = logs.resource_logs.add()
    scope = above.scope_logs.add()
    owners += [above.resource, scope.scope, scope.log_records.add(time_unix_nano=START_NS),
               scope.log_records.add(time_unix_nano=START_NS, event_name="gen_ai.user.message")]
    scope.log_records[1].body.string_value = texts.get("input.value", "said")
    metrics = ExportMetricsServiceRequest()
    measured = metrics.resource_metrics.add()
    point = measured.scope_metrics.add().metrics.add(name="m").sum.data_points.add(time_unix_nano=START_NS, as_int=1)
    owners += [measured.resource, measured.scope_metrics[0].scope, point]
    for owner in owners:
        for key, value in texts.items():
            put(owner.attributes, key, value)
    for key, value in texts.items():
        put(point.exemplars.add(as_int=1, time_unix_nano=START_NS).filtered_attributes, key, value)
    return traces, logs, metrics


def post_all(sidecar: Sidecar, texts: dict[str, str]) -> None:
    for path, request in zip(("traces", "logs", "metrics"), everywhere(texts)):
        assert post(port_of(sidecar), f"/v1/{path}", request.SerializeToString()).code == 200


def attribute_sets(backend: OtlpBackend) -> list[dict[str, Any]]:
    """Of every place that `everywhere` filled."""
    found = []
    for item in backend.wait_for("traces", 3):
        span = item.proto
        found += [item.attributes, item.resource, attributes_of(span.events[0].attributes), attributes_of(span.links[0].attributes)]
    for item in backend.wait_for("logs", 2):
        found += [item.attributes, item.resource]
    measured = [item for item in backend.wait_for("metrics", 1) if item.name == "m"]
    for item in measured:
        found += [item.attributes, item.resource]
    assert len(found) >= 3 * 4 + 2 * 2 + 2
    return found


def everything_of(backend: OtlpBackend) -> bytes:
    return b"".join(request.message.SerializeToString() for request in backend.requests)


def in_the_store(sidecar: Sidecar) -> bytes:
    return b"".join(data for path, data in files_of(sidecar) if path.startswith(str(sidecar.store)))


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json", "grpc"])
def test_one_backend_gets_less_than_the_store_and_the_others(protocol: str) -> None:
    texts = {"customer.name": "Ada Lovelace", "user.email": "ada@example.org", "report": "r" * 600,
             "input.value": "Größe " * 70, "kept": "as it is"}
    rules = 'content: preview, preview_characters: 100, drop: ["customer.*"], hash: [user.email], cut: [report]'
    with OtlpBackend() as lax, OtlpBackend() as strict, Sidecar(config=two_backends(lax, strict, protocol, rules)) as sidecar:
        post_all(sidecar, texts)
        for attributes in attribute_sets(lax):
            assert {**attributes, **texts} == attributes
        hashes = set()
        for attributes in attribute_sets(strict):
            assert "customer.name" not in attributes and attributes["kept"] == "as it is"
            assert attributes["report"] == "r" * 99 + "…" and attributes["waybill.cut.report"] == 600
            assert attributes["input.value"] == texts["input.value"][:99] + "…"
            assert attributes["waybill.cut.input.value"] == len(texts["input.value"].encode())
            hashes.add(attributes["user.email"])
        assert len(hashes) == 1 and re.fullmatch("[0-9a-f]{32}", hashes.pop())
        body = next(item.proto.body.string_value for item in strict.items["logs"] if item.proto.event_name)
        assert body == texts["input.value"][:99] + "…"
        wait_until(lambda: delivered(sidecar), 20.0, "delivery")
        for gone in (b"Ada Lovelace", b"ada@example.org"):
            assert gone not in everything_of(strict)
            assert gone in everything_of(lax) and gone in in_the_store(sidecar)
        ids = [(item.trace_id, item.span_id) for item in lax.items["traces"]]
        assert ids == [(item.trace_id, item.span_id) for item in strict.items["traces"]]
        assert not strict.faults and not lax.faults


def test_no_content_for_one_backend() -> None:
    texts = {"gen_ai.input.messages": MESSAGES, "input.value": "what a person said",
             "llm.prompts.0.prompt.text": "more of it", "gen_ai.request.model": "m"}
    with OtlpBackend() as lax, OtlpBackend() as strict, \
            Sidecar(config=two_backends(lax, strict, "http/protobuf", "content: none")) as sidecar:
        post_all(sidecar, texts)
        for attributes in attribute_sets(strict):
            assert attributes["gen_ai.request.model"] == "m"
            assert not [key for key in attributes if "input" in key or "prompts" in key]
        body = next(item.proto.body.string_value for item in strict.items["logs"] if item.proto.event_name)
        assert body == ""
        attribute_sets(lax)
        wait_until(lambda: delivered(sidecar), 20.0, "delivery")
        for gone in (b"Gr\xc3\xb6\xc3\x9fe", b"what a person said"):
            assert gone not in everything_of(strict) and gone in everything_of(lax) and gone in in_the_store(sidecar)


def test_content_none_leaves_no_body_of_what_was_said() -> None:
    with OtlpBackend() as backend:
        config = CONFIG.format(endpoint=backend.http_url, more="redact: {content: none}")
        with Sidecar(config=config) as sidecar:
            post_all(sidecar, {"input.value": "what a person said"})
            assert backend.wait_for("logs", 2)[1].proto.body.string_value == ""
            wait_until(lambda: delivered(sidecar), 20.0, "delivery")
            assert not [path for path, data in files_of(sidecar) if b"what a person said" in data]


def test_the_store_may_have_less_than_a_backend() -> None:
    with OtlpBackend() as backend:
        more = 'store: {redact: {content: none, hash: [user.email], drop: ["customer.*"]}}'
        with Sidecar(config=CONFIG.format(endpoint=backend.http_url, more=more)) as sidecar:
            values = {"user.email": "ada@example.org", "customer.name": "Ada", "input.value": "said", "other": "kept"}
            assert post(port_of(sidecar), "/v1/traces", one_span(values).SerializeToString()).code == 200
            (item,) = backend.wait_for("traces", 1)
            assert {**item.attributes, **values} == item.attributes
            wait_until(lambda: delivered(sidecar), 20.0, "delivery")
            stored = stored_attributes(sidecar)
            assert "customer.name" not in stored and "input.value" not in stored and stored["other"] == "kept"
            assert re.fullmatch("[0-9a-f]{32}", stored["user.email"])


def test_what_would_be_laxer_changes_nothing() -> None:
    with OtlpBackend() as lax, OtlpBackend() as strict:
        config = two_backends(lax, strict, "http/protobuf", "content: verbose, preview_characters: 5000",
                              "redact: {preview_characters: 50}")
        with Sidecar(config=config) as sidecar:
            request = one_span({"input.value": LONG})
            assert post(port_of(sidecar), "/v1/traces", request.SerializeToString()).code == 200
            (one,), (other,) = lax.wait_for("traces", 1), strict.wait_for("traces", 1)
            assert one.proto == other.proto
            assert len(other.attributes["input.value"]) == 50


def test_additions_come_behind_and_rules_that_keep_before() -> None:
    with OtlpBackend() as lax, OtlpBackend() as strict:
        rules = 'drop: [team, error.type]}, attributes: [team=ours], sampling: {ratio: "0", keep: [over_budget]}, hold: "0", markers: true, x: {'
        config = two_backends(lax, strict, "http/protobuf", rules).replace(", x: {}", "")
        with Sidecar(config=config) as sidecar:
            for n, values in enumerate(({"team": "theirs"}, {"team": "theirs", "error.type": "budget"})):
                assert post(port_of(sidecar), "/v1/traces", one_span(values, n).SerializeToString()).code == 200
            wait_until(lambda: delivered(sidecar), 20.0, "delivery")
            (item,) = strict.wait_for("traces", 1)
            assert item.attributes["team"] == "ours" and "error.type" not in item.attributes
            assert [each.attributes["team"] for each in lax.wait_for("traces", 2)] == ["theirs"] * 2


def test_a_reload_makes_it_stricter() -> None:
    texts = {"customer.name": "Ada Lovelace", "kept": "as it is"}
    with OtlpBackend() as lax, OtlpBackend() as strict:
        with Sidecar(config=two_backends(lax, strict, "grpc", "")) as sidecar:
            def customers(backend: OtlpBackend) -> list[str | None]:
                count = len(backend.items["traces"]) + 1
                assert post(port_of(sidecar), "/v1/traces", one_span(texts, count).SerializeToString()).code == 200
                return [item.attributes.get("customer.name") for item in backend.wait_for("traces", count)]

            assert customers(strict) == ["Ada Lovelace"]
            for redact, expected in (('drop: ["customer.*"]', [None]), ("", ["Ada Lovelace"])):
                sidecar.config_file.write_text(two_backends(lax, strict, "grpc", redact))
                assert json.loads(sidecar.cli("reload", "--json"))["needs_restart"] == []
                assert customers(strict)[-1:] == expected
            wait_until(lambda: delivered(sidecar), 20.0, "delivery")
            rules = 'store: {redact: {drop: ["customer.*"]}}'
            sidecar.config_file.write_text(two_backends(lax, strict, "http/protobuf", "", rules))
            assert json.loads(sidecar.cli("reload", "--json"))["needs_restart"] == ["exporters"]  # its protocol is another
            customers(lax)
            wait_until(lambda: delivered(sidecar), 20.0, "delivery")
            stored = [attributes_of(span.attributes) for line in sidecar.cli("trace", "export", "--all").splitlines()
                      for above in json_format.Parse(line, ExportTraceServiceRequest()).resource_spans
                      for span in above.scope_spans[0].spans]
            assert [each["kept"] for each in stored] == ["as it is"] * 4
            assert sorted(each.get("customer.name", "") for each in stored) == ["", *["Ada Lovelace"] * 3]
            sidecar.config_file.write_text(two_backends(lax, strict, "grpc", "preview_characters: 7"))
            answer = json.loads(sidecar.cli("reload", "--json", check=False))
            assert "exporters.strict.redact.preview_characters" in answer["problems"][0], answer


def test_what_waits_for_a_backend_goes_by_the_rules_of_a_reload() -> None:
    with OtlpBackend() as lax, OtlpBackend() as strict:
        strict.stop()
        with Sidecar(config=two_backends(lax, strict, "http/protobuf", "")) as sidecar:
            values = {"customer.name": "Ada Lovelace", "kept": "as it is"}
            assert post(port_of(sidecar), "/v1/traces", one_span(values).SerializeToString()).code == 200
            wait_until(lambda: 'exporter="strict"' in sidecar.log() and "delivery.unavailable" in sidecar.log(), 20.0, "an outage")
            sidecar.config_file.write_text(two_backends(lax, strict, "http/protobuf", 'drop: ["customer.*"]'))
            assert json.loads(sidecar.cli("reload", "--json"))["needs_restart"] == []
            strict.start()
            (item,) = strict.wait_for("traces", 1)
            assert item.attributes["kept"] == "as it is" and "customer.name" not in item.attributes
            wait_until(lambda: delivered(sidecar), 20.0, "delivery")
            assert len(strict.items["traces"]) == 1
            assert b"Lovelace" not in everything_of(strict) and b"Lovelace" in everything_of(lax)
