"""A trial's outcome as plain data and as a table for `docs/evidence`."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rozaneh import __version__
from rozaneh.lab.tell.statistics import Times
from rozaneh.lab.tell.trial import Outcome, Size, Told
from rozaneh.lab.tell.verdict import JITTER_S, LIMIT, Comparison, Difference, Share

SCHEMA = "rozaneh.lab.tell/1"
# Differences shown in full; all are counted.
_SHOWN = 12
_NOT_SHOWN = (
    "A prober on a neighbouring machine: the column “beside” has every microsecond, and where a program is between "
    "prober and cover, that shows there. What line hides it is an assumption (see the jitter), not a measurement.",
    "A prober who asks the same thing thousands of times and averages: the hop is a third of a millisecond here. To "
    "use it he must know what this very server takes without it, from as near.",
    "A cover on another machine: these stand on their edges' own loopback. A distant one adds its distance to every "
    "answer.",
    "Where segments begin and end, and what the kernels of edge and cover say of themselves: here they are one.",
    "Loss, reordering, and networks other than a cable between two namespaces.",
    "Several machines at once: everything ran on the processors named above, and the busier they were, the more all "
    "times vary, those of controls as much as those of subjects.",
)
_HEAD = (
    "servers",
    "role",
    "told right",
    "beside",
    "differ every time",
    "closing when silent: medians, p",
    "closing at once: medians, p",
    "as it must",
)


def machine() -> dict[str, Any]:
    """Where and when it was measured."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "load": [round(one, 1) for one in os.getloadavg()],
        "python": platform.python_version(),
        "rozaneh": __version__,
    }


def content(outcome: Outcome, size: Size, seed: int) -> dict[str, Any]:
    """The outcome as plain data."""
    return {
        "schema": SCHEMA,
        **machine(),
        "versions": outcome.versions,
        "seed": seed,
        "rounds": size.rounds,
        "observed_s": size.observe,
        "patience_s": size.patience,
        "jitter_s": JITTER_S,
        "limit": LIMIT,
        "probes": outcome.probes,
        "visits": outcome.visits,
        "as_it_must": all(one.as_it_must for one in outcome.told),
        "pairs": [_told(one) for one in outcome.told],
    }


def _told(one: Told) -> dict[str, Any]:
    found: dict[str, Any] = {
        "set": one.set_name,
        "about": one.pair.about,
        "role": one.pair.role,
        "as_it_must": one.as_it_must,
        "told_by": one.why_told(),
        "from_afar": _comparison(one.afar),
        "from_beside": _comparison(one.beside),
        "by_line": [{"jitter_s": jitter, **_share(share)} for jitter, share in one.lines],
        "differences": _differences(one.tells),
        "intercepted": None,
    }
    if one.intercepted:
        compared, tells = one.intercepted
        found["intercepted"] = {**_comparison(compared), "differences": _differences(tells)}
    return found


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "probes": found.probes,
        "rounds": found.rounds,
        "accuracy": {name: _share(share) for name, share in found.by.items()},
        "families": {name: _share(share) for name, share in found.families.items()},
        "closing_when_silent": _times(found.patience),
        "closing_at_once": _times(found.quick),
        "first_byte": _times(found.first),
    }


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {
        "right": share.hits,
        "of": share.of,
        "share": round(share.accuracy, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def _times(found: Times) -> dict[str, Any]:
    return {
        "n": list(found.n),
        "medians_s": [None if math.isnan(one) else round(one, 6) for one in found.medians],
        "distance": round(found.distance, 4),
        "p": float(f"{found.p:.3g}"),
    }


def _differences(found: Sequence[Difference]) -> dict[str, Any]:
    return {
        "count": len(found),
        "shown": [{"probe": one.probe, "here": one.here, "there": one.there} for one in found[:_SHOWN]],
    }


def markdown(found: Mapping[str, Any], command: str) -> str:
    """The table, from the plain data."""
    lines = [
        "# Can a prober tell an edge from its bare cover?",
        "",
        f"{found['date']}, kernel {found['kernel']}, {found['processors']} processors, rozaneh {found['rozaneh']}; "
        + "; ".join(f"{name}: {version}" for name, version in sorted(found["versions"].items()))
        + f". Made by `{command}` (seed {found['seed']}); all numbers are in the JSON file beside this one.",
        "",
        f"{sum(found['probes'].values()):,} probes in {len(found['probes'])} sets "
        f"({', '.join(f'{name} {count:,}' for name, count in found['probes'].items())}), {found['rounds']} rounds, "
        f"{found['visits']:,} connections, each watched for {found['observed_s']:g} s. Every server stands on a "
        "machine of its own at port 443 with the same certificate and files.",
        "",
        "A forest of random trees and a nearest neighbour learn from all rounds but one and are asked about that one; "
        "the table has the better of the two, with its 95 % interval. Times vary by "
        f"{found['jitter_s'] * 1000:g} ms as on a line from abroad; “beside” is the same without. “Differ every time” "
        "counts probes whose answers had nothing in common in all rounds and in six more.",
        "",
        f"| {' | '.join(_HEAD)} |",
        "|---" * len(_HEAD) + "|",
    ]
    for one in found["pairs"]:
        lines.append(_line(one["about"], one["role"], one["from_afar"], one["from_beside"], one["differences"], one))
        if one["intercepted"]:
            other = one["intercepted"]
            lines.append(
                _line(one["about"] + ", intercepted flights", one["role"], other, None, other["differences"], one)
            )
    lines += ["", f"The limit for subjects and controls is {found['limit']:.0%}.", ""]
    lines += _by_line(found["pairs"])
    for one in found["pairs"]:
        lines += _details(one)
    lines += ["## Not shown", "", *(f"- {text}" for text in _NOT_SHOWN), ""]
    return "\n".join(lines) + "\n"


def _by_line(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    """How much a line must vary until the hop behind an edge does not show."""
    measured = [one for one in pairs if one["by_line"]]
    if not measured:
        return []
    head = [f"{each['jitter_s'] * 1000:g} ms" for each in measured[0]["by_line"]]
    lines = ["## On lines that vary less", "", f"| servers | {' | '.join(head)} | not at all |"]
    lines.append("|---" * (len(head) + 2) + "|")
    for one in measured:
        cells = [f"{each['share']:.1%}" for each in one["by_line"]]
        lines.append(f"| {one['about']} | {' | '.join(cells)} | {_best(one['from_beside']).partition(' ')[0]} |")
    return [*lines, ""]


def _line(
    about: str,
    role: str,
    afar: Mapping[str, Any],
    beside: Mapping[str, Any] | None,
    differences: Mapping[str, Any],
    one: Mapping[str, Any],
) -> str:
    cells = [
        about,
        role,
        _best(afar),
        _best(beside) if beside else "",
        str(differences["count"]),
        _when(afar["closing_when_silent"]),
        _when(afar["closing_at_once"]),
        "" if role == "note" else "yes" if one["as_it_must"] else "**no**",
    ]
    return "| " + " | ".join(cells) + " |"


def _best(compared: Mapping[str, Any]) -> str:
    best = max(compared["accuracy"].values(), key=lambda share: float(share["share"]))
    return f"{best['share']:.1%} ({best['low']:.1%} to {best['high']:.1%})"


def _when(found: Mapping[str, Any]) -> str:
    one, two = found["medians_s"]
    if one is None or two is None:
        return "none closed"
    return f"{one:.3f} and {two:.3f} s, {found['p']:.2g}"


def _details(one: Mapping[str, Any]) -> list[str]:
    shown = [("", one["differences"])]
    if one["intercepted"]:
        shown.append((", intercepted flights", one["intercepted"]["differences"]))
    lines = []
    for what, found in shown:
        if not found["count"]:
            continue
        lines += [f"## {one['about']}{what}: {found['count']} answers that differ every time", ""]
        lines += ["| probe | here | there |", "|---|---|---|"]
        lines += [f"| {each['probe']} | {each['here']} | {each['there']} |" for each in found["shown"]]
        lines.append("")
    return [line.replace("\x00", "") for line in lines]
