"""An edge behind REALITY and its readers, by the commands people type: nginx in front of strangers, keys, clocks."""

from __future__ import annotations

import datetime
import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rozaneh.fleet.invites import decode
from tests.interop.nginx_oracle import Nginx
from tests.programs import Site, answer, free_port, program, run, serving

SERVER = """
    server {{
        listen {listen} ssl http2;
        server_name {name};
        ssl_certificate {cert};
        ssl_certificate_key {key};
        root {root};
    }}
"""
HOME = "<title>Club of the north side</title>"


@dataclass
class Web:
    """The operator's own nginx beside the edge."""

    name: str
    port: int
    certificate: bytes
    authority: Path


@contextmanager
def web(folder: Path, padding: int = 0) -> Iterator[Web]:
    """nginx with a certificate for a name of its own, ``padding`` further names making it longer."""
    name, port = f"club-{secrets.token_hex(4)}.example", free_port()
    base = folder / "web"
    base.mkdir()
    cert, key = base / "site.pem", base / "site.key"
    made = certificate([name, *(f"member-{number:03}.{name}" for number in range(padding))], cert, key)
    (base / "index.html").write_text(HOME)
    extra = SERVER.format(listen=f"127.0.0.1:{port}", name=name, cert=cert, key=key, root=base)
    nginx = Nginx(base, base, extra).start()
    try:
        yield Web(name, port, made, base / "authority.pem")
    finally:
        nginx.stop()


def certificate(names: list[str], cert: Path, key: Path) -> bytes:
    """A certificate for ``names`` from an authority made for it, left beside it; gives it as strangers get it."""
    now = datetime.datetime.now(datetime.UTC)
    private, signing = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def builder(subject: str, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An Authority")]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=60))
        )

    authority = builder("An Authority", signing.public_key())
    authority = authority.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    cert.with_name("authority.pem").write_bytes(authority.sign(signing, SHA256()).public_bytes(Encoding.PEM))
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    made = builder(names[0], private.public_key()).add_extension(alternatives, critical=False).sign(signing, SHA256())
    cert.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made.public_bytes(Encoding.DER)


@dataclass
class World:
    """An edge that is up, and a site to read."""

    home: Path
    listen: str
    link: bytes
    site: int
    made: dict[str, Any] = field(repr=False)

    def once(self, size: int) -> dict[str, Any]:
        """``connect --once`` of a page of that size."""
        url = f"http://127.0.0.1:{self.site}/{size}"
        return answer(run("connect", "-", "--dir", str(self.home / "reader"), "--once", url, "--json", stdin=self.link))


@contextmanager
def edge(folder: Path, host: str, *choices: str) -> Iterator[World]:
    """``edge init`` with these choices, ``edge up`` and an invite."""
    directory, listen = str(folder / "edge"), f"127.0.0.1:{free_port()}"
    where = ["--dir", directory, "--listen", listen, "--host", host, "--allow", "127.0.0.0/8"]
    made = answer(run("edge", "init", *where, *choices, "--json"))
    with program("edge", "up", "--dir", directory, "--json") as up, serving(Site) as site:
        up.ready()
        link = run("invite", "new", "--dir", directory).stdout.strip()
        yield World(folder, listen, link, site, made)
        findings = {row["name"]: row for row in answer(run("doctor", "--dir", directory, "--json"), 1)["checks"]}
        assert findings["reality"]["verdict"] == "healthy"
        assert "nobody gets in" not in up.errors


def stranger(listen: str, name: str) -> tuple[bytes, bytes]:
    """What a stranger sees: the certificate and the page."""
    host, _, port = listen.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=20) as peer,
        context.wrap_socket(peer, server_hostname=name) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := tls.recv(65_536):
            answer += chunk
        return tls.getpeercert(True) or b"", answer


def test_in_front_of_the_operators_own_nginx(tmp_path: Path) -> None:
    with web(tmp_path) as nginx, edge(tmp_path, nginx.name) as world:
        assert (world.made["way"], world.made["cover"]) == ("h2+reality", f"tls:127.0.0.1:{nginx.port}")
        seen, text = stranger(world.listen, nginx.name)
        assert seen == nginx.certificate
        assert HOME.encode() in text
        fetched = world.once(300_000)
        assert (fetched["status"], fetched["bytes"]) == (200, 300_000)
        assert fetched["way"] == "h2+reality(address=[hidden],name=[hidden],key=[hidden],short=[hidden])"
        status = answer(run("edge", "status", "--dir", str(tmp_path / "edge"), "--json"))
        assert (status["way"], status["cover"]) == ("h2+reality", f"tls:127.0.0.1:{nginx.port}")


def test_with_a_site_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "index.html").write_text(HOME)
    with edge(tmp_path, "club.example", "--way", "h2+reality", "--cover", str(tmp_path / "files")) as world:
        _, text = stranger(world.listen, "club.example")
        assert HOME.encode() in text
        assert world.once(7)["bytes"] == 7


def test_ml_dsa_is_demanded_once_the_roster_is_there(tmp_path: Path) -> None:
    with web(tmp_path, padding=120) as nginx, edge(tmp_path, nginx.name, "--post-quantum") as world:
        assert decode(world.link.decode()).ways[0].last.get("mldsa") is None
        first, second = world.once(7), world.once(8)
        for fetched in (first, second):
            assert fetched["status"] == 200
            assert "mldsa=[hidden]" in fetched["way"]
        state = json.loads((tmp_path / "reader" / "state.json").read_text())
        assert "mldsa=" in state["last_good"]


def test_a_short_chain_is_refused_for_ml_dsa(tmp_path: Path) -> None:
    with web(tmp_path) as nginx:
        where = ["--dir", str(tmp_path / "edge"), "--listen", f"127.0.0.1:{free_port()}", "--host", nginx.name]
        done = run("edge", "init", *where, "--cover", f"tls:127.0.0.1:{nginx.port}", "--post-quantum")
    assert done.returncode == 3
    assert b"ML-DSA" in done.stderr
    assert not (tmp_path / "edge").exists()


def test_nginx_on_our_port_stops_with_the_lines(tmp_path: Path) -> None:
    with web(tmp_path) as nginx:
        where = ["--dir", str(tmp_path / "edge"), "--listen", f"127.0.0.1:{nginx.port}", "--host", nginx.name]
        done = run("edge", "init", *where)
    assert done.returncode == 3
    assert b"    listen 127.0.0.1:8443 ssl;\n    port_in_redirect off;\n" in done.stderr
    assert not (tmp_path / "edge").exists()
