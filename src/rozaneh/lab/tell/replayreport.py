"""What replays came to, as plain data and as a table for `docs/evidence`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rozaneh.lab.tell.replays import Replayed
from rozaneh.lab.tell.report import machine

SCHEMA = "rozaneh.lab.replays/1"
_NOT_SHOWN = (
    "Power loss: the machine stays up, so what the kernel had taken of the filter is there afterwards. That is tested "
    "with a disk that fails (crates/transport, `reality::seen`).",
    "A client whose clock runs ahead of the edge's when the filter is lost: until the edge's clock is there, a "
    "flight of it can be answered once more (docs/threat-model).",
    "How often an end is a reset rather than orderly: that is a race between a server that closes and the record sent "
    "behind its answer. Bare, the cover loses it more often than behind an edge and a tap (the kinds below a table); "
    "whether that can be used is what the classifiers of `rozaneh lab tell` try, without a tap.",
    "Times of answers: `rozaneh lab tell` compares those.",
)
_HEAD = ("sent", "replays", "accepted", "the cover's own ServerHello", "kinds of answers", "a reader afterwards")


def content(found: Sequence[Replayed], seed: int) -> dict[str, Any]:
    """The outcome as plain data."""
    return {
        "schema": SCHEMA,
        **machine(),
        "seed": seed,
        "ways": [
            {
                "way": one.way,
                "sent": one.sent,
                "accepted": one.accepted,
                "kinds_the_cover_does_not_give": one.strange,
                "kinds_of_the_bare_cover": one.bare,
                "fresh_flights": {"accepted": one.fresh[0], "sent": one.fresh[1]},
                "clock": one.clock,
                "skipped": one.skipped,
                "phases": [dataclasses.asdict(phase) for phase in one.phases],
            }
            for one in found
        ],
    }


def markdown(found: Mapping[str, Any], command: str) -> str:
    """The tables, from the plain data."""
    lines = [
        "# What becomes of first flights that are sent again?",
        "",
        f"{found['date']}, kernel {found['kernel']}, {found['processors']} processors, rozaneh {found['rozaneh']}. "
        f"Made by `{command}` (seed {found['seed']}); all numbers are in the JSON file beside this one.",
        "",
        "Between the reader's client and the edge stands a recorder, between the edge and its cover (nginx) a tap. For "
        "each line real clients' visits are recorded first, then sent again in turn: what the client said before the "
        "first answer, or all that it said. A replay is accepted when the ServerHello, which has the key share, is not "
        "one the cover sent; for `h2+tls`, whose server answers every hello by itself, when the edge counts a use of "
        "an account. Kinds of answers are the end, when, and the lengths of records; “the "
        "cover's” means that the bare cover gives the same kinds to the same bytes. `300 s` pass by the wall clock "
        "of the edge's process alone (libfaketime).",
        "",
    ]
    for one in found["ways"]:
        lines += _way(one)
    lines += ["## Not shown", "", *(f"- {text}" for text in _NOT_SHOWN), ""]
    return "\n".join(lines) + "\n"


def _way(one: Mapping[str, Any]) -> list[str]:
    lines = [f"## {one['way']}: {one['accepted']} of {one['sent']:,} accepted", ""]
    lines += [f"| {' | '.join(_HEAD)} |", "|---" * len(_HEAD) + "|"]
    known = set(one["kinds_of_the_bare_cover"])
    for phase in one["phases"]:
        strange = sorted(set(phase["classes"]) - known)
        kinds = f"{len(phase['classes'])}, the cover's" if not strange else "**" + "; ".join(strange) + "**"
        own = str(phase["same_hello"]) if one["way"] != "h2+tls" else "-"
        cells = [phase["name"], f"{phase['sent']:,}", str(phase["accepted"]), own, kinds, phase["reader"] or "-"]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    fresh = one["fresh_flights"]
    if fresh["sent"]:
        lines.append(f"Control: of {fresh['sent']} flights that never arrived, {fresh['accepted']} were accepted.")
    if one["clock"]:
        said = ", ".join(f"{who}: `{stage}`" for who, stage in one["clock"].items())
        lines.append(f"Control: with the edge's clock moved, readers' visits end so: {said}.")
    lines += [f"Not done: {name} ({why})." for name, why in one["skipped"].items()]
    lines += [
        "",
        "Kinds of the bare cover's answers: "
        + "; ".join(f"{n} of {kind}" for kind, n in one["kinds_of_the_bare_cover"].items()),
        "",
    ]
    return lines
