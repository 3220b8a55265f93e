"""The freeze after 25 packets, and the older reading by bytes, stop connections where the measurements say (RU-08)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rozaneh.lab import craft
from rozaneh.lab.api import Params
from rozaneh.lab.codec import hellobuild
from rozaneh.lab.offline import Offline
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify.base import Check

_L4_25 = "censors.md RU-08 [C/T net4people #490 upd1-5; P dpi-checkers docs]"
_RECIPE = "censors.md RU-08, test recipe [P dpi-checkers utils/l4-25_prober.py]"
_BYTES = "censors.md X-03 [T/S: 14 to 34 KB, server to client]"
_KNOBS = "censors.md X-02; issue 4, section 5: SYN and bare ACKs by default, tunable"

_BUDGET = 25
_SEGMENT = 1_448  # an MTU of 1,500 with timestamps
_UPLOAD = 65_536  # the recipe's upload variant
_ALLOWED = "ozon.example"
_NONE: Params = {}


class _Path:
    """A chain with the freeze alone, and one connection of kernel-like packets after the other."""

    def __init__(self, seed: int, kind: str = "packet_freeze", params: Params = _NONE) -> None:
        self.lab = Offline([RuleConfig(id="RU-08", kind=kind, params=dict(params))], seed=seed)
        self._made = 0

    def connect(self, *, v6: bool = False, port: int = 443) -> _Flow:
        """A new connection, its handshake done."""
        self._made += 1
        flow = _Flow(self.lab, self._made, v6, port)
        for raw, outbound in flow.one.handshake():
            flow.send(raw, outbound)
        return flow


class _Flow:
    """One connection: how many packets passed, and whether one has not."""

    def __init__(self, lab: Offline, number: int, v6: bool, port: int) -> None:
        client = (craft.READER6 if v6 else craft.READER, 20_000 + number)
        server = (craft.SITE6 if v6 else craft.SITE, port)
        self.one = craft.Connection(client, server, isn=1_000 * number, timestamps=True)
        self.lab = lab
        self.passed = 0
        self.silent = True  # nothing was sent by the box
        self.frozen = False

    def send(self, raw: bytes, outbound: bool) -> bool:
        """Whether it arrives as it was sent."""
        outcome = self.lab.send(raw, outbound)
        arrived = outcome.forward == raw
        self.passed += arrived
        self.silent &= not outcome.injected
        self.frozen |= not arrived
        return arrived

    def write(self, payload: bytes, size: int) -> int:
        """The client writes `payload` in segments of `size`, each acknowledged; how many bytes arrive by then."""
        arrived = 0
        for at in range(0, len(payload), size):
            part = payload[at : at + size]
            if not self.send(self.one.data(part), True):
                break
            arrived += len(part)
            self.send(self.one.ack(outbound=False), False)
            self.lab.wait(0.05)
        return arrived

    def download(self, total: int = 1_048_576) -> int:
        """The server sends; every second segment is acknowledged. How many bytes arrive until nothing does."""
        arrived = turn = 0
        while arrived < total and self.send(self.one.data(b"d" * _SEGMENT, outbound=False), False):
            arrived += _SEGMENT
            turn += 1
            if turn % 2 == 0:
                self.send(self.one.ack(), True)
        return arrived


def checks(seed: int) -> Iterator[Check]:
    """All of them."""
    yield from _pair(seed)
    yield from _recipe(seed)
    yield from _knobs(seed)
    yield from _spared(seed)
    yield from _bytes(seed)


def _alternating(flow: _Flow, packets: int) -> int:
    """The client's data and the server's in turn; returns the number of the first packet that does not arrive, or 0."""
    for number in range(flow.passed + 1, packets + 1):
        outbound = number % 2 == 0
        if not flow.send(flow.one.data(b"x", outbound=outbound), outbound):
            return number
    return 0


def _pair(seed: int) -> Iterator[Check]:
    for name, v6 in (("IPv4", False), ("IPv6", True)):
        flow = _Path(seed).connect(v6=v6)
        lost = _alternating(flow, 24)
        yield _check(f"TCP over {name}: 24 packets pass", _L4_25, "24", f"{24 if not lost else lost - 1}")
        lost = _alternating(flow, 60)
        yield _check(f"TCP over {name}: the first packet that never arrives", _L4_25, "26", str(lost))
        after = [flow.send(raw, out) for raw, out in _endings(flow.one)]
        yield _check(
            f"TCP over {name}: what follows, RST and FIN included", _L4_25, "0 arrive, nothing is injected",
            f"{sum(after)} arrive, {'nothing' if flow.silent else 'something'} is injected",
        )  # fmt: skip
        yield _check(f"UDP over {name}: the first datagram that never arrives", _L4_25, "26", str(_datagrams(seed, v6)))
    path = _Path(seed)
    ports = {port: _alternating(path.connect(port=port), 60) for port in (80, 443, 993, 5_555, 51_820)}
    yield _check("any destination port", _L4_25, "26 on all", _all(ports.values()))
    budgets = [_alternating(path.connect(), 60) for _ in range(20)]
    yield _check("each new connection has a fresh budget", _L4_25, "26 on all", _all(budgets), n=20)
    one_way = {out: _one_way(seed, out) for out in (True, False)}
    yield _check("packets of one direction alone count as well", _L4_25, "26 on all", _all(one_way.values()))


def _endings(one: craft.Connection) -> list[tuple[bytes, bool]]:
    return [
        (one.data(b"more"), True),
        (one.data(b"more", outbound=False), False),
        (one.ack(), True),
        (one.fin(), True),
        (one.rst(outbound=False), False),
    ]


def _one_way(seed: int, outbound: bool) -> int:
    flow = _Path(seed).connect()
    for number in range(flow.passed + 1, 60):
        if not flow.send(flow.one.data(b"x", outbound=outbound), outbound):
            return number
    return 0


def _datagrams(seed: int, v6: bool) -> int:
    lab = _Path(seed).lab
    for number in range(1, 61):
        outbound = number % 3 != 0
        raw = craft.datagram(b"u" * 100, server=(craft.SITE6 if v6 else craft.SITE, 4_443), v6=v6, outbound=outbound)
        if lab.send(raw, outbound).forward != raw:
            return number
    return 0


def _recipe(seed: int) -> Iterator[Check]:
    for kind, small in (("packet_freeze", "freezes"), ("byte_freeze", "passes")):
        path = _Path(seed, kind)
        for size, expected in ((2, small), (64, "passes")):
            flow = path.connect()
            arrived = flow.write(b"p" * 64, size)
            yield _check(
                f"{kind}: 64 bytes of payload in writes of {size}", _RECIPE, expected,
                "passes" if arrived == 64 and not flow.frozen else "freezes",
            )  # fmt: skip
    flow = _Path(seed).connect()
    arrived = flow.write(b"u" * _UPLOAD, _SEGMENT)
    measured = "freezes" if arrived < _UPLOAD else "passes"
    yield _check("packet_freeze: an upload of 65,536 bytes", _RECIPE, "freezes", measured)
    arrived = _Path(seed).connect().download()
    yield Check(
        "packet_freeze: what a download brings before it stops",
        "censors.md RU-08 [T/S: observed from 14 to 34 KB; S: 16 KB is what fits on average]",
        "14 to 34 KB",
        f"{arrived / 1_024:.1f} KB",
        ok=14 <= arrived / 1_024 <= 34,
    )


def _knobs(seed: int) -> Iterator[Check]:
    """The recipe's own pattern, 2-byte writes each with a bare ACK, behind a handshake of three."""
    knobs: tuple[tuple[Params, int], ...] = (
        ({}, 26),
        ({"syn": False}, 28),
        ({"bare_acks": False}, 50),
        ({"syn": False, "bare_acks": False}, 54),
    )
    for params, expected in knobs:
        flow = _Path(seed, params=params).connect()
        lost = 0
        while not lost and flow.passed < 90:
            if not flow.send(flow.one.data(b"xx"), True) or not flow.send(flow.one.ack(outbound=False), False):
                lost = flow.passed + 1
        shown = ", ".join(f"{name} not counted" for name in params) or "all counted"
        yield _check(f"the first packet that never arrives, {shown}", _KNOBS, str(expected), str(lost))


def _spared(seed: int) -> Iterator[Check]:
    source = "censors.md RU-08 [C: SSH exempt; T: listed names]"
    for first, expected, what in (
        (hellobuild.chrome(_ALLOWED), "passes", "a listed name"),
        (hellobuild.chrome("garden-photos.example"), "freezes", "another name"),
        (hellobuild.chrome(None), "freezes", "no name"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "passes", "SSH"),
        (b"\x7f" * 200, "freezes", "an unknown protocol"),
    ):
        flow = _Path(seed, params={"names": [_ALLOWED]}).connect()
        flow.send(flow.one.data(first), True)
        measured = "passes" if flow.download() == 725 * _SEGMENT else "freezes"
        yield _check(f"1 MB over a connection that begins with {what}", source, expected, measured)


def _bytes(seed: int) -> Iterator[Check]:
    path = _Path(seed, "byte_freeze")
    stops = [path.connect(v6=turn % 2 == 1).download() / 1_024 for turn in range(100)]
    inside = min(stops) >= 14 - _SEGMENT / 1_024 and max(stops) <= 34
    spread = f"{min(stops):.1f} to {max(stops):.1f} KB"
    yield Check("byte_freeze: where downloads stop", _BYTES, "within 14 to 34 KB", spread, ok=inside, n=100)
    flow = path.connect()
    arrived = flow.write(b"u" * _UPLOAD, _SEGMENT)
    yield _check(
        "byte_freeze: an upload of 65,536 bytes", _BYTES, "passes", "passes" if arrived == _UPLOAD else "freezes"
    )


def _all(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return f"{found[0]} on all" if len(found) == 1 else ", ".join(map(str, found))


def _check(name: str, source: str, expected: str, measured: str, *, n: int | None = None) -> Check:
    return Check(name, source, expected, measured, ok=expected == measured, n=n)
