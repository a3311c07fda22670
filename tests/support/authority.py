# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test's own."""

from __future__ import annotations

import datetime
import ipaddress
import pathlib
from typing import Any, NamedTuple, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Issued(NamedTuple):
    cert: pathlib.Path
    key: pathlib.Path

    def settings(self) -> dict[str, str]:
        """As below a `tls:` of the configuration."""
        return {"cert_file": str(self.cert), "key_file": str(self.key)}


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """Signs certificates for localhost and 127.0.0.1; its own is `file`, all lie in `folder` as PEM."""

    def __init__(self, folder: pathlib.Path, name: str = "ours") -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.ca.pem"
        own = self._sign(_named(name), self.key.public_key(), 2, [], [], is_ca=True)
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject: x509.Name, key: Any, days: float, names: list[x509.GeneralName],
              uses: Sequence[x509.ObjectIdentifier], *, is_ca: bool) -> x509.Certificate:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(_named(self.name))
                   .public_key(key).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=3))
                   .not_valid_after(now + datetime.timedelta(days=days))
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, *, days: float = 1, host: str | None = None,
              uses: Sequence[x509.ObjectIdentifier] = ()) -> Issued:
        """A certificate and its key.

        days   from now; less than 0: it has expired
        host   the one that it is for, in place of both
        uses   extended key usages; none: any"""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = ([x509.DNSName(host)] if host else
                                         [x509.DNSName("localhost"),
                                          x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        made = self._sign(_named(name), key.public_key(), days, names, uses, is_ca=False)
        issued = Issued(self.folder / f"{self.name}.{name}.pem", self.folder / f"{self.name}.{name}.key")
        issued.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        issued.key.write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        issued.key.chmod(0o600)
        return issued


class Pki:
    """What a receiver with mutual TLS meets: `issued` by name, all but the stranger's by `ours`."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.ours = Authority(folder)
        self.issued = {
            "server": self.ours.issue("server"),
            "client": self.ours.issue("client"),
            "of_a_client": self.ours.issue("of_a_client", uses=[ExtendedKeyUsageOID.CLIENT_AUTH]),
            "of_a_server": self.ours.issue("of_a_server", uses=[ExtendedKeyUsageOID.SERVER_AUTH]),
            "expired": self.ours.issue("expired", days=-1),
            "stranger": Authority(folder, "strangers").issue("stranger"),
        }
