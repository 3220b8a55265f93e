"""CLASS-POLICER: known protocols get most of the line, unknown ones next to nothing (catalogue IR-10, X-01).

Iran 2013: SSH had 15 % of the link and HTTP(S) 85 to 89 %, a protocol the box did not know came near to zero [C Aryan
2013 4.4]; what is above is dropped, since round-trip times did not rise with it [C Anderson 2013]. A connection's class
is settled by the first bytes either end sends, and all connections of a class share one bucket in each direction.
Policers read raw time. With `link_kbit_s` halved it is the throttling of 2022's evenings (IR-11).
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Literal

from rozaneh.lab.api import PASS, Drop, Params, Verdict
from rozaneh.lab.bucket import Bucket
from rozaneh.lab.censors.base import Settings, read_settings
from rozaneh.lab.packet import Packet

_VERBS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"PATCH ", b"HTTP/")
_DNS_PORT = 53


class ClassPolicerSettings(Settings, frozen=True, kw_only=True):
    """The line, and what share of it each class has.

    Attributes:
        link_kbit_s: The whole line's rate in thousands of bits a second; the world's choice.
        web: The share of HTTP, TLS and DNS: 0.87 [C].
        ssh: The share of SSH: 0.15 [C].
        unknown: The share of everything else: 0.01 [C: "near zero"].
        udp: What UDP other than DNS counts as; not reported.
        burst_s: How much passes at once, in seconds of a class's rate; not reported.
        min_burst: And at least this many bytes, so that single packets get through.
        per_client: Whether each address inside has buckets of its own.
    """

    link_kbit_s: float = 2_000.0
    web: float = 0.87
    ssh: float = 0.15
    unknown: float = 0.01
    udp: Literal["web", "unknown"] = "unknown"
    burst_s: float = 0.25
    min_burst: int = 3_000
    per_client: bool = True


class Censor:
    """Sorts connections into classes and polices each class."""

    protocols: ClassVar[str] = "any"

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(ClassPolicerSettings, params)
        self._rates = {"web": settings.web, "ssh": settings.ssh, "unknown": settings.unknown}
        if not settings.link_kbit_s > 0 or not all(0 < share <= 1 for share in self._rates.values()):
            raise ValueError("the line has a rate above 0, and shares lie above 0 and up to 1")
        self._settings = settings
        self._buckets: dict[tuple[str, bool, bytes], Bucket] = {}

    def packet(self, p: Packet, now: float) -> Verdict:
        """Counts it against its class."""
        flow = p.flow
        kind: str | None = flow.get("class")
        if kind is None:
            kind = self._class(p, flow)
            if kind is None:
                return PASS  # a handshake without data belongs to no class yet
        if self._bucket(kind, p).take(p.ip.end, p.raw_time):
            return PASS
        return Drop(f"{kind} above {self._rates[kind]:.0%} of the line")

    def _class(self, p: Packet, flow: dict[str, Any]) -> str | None:
        kind: str
        if p.udp is not None:
            kind = "web" if p.outside_port == _DNS_PORT else self._settings.udp
        elif p.tcp is None:
            kind = "unknown"
        else:
            payload = p.payload
            if not payload:
                return None
            kind = "ssh" if payload.startswith(b"SSH-") else "web" if _is_web(payload, p) else "unknown"
        flow["class"] = kind
        return kind

    def _bucket(self, kind: str, p: Packet) -> Bucket:
        client = p.inside_bytes if self._settings.per_client else b""
        key = (kind, p.outbound, client)
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= 65_536:
                self._buckets.clear()
            rate = self._settings.link_kbit_s * 125 * self._rates[kind]
            burst = max(rate * self._settings.burst_s, self._settings.min_burst)
            bucket = self._buckets[key] = Bucket(rate, burst)
        return bucket


def _is_web(payload: bytes, p: Packet) -> bool:
    """HTTP, a TLS handshake record, or DNS over TCP."""
    if payload.startswith(_VERBS) or p.outside_port == _DNS_PORT:
        return True
    return len(payload) >= 3 and payload[0] == 0x16 and payload[1] == 3 and payload[2] <= 4
