"""Forged answers look, and DNS paths constrain, as was published: byte for byte where bytes were published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from msgspec import structs

from rozaneh.lab import craft, dnsmessage, profiles, worlds
from rozaneh.lab.chain import Outcome, seeded
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import Packet, parse
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify.base import Check, interval

_N = 4_000
_SHARES = {"10.10.34.36": 0.87, "10.10.34.34": 0.13}

# As quoted in net4people/bbs #226 and #451, with the length in front and the transaction's id left out (here 0x1234).
_MALFORMED = bytes.fromhex("002a123481a0000100010000000106676f6f676c6503636f6d000001c00c00010001000001a20004d8ef2678")

IRAN: dict[str, Any] = {
    "names": ["example"],
    "injectors": [
        {"share": 0.87, "ipv4": ["10.10.34.36"], "ipv6": ["d0::11"]},
        {"share": 0.13, "ipv4": ["10.10.34.34"], "ipv6": ["d0::11"]},
        {"share": 0.0, "ipv4": ["10.10.34.35"], "names": ["third.test"], "ip_ttl": "mirror"},
    ],
}
CHINA: dict[str, Any] = {
    "names": ["blocked.example"],
    "answering": "all",
    "drop": False,
    "injectors": [
        {"names": ["first.example"], "pool": 20, "ip_ttl": "count", "authoritative": True},
        {"pool": 1_781, "pool_common": 600, "ip_ttl": "random", "dont_fragment": True},
        {"pool": 1_781, "pool_common": 600, "ip_ttl": "mirror", "ident": "zero"},
    ],
}


def checks(seed: int) -> Iterator[Check]:
    """All of them."""
    yield from _iran(seed)
    yield from _shipped(seed)
    yield from _malformed(seed)
    yield from _china(seed)
    yield from _name_cap()
    yield from _letters(seed)
    yield from _zones()


def _lab(kind: str, params: dict[str, Any], seed: int = 0, *, on_path: bool = False) -> Offline:
    return Offline([RuleConfig(id="DNS", kind=kind, params=params, on_path=on_path)], seed=seed)


def _ask(lab: Offline, name: str, kind: int = dnsmessage.A, *, ttl: int = 64, sport: int = 50_000) -> Outcome:
    query = dnsmessage.write_query(0x1234, name, kind)
    return lab.send(craft.datagram(query, client=(craft.READER, sport), ttl=ttl))


def _answers(outcome: Outcome) -> list[Packet]:
    found = (parse(each.raw, False) for each in outcome.injected if each.to == "in")
    return [each for each in found if each is not None]


def _addresses(packet: Packet) -> tuple[str, ...]:
    response = dnsmessage.read_response(packet.payload)
    return response.addresses if response else ()


def _iran(seed: int) -> Iterator[Check]:
    lab = _lab("dns_inject", {**IRAN, "names": [f"site{number}.example" for number in range(_N)]}, seed)
    counts: Counter[str] = Counter()
    lost = 0
    for number in range(_N):
        outcome = _ask(lab, f"www.site{number}.example")
        lost += outcome.forward is None
        counts.update(address for answer in _answers(outcome) for address in _addresses(answer))
    for address, share in _SHARES.items():
        low, high = interval(share, _N)
        yield Check(
            f"names that are answered with {address}",
            "IR-01 [C: FOCI'25 table 2, 47,633 domains]",
            f"{share:g} ({low} to {high} of {_N})",
            f"{counts[address] / _N:g} ({counts[address]})",
            low <= counts[address] <= high and sum(counts.values()) == _N,
            _N,
        )
    yield Check(
        "queries that still reach the resolver", "IR-01 [C: FOCI'26 Lange 6.2]", "0", str(_N - lost), lost == _N, _N
    )
    lab = _lab("dns_inject", {**IRAN, "names": ["blocked.example"]}, seed)
    same = {_addresses(_answers(_ask(lab, name))[0]) for name in ("blocked.example", "a.blocked.example") * 20}
    yield Check(
        "a name's address from query to query", "IR-01 [C: FOCI'25]", "1 kind", f"{len(same)}", len(same) == 1, 40
    )
    six = _addresses(_answers(_ask(lab, "blocked.example", dnsmessage.AAAA))[0])
    yield Check("an AAAA answer", "IR-01 [T: ooni/backend#543]", "d0::11", ", ".join(six), six == ("d0::11",))
    hops = [_answers(_ask(lab, "third.test", ttl=ttl))[0].ip.ttl for ttl in (9, 64, 200)]
    yield Check(
        "the third injector's TTL for queries with 9, 64, 200",
        "IR-01 [C: IRBlock 5.4]",
        "9, 64, 200",
        f"{hops}"[1:-1],
        hops == [9, 64, 200],
    )


def _shipped(seed: int) -> Iterator[Check]:
    """Profile ir-2024's rules on DNS and HTTP agree about each name: an address, and what its web connection meets."""
    rules = {
        each.id: structs.replace(
            each, params={**each.params, "names": [f"site{number}.example" for number in range(400)]}
        )
        for each in profiles.rules_for(profiles.load("ir-2024"), worlds.load("country"))
        if each.id in ("IR-01", "IR-02")
    }
    lab = Offline(list(rules.values()), seed=seed)
    met: Counter[tuple[str, str]] = Counter()
    for number in range(400):
        name = f"www.site{number}.example"
        address = _addresses(_answers(_ask(lab, name))[0])[0]
        connection = craft.Connection((craft.READER, 10_000 + number), (craft.SITE, 80), isn=number * 100)
        for raw, outbound in connection.handshake():
            lab.send(raw, outbound)
        outcome = lab.send(connection.data(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode()))
        page = any(b"403 Forbidden" in answer.payload for answer in _answers(outcome))
        met[address, "page" if page else "reset" if _answers(outcome) else "nothing"] += 1
    right = met["10.10.34.34", "reset"] + met["10.10.34.36", "page"] + met["10.10.34.35", "page"]
    yield Check(
        "names whose address .34 goes with a reset, .36 with the block page (profile ir-2024)",
        "IR-01 [C: FOCI'25, 86.8 % of resets and 84.6 % of pages; here the rule without its exceptions]",
        "all 400, both kinds seen",
        f"{right}, {met['10.10.34.34', 'reset']} reset and {met['10.10.34.36', 'page']} with a page",
        right == 400 and met["10.10.34.34", "reset"] > 0 and met["10.10.34.36", "page"] > 0,
        400,
    )


def _malformed(seed: int) -> Iterator[Check]:
    source = "IR-01 [T: net4people/bbs #226 and #451, bytes quoted there]"
    query = dnsmessage.write_query(0x1234, "google.com")
    stream = len(query).to_bytes(2, "big") + query
    for parts, rate, hit in ((1, 0.0, True), (3, 0.0, False), (3, 1.0, True)):
        lab = _lab("dns_tcp", {"names": ["google.com"], "addresses": ["216.239.38.120"], "segments_rate": rate}, seed)
        connection = craft.Connection(server=(craft.SITE, 53))
        for raw, outbound in connection.handshake():
            lab.send(raw, outbound)
        size = -(-len(stream) // parts)
        outcome = Outcome(b"")
        for at in range(0, len(stream), size):
            outcome = lab.send(connection.data(stream[at : at + size]))
        found = [answer.payload for answer in _answers(outcome)]
        cut = f"a query for google.com over TCP in {parts} segment{'s' * (parts > 1)}, "
        cut += "put together" if rate else "each read alone"
        expected = [_MALFORMED] if hit else []
        yield Check(
            cut,
            source,
            f"{len(_MALFORMED) - 2} bytes {_MALFORMED.hex()}" if hit else "no answer",
            f"{len(found[0]) - 2} bytes {found[0].hex()}" if found else "no answer",
            found == expected,
        )


def _china(seed: int) -> Iterator[Check]:
    source = "CN-01 [C: FOCI'20]"
    lab = _lab("dns_inject", CHINA, seed, on_path=True)
    seen: dict[int, list[Packet]] = {2: [], 3: []}
    forwarded = 0
    for count in range(400):
        outcome = _ask(lab, "www.blocked.example", ttl=30 + count % 100)
        forwarded += outcome.forward is not None
        for number, answer in enumerate(_answers(outcome), 2):
            seen.setdefault(number, []).append(answer)
    yield Check(
        "answers to each query for a name on two lists, and whether it goes on",
        source,
        "2, all go on",
        f"{len(seen[2]) / 400 + len(seen[3]) / 400:g}, {forwarded} of 400 go on",
        len(seen) == 2 and len(seen[2]) == len(seen[3]) == forwarded == 400 and not lab.errors,
        400,
    )
    first = [_answers(_ask(lab, "first.example"))[0] for _ in range(20)]
    rows = (
        ("the first injector", "DF 0, AA 1, TTL counts, record TTL 60", first, (False, True, "counts")),
        ("the second", "DF 1, AA 0, TTL random, record TTL as configured (60)", seen[2], (True, False, "random")),
        (
            "the third",
            "DF 0, AA 0, TTL the query's, IPID 0, record TTL as configured (60)",
            seen[3],
            (False, False, "mirrored"),
        ),
    )
    for name, expected, answers, wanted in rows:
        found = _look(answers)
        zero = all(answer.ip.ident == 0 for answer in answers)
        lasts = {_record_ttl(answer) for answer in answers}
        yield Check(
            f"{name}'s packets",
            source,
            expected,
            f"DF {found[0]:d}, AA {found[1]:d}, TTL {found[2]}{', IPID 0' if zero else ''}, "
            f"record TTL {', '.join(str(ttl) for ttl in sorted(lasts))}",
            found == wanted and zero == (name == "the third") and lasts == {60},
            len(answers),
        )
    teredo = {_addresses(_answers(_ask(lab, "blocked.example", dnsmessage.AAAA))[0])[0] for _ in range(50)}
    yield Check(
        "AAAA answers' prefix",
        "CN-01 [C: USENIX'21, FOCI'25]",
        "2001::/32, an IPv4 address at the end",
        ", ".join(sorted(teredo)[:2]),
        all(address.startswith("2001::") for address in teredo),
        50,
    )
    two = bytearray(dnsmessage.write_query(1, "blocked.example"))
    two[5] = 2
    outcome = lab.send(craft.datagram(bytes(two) + two[12:]))
    yield Check(
        "a query with two questions",
        "CN-01 [C: GET/out]",
        "not answered",
        f"{len(outcome.injected)} answers",
        not outcome.injected,
    )


def _record_ttl(answer: Packet) -> int:
    """The TTL of the one record in an answer."""
    response = dnsmessage.read_response(answer.payload)
    at = 12 + (len(response.question) if response else 0) + 6
    return int.from_bytes(answer.payload[at : at + 4], "big")


def _look(answers: list[Packet]) -> tuple[bool, bool, str]:
    """DF, AA and what the TTLs do."""
    df = all(answer.raw[6] & 0x40 for answer in answers)
    aa = all(answer.payload[2] & 0x04 for answer in answers)
    hops = [answer.ip.ttl for answer in answers]
    if all(after - before == 1 for before, after in pairwise(hops)):
        return df, aa, "counts"
    mirrored = all(hop == 30 + count % 100 for count, hop in enumerate(hops))
    return df, aa, "mirrored" if mirrored else "random" if len(set(hops)) > len(hops) // 8 else "fixed"


def _name(size: int) -> str:
    """A name of `size` characters below the tunnel's zone."""
    zone = "t.garden-photos.example"
    left = size - len(zone) - 1
    labels = []
    while left > 0:
        take = min(left, 60) if left != 61 else 59  # never a label of nothing behind the last dot
        labels.append("a" * take)
        left -= take + 1
    return ".".join([*labels, zone])


def _name_cap() -> Iterator[Check]:
    source = "IR-13 [T: slipstream#16, slipstream-rust#1, SlipNet#78, net4people/bbs #561]"
    for cap in (101, 72):
        lab = _lab("dns_path", {"name_cap": cap})
        for size, expected in ((cap, True), (cap + 1, False)):
            name = _name(size)
            passes = _ask(lab, name, dnsmessage.TXT).forward is not None
            yield Check(
                f"a name of {size} characters where {cap} are the most",
                source,
                "passes" if expected else "dropped",
                f"{'passes' if passes else 'dropped'} ({len(name)} characters)",
                passes is expected and len(name) == size,
            )


def _letters(seed: int) -> Iterator[Check]:
    source = "IR-13 [T: net4people/bbs #561]; an even chance for each letter is draft-vixie-dnsext-dns0x20's"
    lab = _lab("dns_path", {"scramble": 1.0}, seed)
    rng = seeded(seed, "verify/dns/letters")
    upper = letters = changed = restored = 0
    for count in range(100):
        name = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(50)) + ".t.garden-photos.example"
        outcome = _ask(lab, name, dnsmessage.TXT, sport=2_000 + count)
        arrived = parse(outcome.forward, True) if outcome.forward else None
        query = dnsmessage.read_query(arrived.payload) if arrived else None
        if arrived is None or query is None:
            continue
        changed += query.name == name and query.name_as_sent != name
        upper += sum(letter.isupper() for letter in query.name_as_sent)
        letters += sum(letter.isalpha() for letter in query.name_as_sent)
        reply = dnsmessage.answer(query, [])
        back = lab.send(
            craft.datagram(reply, client=(craft.READER, 2_000 + count), outbound=False), outbound=False
        ).forward
        answer = parse(back, False) if back else None
        response = dnsmessage.read_response(answer.payload) if answer else None
        restored += response is not None and response.question == dnsmessage.write_query(0, name, dnsmessage.TXT)[12:]
    low, high = interval(0.5, letters)
    yield Check(
        "upper-case letters in names that reach the server",
        source,
        f"0.5 ({low} to {high} of {letters}), the same name 100 times",
        f"{upper / max(letters, 1):.3f} ({upper}), {changed} times",
        low <= upper <= high and changed == 100,
        letters,
    )
    yield Check("answers that come back with the client's letters", source, "100", str(restored), restored == 100, 100)


def _zones() -> Iterator[Check]:
    source = "IR-13 [T: per-domain cooldown at resolvers; a rotating subdomain helps]; the numbers are the check's"
    lab = _lab("dns_path", {"zone_rate": 2.0, "zone_burst": 10.0, "zone_cooldown_s": 30.0})

    def passing(count: int, zone: str) -> int:
        return sum(_ask(lab, f"q{at}.{zone}.example", sport=3_000 + at).forward is not None for at in range(count))

    found = [passing(30, "t.one"), passing(5, "u.one")]
    lab.jump(29)
    found.append(passing(5, "t.one"))
    lab.jump(2)
    found.append(passing(5, "t.one"))
    yield Check(
        "queries that pass: 30 at once, 5 to another zone, 5 after 29 s, 5 after 31 s (burst 10, cooldown 30 s)",
        source,
        "10, 5, 0, 5",
        ", ".join(str(count) for count in found),
        found == [10, 5, 0, 5],
    )
