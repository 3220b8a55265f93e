"""Where the parts of an edge's directory are, and what its operator chose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rozaneh.core.addresses import Address, Endpoint, is_global, parse_address
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import read_private
from rozaneh.core.settings import Value, dump_toml, load_toml

SETTINGS_FILE = "edge.toml"
ISSUER_KEY = "issuer.key"
CERT = "cert.pem"
KEY = "key.pem"
REALITY_KEYS = "reality.key"
REPLAYS = "replays"  # the session ids of the last minutes; the engine keeps it, with a lock and a successor beside it
REPLAY_FILES = (REPLAYS, REPLAYS + ".lock", REPLAYS + ".new")
DATABASE = "edge.sqlite3"
# What SQLite keeps beside the database: the log of WAL, and the journal of the moment before WAL is on.
DATABASE_FILES = (DATABASE, DATABASE + "-wal", DATABASE + "-shm", DATABASE + "-journal")
_SETTINGS_LIMIT = 64 * 1024  # a thousand `allow` lines fit


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """The operator's choices, validated."""

    listen: Endpoint
    host: str
    address: Address
    cert: Path | None = None
    key: Path | None = None
    cover: str | None = None
    way: str = "h2+tls"
    post_quantum: bool = False
    egress: Address | None = None
    allow: tuple[str, ...] = ()

    @property
    def public(self) -> Endpoint:
        """Where readers dial."""
        return Endpoint(self.address, self.listen.port)

    @property
    def reality(self) -> bool:
        """Whether readers come by REALITY."""
        return self.way == "h2+reality"

    @property
    def borrowed(self) -> str | None:
        """The ``HOST:PORT`` of the web server the edge stands in front of, or None where it shows a site of its own."""
        return self.cover[4:] if self.cover is not None and self.cover.startswith("tls:") else None

    @property
    def is_local(self) -> bool:
        """Whether invites must carry the local mark."""
        return not is_global(self.address)

    @property
    def separate_egress(self) -> bool:
        """Whether readers' connections leave from another address than the one readers dial."""
        return self.egress is not None and self.egress != self.address

    def to_toml(self) -> str:
        """The text of ``edge.toml``."""
        values: dict[str, Value] = {
            "listen": str(self.listen),
            "host": self.host,
            "address": str(self.address),
            "cert": str(self.cert) if self.cert else None,
            "key": str(self.key) if self.key else None,
            "cover": self.cover,
            "way": self.way,
            "post_quantum": self.post_quantum or None,
            "egress": str(self.egress) if self.egress else None,
            "allow": list(self.allow),
        }
        return dump_toml("edge", values)


def make_settings(values: dict[str, Value]) -> EdgeSettings:
    """Choices that have passed the registry, checked against each other.

    Raises:
        Fault: CONFIG when one is missing or two do not fit together.
    """

    def text(key: str) -> str | None:
        value = values.get(key)
        return value if isinstance(value, str) else None

    listen, host = text("listen"), text("host")
    if listen is None or host is None:
        raise Fault(FaultKind.CONFIG, "An edge needs `listen` and `host`", hint="")
    endpoint = Endpoint.parse(listen)
    chosen = text("address")
    if endpoint.address.is_unspecified and chosen is None:
        raise Fault(
            FaultKind.CONFIG,
            "The edge listens on every address, so it cannot know which one readers dial",
            hint="add `--address ADDR`",
        )
    address = parse_address(chosen) if chosen else endpoint.address
    if address.is_unspecified or address.is_multicast:
        raise Fault(
            FaultKind.CONFIG, "Readers cannot dial that address", hint="give the server's own address to `--address`"
        )
    cert, key = text("cert"), text("key")
    if (cert is None) != (key is None):
        raise Fault(
            FaultKind.CONFIG, "A certificate needs its key, and a key its certificate", hint="give `--cert` and `--key`"
        )
    if (text("cover") or "").startswith("tls:") and cert is not None:
        raise Fault(
            FaultKind.CONFIG,
            "A web server the edge stands in front of shows its own certificate",
            hint="leave `--cert` out",
        )
    egress = text("egress")
    allow = values.get("allow")
    return EdgeSettings(
        listen=endpoint,
        host=host,
        address=address,
        cert=Path(cert) if cert else None,
        key=Path(key) if key else None,
        cover=text("cover"),
        way=text("way") or "h2+tls",
        post_quantum=values.get("post_quantum") is True,
        egress=parse_address(egress) if egress else None,
        allow=tuple(allow) if isinstance(allow, list) else (),
    )


def is_edge(directory: Path) -> bool:
    """Whether an edge has been made in ``directory``."""
    return (directory / SETTINGS_FILE).exists()


def load_settings(directory: Path) -> EdgeSettings:
    """The choices of the edge in ``directory``.

    Raises:
        Fault: CONFIG when there is no edge or its file is wrong; PERMISSION when others can read it.
    """
    try:
        text = read_private(directory / SETTINGS_FILE, _SETTINGS_LIMIT).decode("utf-8")
    except FileNotFoundError:
        raise Fault(
            FaultKind.CONFIG,
            f"There is no edge in `{directory}`",
            hint=f"make one with `rozaneh edge init --dir {directory}`",
        ) from None
    except UnicodeDecodeError:
        raise Fault(FaultKind.CONFIG, f"`{directory / SETTINGS_FILE}` is not text") from None
    return make_settings(load_toml(text, "edge", SETTINGS_FILE))
