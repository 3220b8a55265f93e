"""What a name filter does once it has found what it looks for: drop, reset, show a page, and remember whom it met.

A rule makes one `Strike` with its settings, asks `standing` about each packet first (what an earlier match means for
it; None: nothing), and calls `hit` on a match. Drops need a place in the path; resets and pages do not (E3, E4).
"""

from __future__ import annotations

from random import Random
from typing import Literal

from rozaneh.lab.api import PASS, Action, Drop, Inject, Verdict
from rozaneh.lab.censors.base import reply
from rozaneh.lab.packet import ACK, FIN, PSH, RST, Packet
from rozaneh.lab.resets import Reset, answer, draw, named
from rozaneh.lab.residual import Key, Residual
from rozaneh.lab.watch import WatchSettings

Side = Literal["client", "server", "both"]


class StrikeSettings(WatchSettings, frozen=True, kw_only=True):
    """What a match brings, beside how it is found.

    Attributes:
        drop: What is dropped from the match on: nothing, the packet that matched, or the packets of one end or both.
        drop_after: How many more packets of the connection pass before drops begin (of either end).
        resets: Names of known resets, or resets field by field.
        one_injector: Whether one of `resets` acts, drawn by weight, or all of them.
        reliability: The chance that a match has any consequence (CN-02: about a half on some paths [C WOOT'21]).
        arm_s: How long after a match drops and the residual begin to work (CN-03: a second at least).
        residual_s: For how long others with the same key meet the same; 0 for not at all.
        residual_key: Which packets are the same.
        residual_restarts: Whether each packet that the residual meets begins its time again.
        residual_renews: Whether another match begins its time again.
        residual_p: The chance that a later connection meets it, drawn once a connection (CN-02 HTTP: 50-75 %).
        residual_does: What meets later packets: they are dropped (`drop`'s ends, both where it names none), or reset.
        ban_s: For how long all packets of the reader's address are dropped after a match (CN-10 [T #248]); 0: never.
    """

    drop: Literal["none", "trigger", "client", "server", "both"] = "none"
    drop_after: int = 0
    resets: tuple[str | Reset, ...] = ()
    one_injector: bool = False
    reliability: float = 1.0
    arm_s: float = 0.0
    residual_s: float = 0.0
    residual_key: Key = "4-tuple"
    residual_restarts: bool = False
    residual_renews: bool = True
    residual_p: float = 1.0
    residual_does: Literal["drop", "reset"] = "drop"
    ban_s: float = 0.0


class Struck:
    """What a rule remembers of a flow it struck: when its drops begin, and how many packets still pass."""

    __slots__ = ("armed", "passes", "why")

    def __init__(self, armed: float, passes: int, why: str) -> None:
        self.armed = armed
        self.passes = passes
        self.why = why


class Strike:
    """The consequences of one rule's matches. Keeps its marks in the rule's own `p.flow`."""

    def __init__(self, settings: StrikeSettings, rng: Random) -> None:
        for name in ("reliability", "residual_p"):
            if not 0 <= getattr(settings, name) <= 1:
                raise ValueError(f"{name} is a chance between 0 and 1, not {getattr(settings, name)}")
        self._settings = settings
        self._rng = rng
        self._resets = named(settings.resets)
        if settings.residual_does == "reset" and not self._resets:
            raise ValueError("residual_does = 'reset' needs resets")
        self.residual = Residual(settings.residual_s, settings.residual_key, restarts=settings.residual_restarts)
        self._arming = Residual(settings.arm_s, settings.residual_key)
        self._bans = Residual(settings.ban_s, "destination")
        self.wide = bool(settings.ban_s) or (
            settings.residual_s > 0 and settings.residual_key not in ("4-tuple", "5-tuple")
        )

    def standing(self, p: Packet, now: float) -> Verdict | None:
        """What earlier matches mean for this packet; None when they mean nothing."""
        if len(self._bans) and self._bans.hit(p.inside_bytes, now):
            return Drop("all traffic of a banned reader")
        settings = self._settings
        if len(self.residual) and self.residual.hit(p, now) and not self._arming.hit(p, now):
            return self._residual(p)
        struck = p.flow.get("struck")
        if struck is None or settings.residual_s or now < struck.armed:
            return None
        if struck.passes:
            struck.passes -= 1
            return None
        return Drop(struck.why) if self._drops(p) else None

    def hit(self, p: Packet, now: float, why: str, *, page: bytes = b"", resets: bool = True) -> Verdict:
        """A match in `p`: what happens to it, and what is sent. `page` goes to the client in the server's name."""
        settings = self._settings
        tcp = p.tcp
        if tcp is None or (settings.reliability < 1 and self._rng.random() >= settings.reliability):
            return PASS
        p.flow["struck"] = Struck(now + settings.arm_s, settings.drop_after, why)
        if settings.residual_renews or not self.residual.hit(p, now):
            self.residual.add(p, now)
            self._arming.add(p, now)
        if settings.ban_s:
            self._bans.add(p.inside_bytes, now)
        acts: list[Action] = []
        stopped = settings.drop != "none" and not settings.drop_after and not settings.arm_s
        stopped = stopped and (settings.drop == "trigger" or self._drops(p))
        if stopped:
            acts.append(Drop(why))
        if page:
            acts.append(self._page(p, page, why))
        if resets:
            chosen = draw(self._resets, self._rng) if settings.one_injector else self._resets
            acts += answer(p, tcp, chosen, self._rng, why, outbound=p.inside_first, stopped=stopped)
        return acts or PASS

    def _residual(self, p: Packet) -> Verdict | None:
        settings = self._settings
        flow = p.flow
        struck = flow.get("struck")
        if struck is None:
            spared = flow.get("spared")
            if spared is None:
                spared = flow["spared"] = settings.residual_p < 1 and self._rng.random() >= settings.residual_p
            if spared:
                return None
        elif struck.passes:
            struck.passes -= 1
            return None
        why = f"residual {settings.residual_key}"
        if settings.residual_does == "drop":
            return Drop(why) if settings.drop in ("none", "trigger") or self._drops(p) else None
        tcp = p.tcp
        if tcp is None or tcp.flags & RST:
            return None
        chosen = draw(self._resets, self._rng) if settings.one_injector else self._resets
        return answer(p, tcp, chosen, self._rng, why, outbound=p.inside_first)

    def _drops(self, p: Packet) -> bool:
        drop = self._settings.drop
        return drop == "both" or ((drop == "client") == (p.outbound == p.inside_first) and drop in ("client", "server"))

    def _page(self, p: Packet, page: bytes, why: str) -> Inject:
        tcp = p.tcp
        assert tcp is not None  # noqa: S101 - `hit` looked
        return reply(
            p,
            tcp,
            FIN | PSH | ACK,  # one packet, page and end [C Bock USENIX'21 table 4]
            ack=tcp.seq + len(p.payload),
            window=2_000,
            payload=page,
            ident=self._rng.randrange(1 << 16),  # random IPID [T #226]
            why=why,
        )
