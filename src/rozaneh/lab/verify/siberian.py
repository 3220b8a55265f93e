"""The behavioural rule freezes TLS after four parallel Chromes and after nothing less, for its own times (RU-11)."""

from __future__ import annotations

from collections.abc import Iterator

from rozaneh.lab import craft
from rozaneh.lab.api import Params
from rozaneh.lab.codec import hellobuild
from rozaneh.lab.offline import Offline
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify.base import Check

_PAIR = "censors.md RU-11 [P dpi-checkers webhostSiberianCheck: alpha fails, beta passes]"
_THREE = "censors.md RU-11, A and B and C [S id 63251960398; T net4people #546, XTLS #6293]"
_TIMES = "censors.md RU-11 [S: 120 s, 600 s after a change of fingerprint]"
_FIRST = "censors.md RU-11, precursor of November 2025 [S; T XTLS #5332]"

_SUSPICIOUS, _OTHER = "185.146.21.0/24", "89.163.210.144"
_SUSPICIOUS6 = "2a04:4e42::/32"
_NAME = "garden-photos.example"
_NONE: Params = {}
_PRECURSOR: Params = {"more_than": 11, "fingerprints": [], "freeze_s": 60.0, "escalate_s": 0.0}


class _Client:
    """A chain with the rule alone and its gate, and connections to one host."""

    def __init__(self, seed: int, server: str = craft.SITE, params: Params = _NONE) -> None:
        gate = (_SUSPICIOUS, _SUSPICIOUS6)
        rule = RuleConfig(id="RU-11", kind="siberian", params=dict(params), outside=gate)
        self.lab = Offline([rule], seed=seed)
        self._server = server
        self._made = 0

    def connect(self, hello: bytes) -> bool:
        """Whether a new connection's hello and the server's answer arrive; TCP itself must always pass."""
        self._made += 1
        reader = craft.READER6 if ":" in self._server else craft.READER
        one = craft.Connection((reader, 20_000 + self._made), (self._server, 443), isn=9_000 * self._made)
        if any(self.lab.send(raw, outbound).forward != raw for raw, outbound in one.handshake()):
            raise AssertionError("the handshake did not pass")
        raw = one.data(hello)
        if self.lab.send(raw, True).forward != raw:
            return False
        answer = one.data(b"\x16\x03\x03\x00\x02\x02\x00", outbound=False)
        return self.lab.send(answer, False).forward == answer

    def burst(self, hello: bytes, count: int = 4, gap: float = 0.02) -> list[bool]:
        """So many connections, `gap` seconds apart."""
        results = []
        for _ in range(count):
            results.append(self.connect(hello))
            self.lab.jump(gap)
        return results


def _chrome(name: str | None = _NAME) -> bytes:
    return hellobuild.chrome(name)


def _random(seed: int, number: int = 0) -> bytes:
    """Chrome with a name nobody has used."""
    return hellobuild.chrome(f"n{seed:x}x{number}.example")


def checks(seed: int) -> Iterator[Check]:
    """All of them."""
    yield from _alpha(seed)
    yield from _beta(seed)
    yield from _thresholds(seed)
    yield from _times(seed)
    yield from _precursor(seed)


def _alpha(seed: int) -> Iterator[Check]:
    for version, server in (("IPv4", craft.SITE), ("IPv6", craft.SITE6)):
        client = _Client(seed, server)
        client.burst(_chrome())
        passes = client.connect(_random(seed))
        yield _check(
            f"alpha over {version}: four parallel Chromes, then one with a new random name", _PAIR, False, passes
        )


def _beta(seed: int) -> Iterator[Check]:
    for what, hello, server in (
        ("four parallel Firefoxes", hellobuild.firefox(_NAME), craft.SITE),
        ("four parallel Chromes without a name", _chrome(None), craft.SITE),
        ("four parallel Chromes to another network", _chrome(), _OTHER),
    ):
        client = _Client(seed, server)
        passes = all(client.burst(hello)) and client.connect(_random(seed))
        yield _check(f"beta: {what}, then a Chrome with a new random name", _PAIR, True, passes)
    client = _Client(seed)
    passes = all(client.connect(_random(seed, number)) for number in range(12)) and client.connect(_chrome())
    yield _check("twelve parallel Chromes to twelve names", _THREE, True, passes)


def _thresholds(seed: int) -> Iterator[Check]:
    for count, gap, passes in ((3, 0.02, True), (4, 0.02, False), (4, 0.34, False), (4, 0.41, True), (8, 0.41, True)):
        client = _Client(seed)
        client.burst(_chrome(), count, gap)
        name = f"{count} Chromes to one name, {gap * 1_000:.0f} ms apart, then one more name"
        yield _check(name, _THREE, passes, client.connect(_random(seed)))


def _times(seed: int) -> Iterator[Check]:
    for seconds, passes in ((119.0, False), (121.0, True)):
        client = _Client(seed)
        client.burst(_chrome(), gap=0)
        client.lab.jump(seconds)
        yield _check(f"a Chrome {seconds:.0f} s after the freeze began", _TIMES, passes, client.connect(_random(seed)))
    for kind, hello in (("Firefox", hellobuild.firefox(_NAME)), ("Chrome without a name", _chrome(None))):
        for seconds, passes in ((121.0, False), (599.0, False), (601.0, True)):
            client = _Client(seed)
            client.burst(_chrome(), gap=0)
            client.connect(hellobuild.firefox(_NAME))  # another fingerprint while it lasts
            client.lab.jump(seconds)
            name = f"a {kind} {seconds:.0f} s after a change of fingerprint"
            yield _check(name, _TIMES, passes, client.connect(hello))
    client = _Client(seed)
    client.burst(_chrome(), gap=0)
    client.lab.jump(121)
    yield _check(
        "a Firefox after the freeze is no change during it", _TIMES, True, client.connect(hellobuild.firefox(_NAME))
    )


def _precursor(seed: int) -> Iterator[Check]:
    client = _Client(seed, params=_PRECURSOR)
    results = client.burst(hellobuild.firefox(_NAME), 12)
    passed = str(results.index(False)) if False in results else "all"
    yield Check("the precursor: connections of any client that pass", _FIRST, "11", passed, ok=passed == "11")
    for seconds, passes in ((58.0, False), (61.0, True)):
        client = _Client(seed, params=_PRECURSOR)
        client.burst(hellobuild.firefox(_NAME), 12, gap=0)
        client.lab.jump(seconds)
        yield _check(f"the precursor: a Chrome {seconds:.0f} s later", _FIRST, passes, client.connect(_chrome()))


def _check(name: str, source: str, expected: bool, measured: bool) -> Check:
    words = {True: "passes", False: "fails"}
    return Check(name, source, words[expected], words[measured], ok=expected == measured)
