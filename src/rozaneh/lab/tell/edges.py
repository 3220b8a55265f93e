"""What stands in front of a cover: our edge by REALITY, our edge with its own certificate, and Xray as a known one.

Engines run from documents of `rozaneh.engine/1`, as `rozaneh edge up` gives them, in a process of their own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from rozaneh.engine.config import ROSTER_AUTHORITY
from rozaneh.lab.isolate import LabUnavailable
from rozaneh.lab.nodes import Node
from rozaneh.lab.processes import NotReady, Process
from rozaneh.lab.subjects import programs
from rozaneh.lab.tell.covers import INNER, Place, Site, accepts

Document = dict[str, Any]

READY_S = 30.0
LOOK = "chromium"
_USER, _PASSWORD = "reader-7c1e", "a lab's password"
# A reader's probe asks for its roster; what is in it does not matter here.
_SERVICES = [{"authority": ROSTER_AUTHORITY, "documents": {"default": base64.b64encode(b"a roster").decode()}}]
_UUID = "5783a3e7-e373-51cd-8642-c83782b807c5"


@dataclass(frozen=True, slots=True)
class Keys:
    """A REALITY edge's keys, as its document and its readers' ways have them.

    Attributes:
        private, public: X25519, base64url without padding.
        short: The short id, 16 hexadecimal digits.
    """

    private: str
    public: str
    short: str


def keys(seed: str) -> Keys:
    """Keys from a seed: a trial can be repeated, and what they guard is a world of namespaces."""
    rng = Random(f"{seed}/keys")  # noqa: S311 - see above
    private = x25519.X25519PrivateKey.from_private_bytes(rng.randbytes(32))
    raw, public = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    hidden = private.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    return Keys(_b64(hidden), _b64(private.public_key().public_bytes(raw, public)), rng.randbytes(8).hex())


def look() -> Document:
    """The browser our clients look like."""
    document: Document = json.loads(resources.files("rozaneh.data.browsers").joinpath(f"{LOOK}.json").read_bytes())
    return document


def reality(place: Place, site: Site, own: Keys, folder: Path, *, inner: Place = INNER) -> Document:
    """An edge by REALITY whose cover listens at `inner`."""
    return _edge(
        {
            "type": "reality",
            "tag": "edge",
            "bind": f"{place[0]}:{place[1]}",
            "upstream": "direct",
            "services": _SERVICES,
            "private_key": own.private,
            "server_names": [site.name],
            "short_ids": [own.short],
            "cover": {"address": f"{inner[0]}:{inner[1]}"},
            "max_skew_s": 120,
            "replay_file": str(folder / "replays"),
            "mldsa65_seed": None,
            "protocols": ["h2"],
        },
        accounts=True,
    )


def tls(place: Place, site: Site, *, accounts: bool) -> Document:
    """An edge with its own certificate; without accounts it is a web server and nothing else."""
    return _edge(
        {
            "type": "h2",
            "tag": "edge",
            "bind": f"{place[0]}:{place[1]}",
            "upstream": "direct",
            "services": _SERVICES,
            "cert_file": str(site.files.certificate),
            "key_file": str(site.files.key),
            "cover": {"type": "directory", "path": str(site.root)},
        },
        accounts=accounts,
    )


def _edge(listener: Document, *, accounts: bool) -> Document:
    account = {
        "id": "reader",
        "user_sha256": hashlib.sha256(_USER.encode()).hexdigest(),
        "password_sha256": hashlib.sha256(_PASSWORD.encode()).hexdigest(),
        "compartment": "default",
    }
    return {
        "schema": "rozaneh.engine/1",
        "listeners": [listener],
        "upstreams": [{"tag": "direct", "type": "direct"}],
        "users": [account] if accounts else [],
    }


def reader(place: Place, site: Site, own: Keys | None, *, offset: int = 0, bind: str = "127.0.0.1:0") -> Document:
    """A reader of the edge at `place`: by REALITY with its keys, else by TLS under the site's authority."""
    security: Document
    if own is None:
        security = {"type": "tls", "pin": None, "ca_file": str(site.files.certificate.with_name("authority.pem"))}
    else:
        security = {
            "type": "reality",
            "public_key": own.public,
            "short_id": own.short,
            "mldsa65": None,
            "clock_offset_s": offset,
        }
    upstream = {
        "type": "h2",
        "tag": "way",
        "address": f"{place[0]}:{place[1]}",
        "server_name": site.name,
        "user": _USER,
        "password": _PASSWORD,
        "carriers": 1,
        "look": LOOK,
        "security": security,
    }
    local = {"tag": "local", "type": "proxy", "bind": bind, "auth": {"type": "same_user"}, "upstream": "way"}
    return {
        "schema": "rozaneh.engine/1",
        "looks": {LOOK: look()},
        "listeners": [local],
        "upstreams": [upstream],
    }


def start(node: Node, name: str, document: Document, *, env: Mapping[str, str] | None = None) -> Process:
    """Runs an engine in `node`; returns when it accepts."""
    path = node.folder / f"{name}.json"
    path.write_text(json.dumps(document), "utf-8")
    process = node.spawn([sys.executable, "-m", "rozaneh.lab.tell.standing", str(path)], env=env)
    process.wait_line("ready", READY_S)
    return process


_XRAY = """\
import sys, threading
import xray
with open(sys.argv[1], encoding="utf-8") as config:
    xray.startFromJSON(config.read())
threading.Event().wait()
"""


def has_xray() -> bool:
    """Whether Xray is there to be tried."""
    return bool(programs.package_version("Xray-core"))


def counters(process: Process) -> Document:
    """What a running engine has counted."""
    os.kill(process.pid, signal.SIGUSR1)
    found: Document = json.loads(process.wait_line("{", READY_S))
    return found


def xray(node: Node, place: Place, site: Site, own: Keys, *, inner: Place = INNER) -> Process:
    """Xray's REALITY in front of the cover at `inner`."""
    settings = {
        "target": f"{inner[0]}:{inner[1]}",
        "xver": 0,
        "serverNames": [site.name],
        "privateKey": own.private,
        "shortIds": [own.short],
    }
    inbound = {
        "listen": place[0],
        "port": place[1],
        "protocol": "vless",
        "settings": {"clients": [{"id": _UUID}], "decryption": "none"},
        "streamSettings": {"network": "raw", "security": "reality", "realitySettings": settings},
    }
    # Without this rule it does not go to loopback, where the cover is that a recording's client asks for.
    freedom = {"protocol": "freedom", "settings": {"finalRules": [{"action": "allow"}]}}
    return _run_xray(node, "xray-server", {"inbounds": [inbound], "outbounds": [freedom]}, place)


def xray_reader(node: Node, place: Place, site: Site, own: Keys, socks: int) -> Process:
    """Xray's client of a REALITY server, with SOCKS at port `socks` of loopback."""
    settings = {
        "fingerprint": "chrome",
        "serverName": site.name,
        "publicKey": own.public,
        "shortId": own.short,
        "spiderX": "/",
    }
    user = {"id": _UUID, "encryption": "none"}
    outbound = {
        "protocol": "vless",
        "settings": {"vnext": [{"address": place[0], "port": place[1], "users": [user]}]},
        "streamSettings": {"network": "raw", "security": "reality", "realitySettings": settings},
    }
    inbound = {"listen": "127.0.0.1", "port": socks, "protocol": "socks", "settings": {"auth": "noauth"}}
    return _run_xray(node, "xray-client", {"inbounds": [inbound], "outbounds": [outbound]}, ("127.0.0.1", socks))


def _run_xray(node: Node, name: str, config: Document, place: Place) -> Process:
    folder = programs.peers()
    if folder is None or not has_xray():
        raise LabUnavailable("Xray is not installed: `make test` installs it")
    config = {"log": {"loglevel": "none"}, **config}
    path, script = node.folder / f"{name}.json", node.folder / f"{name}.py"
    path.write_text(json.dumps(config), "utf-8")
    script.write_text(_XRAY, "utf-8")
    process = node.spawn([str(folder / "bin" / "python"), str(script), str(path)], log=node.folder / f"{name}.log")
    if not node.call(lambda: accepts(place, READY_S)):
        process.kill()
        raise NotReady(f"Xray does not listen: {process.output()}")
    return process


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
