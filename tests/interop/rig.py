"""Real engines, certificates and waiting with deadlines: what every judge in this folder starts from."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from rozaneh.data import browsers
from rozaneh.engine import _native
from rozaneh.ways.catalogue import DEFAULT_LOOK

T = TypeVar("T")
Document = dict[str, Any]

#: Nothing on loopback takes this long unless it is broken.
DEADLINE = 20.0
SERVER_NAME = "cover.test"
LOOPBACK = ["127.0.0.0/8", "::1/128"]


def until(condition: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """Asks again until ``condition`` gives something true; fails with ``what`` when the deadline passes."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not in {deadline:g} s: {what}")
        # Lets other threads run; the condition, not this pause, decides.
        select.select([], [], [], 0.002)


@dataclass(frozen=True)
class Identity:
    """A certificate for ``SERVER_NAME`` and loopback, its key, and the pin of that key."""

    cert: Path
    key: Path
    pin: str


def make_identity(folder: Path, *, kind: str = "ec", names: tuple[str, ...] = (SERVER_NAME, "localhost")) -> Identity:
    """Writes a self-made certificate. RSA signatures always have one length, which some comparisons need."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(n) for n in names] + [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    paths = Identity(
        cert=folder / "cert.pem",
        key=folder / "key.pem",
        pin=base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).decode().rstrip("="),
    )
    paths.cert.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    paths.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@dataclass(frozen=True)
class Account:
    """Somebody the edge knows."""

    id: str
    user: str
    password: str
    up: int | None = None
    down: int | None = None

    def entry(self) -> Document:
        """As the engine's configuration has it."""
        return {
            "id": self.id,
            "user_sha256": hashlib.sha256(self.user.encode()).hexdigest(),
            "password_sha256": hashlib.sha256(self.password.encode()).hexdigest(),
            "compartment": "default",
            "up_bytes_per_s": self.up,
            "down_bytes_per_s": self.down,
        }

    @property
    def basic(self) -> str:
        """The value of ``proxy-authorization`` that lets this person in."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


ALICE = Account("inv_alice", "alice-4d1f", "correct horse battery")
BOB = Account("inv_bob", "bob-93aa", "staple")


def edge_document(
    identity: Identity,
    *,
    users: list[Account],
    cover: Document | None = None,
    allow: list[str] | None = None,
    resolver: str | None = None,
    bind: str = "127.0.0.1:0",
    documents: dict[str, bytes] | None = None,
    own: list[str] | None = None,
) -> Document:
    """Configuration of an edge; ``allow`` is empty by default, as in production."""
    services = [
        {
            "authority": "roster.rozaneh.invalid:443",
            "documents": {k: base64.b64encode(v).decode() for k, v in (documents or {"default": b"roster"}).items()},
        }
    ]
    return {
        "schema": "rozaneh.engine/1",
        "listeners": [
            {
                "tag": "edge",
                "type": "h2",
                "bind": bind,
                "cert_file": str(identity.cert),
                "key_file": str(identity.key),
                "cover": cover or {"type": "stock"},
                "upstream": "direct",
                "services": services,
            }
        ],
        "upstreams": [{"tag": "direct", "type": "direct"}],
        "users": [user.entry() for user in users],
        "policy": {"allow": allow or [], "own_addresses": own or []},
        "resolver": {"servers": [resolver] if resolver else None},
    }


def look(name: str) -> Document:
    """A browser profile of the program's."""
    document: Document = json.loads(browsers.encode(browsers.load(name)))
    return document


def way(address: str, identity: Identity, user: Account, carriers: int = 2) -> Document:
    """An upstream that leads through an edge."""
    return {
        "tag": "way",
        "type": "h2",
        "address": address,
        "server_name": SERVER_NAME,
        "look": DEFAULT_LOOK,
        "security": {"type": "tls", "pin": identity.pin},
        "user": user.user,
        "password": user.password,
        "carriers": carriers,
    }


def client_document(upstream: Document, *, bind: str = "127.0.0.1:0", auth: Document | None = None) -> Document:
    """Configuration of a reader's end with one local port."""
    return {
        "schema": "rozaneh.engine/1",
        "looks": {upstream["look"]: look(upstream["look"])} if "look" in upstream else {},
        "listeners": [
            {"tag": "local", "type": "proxy", "bind": bind, "auth": auth or {"type": "same_user"}, "upstream": "way"}
        ],
        "upstreams": [upstream | {"tag": "way"}],
    }


def direct_document(
    *,
    allow: list[str] | None = None,
    resolver: str | None = None,
    bind: str = "127.0.0.1:0",
    auth: Document | None = None,
) -> Document:
    """A local proxy that dials by itself, under the same policy as an edge."""
    document = client_document({"type": "direct"}, bind=bind, auth=auth)
    document["policy"] = {"allow": allow or []}
    document["resolver"] = {"servers": [resolver] if resolver else None}
    return document


class Running:
    """An engine from its start to its end."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.engine = _native.Engine(json.dumps(document))
        self.engine.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, grace: float = 0.0) -> None:
        """Ends it; again is nothing."""
        self.engine.stop(grace)

    @property
    def address(self) -> str:
        """``host:port`` of the first listener."""
        return str(json.loads(self.engine.listeners())[0]["address"])

    @property
    def place(self) -> tuple[str, int]:
        """The same for ``socket.create_connection``."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    def counters(self) -> Document:
        """The engine's counters now."""
        counters: Document = json.loads(self.engine.counters())
        return counters

    def user(self, account: Account) -> Document:
        """One person's counters now."""
        entry: Document = self.counters()["users"][account.id]
        return entry

    def set_users(self, users: list[Account]) -> None:
        """Replaces everybody."""
        self.engine.set_users(json.dumps([user.entry() for user in users]))

    def probe(self) -> Document:
        """What the client finds out about its way."""
        found: Document = json.loads(self.engine.probe("way", DEADLINE))
        return found

    def event(self, kind: str, deadline: float = DEADLINE) -> Document:
        """The next event of this kind; others are thrown away."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            for text in self.engine.events(1, max(0.0, end - time.monotonic())):
                event: Document = json.loads(text)
                if event["kind"] == kind:
                    return event
        raise AssertionError(f"no event {kind!r} in {deadline:g} s")
