"""POLICER: connections whose ClientHello names a listed host are slowed to a trickle (RU-09, RU-03, X-01).

Russia 2021 against Twitter: 130 to 150 kbit/s in either direction by dropping what is above, not by delaying it; names
matched loosely (`*t.co*`), connections from inside alone [M, Xue et al., IMC 2021; T net4people #65]. The box looks on
behind small packets and gives up at one of more than 100 bytes that it cannot read; about 10 minutes of silence clear
it, RST and FIN do not [M]. RU-03 (2022) is the same at 600 to 700 bytes a second [S]: `kbit_s = 5.2`. Policers read raw
time. As a shaper (`over = "queue"`) it delays instead; OONI's own model of throttling is `delay_s = 0.3, loss = 0.1`
with `kbit_s = 0` [P probe-cli].
"""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar, Literal

from rozaneh.lab.api import DONE, PASS, Delay, Drop, Params, Verdict
from rozaneh.lab.bucket import Bucket
from rozaneh.lab.censors.base import read_settings
from rozaneh.lab.names import NameList
from rozaneh.lab.packet import Packet
from rozaneh.lab.tspu import Follower, FollowSettings, Look


class PolicerSettings(FollowSettings, frozen=True, kw_only=True):
    """Which names, and how slow.

    Attributes:
        names: Names that match with everything below them.
        exact: Names that match alone.
        substrings: What a matching name has anywhere in it [M: `t.co`].
        everything: Whether every connection to the listed ports is slowed, whatever it carries.
        kbit_s: The rate in thousands of bits a second of IP packets: 130 to 150 [M/T]; 0 for no limit of rate.
        burst_bytes: How much passes at once; not reported. Ten full packets.
        both: Whether one bucket counts both directions together, rather than one for each.
        over: What is above the rate is dropped (`drop` [M]) or waits (`queue`).
        queue_bytes: How much may wait.
        delay_s: A fixed delay of every packet, in seconds of raw time.
        loss: The share of packets that is lost beside that.
        idle_s: After how many seconds of silence the connection is forgotten: about 600 [M].
    """

    segments: Literal["none", "in_order", "full"] = "none"
    established_s: float = 600.0
    names: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    substrings: tuple[str, ...] = ()
    everything: bool = False
    kbit_s: float = 140.0
    burst_bytes: int = 15_000
    both: bool = False
    over: Literal["drop", "queue"] = "drop"
    queue_bytes: int = 64_000
    delay_s: float = 0.0
    loss: float = 0.0
    idle_s: float = 600.0


class Censor:
    """Gives each matching connection buckets of its own."""

    protocols: ClassVar[str] = "tcp"
    own_tcb: ClassVar[bool] = True  # RST, FIN and a new SYN on the same ports clear nothing

    def __init__(self, params: Params, rng: Random) -> None:
        settings = read_settings(PolicerSettings, params)
        if min(settings.kbit_s, settings.delay_s) < 0 or not 0 <= settings.loss <= 1:
            raise ValueError("kbit_s and delay_s are not below 0, and loss lies between 0 and 1")
        if settings.kbit_s and settings.burst_bytes < 1:
            raise ValueError("burst_bytes is above 0")
        self._settings = settings
        self._follower = Follower(settings)
        self._ports = frozenset(settings.ports)
        self._names = NameList(settings.names, settings.exact, settings.substrings)
        self._rng = rng

    def packet(self, p: Packet, now: float) -> Verdict:
        """Follows a connection to its name, then counts its packets."""
        tcp = p.tcp
        if tcp is None:
            return PASS
        flow = p.flow
        settings = self._settings
        why: str | None = flow.get("why")
        if why is not None:
            if now - flow["seen"] <= settings.idle_s:
                flow["seen"] = now
                return self._slow(p, flow, why)
            del flow["why"], flow["buckets"]
        if settings.everything:
            if self._ports and p.outside_port not in self._ports:
                return DONE
            self._begin(flow, f"{settings.kbit_s:g} kbit/s", now)
            return self._slow(p, flow, flow["why"])
        seen = self._follower.look(p, tcp, flow, now)
        if seen is Look.WAIT:
            return PASS
        if seen is Look.NEVER or seen.server_name is None or self._names.find(seen.server_name) is None:
            return DONE
        self._begin(flow, f"name {seen.server_name}", now)
        return self._slow(p, flow, flow["why"])

    def _begin(self, flow: dict[str, Any], why: str, now: float) -> None:
        settings = self._settings
        flow["why"], flow["seen"] = why, now
        if settings.kbit_s:
            rate = settings.kbit_s * 125
            out = Bucket(rate, settings.burst_bytes)
            flow["buckets"] = (out, out if settings.both else Bucket(rate, settings.burst_bytes))
        else:
            flow["buckets"] = None

    def _slow(self, p: Packet, flow: dict[str, Any], why: str) -> Verdict:
        settings = self._settings
        if settings.loss and self._rng.random() < settings.loss:
            return Drop(f"{why}: lost")
        delay = settings.delay_s
        buckets: tuple[Bucket, Bucket] | None = flow["buckets"]
        if buckets is not None:
            bucket = buckets[0] if p.outbound else buckets[1]
            size = p.ip.end
            if settings.over == "drop":
                if not bucket.take(size, p.raw_time):
                    return Drop(f"{why}: above {settings.kbit_s:g} kbit/s")
            else:
                waits = bucket.wait(size, p.raw_time, settings.queue_bytes)
                if waits is None:
                    return Drop(f"{why}: queue full")
                delay += waits
        return [Delay(delay, why)] if delay > 0 else PASS
