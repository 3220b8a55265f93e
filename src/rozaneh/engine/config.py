"""The engine's configuration document (schema ``rozaneh.engine/1``) as frozen, typed structs.

The engine validates the document again as a whole; these types make a wrong one hard to write. Secrets are plain
strings here because the document exists only in memory on its way into the engine: it is never written, logged or
shown.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rozaneh.data.browsers.schema import Browser

SCHEMA = "rozaneh.engine/1"
ROSTER_AUTHORITY = (
    "roster.rozaneh.invalid:443"  # RFC 6761 section 6.4: .invalid resolves nowhere, so a leak ends in NXDOMAIN
)


class SameUser(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="same_user", tag_field="type"
):
    """Only programs of this process's own user, asked of the kernel for each connection."""


class PeerCred(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="peer_cred", tag_field="type"
):
    """Only programs of this process's own user, on a unix socket."""


class Password(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="password", tag_field="type"):
    """A user name and password; the engine holds the password's digest only."""

    user: str
    password_sha256: str

    def __repr__(self) -> str:
        return "Password([hidden])"


class Stock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="stock", tag_field="type"):
    """The stock page of an ordinary web server."""


class Directory(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="directory", tag_field="type"
):
    """A directory of files."""

    path: str


class Proxy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="proxy", tag_field="type"):
    """Another web site."""

    url: str


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reserved authority that the edge answers itself, with one document a compartment."""

    authority: str
    documents: dict[str, str]


class ProxyListener(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="proxy", tag_field="type"
):
    """SOCKS5 and HTTP proxy on one port; there is no open one."""

    tag: str
    bind: str
    auth: SameUser | PeerCred | Password
    upstream: str


class H2Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="h2", tag_field="type"):
    """HTTP/2 behind a certificate of our own, with a cover for strangers."""

    tag: str
    bind: str
    cert_file: str
    key_file: str
    cover: Stock | Directory | Proxy
    upstream: str
    services: list[Service] = []


class RealityCover(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Where a REALITY listener relays strangers: an address, or another listener of this document. One of the two."""

    address: str | None = None
    listener: str | None = None


class RealityListener(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="reality", tag_field="type"
):
    """The server side of every ``+reality`` way: friends are answered, strangers talk to the cover itself."""

    tag: str
    bind: str
    upstream: str
    private_key: str
    server_names: list[str]
    short_ids: list[str]
    cover: RealityCover
    replay_file: str
    services: list[Service] = []
    max_skew_s: int = 120
    mldsa65_seed: str | None = None
    protocols: tuple[str, ...] = ("h2", "vless")

    def __repr__(self) -> str:
        return "RealityListener([hidden])"


class Direct(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="direct", tag_field="type"):
    """The open internet, under the policy."""

    tag: str
    egress: list[str] = []


class TlsSecurity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="tls", tag_field="type"):
    """The edge's own certificate: pinned, or checked by ``ca_file``, or by the system's roots."""

    pin: str | None = None
    ca_file: str | None = None

    def __repr__(self) -> str:
        return "TlsSecurity([hidden])"


class RealitySecurity(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="reality", tag_field="type"
):
    """REALITY: the edge proves itself under the cover's certificate.

    ``clock_offset_s`` is added to this device's clock for REALITY's timestamp and for nothing else; ``ca_file`` holds
    the roots by which a cover's own certificate is judged, the system's where there is none.
    """

    public_key: str
    short_id: str
    mldsa65: str | None = None
    clock_offset_s: int = 0
    ca_file: str | None = None

    def __repr__(self) -> str:
        return "Reality([hidden])"


class H2Upstream(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="h2", tag_field="type"):
    """An edge reached by HTTP/2 inside ``security``, looking like the browser ``look``."""

    tag: str
    address: str
    server_name: str
    user: str
    password: str
    look: str
    security: TlsSecurity | RealitySecurity
    carriers: int = 2

    def __repr__(self) -> str:
        return "H2Upstream([hidden])"


class VlessUpstream(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="vless", tag_field="type"
):
    """A server reached by VLESS 0 inside ``security``, one connection a stream."""

    tag: str
    address: str
    server_name: str
    id: str
    look: str
    security: TlsSecurity | RealitySecurity

    def __repr__(self) -> str:
        return "VlessUpstream([hidden])"


class Socks5Upstream(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="socks5", tag_field="type"
):
    """Another SOCKS5 proxy."""

    tag: str
    address: str
    user: str
    password: str

    def __repr__(self) -> str:
        return "Socks5Upstream([hidden])"


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Somebody who may use the edge: digests of the credentials, never the credentials."""

    id: str
    user_sha256: str
    password_sha256: str
    compartment: str = "default"
    vless_sha256: str | None = None
    up_bytes_per_s: int | None = None
    down_bytes_per_s: int | None = None


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where streams may go, beyond the built-in denials."""

    allow: list[str] = []
    deny: list[str] = []
    denied_ports: tuple[int, ...] = (25, 465, 587)  # RFC 5321, RFC 8314: mail submission is how open proxies are abused
    own_addresses: list[str] = []


class Resolver(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Name servers; None = the system's."""

    servers: list[str] | None = None


Listener = ProxyListener | H2Listener | RealityListener
Upstream = Direct | H2Upstream | VlessUpstream | Socks5Upstream


class EngineConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole document."""

    schema: str = SCHEMA
    workers: int = 1
    looks: dict[str, Browser] = {}
    listeners: list[Listener] = []
    upstreams: list[Upstream] = []
    users: list[User] = []
    policy: Policy = Policy()
    resolver: Resolver = Resolver()
    limits: dict[str, Any] = {}

    def to_json(self) -> str:
        """The document's text, for the engine only."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> EngineConfig:
        """Read a document, unknown keys refused.

        Raises:
            msgspec.ValidationError: naming the path of what is wrong.
        """
        return msgspec.json.decode(text, type=cls)


def users_json(users: list[User]) -> str:
    """The list ``Engine.set_users`` takes."""
    return msgspec.json.encode(users).decode()


class ListenerInfo(msgspec.Struct, frozen=True):
    """A listener as it stands, with its real port."""

    tag: str
    type: str
    address: str


class UserCounters(msgspec.Struct, frozen=True):
    """One user's monotonic bytes and current numbers since the engine started."""

    up: int = 0
    down: int = 0
    tunnels_open: int = 0
    carriers_open: int = 0
    last_seen: int | None = None


class Counters(msgspec.Struct, frozen=True):
    """What the engine counted since it started; additive, so unknown keys are let through."""

    tunnels_open: int = 0
    tunnels_total: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    refused: dict[str, int] = {}
    users: dict[str, UserCounters] = {}
    events_lost: int = 0


class ProbeResult(msgspec.Struct, frozen=True):
    """How far a carrier came: connect, tls, pin, cover, auth, or ok.

    ``cover`` says that TLS stands and it was the cover that answered; then ``server_date`` is the cover's.
    """

    ok: bool
    stage: str
    reason: str | None = None
    rtt_ms: float | None = None
    server_date: int | None = None


class Event(msgspec.Struct, frozen=True):
    """Something that happened; the engine never names a destination or a reader in it."""

    kind: str
    upstream: str | None = None
    tag: str | None = None
    reason: str | None = None
    stage: str | None = None
