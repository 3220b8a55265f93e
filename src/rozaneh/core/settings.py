"""The one registry of settings: name, type, default, a sentence, and whether it is secret.

From it come the flags of the command line, the variables of the environment, the keys of TOML files and the tables of
the manual. A setting that is not here does not exist, and a file that names one is refused with its path.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rozaneh.core.addresses import Endpoint, check_host, parse_address, parse_network
from rozaneh.core.errors import Fault, FaultKind

Value = str | int | bool | None | list[str]

# An invite with one IPv6 h2+reality way, the longest kind, and a name of this length has 300 characters: the most.
MAX_EDGE_HOST = 93
EDGE_WAYS = ("h2+tls", "h2+reality")
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhdw])\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_duration(text: str) -> int:
    """``90s``, ``15m``, ``12h``, ``30d``, ``2w`` in seconds.

    Raises:
        ValueError: anything else.
    """
    match = _DURATION.match(text)
    if match is None:
        raise ValueError("write a duration as 30d, 12h or 15m")
    return int(match[1]) * _SECONDS[match[2]]


def _endpoint(text: str) -> str:
    return str(Endpoint.parse(text))


def _listen(text: str) -> str:
    if text.startswith("unix:"):
        if not text[5:] or "\x00" in text:
            raise ValueError("write it as unix:PATH")
        return text
    return str(Endpoint.parse(text))


def _host(text: str) -> str:
    if len(check_host(text)) > MAX_EDGE_HOST:
        raise ValueError(f"a host name here has at most {MAX_EDGE_HOST} characters")
    return text


def _address(text: str) -> str:
    return str(parse_address(text))


def _network(text: str) -> str:
    return str(parse_network(text))


def _path(text: str) -> str:
    if not text or "\x00" in text:
        raise ValueError("a path is not empty and holds no zero byte")
    return text


def _cover(text: str) -> str:
    if text.startswith("tls:"):
        return "tls:" + _site(text[4:])
    if "://" not in text:
        return str(Path(_path(text)).absolute())
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write a directory, a URL that begins with http:// or https://, or tls:HOST:PORT")
    if parts.username is not None or parts.password is not None or parts.fragment or parts.query:
        raise ValueError("a cover's URL holds no user, query or fragment")
    _ = parts.port  # raises ValueError outside 0..65535
    return text


def _site(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if colon and not host.startswith("[") and not host.replace(".", "").isdigit():
        if not re.match(r"[1-9][0-9]{0,4}\Z", port) or int(port) > 65535:
            raise ValueError("write a borrowed site as tls:HOST:PORT")
        return f"{check_host(host)}:{port}"
    return str(Endpoint.parse(text))


def _way(text: str) -> str:
    if text not in EDGE_WAYS:
        raise ValueError(f"it is one of {', '.join(EDGE_WAYS)}")
    return text


def _note(text: str) -> str:
    if len(text) > 80 or not text.isprintable():
        raise ValueError("a note has at most 80 printable characters")
    return text


def _user(text: str) -> str:
    # RFC 7617 section 2: a user-id holds no colon; RFC 1929 section 2: at most 255 bytes.
    if not 0 < len(text) <= 255 or not text.isascii() or not text.isprintable() or ":" in text:
        raise ValueError("a user name has 1 to 255 printable ASCII characters and no colon")
    return text


def _duration(text: str) -> str:
    parse_duration(text)
    return text


class Reading(NamedTuple):
    """A placeholder, and the function that checks one value and gives its canonical text."""

    placeholder: str
    read: Callable[[str], str]


class Kind(Enum):
    """The type of a setting: how its text is read, and the placeholder shown for it."""

    ENDPOINT = Reading("ADDR:PORT", _endpoint)
    LISTEN = Reading("ADDR:PORT|unix:PATH", _listen)
    HOST = Reading("NAME", _host)
    ADDRESS = Reading("ADDR", _address)
    NETWORK = Reading("ADDR[/N]", _network)
    PATH = Reading("PATH", _path)
    COVER = Reading("DIR|URL|tls:HOST:PORT", _cover)
    WAY = Reading("h2+tls|h2+reality", _way)
    DURATION = Reading("30d", _duration)
    NOTE = Reading("NOTE", _note)
    USER = Reading("USER", _user)
    FLAG = Reading("", str)

    @property
    def placeholder(self) -> str:
        """What ``--help`` shows for a value."""
        return self.value.placeholder

    @property
    def read(self) -> Callable[[str], str]:
        """Checks one value and gives its canonical text."""
        return self.value.read


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: everything that flags, files, variables and the manual need to know about it."""

    name: str
    kind: Kind
    sentence: str
    default: Value = None
    many: bool = False
    sensitive: bool = False

    @property
    def key(self) -> str:
        """Its key in a TOML file, without the section."""
        return self.name.rpartition(".")[2]

    @property
    def flag(self) -> str:
        """Its flag on the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its variable in the environment."""
        return "ROZANEH_" + self.name.replace(".", "_").upper()

    def check(self, value: object, kind: FaultKind, where: str) -> Value:
        """A value from outside, validated and canonical.

        Raises:
            Fault: of ``kind``, naming ``where``, when the value does not fit; it never repeats a sensitive value.
        """
        if value is None:
            return None
        if self.kind is Kind.FLAG:
            if isinstance(value, bool):
                return value
            raise Fault(kind, f"`{where}` is true or false", hint="")
        if self.many:
            if not isinstance(value, list | tuple):
                raise Fault(kind, f"`{where}` is a list", hint="")
            return [self._one(item, kind, where) for item in value]
        return self._one(value, kind, where)

    def _one(self, value: object, kind: FaultKind, where: str) -> str:
        if not isinstance(value, str):
            raise Fault(kind, f"`{where}` is a text", hint="")
        try:
            return self.kind.read(value)
        except ValueError as error:
            raise Fault(
                kind, f"`{where}` has a wrong value", why=str(error), hint=f"it is written {self.kind.placeholder}"
            ) from None


_ALL = (
    Setting("dir", Kind.PATH, "Where the state lives; a reader's is `$XDG_STATE_HOME/rozaneh` unless given."),
    Setting("client.listen", Kind.LISTEN, "Where the local proxy listens (default: a random port, kept from then on)."),
    Setting("client.user", Kind.USER, "The user name programs must give to the local proxy."),
    Setting("client.password_file", Kind.PATH, "A file (0600) with the password for that user."),
    Setting(
        "client.same_user",
        Kind.FLAG,
        "Accept programs of this user only, without a password (the default on Linux).",
        False,
    ),
    Setting("edge.listen", Kind.ENDPOINT, "Where the edge accepts readers and strangers."),
    Setting("edge.host", Kind.HOST, "The name the edge's certificate and visitors use."),
    Setting("edge.address", Kind.ADDRESS, "The address readers dial (default: the one it listens on)."),
    Setting("edge.cert", Kind.PATH, "A certificate chain in PEM (default: the edge makes its own and invites pin it)."),
    Setting("edge.key", Kind.PATH, "The private key of that certificate in PEM."),
    Setting(
        "edge.cover",
        Kind.COVER,
        "What strangers see: a directory, the URL of a site, or for `h2+reality` a web server to stand in front of"
        " (default: this machine's own web server for that name, else a stock page).",
    ),
    Setting(
        "edge.way",
        Kind.WAY,
        "How readers reach the edge: `h2+tls` by a certificate of its own, `h2+reality` behind a web server's"
        " (default: `h2+reality` where there is such a server).",
    ),
    Setting(
        "edge.post_quantum",
        Kind.FLAG,
        "Sign REALITY's handshakes with ML-DSA-65 too; the cover's certificate chain must be longer than 3.7 kB.",
        False,
    ),
    Setting("edge.egress", Kind.ADDRESS, "The address readers' connections leave from."),
    Setting("edge.allow", Kind.NETWORK, "A range readers may reach although the default policy denies it.", None, True),
    Setting("invite.for", Kind.NOTE, "A note for yourself; it stays on the edge and is not in the link."),
    Setting("invite.expires", Kind.DURATION, "How long the invite can be used (default: until it is revoked)."),
)

SETTINGS: Mapping[str, Setting] = {setting.name: setting for setting in _ALL}


def section(prefix: str) -> list[Setting]:
    """The settings of one section, in the order of the manual."""
    return [setting for setting in _ALL if setting.name.startswith(prefix + ".")]


def load_toml(text: str, prefix: str, where: str) -> dict[str, Value]:
    """The values of one section from a TOML file that holds nothing else.

    Raises:
        Fault: CONFIG, naming the key, for anything unknown or wrong.
    """
    try:
        parsed = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Fault(FaultKind.CONFIG, f"`{where}` is not TOML", why=str(error)) from None
    for name in parsed:
        if name != prefix:
            raise Fault(FaultKind.CONFIG, f"`{where}` has an unknown section `{name}`", hint="remove it")
    table = parsed.get(prefix, {})
    if not isinstance(table, dict):
        raise Fault(FaultKind.CONFIG, f"`{where}`: `{prefix}` is not a section")
    values: dict[str, Value] = {}
    for key, value in table.items():
        setting = SETTINGS.get(f"{prefix}.{key}")
        if setting is None:
            raise Fault(FaultKind.CONFIG, f"`{where}` has an unknown setting `{prefix}.{key}`", hint="remove it")
        values[key] = setting.check(value, FaultKind.CONFIG, f"{prefix}.{key}")
    return values


def dump_toml(prefix: str, values: Mapping[str, Value]) -> str:
    """A TOML file of one section; settings without a value are left out, each one stands below its sentence."""
    lines = [f"[{prefix}]"]
    for setting in section(prefix):
        value = values.get(setting.key)
        if value is None or value == []:
            continue
        lines += ["", f"# {setting.sentence}", f"{setting.key} = {_toml(value)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # TOML 1.0 "String": a basic string escapes backslash, quote and control characters.
    escaped = "".join(
        f"\\u{ord(c):04x}" if ord(c) < 0x20 or ord(c) == 0x7F else "\\" + c if c in '\\"' else c for c in str(value)
    )
    return f'"{escaped}"'


def manual(settings: Iterable[Setting] = _ALL) -> list[dict[str, Any]]:
    """One row a setting for the manual: name, flag, variable, placeholder, default, sentence, sensitive."""
    return [
        {
            "name": s.name,
            "flag": s.flag,
            "variable": s.variable,
            "value": s.kind.placeholder,
            "default": s.default,
            "many": s.many,
            "sentence": s.sentence,
            "sensitive": s.sensitive,
        }
        for s in settings
    ]
