"""The probes: more than twelve hundred, in families, the same for the same seed.

What a real client of the server in question sent first (`hello`) is bent, cut and sent again; nothing here can be sent
only by somebody who has its keys.
"""

from __future__ import annotations

import ssl
import string
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from rozaneh.lab import records
from rozaneh.lab.prober import probes, replay
from rozaneh.lab.tell import hellos, requests
from rozaneh.lab.tell.talk import Finish, Goodbye, Hear, Inside, Offer, Pause, Plain, Say, Step, Talk

# RFC 8446 appendix D.4: the record that means nothing in TLS 1.3 and is let be, a bounded number of times.
CHANGE_CIPHER = b"\x14\x03\x03\x00\x01\x01"
CHANGES = 64
JUNK_MOST = 20_000
# How long a conversation waits for a word before it goes on: longer than any answer on a quiet line takes.
_WORD_S = 3.0
# How slow the slow ones are. A server's patience (10 to 75 s) is measured by those who say half and wait.
_SLOW_S = 0.4
_NAME = frozenset(string.ascii_letters + string.digits + ".-_:")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe.

    Attributes:
        name: Says what it is; one of its kind in a battery.
        family: What it belongs to.
        talk: Makes the conversation, anew for each visit.
    """

    name: str
    family: str
    talk: Callable[[], Talk]


def _plain(family: str, name: str, *steps: Step) -> Probe:
    return Probe(f"{family}: {name}", family, lambda: Plain(steps))


def _inside(family: str, name: str, offer: Offer, *steps: Step) -> Probe:
    return Probe(f"{family}: {name}", family, lambda: Inside(offer, steps))


def battery(hello: bytes, host: str, seed: int = 0, every: int = 1) -> list[Probe]:
    """All probes, or every so manieth of each family, the first always.

    Args:
        hello: The first record of a real client, a whole ClientHello.
        host: The name the server is known by.
        seed: Of everything random in them.
        every: 1 for all of them.
    """
    found: list[Probe] = []
    for name, make in FAMILIES.items():
        rng = Random(f"{seed}/{name}")  # noqa: S311 - the same seed sends the same bytes
        found += list(make(hello, host, rng))[::every]
    doubled = [name for name, times in Counter(probe.name for probe in found).items() if times > 1]
    if doubled:
        raise ValueError(f"two probes have one name: {doubled[:3]}")
    return found


def _trees(_hello: bytes, host: str, rng: Random) -> Iterator[Probe]:
    seed = rng.randrange(1 << 30)
    for message in probes.standard(seed, host):
        yield _plain("trees", message.name, Say(message.payload))
    for name in probes.EXTRA:
        yield _plain("trees", name, Say(probes.make(name, seed).payload))


def _junk(_hello: bytes, _host: str, rng: Random) -> Iterator[Probe]:
    """Random bytes of 1 to 20,000, alone, as a record's body, and with the direction ended behind them."""
    lengths = sorted(
        {*range(1, 20), 50, 51, 221, 517, 1_460, 16_384, JUNK_MOST, *(rng.randrange(20, JUNK_MOST) for _ in range(60))}
    )
    for length in lengths:
        yield _plain("junk", f"{length}", Say(rng.randbytes(length)))
        if length % 2:
            yield _plain("junk", f"{length}, then the end", Say(rng.randbytes(length)), Finish())
        if length % 3 == 0:
            size = min(length, records.MAX_RECORD)
            text = b"\x16\x03\x01" + struct.pack("!H", size) + rng.randbytes(size)
            yield _plain("junk", f"{length} in a record", Say(text))


def _cut(hello: bytes, _host: str, _rng: Random) -> Iterator[Probe]:
    """A real client's hello, cut off at every length class: waiting for the rest, or ended there."""
    for number, length in enumerate(hellos.lengths(hello)):
        steps: list[Step] = [Say(hello[:length])]
        if number % 2:
            steps.append(Finish())
        yield _plain("cut", f"{length}{', then the end' if number % 2 else ''}", *steps)


def _bent(hello: bytes, _host: str, rng: Random) -> Iterator[Probe]:
    """A real client's hello with every field bent; some go on with junk where the client would finish."""
    for number, (name, changed) in enumerate(hellos.bent(hello, rng)):
        if number % 3:
            yield _plain("bent", name, Say(changed))
        else:
            junk = b"\x17\x03\x03\x00\x35" + rng.randbytes(53)
            yield _plain("bent", f"{name}, then junk", Say(changed), Hear(_WORD_S), Say(CHANGE_CIPHER + junk))


def _again(hello: bytes, _host: str, rng: Random) -> Iterator[Probe]:
    """Replays as China's prober makes them, and a replay that goes on or arrives in pieces."""
    for change in replay.CHANGED:
        yield _plain("again", change, Say(replay.variant(change, hello, rng).payload))
    for message in replay.random_probes(rng):
        yield _plain("again", message.name, Say(message.payload))
    for sizes in ((1,), (5,), (64,), (200, 1_000), (len(hello) // 2,)):
        yield _plain("again", f"records of {sizes}", Say(records.cut(hello, *sizes)))
    for length in (1, 19, 53, 69, 200, 1_000, 16_384):
        finished = b"\x17\x03\x03" + struct.pack("!H", length) + rng.randbytes(length)
        yield _plain("again", f"then data of {length}", Say(hello), Hear(_WORD_S), Say(finished))
        yield _plain("again", f"with data of {length}", Say(hello + finished))
    for kind in (0x15, 0x16, 0x18, 0x19):
        yield _plain(
            "again",
            f"then record {kind:02x}",
            Say(hello),
            Hear(_WORD_S),
            Say(bytes([kind]) + b"\x03\x03\x00\x02\x02\x28"),
        )
    yield _plain("again", "twice", Say(hello + hello))
    yield _plain("again", "then the end", Say(hello), Finish())
    yield _plain("again", "then close_notify", Say(hello), Hear(_WORD_S), Say(b"\x15\x03\x03\x00\x02\x01\x00"))


def _changes(hello: bytes, _host: str, rng: Random) -> Iterator[Probe]:
    """1 to 64 records that mean nothing, before the hello, behind it, and behind the server's answer."""
    for count in range(1, CHANGES + 1):
        many = CHANGE_CIPHER * count
        yield _plain("changes", f"{count} before", Say(many + hello))
        yield _plain("changes", f"{count} behind", Say(hello + many))
        yield _plain("changes", f"{count} after the answer", Say(hello), Hear(_WORD_S), Say(many))
    for name, text in (
        ("of two bytes", b"\x14\x03\x03\x00\x02\x01\x01"),
        ("of nought", b"\x14\x03\x03\x00\x01\x00"),
        ("empty", b"\x14\x03\x03\x00\x00"),
        ("of version 0301", b"\x14\x03\x01\x00\x01\x01"),
    ):
        yield _plain("changes", f"{name}, before", Say(text + hello))
        yield _plain("changes", f"{name}, after the answer", Say(hello), Hear(_WORD_S), Say(text))
        yield _plain("changes", f"{name}, then junk", Say(hello), Hear(_WORD_S), Say(text + rng.randbytes(60)))


def _names(hello: bytes, host: str, rng: Random) -> Iterator[Probe]:
    """Names that are not the server's, or not quite."""
    own = host.encode()
    given: dict[str, bytes | None] = {
        "none": None,
        "empty": b"",
        "own": own,
        "upper case": own.upper(),
        "dot behind": own + b".",
        "dot in front": b"." + own,
        "below": b"www." + own,
        "above": own.partition(b".")[2],
        "a letter less": own[:-1],
        "a letter more": own + b"x",
        "nought behind": own + b"\0",
        "space behind": own + b" ",
        "loopback": b"localhost",
        "an address": b"192.0.2.7",
        "an address of version 6": b"2001:db8::7",
        "a large site": b"www.example.com",
        "invalid": b"roster.rozaneh.invalid",
        "255 long": b"a." * 127 + b"a",
        "300 long": b"a" * 300,
        "letters abroad": "روزنه.example".encode(),
        "encoded": b"xn--mgbqg6bp.example",
        "bytes": rng.randbytes(20),
        "underscore": b"a_b.example",
    }
    for name, text in given.items():
        yield _plain("names", name, Say(hellos.named(hello, text)))
        spoken = None if text is None else _spoken(text)
        if spoken != "":
            yield _inside("names", f"{name}, finished", Offer(spoken), Say(_get(host)))
    yield _plain("names", "of another kind", Say(hellos.named(hello, own, kind=1)))


def _spoken(text: bytes) -> str:
    """The name as OpenSSL takes it; empty where it does not."""
    name = text.decode("ascii", "replace")
    usual = name[:1] not in ("", ".") and len(name) < 254 and all(c in _NAME for c in name)
    return name if usual else ""


def _get(host: str, path: str = "/") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


_H1 = ("http/1.1",)
_H2 = ("h2",)


def _http1(_hello: bytes, host: str, _rng: Random) -> Iterator[Probe]:
    for number, (name, text) in enumerate(requests.http1(host)):
        offer = Offer(host, _H1 if number % 4 else (), most=_version(number))
        ending: Sequence[Step] = (Finish(),) if number % 5 == 4 else (Goodbye(),) if number % 5 == 3 else ()
        yield _inside("http1", name, offer, Say(text), *((Hear(_WORD_S),) if ending else ()), *ending)


def _http2(_hello: bytes, host: str, rng: Random) -> Iterator[Probe]:
    for number, (name, text) in enumerate(requests.http2(host, rng)):
        yield _inside("http2", name, Offer(host, _H2, most=_version(number)), Say(text))


def _version(number: int) -> ssl.TLSVersion:
    return ssl.TLSVersion.TLSv1_2 if number % 7 == 6 else ssl.TLSVersion.TLSv1_3


def _offers(_hello: bytes, host: str, _rng: Random) -> Iterator[Probe]:
    """Versions, ciphers and protocols a client may offer."""
    versions = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    for version in versions:
        for protocols in ((), _H1, _H2, ("h2", "http/1.1"), ("http/1.0",), ("zzz",), ("acme-tls/1",)):
            name = f"{version.name} {' '.join(protocols) or 'without protocols'}"
            yield _inside("offers", name, Offer(host, protocols, version, version), Say(_get(host)))
    for suite in (
        "ECDHE+AESGCM",
        "ECDHE+CHACHA20",
        "AES128-SHA",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ):
        last = ssl.TLSVersion.TLSv1_2
        yield _inside("offers", suite, Offer(host, _H1, last, last, suite + ":@SECLEVEL=0"), Say(_get(host)))


def _slow(hello: bytes, host: str, rng: Random) -> Iterator[Probe]:
    """Half said and then nothing, words in drops, connections that only stand."""
    yield _plain("slow", "nothing")
    yield _plain("slow", "the end at once", Finish())
    yield _plain("slow", "the end after a while", Pause(1.0), Finish())
    for at in (1, 5, 9, 43, 44, 60, 76, len(hello) // 2, len(hello) - 1):
        yield _plain("slow", f"a pause at {at}", Say(hello[:at]), Pause(_SLOW_S), Say(hello[at:]))
        yield _plain("slow", f"a pause at {at}, then junk", Say(hello[:at]), Pause(_SLOW_S), Say(rng.randbytes(2_000)))
        yield _plain("slow", f"{at}, a pause, the end", Say(hello[:at]), Pause(_SLOW_S), Finish())
    for size in (40, 200, 700):
        drops: list[Step] = []
        for at in range(0, len(hello), size):
            drops += [Say(hello[at : at + size]), Pause(0.05)]
        yield _plain("slow", f"drops of {size}", *drops)
    request = _get(host)
    for at in (0, 1, 4, 16, len(request) - 2, len(request) - 1):
        yield _inside("slow", f"half a request, {at}", Offer(host, _H1), Say(request[:at]))
        yield _inside(
            "slow", f"a request in two, {at}", Offer(host, _H1), Say(request[:at]), Pause(_SLOW_S), Say(request[at:])
        )
        yield _inside("slow", f"half a request and the end, {at}", Offer(host, _H1), Say(request[:at]), Finish())
    twice = (Say(request), Hear(_WORD_S), Pause(_SLOW_S), Say(request))
    yield _inside("slow", "two requests", Offer(host, _H1), *twice)
    yield _inside("slow", "a request, and stays", Offer(host, _H1), Say(request))
    yield _inside(
        "slow", "an opening of h2, and stays", Offer(host, _H2), Say(requests.PREFACE + requests.frame(4, 0, 0))
    )
    yield _inside("slow", "h2 that says nothing", Offer(host, _H2))
    yield _inside("slow", "says goodbye at once", Offer(host, _H1), Goodbye())
    yield _inside("slow", "ends at once", Offer(host, _H1), Finish())
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    yield _inside("slow", "a body that does not come", Offer(host, _H1), Say(body))
    yield _inside("slow", "a body cut off", Offer(host, _H1), Say(body + b"x" * 10), Finish())


FAMILIES: dict[str, Callable[[bytes, str, Random], Iterator[Probe]]] = {
    "trees": _trees,
    "junk": _junk,
    "cut": _cut,
    "bent": _bent,
    "again": _again,
    "changes": _changes,
    "names": _names,
    "http1": _http1,
    "http2": _http2,
    "offers": _offers,
    "slow": _slow,
}
