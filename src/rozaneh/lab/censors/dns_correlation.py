"""DNS-CORRELATION: TCP to an address that nobody was told in plaintext DNS is reset (catalogue IR-08).

Seen in Iran in November 2022 by a single author [T net4people/bbs #156], whom DoH users met most. The rule remembers
the addresses in answers that pass (over UDP) to each inside address, and resets a connection to any other one when its
first bytes are sent (or its SYN). The window is a guess: tens of seconds.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab import dnsmessage
from rozaneh.lab.api import DONE, PASS, Action, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings, reset_receiver, reset_sender
from rozaneh.lab.packet import ACK, SYN, UDP, Packet, packed_address

_MAX_TOLD = 65_536


class DnsCorrelationSettings(Settings, frozen=True, kw_only=True):
    """How long an answer counts, and when a connection is reset.

    Attributes:
        window_s: For how long after an answer its addresses may be connected to, in lab seconds.
        when: At the connection's SYN, or at its first bytes.
        ports: TCP ports of the outside that are looked at; empty means all.
        dns_ports: Where plaintext answers come from.
        both_ends: Whether the server is sent a reset, too.
    """

    window_s: float = 60.0
    when: Literal["syn", "data"] = "data"
    ports: tuple[int, ...] = ()
    dns_ports: tuple[int, ...] = (53,)
    both_ends: bool = True


class Censor:
    """Learns from answers and asks for them."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(DnsCorrelationSettings, params)
        self._ports = frozenset(self._settings.ports)
        self._dns_ports = frozenset(self._settings.dns_ports)
        self._told: dict[bytes, float] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Answers are noted, connections judged once."""
        if p.protocol == UDP:
            if p.udp is None:
                return PASS
            if p.outside_port not in self._dns_ports:
                return DONE
            if not p.outbound:
                self._note(p, now)
            return PASS
        tcp = p.tcp
        if tcp is None:
            return PASS
        if not p.inside_first or (self._ports and p.outside_port not in self._ports):
            return DONE
        if not p.outbound:
            return PASS
        syn = tcp.flags & (SYN | ACK) == SYN
        if syn:
            told = self._told.get(p.inside_bytes + p.outside_bytes)
            p.flow["told"] = told is not None and now - told <= self._settings.window_s
        known = p.flow.get("told")
        if known or known is None:  # asked for, or begun before the rule was there
            return DONE
        if not (syn if self._settings.when == "syn" else p.payload):
            return PASS
        why = f"{p.outside} was in no answer"
        acts: list[Action] = [Drop(why), reset_sender(p, tcp, why=why)]
        if self._settings.both_ends and not syn:
            acts.append(reset_receiver(p, tcp, why=why))
        return acts

    def _note(self, p: Packet, now: float) -> None:
        response = dnsmessage.read_response(p.payload)
        if response is None:
            return
        for address in response.addresses:
            key = p.inside_bytes + packed_address(address)
            self._told.pop(key, None)
            if len(self._told) >= _MAX_TOLD:
                del self._told[next(iter(self._told))]
            self._told[key] = now
