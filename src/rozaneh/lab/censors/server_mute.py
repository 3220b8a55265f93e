"""SERVER-MUTE: the client's first message arrives, the server's answer never comes back (catalogue X-06, IR-12).

After the shutdown of June 2025 on two Iranian networks the ClientHello passes and the ServerHello is dropped
[T net4people/bbs #489]; in 2026 connections to some CDN addresses complete and nothing after the ClientHello returns
[T #626]. What the server acknowledges still comes back, so the client's kernel believes that it was heard.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import SYN, Packet


class ServerMuteSettings(Settings, frozen=True, kw_only=True):
    """Whose answers, and how much of them.

    Attributes:
        after: Only after a TLS record from the client (`tls`), or after any bytes from it (`any`).
        scope: The server's first segment and its repetitions, or all of its bytes.
        ports: Outside TCP ports; empty means all.
    """

    after: Literal["tls", "any"] = "tls"
    scope: Literal["first", "all"] = "all"
    ports: tuple[int, ...] = ()


class Censor:
    """Drops the server's bytes of a connection that has begun to speak."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(ServerMuteSettings, params)
        self._ports = frozenset(self._settings.ports)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Watches for the client's first bytes, then mutes the server."""
        tcp = p.tcp
        if tcp is None:
            return PASS
        if not p.inside_first or (self._ports and p.outside_port not in self._ports):
            return DONE
        payload = p.payload
        if not payload or tcp.flags & SYN:
            return PASS
        flow = p.flow
        if p.outbound:
            if "muted" not in flow:
                if self._settings.after == "tls" and payload[:2] != b"\x16\x03":
                    return DONE
                flow["muted"] = True
            return PASS
        if "muted" not in flow:
            return PASS
        if self._settings.scope == "first":
            first = flow.setdefault("first", tcp.seq)
            if tcp.seq != first:
                return PASS
        return Drop("the server's answer")
