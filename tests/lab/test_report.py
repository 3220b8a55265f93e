"""The report's JSON has the agreed keys; its page holds everything, escaped, small, and readable in a real browser."""

from __future__ import annotations

import base64
import html.parser
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rozaneh.lab import cellfile, isolate, reportjson, scenarios
from rozaneh.lab.browser.chromium import Chromium
from rozaneh.lab.cellfile import Config, JudgedBy, Result
from rozaneh.lab.matrix import Asked, Job
from rozaneh.lab.nodes import Node
from rozaneh.lab.report import page, style, timeline
from rozaneh.lab.reportjson import Run
from rozaneh.lab.trials import Trial
from rozaneh.lab.verdict import VERDICTS, Control

NASTY = "</style><script>alert('x')</script>&\"<img src=http://elsewhere.example/x>"
PACKET = "tcp 2a0d:5600:41:7::12:40000 > 2a01:4f9:c010:d2::144:443 PA 1448"


def act(number: int, **fields: Any) -> dict[str, Any]:
    base = {"time": 100.0 + number, "phase": "trial-1", "rule": "RU-08", "action": "drop", "why": "25 packets"}
    return {**base, "flow": number, "packet": PACKET.replace("40000", str(40000 + number)), **fields}


def result(job: Job, number: int = 0) -> Result:
    failed = [Trial(phase=f"trial-{n}", ok=False, error=f"64k.bin: not whole in 60 s {NASTY}") for n in range(1, 4)]
    acts = [act(n, why=f"25 packets {n} {NASTY}") for n in range(40)]
    verdict = VERDICTS[number % len(VERDICTS)]
    return Result(
        name=job.config.name,
        digest=job.config.digest(),
        config=job.config,
        verdict=verdict,
        cause="RU-08" if verdict in ("blocked", "degraded") else "" if verdict == "works" else f"because {NASTY}",
        trials=tuple(failed),
        timeline=timeline.build(failed, acts),
        acts={"RU-08": 40},
        versions={"subject x": NASTY},
        seconds=61.2,
    )


def run_of(profiles: int, subjects: int) -> Run:
    jobs, results = [], {}
    for row in range(profiles):
        name = f"xx-2026-0{row}"
        controls = Job(config=Config(kind="controls", profile=name, reader_at="domestic", server_at="cdn"))
        jobs.append(controls)
        found = cellfile.without_a_run(controls.config, "works", "")
        blocked = Control(
            kind="blocked", subject="curl", site=NASTY, rule="RU-08", trials=5, hits=5, low=0.34, high=1.0, met=True
        )
        passed = Control(kind="pass", subject="do53", trials=3, hits=2, met=False, why=f"passed 2 of 3 {NASTY}")
        results[found.name] = msgspec.structs.replace(found, controls=(blocked, passed))
        for column in range(subjects):
            config = Config(kind="cell", profile=name, subject=f"subject-number-{column}", reader_at="domestic")
            job = Job(config=config, after=controls.config.name)
            jobs.append(job)
            results[config.name] = result(job, row + column)
    judged = Job(config=Config(kind="judges", subject="trojan"))
    jobs.append(judged)
    says = (
        JudgedBy(judge="ndpi", flagged=3, of=20),
        JudgedBy(judge="ml01", flagged=0, of=0, error=f"not here {NASTY}"),
    )
    results["judges~trojan"] = msgspec.structs.replace(cellfile.without_a_run(judged.config, "works", ""), judges=says)
    asked = Asked(profiles=("xx",), subjects=("x",), seed=7)
    return reportjson.build(asked, [("xx-2026-00", 3)], jobs, results, moment=0.0)


@pytest.fixture(scope="module")
def small() -> Run:
    return run_of(6, 5)


# --- JSON


def test_the_report_has_exactly_the_agreed_keys(small: Run, tmp_path: Path) -> None:
    reportjson.save(small, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report) == ["schema", "profiles", "cells", "judges"]
    assert report["schema"] == "rozaneh.lab.report/1"
    assert report["profiles"] == [{"id": "xx-2026-00", "version": 3}]
    assert list(report["cells"][0]) == [
        "profile", "subject", "placement", "trials", "connected", "p50_s", "p95_s", "bytes_ok",
        "verdict", "cause", "control_blocked", "control_passed",
    ]  # fmt: skip
    assert {cell["verdict"] for cell in report["cells"]} == {
        "works", "blocked", "degraded", "lab_invalid", "not_run", "error",
    }  # fmt: skip
    assert report["judges"] == [{"judge": "ndpi", "subject": "trojan", "flagged": 3, "of": 20}]
    assert (report["cells"][0]["control_blocked"], report["cells"][0]["control_passed"]) == (True, False)
    again = msgspec.json.decode((tmp_path / "run.json").read_bytes(), type=Run)
    assert again == small


def test_a_cell_counts_answers_whole_files_and_times() -> None:
    job = Job(config=Config(kind="cell", profile="none", subject="curl", reader_at="domestic", server_at="cdn"))
    trials = (
        Trial(phase="trial-1", ok=True, connected=True, seconds=1.23456),
        Trial(phase="trial-2", ok=True, connected=True, seconds=3.0),
        Trial(phase="trial-3", ok=False, connected=True, error="x"),
        Trial(phase="trial-4", ok=False, error="y"),
    )
    found = cellfile.without_a_run(job.config, "degraded", "")
    run = reportjson.build(
        Asked(profiles=("none",), subjects=("curl",)), [], [job],
        {found.name: msgspec.structs.replace(found, trials=trials)},
    )  # fmt: skip
    cell = run.cells[0].cell
    assert (cell.trials, cell.connected, cell.bytes_ok, cell.p50_s, cell.p95_s) == (4, 3, 2, 1.235, 3.0)
    assert (cell.placement, cell.control_blocked, cell.control_passed) == ("domestic > cdn", None, None)


def test_a_scenario_is_told_in_the_same_words() -> None:
    direct = {"verdict": "blocked", "rule": "IR-01", "met": "", "error": "net::X", "status": 0, "seconds": 1.0}
    edge = {"verdict": "works", "error": "", "status": 200, "seconds": 0.5}
    summary = {"pages": [{"url": "https://harbour-post.example/", "direct": direct, "edge": edge}]}
    acts = [act(1, rule="IR-01"), act(2, rule="IR-03", why="name morning-ledger.example")]
    run = reportjson.of_scenario(summary, scenarios.load("four_blocks"), "domestic > cdn", acts)
    one, two = (detail.cell for detail in run.cells)
    assert (one.subject, one.verdict, one.cause) == ("direct https://harbour-post.example/", "blocked", "IR-01")
    assert (two.verdict, two.bytes_ok, two.p50_s, two.control_blocked) == ("works", 1, 0.5, True)
    assert [row.rule for row in run.cells[0].timeline.rows] == ["IR-01"]
    assert not run.cells[1].timeline.rows
    assert "harbour-post.example" in page.build(run)


# --- timelines


def test_a_timeline_is_of_the_first_failed_trial_a_rule_acted_in() -> None:
    trials = [Trial(phase="trial-1", ok=True), Trial(phase="trial-2", ok=False), Trial(phase="trial-3", ok=False)]
    acts = [act(1, phase="trial-1"), act(2, phase="trial-3"), act(3, phase="trial-3", action="inject")]
    built = timeline.build(trials, acts)
    assert built.phase == "trial-3"
    assert [(row.at, row.action) for row in built.rows] == [(0.0, "drop"), (1.0, "inject")]
    assert timeline.build(trials, acts[:1]).phase == "trial-1"
    assert timeline.build(trials, []).rows == ()


def test_repeats_are_counted_and_the_rest_is_named() -> None:
    trials = [Trial(phase="trial-1", ok=False)]
    same = [act(1, packet=PACKET), act(2, packet=PACKET.replace("1448", "99")), act(3, packet=PACKET)]
    built = timeline.build(trials, [*same, *(act(n) for n in range(10, 30))])
    assert built.rows[0].count == 3
    assert len(built.rows) == timeline.ROWS
    assert built.more == 21 - timeline.ROWS
    less = timeline.shorter(built, 2)
    assert (len(less.rows), less.more) == (2, 23 - 2 - (3 - 1) + 0)


# --- the page


class Reader(html.parser.HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_everything_is_escaped_and_nothing_comes_from_elsewhere(small: Run) -> None:
    text = page.build(small)
    reader = Reader()
    reader.feed(text)
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "base", "form"}
    assert [attrs for tag, attrs in reader.tags if tag == "link"] == [{"rel": "icon", "href": "data:,"}]
    assert all(str(attrs["href"]).startswith("#c") for tag, attrs in reader.tags if tag == "a")
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on") or name == "src"]
    assert "url(" not in style.sheet()
    assert "@import" not in style.sheet()
    assert "&lt;script&gt;alert(&#x27;x&#x27;)" in text


def test_every_cell_leads_to_its_details(small: Run) -> None:
    reader = Reader()
    reader.feed(page.build(small))
    links = [str(attrs["href"])[1:] for tag, attrs in reader.tags if tag == "a"]
    places = [attrs["id"] for tag, attrs in reader.tags if str(attrs.get("id", "")).startswith("c") and tag == "div"]
    assert sorted(links) == sorted(map(str, places))
    assert len(links) == len(small.cells) == 30


def test_the_full_matrix_stays_under_a_megabyte() -> None:
    full = run_of(19, 17)
    text = page.build(full)
    assert len(text.encode()) < page.LIMIT
    assert "subject-number-16" in text
    # Where nothing forces it, a timeline keeps all of its rows.
    assert f"{40 - timeline.ROWS} more in trial-1" in page.build(run_of(1, 6))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("paper", "ink"), style.pairs())
def test_every_word_can_be_read_on_its_paper(paper: str, ink: str) -> None:
    light, dark = sorted((luminance(paper), luminance(ink)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


# --- in Chromium

Shown = dict[str, Any]

MEASURE = """JSON.stringify({
  overflow: document.documentElement.scrollWidth - window.innerWidth,
  paper: getComputedStyle(document.body).backgroundColor,
  boxes: [...document.querySelectorAll(".box")].map(b => b.getBoundingClientRect().right <= window.innerWidth),
  scrolls: document.querySelector(".box").scrollWidth > document.querySelector(".box").clientWidth,
  sticky: (() => { const box = document.querySelector(".box"), head = document.querySelector("#matrix tbody th");
    box.scrollLeft = 200; const left = head.getBoundingClientRect().left - box.getBoundingClientRect().left;
    box.scrollLeft = 0; return left; })(),
  texts: document.body.innerText.length,
  scripts: document.scripts.length,
  opened: document.querySelectorAll("details[open]").length,
  details: document.querySelectorAll("details").length})"""

VIEWS = [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]


def look(address: str, shots: Path) -> list[Shown]:
    """The page at several widths and colours, with scripts of its own switched off."""
    with Chromium(Node("x", isolate.scratch() / "x", []), "x") as browser:
        tools = browser._tools
        target = tools.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = tools.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Network"):
            tools.call(f"{domain}.enable", session=session)
        tools.call("Emulation.setScriptExecutionDisabled", {"value": True}, session=session)
        shown = []
        for scheme, width in VIEWS:
            feature = {"name": "prefers-color-scheme", "value": scheme}
            tools.call("Emulation.setEmulatedMedia", {"features": [feature]}, session=session)
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
            tools.call("Emulation.setDeviceMetricsOverride", size, session=session)
            tools.call("Page.navigate", {"url": "about:blank"}, session=session)
            tools.event("Page.loadEventFired", session=session, timeout=10)
            tools.call("Page.navigate", {"url": f"{address}#c3"}, session=session)
            tools.event("Page.loadEventFired", session=session, timeout=10)
            found = tools.call("Runtime.evaluate", {"expression": MEASURE}, session=session)
            asked = [
                event["params"]["request"]["url"]
                for event in tools.forget_events(session)
                if event["method"] == "Network.requestWillBeSent"
            ]
            tools.call("Runtime.evaluate", {"expression": "window.scrollTo(0, 0)"}, session=session)
            picture = tools.call("Page.captureScreenshot", {"format": "png"}, session=session)["data"]
            shot = shots / f"{scheme}-{width}.png"
            shot.write_bytes(base64.b64decode(picture))
            shown.append({**json.loads(found["result"]["value"]), "asked": asked, "shot": shot})
        return shown


@pytest.fixture(scope="module")
def views(small: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Shown]:
    folder = tmp_path_factory.mktemp("page")
    index = page.save(small, folder)
    shown = isolate.run(lambda: look(index.as_uri(), folder))
    return dict(zip(VIEWS, shown, strict=True))


@pytest.mark.parametrize("view", VIEWS)
def test_only_tables_scroll_sideways_and_their_first_column_stays(
    views: dict[tuple[str, int], Shown], view: tuple[str, int]
) -> None:
    shown = views[view]
    assert shown["overflow"] <= 0
    assert all(shown["boxes"])
    if view[1] < 500:
        assert shown["scrolls"]
        assert 0 <= shown["sticky"] <= 2


@pytest.mark.parametrize("view", VIEWS)
def test_a_link_opens_its_cell_without_scripts_and_nothing_else_is_asked_for(
    views: dict[tuple[str, int], Shown], view: tuple[str, int]
) -> None:
    shown = views[view]
    assert (shown["opened"], shown["details"], shown["scripts"]) == (1, 30, 0)
    assert all(re.match(r"(file:.*index\.html|about:blank|data:)", address) for address in shown["asked"])
    assert shown["texts"] > 1000


def test_dark_is_dark_and_every_view_is_a_picture_of_its_own(views: dict[tuple[str, int], Shown]) -> None:
    papers = {view: [int(part) for part in re.findall(r"\d+", shown["paper"])[:3]] for view, shown in views.items()}
    for (scheme, _), paper in papers.items():
        assert (min(paper) > 200) if scheme == "light" else (max(paper) < 60)
    pictures = {shown["shot"].read_bytes() for shown in views.values()}
    assert len(pictures) == len(VIEWS)
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
