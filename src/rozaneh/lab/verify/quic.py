"""Both censors that read QUIC accept and refuse the published payloads, and block for as long as was measured.

The ten payloads of the GFW's oracle are numbered as the artefact's README numbers them (Table 3 of the paper
[P: gfw-report/usenixsecurity25-quic-sni @67171da]). The TSPU's thirteen rows come from FOCI'26's parsing.csv [P], whose
payload numbers are not explained there: that they mean the same payloads is an assumption, said in each row's source.
Every payload is built here and really sealed; the GFW's own example is also replayed byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Any

from rozaneh.lab import craft, profiles, worlds
from rozaneh.lab.chain import seeded
from rozaneh.lab.codec import quic
from rozaneh.lab.codec import quicbuild as build
from rozaneh.lab.offline import Offline
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify.base import Check

LISTED, FINE, OUTER = "google.com", "open-weather.example", "cloudflare-ech.com"

GFW: dict[str, Any] = {"names": [LISTED], "onset": []}
TSPU: dict[str, Any] = {
    "names": [LISTED],
    "ports": [443],
    "source_above": "no",
    "tracking_s": 0.0,
    "trigger": "drop",
    "drop": "both",
    "residual_s": 420.0,
    "residual_key": "5-tuple",
    "onset": [],
    "check_tag": False,
    "truncated": True,
    "crypto": "full",
}

# The probe of the artefact's README: an Initial packet for google.com with empty connection ids.
EXAMPLE = bytes.fromhex(
    "c1000000010000004055f5de2bedfa3f92b1b6c9566bb0fdd4cd655379bc549f9383046e110d3ec5af79f977950f7357c9af27587d2ca6"
    "3da6f931afd48e211cbbb364d99a3363d60e23bbf8064b36e7294572c4a210e895c752cadc168441"
)

_GFW = "CN-06, Table 3 [P: usenixsecurity25-quic-sni README]"
_TSPU = "RU-07 [P: FOCI'26 parsing.csv; uncertain: that its numbers mean Table 3's payloads is assumed, not stated]"


def payloads(seed: int) -> dict[str, bytes]:
    """The oracle's payloads by their names; all carry the listed name unless their row is about something else."""
    rng = seeded(seed, "verify/quic")
    hello = build.client_hello(LISTED, rng)
    frame = build.crypto(hello)
    dcid, scid = rng.randbytes(8), rng.randbytes(8)

    sealed = partial(build.initial, dcid=dcid, scid=scid)

    third = len(hello) // 3
    pieces = [build.crypto(hello[at : at + third], at) for at in range(0, len(hello), third)]
    mixed = build.PING + bytes(7) + pieces[-1] + build.PING + b"".join(pieces[:-1]) + build.PING
    ech = b"\0\0\x01\0\x01\x2a\0\x20" + rng.randbytes(32) + b"\0\xb0" + rng.randbytes(176)
    return {
        "1": sealed(frame, number_length=1),
        "2": sealed(frame)[:-1],
        "3": sealed(frame, shown_version=2),
        "4": sealed(frame, dcid=b"", scid=b""),
        "5 (scid)": sealed(frame, says=0xFF),
        "5 (dcid)": sealed(frame, dcid=rng.randbytes(0xFF), scid=b""),
        "6": sealed(build.crypto(hello, says=0)),
        "7": sealed(build.crypto(build.client_hello(None, rng, alpn=(LISTED,)))),
        "8": sealed(build.PING * 3 + bytes(5) + frame + build.PING + bytes(3) + build.PING),
        "9": sealed(build.crypto(build.client_hello(OUTER, rng, ech=ech))),
        "10": sealed(frame, version=quic.V2),
        "remove_sni": sealed(build.crypto(build.client_hello(None, rng))),
        "benign": sealed(build.crypto(build.client_hello(FINE, rng))),
        "split": sealed(mixed),
        "plain": sealed(frame),
    }


_ABOUT = {
    "1": "packet number of one byte",
    "2": "last byte removed",
    "3": "version 0x00000002, tag no longer right",
    "4": "both connection ids empty",
    "5 (scid)": "source id's length wrong",
    "5 (dcid)": "destination id's length wrong",
    "6": "CRYPTO frame of length 0 with bytes behind it",
    "7": "name in ALPN alone",
    "8": "one CRYPTO frame among PING and PADDING",
    "9": "encrypted hello, outer name cloudflare-ech.com",
    "10": "version 2",
    "remove_sni": "no server name",
    "benign": "a name that is not listed",
}

_GFW_BLOCKS = {"1", "4", "6"}
_TSPU_BLOCKS = {"1", "2", "8"}


class _Path:
    """A chain with one rule; every flow has its own port unless it says otherwise."""

    def __init__(self, kind: str, rule: str, params: dict[str, Any], *, v6: bool = False) -> None:
        self.lab = Offline([RuleConfig(id=rule, kind=kind, params=params)])
        self._v6 = v6
        self._port = 50_000

    def port(self) -> int:
        """A source port that was not used."""
        self._port += 1
        return self._port

    def send(self, payload: bytes, *, sport: int, dport: int = 443, outbound: bool = True, host: int = 0) -> bool:
        """Whether a datagram arrives."""
        near, far = (craft.READER6, craft.SITE6) if self._v6 else (craft.READER, craft.SITE)
        if host:
            far = f"2a04:4e42:77::{host:x}" if self._v6 else f"185.146.22.{host}"
        raw = craft.datagram(payload, client=(near, sport), server=(far, dport), outbound=outbound)
        return self.lab.send(raw, outbound).forward is not None

    def blocks(self, *first: bytes, sport: int = 0, dport: int = 443, host: int = 0) -> bool:
        """Whether what follows the datagrams `first` on their flow no longer arrives."""
        port = sport or self.port()
        for payload in first:
            self.send(payload, sport=port, dport=dport, host=host)
        return not self.send(b"\x40" + bytes(9), sport=port, dport=dport, host=host)


def checks(seed: int) -> Iterator[Check]:
    """All of them."""
    made = payloads(seed)
    yield from _oracle(made, "the GFW", GFW, _GFW_BLOCKS, _GFW, [str(number) for number in range(1, 11)])
    yield from _oracle(made, "the TSPU", TSPU, _TSPU_BLOCKS, _TSPU, list(_ABOUT))
    yield from _profiles(made)
    yield from _example()
    yield from _gfw_flows(made)
    yield from _gfw_times(made)
    yield from _tspu_flows(made)
    yield from _first_packet()
    yield from _stateless()


def _said(blocked: bool) -> str:
    return "blocked" if blocked else "passes"


def _row(name: str, source: str, expected: bool, measured: bool) -> Check:
    return Check(name, source, _said(expected), _said(measured), expected == measured)


def _oracle(
    made: dict[str, bytes], who: str, params: dict[str, Any], blocks: set[str], source: str, rows: list[str]
) -> Iterator[Check]:
    for v6 in (False, True):
        for host, row in enumerate(rows, 1):
            name = "5 (scid)" if row == "5" else row
            path = _Path("quic_sni", "QUIC", params, v6=v6)
            measured = path.blocks(made[name], host=host)
            about = f"{who}, payload {row}: {_ABOUT[name]} (IPv{6 if v6 else 4})"
            yield _row(about, source, row in blocks, measured)


def _profiles(made: dict[str, bytes]) -> Iterator[Check]:
    """The oracles again, with the rules as they are shipped."""
    world = worlds.load("country")
    rows = (
        ("cn-2025", "CN-06", _GFW_BLOCKS, _GFW, [name for name in _ABOUT if name[0].isdigit() and name != "5 (dcid)"]),
        ("ru-2025-mobile", "RU-07", _TSPU_BLOCKS, _TSPU, list(_ABOUT)),
    )
    for profile, rule, blocks, source, names in rows:
        (shipped,) = (each for each in profiles.rules_for(profiles.load(profile), world) if each.id == rule)
        found = set()
        for host, name in enumerate(names, 1):
            path = _Path(shipped.kind, rule, {**shipped.params, "names": [LISTED]})
            path.send(made[name], sport=50_000, host=host)
            path.lab.wait(2.0)  # blocking may begin a little later
            if not path.send(b"\x40" + bytes(9), sport=50_000, host=host):
                found.add(name)
        yield Check(
            f"payloads that rule {rule} of profile {profile} blocks",
            source,
            ", ".join(sorted(blocks)),
            ", ".join(sorted(found)),
            found == blocks,
            len(names),
        )


def _example() -> Iterator[Check]:
    found = quic.initials(EXAMPLE)
    name = b"google.com" in found[0].payload if found else False
    yield Check(
        "the artefact's own probe opens with the keys of RFC 9001",
        "CN-06 [P: usenixsecurity25-quic-sni README, experiment 1]",
        "tag right, one-byte packet number, google.com inside",
        "not read"
        if not found
        else f"tag right, {found[0].number_length}-byte packet number, {'google.com' if name else 'no name'} inside",
        bool(found) and found[0].number_length == 1 and name,
    )
    yield _row("the artefact's own probe", _GFW, True, _Path("quic_sni", "CN-06", GFW).blocks(EXAMPLE, dport=444))


def _gfw_flows(made: dict[str, bytes]) -> Iterator[Check]:
    source = "CN-06 [P artefact + C paper; section 7, column GFW QUIC]"
    plain = made["plain"]
    hello = build.client_hello(LISTED, Random(1), extra=1_216)  # noqa: S311 - repeatability is the point
    dcid = bytes(range(8))
    two = [
        build.initial(build.crypto(hello[:1_000]), dcid=dcid),
        build.initial(build.crypto(hello[1_000:], 1_000), dcid=dcid, number=1),
    ]
    path = _Path("quic_sni", "CN-06", GFW)
    rows = (
        ("the trigger alone, what follows", True, path.blocks(plain, host=1)),
        ("a junk datagram first", False, path.blocks(b"junk", plain, host=2)),
        ("CRYPTO split in one datagram", False, path.blocks(made["split"], host=3)),
        ("ClientHello over two datagrams", False, path.blocks(*two, host=4)),
        ("source port below the destination's", False, path.blocks(plain, sport=4_000, dport=5_000, host=5)),
        ("source port above the destination's", True, path.blocks(plain, sport=5_001, dport=5_000, host=6)),
        ("any destination port", True, path.blocks(plain, dport=8_443, host=7)),
        ("an unknown version first", False, path.blocks(made["3"], plain, host=8)),
    )
    for name, expected, measured in rows:
        yield _row(f"the GFW, {name}", source, expected, measured)
    fresh = _Path("quic_sni", "CN-06", GFW)
    yield _row("the GFW, the trigger itself", source, False, not fresh.send(plain, sport=50_000))
    yield _row("the GFW, what the server sends", source, False, not fresh.send(b"x", sport=50_000, outbound=False))
    yield _row("the GFW, a new source port after the trigger", source, True, not fresh.send(b"x", sport=50_999))
    yield _row("the GFW, another destination port", source, False, not fresh.send(b"x", sport=50_999, dport=444))
    equal = {
        how: _Path("quic_sni", "CN-06", {**GFW, "source_above": how}).blocks(plain, sport=5_000, dport=5_000)
        for how in ("gt", "ge")
    }
    yield Check(
        "the GFW, equal ports (the paper's text and its figure's title disagree; both selectable)",
        source,
        "gt passes, ge blocked",
        f"gt {_said(equal['gt'])}, ge {_said(equal['ge'])}",
        equal == {"gt": False, "ge": True},
    )
    inward = {}
    for only in (True, False):
        path = _Path("quic_sni", "CN-06", {**GFW, "outbound_only": only})
        path.send(plain, sport=443, dport=50_000, outbound=False)  # the client is outside: its port is 50,000
        inward[only] = not path.send(b"x", sport=443, dport=50_000, outbound=False)
    yield Check(
        "the GFW, a client outside (both ways until 13 March 2025)",
        source,
        "passes today, blocked before",
        f"{_said(inward[True])} today, {_said(inward[False])} before",
        inward == {True: False, False: True},
    )


def _gfw_times(made: dict[str, bytes]) -> Iterator[Check]:
    for wait, expected in ((59, False), (61, True)):
        path = _Path("quic_sni", "CN-06", GFW)
        path.send(b"junk", sport=50_000)
        path.lab.jump(wait)
        measured = path.blocks(made["plain"], sport=50_000)
        yield _row(f"the GFW, {wait} s after a junk datagram", "CN-06 [P: flow tracking 60 s]", expected, measured)
    for wait, expected in ((179, True), (181, False)):
        path = _Path("quic_sni", "CN-06", GFW)
        path.blocks(made["plain"])
        path.lab.jump(wait)
        measured = not path.send(b"x", sport=51_234)
        yield _row(f"the GFW, {wait} s after the trigger", "CN-06 [P: 180 s]", expected, measured)


def _tspu_flows(made: dict[str, bytes]) -> Iterator[Check]:
    source = "RU-07 [T: NTC 1823 posts 69 and 74; section 7]"
    path = _Path("quic_sni", "RU-07", TSPU)
    rows = (
        ("CRYPTO frames in any order in one datagram", True, path.blocks(made["split"])),
        ("the plain hello", True, path.blocks(made["plain"])),
        ("another port than 443", False, path.blocks(made["plain"], dport=8_443)),
        ("another flow to the same server", False, path.blocks(b"other")),
    )
    for name, expected, measured in rows:
        yield _row(f"the TSPU, {name}", source, expected, measured)
    permitted = _Path("quic_sni", "RU-07", {"mode": "allow", "names": [FINE], "source_above": "no", "onset": []})
    source = "RU-07, variant of 2026 [T: NTC 1823 posts 76 and 77, one provider]"
    yield _row("any UDP flow", source, True, permitted.blocks(b"anything"))
    yield _row("QUIC with another name", source, True, permitted.blocks(made["plain"]))
    yield _row("QUIC with a permitted name", source, False, permitted.blocks(made["benign"]))


def _first_packet() -> Iterator[Check]:
    source = "RU-05 [T: NTC 1823 posts 10, 11, 54, 55]"

    def datagram(size: int, first: int = 0xC0, version: int = 1) -> bytes:
        return bytes((first,)) + version.to_bytes(4, "big") + bytes(size - 5)

    path = _Path("quic_first_packet", "RU-05", {})
    rows = (
        ("1,001 bytes with version 1", True, path.blocks(datagram(1_001))),
        ("1,000 bytes", False, path.blocks(datagram(1_000))),
        ("draft 29", False, path.blocks(datagram(1_200, version=0xFF00001D))),
        ("any first byte", True, path.blocks(datagram(1_001, first=0x00))),
        ("another port", False, path.blocks(datagram(1_200), dport=8_443)),
        ("another datagram first", False, path.blocks(b"x", datagram(1_200))),
        ("a low source port", True, path.blocks(datagram(1_200), sport=80)),
    )
    for name, expected, measured in rows:
        yield _row(f"the TSPU of 2022, {name}", source, expected, measured)
    hardened = _Path("quic_first_packet", "RU-05", {"decoy_min": 601})
    for size, expected in ((600, True), (620, False)):
        measured = hardened.blocks(datagram(size, first=0x40, version=0), datagram(1_200))
        yield _row(f"the TSPU of May 2022, a short-header datagram of {size} bytes first", source, expected, measured)


def _stateless() -> Iterator[Check]:
    source = "RU-06 [T: NTC 1823 post 66]"
    path = _Path("quic_stateless", "RU-06", {})
    initial = b"\x80\0\0\0\x01" + bytes(1_195)
    port = path.port()
    path.send(b"junk", sport=port)
    rows = (
        ("80 00000001 of 1,200 bytes", True, not path.send(initial, sport=path.port())),
        ("the same behind a junk datagram", True, not path.send(initial, sport=port)),
        ("1,199 bytes", False, not path.send(initial[:-1], sport=path.port())),
        ("a short header", False, not path.send(b"\x40" + initial[1:], sport=path.port())),
        ("version 2", False, not path.send(b"\x80\x6b\x33\x43\xcf" + bytes(1_195), sport=path.port())),
        ("any port", True, not path.send(initial, sport=path.port(), dport=9_000)),
    )
    for name, expected, measured in rows:
        yield _row(f"the backbone of July 2022, {name}", source, expected, measured)
