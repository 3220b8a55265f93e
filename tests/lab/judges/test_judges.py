"""Each judge on captures whose truth is known; rates and hosts; and the registry."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rozaneh.lab import judges
from rozaneh.lab.codec import quicbuild
from rozaneh.lab.judges import hosts, ja4, matrix, ml02, ml07, ml08, ndpi
from rozaneh.lab.judges.base import Flagged, Judgement, Rate, wilson
from rozaneh.lab.rules import seeded
from tests.lab.crafted import client_hello
from tests.lab.judges.made import START, Packets, Tcp, capture, datagram, record, tls13

NAME = "garden-photos.example"


def verdict(flagged: bool, host: str = "192.0.2.1:443", *, judged: bool = True) -> Flagged:
    return Flagged(f"tcp x > {host}", host, flagged, "test", judged)


def noise(size: int, seed: int = 1) -> bytes:
    return seeded(seed, "noise").randbytes(size)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 0, 0, 1), (0, 20, 0, 0.1611), (20, 20, 0.8389, 1), (5, 10, 0.2366, 0.7634), (1, 1_000, 0.00018, 0.00564)],
)
def test_wilson_interval(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_rates_leave_out_what_could_not_be_judged() -> None:
    verdicts = [verdict(True), verdict(False), verdict(True, judged=False)]
    judgement = Judgement("ml07", verdicts, hosts.accumulate(verdicts), "test")
    assert (judgement.flows.flagged, judgement.flows.of) == (1, 2)
    assert judgement.row("trojan") == {"judge": "ml07", "subject": "trojan", "flagged": 1, "of": 2}
    assert judgement.as_json()["flows"]["of"] == 2
    assert Rate(0, 0).share is None


def test_hosts_are_flagged_by_many_flows_and_not_by_the_classifiers_errors() -> None:
    assert hosts.accumulate([verdict(True)] * 2) == {"192.0.2.1:443": False}
    assert hosts.accumulate([verdict(True)] * 3) == {"192.0.2.1:443": True}
    rng = seeded(7, "errors")
    benign = [verdict(rng.random() < 0.006, f"192.0.2.{at % 200}:443") for at in range(200 * 100)]
    assert sum(hosts.accumulate(benign).values()) == 0
    half = [verdict(at % 2 == 0, "198.51.100.9:443") for at in range(38)]
    assert hosts.accumulate(half) == {"198.51.100.9:443": True}
    assert hosts.accumulate([verdict(True, judged=False)] * 9) == {}
    counter = hosts.Counter()
    for _ in range(1_000):
        counter.add(True)
    assert counter.seen <= 127
    assert counter.hits <= 127


def test_binomial_tail() -> None:
    assert hosts.tail(0, 10, 0.1) == 1
    assert hosts.tail(10, 10, 0.5) == pytest.approx(2**-10)
    assert hosts.tail(1, 3, 0.5) == pytest.approx(7 / 8)


def test_inverse_and_distance() -> None:
    matrix_ = [[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]]
    inverted = matrix.inverse(matrix_)
    product = [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*inverted, strict=True)]
        for row in matrix_
    ]
    assert [value for row in product for value in row] == pytest.approx([1, 0, 0, 0, 1, 0, 0, 0, 1], abs=1e-12)
    assert matrix.mahalanobis([3, 0], [0, 4], [[1, 0], [0, 1]]) == 5
    with pytest.raises(ValueError, match="no inverse"):
        matrix.inverse([[1, 2], [2, 4]])


def test_ml07_law_of_small_blocks_is_exact() -> None:
    law = ml07._law(8)
    assert math.fsum(law.values()) == pytest.approx(1, abs=1e-12)
    assert law[3.0] == pytest.approx(math.perm(256, 8) / 256**8)  # all eight differ
    assert law[0.0] == pytest.approx(256 / 256**8)  # all eight are the same


def test_ml07_flags_noise_and_nothing_that_has_a_shape(tmp_path: Path) -> None:
    text = (b"The quick brown fox jumps over the lazy dog. " * 40)[:700]
    half = b"".join(bytes((value & 0x3F | 0x30,)) for value in noise(700, 3))
    flows = {
        "noise": Tcp(dport=8_388).data(True, noise(500)),
        "noise at the least length": Tcp(dport=8_388, sport=40_001).data(True, noise(149)),
        "short": Tcp(dport=8_388, sport=40_002).data(True, noise(148)),
        "text": Tcp(dport=8_388, sport=40_003).data(True, text),
        "six bits": Tcp(dport=8_388, sport=40_004).data(True, half),
        "tls": Tcp(sport=40_005).data(True, client_hello(NAME)),
        "http": Tcp(dport=80, sport=40_006).data(True, b"GET / HTTP/1.1\r\n\r\n" + noise(400)),
        "ssh": Tcp(dport=22, sport=40_007).data(False, b"SSH-2.0-x\r\n").data(True, noise(400)),
        "silent": Tcp(sport=40_008),
    }
    path = capture(tmp_path / "c.pcap", *(flow.packets for flow in flows.values()))
    found = dict(zip(flows, ml07.judge(path), strict=True))
    assert [name for name, one in found.items() if one.flagged] == ["noise", "noise at the least length"]
    assert not found["silent"].judged


@pytest.mark.parametrize(
    ("up", "down", "flagged"),
    [
        (650, 170, True),
        (1_000, 7_500, True),
        (800, 3_000, True),
        (649, 3_000, False),
        (1_001, 3_000, False),
        (800, 181, False),
        (800, 2_999, False),
        (800, 7_501, False),
    ],
)
def test_ml08_sums_bytes_after_the_clients_change_of_cipher(tmp_path: Path, up: int, down: int, flagged: bool) -> None:
    flow = tls13(Tcp(), client_hello(NAME))  # its Finished is 58 bytes behind the ChangeCipherSpec
    flow.data(True, bytes(up - 58)).data(False, bytes(down)).data(True, b"next")
    (found,) = ml08.judge(capture(tmp_path / "c.pcap", flow.packets))
    assert (found.flagged, found.judged) == (flagged, True)


def test_ml08_waits_for_the_next_packet_and_judges_tls_only(tmp_path: Path) -> None:
    flow = tls13(Tcp(), client_hello(NAME)).data(True, bytes(700)).data(False, bytes(4_000))
    other = Tcp(sport=40_001).data(True, bytes.fromhex("140303000101") + bytes(700)).data(False, bytes(4_000))
    other.data(True, b"next")
    found = ml08.judge(capture(tmp_path / "c.pcap", flow.packets, other.packets))
    assert [(one.flagged, one.judged) for one in found] == [(False, True), (False, False)]


def bursts_flow(sizes: tuple[int, ...], *, tls: bool, sport: int = 40_000) -> Packets:
    flow = tls13(Tcp(sport=sport), client_hello(NAME)) if tls else Tcp(sport=sport, dport=8_388)
    up = True
    for size in sizes:
        packets = -(-size // 1_400)
        flow.data(up, bytes(size + (24 * packets if tls else 0)), mss=1_424 if tls else 1_400)
        up = not up
    return flow.packets


def test_ml02_matches_at_the_published_centroids_and_not_far_away(tmp_path: Path) -> None:
    for name, (mean, _, _) in ml02.PUBLISHED.items():
        sizes = tuple(int(value) for value in mean)
        for tls in (False, True):
            (found,) = ml02.judge(capture(tmp_path / "c.pcap", bursts_flow((*sizes, 90), tls=tls)))
            assert found.flagged, (name, tls, found.why)
            assert found.details["distance"] < 0.2
    far = capture(tmp_path / "far.pcap", bursts_flow((40, 60_000, 40, 60_000, 40), tls=False))
    assert not ml02.judge(far)[0].flagged
    short = capture(tmp_path / "short.pcap", bursts_flow((641, 4_649), tls=False))
    assert not ml02.judge(short)[0].flagged


def test_ja4_of_tcp_quic_and_lists(tmp_path: Path) -> None:
    hello = client_hello(NAME)
    message = quicbuild.client_hello(NAME, seeded(1, "quic"))
    quic = quicbuild.initial(quicbuild.crypto(message), dcid=bytes(range(8)))
    flows = [Tcp().data(True, hello).packets, Tcp(sport=40_001).data(True, b"GET / HTTP/1.1\r\n\r\n").packets]
    path = capture(tmp_path / "c.pcap", *flows, [(START + 5, datagram(quic))])
    counts = ja4.counted(path)
    assert sorted(said[:4] for said in counts) == ["q13d", "t13d"]
    (over_tcp,) = [said for said in counts if said.startswith("t13d")]
    listed = ja4.judge(path, ja4.Settings("denylist", patterns=(over_tcp,)))
    assert [one.flagged for one in listed if one.judged and one.details["ja4"] == over_tcp] == [True]
    allowed = ja4.judge(path, ja4.Settings("allowlist", patterns=(over_tcp[:10] + "_*",)))
    assert [one.flagged for one in allowed if one.judged and one.details["ja4"] == over_tcp] == [False]
    common = ja4.judge(path, ja4.Settings(counts={over_tcp: 99, "other": 1}))
    rare = ja4.judge(path, ja4.Settings(counts={over_tcp: 9, "other": 991}))
    assert (common[0].flagged, rare[0].flagged) == (False, True)
    assert common[0].details["server_name"] == NAME
    assert not common[1].judged


def test_the_registry_names_its_judges_and_refuses_others(tmp_path: Path) -> None:
    assert judges.names() == ["ndpi", "ja4", "ml01", "ml02", "ml07", "ml08"]
    assert all(judges.about(name) for name in judges.names())
    path = capture(tmp_path / "c.pcap", Tcp(dport=8_388).data(True, noise(500)).packets, Tcp(sport=5).packets)
    for name in judges.names():
        if name != "ndpi":
            assert judges.missing(name) == ""
            assert judges.run(name, path).judge == name
    judged = judges.run("ml07", path, wanted=lambda one: one.host.endswith(":8388"))
    assert (judged.flows.flagged, judged.flows.of, len(judged.verdicts)) == (1, 1, 1)
    with pytest.raises(ValueError, match="no judge 'oracle'"):
        judges.run("oracle", path)


def test_ndpi_flags_noise_with_its_heuristics_on_and_nothing_with_them_off(tmp_path: Path) -> None:
    flows = []
    for at in range(3):
        flow = Tcp(sport=40_000 + at, dport=8_388, when=START + at)
        sizes = (250, 100, 600, 4_200, 100, 200, 80, 1_300) * 4  # nDPI must have seen enough to give up naming it
        for up, size in zip((True, False) * 16, sizes, strict=True):
            flow.data(up, noise(size, at), 0.03, mss=1_400)
        flows.append(flow.packets)
    hello = tls13(Tcp(sport=41_000, when=START + 9), client_hello(NAME)).data(True, record(23, bytes(300)))
    path = capture(tmp_path / "c.pcap", *flows, hello.packets)
    judgement = judges.run("ndpi", path)
    by_port = {one.host: one for one in judgement.verdicts}
    assert judgement.flows == Rate(3, 4)
    assert "nDPI 5" in judgement.version
    assert by_port["185.146.21.20:443"].details["ndpi_ja4"].startswith("t13d")
    assert [one.flagged for one in ndpi.judge(path, 0)] == [False] * 4


def test_ndpi_says_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ndpi, "python", lambda: None)
    assert "make .tools/peers" in judges.missing("ndpi")
    with pytest.raises(ndpi.NoNdpi, match="nfstream"):
        judges.run("ndpi", capture(tmp_path / "c.pcap", Tcp().packets))
