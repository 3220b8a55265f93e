"""SIBERIAN: a few simultaneous TLS connections of one browser to one name freeze TLS to that host (RU-11, X-04).

Three conditions at once [S id 63251960398; P dpi-checkers `webhostSiberianCheck`; T net4people #546, XTLS #6293]: A.
the destination lies in a suspicious network (the rule's gate `outside`); B. the ClientHello's fingerprint is Chrome's,
Safari's or iOS's, Firefox's not; C. more than 3 connections to one name, each within 350 to 400 ms of the one before
and all within 60 s. A hello without a name triggers nothing. Then TLS with that fingerprint to the host is frozen for
120 s, whatever the name (TCP itself passes), and a client that comes with another fingerprint meanwhile gets 600 s for
all its TLS to the host. The precursor of November 2025 is `more_than = 11, fingerprints = [], freeze_s = 60, escalate_s
= 0`: about 12 connections, of any client [S, T XTLS #5332].
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from rozaneh.lab.api import DONE, PASS, Drop, Params, Verdict
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.codec import fingerprint
from rozaneh.lab.codec.clienthello import ClientHello, More
from rozaneh.lab.packet import ACK, SYN, Packet, Tcp
from rozaneh.lab.reassembly import Stream
from rozaneh.lab.residual import Residual
from rozaneh.lab.tspu import read_hello
from rozaneh.lab.windows import Windows, subnet

# JA4 families: Chrome and what copies it share a cipher list (8daaf6152771) whatever their extensions; Safari and iOS
# share another (a09f3c656075) [FoxIO's published examples; S for who is flagged].
_CHROME = "t13?15????_8daaf6152771_*"
_SAFARI = "t13?20????_a09f3c656075_*"
_MAX_FROZEN = 65_536


class SiberianSettings(Settings, frozen=True, kw_only=True):
    """The three conditions and what follows.

    Attributes:
        ports: Destination ports looked at; empty means all.
        fingerprints: JA3 or JA4 patterns that count; empty means every client (the precursor). What fits one
            pattern is one fingerprint, so that a browser's first and resumed hellos are not two.
        more_than: How many connections are still fine: 3 [S, P].
        gap_s: How close each must follow the one before: 0.35 to 0.4; some say 0.02 to 0.05 [S].
        window_s: Within which time all of them must lie: 60 [S].
        freeze_s: How long TLS to the host is frozen: 120 [S].
        escalate_s: How long after a change of fingerprint meanwhile: 600 [S]; 0 for no such step.
        running: Whether connections that stand already freeze as well: "TLS to that host" [S].
        subnet4: How many bits of an IPv4 destination are counted together; 32 counts each host by itself.
        subnet6: The same for IPv6.
        by_client: Whether clients inside are told apart; the count is a user's.
        psk_exempts: Whether a hello with a pre_shared_key counts as nobody's [T tdesktop #30910, "loosened"].
        records: Whether TLS records are joined.
    """

    ports: tuple[int, ...] = (443,)
    fingerprints: tuple[str, ...] = (_CHROME, _SAFARI)
    more_than: int = 3
    gap_s: float = 0.35
    window_s: float = 60.0
    freeze_s: float = 120.0
    escalate_s: float = 600.0
    running: bool = True
    subnet4: int = 24
    subnet6: int = 48
    by_client: bool = True
    psk_exempts: bool = False
    records: bool = True


class Censor:
    """Counts hellos by client, network, name and fingerprint, and freezes hosts."""

    protocols: ClassVar[str] = "tcp"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(SiberianSettings, params)
        if settings.more_than < 0 or min(settings.freeze_s, settings.escalate_s, settings.gap_s) < 0:
            raise ValueError("numbers and times are not below 0")
        if not (0 <= settings.subnet4 <= 32 and 0 <= settings.subnet6 <= 128):
            raise ValueError(f"no subnets of {settings.subnet4} and {settings.subnet6} bits")
        self._settings = settings
        self._ports = frozenset(settings.ports)
        self._records = "full" if settings.records else "none"
        self._windows = Windows(settings.window_s)
        self._frozen = Residual(settings.freeze_s, restarts=False)
        self._all = Residual(settings.escalate_s, restarts=False)
        self._whose: dict[bytes, str] = {}  # the fingerprint a host was frozen for

    def packet(self, p: Packet, now: float) -> Verdict:
        """Counts hellos; drops what is TLS and goes to or comes from a frozen host."""
        flow = p.flow
        mine: str | None = flow.get("fingerprint")
        if mine is None:
            tcp = p.tcp
            if tcp is None or (self._ports and p.outside_port not in self._ports):
                return DONE
            return self._first(p, tcp, flow, now)
        if not (len(self._frozen) or len(self._all)) or not p.payload:
            return PASS  # TCP itself passes
        if not self._settings.running and "late" not in flow:
            return PASS
        host = self._host(p)
        if self._all.hit(host, now):
            return Drop("frozen, all TLS")
        if self._frozen.hit(host, now) and self._whose.get(host) in (mine, ""):
            return Drop("frozen")
        return PASS

    def _first(self, p: Packet, tcp: Tcp, flow: dict[str, Any], now: float) -> Verdict:
        """Follows a connection to its hello."""
        if not p.outbound:
            return PASS
        if tcp.flags & (SYN | ACK) == SYN:
            flow["stream"] = Stream("full")
            flow["stream"].start(tcp.seq)
            return PASS
        payload = p.payload
        stream: Stream | None = flow.get("stream")
        if not payload or stream is None:
            return PASS if stream is not None else DONE
        data = stream.add(tcp.seq, payload)
        hello = read_hello(data, records=self._records, cut=stream.full) if data else None
        if not data or isinstance(hello, More):
            return PASS
        if hello is None:
            return DONE
        return self._judge(p, flow, hello, now)

    def _judge(self, p: Packet, flow: dict[str, Any], hello: ClientHello, now: float) -> Verdict:
        """What becomes of a connection's hello."""
        settings = self._settings
        flagged = fingerprint.family(hello, settings.fingerprints)
        seen = flagged or fingerprint.ja4(hello)
        flow["fingerprint"] = seen
        del flow["stream"]
        host = self._host(p)
        if self._all.hit(host, now):
            flow["late"] = True
            return Drop("frozen, all TLS")
        if self._frozen.hit(host, now):
            whose = self._whose.get(host, "")
            flow["late"] = True
            if not settings.escalate_s or whose in (seen, ""):
                return Drop("frozen")
            self._all.add(host, now)
            return Drop(f"another fingerprint while frozen: {settings.escalate_s:g} s")
        name = hello.server_name
        if not name or (settings.psk_exempts and hello.has_psk):
            return PASS
        if settings.fingerprints and flagged is None:
            return PASS
        counted = seen if settings.fingerprints else ""
        client = p.inside_bytes if settings.by_client else b""
        key = (client, subnet(p.outside_bytes, settings.subnet4, settings.subnet6), name, counted)
        self._windows.add(key, now)
        if self._windows.burst(key, now, settings.gap_s) <= settings.more_than:
            return PASS
        self._windows.clear(key)
        self._freeze(host, counted, now)
        flow["late"] = True
        return Drop(f"{settings.more_than + 1} connections to {name}")

    def _freeze(self, host: bytes, whose: str, now: float) -> None:
        self._frozen.add(host, now)
        self._whose.pop(host, None)
        if len(self._whose) >= _MAX_FROZEN:
            del self._whose[next(iter(self._whose))]
        self._whose[host] = whose

    def _host(self, p: Packet) -> bytes:
        """The host as this client has it."""
        return (p.inside_bytes if self._settings.by_client else b"") + p.outside_bytes
