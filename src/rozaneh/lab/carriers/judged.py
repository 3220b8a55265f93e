"""What the judges say of each subject's carriers, and whether the run shows what it must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rozaneh.lab import judges
from rozaneh.lab.carriers import plan, play
from rozaneh.lab.carriers.play import Played
from rozaneh.lab.carriers.shortened import shorten
from rozaneh.lab.judges import Flagged, Judgement
from rozaneh.lab.judges.base import Rate

# Whose word decides, and whose is shown beside it.
DECIDES = "ndpi"
BESIDE = ("ml01", "ml02", "ml07", "ml08")
# A control counts as flagged when at least this share of its flows is.
CONTROL_SHARE = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One subject: what was played, and each judge's word on it.

    Attributes:
        played: What was played.
        judgements: Of the capture as it is, the deciding judge's first.
        shortened: The deciding judge's word on the capture with every outer handshake cut short (`shortened`).
        wanted: How many of a way's carriers it must have judged.
    """

    played: Played
    judgements: tuple[Judgement, ...]
    shortened: Judgement
    wanted: int

    @property
    def role(self) -> str:
        """`way`, `control` or `benign`."""
        if self.played.subject == plan.DIRECT:
            return "benign"
        return "control" if self.played.subject in plan.CONTROLS else "way"

    @property
    def rate(self) -> Rate:
        """Flows the deciding judge flagged, of those it could judge."""
        return self.judgements[0].flows

    @property
    def missed(self) -> str:
        """What this row should show and does not; empty when it does."""
        name, rate = self.played.subject, self.rate
        if self.role == "way" and (flagged := rate.flagged + self.shortened.flows.flagged):
            return f"{name}: {flagged} of {rate.of} carriers were flagged"
        if self.role == "way" and rate.of < self.wanted:
            return f"{name}: only {rate.of} of {self.wanted} carriers were seen by the judge"
        if self.role == "control" and (rate.share or 0.0) < CONTROL_SHARE:
            return f"{name}: only {rate.flagged} of {rate.of} flows of a known tunnel were flagged"
        return ""

    def as_json(self) -> dict[str, Any]:
        """Plain data; of the flows that were flagged what they were taken for."""
        return {
            "subject": self.played.subject,
            "role": self.role,
            "ok": not self.missed,
            "carriers": self.played.carriers,
            "fetches": self.played.fetches,
            "addresses": len(self.played.addresses),
            "versions": dict(self.played.versions),
            "chains": dict(self.played.chains),
            "judges": {
                one.judge: {**one.flows.as_json(), "basis": one.basis, "version": one.version or None}
                for one in self.judgements
            },
            "handshake_shortened": self.shortened.flows.as_json(),
        }


def run(
    counts: dict[str, int], folder: Path, say: Say = lambda _: None, *, beside: Sequence[str] = BESIDE, seed: int = 0
) -> list[Row]:
    """Plays and judges so many carriers of each subject; captures stay below `folder`."""
    rows = []
    for name, count in counts.items():
        say(f"{name}: {count} carriers")
        place = folder / name
        played = play.play(name, plan.carriers(count + _spare(count)), place, say, seed=seed)
        rows.append(judge(played, place / "reader-side.pcap", count, beside))
        rate, short = rows[-1].rate, rows[-1].shortened.flows
        say(f"{name}: {rate.flagged} of {rate.of} flagged, {short.flagged} with the handshake shortened")
    return rows


def _spare(count: int) -> int:
    """How many carriers more are played: nDPI takes two connections between the same ports for one.

    Among n of them to one address with 28,232 ports to come from (net.ipv4.ip_local_port_range) that happens n²/56,464
    times: once or twice in 500 over four addresses.
    """
    return 1 + count // 50


def judge(played: Played, capture: Path, wanted: int, beside: Sequence[str] = BESIDE) -> Row:
    """The judges' word on one capture."""

    def mine(flow: Flagged) -> bool:
        return flow.flow.startswith("tcp") and flow.host.rpartition(":")[0].strip("[]") in played.addresses

    found = tuple(judges.run(name, capture, wanted=mine) for name in (DECIDES, *beside))
    short = shorten(capture, capture.with_name("shortened.pcap"))
    return Row(played, found, judges.run(DECIDES, short, wanted=mine), wanted)
