"""WHITELIST: only listed names and addresses are reached, everything else ends where data begins (catalogue RU-12).

Mobile networks in Russia, 2025-26. `state` is the regime: `off` (W0), `names` (W1: the ClientHello's name is listed),
`addresses` (W2: the address is listed, and any name works there [T net4people #516]), `both` (W3: single addresses AND
names [T russia-mobile-internet-whitelist #3, #13, #16]). A SYN reaches the other end, the ClientHello does not [T
#516]; on other networks the failure is a reset, a refused connection or an end of file [T]. ICMP to what is not listed
is dropped, the operator's DNS and 8.8.8.8 answer, others do not [T #516]. Iran's strict SNI list of 2026 is `names`
with `residual_s = 60` per destination (IR-13, [T #561]). When it is in force is the rule's gate (hours, stages, a
region).
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings, reply, reset_sender, segment_length
from rozaneh.lab.codec.clienthello import More
from rozaneh.lab.codec.quicframes import Habits, HelloReader
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import ACK, FIN, ICMP, ICMPV6, SYN, Packet, Tcp
from rozaneh.lab.reassembly import Stream
from rozaneh.lab.residual import Residual
from rozaneh.lab.rules import Prefixes
from rozaneh.lab.tspu import read_hello

_DNS = 53


class WhitelistSettings(Settings, frozen=True, kw_only=True):
    """The regime, its lists, and how its refusals look.

    Attributes:
        state: Which regime is in force.
        names: Names that pass, with everything below them.
        exact: Names that pass alone ([T net4people #586]: www.google.com passes and google.com does not).
        prefixes: Addresses that pass, as networks.
        resolvers: Addresses that may be asked over UDP and TCP port 53, listed or not.
        failure: What a refused connection meets: `drop` of its first data [T #516], `rst`, `fin` (both instead of the
            data), `refuse` (a reset for the SYN) or `drop_syn`; the last two only where the address itself is refused.
        udp: UDP beside DNS: `drop`, `names` (QUIC's name is read and judged like TLS's) or `pass`. Not reported.
        plain: What is neither TLS nor QUIC, where names are judged: `drop` or `pass`. Not reported.
        icmp: Whether ICMP to addresses that are not listed is dropped [T #516].
        segments: Whether TCP segments are put together to find the name.
        records: Whether TLS records are joined to find the name.
        residual_s: How long the whole destination is refused after a bad name; 0 for not at all.
    """

    state: Literal["off", "names", "addresses", "both"]
    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    failure: Literal["drop", "rst", "fin", "refuse", "drop_syn"] = "drop"
    udp: Literal["drop", "names", "pass"] = "drop"
    plain: Literal["drop", "pass"] = "drop"
    icmp: bool = True
    segments: Literal["none", "in_order", "full"] = "full"
    records: Literal["none", "buffered", "full"] = "full"
    residual_s: float = 0.0


class Censor:
    """Judges destinations, then names."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(WhitelistSettings, params)
        self._settings = settings
        self._names = NameList(settings.names, settings.exact)
        self._prefixes = Prefixes(settings.prefixes)
        self._resolvers = Prefixes(settings.resolvers)
        self._by_name = settings.state in ("names", "both")
        self._by_address = settings.state in ("addresses", "both")
        self._residual = Residual(settings.residual_s, "destination")
        self._habits = Habits(check_tag=False, truncated=True, crypto="full", datagrams=3)

    def packet(self, p: Packet, now: float) -> Verdict:
        """Lets pass what is listed."""
        if self._settings.state == "off":
            return DONE
        known = not self._by_address or p.outside_bytes in self._prefixes
        if p.tcp is not None:
            return self._tcp(p, p.tcp, known, now)
        if p.udp is not None:
            return self._udp(p, known, now)
        if p.protocol in (ICMP, ICMPV6):
            return PASS if known or not self._settings.icmp else Drop("ICMP to an address that is not listed")
        return PASS if known else Drop("an address that is not listed")

    def _tcp(self, p: Packet, tcp: Tcp, known: bool, now: float) -> Verdict:
        flow = p.flow
        why: str | None = flow.get("why")
        if why is not None:
            return self._refuse(p, tcp, why)
        if p.outside_port == _DNS and p.outside_bytes in self._resolvers:
            return DONE
        if self._residual.hit(p, now):
            return Drop("residual destination")
        if tcp.flags & SYN:
            return self._syn(p, tcp, flow, known)
        payload = p.payload
        if not payload or "fine" in flow:
            return PASS
        if not known:
            flow["why"] = why = "an address that is not listed"
            return self._refuse(p, tcp, why)
        if not self._by_name:
            return DONE
        if not p.outbound:
            return PASS
        return self._named(p, tcp, flow, now)

    def _syn(self, p: Packet, tcp: Tcp, flow: dict[str, Any], known: bool) -> Verdict:
        if p.outbound:
            if not known and self._settings.failure in ("refuse", "drop_syn"):
                return self._refuse(p, tcp, "an address that is not listed")
            flow.pop("fine", None)
            flow["stream"] = stream = Stream(self._settings.segments)
            stream.start(tcp.seq)
        return PASS

    def _named(self, p: Packet, tcp: Tcp, flow: dict[str, Any], now: float) -> Verdict:
        settings = self._settings
        stream: Stream = flow.setdefault("stream", Stream(settings.segments))
        data = stream.add(tcp.seq, p.payload)
        if not data:
            return PASS
        hello = read_hello(data, records=settings.records, cut=settings.segments == "none" or stream.full)
        if isinstance(hello, More):
            return PASS
        del flow["stream"]
        if hello is None:
            if settings.plain == "pass":
                return DONE
            why = "not TLS"
        elif hello.server_name is not None and self._names.find(hello.server_name) is not None:
            flow["fine"] = True
            return DONE if not settings.residual_s else PASS  # the destination may still be refused for another's name
        else:
            why = f"name {hello.server_name or '(none)'} is not listed"
        flow["why"] = why
        self._residual.add(p, now)
        return self._refuse(p, tcp, why)

    def _udp(self, p: Packet, known: bool, now: float) -> Verdict:
        settings = self._settings
        flow = p.flow
        why: str | None = flow.get("why")
        if why is not None:
            return Drop(why)
        if p.outside_port == _DNS:
            # With resolvers named, only those answer; otherwise DNS goes by its address like all else.
            if p.outside_bytes in self._resolvers:
                return DONE
            if self._resolvers:
                return Drop("a resolver that is not listed")
        if not known:
            return Drop("an address that is not listed")
        if settings.udp == "pass" or not self._by_name or p.outside_port == _DNS:
            return DONE
        if settings.udp == "drop":
            return Drop("UDP")
        if not p.outbound:
            return PASS
        reader: HelloReader = flow.setdefault("quic", HelloReader(self._habits))
        hello = reader.add(p.payload)
        if isinstance(hello, More):
            return PASS
        if hello is None:
            why = "not QUIC"
            if settings.plain == "pass":
                return DONE
        elif hello.server_name is not None and self._names.find(hello.server_name) is not None:
            return DONE
        else:
            why = f"name {hello.server_name or '(none)'} is not listed"
        flow["why"] = why
        return Drop(why)

    def _refuse(self, p: Packet, tcp: Tcp, why: str) -> Verdict:
        """A refusal as this network shows it; answers of the server to what it should not have seen are dropped."""
        failure = self._settings.failure
        if not p.outbound or failure in ("drop", "drop_syn"):
            return Drop(why)
        if failure == "fin" and not tcp.flags & SYN:
            ack = tcp.seq + segment_length(p, tcp)
            return [Drop(why), reply(p, tcp, FIN | ACK, ack=ack, window=1_024, why=why)]
        return [Drop(why), reset_sender(p, tcp, why=why)]
