"""One rule in a chain with a virtual clock, and short ways to send it packets."""

from __future__ import annotations

from random import Random
from typing import Any

from rozaneh.lab import craft
from rozaneh.lab.chain import Outcome
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import ICMP, ICMPV6, Packet, ip_packet, packed_address, parse
from rozaneh.lab.rules import RuleConfig


class Bench(Offline):
    """`kind` alone; every call fails the test when the rule raised."""

    def __init__(self, kind: str, *, on_path: bool = False, seed: int = 0, **params: Any) -> None:
        super().__init__([RuleConfig(id="X", kind=kind, params=params, on_path=on_path)], seed=seed)

    def send(self, raw: bytes, outbound: bool = True) -> Outcome:
        outcome = super().send(raw, outbound)
        assert not self.errors, outcome.acts
        return outcome

    def passes(self, raw: bytes, outbound: bool = True) -> bool:
        """Whether the packet goes on as it is, and nothing else happens."""
        outcome = self.send(raw, outbound)
        return outcome.forward == raw and not outcome.acts and not outcome.injected

    def datagram(self, payload: bytes, **how: Any) -> bool:
        """Whether a UDP packet passes."""
        return self.passes(craft.datagram(payload, **how), how.get("outbound", True))

    def opens(self, connection: craft.Connection) -> bool:
        """Whether a connection's handshake passes."""
        passed = [self.passes(raw, outbound) for raw, outbound in connection.handshake()]
        return all(passed)


def injected(outcome: Outcome, to: str = "in") -> list[Packet]:
    """What was injected in one direction."""
    found = [parse(each.raw, to == "out") for each in outcome.injected if each.to == to]
    assert None not in found
    return [each for each in found if each is not None]


def icmp(*, v6: bool = False, outbound: bool = True, outside: str = "") -> bytes:
    """An echo request between reader and site."""
    near = packed_address(craft.READER6 if v6 else craft.READER)
    far = packed_address(outside or (craft.SITE6 if v6 else craft.SITE))
    source, target = (near, far) if outbound else (far, near)
    return ip_packet(source, target, ICMPV6 if v6 else ICMP, bytes((128 if v6 else 8, 0, 0, 0, 0, 1, 0, 1)))


def mutilated(raw: bytes, count: int, seed: int = 3) -> list[bytes]:
    """`count` copies of a packet with bytes changed or cut off behind its addresses."""
    rng = Random(seed)  # noqa: S311 - repeatability is the point
    made = []
    for _ in range(count):
        broken = bytearray(raw)
        for _ in range(rng.randrange(1, 8)):
            broken[rng.randrange(20, len(broken))] = rng.randrange(256)
        made.append(bytes(broken[: rng.randrange(24, len(broken) + 1)]) if rng.random() < 0.3 else bytes(broken))
    return made
