#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real Postgres servers, and PgBouncer before them, in throw-away folders.

A ``Cluster`` is a server of its own: made by ``initdb`` below ``/tmp`` (a socket's path may hold 107 bytes),
on a free port of the loopback address and on a Unix socket, run by user ``postgres`` where we are root, for
Postgres refuses to be. It dies with whoever started it. ``Database`` is one database of it with the two
roles of docs/postgres.md.

As a program: ``postgres.py COMMAND...`` runs the command with a server up whose superuser's URL is in
``WAYBILL_TEST_POSTGRES``, and ends with its exit code.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Iterator, Sequence

from waybill_testkit import free_port

PR_SET_PDEATHSIG = 1
SETTINGS = {
    "fsync": "off",  # a test kills processes, never the machine
    "shared_buffers": "32MB",
    "max_connections": "60",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "autovacuum_naptime": "5s",
    "max_wal_size": "256MB",
}


def program(name: str) -> str:
    """The path of one of Postgres' programs, which Debian keeps out of PATH. Raises FileNotFoundError."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    found = [str(folder / name) for folder in folders if (folder / name).exists()]
    path = found[-1] if found else shutil.which(name)
    if not path:
        raise FileNotFoundError(f"{name}: install the packages of tools/setup-debian.sh")
    return path


def server_user() -> str | None:
    """Whom the server runs as; None: as we are."""
    return "postgres" if os.getuid() == 0 else None


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _as_server(command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    user = server_user()
    extra = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    return subprocess.Popen(command, preexec_fn=_die_with_us, stdin=subprocess.DEVNULL, **extra, **how)


class Cluster:
    """One server. A context; ``start`` and ``stop`` within it are an outage."""

    def __init__(self, env: dict[str, str] | None = None, **settings: str) -> None:
        """`env` is added to the server's environment, `settings` to its configuration."""
        self.settings = {**SETTINGS, **settings}
        self.env = {**os.environ, **(env or {})}
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wb-pg-", dir="/tmp"))
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Cluster:
        try:
            user = server_user()
            if user:
                shutil.chown(self.folder, user)
            self.folder.chmod(0o755)
            command = [program("initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust",
                       "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
            made = _as_server(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            said, _ = made.communicate(timeout=120)
            if made.returncode != 0:
                raise RuntimeError(f"initdb: {said.decode(errors='replace')}")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, timeout_s: float = 60.0) -> None:
        """Start the server and wait until it takes connections."""
        words = [f"{key}={value}" for key, value in self.settings.items()]
        words += [f"port={self.port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}"]
        command = [program("postgres"), "-D", str(self.data)]
        for word in words:
            command += ["-c", word]
        with open(self.log, "ab") as log:
            self._server = _as_server(command, stdout=log, stderr=log, cwd=self.folder, env=self.env)
        deadline = time.monotonic() + timeout_s
        while subprocess.run([program("pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)],
                             check=False).returncode != 0:
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"postgres did not start: {self.said()}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT, timeout_s: float = 60.0) -> None:
        """SIGINT ends sessions and stops; SIGQUIT is what a crash looks like."""
        if self._server is None:
            return
        if self._server.poll() is None:
            self._server.send_signal(how)
            try:
                self._server.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._server = None

    def said(self) -> str:
        """What is in the server's log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def url(self, database: str = "postgres", user: str = "postgres", port: int | None = None) -> str:
        """Over TCP."""
        return f"postgres://{user}@127.0.0.1:{port or self.port}/{database}"

    def socket_url(self, database: str = "postgres", user: str = "postgres") -> str:
        """Over the Unix socket."""
        return f"postgres://{user}@/{database}?host={self.folder}&port={self.port}"

    def sql(self, text: str, database: str = "postgres", user: str = "postgres") -> list[list[str]]:
        """Run SQL by psql; rows of texts. Raises RuntimeError with what psql said."""
        done = subprocess.run(
            [program("psql"), "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database, user)],
            input=text, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{text}: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def value(self, text: str, database: str = "postgres") -> str:
        """The first value of the first row."""
        return self.sql(text, database)[0][0]

    @contextlib.contextmanager
    def database(self, name: str) -> Iterator[Database]:
        """An empty database, owned by role NAME_owner, with roles waybill_writer and waybill_reader."""
        for role in ("waybill_owner", "waybill_writer", "waybill_reader"):
            self.sql(f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        self.sql(f"CREATE DATABASE {name} OWNER waybill_owner")
        try:
            yield Database(self, name)
        finally:
            with contextlib.suppress(RuntimeError):
                self.sql(f"DROP DATABASE {name} WITH (FORCE)")


class Database:
    """One database of a cluster."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    @property
    def owner(self) -> str:
        return self.cluster.url(self.name, "waybill_owner")

    @property
    def writer(self) -> str:
        return self.cluster.url(self.name, "waybill_writer")

    @property
    def reader(self) -> str:
        return self.cluster.url(self.name, "waybill_reader")

    def sql(self, text: str, user: str = "postgres") -> list[list[str]]:
        return self.cluster.sql(text, self.name, user)

    def value(self, text: str) -> str:
        return self.cluster.value(text, self.name)

    def count(self, table: str) -> int:
        return int(self.value(f"SELECT count(*) FROM waybill.{table}"))


class PgBouncer:
    """PgBouncer in transaction mode before a cluster: few server connections for any number of clients."""

    def __init__(self, cluster: Cluster, pool_size: int = 2) -> None:
        self.cluster = cluster
        self.port = free_port()
        self.pool_size = pool_size
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="wb-bouncer-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PgBouncer:
        users = self.folder / "users.txt"
        users.write_text("".join(f'"{u}" ""\n' for u in ("postgres", "waybill_owner", "waybill_writer", "waybill_reader")))
        config = self.folder / "pgbouncer.ini"
        config.write_text(
            "[databases]\n"
            f"* = host=127.0.0.1 port={self.cluster.port}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\n"
            f"default_pool_size = {self.pool_size}\nadmin_users = postgres\n"
        )
        user = server_user()
        if user:
            for path in (self.folder, users, config):
                shutil.chown(path, user)
        found = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with open(self.folder / "log", "wb") as log:
            self._process = _as_server([found, "-q", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while subprocess.run([program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                             check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


class CuttingProxy:
    """A TCP proxy before a server that resets connections: each that has carried `limit` bytes towards the
    server since it began, as long as `limit` is set."""

    def __init__(self, port: int) -> None:
        self.limit: int | None = None
        self.cuts = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for ends, counts in (((client, server), True), ((server, client), False)):
                    threading.Thread(target=self._carry, args=(*ends, counts), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                carried += len(data)
                if counts and self.limit is not None and carried > self.limit:
                    self.cuts += 1
                    for end in (source, target):  # RST, not FIN
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


def main() -> int:
    with Cluster() as cluster:
        env = {**os.environ, "WAYBILL_TEST_POSTGRES": cluster.url()}
        code = subprocess.run(sys.argv[1:], env=env, check=False).returncode
        if code != 0:
            sys.stderr.write(cluster.said()[-4000:])
        return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
