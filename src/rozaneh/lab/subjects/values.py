"""The values a subject's texts may name in braces, and how they come about: addresses, ports, secrets, programs.

Secrets are made from the run's seed, so that a run can be repeated to the byte; they guard nothing but a world of
namespaces.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping
from random import Random

from rozaneh.lab.subjects import PLACEHOLDER, programs

# Port of the cover site on the server's own loopback.
COVER_PORT = 8443
# Ends of a tun subject's tunnel, and the resolver its client asks through it: RFC 2544's range, which no site has.
TUNNEL_SERVER, TUNNEL_CLIENT, TUNNEL_RESOLVER = "198.18.77.1", "198.18.77.2", "198.18.77.53"

NAMES: Mapping[str, str] = {
    "server_ip": "the server's address in this run",
    "server_ipv4": "its IPv4 address at the same place, whatever the family of this run",
    "server_host": "the same as {server_ip}, in brackets when it is IPv6",
    "server_name": "the server's name, which the world's resolvers know and {cert} is for",
    "port": "the server's port (`port` of the subject)",
    "socks_port": "where the client listens on 127.0.0.1",
    "spare_port": "a port of 127.0.0.1 at the reader's for a second program",
    "inner_port": "a port of 127.0.0.1 on the server for a second program",
    "dir": "the run's own folder, seen from both ends",
    "ca": "the world's certificate authority, a PEM file",
    "cert": "a certificate for {server_name} under {ca}, with its chain, a PEM file",
    "key": "its key, a PEM file",
    "cover_port": "port of 127.0.0.1 on the server with a web site for {server_name} under {cert}",
    "password": "a password",
    "psk": "16 random bytes, base64",
    "uuid": "a UUID",
    "short_id": "8 random bytes, hexadecimal",
    "x25519_private": "an X25519 key of the server, base64url without padding",
    "x25519_public": "its public part",
    "wg_server_private": "an X25519 key of the server, base64",
    "wg_server_public": "its public part",
    "wg_client_private": "an X25519 key of the client, base64",
    "wg_client_public": "its public part",
    "resolver_ip": "the resolver of the reader's resolv.conf",
    "zone": "a DNS zone that the world's resolvers ask the server for",
    "gateway": "the next hop of the reader's own line, in the family of {server_ip}",
    "device": "the reader's own line",
    "tunnel_server": "the server's end of a tun subject's tunnel",
    "tunnel_client": "the client's end, which the world's routers send to the server",
    "tunnel_resolver": "a resolver on the server that answers through the tunnel",
    **{name: f"path of {program.what}" for name, program in programs.KNOWN.items()},
}


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with every known value in its place; what is no value stays as it is."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def secrets(seed: int) -> dict[str, str]:
    """Every secret of a run."""
    rng = Random(f"subject/{seed}")  # noqa: S311 - repeatability is the point
    private, public = _x25519(rng)
    made = {
        "password": rng.randbytes(12).hex(),
        "psk": base64.b64encode(rng.randbytes(16)).decode(),
        "uuid": str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
        "short_id": rng.randbytes(8).hex(),
        "x25519_private": base64.urlsafe_b64encode(private).decode().rstrip("="),
        "x25519_public": base64.urlsafe_b64encode(public).decode().rstrip("="),
    }
    for end in ("server", "client"):
        private, public = _x25519(rng)
        made[f"wg_{end}_private"] = base64.b64encode(private).decode()
        made[f"wg_{end}_public"] = base64.b64encode(public).decode()
    return made


def _x25519(rng: Random) -> tuple[bytes, bytes]:
    """A key pair (RFC 7748); the private key clamped as WireGuard writes it."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    private = bytearray(rng.randbytes(32))
    private[0] &= 248
    private[31] = (private[31] & 127) | 64
    return bytes(private), X25519PrivateKey.from_private_bytes(bytes(private)).public_key().public_bytes_raw()
