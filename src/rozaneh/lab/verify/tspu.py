"""Russia's name rules react, remember and are got round as reported: reactions, columns of the matrix, thresholds."""

from __future__ import annotations

from collections.abc import Iterator

from rozaneh.lab import craft
from rozaneh.lab.api import Params
from rozaneh.lab.codec import hellobuild
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import ACK, RST, SYN, parse
from rozaneh.lab.records import cut
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify.base import Check

_NAME = "blocked-news.example"
_OUTER = "cloudflare-ech.com"
_RU_1 = "censors.md RU-01 [S after Xue et al., IMC 2022]"
_RU_2 = "censors.md RU-02 [S after Xue et al., IMC 2022]"
_RU_4 = "censors.md RU-04 [S id 68464958509]"
_STATE = "censors.md RU-01..04, state model [M]"
_MATRIX_2022 = "censors.md 7, column TSPU 2022"
_MATRIX_2025 = "censors.md 7, column TSPU 2025 and after; RU-13 [C FOCI'25 5]"
_RU_9 = "censors.md RU-09 [M/T]"
_RU_10 = "censors.md RU-10 [S quoting net4people #274]"
_RU_12 = "censors.md RU-12, lab states W0 to W3 [T]"
_RU_13 = "censors.md RU-13 [T net4people #417]"

_SNI: dict[str, Params] = {
    "rewrite": {"names": [_NAME], "action": "rewrite", "residual_s": 75.0},
    "delayed_drop": {"names": [_NAME], "action": "delayed_drop", "residual_s": 420.0},
    "drop": {"names": [_NAME], "action": "drop", "residual_s": 40.0},
}
_HELLO = hellobuild.chrome(_NAME)


class _Lab:
    """A chain with one rule, and connections from ever new ports."""

    def __init__(self, seed: int, kind: str, params: Params) -> None:
        self.box = Offline([RuleConfig(id="RU", kind=kind, params=dict(params))], seed=seed)
        self._made = 0

    def connection(self, *, v6: bool = False, port: int = 443, server: str = "") -> craft.Connection:
        """One more, nothing sent yet."""
        self._made += 1
        client = (craft.READER6 if v6 else craft.READER, 20_000 + self._made)
        far = (server or (craft.SITE6 if v6 else craft.SITE), port)
        return craft.Connection(client, far, isn=7_000 * self._made, timestamps=True)

    def passes(self, raw: bytes, outbound: bool = True) -> bool:
        """Whether a packet goes on as it was."""
        return self.box.send(raw, outbound).forward == raw

    def opened(self, *, v6: bool = False, port: int = 443, server: str = "") -> craft.Connection:
        """One whose handshake is done."""
        one = self.connection(v6=v6, port=port, server=server)
        for raw, outbound in one.handshake():
            self.passes(raw, outbound)
        return one

    def gets_through(self, *segments: bytes, v6: bool = False, server: str = "") -> bool:
        """Whether a new connection's first segments all arrive and the server's answer does."""
        one = self.opened(v6=v6, server=server)
        arrived = [self.passes(one.data(segment)) for segment in segments]
        return all(arrived) and self.passes(one.data(b"\x16\x03\x03\x00\x01\x02", outbound=False), outbound=False)


def checks(seed: int) -> Iterator[Check]:
    """All of them."""
    yield from _rewrite(seed)
    yield from _delayed(seed)
    yield from _residuals(seed)
    yield from _state(seed)
    yield from _matrix(seed)
    yield from _ech(seed)
    yield from _policer(seed)
    yield from _vpn(seed)
    yield from _whitelist(seed)


def _rewrite(seed: int) -> Iterator[Check]:
    for version, v6 in (("IPv4", False), ("IPv6", True)):
        lab = _Lab(seed, "tspu_sni", _SNI["rewrite"])
        one = lab.opened(v6=v6)
        yield _check(
            f"SNI-I over {version}: the ClientHello reaches the server",
            _RU_1,
            "yes",
            _yes(lab.passes(one.data(_HELLO))),
        )
        raw = one.data(b"s" * 1_000, outbound=False)
        outcome = lab.box.send(raw, False)
        before, after = parse(raw, False), parse(outcome.forward or b"", False)
        same = "nothing"
        if before and after and before.tcp and after.tcp:
            kept = before.ip.ttl == after.ip.ttl and before.tcp.seq == after.tcp.seq and not outcome.injected
            reset = after.tcp.flags == RST | ACK and not after.payload
            same = "a RST+ACK with its own TTL and number" if kept and reset else "something else"
        yield _check(
            f"SNI-I over {version}: the next packet of the server becomes",
            _RU_1,
            "a RST+ACK with its own TTL and number",
            same,
        )


def _delayed(seed: int) -> Iterator[Check]:
    lab = _Lab(seed, "tspu_sni", _SNI["delayed_drop"])
    counts = []
    for turn in range(200):
        one = lab.opened(v6=turn % 2 == 1)
        lab.passes(one.data(_HELLO))
        count = 0
        while count < 20 and lab.passes(one.data(b"x", outbound=count % 2 == 0), count % 2 == 0):
            count += 1
        counts.append(count)
    measured = ", ".join(str(count) for count in sorted(set(counts)))
    yield _check("SNI-II: how many packets pass behind the ClientHello", _RU_2, "5, 6, 7, 8", measured, n=200)


def _residuals(seed: int) -> Iterator[Check]:
    for action, seconds, source in (("rewrite", 75, _RU_1), ("delayed_drop", 420, _RU_2), ("drop", 40, _RU_4)):
        for after, expected in ((seconds - 1, "no"), (seconds + 1, "yes")):
            lab = _Lab(seed, "tspu_sni", _SNI[action])
            one = lab.opened()
            lab.passes(one.data(_HELLO))
            for _ in range(9):  # more than SNI-II lets pass
                lab.passes(one.ack())
            lab.box.jump(after)
            control = lab.gets_through(hellobuild.chrome("open-weather.example"))
            again = craft.Connection(one.client, one.server, isn=one.isn + 4_000_000)
            shaken = [lab.passes(raw, outbound) for raw, outbound in again.handshake()]
            free = all(shaken) and lab.passes(again.data(b"ok", outbound=False), outbound=False)
            name = f"{action}: the same ports are free {after} s later, and another port is all the while"
            yield _check(name, source, f"{expected}, yes", f"{_yes(free)}, {_yes(control)}")


def _state(seed: int) -> Iterator[Check]:
    for steps, seconds, state in ((1, 60, "SYN-SENT"), (2, 105, "SYN-RECV"), (3, 480, "ESTABLISHED")):
        for idle, expected in ((seconds - 1, "blocked"), (seconds + 1, "passes")):
            lab = _Lab(seed, "tspu_sni", _SNI["drop"])
            one = lab.connection()
            for raw, outbound in one.handshake()[:steps]:
                lab.passes(raw, outbound)
            lab.box.jump(idle)
            measured = _word(lab.passes(one.data(_HELLO)))
            yield _check(f"a listed name after {idle} s idle in {state}", _STATE, expected, measured)
    for what in ("RST", "FIN"):
        lab = _Lab(seed, "tspu_sni", _SNI["drop"])
        one = lab.opened()
        lab.passes(one.rst() if what == "RST" else one.fin())
        yield _check(f"a listed name behind a {what}", _STATE, "blocked", _word(lab.passes(one.data(_HELLO))))
    lab = _Lab(seed, "tspu_sni", _SNI["drop"])
    one = lab.connection()
    lab.passes(one.syn())
    lab.passes(one.send(outbound=False, flags=SYN), outbound=False)
    lab.passes(one.send(flags=SYN | ACK, seq=one.isn))
    yield _check("a listed name behind a split handshake", _STATE, "passes", _word(lab.passes(one.data(_HELLO))))


def _matrix(seed: int) -> Iterator[Check]:
    old: Params = _SNI["drop"]
    new: Params = {**old, "segments": "full", "records": "buffered"}
    middle = _HELLO.index(_NAME.encode()) + 5
    records = cut(_HELLO, middle - 5)
    grease = hellobuild.chrome("open-weather.example", extra=[(0xFE0D, bytes(150))])
    rows: tuple[tuple[str, list[bytes], str, str], ...] = (
        ("no evasion", [_HELLO], "blocked", "blocked"),
        ("segments cut inside the name", [_HELLO[:middle], _HELLO[middle:]], "passes", "blocked"),
        ("a first segment of 4 bytes", [_HELLO[:4], _HELLO[4:]], "passes", ""),
        ("TLS records cut inside the name", [records], "", "blocked"),
        ("segments and records cut", [records[:middle], records[middle:]], "", "passes"),
        (
            "segments of 10 bytes (server window 10)",
            [_HELLO[at : at + 10] for at in range(0, len(_HELLO), 10)],
            "",
            "blocked",
        ),
        ("GREASE ECH with a name that is not listed", [grease], "passes", "passes"),
    )
    for what, segments, before, after in rows:
        for params, expected, source in ((old, before, _MATRIX_2022), (new, after, _MATRIX_2025)):
            if not expected:
                continue  # nobody reports it
            for v6 in (False, True):
                measured = _word(_Lab(seed, "tspu_sni", params).gets_through(*segments, v6=v6))
                yield _check(
                    f"{what}, IPv{6 if v6 else 4}, {source[-4:] if params is old else '2025'}",
                    source,
                    expected,
                    measured,
                )
    for params, source in ((old, _MATRIX_2022), (new, _MATRIX_2025)):
        lab = _Lab(seed, "tspu_sni", params)
        lab.gets_through(_HELLO)
        measured = _word(lab.gets_through(hellobuild.chrome("open-weather.example")))
        yield _check(
            f"a new source port after a match, {'2022' if params is old else '2025'}", source, "passes", measured
        )


def _ech(seed: int) -> Iterator[Check]:
    extension = [(0xFE0D, bytes(180))]
    for name, extra, expected in (
        (_OUTER, extension, "blocked"),
        (_OUTER, [], "passes"),
        ("open-weather.example", extension, "passes"),
    ):
        for v6 in (False, True):
            measured = _word(_Lab(seed, "ech", {}).gets_through(hellobuild.chrome(name, extra=extra), v6=v6))
            shown = "with" if extra else "without"
            yield _check(
                f"outer name {name} {shown} the ECH extension, IPv{6 if v6 else 4}", _RU_13, expected, measured
            )
    hello = hellobuild.chrome(_OUTER, extra=extension)
    middle = hello.index(_OUTER.encode()) + 5
    records = cut(hello, middle - 5)
    for what, segments, expected in (
        ("segments", [hello[:middle], hello[middle:]], "blocked"),
        ("records", [records], "blocked"),
        ("segments and records", [records[:middle], records[middle:]], "passes"),
    ):
        measured = _word(_Lab(seed, "ech", {}).gets_through(*segments))
        yield _check(f"ECH with {what} cut", _MATRIX_2025, expected, measured)


def _policer(seed: int) -> Iterator[Check]:
    lab = _Lab(seed, "policer", {"substrings": ["t.co"]})
    for name, low, high in (("t.co", 130, 150), ("microsoft.com", 130, 150), ("open-weather.example", 1_000, 2_000)):
        one = lab.opened()
        lab.passes(one.data(hellobuild.chrome(name)))
        arrived = 0
        for _ in range(3_000):
            raw = one.data(b"d" * 1_400, outbound=False)
            arrived += len(raw) * lab.passes(raw, outbound=False)
            lab.box.wait(0.01)
        rate = arrived * 8 / 30 / 1_000
        name = f"policer: {name} over 30 s, 1,160 kbit/s offered"
        expected = f"{low:,} to {high:,} kbit/s"
        yield Check(name, _RU_9, expected, f"{rate:,.0f} kbit/s", ok=low <= rate <= high)


def _vpn(seed: int) -> Iterator[Check]:
    session = bytes(range(1, 9))
    for what, hello, reply, data, expected in (
        ("WireGuard", b"\1\0\0\0" + bytes(144), b"\2\0\0\0" + bytes(88), b"\4\0\0\0" + bytes(92), "2"),
        (
            "OpenVPN",
            b"\x38" + session + bytes(5),
            b"\x40" + session + b"\1" + bytes(4) + session + bytes(4),
            b"\x48" + bytes(99),
            "15",
        ),
    ):
        for v6 in (False, True):
            lab = _Lab(seed, "vpn_protocol", {})
            server = (craft.SITE6 if v6 else craft.SITE, 1_194)

            def sends(payload: bytes, outbound: bool, lab: _Lab = lab, server: craft.End = server) -> bool:
                raw = craft.datagram(payload, server=server, v6=":" in server[0], outbound=outbound)
                return lab.passes(raw, outbound)

            shaken = sends(hello, True) and sends(reply, False)
            passed = sum(sends(data, turn % 2 == 0) for turn in range(40))
            name = f"{what}, IPv{6 if v6 else 4}: handshake, then data packets that pass"
            yield _check(name, _RU_10, f"yes, {expected}", f"{_yes(shaken)}, {passed}")


def _whitelist(seed: int) -> Iterator[Check]:
    lists: Params = {"names": ["allowed-shop.example"], "prefixes": [craft.SITE]}
    good, bad = hellobuild.chrome("allowed-shop.example"), hellobuild.chrome("garden-photos.example")
    expected = {"off": "PPPP", "names": "PBPB", "addresses": "PPBB", "both": "PBBB"}
    for state, wanted in expected.items():
        lab = _Lab(seed, "whitelist", {**lists, "state": state})
        answers = [
            lab.gets_through(hello, server=server) for server in (craft.SITE, "89.163.210.144") for hello in (good, bad)
        ]
        measured = "".join("P" if answer else "B" for answer in answers)
        yield _check(
            f"{state}: listed address with listed and other name, other address with both", _RU_12, wanted, measured
        )
    lab = _Lab(seed, "whitelist", {**lists, "state": "both"})
    one = lab.connection(server="89.163.210.144")
    steps = [lab.passes(raw, outbound) for raw, outbound in one.handshake()] + [lab.passes(one.data(bad))]
    measured = "".join("P" if step else "B" for step in steps)
    yield _check("an address that is not listed: SYN, SYN+ACK, ACK, ClientHello", _RU_12, "PPPB", measured)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _word(passes: bool) -> str:
    return "passes" if passes else "blocked"


def _check(name: str, source: str, expected: str, measured: str, *, n: int | None = None) -> Check:
    return Check(name, source, expected, measured, ok=expected == measured, n=n)
