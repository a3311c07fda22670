# SPDX-License-Identifier: Apache-2.0
"""Who may send OTLP over TCP: the agent's users without anything, others with the bearer or a certificate;
and what of this is an error of the configuration."""

from __future__ import annotations

import json
import os
import pathlib
import select
import socket
import ssl
import subprocess
import warnings

import pytest
from authority import Issued, Pki
from metrics import Scrape
from otlp_http import Wire, port_of, post, stored_names, traces
from users import as_user, needs_root
from waybill_testkit import Sidecar, find_program, free_port, is_sanitized, wait_until

TOKEN = "dGhlIHNlY3JldCBvZiB0aGUgYWdlbnQ"
SIDECAR, AGENT, STRANGER, GROUP = 4201, 4202, 4204, 4200
HTTP = "otlp: {http: {listen: 127.0.0.1:0}}\n"


def bearer_file(folder: pathlib.Path, mode: int = 0o600, text: str = TOKEN + "\n") -> pathlib.Path:
    path = folder / "bearer"
    path.write_text(text)
    path.chmod(mode)
    return path


def send(port: int, headers: dict | None = None, name: str = "x", host: str = "127.0.0.1") -> int:
    with Wire(port, host) as wire:
        return wire.post("/v1/traces", traces([name]).SerializeToString(), headers=headers or {}).code


def with_bearer(token: str = TOKEN, scheme: str = "Bearer") -> dict:
    return {"Authorization": f"{scheme} {token}"}


# -- users -----------------------------------------------------------------------------------------


@needs_root
def test_another_user_needs_the_bearer(tmp_path):
    config = f"otlp: {{http: {{listen: 127.0.0.1:0}}, bearer_file: {bearer_file(tmp_path)}}}\n"
    with Sidecar("owned", config=config) as sidecar:
        port = port_of(sidecar)
        assert send(port, name="own") == 200
        assert as_user(STRANGER, lambda: send(port, name="other")) == 401
        assert as_user(STRANGER, lambda: send(port, with_bearer(), "with")) == 200
        for wrong in (with_bearer(TOKEN[:-1]), with_bearer(TOKEN + "x"), with_bearer(""),
                      with_bearer(scheme="Basic"), {"Authorization": TOKEN}):
            assert as_user(STRANGER, lambda wrong=wrong: send(port, wrong)) == 401
        assert as_user(STRANGER, lambda: send(port, with_bearer(scheme="bearer"), "case")) == 200
        wait_until(lambda: set(stored_names(sidecar)) == {"own", "with", "case"}, 20, "stored")
        log = sidecar.log()
        assert "otlp.denied" in log and f"peer_uid=\"{STRANGER}\"" in log and TOKEN not in log


@needs_root
def test_without_a_bearer_other_users_are_told_what_they_can_do():
    with Sidecar("alone", config=HTTP) as sidecar:
        port = port_of(sidecar)

        def ask():
            answer = post(port, "/v1/traces", b"", kind="application/json")
            return [answer.code, answer.headers.get("www-authenticate"), answer.body.decode()]

        code, challenge, body = as_user(STRANGER, ask)
        assert (code, challenge) == (401, "Bearer")
        assert "ipc.allow_uids" in body and "otlp.bearer_file" in body
        assert as_user(STRANGER, lambda: send(port, with_bearer())) == 401
        checks = sidecar.cli("doctor", check=False)
        assert "2 requests of those who may not send" in checks


@needs_root
def test_a_split_sidecar_takes_the_agents_user_and_not_its_own():
    config = HTTP + f"ipc: {{allow_uids: [{AGENT}], group: '{GROUP}'}}\n"
    with Sidecar("apart", config=config, user=SIDECAR, groups=[GROUP]) as sidecar:
        port = port_of(sidecar)
        assert as_user(AGENT, lambda: send(port)) == 200
        assert as_user(SIDECAR, lambda: send(port)) == 401
        assert as_user(STRANGER, lambda: send(port)) == 401
        assert send(port) == 401  # root is nobody special


@needs_root
def test_who_closes_at_once_does_not_pass_for_root():
    """Of a socket that is closed the kernel says uid 0: here the agent's."""
    with Sidecar("root", config=HTTP) as sidecar:
        port = port_of(sidecar)

        def hit_and_run():
            for i in range(200):
                with Wire(port) as wire:
                    body = traces([f"ghost {i}"]).SerializeToString()
                    head = f"POST /v1/traces HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
                    wire.send(head.encode() + body)

        as_user(STRANGER, hit_and_run)
        assert send(port, name="mine") == 200
        wait_until(lambda: "mine" in stored_names(sidecar), 20, "stored")
        assert stored_names(sidecar) == ["mine"]


@needs_root
def test_strangers_cannot_take_all_places():
    with Sidecar("crowded", config=HTTP) as sidecar:
        port = port_of(sidecar)

        def crowd():
            wires = [Wire(port) for _ in range(100)]
            refused = set()
            for _ in range(50):
                left = [wire.socket for wire in wires if wire.socket not in refused]
                refused |= set(select.select(left, [], [], 0.2)[0])  # an end to read
                if len(refused) == 68:
                    break
            return len(refused)

        assert as_user(STRANGER, crowd) == 68  # 32 may stay
        assert send(port) == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@needs_root
def test_ipv6_loopback_knows_users_too():
    with Sidecar("six", config="otlp: {http: {listen: '[::1]:0'}}\n") as sidecar:
        port = port_of(sidecar)
        assert send(port, host="::1") == 200
        assert as_user(STRANGER, lambda: send(port, host="::1")) == 401


@needs_root
def test_a_socket_for_both_families_knows_users(tmp_path):
    config = f"otlp: {{http: {{listen: '[::]:0'}}, bearer_file: {bearer_file(tmp_path)}}}\n"
    with Sidecar("both", config=config) as sidecar:
        port = port_of(sidecar)
        for host in ("127.0.0.1", "::1"):
            assert send(port, host=host) == 200
            assert as_user(STRANGER, lambda host=host: send(port, host=host)) == 401
        assert "otlp.clear_bearer" in sidecar.log()


def own_address() -> str:
    """An address of this machine that is not loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def test_where_the_kernel_names_nobody_everybody_needs_the_bearer(tmp_path):
    if is_sanitized(find_program("waybilld")):
        return  # nothing is preloaded before a sanitizer
    config = f"otlp: {{http: {{listen: 127.0.0.1:0}}, bearer_file: {bearer_file(tmp_path)}}}\n"
    env = {"LD_PRELOAD": str(find_program("waybilld").parent / "no_netlink.so")}
    with Sidecar("blind", config=config, env=env) as sidecar:
        port = port_of(sidecar)
        assert send(port) == 401
        assert send(port, with_bearer()) == 200
        assert "otlp.users_unknown" in sidecar.log()


@needs_root
def test_a_reload_takes_a_new_bearer_and_keeps_the_old_one_where_it_is_broken(tmp_path):
    path = bearer_file(tmp_path)
    config = f"otlp: {{http: {{listen: 127.0.0.1:0}}, bearer_file: {path}}}\n"
    with Sidecar("rotated", config=config) as sidecar:
        port = port_of(sidecar)

        def codes() -> list[int]:
            return [as_user(STRANGER, lambda t=t: send(port, with_bearer(t))) for t in (TOKEN, "second")]

        assert codes() == [200, 401]
        path.unlink()
        bearer_file(tmp_path, text="second\n")  # another file of that name
        sidecar.cli("reload")
        assert codes() == [401, 200]
        path.write_text("")
        done = sidecar.cli("reload", check=False)
        assert "otlp.bearer_file" in done and "what was there before holds" in done
        assert codes() == [401, 200]
        assert "otlp.bearer_file" in sidecar.log() and "is empty" in sidecar.log()
        for text in ("a b\n", "a\nb\n", "caf\u00e9\n"):
            path.write_text(text)
            assert "is none of a header" in sidecar.cli("reload", check=False)
            assert codes() == [401, 200]


def reload_problems(sidecar: Sidecar) -> float:
    return Scrape(sidecar)["waybill_reload_problems"]


def test_a_bearer_that_no_reload_could_read_is_said_until_one_can(tmp_path):
    path = bearer_file(tmp_path)
    config = f"admin: {{listen: 127.0.0.1:0}}\notlp: {{http: {{listen: 127.0.0.1:0}}, bearer_file: {path}}}\n"
    with Sidecar("unread", config=config) as sidecar:
        assert reload_problems(sidecar) == 0
        path.chmod(0o644)
        sidecar.cli("reload", check=False)
        for said in (sidecar.cli("status"), sidecar.cli("doctor", check=False)):
            assert f"otlp: otlp.bearer_file: others can read {path}" in said, said
        assert reload_problems(sidecar) == 1
        wait_until(lambda: Scrape(sidecar)["waybill_reload_generation"] > 3, 20, "tried again")
        assert reload_problems(sidecar) == 1
        assert sidecar.log().count("others can read") == 1  # it was said
        path.chmod(0o600)
        assert "others can read" not in sidecar.cli("reload")
        assert "others can read" not in sidecar.cli("status") + sidecar.cli("doctor", check=False)
        assert reload_problems(sidecar) == 0


def test_a_bearer_that_heals_is_taken_by_itself(tmp_path):
    path = bearer_file(tmp_path)
    config = f"admin: {{listen: 127.0.0.1:0}}\notlp: {{http: {{listen: 127.0.0.1:0}}, bearer_file: {path}}}\n"
    with Sidecar("healed", config=config) as sidecar:
        port = port_of(sidecar)
        path.unlink()
        sidecar.cli("reload", check=False)
        assert reload_problems(sidecar) == 1
        bearer_file(tmp_path, text="second\n")
        wait_until(lambda: reload_problems(sidecar) == 0, 30, "read again")
        assert as_user(STRANGER, lambda: send(port, with_bearer("second"))) == 200


def test_beyond_loopback_everybody_needs_the_bearer(tmp_path):
    config = f"otlp: {{http: {{listen: '0.0.0.0:0'}}, bearer_file: {bearer_file(tmp_path)}}}\n"
    with Sidecar("far", config=config) as sidecar:
        port, host = port_of(sidecar), own_address()
        assert send(port) == 200  # loopback, and our user
        assert send(port, host=host) == 401
        assert send(port, with_bearer(), host=host) == 200


def test_a_browser_needs_the_bearer_whoever_runs_it(tmp_path):
    config = f"otlp: {{http: {{listen: 127.0.0.1:0}}, bearer_file: {bearer_file(tmp_path)}}}\n"
    with Sidecar("web", config=config) as sidecar:
        port = port_of(sidecar)
        assert send(port, {"Origin": "http://evil.example"}) == 401
        assert send(port, {"Origin": "null"}) == 401
        assert send(port, {"Origin": "http://localhost", **with_bearer()}) == 200


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def tls_config(pki: Pki, more: str = "") -> str:
    tls = pki.issued["server"].settings() | {"client_ca_file": str(pki.ours.file)}
    return (f"otlp:\n  http: {{listen: '0.0.0.0:0'}}\n  grpc: {{listen: 'off'}}\n{more}"
            f"  tls: {json.dumps(tls)}\n")


def send_tls(port: int, pki: Pki, client: str | None, headers: dict | None = None, host="127.0.0.1"):
    context = ssl.create_default_context(cafile=str(pki.ours.file))
    context.check_hostname = host == "127.0.0.1"
    if client:
        context.load_cert_chain(*pki.issued[client])
    with Wire(port, host) as wire:
        wire.socket = context.wrap_socket(wire.socket, server_hostname=host)
        answer = wire.post("/v1/traces", traces([f"tls {client}"]).SerializeToString(), headers=headers or {})
        return answer.code


def test_tls_with_a_clients_certificate_or_the_bearer(pki, tmp_path):
    config = tls_config(pki, f"  bearer_file: {bearer_file(tmp_path)}\n")
    with Sidecar("tls", config=config) as sidecar:
        port, host = port_of(sidecar), own_address()
        assert send_tls(port, pki, None) == 200  # loopback, and our user
        assert send_tls(port, pki, None, host=host) == 401
        assert send_tls(port, pki, "client", host=host) == 200
        assert send_tls(port, pki, None, with_bearer(), host=host) == 200
        assert send_tls(port, pki, "of_a_client", host=host) == 200
        for name in ("stranger", "of_a_server", "expired"):
            assert send_tls(port, pki, name, host=host) == 401
        with Wire(port) as plain:  # TLS only
            plain.send(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            with pytest.raises((EOFError, ConnectionError, ValueError, IndexError)):
                plain.answer()
        assert "(TLS)" in sidecar.cli("status")
        assert "otlp.clear_bearer" not in sidecar.log()


def test_tls_begins_with_1_2(pki):
    with Sidecar("tls", config=tls_config(pki)) as sidecar:
        for version, works in ((ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False),
                               (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            with warnings.catch_warnings(), Wire(port_of(sidecar)) as wire:
                warnings.simplefilter("ignore", DeprecationWarning)
                context = ssl.create_default_context(cafile=str(pki.ours.file))
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = version
                if works:
                    context.wrap_socket(wire.socket, server_hostname="127.0.0.1").close()
                else:
                    with pytest.raises((ssl.SSLError, ConnectionError)):
                        context.wrap_socket(wire.socket, server_hostname="127.0.0.1")


def test_a_certificate_out_of_its_time_is_said(pki):
    def config(issued: Issued) -> str:
        return ("otlp: {http: {listen: 127.0.0.1:0}, grpc: {listen: 'off'}, tls: "
                f"{json.dumps(issued.settings())}}}\n")

    with Sidecar("expired", config=config(pki.issued["expired"])) as sidecar:
        assert "otlp.certificate" in sidecar.log() and 'certificate="expired"' in sidecar.log()
        assert "its certificate is expired since" in sidecar.cli("doctor", check=False)
    with Sidecar("expiring", config=config(pki.ours.issue("expiring", days=3 / 86400))) as sidecar:
        wait_until(lambda: "otlp.certificate" in sidecar.log(), 20, "it expired meanwhile")
    with Sidecar("good", config=config(pki.issued["server"])) as sidecar:
        assert "its certificate" not in sidecar.cli("doctor", check=False)
        assert "otlp.certificate" not in sidecar.log()


# -- the configuration -----------------------------------------------------------------------------


def start_fails(config: str, says: str) -> None:
    sidecar = Sidecar("wrong", config=config)
    try:
        sidecar.start(wait=False)
        assert sidecar.process.wait(20) == 78, sidecar.log()
        assert says in sidecar.log(), sidecar.log()
    finally:
        sidecar.close()


@pytest.mark.parametrize("listen", ["0.0.0.0:4318", "[::]:4318", "192.0.2.7:4318"])
def test_beyond_loopback_without_a_secret_is_an_error(listen):
    start_fails(f"otlp: {{http: {{listen: '{listen}'}}}}\n", "set otlp.bearer_file or otlp.tls.client_ca_file")


def test_a_bearer_that_others_can_read_is_an_error(tmp_path):
    path = bearer_file(tmp_path, 0o644)
    start_fails(f"otlp: {{bearer_file: {path}}}\n", f"otlp.bearer_file: others can read {path}")


@pytest.mark.parametrize("text, says", [("", "is empty"), (" \n", "is empty"), (None, "No such file")])
def test_a_bearer_that_is_none_is_an_error(tmp_path, text, says):
    path = tmp_path / "bearer"
    if text is not None:
        bearer_file(tmp_path, text=text)
    start_fails(f"otlp: {{bearer_file: {path}}}\n", says)


def test_certificates_that_cannot_be_used_are_an_error(pki, tmp_path):
    http = "http: {listen: 127.0.0.1:0}, grpc: {listen: 'off'}"
    cert, key = pki.issued["server"]
    start_fails(f"otlp: {{{http}, tls: {{cert_file: {cert}}}}}\n", "belong together")
    start_fails(f"otlp: {{{http}, tls: {{client_ca_file: {cert}}}}}\n", "needs otlp.tls.cert_file")
    other = pki.issued["client"].key
    start_fails(f"otlp: {{{http}, tls: {{cert_file: {cert}, key_file: {other}}}}}\n", "another certificate")
    bad = tmp_path / "bad.crt"
    bad.write_text("no PEM")
    start_fails(f"otlp: {{{http}, tls: {{cert_file: {bad}, key_file: {key}}}}}\n", "not PEM")


def test_check_says_it_without_a_start(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("otlp: {http: {listen: somewhere:4318}}\n")
    done = subprocess.run(
        [str(find_program("waybilld")), "--name", "c", "--config", str(config), "--check"],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert done.returncode == 78 and 'otlp.http.listen: "somewhere:4318"' in done.stderr


def test_variables_set_the_rows():
    port = free_port()
    with Sidecar("vars", env={"WAYBILL_OTLP_HTTP_LISTEN": f"127.0.0.1:{port}"}) as sidecar:
        assert port_of(sidecar) == port and send(port) == 200
