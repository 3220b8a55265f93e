"""The page a person reads: one HTML file without scripts and without anything from elsewhere.

The matrix links to each cell's details further down; a browser opens the `details` a link leads into. Everything that
comes from a run is escaped. The page stays under a megabyte: timelines give up rows until it does.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rozaneh.lab.report import style, timeline
from rozaneh.lab.reportjson import ControlRow, Detail, JudgeRow, Run
from rozaneh.lab.verdict import VERDICTS, interval

LIMIT = 1_000_000  # bytes; of the specification: a page under 1 MB

# A letter for narrow places, and what the word means.
WORDS = {
    "works": ("W", "every trial came through whole"),
    "blocked": ("B", "no trial came through, and the censor was seen acting on it"),
    "degraded": ("D", "some trials came through, or bytes still moved when the time was over"),
    "lab_invalid": ("L", "the controls were not met, so this cell says nothing"),
    "not_run": ("N", "something it needs is missing here"),
    "error": ("E", "it failed, and no rule explains it: a mistake of the lab or of the subject"),
}


def save(run: Run, folder: Path) -> Path:
    """Writes `index.html` in one step and returns its path."""
    temporary, page = folder / ".index.html", folder / "index.html"
    temporary.write_text(build(run), encoding="utf-8")
    temporary.replace(page)
    return page


def build(run: Run, limit: int = LIMIT) -> str:
    """The whole page; with fewer rows a timeline where it would pass `limit` bytes."""
    for rows in range(timeline.ROWS, -1, -1):
        text = _page(run, rows)
        if len(text.encode()) < limit:
            break
    return text


def _page(run: Run, rows: int) -> str:
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            "<title>Censor lab report</title>",
            '<link rel="icon" href="data:,">',
            f"<style>{style.sheet()}</style></head><body>",
            *_head(run),
            *_matrix(run),
            *_controls(run.controls),
            *_judges(run),
            *_details(run, rows),
            *_versions(run),
            "</body></html>\n",
        ]
    )


def _(text: object) -> str:
    return html.escape(str(text), quote=True)


def _head(run: Run) -> Iterable[str]:
    counts = Counter(detail.cell.verdict for detail in run.cells)
    yield "<header><h1>Censor lab report</h1>"
    yield (
        f"<p>{len(run.cells)} cells, made {_(run.made)}; {run.trials} trials a cell, seed {run.seed}."
        " A cell is one tool behind one censor, both real programs in a network of this machine's own.</p>"
    )
    yield '<ul class="key">'
    for verdict in VERDICTS:
        _letter, meaning = WORDS[verdict]
        yield f'<li class="{verdict}"><b>{counts[verdict]} {_shown(verdict)}</b><small>{meaning}</small></li>'
    yield "</ul></header>"


def _shown(verdict: str) -> str:
    letter, _meaning = WORDS[verdict]
    return f"{letter} {verdict.replace('_', ' ')}"


def _columns(run: Run) -> list[str]:
    return list(dict.fromkeys(detail.cell.subject for detail in run.cells))


def _matrix(run: Run) -> Iterable[str]:
    subjects = _columns(run)
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for number, detail in enumerate(run.cells):
        rows.setdefault((detail.cell.profile, detail.variant), {})[detail.cell.subject] = number
    yield '<main><h2 id="matrix-head">Censors and tools</h2>'
    yield '<p class="faint">Choose a cell to see what was done to its packets.</p>'
    yield '<div class="box" tabindex="0" role="region" aria-labelledby="matrix-head"><table id="matrix"><thead><tr>'
    yield "<th scope=col>censor" + "".join(f"<th scope=col>{_(subject)}" for subject in subjects) + "</thead><tbody>"
    for (profile, variant), found in rows.items():
        name = _(profile) + (f'<br><span class="faint">{_(variant)}</span>' if variant else "")
        cells = "".join(_square(run, found.get(subject)) for subject in subjects)
        yield f"<tr><th scope=row>{name}{cells}"
    yield "</tbody></table></div>"


def _square(run: Run, number: int | None) -> str:
    if number is None:
        return "<td>"
    cell, acts = run.cells[number].cell, run.cells[number].acts
    # A rule's id is short; words are in the cell's details.
    note = _(cell.cause) if cell.cause in acts else f"{cell.bytes_ok} of {cell.trials}" if cell.trials else ""
    return f'<td class="{cell.verdict}"><a href="#c{number}">{_shown(cell.verdict)}<small>{note}</small></a>'


def _controls(controls: Sequence[ControlRow]) -> Iterable[str]:
    if not controls:
        return
    yield '<h2 id="controls-head">Controls</h2>'
    yield "<p>What a censor must block and what it must leave open, tried in the same run. A censor whose controls"
    yield "are not met proves nothing.</p>"
    yield '<div class="box" tabindex="0" role="region" aria-labelledby="controls-head"><table><thead><tr>'
    yield "<th scope=col>censor<th scope=col>control<th scope=col>tried<th scope=col>hits<th scope=col>expected"
    yield "<th scope=col>99 % interval<th scope=col>met</thead><tbody>"
    for row in controls:
        one = row.control
        what = f"{one.subject} to {one.site}" if one.site else one.subject
        rule = f" by {one.rule}" if one.rule else ""
        expected = f"{one.expected_rate:g}" if one.kind == "blocked" else "all"
        met = "yes" if one.met else f'<span class="word lab_invalid">no</span> {_(one.why)}'
        variant = f' <span class="faint">{_(row.variant)}</span>' if row.variant else ""
        verb = "blocked" if one.kind == "blocked" else "passes"
        yield (
            f"<tr><th scope=row>{_(row.profile)}{variant}<td>{_(what)} {verb}{_(rule)}<td>{one.trials}<td>{one.hits}"
            f"<td>{expected}<td>{one.low:.2f} to {one.high:.2f}<td class=why>{met}"
        )
    yield "</tbody></table></div>"


def _judges(run: Run) -> Iterable[str]:
    if not run.judges and not run.judge_errors:
        return
    yield '<h2 id="judges-head">Judges</h2>'
    yield "<p>What classifiers say of each tool's traffic, captured where a censor would stand; none acted.</p>"
    if run.judges:
        yield '<div class="box" tabindex="0" role="region" aria-labelledby="judges-head"><table><thead><tr>'
        yield "<th scope=col>judge<th scope=col>tool<th scope=col>flows flagged<th scope=col>95 % interval"
        yield "</thead><tbody>"
        yield from (_judge_row(row) for row in run.judges)
        yield "</tbody></table></div>"
    for place, why in run.judge_errors.items():
        yield f'<p><span class="word error">not judged</span> {_(place)}: {_(why)}</p>'


def _judge_row(row: JudgeRow) -> str:
    low, high = interval(row.flagged, row.of, 0.95)
    return (
        f"<tr><th scope=row>{_(row.judge)}<td>{_(row.subject)}<td>{row.flagged} of {row.of}<td>{low:.2f} to {high:.2f}"
    )


def _details(run: Run, rows: int) -> Iterable[str]:
    yield "<h2>Cells</h2>"
    for number, detail in enumerate(run.cells):
        cell = detail.cell
        variant = f" ({_(detail.variant)})" if detail.variant else ""
        yield (
            f'<details><summary><span class="word {cell.verdict}">{_shown(cell.verdict)}</span> '
            f'{_(cell.profile)}{variant}, {_(cell.subject)}</summary><div id="c{number}"><dl>'
        )
        yield "".join(f"<dt>{name}<dd>{value}" for name, value in _facts(detail) if value)
        yield "</dl>"
        yield from _timeline(detail, rows)
        yield "</div></details>"
    yield "</main>"


def _facts(detail: Detail) -> Iterable[tuple[str, str]]:
    cell = detail.cell
    yield "cause", _(cell.cause)
    yield "placement", _(cell.placement)
    yield "trials", f"{cell.bytes_ok} of {cell.trials} whole, {cell.connected} with an answer" if cell.trials else ""
    if cell.p50_s is not None and cell.p95_s is not None:
        yield "seconds", f"{cell.p50_s:.2f} half of them, {cell.p95_s:.2f} 95 %"
    if detail.slow:
        yield "slow", "64 KB alone, in 300 s"
    marks = {True: "yes", False: "NO"}
    controls = [
        f"{name}: {marks[met]}"
        for name, met in (("blocked", cell.control_blocked), ("passed", cell.control_passed))
        if met is not None
    ]
    yield "controls met", ", ".join(controls)
    yield "rules acted", _(", ".join(f"{rule} {count}" for rule, count in detail.acts.items()))
    yield "errors seen", _("; ".join(error for error in detail.errors if error != cell.cause))
    late = "replays later than the server's own time window"
    yield "not simulated", f"{detail.not_simulated} {late}" if detail.not_simulated else ""
    yield "seed", f"{detail.seed}" if cell.trials else ""


def _timeline(detail: Detail, rows: int) -> Iterable[str]:
    shown = timeline.shorter(detail.timeline, rows)
    if not detail.timeline.rows:
        if detail.cell.trials:
            yield '<p class="faint">No rule acted on its packets.</p>'
        return
    place = _(shown.phase or "this visit")
    yield f'<div class="box" tabindex="0" role="region" aria-label="{place}"><table><thead><tr><th scope=col>s'
    yield "<th scope=col>packet<th scope=col>what was done<th scope=col>rule<th scope=col>why</thead><tbody>"
    for row in shown.rows:
        times = f" ({row.count} times)" if row.count > 1 else ""
        yield f"<tr><td>{row.at:.3f}<td><code>{_(row.packet)}</code><td>{_(row.action)}{times}<td>{_(row.rule)}"
        yield f"<td>{_(row.why)}"
    yield "</tbody></table></div>"
    if shown.more:
        yield f'<p class="faint">{shown.more} more in {place}.</p>'


def _versions(run: Run) -> Iterable[str]:
    yield "<footer><h2>Versions</h2><dl>"
    yield "".join(f"<dt>{_(name)}<dd>{_(value)}" for name, value in run.versions.items())
    yield "".join(f"<dt>profile {_(one.id)}<dd>version {one.version}" for one in run.profiles)
    yield "</dl></footer>"
