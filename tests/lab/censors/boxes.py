"""One rule behind a chain without sockets, and what its tests ask again and again."""

from __future__ import annotations

from typing import Any

from rozaneh.lab.chain import Outcome
from rozaneh.lab.craft import Connection
from rozaneh.lab.offline import Offline
from rozaneh.lab.packet import Packet, parse
from rozaneh.lab.rules import RuleConfig


class Box(Offline):
    """A middlebox with one rule; a rule that raises fails the test."""

    def __init__(self, kind: str, *, seed: int = 0, gates: dict[str, Any] | None = None, **params: Any) -> None:
        super().__init__([RuleConfig(id="X", kind=kind, params=params, **(gates or {}))], seed=seed)

    def send(self, raw: bytes, outbound: bool = True) -> Outcome:
        outcome = super().send(raw, outbound)
        assert self.errors == 0, outcome.acts
        return outcome

    def out(self, raw: bytes) -> bool:
        """Whether a packet from inside goes on as it is."""
        return self.send(raw, True).forward == raw

    def back(self, raw: bytes) -> bool:
        """Whether a packet from outside goes on as it is."""
        return self.send(raw, False).forward == raw

    def shake(self, one: Connection) -> None:
        """A handshake that passes."""
        assert self.out(one.syn())
        assert self.back(one.syn_ack())
        assert self.out(one.ack())


def read(raw: bytes | None, *, outbound: bool) -> Packet:
    """A packet that went on, taken apart."""
    assert raw is not None
    packet = parse(raw, outbound)
    assert packet is not None
    return packet


def connection(number: int = 0, *, v6: bool = False, host: int = 0, port: int = 443) -> Connection:
    """One of many connections from one reader; `host` picks another server of the same network."""
    server = f"2a04:4e42:77::{20 + host:x}" if v6 else f"185.146.21.{20 + host}"
    client = "2a0d:5600:41:7::12" if v6 else "151.240.18.77"
    return Connection((client, 40_000 + number), (server, port), isn=1_000 + 7_919 * number, timestamps=True)
