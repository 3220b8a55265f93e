"""Whatever a packet carries, these rules neither raise nor answer differently the next time."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rozaneh.lab import craft
from rozaneh.lab.codec import quicbuild
from tests.lab.censors.boxes import Box, connection
from tests.lab.codec import hellos

NAME = "blocked-news.example"
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("tspu_sni", {"names": [NAME], "action": "rewrite", "residual_s": 75}),
    ("tspu_sni", {"names": [NAME], "action": "delayed_drop", "residual_s": 420, "segments": "full", "records": "full"}),
    ("tspu_sni", {"names": [NAME], "residual_s": 9, "residual_key": "3-tuple", "segments": "in_order"}),
    ("ech", {"names": [NAME], "needs_extension": False, "ports": []}),
    ("hello_match", {"names": [NAME]}),
    ("fingerprint_list", {"mode": "rare", "learn": 3, "rare_below": 0.6}),
    ("dtls_hello", {"fingerprints": ["*"], "after_s": 0}),
    ("packet_freeze", {"names": ["n.example"], "spared": ["ssh", "rdp"], "packets": 9}),
    ("byte_freeze", {"names": ["n.example"], "kilobytes": [0.2, 2], "transports": ["tcp", "udp"]}),
    ("siberian", {"gap_s": 50, "more_than": 1, "ports": []}),
    ("policer", {"names": [NAME], "kbit_s": 1, "burst_bytes": 900, "loss": 0.1}),
    ("class_policer", {"link_kbit_s": 50}),
    ("vpn_protocol", {"needs_reply": False, "looks": 9}),
    ("shadowsocks_shape", {"least": 20, "alternating": False, "residual_s": 9, "udp": True, "unrecognised": False}),
    ("whitelist", {"state": "both", "names": ["n.example"], "prefixes": ["185.146.21.20"], "failure": "fin"}),
    ("whitelist", {"state": "names", "names": ["n.example"], "udp": "names", "failure": "rst", "residual_s": 5}),
]


def traffic() -> list[tuple[bytes, bool]]:
    """Connections and datagrams of every kind, whole, mutilated and cut into fragments."""
    rng = Random(17)  # noqa: S311 - repeatability is the point
    session = bytes(range(1, 9))
    firsts = [
        hellos.chrome(NAME),
        hellos.firefox(NAME),
        hellos.chrome(None),
        b"SSH-2.0-x\r\n",
        b"\x99" * 40,
        b"\x00\x0e\x38" + session + bytes(5),
    ]
    quic = quicbuild.initial(quicbuild.crypto(quicbuild.client_hello(NAME, rng)), dcid=session)
    datagrams = [
        quic,
        hellos.dtls(hellos.body((0xC02B,), [], version=0xFEFD, cookie=b""))[0],
        b"\1\0\0\0" + bytes(144),
        b"\x38" + session + bytes(5),
        b"\xff",
    ]
    packets: list[tuple[bytes, bool]] = []
    for turn in range(22):
        v6 = turn % 2 == 1
        one = connection(turn % 11, v6=v6, host=turn % 3)
        one.isn += turn
        packets += one.handshake()
        first = firsts[turn % len(firsts)]
        at = rng.randrange(1, len(first))
        for piece in (first[:at], first[at:], b"x" * 900):
            packets.append((one.data(piece), True))
            packets.append((one.data(b"y" * 300, outbound=False), False))
        packets.append((one.rst(outbound=turn % 3 == 0), turn % 3 == 0))
        payload = datagrams[turn % len(datagrams)]
        for port in (443, 500, 4_500, 1_701):
            server = (craft.SITE6 if v6 else craft.SITE, port)
            raw = craft.datagram(payload, server=server, v6=v6)
            packets += [(raw, True), (craft.datagram(payload, server=server, v6=v6, outbound=False), False)]
            packets += [(craft.datagram(b"\4\0\0\0" + bytes(92), server=server, v6=v6), True)] * 3
            packets += [(piece, True) for piece in craft.fragments(raw, 64)[:4]]
    broken: list[tuple[bytes, bool]] = []
    for raw, outbound in packets:
        data = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        broken.append((bytes(data), outbound))
        broken.append((raw[: rng.randrange(20, len(raw) + 1)], not outbound))
    return packets + broken + packets


@pytest.fixture(scope="module")
def packets() -> list[tuple[bytes, bool]]:
    return traffic()


@pytest.mark.parametrize(("kind", "params"), KINDS)
def test_nothing_raises_and_the_same_seed_decides_the_same(
    kind: str, params: dict[str, Any], packets: list[tuple[bytes, bool]]
) -> None:
    runs = []
    for _ in range(2):
        box = Box(kind, seed=5, **params)  # a rule that raises fails in `send`
        decisions = []
        for raw, outbound in packets:
            outcome = box.send(raw, outbound)
            decisions.append((outcome.forward, outcome.delay, outcome.injected, outcome.acts))
            box.wait(0.05)
        runs.append(decisions)
    assert runs[0] == runs[1]
    assert any(acts for _, _, _, acts in runs[0])  # it did act
    assert all(act.why for _, _, _, acts in runs[0] for act in acts)
