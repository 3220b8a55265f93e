"""The rarer boxes: ESNI (CN-03), port 443 (CN-09), the edge (CN-10), known applications only (IR-05), and Kazakhstan.

No profile needs some of them every day; each is held here against what its source says. Also the sentence of the
residual study (WOOT'21 [C]) that a SYN and one packet with data, without any answer, are enough to set residuals off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random

from rozaneh.lab.codec.quicbuild import client_hello
from rozaneh.lab.packet import parse
from rozaneh.lab.rules import RuleConfig
from rozaneh.lab.verify import _presets
from rozaneh.lab.verify._boxes import LISTED, PLAIN, Box, Sent, hello, opened, request, rule, split
from rozaneh.lab.verify.base import Check

_WOOT = "Bock et al., WOOT 2021, table I [C]"
_KZ_NAME = "forbidden.example"
_ECH_HEAD = b"\xfe\x0d\x00\x08"


def checks(seed: int) -> Iterator[Check]:
    """Box by box."""
    yield from _esni(seed)
    yield from _port_443(seed)
    yield from _edge(seed)
    yield from _applications(seed)
    yield from _kazakhstan(seed)
    yield from _without_an_answer(seed)


def esni_hello(kind: int) -> bytes:
    """A ClientHello under a harmless name with one more extension, `kind`, of eight bytes."""
    message = client_hello(PLAIN, Random(1), alpn=("h2",), ech=bytes(8))  # noqa: S311 - repeatable
    changed = message.replace(_ECH_HEAD, kind.to_bytes(2, "big") + _ECH_HEAD[2:])
    return b"\x16\x03\x01" + len(changed).to_bytes(2, "big") + changed


def _esni(seed: int) -> Iterator[Check]:
    source = "gfw.report 2020, through CN-03 [C]"
    config = RuleConfig(id="CN-03", kind="esni")

    def after(seconds: float, *pieces: bytes, from_server: bool = False, other: bool = False) -> Callable[[Box], bool]:
        """Whether a packet so long after these pieces is dropped."""

        def drops(box: Box) -> bool:
            one = box.connection()
            box.send(opened(one, *pieces))
            box.lab.jump(seconds)
            last = box.connection().syn() if other else one.data(b"late", outbound=not from_server)
            return box.drops([(last, not from_server)]) == 1

        return drops

    esni = esni_hello(0xFFCE)
    yield _says("CN-03: ESNI, the client's packets, after 1.1 s", source, config, after(1.1, esni), seed, True)
    yield _says("CN-03: before a second has passed", source, config, after(0.9, esni), seed, False)
    yield _says("CN-03: the server's packets", source, config, after(1.1, esni, from_server=True), seed, False)
    yield _says("CN-03: another connection, 119 s later", source, config, after(119, esni, other=True), seed, True)
    yield _says("CN-03: another connection, 181 s later", source, config, after(181, esni, other=True), seed, False)
    yield _says("CN-03: first segment of four bytes", source, config, after(1.1, *split(esni, 4)), seed, False)
    yield _says("CN-03: first segment of five bytes", source, config, after(1.1, *split(esni, 5)), seed, True)
    for kind in (0xFF02, 0xFF03, 0xFF04):
        yield _says(f"CN-03: extension {kind:#06x}", source, config, after(1.1, esni_hello(kind)), seed, False)


def _port_443(seed: int) -> Iterator[Check]:
    source = "20 August 2025, through CN-09 [C]"
    config = RuleConfig(id="CN-09", kind="port_reset", on_path=True)
    for way, outside in (("inside", False), ("outside", True)):
        counts = []
        for v6 in (False, True):
            box = Box(config, seed=seed, v6=v6)
            for packet in box.connection(outside_client=outside).handshake():
                before = len(box.injected)
                box.send([packet])
                counts.append(len(box.injected) - before)
        wanted = [0, 6, 0] if outside else [6, 6, 0]  # three to each end
        name = f"CN-09: resets for SYN, SYN+ACK and ACK, begun {way}"
        yield Check(name, source, str(wanted), str(counts[:3]), counts == wanted * 2)
    for port in (22, 80, 8_443):

        def other(box: Box, port: int = port) -> bool:
            return box.meets(opened(box.connection(port), hello(PLAIN)))

        yield _says(f"CN-09: port {port}", source, config, other, seed, False)


def _edge(seed: int) -> Iterator[Check]:
    params = {"names": [LISTED], "resets": ["gfw-edge"], "ban_s": 300.0}
    config = RuleConfig(id="CN-10", kind="sni", params=params)
    seen = []
    for ttl in (61, 120):
        box = Box(config, seed=seed)
        one = box.connection()
        box.send(one.handshake())
        box.send([(one.data(hello(LISTED), ttl=ttl), True)])
        found = parse(box.injected[0].raw, False) if box.injected else None
        seen.append((found.ip.ttl, found.tcp.window) if found and found.tcp else None)
    wanted = [(61, 0), (120, 0)]
    yield Check("CN-10: TTL and window of the reset", "bbs #248 [T]", str(wanted), str(seen), seen == wanted)

    def banned(box: Box) -> bool:
        box.send(opened(box.connection(), hello(LISTED)))
        return box.drops([(box.connection(22, server=("185.146.21.99", 22)).syn(), True)]) == 1

    yield _says("CN-10: all the reader's traffic afterwards", "bbs #248 [T]", config, banned, seed, True, v6=False)


def _applications(seed: int) -> Iterator[Check]:
    source = "Alaraj et al., AsiaCCS 2025, 4.4 [C]"
    config = RuleConfig(id="IR-05", kind="app_allowlist")
    first = {"HTTP": (80, request(PLAIN), False), "TLS": (443, hello(PLAIN), True), "SSH": (22, b"SSH-2.0-x\r\n", True)}
    for name, (port, data, dropped) in first.items():

        def ends(box: Box, port: int = port, data: bytes = data) -> bool:
            return box.drops(opened(box.connection(port), data, *[b"\xff" * 30] * 6)) > 0

        yield _says(f"IR-05: a flow that begins like {name}", source, config, ends, seed, dropped)


def _kazakhstan(seed: int) -> Iterator[Check]:
    http, tls = _presets.rules("kz")
    for config, port, data in ((http, 80, request(_KZ_NAME)), (tls, 443, hello(_KZ_NAME))):
        for what, waits, same, blocked in (
            ("119 s later", (119.0,), True, True),
            ("121 s later", (121.0,), True, False),
            ("119 s after another 119 s", (119.0, 119.0), True, True),
            ("another source port", (1.0,), False, False),
        ):
            asks = _held(port, data, waits, same=same)
            yield _says(f"{config.id}: {what}", _WOOT, config, asks, seed, blocked)


def _held(port: int, data: bytes, waits: tuple[float, ...], *, same: bool) -> Callable[[Box], bool]:
    """Whether a packet of the connection (or a new SYN) is lost after several waits, each of which ends with one."""

    def asks(box: Box) -> bool:
        one = box.connection(port)
        box.send(opened(one, data))
        dropped = False
        for wait in waits:
            box.lab.jump(wait)
            packet = one.data(b"again", at=0) if same else box.connection(port).syn()
            dropped = box.drops([(packet, True)]) == 1
        return dropped

    return asks


def _without_an_answer(seed: int) -> Iterator[Check]:
    named = [
        (rule("ir-2020", "IR-02"), 80, request(LISTED)),
        (rule("ir-2020", "IR-03"), 443, hello(LISTED)),
        (rule("cn-2023", "CN-02"), 443, hello(LISTED)),
        (_presets.rules("kz")[0], 80, request(_KZ_NAME)),
    ]
    for config, port, data in named:

        def meets(box: Box, port: int = port, data: bytes = data) -> bool:
            one = box.connection(port)
            packets: Iterable[Sent] = [(one.syn(), True), (one.data(data), True)]
            return box.meets(packets)

        yield _says(f"{config.id}: a SYN and one packet, no answer", _WOOT, config, meets, seed, True)


def _says(
    name: str,
    source: str,
    config: RuleConfig,
    asks: Callable[[Box], bool],
    seed: int,
    wanted: bool,
    *,
    v6: bool = True,
) -> Check:
    """One statement, over IPv4 and (unless told otherwise) IPv6."""
    measured = [asks(Box(config, seed=seed, v6=version)) for version in ((False, True) if v6 else (False,))]
    words = {True: "acts", False: "nothing"}
    return Check(name, source, words[wanted], ", ".join(words[each] for each in measured), set(measured) == {wanted})
