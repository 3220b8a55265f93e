"""Who speaks behind a silent port: the decision trees of NDSS'20 (figures 3 to 8), as data and one evaluator.

A server that answers any probe with data is none of the proxies (first layer of every tree). Below that each tree is a
list of branches: these probes must be met with this kind of end in this span of seconds, all others with that one.
The empty probe has no bytes that could pass a threshold, so it stands with the short probes in the OSSH tree, where the
paper's figure does not name it. The probes of sizes the paper does not publish follow their length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from rozaneh.lab.prober.attempt import Kind, Reaction
from rozaneh.lab.prober.probes import NAMES

# "Immediately" is under two seconds in all figures [P].
_AT_ONCE = 2.0


@dataclass(frozen=True, slots=True)
class Branch:
    """These probes must all end this way, at `least` seconds or later and before `under`."""

    probes: tuple[str, ...]
    end: Kind
    least: float = 0.0
    under: float = inf

    def met(self, reactions: Mapping[str, Reaction]) -> str:
        """Empty when all probes ended so, else the first that did not and how it ended."""
        for name in self.probes:
            seen = reactions.get(name)
            if seen is None:
                return f"{name} was not sent"
            if seen.kind != self.end or not self.least <= seen.seconds < self.under:
                return f"{name}: {seen.short()}"
        return ""


@dataclass(frozen=True, slots=True)
class Tree:
    """One proxy's tree; its branches together name every probe once."""

    name: str
    figure: str
    branches: tuple[Branch, ...]

    def decide(self, reactions: Mapping[str, Reaction]) -> str:
        """Empty when the reactions are this proxy's, else what speaks against it."""
        for name in NAMES:
            seen = reactions.get(name)
            if seen is not None and seen.kind == "data":
                return f"{name} was answered"
        return next((against for branch in self.branches if (against := branch.met(reactions))), "")


def _but(*names: str) -> tuple[str, ...]:
    return tuple(name for name in NAMES if name not in names)


_UNDER_24 = ("empty", "s7", "stun", "modbus", "rand-23")
# Figures 6 and 7: what is longer than the 50 bytes Shadowsocks reads first.
_OVER_50 = ("tls", "http", "dns-axfr", "rand-51", "rand-255", "rand-7k", "rand-17k")

TREES = (
    Tree(
        "obfs4",
        "figure 3",
        (Branch(("rand-17k",), "rst", under=_AT_ONCE), Branch(_but("rand-17k"), "fin", 30, 90)),
    ),
    Tree("ossh", "figure 4", (Branch(_UNDER_24, "fin", 30), Branch(_but(*_UNDER_24), "rst", under=_AT_ONCE))),
    Tree(
        "lampshade",
        "figure 5",
        (
            Branch(("rand-7k", "rand-17k"), "rst", under=_AT_ONCE),
            Branch(_but("rand-7k", "rand-17k"), "fin", 90),
        ),
    ),
    Tree(
        "shadowsocks-python",
        "figure 6",
        (Branch(_OVER_50, "fin", under=_AT_ONCE), Branch(_but(*_OVER_50), "timeout")),
    ),
    Tree(
        "shadowsocks-outline",
        "figure 7",
        (Branch(_OVER_50, "rst", under=_AT_ONCE), Branch(_but(*_OVER_50), "timeout")),
    ),
    Tree("mtproto", "figure 8", (Branch(NAMES, "timeout"),)),
)


def identify(reactions: Mapping[str, Reaction]) -> list[str]:
    """The trees these reactions satisfy; with all thirteen probes there is never more than one."""
    return [tree.name for tree in TREES if not tree.decide(reactions)]


def against(reactions: Mapping[str, Reaction]) -> dict[str, str]:
    """For each tree what speaks against it (empty: nothing does)."""
    return {tree.name: tree.decide(reactions) for tree in TREES}
