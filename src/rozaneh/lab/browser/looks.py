"""The table of what leaves the client beside the browser, as it stands under `docs/evidence`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rozaneh.lab.browser.compare import Side
from rozaneh.lab.browser.sent import Found

SCHEMA = "rozaneh.lab.browser.sent/1"
# The profile that is held against each browser at hand.
PROFILES = {"chromium": "chromium", "firefox": "firefox"}
HEADS = (
    "browser",
    "sent by",
    "hellos a side",
    "JA4 equal",
    "fields that differ",
    "widest difference",
    "HTTP/2 opening",
)


def rows(found: Found) -> list[list[str]]:
    """The table's rows of one browser: its ways, then itself."""
    openings = {one.way: one for one in found.openings}
    made = []
    for name, side in (*found.ways.items(), ("itself (control)", found.control)):
        opening = openings.get(name)
        if opening is None:
            said = "-"
        elif opening.request == "none":
            said = "nothing was said"
        else:
            said = f"{opening.request}: {'equal' if opening.good else '; '.join(opening.differences)}"
        made.append([found.browser, name, str(found.hellos), "yes" if side.ja4_equal else "no", *_fields(side), said])
    return made


def _fields(side: Side) -> list[str]:
    worst = side.worst
    failed = sum(not field.good for field in side.fields)
    return [f"{failed} of {len(side.fields)}", f"{100 * worst.difference:.1f} points ({worst.name})"]


def missed(found: Sequence[Found]) -> list[str]:
    """What should be so and is not."""
    told = []
    for one in found:
        if not one.control.good:
            told.append(f"{one.browser} differs from itself: nothing was shown")
        told += [f"{one.browser}: {name} differs" for name, side in one.ways.items() if not side.good]
        told += [f"{one.browser}: {o.way} opens HTTP/2 in another way" for o in one.openings if not o.good]
    return told


def content(found: Sequence[Found], machine: Mapping[str, str], seconds: float) -> dict[str, Any]:
    """The run as plain data, without its schema."""
    return {
        "ok": not missed(found),
        "missed": missed(found),
        "seconds": round(seconds),
        "machine": dict(machine),
        "browsers": [one.as_json() for one in found],
    }


def markdown(
    found: Sequence[Found],
    profiles: Mapping[str, str],
    machine: Mapping[str, str],
    seconds: float,
    *,
    day: str,
    command: str,
) -> str:
    """The page."""
    versions = "; ".join(
        f"{one.browser} {one.version} beside profile `{one.profile}` of {profiles[one.profile]}" for one in found
    )
    lines = [
        f"# Looks on the wire, {day}",
        "",
        f"Made by `{command}` in {seconds / 60:.0f} minutes on {machine['machine']}. {versions}.",
        "",
        _line(HEADS),
        _line(["---"] * len(HEADS)),
        *(_line(row) for one in found for row in rows(one)),
        "",
        *(f"- **Not as it must be**: {one}." for one in missed(found)),
        "",
        "## What was measured",
        "",
        "- The hellos are those the engine sends when it dials a way made from its line as `rozaneh connect` makes it; "
        "each way has a name of its own, and a listener on loopback takes what comes. Those of `h2+reality` carry a "
        "sealed session id.",
        "- JA4 of every hello, and the frequency of every field's values, positions, lengths and first bits included: "
        f"{found[0].rule if found else ''}. The browser's hellos come from the same run; half of them against the "
        "other half is the control.",
        "- HTTP/2: settings, window update, first stream, priority and the cut into records, as a server with the key "
        "of the certificate reads them. A `GET` is what REALITY's client says to a cover, compared with the browser's "
        "down to the order of its header fields; a `CONNECT` is what it says to an edge: no page's request has its "
        "header fields.",
        "",
        "## What is not shown",
        "",
        "- Hellos that resume a session, second hellos after a HelloRetryRequest, and what follows the first request.",
        "- TCP and IP below: the client's machine is the reader's own.",
        "- Browsers of other systems and versions: the profile is held against the one on this machine.",
        "",
    ]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
