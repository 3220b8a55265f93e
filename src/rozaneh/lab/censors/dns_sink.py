"""DNS-SINK: an address of forged answers accepts connections and resets them once they speak (catalogue CN-01).

Six of the addresses in China's forged answers complete a TCP handshake and send a reset on data [C USENIX'21, FOCI'25].
Nobody is there: the box answers by itself, keeps no state, and lets nothing through to those addresses.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar

from rozaneh.lab.api import DONE, PASS, Drop, Inject, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings, reset_sender
from rozaneh.lab.names import place
from rozaneh.lab.packet import ACK, RST, SYN, Packet, tcp_packet
from rozaneh.lab.rules import Prefixes


class DnsSinkSettings(Settings, frozen=True, kw_only=True):
    """Which addresses, and what their packets look like.

    Attributes:
        addresses: The sinks, as addresses or prefixes.
        ip_ttl: Their packets' TTL.
        window: The window they offer.
    """

    addresses: tuple[str, ...]
    ip_ttl: int = 64
    window: int = 8_192


class Censor:
    """Plays a server that has nothing to say."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(DnsSinkSettings, params)
        if not 1 <= settings.ip_ttl <= 255 or not 0 < settings.window < 65_536:
            raise ValueError("an IP TTL lies between 1 and 255, a window below 65,536")
        self._settings = settings
        self._sinks = Prefixes(settings.addresses)
        self._salt = f"{rng.getrandbits(64):016x}"

    def packet(self, p: Packet, now: float) -> Verdict:
        """Answers SYNs, resets what speaks, and keeps everything."""
        if p.outside_bytes not in self._sinks:
            return DONE
        tcp = p.tcp
        if tcp is None:
            return PASS
        why = f"sink {p.outside}"
        if not p.outbound or tcp.flags & RST:
            return Drop(why)
        if tcp.flags & (SYN | ACK) == SYN:
            number = int(place((p.flow_key() or b"").hex(), self._salt) * 2**32)
            raw = tcp_packet(
                p.ip.dst_bytes,
                p.ip.src_bytes,
                tcp.dport,
                tcp.sport,
                seq=number,
                ack=tcp.seq + 1,
                flags=SYN | ACK,
                window=self._settings.window,
                ttl=self._settings.ip_ttl,
            )
            return [Drop(why), Inject(raw, to="in", why=why)]
        if p.payload:
            return [Drop(why), reset_sender(p, tcp, why=why, ttl=self._settings.ip_ttl)]
        return Drop(why)
