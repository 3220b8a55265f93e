"""Geneva's strategies against the censors they were found against: what worked there works here, what failed fails.

The table is the one of Geneva's own repository, strategies.md [P], all 24 rows, the columns of China and Kazakhstan
(2019, HTTP), against the test-only presets `gfw-2019` and `kz`. A rate of 85 % or more there must pass here, one of 5 %
or less must be blocked; what lies between is shown and not asserted. Over IPv4 and IPv6: the table is of IPv4, and
nothing in these strategies is particular to it but the length field, which has a counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from rozaneh.lab.packet import ACK, FIN, PSH, RST, SYN, URG
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify import _presets
from rozaneh.lab.verify._kernel import NS, Segment, Strategy, fetch
from rozaneh.lab.verify.base import Check

SOURCE = "Geneva, strategies.md at 28a3fa6 [P]"
PASSES, BLOCKED = 85, 5  # per cent
_SEEDS = 10
_ECE, _CWR = 0x40, 0x80

# Half of China's request ends inside the keyword: whoever reads the halves one by one does not find it.
REQUESTS = {
    "gfw-2019": (
        b"GET /search?in=everything&order=newest&page=1&q=ultrasurf HTTP/1.1\r\n"
        b"Host: plain.example\r\nUser-Agent: lab\r\n\r\n"
    ),
    "kz": b"GET / HTTP/1.1\r\nHost: forbidden.example\r\nUser-Agent: lab\r\n\r\n",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy as Geneva writes it, its rates in per cent, and what it does to a segment."""

    dna: str
    china: int
    kazakhstan: int
    apply: Strategy


def _on(flags: int, change: Strategy) -> Strategy:
    """A strategy that is triggered by exactly these flags; anything else goes out as it is."""

    def apply(segment: Segment, rng: Random) -> list[Segment]:
        return change(segment, rng) if segment.flags == flags else [segment]

    return apply


def _before(tamper: Callable[[Segment, Random], Segment]) -> Strategy:
    """Geneva's `duplicate(tamper,)`: the changed copy first."""
    return lambda segment, rng: [tamper(segment, rng), segment]


def _behind(tamper: Callable[[Segment, Random], Segment]) -> Strategy:
    """Geneva's `duplicate(,tamper)`: the changed copy second."""
    return lambda segment, rng: [segment, tamper(segment, rng)]


def _bad_checksum(segment: Segment) -> Segment:
    return replace(segment, bad_checksum=True)


def _bad_ack(segment: Segment, rng: Random) -> Segment:
    # Far ahead of anything the server sent: a kernel drops it (RFC 5961 5.2).
    return replace(segment, ack=(segment.ack + rng.randrange(1 << 20, 1 << 30)) % 2**32)


def _bad_load(segment: Segment, rng: Random) -> Segment:
    return replace(segment, payload=rng.randbytes(len(segment.payload)) if segment.payload else rng.randbytes(24))


def _md5(segment: Segment) -> Segment:
    return replace(segment, options=segment.options + b"\x01\x01\x13\x12" + b"\x5a" * 16)


def _reset(segment: Segment, flags: int) -> Segment:
    return replace(segment, flags=flags, payload=b"")


def _shifted(segment: Segment, rng: Random) -> Segment:
    """A window scale option in front and a header length of 32: four bytes of options become data.

    A timestamp no longer fits the header then, and RFC 7323 3.2 has the server drop it. (Geneva's table says that it
    did not harm the connection; where its tool puts the option is not stated.)
    """
    return replace(segment, options=bytes((3, 3, rng.randrange(15))) + segment.options + b"\x01", data_offset=8)


def _segmented(first: int, *, in_order: bool, again: int = 0) -> Strategy:
    """Geneva's `fragment{tcp:first:in_order}`, and with `again` the second part cut once more."""

    def apply(segment: Segment, rng: Random) -> list[Segment]:
        size = len(segment.payload) // 2 if first < 0 else first
        edges = [0, size, size + again, len(segment.payload)] if again else [0, size, len(segment.payload)]
        parts = [
            replace(segment, seq=(segment.seq + a) % 2**32, payload=segment.payload[a:b]) for a, b in pairwise(edges)
        ]
        return parts if in_order else parts[::-1]

    return apply


def _corrupt_seq(segment: Segment, rng: Random) -> list[Segment]:
    return [replace(segment, seq=(segment.seq + rng.randrange(1 << 20, 1 << 31)) % 2**32)]


def _both(*parts: tuple[int, Strategy]) -> Strategy:
    def apply(segment: Segment, rng: Random) -> list[Segment]:
        for flags, change in parts:
            if segment.flags == flags:
                return change(segment, rng)
        return [segment]

    return apply


_PA, _R, _RA = PSH | ACK, RST, RST | ACK
_FRAPUEN = FIN | RST | ACK | PSH | URG | _ECE | NS
_FREACN = FIN | RST | _ECE | ACK | _CWR | NS
_FRAPUN = FIN | RST | ACK | PSH | URG | NS
_UTO = b"\x1c\x04\x12\x34"  # RFC 5482

ROWS = (
    Row(
        "PA-duplicate(dataofs:10(chksum:corrupt),)",
        98,
        100,
        _on(_PA, _before(lambda s, r: _bad_checksum(replace(s, data_offset=10)))),
    ),
    Row(
        "PA-duplicate(dataofs:10(ttl:10),)", 98, 100, _on(_PA, _before(lambda s, r: replace(s, data_offset=10, ttl=10)))
    ),
    Row(
        "PA-duplicate(dataofs:10(ack:corrupt),)",
        94,
        100,
        _on(_PA, _before(lambda s, r: _bad_ack(replace(s, data_offset=10), r))),
    ),
    Row("PA-duplicate(wscale:corrupt(dataofs:8),)", 98, 100, _on(_PA, _before(_shifted))),
    Row(
        "PA-duplicate(load:corrupt(chksum:corrupt),)",
        80,
        100,
        _on(_PA, _before(lambda s, r: _bad_checksum(_bad_load(s, r)))),
    ),
    Row("PA-duplicate(load:corrupt(ttl:8),)", 98, 100, _on(_PA, _before(lambda s, r: replace(_bad_load(s, r), ttl=8)))),
    Row(
        "PA-duplicate(load:corrupt(ack:corrupt),)",
        87,
        100,
        _on(_PA, _before(lambda s, r: _bad_ack(_bad_load(s, r), r))),
    ),
    Row("S-duplicate(,load:corrupt)", 3, 100, _on(SYN, _behind(_bad_load))),
    Row("PA-duplicate(len:64,)", 3, 0, _on(_PA, _before(lambda s, r: replace(s, cut=64 - 20 - 32)))),
    Row("A-duplicate(,R(chksum:corrupt))", 95, 0, _on(ACK, _behind(lambda s, r: _bad_checksum(_reset(s, _R))))),
    Row("A-duplicate(,R(ttl:10))", 87, 0, _on(ACK, _behind(lambda s, r: replace(_reset(s, _R), ttl=10)))),
    Row("A-duplicate(,md5header:corrupt(R)) first", 86, 0, _on(ACK, _behind(lambda s, r: _md5(_reset(s, _R))))),
    Row("A-duplicate(,RA(chksum:corrupt))", 80, 0, _on(ACK, _behind(lambda s, r: _bad_checksum(_reset(s, _RA))))),
    Row("A-duplicate(,RA(ttl:10))", 94, 0, _on(ACK, _behind(lambda s, r: replace(_reset(s, _RA), ttl=10)))),
    Row("A-duplicate(,md5header:corrupt(R)) second", 94, 0, _on(ACK, _behind(lambda s, r: _md5(_reset(s, _R))))),
    Row(
        "A-duplicate(,FRAPUEN(chksum:corrupt))",
        89,
        0,
        _on(ACK, _behind(lambda s, r: _bad_checksum(_reset(s, _FRAPUEN)))),
    ),
    Row("A-duplicate(,FREACN(ttl:10))", 96, 0, _on(ACK, _behind(lambda s, r: replace(_reset(s, _FREACN), ttl=10)))),
    Row("A-duplicate(,FRAPUN(md5header:corrupt))", 94, 0, _on(ACK, _behind(lambda s, r: _md5(_reset(s, _FRAPUN))))),
    Row(
        "PA-fragment{tcp:8:False} A-seq:corrupt",
        94,
        100,
        _both((_PA, _segmented(8, in_order=False)), (ACK, _corrupt_seq)),
    ),
    Row("PA-fragment{tcp:8:True}(,fragment{tcp:4:True})", 98, 100, _on(_PA, _segmented(8, in_order=True, again=4))),
    Row("PA-fragment{tcp:-1:True}", 3, 100, _on(_PA, _segmented(-1, in_order=True))),
    Row("PA-duplicate(F(len:78),)", 53, 0, _on(_PA, _before(lambda s, r: replace(s, flags=FIN, cut=78 - 20 - 32)))),
    Row("S-duplicate(SA,)", 3, 100, _on(SYN, _before(lambda s, r: replace(s, flags=SYN | ACK)))),
    Row(
        "PA-uto:corrupt",
        3,
        0,
        _on(_PA, lambda s, r: [replace(s, options=s.options + _UTO)]),
    ),
)


def checks(seed: int) -> Iterator[Check]:
    """Every row against both presets, over both versions of IP, after the controls."""
    for preset, column in (("gfw-2019", "china"), ("kz", "kazakhstan")):
        rules = _presets.rules(preset)
        yield from _controls(preset, rules, seed)
        for row in ROWS:
            rate: int = getattr(row, column)
            yield _row(preset, rules, row, rate, seed)


def succeeded(rules: list[RuleConfig], request: bytes, strategy: Strategy, seed: int) -> tuple[int, int]:
    """Of how many connections (over IPv4 and IPv6, with several seeds) how many brought the answer."""
    good = done = 0
    for turn in range(_SEEDS):
        for v6 in (False, True):
            rng = Random(f"{seed}/{turn}/{v6}")  # noqa: S311 - repeatability is the point
            result = fetch(rules, request, strategy, rng, v6=v6, seed=seed + turn)
            good, done = good + result.ok, done + 1
    return good, done


def _row(preset: str, rules: list[RuleConfig], row: Row, rate: int, seed: int) -> Check:
    good, done = succeeded(rules, REQUESTS[preset], row.apply, seed)
    measured = f"{good} of {done}"
    name = f"{preset}: {row.dna}"
    if rate >= PASSES:
        return Check(name, SOURCE, f"passes ({rate} % there)", measured, good == done, done)
    if rate <= BLOCKED:
        return Check(name, SOURCE, f"blocked ({rate} % there)", measured, good == 0, done)
    return Check(name, SOURCE, f"not asserted ({rate} % there)", measured, ok=True, n=done)


def _controls(preset: str, rules: list[RuleConfig], seed: int) -> Iterator[Check]:
    """Without a strategy the request is blocked; a harmless one passes, and every strategy leaves it whole."""

    def plain(segment: Segment, rng: Random) -> list[Segment]:
        return [segment]

    good, done = succeeded(rules, REQUESTS[preset], plain, seed)
    yield Check(f"{preset}: no strategy", "control", "blocked", f"{good} of {done}", good == 0, done)
    harmless = b"GET /news HTTP/1.1\r\nHost: plain.example\r\nUser-Agent: lab\r\n\r\n"
    good, done = succeeded(rules, harmless, plain, seed)
    yield Check(f"{preset}: harmless request", "control", "passes", f"{good} of {done}", good == done, done)
    broken = []
    for row in ROWS:
        good, done = succeeded([], harmless, row.apply, seed)
        if good != done:
            broken.append(row.dna)
    yield Check(
        f"{preset}: strategies without a censor", "control", "none breaks a connection", str(broken), not broken
    )
