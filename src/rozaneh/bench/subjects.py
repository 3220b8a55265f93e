"""Who is measured: each is a client and an edge, two processes of their own, between the load and its target.

All listen on the same ports, for only one runs at a time. Every proxy, also a peer's, asks for the same user and
password, so that opening a tunnel is the same work for the load.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rozaneh.bench.plan import Tools
from rozaneh.data import browsers
from rozaneh.ways.catalogue import DEFAULT_LOOK

CLIENT = "127.0.0.1:10001"
EDGE = "127.0.0.1:10002"
TARGET = "127.0.0.1:10003"
SERVER_NAME = "news.example"
# Of throwaway proxies in a namespace without a route.
USER, PASSWORD = "bench", "bench-only"
# A namespace without a route has nobody to ask; the address is never used.
_RESOLVER = {"servers": ["127.0.0.1:53"]}

Document = dict[str, Any]


@dataclass(frozen=True)
class Files:
    """What subjects need on disk: the edge's certificate and key, and a folder to write in."""

    folder: Path
    certificate: Path
    key: Path

    def write(self, name: str, content: str) -> str:
        """Put a configuration into the folder; its path."""
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return str(path)


@dataclass(frozen=True)
class Chain:
    """How one subject runs: its two programs, and what the load connects to."""

    client: list[str] = field(default_factory=list)
    edge: list[str] = field(default_factory=list)
    proxy: str = CLIENT
    auth: str = f"{USER}:{PASSWORD}"
    target: str = TARGET


Builder = Callable[[Tools, Files], Chain]


def make_certificate(folder: Path) -> Files:
    """A self-signed P-256 certificate: the cheapest handshake, for everybody alike."""
    files = Files(folder, folder / "cert.pem", folder / "key.pem")
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={SERVER_NAME}", "-addext", f"subjectAltName=DNS:{SERVER_NAME}"]
    places = ["-keyout", str(files.key), "-out", str(files.certificate)]
    subprocess.run(["openssl", "req", *kind, *names, *places], check=True, capture_output=True)
    return files


def _pin(files: Files) -> str:
    """The certificate's key as a way pins it: base64url of SHA-256 over the public key."""
    import base64

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_pem_x509_certificate(files.certificate.read_bytes()).public_key()
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# ---- ours ----


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _proxy_listener(address: str, upstream: str) -> Document:
    auth = {"type": "password", "user": USER, "password_sha256": _sha256(PASSWORD)}
    return {"tag": "in", "type": "proxy", "bind": address, "auth": auth, "upstream": upstream}


def _engine(parts: Document) -> Document:
    return {"schema": "rozaneh.engine/1", "resolver": _RESOLVER, **parts}


# The target is on loopback, which an edge refuses unless it is told otherwise.
_TO_LOOPBACK = {"upstreams": [{"tag": "out", "type": "direct"}], "policy": {"allow": ["127.0.0.0/8"]}}


def _ours(tools: Tools, files: Files, client: Document, edge: Document) -> Chain:
    run = [tools.python, "-m", "rozaneh.bench.subject"]
    return Chain(
        client=[*run, files.write("client.json", json.dumps(client))],
        edge=[*run, files.write("edge.json", json.dumps(edge))],
    )


def rozaneh_plain(tools: Tools, files: Files) -> Chain:
    """The relay alone: a local proxy whose upstream is another one."""
    upstream = {"tag": "out", "type": "socks5", "address": EDGE, "user": USER, "password": PASSWORD}
    client = _engine({"listeners": [_proxy_listener(CLIENT, "out")], "upstreams": [upstream]})
    return _ours(tools, files, client, _engine({"listeners": [_proxy_listener(EDGE, "out")], **_TO_LOOPBACK}))


def rozaneh_h2(tools: Tools, files: Files) -> Chain:
    """The way ``h2`` as readers use it: its own certificate, pinned, and the stock cover."""
    way: Document = {"tag": "out", "type": "h2", "address": EDGE, "server_name": SERVER_NAME, "look": DEFAULT_LOOK}
    way |= {"user": USER, "password": PASSWORD, "security": {"type": "tls", "pin": _pin(files)}}
    looks = {DEFAULT_LOOK: json.loads(browsers.encode(browsers.load(DEFAULT_LOOK)))}
    client = _engine({"looks": looks, "listeners": [_proxy_listener(CLIENT, "out")], "upstreams": [way]})
    listener = {"tag": "in", "type": "h2", "bind": EDGE, "cover": {"type": "stock"}, "upstream": "out"}
    pair = {"cert_file": str(files.certificate), "key_file": str(files.key)}
    users = [{"id": "bench", "user_sha256": _sha256(USER), "password_sha256": _sha256(PASSWORD)}]
    users[0]["compartment"] = "default"
    return _ours(tools, files, client, _engine({"listeners": [{**listener, **pair}], "users": users, **_TO_LOOPBACK}))


# ---- peers ----

_HAPROXY = """\
global
    maxconn 5000
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen relay
    bind {listen}
    server next {to}
"""


def haproxy_splice(tools: Tools, files: Files) -> Chain:
    """Two haproxy with splice: no SOCKS, they know only the next address."""
    client = files.write("client.cfg", _HAPROXY.format(listen=CLIENT, to=EDGE))
    edge = files.write("edge.cfg", _HAPROXY.format(listen=EDGE, to=TARGET))
    run = [tools.haproxy, "-q", "-db", "-f"]
    return Chain(client=[*run, client], edge=[*run, edge], proxy="-", auth="-", target=CLIENT)


def _endpoint(address: str) -> tuple[str, int]:
    host, port = address.rsplit(":", 1)
    return host, int(port)


def _sing_box(tools: Tools, files: Files, inbound: Document, outbound: Document) -> Chain:
    host, port = _endpoint(EDGE)
    local_host, local_port = _endpoint(CLIENT)
    users = [{"username": USER, "password": PASSWORD}]
    local = {"type": "socks", "listen": local_host, "listen_port": local_port, "users": users}
    edge_in = {**inbound, "listen": host, "listen_port": port}
    client_out = {**outbound, "server": host, "server_port": port}
    quiet = {"log": {"disabled": True}}
    client = {**quiet, "inbounds": [local], "outbounds": [client_out]}
    edge = {**quiet, "inbounds": [edge_in], "outbounds": [{"type": "direct"}]}
    run = [tools.sing_box, "run", "-c"]
    return Chain(
        client=[*run, files.write("client.json", json.dumps(client))],
        edge=[*run, files.write("edge.json", json.dumps(edge))],
    )


def sing_box_plain(tools: Tools, files: Files) -> Chain:
    """sing-box, SOCKS to SOCKS."""
    users = [{"username": USER, "password": PASSWORD}]
    outbound = {"type": "socks", "version": "5", "username": USER, "password": PASSWORD}
    return _sing_box(tools, files, {"type": "socks", "users": users}, outbound)


def _over_tls(kind: str) -> Builder:
    def build(tools: Tools, files: Files) -> Chain:
        pair = {"certificate_path": str(files.certificate), "key_path": str(files.key)}
        server = {"enabled": True, "server_name": SERVER_NAME, **pair}
        client = {"enabled": True, "server_name": SERVER_NAME, "insecure": True}
        inbound = {"type": kind, "users": [{"name": USER, "password": PASSWORD}], "tls": server}
        return _sing_box(tools, files, inbound, {"type": kind, "password": PASSWORD, "tls": client})

    return build


def direct(_tools: Tools, _files: Files) -> Chain:
    """Nobody in between: what the load and its target can do."""
    return Chain(proxy="-", auth="-")


DIRECT, PLAIN, H2 = "direct", "rozaneh-plain", "rozaneh-h2"
PEER_PLAIN, PEER_ANYTLS = "sing-box-plain", "sing-box-anytls"

SUBJECTS: Mapping[str, Builder] = {
    DIRECT: direct,
    PLAIN: rozaneh_plain,
    PEER_PLAIN: sing_box_plain,
    "haproxy-splice": haproxy_splice,
    H2: rozaneh_h2,
    PEER_ANYTLS: _over_tls("anytls"),
    "sing-box-trojan": _over_tls("trojan"),
}


def available(name: str, tools: Tools) -> bool:
    """Whether the programs of a subject are there."""
    if name.startswith("sing-box"):
        return bool(tools.sing_box)
    return bool(tools.haproxy) if name.startswith("haproxy") else True
