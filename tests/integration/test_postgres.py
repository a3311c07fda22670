# SPDX-License-Identifier: Apache-2.0
"""A sidecar whose store is a real Postgres: what arrives, what is read back, and every way in which a
server goes away. Each outage ends with the same question: is every acknowledged span there, once?"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from agents import Asker
from authority import Authority
from cli_store import clean_env, filled_store
from postgres import Cluster, CuttingProxy, Database, PgBouncer, program, server_user
from test_delivery import exporter, record, report
from waybill_testkit import ROOT, Sidecar, find_program, is_sanitized, wait_until

from waybill import _otlp, _wire
from waybill._wire import Status

sys.path.insert(0, str(ROOT / "tests" / "fault"))
from weather import Weather  # noqa: E402

_names = iter(range(1 << 30))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        yield made


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """For tests that stop it."""
    with Cluster() as made:
        yield made


@contextlib.contextmanager
def a_store(cluster: Cluster) -> Iterator[Database]:
    """A migrated database."""
    with cluster.database(f"store_{next(_names)}") as made:
        waybill("store", "migrate", "--store", made.owner)
        yield made


@pytest.fixture
def store(cluster: Cluster) -> Iterator[Database]:
    with a_store(cluster) as made:
        yield made


def run_waybill(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(find_program("waybill")), *args], env=clean_env(**env), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, check=False)


def waybill(*args: str, **env: str) -> str:
    done = run_waybill(*args, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def config(url: str, extra: str = "") -> str:
    return f'store:\n  type: postgres\n  postgres:\n    url: "{url}"\n{extra}'


def send(sidecar: Sidecar, count: int = 1, batches: int = 1) -> int:
    """Acknowledged spans."""
    asker = Asker(sidecar)
    for _ in range(batches):
        answer = asker.ask(record=record(count))
        assert answer.status == Status.OK, answer
    asker.close()
    return count * batches


def holds(store: Database, count: int, timeout_s: float = 30) -> None:
    """All are there, once; totals agree; and nothing more comes."""
    wait_until(lambda: store.count("spans") >= count, timeout_s, f"{count} spans")
    assert store.count("spans") == count
    assert int(store.value("SELECT coalesce(sum(span_count), 0) FROM waybill.trace_parts")) == count


def trouble(sidecar: Sidecar, name: str = "postgres") -> str:
    return exporter(sidecar, name).get("last_error") or ""


# ---- the way there and back ------------------------------------------------------------------------


def test_a_store_that_may_have_less_gets_less(store: Database):
    rules = "  redact: {drop: [pad], hash: [service.*]}\n"
    with Sidecar(config=config(store.writer, rules)) as sidecar:
        sent = send(sidecar, 3, 2)
        holds(store, sent)
        exported = waybill("trace", "export", "--all", "--store", store.reader)
        assert exported.count('"work"') == sent and "xxx" not in exported and '"pad"' not in exported
        assert exported.count('"service.name"') == len(re.findall('"service.name","value":{"stringValue":"[0-9a-f]{32}"}', exported)) > 0


def test_spans_arrive_and_are_read_back(store: Database):
    with Sidecar(config=config(store.writer) + "sandbox: auto\n") as sidecar:
        sent = send(sidecar, 3, 4)
        holds(store, sent)
        assert report(sidecar)["sandbox"]["refused_calls"] == 0
        # status.json names the store, so the command line finds it; the writer may not read it
        assert sidecar.status()["store"] == store.writer
        listed = json.loads(waybill("trace", "list", "--json", "--store", store.reader))
        assert len(listed) == sent
        shown = waybill("trace", "show", listed[0]["trace_id"], WAYBILL_STORE=store.reader)
        assert "work" in shown


def test_over_a_unix_socket_out_of_the_sandbox(cluster: Cluster, store: Database):
    with Sidecar(config=config(cluster.socket_url(store.name, "waybill_writer"))) as sidecar:
        holds(store, send(sidecar, 2))
        assert report(sidecar)["sandbox"]["refused_calls"] == 0


def test_beside_the_default_store(store: Database):
    text = f'exporters:\n  team:\n    type: postgres\n    url: "{store.writer}"\n'
    with Sidecar(config=text) as sidecar:
        sent = send(sidecar, 5)
        holds(store, sent)
        assert exporter(sidecar, "team")["type"] == "postgres"
        wait_until(lambda: sidecar.store.exists(), what="the file beside it")


READS = [
    ("trace", "list"),
    ("trace", "list", "--status", "error"),
    ("trace", "list", "--agent", "writer"),
    ("trace", "list", "--limit", "2", "--json"),
    ("delegations",),
    ("delegations", "--json"),
    *((("trace", "show", f"{n:032x}")) for n in range(1, 9)),
    ("trace", "show", "1" * 32),
    ("trace", "export", f"{1:032x}"),
    ("trace", "export", f"{8:032x}", "--format", "otlp-json"),
]


def test_what_is_read_is_what_sqlite_gives(store: Database):
    with filled_store() as file:
        subprocess.run([str(find_program("store_fill")), store.writer], check=True)
        for words in READS:
            one = run_waybill(*words, "--store", str(file))
            other = run_waybill(*words, "--store", store.reader)
            assert (one.returncode, one.stdout) == (other.returncode, other.stdout), words
        one, other = (json.loads(waybill("agents", "--json", "--since", "3650d", "--store", name))
                      for name in (str(file), store.reader))
        for agents in (one, other):
            for agent in agents:
                for key in list(agent):
                    if "seen" in key:
                        del agent[key]
        assert sorted(one, key=str) == sorted(other, key=str)


def test_tail_follows_it(store: Database):
    with Sidecar(config=config(store.writer)) as sidecar:
        holds(store, send(sidecar, 2))
        with subprocess.Popen([str(find_program("waybill")), "tail", "--json", "--store", store.reader],
                              env=clean_env(), stdout=subprocess.PIPE, text=True) as tail:
            lines: list[str] = []
            reader = threading.Thread(target=lambda: lines.extend(iter(tail.stdout.readline, "")))
            reader.start()
            sent = 2
            for _ in range(30):  # what was sent before it looked does not count
                sent += send(sidecar, 1)
                if len(lines) >= 5:
                    break
                time.sleep(0.2)
            tail.terminate()
            reader.join(10)
        ids = [json.loads(line)["span_id"] for line in lines if "span_id" in line]
        assert len(ids) >= 5 and len(set(ids)) == len(ids)


def test_a_connection_that_is_idle_is_given_up(store: Database):
    def sessions() -> str:
        return store.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'waybill_writer'"
                           " AND datname = current_database()")

    with Sidecar(config=config(store.writer, "    idle_timeout: 1s\n")) as sidecar:
        holds(store, send(sidecar, 1))
        wait_until(lambda: sessions() == "0", 30, "no session")
        send(sidecar, 1)
        holds(store, 2)
        assert exporter(sidecar, "postgres")["failed_sends"] == 0


# ---- outages ---------------------------------------------------------------------------------------


def test_a_server_that_is_away_for_long_loses_nothing(own_cluster: Cluster):
    with a_store(own_cluster) as store, Sidecar(config=config(store.writer)) as sidecar:
        sent = send(sidecar, 10)
        holds(store, sent)
        own_cluster.stop()
        sent += send(sidecar, 50, 40)
        wait_until(lambda: "refused" in trouble(sidecar), what="the reason")
        sidecar.restart()
        sent += send(sidecar, 10)
        own_cluster.start()
        holds(store, sent, 90)
        own_cluster.stop(signal.SIGQUIT)  # a crash
        own_cluster.start()
        sent += send(sidecar, 10)
        holds(store, sent, 90)


def test_a_slow_server_is_waited_for_up_to_the_timeout(store: Database):
    store.sql("CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS"
              " $$ BEGIN PERFORM pg_sleep(0.04); RETURN NEW; END $$;"
              " CREATE TRIGGER slow BEFORE INSERT ON waybill.trace_windows FOR EACH ROW"
              " EXECUTE FUNCTION public.slow()")
    with Sidecar(config=config(store.writer)) as sidecar:
        sent = send(sidecar, 20, 16)  # 13 s of it: more than one send is given
        holds(store, sent, 90)


def test_a_lock_is_waited_out(store: Database):
    with Sidecar(config=config(store.writer)) as sidecar:
        sent = send(sidecar, 1)
        holds(store, sent)
        with subprocess.Popen([program("psql"), "-Xq", store.cluster.url(store.name)], stdin=subprocess.PIPE,
                              text=True) as other:
            other.stdin.write("BEGIN; LOCK TABLE waybill.trace_windows; SELECT 1;\n")
            other.stdin.flush()
            wait_until(lambda: store.value("SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
                                           " AND relation = 'waybill.trace_windows'::regclass") == "1",
                       what="the lock")
            sent += send(sidecar, 3)
            wait_until(lambda: trouble(sidecar), 60, "a failed send")
            assert "57014" in trouble(sidecar) or "55P03" in trouble(sidecar) or "answer" in trouble(sidecar)
            other.stdin.write("ROLLBACK;\n")
            other.stdin.close()
        holds(store, sent, 60)


def test_connections_that_are_reset_within_a_copy(store: Database):
    proxy = CuttingProxy(store.cluster.port)
    url = store.cluster.url(store.name, "waybill_writer", proxy.port)
    with Sidecar(config=config(url)) as sidecar:
        sent = send(sidecar, 1)
        holds(store, sent)
        for limit in (20000, 60000, 120000):
            proxy.limit = limit
            cuts = proxy.cuts
            sent += send(sidecar, 100, 5)  # some 150 KB: the cut lies within it
            wait_until(lambda: proxy.cuts > cuts + 1, 30, "cuts")
            proxy.limit = None
            holds(store, sent, 60)
    proxy.close()


def test_a_full_disk_at_the_server():
    """A real server, under whose data files every write fails as on a full disk."""
    if is_sanitized(find_program("waybilld")):
        return  # nor is the shim of this build preloaded to a server that is not
    folder = pathlib.Path(f"/tmp/wb-weather-{os.getpid()}")
    folder.mkdir()
    try:
        weather = Weather(folder)
        user = server_user()
        if user:
            shutil.chown(weather.path, user)
        with Cluster(env=weather.env) as cluster, a_store(cluster) as store:
            with Sidecar(config=config(store.writer)) as sidecar:
                sent = send(sidecar, 10)
                holds(store, sent)
                with weather.fault("write", "resize", path="base/", error=errno.ENOSPC):
                    sent += send(sidecar, 200, 20)
                    wait_until(lambda: "53100" in trouble(sidecar), 60, "the full disk's words")
                    assert "make room" in trouble(sidecar)
                holds(store, sent, 90)
    finally:
        shutil.rmtree(folder)


def test_a_right_that_is_lost_and_given_back(store: Database):
    with Sidecar(config=config(store.writer)) as sidecar:
        sent = send(sidecar, 2)
        holds(store, sent)
        store.sql("REVOKE ALL ON ALL TABLES IN SCHEMA waybill FROM waybill_writer")
        sent += send(sidecar, 5)
        wait_until(lambda: "42501" in trouble(sidecar), what="the reason")
        assert "waybill store migrate" in trouble(sidecar)
        assert "waybill store migrate" in sidecar.cli("status")
        waybill("store", "migrate", "--store", store.owner)
        holds(store, sent, 60)
        assert exporter(sidecar, "postgres")["parked_records"] == 0


def test_the_schema_comes_later(cluster: Cluster):
    with cluster.database(f"store_{next(_names)}") as store, Sidecar(config=config(store.writer)) as sidecar:
        sent = send(sidecar, 5)
        wait_until(lambda: "waybill store migrate" in trouble(sidecar), what="the command")
        waybill("store", "migrate", "--store", store.owner)
        holds(store, sent, 60)


def test_a_newer_schema_is_left_alone(store: Database):
    store.sql("INSERT INTO waybill.migrations VALUES (99, '0099_next', 99, now(), '9.9.9')")
    with Sidecar(config=config(store.writer)) as sidecar:
        sent = send(sidecar, 5)
        wait_until(lambda: "upgrade it" in trouble(sidecar), what="the reason")
        assert store.count("spans") == 0
        done = run_waybill("store", "migrate", "--store", store.owner)
        assert done.returncode == 1 and "upgrade it" in done.stderr
        done = run_waybill("trace", "list", "--store", store.reader)
        assert done.returncode == 3 and "upgrade it" in done.stderr
        store.sql("UPDATE waybill.migrations SET compatible_with = 1 WHERE version = 99")
        holds(store, sent, 60)  # N and N+1 on one schema
        assert waybill("trace", "list", "--store", store.reader)
        assert json.loads(waybill("store", "migrate", "--json", "--store", store.owner))["applied"] == []


# ---- kills, neighbours -----------------------------------------------------------------------------


def test_killed_at_any_time_it_doubles_and_loses_nothing(store: Database):
    with Sidecar(config=config(store.writer)) as sidecar:
        sent = 0
        for round_ in range(8):
            sent += send(sidecar, 20, 10)
            if round_ % 2:  # right behind a COMMIT, before the cursor is saved
                before = store.count("spans")
                wait_until(lambda: store.count("spans") > before or before == sent, what="a commit")
            sidecar.kill9()
            sidecar.start()
        holds(store, sent, 60)
        assert exporter(sidecar, "postgres")["parked_records"] == 0


def test_a_state_that_was_wiped_begins_a_journal_and_doubles_nothing(store: Database):
    with Sidecar(config=config(store.writer)) as sidecar:
        one = record(5)
        asker = Asker(sidecar)
        assert asker.ask(record=one).status == Status.OK
        asker.close()
        holds(store, 5)
        sidecar.stop()
        shutil.rmtree(sidecar.state_dir)
        sidecar.start()
        asker = Asker(sidecar)
        assert asker.ask(record=one).status == Status.OK
        assert asker.ask(record=record(1)).status == Status.OK
        asker.close()
        holds(store, 6)
        assert store.count("sidecars") == 2


def test_many_sidecars_write_the_same_traces_at_once(store: Database):
    names = [f"agent{n}" for n in range(3)]
    with contextlib.ExitStack() as stack:
        sidecars = [stack.enter_context(Sidecar(name, config=config(store.writer))) for name in names]
        # each sends the same spans, in an order of its own
        batches = [record(40) for _ in range(10)]

        def feed(at: int) -> None:
            asker = Asker(sidecars[at])
            for batch in batches if at % 2 else reversed(batches):
                assert asker.ask(record=batch).status == Status.OK
            asker.close()

        threads = [threading.Thread(target=feed, args=(at,)) for at in range(len(sidecars))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for sidecar in sidecars:
            wait_until(lambda s=sidecar: exporter(s, "postgres")["lag_frames"] == 0, 60, "caught up")
        holds(store, 400)
    assert "deadlock" not in store.cluster.said()


# ---- poolers, TLS, passwords -----------------------------------------------------------------------


def test_through_pgbouncer_in_transaction_mode(store: Database):
    with PgBouncer(store.cluster, pool_size=2) as bouncer, contextlib.ExitStack() as stack:
        url = store.cluster.url(store.name, "waybill_writer", bouncer.port)
        sidecars = [stack.enter_context(Sidecar(f"agent{n}", config=config(url))) for n in range(4)]
        sent = sum(send(sidecar, 20, 10) for sidecar in sidecars)
        holds(store, sent, 60)
        for sidecar in sidecars:
            assert exporter(sidecar, "postgres")["failed_sends"] == 0
        assert int(store.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'waybill_writer'")) <= 2
        # a pooled connection is everybody's: nothing of ours may be left in it
        left = store.cluster.sql("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')",
                                 store.name, "waybill_writer")
        assert left == [["0", "0"]]
        reader = store.cluster.url(store.name, "waybill_reader", bouncer.port)
        assert len(json.loads(waybill("trace", "list", "--json", "--limit", "5", "--store", reader))) == 5
        owner = store.cluster.url(store.name, "waybill_owner", bouncer.port)
        assert "nothing to do" in waybill("store", "migrate", "--store", owner)


def test_over_tls_with_a_password_from_a_file(tmp_path: pathlib.Path):
    keys = pathlib.Path("/tmp") / f"wb-tls-{os.getpid()}"
    keys.mkdir()
    try:
        authority = Authority(keys)
        server = authority.issue("server")
        user = server_user()
        if user:
            for path in server:
                shutil.chown(path, user)
        settings = {"ssl": "on", "ssl_cert_file": str(server.cert), "ssl_key_file": str(server.key)}
        secret = tmp_path / "password"
        secret.write_text("s3cr3t\n")
        secret.chmod(0o600)
        with Cluster(**settings) as cluster, a_store(cluster) as store:
            cluster.sql("ALTER ROLE waybill_writer PASSWORD 's3cr3t'")
            hba = cluster.data / "pg_hba.conf"
            hba.write_text("hostssl all waybill_writer 127.0.0.1/32 scram-sha-256\n"
                           "host all waybill_writer all reject\n" + hba.read_text())
            cluster.sql("SELECT pg_reload_conf()")
            url = f"{store.writer}?sslmode=verify-full&sslrootcert={authority.file}"
            extra = f'    password_file: "{secret}"\n'
            with Sidecar(config=config(url, extra)) as sidecar:
                sent = send(sidecar, 3)
                holds(store, sent)
                assert store.value("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                                   " WHERE usename = 'waybill_writer'") == "t"
                assert report(sidecar)["sandbox"]["refused_calls"] == 0
                # a password that was changed: the file is read at each connect
                cluster.sql("ALTER ROLE waybill_writer PASSWORD 'n3w'")
                cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'waybill_writer'")
                sent += send(sidecar, 3)
                wait_until(lambda: "password authentication failed" in trouble(sidecar), what="the reason")
                secret.write_text("n3w")
                holds(store, sent, 60)
                secret.chmod(0o644)
                cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'waybill_writer'")
                sent += send(sidecar, 1)
                wait_until(lambda: "others can read it" in trouble(sidecar), what="the reason")
                secret.chmod(0o600)
                holds(store, sent, 60)
                for text in (sidecar.log(), json.dumps(report(sidecar)), sidecar.cli("status")):
                    assert "s3cr3t" not in text and "n3w" not in text
            with Sidecar(config=config(url.replace(authority.file.name, "nothing.crt"), extra)) as sidecar:
                send(sidecar, 1)
                wait_until(lambda: "nothing.crt" in trouble(sidecar), what="the reason")
    finally:
        shutil.rmtree(keys)


def test_a_password_in_the_url_is_shown_nowhere(store: Database):
    url = store.writer.replace("waybill_writer@", "waybill_writer:s3cr3t@")
    with Sidecar(config=config(url)) as sidecar:
        holds(store, send(sidecar, 1))
        printed = subprocess.run([str(find_program("waybilld")), "--config", str(sidecar.config_file),
                                  "--check"], env=sidecar.env, capture_output=True, text=True, check=True)
        shown = [printed.stdout, printed.stderr, sidecar.log(), json.dumps(report(sidecar)),
                 json.dumps(sidecar.status()), sidecar.cli("status"), sidecar.cli("status", "--json"),
                 run_waybill("doctor", "--store", url).stdout,
                 waybill("store", "migrate", "--json", "--store", store.owner.replace("owner@", "owner:s3cr3t@"))]
        assert 'url: "postgres://***@' in printed.stdout
        for text in shown:
            assert "s3cr3t" not in text


@pytest.mark.parametrize("change, said, todo", [
    (("/store_", "/nodb_"), "does not exist", "make the database first"),
    (("waybill_reader", "nobody"), "does not exist", "make the role first"),
    (("?", "?sslmode=require"), "does not support SSL", "sslmode=disable"),
    (("127.0.0.1", "nowhere.invalid"), "nowhere.invalid", "check the host"),
    (("PORT", "1"), "127.0.0.1:1: ", "is it running"),
], ids=["database", "role", "tls", "host", "port"])
def test_who_cannot_connect_is_told_what_to_do(store: Database, change: tuple[str, str], said: str, todo: str):
    url = store.reader
    old, new = change
    url = url.replace(f":{store.cluster.port}/", f":{new}/") if old == "PORT" else (
        url + new if old == "?" else url.replace(old, new))
    done = run_waybill("trace", "list", "--store", url)
    assert done.returncode != 0
    assert said in done.stderr and todo in done.stderr, done.stderr


# ---- upkeep ----------------------------------------------------------------------------------------


def test_eight_migrate_at_once(cluster: Cluster):
    with cluster.database(f"store_{next(_names)}") as store:
        started = [subprocess.Popen([str(find_program("waybill")), "store", "migrate", "--json", "--store", store.owner],
                                    env=clean_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for _ in range(8)]
        said = [process.communicate(timeout=120) for process in started]
        assert [process.returncode for process in started] == [0] * 8, said
        count = len(sorted((ROOT / "store" / "postgres").glob("[0-9]*.sql")))
        applied = [name for out, _ in said for name in json.loads(out)["applied"]]
        assert len(applied) == count
        assert store.count("migrations") == count
        for out, _ in said:
            assert json.loads(out)["writer_granted"] and json.loads(out)["reader_granted"]


def test_migrate_says_what_it_would_do_and_does_not(cluster: Cluster):
    with cluster.database(f"store_{next(_names)}") as store:
        assert "would apply 0001_first" in waybill("store", "migrate", "--dry-run", "--store", store.owner)
        assert store.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'waybill'") == "0"
        done = run_waybill("store", "migrate", "--writer", "nobody", "--store", store.owner)
        assert done.returncode == 1 and "no role nobody" in done.stderr
        done = run_waybill("store", "migrate", "--store", store.reader)
        assert done.returncode == 3
    sqlite = pathlib.Path(f"/tmp/wb-migrate-{os.getpid()}/store.db")
    sqlite.parent.mkdir()
    try:
        dry = json.loads(waybill("store", "migrate", "--dry-run", "--json", "--store", str(sqlite)))
        assert dry["from"] == 0 and len(dry["applied"]) == dry["to"] and not sqlite.exists()
        done = json.loads(waybill("store", "migrate", "--json", "--store", str(sqlite)))
        assert done["applied"] == dry["applied"] and sqlite.exists()
        assert json.loads(waybill("store", "migrate", "--json", "--store", str(sqlite)))["applied"] == []
        done = run_waybill("store", "prune", "--keep", "1d", "--store", str(sqlite))
        assert done.returncode == 1
    finally:
        shutil.rmtree(sqlite.parent)


def test_prune_drops_days_and_keeps_what_is_open(store: Database):
    subprocess.run([str(find_program("store_fill")), store.writer], check=True)  # of last January, and open ones
    with Sidecar(config=config(store.writer)) as sidecar:
        holds(store, store.count("spans") + send(sidecar, 4))
    open_ = store.value("SELECT count(*) FROM waybill.delegations WHERE closed_ns IS NULL")
    assert open_ != "0"
    done = json.loads(waybill("store", "prune", "--keep", "30d", "--json", "--store", store.owner))
    assert done["rows_deleted"] > 300
    assert store.count("spans") == 4
    assert store.value("SELECT count(*) FROM waybill.delegations WHERE closed_ns IS NULL") == open_
    assert store.value("SELECT count(*) FROM waybill.delegations") == open_
    assert json.loads(waybill("store", "maintain", "--json", "--store", store.owner)) == {"partitions_made": 0}
    day = store.value("SELECT 'spans_' || to_char(now() AT TIME ZONE 'UTC' + interval '7 days', 'YYYYMMDD')")
    assert store.value(f"SELECT to_regclass('waybill.{day}') IS NOT NULL") == "t"


def test_who_may_not_prune_is_told_what_to_grant(store: Database):
    prune = ("store", "prune", "--keep", "30d", "--store")
    for role, url in (("waybill_writer", store.writer), ("waybill_reader", store.reader)):
        done = run_waybill(*prune, url)
        assert done.returncode == 3
        assert "GRANT EXECUTE ON FUNCTION waybill.prune TO" in done.stderr and "migrate" not in done.stderr
        store.sql(f"GRANT EXECUTE ON FUNCTION waybill.prune TO {role}")  # as it says
        waybill(*prune, url)


def test_a_span_whose_texts_postgres_refuses_is_stored(store: Database):
    now = time.time_ns()
    fields = _otlp.resource({"service.name": "te\0st"}), _otlp.scope("test")
    span = _otlp.span(trace_id=os.urandom(16), span_id=os.urandom(8), name="a\0b", kind=1, start_ns=now,
                      end_ns=now + 1, attrs={"session.id": "\0", "note": "\0\0"})
    with Sidecar(config=config(store.writer)) as sidecar:
        asker = Asker(sidecar)
        assert asker.ask(record=_wire.Record(traces=_otlp.export_request([(*fields, span)]))).status == Status.OK
        asker.close()
        holds(store, 1)
        assert store.sql("SELECT name, service, session_id FROM waybill.spans") == [["a\ufffdb", "te\ufffdst", "\ufffd"]]
        assert exporter(sidecar, "postgres")["parked_records"] == 0
