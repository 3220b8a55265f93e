"""SNI-RESET: a TLS ClientHello that names a listed host is answered with resets to both ends (catalogue IR-03).

Any TCP port; the flow must have been seen from its SYN [C]. The action is a RST+ACK right after the ClientHello
[C IRBlock 3.2], then 180 s during which the same four-tuple goes nowhere [C WOOT'21 table I], each hit beginning the
time again (IR-02, same system). `segments` says whether a ClientHello spread over several TCP segments is put together
(not in 2020-22: segmentation worked then; "when load permits" in 2025), `records` the same for TLS records.
"""

from __future__ import annotations

from random import Random

from rozaneh.lab.api import Drop, Params, Pass, Verdict
from rozaneh.lab.censors.base import Settings, listed, read_settings, reset_receiver, reset_sender
from rozaneh.lab.packet import ACK, SYN, Packet
from rozaneh.lab.residual import Residual
from rozaneh.lab.streams import FirstBytes
from rozaneh.lab.tlshello import Hello, server_name


class SniResetSettings(Settings, frozen=True, kw_only=True):
    """`names` match with everything below them; an empty `ports` means every port."""

    names: tuple[str, ...]
    ports: tuple[int, ...] = ()
    segments: bool = True
    records: bool = True
    needs_syn: bool = True
    residual_s: float = 180.0
    residual_restarts: bool = True


class SniReset:
    """Reads the first message of each TLS connection from the inside."""

    def __init__(self, params: Params, rng: Random) -> None:
        self._settings = read_settings(SniResetSettings, params)
        self._names = frozenset(name.lower() for name in self._settings.names)
        self._residual = Residual(self._settings.residual_s, restarts=self._settings.residual_restarts)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Follows a connection until its first message is known."""
        tcp = p.tcp
        if tcp is None:
            return Pass()
        if len(self._residual) and self._residual.hit(p.flow_key(), now):
            return Drop("residual")
        flow = p.flow
        if "done" in flow or not p.outbound:
            return Pass()
        if tcp.flags & (SYN | ACK) == SYN:
            flow["first"] = FirstBytes(tcp.seq + 1)
            return Pass()
        payload = p.payload
        if not payload:
            return Pass()
        settings = self._settings
        if settings.ports and tcp.dport not in settings.ports:
            flow["done"] = True
            return Pass()
        first = flow.get("first")
        if first is None:
            if settings.needs_syn:
                flow["done"] = True
                return Pass()
            first = flow["first"] = FirstBytes(tcp.seq)
        first.add(tcp.seq, payload)
        found = server_name(first.data if settings.segments else payload, join_records=settings.records)
        if isinstance(found, str) and listed(found, self._names):
            self._residual.add(p.flow_key(), now)
            flow["done"] = True
            why = f"name {found}"
            return [Drop(why), reset_sender(p, tcp, why=why), reset_receiver(p, tcp, why=why)]
        if found is not Hello.MORE or first.full or not settings.segments:
            flow["done"] = True
            del flow["first"]
        return Pass()
