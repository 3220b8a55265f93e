"""Rules on parts of a ClientHello: ECH behind an outer name, exact descriptions, lists of fingerprints, DTLS."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from rozaneh.lab import craft
from rozaneh.lab.codec import fingerprint, quicbuild
from rozaneh.lab.codec.clienthello import ClientHello, parse
from rozaneh.lab.records import cut
from tests.lab.censors.boxes import Box, connection
from tests.lab.codec import hellos

OUTER = "cloudflare-ech.com"
ECH = (0xFE0D, b"\0" * 120)


def sent(box: Box, *segments: bytes, number: int = 0, v6: bool = False) -> bool:
    """Whether a connection gets its hello out and an answer back."""
    one = connection(number, v6=v6)
    box.shake(one)
    out = all([box.out(one.data(segment)) for segment in segments])  # noqa: C419 - all are sent
    return out and box.back(one.data(b"\x16\x03\x03\x00\x02\x02\x00", outbound=False))


# --- ech


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize(
    ("name", "ech", "passes"),
    [(OUTER, True, False), (OUTER, False, True), ("a.example", True, True), (None, True, True)],
)
def test_ech_needs_the_name_and_the_extension(name: str | None, ech: bool, passes: bool, v6: bool) -> None:
    box = Box("ech")
    assert sent(box, hellos.chrome(name, extra=[ECH] if ech else []), v6=v6) is passes
    dcid, rng = bytes(range(8)), Random(1)  # noqa: S311 - repeatability is the point
    message = quicbuild.client_hello(name, rng, ech=ECH[1] if ech else None)
    quic = quicbuild.initial(quicbuild.crypto(message), dcid=dcid)
    server = ((craft.SITE6 if v6 else craft.SITE), 443)
    assert box.out(craft.datagram(quic, server=server, v6=v6)) is passes
    assert box.back(craft.datagram(b"\x40" * 50, server=server, v6=v6, outbound=False)) is passes


def test_ech_is_dropped_without_a_reset_for_the_connection_alone() -> None:
    box, one = Box("ech"), connection()
    box.shake(one)
    outcome = box.send(one.data(hellos.chrome(OUTER, extra=[ECH])))
    assert (outcome.forward, outcome.injected, outcome.acts[0].why) == (None, [], f"ECH behind {OUTER}")
    box.jump(3_600)
    assert not box.back(one.ack(outbound=False))
    assert sent(box, hellos.chrome("a.example"), number=1)
    again = connection()
    again.isn += 50_000
    box.shake(again)  # the same ports, another connection
    assert box.out(again.data(hellos.chrome("a.example")))


def test_ech_segments_or_records_alone_are_caught_both_together_pass() -> None:
    hello = hellos.chrome(OUTER, extra=[ECH])
    middle = hello.index(OUTER.encode()) + 4
    fragmented = cut(hello, middle - 5)
    assert not sent(Box("ech"), hello[:middle], hello[middle:])
    assert not sent(Box("ech"), fragmented)
    assert sent(Box("ech"), fragmented[:middle], fragmented[middle:])


def test_ech_other_ports_old_knobs_and_no_quic() -> None:
    one = connection(port=8_443)
    for ports, passes in (([443], True), ([], False)):
        box = Box("ech", ports=ports)
        box.shake(one)
        assert box.out(one.data(hellos.chrome(OUTER, extra=[ECH]))) is passes
    assert not sent(Box("ech", needs_extension=False), hellos.chrome(OUTER))
    message = quicbuild.client_hello(OUTER, Random(1), ech=ECH[1])  # noqa: S311 - repeatability is the point
    quic = quicbuild.initial(quicbuild.crypto(message), dcid=bytes(range(8)))
    assert Box("ech", quic=False).out(craft.datagram(quic, server=(craft.SITE, 443)))
    assert Box("ech").out(craft.datagram(quic, server=(craft.SITE, 8_443)))


# --- hello_match


def described(**changes: Any) -> dict[str, Any]:
    hello = parse(hellos.firefox("www.youtube.example"))
    assert isinstance(hello, ClientHello)
    whole: dict[str, Any] = {
        "names": ["www.youtube.example"],
        "ciphers": list(hello.ciphers),
        "groups": list(hello.groups),
        "signature_algorithms": list(hello.sig_algs),
        "action": "mute",
    }
    return {**whole, **changes}


def test_hello_match_mutes_the_server_when_everything_matches() -> None:
    box, one = Box("hello_match", **described()), connection()
    box.shake(one)
    assert box.out(one.data(hellos.firefox("www.youtube.example")))  # the hello reaches the server
    assert not box.back(one.data(b"\x16\x03\x03", outbound=False))
    assert box.out(one.ack())


@pytest.mark.parametrize(
    ("changes", "hello", "passes"),
    [
        ({}, hellos.firefox("www.youtube.example"), False),
        ({}, hellos.firefox("WWW.youtube.example"), True),
        ({"case_sensitive": False}, hellos.firefox("WWW.youtube.example"), False),
        ({}, hellos.chrome("www.youtube.example"), True),
        ({"groups": [29]}, hellos.firefox("www.youtube.example"), True),
        ({"signature_algorithms": [0x0403]}, hellos.firefox("www.youtube.example"), True),
        ({"ciphers": []}, hellos.firefox("www.youtube.example"), False),
        ({"alpn": ["h2", "http/1.1"]}, hellos.firefox("www.youtube.example"), False),
        ({"alpn": ["h2"]}, hellos.firefox("www.youtube.example"), True),
        ({"names": []}, hellos.firefox("other.example"), False),
    ],
)
def test_hello_match_is_an_and(changes: dict[str, Any], hello: bytes, passes: bool) -> None:
    assert sent(Box("hello_match", **described(**changes)), hello) is passes


def test_hello_match_compares_lists_without_grease() -> None:
    wanted = {"ciphers": list(hellos.CHROME_CIPHERS)}
    assert not sent(Box("hello_match", **wanted), hellos.chrome("a.example"))


# --- fingerprint_list

CHROME_JA4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"


@pytest.mark.parametrize(
    ("mode", "patterns", "chrome", "firefox"),
    [
        ("deny", [CHROME_JA4], False, True),
        ("deny", ["t13d15*"], False, True),
        ("allow", [CHROME_JA4], True, False),
        ("deny", ["*_5b57614c22b0_*"], True, False),
    ],
)
def test_fingerprints_denied_and_allowed(mode: str, patterns: list[str], chrome: bool, firefox: bool) -> None:
    for v6 in (False, True):
        box = Box("fingerprint_list", mode=mode, fingerprints=patterns)
        assert sent(box, hellos.chrome("a.example"), v6=v6) is chrome
        assert sent(box, hellos.firefox("a.example"), number=1, v6=v6) is firefox


def test_ja3_lists_work_too_and_segments_are_joined() -> None:
    hello = hellos.firefox("a.example")
    parsed = parse(hello)
    assert isinstance(parsed, ClientHello)
    box = Box("fingerprint_list", fingerprints=[fingerprint.ja3(parsed)])
    assert not sent(box, hello[:100], hello[100:])
    assert sent(box, hellos.chrome("a.example"), number=1)


def test_which_packets_are_lost_is_a_parameter() -> None:
    for action, out, back in (("drop_out", False, True), ("mute", True, False), ("drop", False, False)):
        box, one = Box("fingerprint_list", fingerprints=[CHROME_JA4], action=action), connection()
        box.shake(one)
        assert box.out(one.data(hellos.chrome("a.example"))) is out
        assert box.back(one.data(b"x", outbound=False)) is back


def test_rare_fingerprints_by_corpus_and_by_what_was_seen() -> None:
    corpus = {"t13d15??h2_8daaf6152771_*": 0.6, "*_5b57614c22b0_*": 0.0001}
    box = Box("fingerprint_list", mode="rare", corpus=corpus)
    assert sent(box, hellos.chrome("a.example"))
    assert not sent(box, hellos.firefox("a.example"), number=1)
    learning = Box("fingerprint_list", mode="rare", learn=50, rare_below=0.05)
    assert all(sent(learning, hellos.chrome("a.example"), number=number) for number in range(50))
    assert not sent(learning, hellos.firefox("a.example"), number=60)
    assert sent(learning, hellos.chrome("a.example"), number=61)
    assert sent(Box("fingerprint_list", mode="rare", spare=["a.example"]), hellos.firefox("a.example"))


# --- dtls_hello


def dtls(
    version: int = 0xFEFD, *, offered: tuple[int, ...] = (), cookie: bytes = b"", size: int = 65_000
) -> list[bytes]:
    extensions = [hellos.groups(29, 23, 24), (11, b"\x01\x00"), (23, b""), (0xFF01, b"\0")]
    if offered:
        extensions.append(hellos.versions(*offered))
    return hellos.dtls(hellos.body((0xC02B, 0xC02F, 0xC00A, 0xC014), extensions, version=version, cookie=cookie), size)


PION = "dd2i0404*"


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("outbound", [True, False])
def test_dtls_flows_are_dropped_a_little_after_their_hello(outbound: bool, v6: bool) -> None:
    box = Box("dtls_hello", fingerprints=[PION])
    stun, hello = (craft.datagram(payload, v6=v6, outbound=outbound) for payload in (b"\0\1" + bytes(18), dtls()[0]))
    assert all(box.send(raw, outbound).forward == raw for raw in (stun, hello, hello))
    box.jump(0.9)
    assert box.send(stun, outbound).forward == stun
    box.jump(0.2)
    outcome = box.send(stun, outbound)
    assert outcome.forward is None
    assert outcome.acts[0].why.startswith("DTLS fingerprint dd2i0404")


@pytest.mark.parametrize(
    ("pieces", "passes"),
    [
        (dtls(), False),
        (dtls(cookie=b"c" * 20), False),
        (dtls(size=60), False),
        (dtls(offered=(0xFEFC, 0xFEFD)), True),
        (hellos.dtls(hellos.body((0xC02B,), [(23, b"")], version=0xFEFD, cookie=b"")), True),
        ([b"\x16\xfe\xff" + bytes(60)], True),
        ([b"\x17\xfe\xfd" + bytes(60)], True),
    ],
)
def test_which_dtls_hellos_are_listed(pieces: list[bytes], passes: bool) -> None:
    box = Box("dtls_hello", fingerprints=[PION], after_s=0)
    results = [box.out(craft.datagram(piece)) for piece in pieces]
    assert all(results) is passes
    assert box.out(craft.datagram(b"later")) is passes


def test_every_dtls_hello_and_outbound_only() -> None:
    hello = hellos.dtls(hellos.body((0xC02B,), [(23, b"")], version=0xFEFD, cookie=b""))[0]
    assert not Box("dtls_hello", fingerprints=["*"], after_s=0).out(craft.datagram(hello))
    box = Box("dtls_hello", fingerprints=["*"], after_s=0, outbound_only=True)
    assert box.back(craft.datagram(hello, outbound=False))


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("hello_match", {}),
        ("fingerprint_list", {}),
        ("fingerprint_list", {"mode": "rare", "rare_below": 2}),
        ("dtls_hello", {"fingerprints": []}),
        ("dtls_hello", {"fingerprints": ["*"], "after_s": -1}),
        ("ech", {"habits": {"crypto": "sometimes"}}),
    ],
)
def test_wrong_parameters_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="rule 'X'"):
        Box(kind, **params)
