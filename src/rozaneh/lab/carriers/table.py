"""The table of a run as it stands under `docs/evidence`: what was measured, on what, and what it does not show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rozaneh.lab.carriers import plan, play
from rozaneh.lab.carriers.judged import BESIDE, DECIDES, Row
from rozaneh.lab.judges.base import Rate

SCHEMA = "rozaneh.lab.carriers/1"
_ROLES = {"way": "our way", "control": "known tunnel", "benign": "nothing in between"}


def content(rows: Sequence[Row], machine: dict[str, str], seconds: float) -> dict[str, Any]:
    """The run as plain data, without its schema."""
    return {
        "ok": not any(row.missed for row in rows),
        "missed": [row.missed for row in rows if row.missed],
        "seconds": round(seconds),
        "round_trip_ms": play.ROUND_TRIP_MS,
        "machine": machine,
        "rows": [row.as_json() for row in rows],
    }


def cells(row: Row) -> list[str]:
    """One row of the table."""
    beside = {one.judge: one.flows for one in row.judgements}
    return [
        row.played.subject,
        _ROLES[row.role],
        f"{row.played.carriers}, {row.played.fetches}",
        _rate(row.rate),
        _interval(row.rate),
        _rate(row.shortened.flows),
        *(_rate(beside[name]) for name in BESIDE if name in beside),
    ]


def heads(rows: Sequence[Row]) -> list[str]:
    """The table's heads."""
    beside = [one.judge for one in rows[0].judgements[1:]] if rows else []
    return ["subject", "what", "carriers, fetches", "nDPI 5", "95 %", "nDPI, handshake shortened", *beside]


def markdown(rows: Sequence[Row], machine: dict[str, str], seconds: float, *, day: str, command: str) -> str:
    """The page."""
    lines = [
        f"# Carriers under nDPI 5, {day}",
        "",
        f"Made by `{command}` in {seconds / 60:.0f} minutes on {machine['machine']}.",
        "",
        _line(heads(rows)),
        _line(["---"] * len(heads(rows))),
        *(_line(cells(row)) for row in rows),
        "",
        *(f"- **Not shown as it must be**: {row.missed}." for row in rows if row.missed),
        "",
        "## What was measured",
        "",
        "- Each carrier is a fresh client program's. Two pages of two sites are fetched through it, by curl or by "
        f"Chromium (in turn), each with a TLS handshake inside. {len(plan.PLACES)} edge addresses, a round trip of "
        f"{play.ROUND_TRIP_MS:g} ms, MTU 1,500, no segmentation offload; the capture is the censor's.",
        f"- Certificate chains: {_chains(rows)}.",
        f"- Judges: {_versions(rows)}. The columns ml01 to ml08 are the lab's own rewritings of published detectors, "
        "fitted on the lab's corpus; they are shown, and decide nothing.",
        "- Known tunnels and plain browsing went through the same world, pages and judges in the same run.",
        "",
        "## What is not shown",
        "",
        "- nDPI's heuristic compares four bursts behind the outer handshake, and only when the server's part of that "
        "handshake is one packet. With a longer certificate, or a post-quantum ServerHello, it flags nothing at all, "
        "REALITY with Vision included. So the server here has a small certificate, and the column *handshake "
        "shortened* asks nDPI about the same capture without the rest of the server's first flight.",
        f"- One detector ({DECIDES}) with the limits of its version: it sees some 25 packets of a flow.",
        "- Two pages a carrier: long browsing, uploads and calls were not judged.",
        "- What hides the handshake is seen elsewhere: a carrier's first flights upwards are filled to more packets "
        "than the heuristic takes for a hello (crates/transport, driver/manners.rs), and no judge here looks at how "
        "much a page's visitor sends.",
        "",
    ]
    return "\n".join(lines)


def _line(cells_: Sequence[str]) -> str:
    return f"| {' | '.join(cells_)} |"


def _rate(rate: Rate) -> str:
    return f"{rate.flagged} of {rate.of}"


def _interval(rate: Rate) -> str:
    low, high = rate.interval
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def _chains(rows: Sequence[Row]) -> str:
    known = {name: size for row in rows for name, size in row.played.chains.items()}
    return ", ".join(f"{name} {size:,} B" for name, size in known.items())


def _versions(rows: Sequence[Row]) -> str:
    known = {name: version for row in rows for name, version in row.played.versions.items()}
    judges = {one.version for row in rows for one in row.judgements if one.version}
    return "; ".join([*sorted(judges), *(f"{name} {version}" for name, version in sorted(known.items()))])
