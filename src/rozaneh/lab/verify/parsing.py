"""What boxes parse and what they inject: the tables of CN-02 and CN-04, and section 7's columns that were measured.

The tables are those of Wu et al., SP'25 ("parsing-logic" and "fingerprint", both [P]); section 7 is the research notes'
matrix of evasions, of which the cells marked passed or blocked by a measurement are asserted here, for Iran's DPI of
2020, its protocol filter, the GFW's TLS filter and Henan's box. The rules are the profiles' own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from rozaneh.lab import records
from rozaneh.lab.api import Inject
from rozaneh.lab.packet import ACK, FIN, RST, Packet, parse
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify._boxes import LISTED, PLAIN, Box, Sent, hello, middle, opened, request, rule, sends, split
from rozaneh.lab.verify.base import Check

SP25 = "Wu et al., SP 2025"
SECTION_7 = "catalogue, section 7"
_PORTS = (1, 80, 443, 8_443, 65_535)
_NOPS = b"\x01" * 4
_CONNECTIONS = 300
_PROBE = hello(LISTED)


def checks(seed: int) -> Iterator[Check]:
    """Both tables, then section 7 column by column."""
    gfw, henan = rule("cn-2023", "CN-02"), rule("cn-henan", "CN-04")
    yield from _parsing_table("GFW", gfw, seed, needs_syn=True, tcp=True, any_header=True)
    yield from _parsing_table("Henan", henan, seed, needs_syn=False, tcp=False, any_header=False)
    yield from _henan(henan, seed)
    yield from _fingerprints(gfw, henan, seed)
    yield from _gfw_column(gfw, seed)
    yield from _iran_column(seed)
    yield from _filter_column(seed)


def _parsing_table(
    name: str, config: RuleConfig, seed: int, *, needs_syn: bool, tcp: bool, any_header: bool
) -> Iterator[Check]:
    """Table parsing-logic, one column, each row over IPv4 and IPv6."""
    place = middle(_PROBE, LISTED)

    def without_handshake(box: Box) -> Iterable[Sent]:
        return [(box.connection().data(_PROBE), True)]

    def after_syn(box: Box) -> Iterable[Sent]:
        one = box.connection()
        return [(one.syn(), True), (one.data(_PROBE), True)]

    def in_segments(box: Box) -> Iterable[Sent]:
        return opened(box.connection(), *split(_PROBE, place))

    def out_of_order(box: Box) -> Iterable[Sent]:
        one = box.connection()
        return [*one.handshake(), (one.data(_PROBE[place:], at=place), True), (one.data(_PROBE[:place], at=0), True)]

    def in_records(box: Box) -> Iterable[Sent]:
        return opened(box.connection(), records.cut(_PROBE, place - 5, 4_096))

    source = f"{SP25}, table parsing-logic [P]"
    yield _same(f"{name}: a hello without any handshake", source, config, without_handshake, seed, acts=not needs_syn)
    yield _same(f"{name}: a hello after a SYN alone", source, config, after_syn, seed, acts=True)
    yield _same(f"{name}: a hello in two segments, the name cut", source, config, in_segments, seed, acts=tcp)
    yield _same(f"{name}: the same, second segment first", source, config, out_of_order, seed, acts=tcp)
    yield _same(f"{name}: a hello in two TLS records, the name cut", source, config, in_records, seed, acts=False)
    acted = []
    for words in range(16):
        box = Box(config, seed=seed)
        one = box.connection()
        before = [(raw, way) for raw, way in one.handshake()]
        options = _NOPS * max(0, words - 5)
        raw = one.data(_PROBE, options=options, data_offset=words)
        if box.meets([*before, (raw, True)]):
            acted.append(words)
    wanted = list(range(5, 16)) if any_header else [5]
    yield Check(f"{name}: TCP header lengths it acts on, in words", source, str(wanted), str(acted), acted == wanted)
    ports = [port for port in _PORTS if Box(config, seed=seed).meets(opened(Box(config).connection(port), _PROBE))]
    yield Check(f"{name}: ports", f"{SP25}, 4.2 [P]", str(list(_PORTS)), str(ports), ports == list(_PORTS))
    quiet = Box(config, seed=seed).meets(opened(Box(config).connection(), hello(PLAIN)))
    yield Check(f"{name}: a name on no list", "control", "nothing", "acts" if quiet else "nothing", not quiet)


def _henan(config: RuleConfig, seed: int) -> Iterator[Check]:
    """What the paper says of Henan's box alone: outwards only, no sampling, no residual, one list for HTTP too."""
    source = f"{SP25}, 4.2 and 4.4 [P]"

    def inwards(box: Box) -> Iterable[Sent]:
        one = box.connection(outside_client=True)
        return [*one.handshake(), (one.data(_PROBE, outbound=False), False)]

    yield _same("Henan: a connection from outside the province", source, config, inwards, seed, acts=False)
    box = Box(config, seed=seed)
    hits = sum(box.meets(opened(box.connection(), _PROBE)) for _ in range(1_000))
    yield Check("Henan: 1,000 listed hellos", source, "1000", str(hits), hits == 1_000, 1_000)
    after = box.meets(opened(box.connection(), hello(PLAIN)))
    yield Check("Henan: the same three-tuple afterwards", source, "nothing", "acts" if after else "nothing", not after)
    http = rule("cn-henan", "CN-04-http")
    plain = Box(http, seed=seed)
    acted = plain.meets([(plain.connection(80).data(f"GET / HTTP/1.1\r\nHost: {LISTED}\r\n".encode()), True)])
    yield Check("Henan: the shortest request that counts", source, "acts", "acts" if acted else "nothing", acted)


def _fingerprints(gfw: RuleConfig, henan: RuleConfig, seed: int) -> Iterator[Check]:
    """Table fingerprint: what is injected, counted over many connections and told apart as the paper does."""
    source = f"{SP25}, table fingerprint [P]"
    seen = _injections(gfw, seed)
    groups = {
        "GFW (I)": ([p for p in seen if not p[2] and not _acks(p[0])], RST, (55, 118), (0, 0), 1),
        "GFW (II)": ([p for p in seen if p[2]], RST | ACK, (39, 238), (0x00A3, 0xFE5F), 3),
        "GFW (III)": ([p for p in seen if not p[2] and _acks(p[0])], RST | ACK, (248, 248), (0x9916, 0x9933), 1),
    }
    for name, (packets, flags, ttl, ipid, count) in groups.items():
        yield from _fingerprint(name, packets, source, flags, ttl, ipid, count, b"", {"in", "out"})
    payload = bytes((1, 2, 3, 4, 5, 6, 7, 8, 9, 0))
    yield from _fingerprint(
        "Henan", _injections(henan, seed), source, RST | ACK, (58, 58), (1, 1), 1, payload, {"in"}, df=False
    )
    box = Box(gfw, seed=seed)
    box.send(opened(box.connection(), _PROBE))
    box.lab.jump(179)
    held = box.meets([(box.connection().syn(), True)])
    box.lab.jump(2)
    free = not box.meets([(box.connection().syn(), True)])
    yield Check("GFW: residual of 180 s for the three-tuple", source, "held, free", f"{held}, {free}", held and free)


def _injections(config: RuleConfig, seed: int) -> list[tuple[Packet, str, bool, int]]:
    """Packet, direction, DF and the number of its connection, for everything injected into many connections."""
    seen: list[tuple[Packet, str, bool, int]] = []
    for number in range(_CONNECTIONS):
        box = Box(config, seed=seed + number)
        box.send(opened(box.connection(), _PROBE))
        for injected in box.injected:
            seen.append((_read(injected), injected.to, bool(injected.raw[6] & 0x40), number))
    return seen


def _fingerprint(
    name: str,
    packets: list[tuple[Packet, str, bool, int]],
    source: str,
    flags: int,
    ttl: tuple[int, int],
    ipid: tuple[int, int],
    count: int,
    payload: bytes,
    to: set[str],
    *,
    df: bool | None = None,
) -> Iterator[Check]:
    ttls, ids = {p.ip.ttl for p, _, _, _ in packets}, {p.ip.ident for p, _, _, _ in packets}
    bits = {p.tcp.flags for p, _, _, _ in packets if p.tcp}
    each = set(Counter((number, way) for _, way, _, number in packets).values())
    ways, loads = {way for _, way, _, _ in packets}, {p.payload for p, _, _, _ in packets}
    inside = (
        bool(packets) and ttl[0] <= min(ttls) and max(ttls) <= ttl[1] and ipid[0] <= min(ids) <= max(ids) <= ipid[1]
    )
    # A span must be used, not only kept to.
    wide = all(len(drawn) > 1 or low == high for drawn, (low, high) in ((ttls, ttl), (ids, ipid)))
    ok = inside and wide and bits == {flags} and each == {count} and ways == to and loads == {payload}
    if df is not None:
        ok = ok and {found for _, _, found, _ in packets} == {df}
    wanted = f"TTL {ttl}, IPID {ipid}, flags {flags:#04x}, x{count}, {sorted(to)}, {len(payload)} bytes"
    measured = (
        f"TTL ({min(ttls, default=0)}, {max(ttls, default=0)}), IPID ({min(ids, default=0)}, {max(ids, default=0)}), "
        f"flags {sorted(bits)}, x{sorted(each)}, {sorted(ways)}, {sorted(len(load) for load in loads)} bytes"
    )
    yield Check(f"{name}: injected packets", source, wanted, measured, ok, len(packets))


def _gfw_column(config: RuleConfig, seed: int) -> Iterator[Check]:
    """Section 7, GFW TLS filter."""
    place = middle(_PROBE, LISTED)
    end = _PROBE.index(LISTED.encode()) + len(LISTED)
    before = _PROBE.index(LISTED.encode()) - 10
    junk = bytes(len(_PROBE))

    def decoy(**wrong: object) -> Callable[[Box], Iterable[Sent]]:
        def packets(box: Box) -> Iterable[Sent]:
            one = box.connection()
            return [*one.handshake(), (one.data(junk, at=0, **wrong), True), (one.data(_PROBE, at=0), True)]  # type: ignore[arg-type]

        return packets

    older = rule("cn-2023", "CN-02", reassembly="none")
    yield _cell("GFW of CCS'23: split before the name", older, sends(*split(_PROBE, before)), seed)
    yield _cell(
        "GFW of CCS'23: name whole in the first segment",
        older,
        sends(*split(_PROBE, end + 6)),
        seed,
        acts=True,
    )
    yield _cell(
        "GFW: records, name whole in the first",
        config,
        sends(records.cut(_PROBE, end)),
        seed,
    )
    yield _cell(
        "GFW: records and segments",
        config,
        sends(*split(records.cut(_PROBE, 40), place)),
        seed,
    )
    yield _cell("GFW: decoy with a bad checksum in front", config, decoy(checksum="bad"), seed)
    yield _cell("GFW: decoy with a short TTL in front", config, decoy(ttl=8), seed)
    yield _cell(
        "GFW: GREASE-ECH, a name on no list",
        config,
        sends(hello(PLAIN, ech=b"\0" * 64)),
        seed,
    )

    def again(box: Box) -> Iterable[Sent]:
        box.send(opened(box.connection(), _PROBE))
        return opened(box.connection(), hello(PLAIN))

    yield _cell("GFW: new source port after a trigger", config, again, seed, acts=True)
    henan = rule("cn-henan", "CN-04")
    yield _cell("Henan: new source port after a trigger", henan, again, seed)
    yield _cell("Henan: first segment of four bytes", henan, sends(*split(_PROBE, 4)), seed)
    yield _cell("Henan: window of ten bytes", henan, sends(*split(_PROBE, 10, 20)), seed)


def _iran_column(seed: int) -> Iterator[Check]:
    """Section 7, Iran's DPI of 2020: its rules for HTTP and TLS."""
    http, tls = rule("ir-2020", "IR-02"), rule("ir-2020", "IR-03")
    ask = request(LISTED)
    place, there = middle(ask, LISTED), middle(_PROBE, LISTED)
    for name, config, data, cut, port in (
        ("HTTP", http, ask, place, 80),
        ("TLS", tls, _PROBE, there, 443),
    ):
        yield _cell(f"Iran {name}: nothing done", config, sends(data, port=port), seed, acts=True)
        yield _cell(
            f"Iran {name}: split inside the name",
            config,
            sends(*split(data, cut), port=port),
            seed,
        )
        yield _cell(
            f"Iran {name}: server window of ten bytes",
            config,
            sends(*split(data, *range(10, len(data), 10)), port=port),
            seed,
        )
        yield _cell(
            f"Iran {name}: first segment of four bytes",
            config,
            sends(*split(data, 4), port=port),
            seed,
        )

        def again(box: Box, data: bytes = data, port: int = port) -> Iterable[Sent]:
            box.send(opened(box.connection(port), data))
            return opened(box.connection(port), hello(PLAIN) if port == 443 else request(PLAIN))

        yield _cell(f"Iran {name}: new source port after a trigger", config, again, seed)

    def decoy(box: Box) -> Iterable[Sent]:
        one = box.connection(80)
        junk = (one.data(bytes(len(ask)), at=0, checksum="bad"), True)
        return [*one.handshake(), junk, (one.data(ask, at=0), True)]

    yield _cell("Iran HTTP: decoy with a bad checksum in front", http, decoy, seed, acts=True)
    lower = ask.replace(b"GET", b"gET")
    yield _cell("Iran HTTP: method in other letters", http, sends(lower, port=80), seed)
    body = b"POST / HTTP/1.1\r\nHost: " + PLAIN.encode() + b"\r\n\r\nHost: " + LISTED.encode() + b"\r\n"
    yield _cell("Iran HTTP: the name in a body", http, sends(body, port=80), seed)
    sizes = set()
    for turn in range(40):
        box = Box(http, seed=seed + turn)
        box.send(opened(box.connection(80), ask))
        pages = [_read(each) for each in box.injected if each.to == "in" and _read(each).payload]
        sizes |= {(len(page.raw) + 14, page.tcp.flags if page.tcp else 0) for page in pages}
    wanted = {(size, FIN | 0x08 | ACK) for size in range(402, 406)}
    yield Check(
        "Iran HTTP: the page's frame, and FIN+PSH+ACK",
        "Bock et al., USENIX Security 2021, table 4 [C]",
        "402 to 405 bytes",
        str(sorted(size for size, _ in sizes)),
        bool(sizes) and sizes <= wanted,
    )


def _filter_column(seed: int) -> Iterator[Check]:
    """Section 7, Iran's protocol filter, in both readings of its sources."""
    for judged in ("together", "first"):
        config = rule("ir-2020", "IR-04", judged=judged)
        yield from _filter(f"filter ({judged})", config, seed, together=judged == "together")


def _filter(name: str, config: RuleConfig, seed: int, *, together: bool) -> Iterator[Check]:
    strange = [b"\x07strange protocol", b"more of it", b"and more"]

    def cell(what: str, packets: Callable[[Box], Iterable[Sent]], drops: int) -> Check:
        gone = [Box(config, seed=seed, v6=v6) for v6 in (False, True)]
        counts = [box.drops(packets(box)) for box in gone]
        return Check(f"{name}: {what}", SECTION_7 + ", IR-04", f"{drops} dropped", str(counts), counts == [drops] * 2)

    yield cell("an unknown protocol", sends(*strange), 2)
    yield cell("the same on another port", sends(*strange, port=8_443), 0)
    for port in (53, 80, 443):
        yield cell(f"HTTP on {port}", sends(request(PLAIN), b"x" * 9, port=port), 0)
        yield cell(f"TLS on {port}", sends(hello(PLAIN), b"x" * 9, port=port), 0)
        yield cell(f"DNS on {port}", sends(_DNS_OVER_TCP, b"x" * 9, port=port), 0)
    yield cell("TLS head with garbage", sends(b"\x16\x03\x01\x00\x20" + b"\xee" * 32, b"x"), 0)
    parts = records.cut(hello(PLAIN), 40)
    yield cell("TLS records cut small", sends(parts, b"x" * 9), 0)
    # The thread and the corpus disagree here: judged together it passes, the first alone it trips the filter.
    short = split(request(PLAIN), 4)
    yield cell("HTTP, first segment of four bytes", sends(*short, b"x" * 9), 0 if together else 2)

    def decoy(box: Box) -> Iterable[Sent]:
        one = box.connection()
        first = (one.data(hello(PLAIN), at=0, checksum="bad"), True)
        return [*one.handshake(), first, *((one.data(piece), True) for piece in strange)]

    yield cell("a fitting decoy with a bad checksum", decoy, 0)

    def fins(count: int) -> Callable[[Box], Iterable[Sent]]:
        def packets(box: Box) -> Iterable[Sent]:
            one = box.connection()
            return [*[(one.fin(flags=FIN), True) for _ in range(count)], *opened(one, *strange)]

        return packets

    yield cell("one FIN before the SYN", fins(1), 2)
    yield cell("two FINs before the SYN", fins(2), 0)

    def empties(count: int) -> Callable[[Box], Iterable[Sent]]:
        def packets(box: Box) -> Iterable[Sent]:
            one = box.connection()
            extra = [(one.ack(), True) for _ in range(count)]
            return [*one.handshake(), *extra, *((one.data(piece), True) for piece in strange)]

        return packets

    yield cell("eight packets without data in the handshake", empties(8), 2)
    yield cell("nine packets without data in the handshake", empties(9), 0)

    def corrupted(box: Box) -> Iterable[Sent]:
        one = box.connection()
        syn = (one.syn(), True)
        wrong = [(one.send(outbound=False, flags=0x12, ack=one.seq + 4_711 + turn), False) for turn in range(9)]
        return [syn, *wrong, (one.syn_ack(), False), (one.ack(), True), *((one.data(each), True) for each in strange)]

    yield cell("nine corrupted SYN+ACKs of the server", corrupted, 0)

    def outside(box: Box) -> Iterable[Sent]:
        one = box.connection(outside_client=True)
        return [*one.handshake(), *((one.data(piece, outbound=False), False) for piece in strange)]

    yield cell("a connection from the outside", outside, 0)

    def answered(box: Box) -> Iterable[Sent]:
        one = box.connection()
        return [*opened(one, *strange), (one.data(b"answer", outbound=False), False)]

    yield cell("the server's packets pass", answered, 2)


_QUERY = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x04news\x07example\x00\x00\x01\x00\x01"
_DNS_OVER_TCP = len(_QUERY).to_bytes(2, "big") + _QUERY


def _same(
    name: str, source: str, config: RuleConfig, packets: Callable[[Box], Iterable[Sent]], seed: int, *, acts: bool
) -> Check:
    """One statement about a rule, over IPv4 and IPv6."""
    measured = []
    for v6 in (False, True):
        box = Box(config, seed=seed, v6=v6)
        measured.append(box.meets(packets(box)))
    words = ["acts" if each else "nothing" for each in measured]
    return Check(name, source, "acts" if acts else "nothing", ", ".join(words), measured == [acts] * 2)


def _cell(
    name: str, config: RuleConfig, packets: Callable[[Box], Iterable[Sent]], seed: int, *, acts: bool = False
) -> Check:
    """One cell of section 7."""
    return _same(name, SECTION_7, config, packets, seed, acts=acts)


def _read(injected: Inject) -> Packet:
    found = parse(injected.raw, injected.to == "out")
    if found is None:
        raise ValueError("a rule injected what is no packet")
    return found


def _acks(p: Packet) -> bool:
    return p.tcp is not None and p.tcp.has(ACK)
