"""The detector of fully encrypted traffic exempts, samples and goes on blocking as the published measurements say."""

from __future__ import annotations

from collections.abc import Iterator

from rozaneh.lab import craft, profiles, worlds
from rozaneh.lab.censors.fet import Exemptions, FetSettings
from rozaneh.lab.chain import seeded
from rozaneh.lab.codec import classify
from rozaneh.lab.offline import Offline
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify.base import Check, agrees, interval

_TABLE = "censors.md CN-05, oracle [X: 400,000 to 20,000 random payloads of each length]"
_RULES = "CN-05 [P: gfw-report/usenixsecurity23-artifact detect.py]"
_RATE = 0.263
_N = 2_000

# Length of a uniformly random payload and the probability that an exemption holds.
EXEMPT = {8: 0.36, 16: 0.18, 24: 0.10, 32: 0.063, 50: 0.028, 64: 0.016, 100: 0.0058, 160: 0.0030, 300: 0.0025}

# The payload of the authors' own probes [P: artefact, utils].
PAYLOAD = bytes.fromhex(
    "dadd034913c52da75fd9f05dc76803917134808efed97ef8884f2151b712f60fed634f609f132033a15b77ed3ccaa2d20f5b"
)


class _Clients:
    """A chain with the rule alone, and connections from ever new addresses."""

    def __init__(self, seed: int, **params: float) -> None:
        self.lab = Offline([RuleConfig(id="CN-05", kind="fet", params=params)], seed=seed)
        self._made = 0

    def blocked(self, payload: bytes, *, client: int | None = None, port: int = 40_000, server_port: int = 443) -> bool:
        """Whether a fresh connection's first payload was dropped; each connection has its own client by default."""
        self._made += 1
        host = self._made if client is None else client
        address = f"10.{host >> 16 & 255}.{host >> 8 & 255}.{host & 255}"
        connection = craft.Connection((address, port), (craft.SITE, server_port), isn=self._made * 1_000)
        if self.lab.send(connection.syn()).forward is None:
            return True
        return self.lab.send(connection.data(payload)).forward is None


def checks(seed: int) -> Iterator[Check]:
    """All of them."""
    yield from _by_length(seed)
    yield from _payload(seed)
    yield from _sampling(seed)
    yield from _until_first(seed)
    yield from _exemptions()
    yield from _variants()
    yield from _residual(seed)
    yield from _shipped(seed)


def _by_length(seed: int) -> Iterator[Check]:
    rng = seeded(seed, "verify/fet/length")
    for length, expected in EXEMPT.items():
        clients = _Clients(seed, rate=1.0, residual_s=0)
        passed = sum(not clients.blocked(rng.randbytes(length)) for _ in range(_N))
        low, high = interval(expected, _N)
        yield Check(
            f"random payloads of {length} bytes that an exemption lets pass",
            _TABLE,
            f"{expected:g} ({low} to {high} of {_N})",
            f"{passed / _N:g} ({passed})",
            low <= passed <= high and not clients.lab.errors,
            _N,
        )


def _payload(seed: int) -> Iterator[Check]:
    bits, text = classify.popcount(PAYLOAD), classify.printable_fraction(PAYLOAD)
    yield Check(
        "the authors' probe payload",
        f"{_RULES}; features [X]",
        "50 bytes, 4.10 bits a byte, 0.40 printable, blocked",
        f"{len(PAYLOAD)} bytes, {bits:.2f} bits a byte, {text:.2f} printable, "
        f"{'blocked' if _Clients(seed, rate=1.0).blocked(PAYLOAD) else 'passes'}",
        len(PAYLOAD) == 50
        and abs(bits - 4.10) < 0.005
        and abs(text - 0.40) < 0.005
        and _Clients(seed, rate=1.0).blocked(PAYLOAD),
    )


def _sampling(seed: int) -> Iterator[Check]:
    clients = _Clients(seed, rate=_RATE)
    blocked = sum(clients.blocked(PAYLOAD) for _ in range(_N))
    low, high = interval(_RATE, _N)
    yield Check(
        "matching connections that are acted on",
        "CN-05 [C USENIX Security'23 section 6]",
        f"{_RATE:g} ({low} to {high} of {_N})",
        f"{blocked / _N:g} ({blocked})",
        agrees(blocked, _N, _RATE),
        _N,
    )


def _until_first(seed: int) -> Iterator[Check]:
    clients = _Clients(seed, rate=_RATE)
    took: list[int] = []
    for run in range(_N):
        count = 1
        while not clients.blocked(PAYLOAD, client=run, port=1_024 + count):
            count += 1
        took.append(count)
    took.sort()
    for name, share, expected in (("median", 0.5, 3), ("90 %", 0.9, 8), ("99 %", 0.99, 16)):
        # The quantile of a geometric law lies at `expected` if so many runs have ended by then, and not before.
        by, before = (1 - (1 - _RATE) ** k for k in (expected, expected - 1))
        ended = sum(count <= expected for count in took)
        ended_before = sum(count <= expected - 1 for count in took)
        at = took[int(share * _N) - 1]
        yield Check(
            f"connections until the first block, {name}",
            "CN-05 oracle [X] at p = 0.263",
            f"{expected} ({by:.3f} of runs by then, {before:.3f} before)",
            f"{at} ({ended / _N:.3f}, {ended_before / _N:.3f})",
            agrees(ended, _N, by) and agrees(ended_before, _N, before),
            _N,
        )


def _exemptions() -> Iterator[Check]:
    # Each has one exemption, or is just short of it; the rest of it is neither text nor lopsided.
    neither = bytes.fromhex("8f93c5d1a78bb2e4") * 8
    rows = (
        ("3.4 bits a byte", b"\x07\x07\x07\x0f\x0f" * 8, "Ex1"),
        ("3.5 bits a byte", b"\x83\x8b" * 20, ""),
        ("4.5 bits a byte", b"\x8b\x9b" * 20, ""),
        ("4.6 bits a byte", b"\x8b\x8b\x9b\x9b\x9b" * 8, "Ex1"),
        ("six printable bytes in front", b"Hello!" + neither, "Ex2"),
        ("five printable bytes in front", b"Hello\x9a" + neither, ""),
        ("more than half printable", (b"\x8f" + b"kQ") * 12, "Ex3"),
        ("half printable", (b"\x8f\x93" + b"kQ") * 12, ""),
        ("21 printable bytes in a row", neither + b"k" * 3 + b"Qw" * 9 + neither, "Ex4"),
        ("20 printable bytes in a row", neither + b"kQ" + b"Qw" * 9 + neither, ""),
        ("a TLS handshake record", b"\x16\x03\x01" + neither, "Ex5"),
        ("a TLS data record", b"\x17\x03\x03" + neither, "Ex5"),
        ("an alert record", b"\x15\x03\x03" + neither, ""),
        ("GET and a space", b"GET " + neither, "Ex5"),
        ("GET without a space", b"GET/" + neither, ""),
    )
    exemptions = Exemptions(FetSettings())
    for name, payload, expected in rows:
        found = exemptions.find(payload)
        yield Check(f"exemption of {name}", _RULES, expected or "none", found or "none", found == expected)


def _variants() -> Iterator[Check]:
    neither = bytes.fromhex("8f93c5d1a78bb2e4") * 8
    record = b"\x16\x03\x0a" + neither
    rows = (
        ("a record whose version ends in 0x0a", record, {"paper": "", "artefact": "Ex5", "ndpi": ""}),
        ("a record whose version ends in 0x10", b"\x16\x03\x10" + neither, {"paper": "", "artefact": "", "ndpi": ""}),
        ("three printable bytes and no more", b"kQ7", {"paper": "Ex3", "artefact": "Ex3", "ndpi": "Ex2"}),
        (
            "20 printable bytes in a row",
            neither + b"kQ" + b"Qw" * 9 + neither,
            {"paper": "", "artefact": "", "ndpi": "Ex4"},
        ),
        ("a TLS record", b"\x16\x03\x01" + neither, {"paper": "Ex5", "artefact": "Ex5", "ndpi": ""}),
    )
    for name, payload, expected in rows:
        found = {
            "paper": Exemptions(FetSettings(variant="paper")).find(payload),
            "artefact": Exemptions(FetSettings(variant="artefact")).find(payload),
            "ndpi": Exemptions(FetSettings(variant="ndpi")).find(payload),
        }
        yield Check(
            f"variants of the rule on {name}",
            f"{_RULES}; nDPI @3b1286a [P, ML-02]; the sources disagree, all three are selectable",
            _row(expected),
            _row(found),
            found == expected,
        )


def _row(found: dict[str, str]) -> str:
    return ", ".join(f"{variant} {exemption or 'none'}" for variant, exemption in found.items())


def _residual(seed: int) -> Iterator[Check]:
    source = "CN-05 [P: residual 180 s, 3-tuple; recipe: five time-outs in a row within 25 connections]"
    clients = _Clients(seed, rate=_RATE)
    run = longest = 0
    for count in range(25):
        run = run + 1 if clients.blocked(PAYLOAD, client=7, port=2_000 + count) else 0
        longest = max(longest, run)
    yield Check(
        "the authors' recipe finds the server affected",
        source,
        "5 blocked in a row or more, of 25",
        str(longest),
        longest >= 5,
        25,
    )
    clients = _Clients(seed, rate=1.0)
    clients.blocked(PAYLOAD, client=7)
    harmless = b"GET / HTTP/1.1\r\n\r\n"
    found = {
        "other source port": clients.blocked(harmless, client=7, port=50_000),
        "other server port": clients.blocked(harmless, client=7, port=50_001, server_port=80),
        "other client": clients.blocked(harmless, client=8),
    }
    clients.lab.jump(179)
    found["after 179 s"] = clients.blocked(harmless, client=7, port=50_002)
    clients.lab.jump(2)
    found["after 181 s"] = clients.blocked(harmless, client=7, port=50_003)
    expected = {
        "other source port": True,
        "other server port": False,
        "other client": False,
        "after 179 s": True,
        "after 181 s": False,
    }
    yield Check(
        "what goes on being blocked, and for how long",
        source,
        _blocked(expected),
        _blocked(found),
        found == expected,
    )


def _blocked(found: dict[str, bool]) -> str:
    return ", ".join(f"{name}: {'blocked' if blocked else 'passes'}" for name, blocked in found.items())


def _shipped(seed: int) -> Iterator[Check]:
    """The rule as profile cn-2023 has it: sampled, and for some destinations only."""
    world = worlds.load("country")
    (rule,) = (each for each in profiles.rules_for(profiles.load("cn-2023"), world) if each.id == "CN-05")
    low, high = interval(_RATE, _N)
    for label, expected in (("hosting-suspect", True), ("cdn", False)):
        lab = Offline([rule], seed=seed)
        address = world.address_at(label)
        blocked = 0
        for number in range(_N):
            reader = f"10.77.{number >> 8}.{number & 255}"
            connection = craft.Connection((reader, 40_000), (address, 8_388), isn=number * 1_000)
            lab.send(connection.syn())
            blocked += lab.send(connection.data(PAYLOAD)).forward is None
        yield Check(
            f"matching connections to {label} that profile cn-2023 acts on",
            "CN-05 [C USENIX Security'23 section 6: p = 0.263; certain hosting ranges only, CDNs excluded]",
            f"{_RATE:g} ({low} to {high} of {_N})" if expected else "0",
            f"{blocked / _N:g} ({blocked})",
            low <= blocked <= high if expected else blocked == 0,
            _N,
        )
