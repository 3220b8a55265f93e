"""Configurations of other people's REALITY servers and clients: what goes into which program, and nothing else."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

Document = dict[str, Any]

SERVER_NAME = "cover.test"


def b64(data: bytes) -> str:
    """Base64url without padding, as every REALITY program writes its keys."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass(frozen=True)
class Keys:
    """What a REALITY server and its friends share."""

    private: str
    public: str
    short_id: str
    uuid: str

    @classmethod
    def make(cls, short_id: str, uuid: str) -> Keys:
        """A fresh pair."""
        key = X25519PrivateKey.generate()
        return cls(b64(key.private_bytes_raw()), b64(key.public_key().public_bytes_raw()), short_id, uuid)


@dataclass(frozen=True)
class Server:
    """One inbound: where it listens, whom it borrows."""

    port: int
    cover: int
    keys: Keys
    #: Seed of an ML-DSA-65 key, 32 bytes in base64url; Xray only.
    mldsa_seed: str = ""


@dataclass(frozen=True)
class Client:
    """One outbound behind a SOCKS port of its own."""

    socks: int
    server: int
    keys: Keys
    fingerprint: str = "chrome"
    server_name: str = SERVER_NAME
    #: A flow to ask for, such as `xtls-rprx-vision`.
    flow: str = ""
    #: The server's ML-DSA-65 public key in base64url; Xray only.
    mldsa_verify: str = ""


def xray_servers(servers: list[Server]) -> str:
    """Xray, one inbound each. Without `finalRules` it reaches no loopback address."""
    inbounds = []
    for server in servers:
        reality: Document = {
            "target": f"127.0.0.1:{server.cover}",
            "xver": 0,
            "serverNames": [SERVER_NAME],
            "privateKey": server.keys.private,
            "shortIds": [server.keys.short_id],
        }
        if server.mldsa_seed:
            reality["mldsa65Seed"] = server.mldsa_seed
        inbounds.append(
            {
                "listen": "127.0.0.1",
                "port": server.port,
                "protocol": "vless",
                "settings": {"clients": [{"id": server.keys.uuid}], "decryption": "none"},
                "streamSettings": {"network": "raw", "security": "reality", "realitySettings": reality},
            }
        )
    freedom = {"protocol": "freedom", "settings": {"finalRules": [{"action": "allow"}]}}
    return json.dumps({"log": {"loglevel": "info"}, "inbounds": inbounds, "outbounds": [freedom]})


def xray_clients(clients: list[Client]) -> str:
    """Xray, a SOCKS inbound for each outbound."""
    inbounds, outbounds, rules = [], [], []
    for index, client in enumerate(clients):
        inbounds.append(
            {
                "tag": f"in{index}",
                "listen": "127.0.0.1",
                "port": client.socks,
                "protocol": "socks",
                "settings": {"auth": "noauth", "udp": True},
            }
        )
        reality: Document = {
            "fingerprint": client.fingerprint,
            "serverName": client.server_name,
            "publicKey": client.keys.public,
            "shortId": client.keys.short_id,
            "spiderX": "/",
        }
        if client.mldsa_verify:
            reality["mldsa65Verify"] = client.mldsa_verify
        user = {"id": client.keys.uuid, "encryption": "none", "flow": client.flow}
        outbounds.append(
            {
                "tag": f"out{index}",
                "protocol": "vless",
                "settings": {"vnext": [{"address": "127.0.0.1", "port": client.server, "users": [user]}]},
                "streamSettings": {"network": "raw", "security": "reality", "realitySettings": reality},
            }
        )
        rules.append({"inboundTag": [f"in{index}"], "outboundTag": f"out{index}"})
    routing = {"rules": rules}
    return json.dumps({"log": {"loglevel": "info"}, "inbounds": inbounds, "outbounds": outbounds, "routing": routing})


def singbox_servers(servers: list[Server], more: list[Document]) -> str:
    """sing-box, one inbound each, and others."""
    inbounds: list[Document] = [
        {
            "type": "vless",
            "tag": f"in{index}",
            "listen": "127.0.0.1",
            "listen_port": server.port,
            "users": [{"name": "u", "uuid": server.keys.uuid}],
            "tls": {
                "enabled": True,
                "server_name": SERVER_NAME,
                "reality": {
                    "enabled": True,
                    "handshake": {"server": "127.0.0.1", "server_port": server.cover},
                    "private_key": server.keys.private,
                    "short_id": [server.keys.short_id],
                },
            },
        }
        for index, server in enumerate(servers)
    ]
    return json.dumps({"log": {"level": "info"}, "inbounds": [*inbounds, *more], "outbounds": [{"type": "direct"}]})


def singbox_plain(port: int, uuid: str, cert: str, key: str) -> Document:
    """VLESS inside TLS with a certificate of the server's own."""
    return {
        "type": "vless",
        "tag": "plain",
        "listen": "127.0.0.1",
        "listen_port": port,
        "users": [{"name": "u", "uuid": uuid}],
        "tls": {"enabled": True, "server_name": SERVER_NAME, "certificate_path": cert, "key_path": key},
    }


def singbox_cover(port: int, http: int, cert: str, key: str) -> Document:
    """An inbound that is a web server of Go's TLS to everybody: Trojan hands whom it does not know to `http`."""
    place = {"server": "127.0.0.1", "server_port": http}
    return {
        "type": "trojan",
        "tag": "cover",
        "listen": "127.0.0.1",
        "listen_port": port,
        "users": [{"name": "nobody", "password": "nobody knows this one"}],
        "tls": {
            "enabled": True,
            "server_name": SERVER_NAME,
            "certificate_path": cert,
            "key_path": key,
            "alpn": ["http/1.1"],
        },
        "fallback": place,
        "fallback_for_alpn": {"http/1.1": place},
    }


def singbox_clients(clients: list[Client]) -> str:
    """sing-box with uTLS, a SOCKS inbound for each outbound."""
    inbounds, outbounds, rules = [], [], []
    for index, client in enumerate(clients):
        inbounds.append({"type": "mixed", "tag": f"in{index}", "listen": "127.0.0.1", "listen_port": client.socks})
        outbounds.append(
            {
                "type": "vless",
                "tag": f"out{index}",
                "server": "127.0.0.1",
                "server_port": client.server,
                "uuid": client.keys.uuid,
                "flow": client.flow,
                "packet_encoding": "",
                "tls": {
                    "enabled": True,
                    "server_name": client.server_name,
                    "utls": {"enabled": True, "fingerprint": client.fingerprint},
                    "reality": {
                        "enabled": True,
                        "public_key": client.keys.public,
                        "short_id": client.keys.short_id,
                    },
                },
            }
        )
        rules.append({"inbound": [f"in{index}"], "action": "route", "outbound": f"out{index}"})
    return json.dumps(
        {"log": {"level": "info"}, "inbounds": inbounds, "outbounds": outbounds, "route": {"rules": rules}}
    )


_MIHOMO: Document = {
    "log-level": "info",
    "ipv6": True,
    "mode": "rule",
    "geo-auto-update": False,
    "profile": {"store-selected": False, "store-fake-ip": False},
}


def mihomo_servers(servers: list[Server]) -> str:
    """mihomo, one listener each (JSON is YAML)."""
    listeners = [
        {
            "name": f"in{index}",
            "type": "vless",
            "listen": "127.0.0.1",
            "port": server.port,
            "users": [{"username": "u", "uuid": server.keys.uuid}],
            "reality-config": {
                "dest": f"127.0.0.1:{server.cover}",
                "private-key": server.keys.private,
                "short-id": [server.keys.short_id],
                "server-names": [SERVER_NAME],
            },
        }
        for index, server in enumerate(servers)
    ]
    return json.dumps(_MIHOMO | {"listeners": listeners, "rules": ["MATCH,DIRECT"]})


def mihomo_clients(clients: list[Client]) -> str:
    """mihomo, a SOCKS listener for each proxy."""
    listeners, proxies = [], []
    for index, client in enumerate(clients):
        listeners.append(
            {
                "name": f"in{index}",
                "type": "socks",
                "listen": "127.0.0.1",
                "port": client.socks,
                "udp": True,
                "proxy": f"out{index}",
            }
        )
        proxies.append(
            {
                "name": f"out{index}",
                "type": "vless",
                "server": "127.0.0.1",
                "port": client.server,
                "uuid": client.keys.uuid,
                "flow": client.flow,
                "network": "tcp",
                "udp": True,
                "packet-encoding": "",
                "xudp": False,
                "tls": True,
                "servername": client.server_name,
                "client-fingerprint": client.fingerprint,
                "reality-opts": {"public-key": client.keys.public, "short-id": client.keys.short_id},
            }
        )
    return json.dumps(_MIHOMO | {"listeners": listeners, "proxies": proxies, "rules": ["MATCH,DIRECT"]})
