"""Opens a scenario's pages as one subject and judges each: works, blocked (and by which rule), or error.

`works` takes the site's own text over a connection the browser calls secure; `blocked` takes a failure and a rule that
was seen acting on this site; a failure that no rule explains is an `error` of the lab, never counted as censorship.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rozaneh.lab.browser.chromium import Chromium, Visit
from rozaneh.lab.scenarios import Scenario, Subject, Trial, Verdict
from rozaneh.lab.world import Raised
from rozaneh.lab.worlds import Site

Act = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one trial; `cause` is the id of the rule that was seen acting, `error` what the browser said."""

    trial: Trial
    subject: Subject
    verdict: Verdict
    cause: str
    error: str
    status: int
    seconds: float
    screenshot: str

    @property
    def expected(self) -> bool:
        """Whether the verdict, and for a block the rule, is what the scenario says."""
        if self.verdict != self.trial.expect.get(self.subject):
            return False
        return self.verdict != "blocked" or self.cause == self.trial.rule


def judge(visit: Visit, site: Site, acts: Sequence[Act]) -> tuple[Verdict, str]:
    """The verdict on one visit and its cause, from what the browser showed and what the rules did meanwhile."""
    genuine = (
        not visit.error
        and visit.status == 200
        and visit.secure
        and urlsplit(visit.url).hostname == site.name
        and site.title in visit.text
        and site.text in visit.text
    )
    if genuine:
        return "works", ""
    marks = {site.name, *site.addresses}
    for act in acts:
        if act["action"] == "error":
            return "error", str(act["rule"])
        if marks & _words(act):
            return "blocked", str(act["rule"])
    return "error", ""


def _words(act: Act) -> set[str]:
    """The names and addresses an act speaks of: those in its reason and both ends of its packet."""
    words = set(str(act["why"]).split())
    for word in str(act["packet"]).split():
        words.add(word.rpartition(":")[0])
    return words


def visit_all(
    world: Raised,
    scenario: Scenario,
    subject: Subject,
    browser: Chromium,
    shots: Path,
    say: Callable[[str], None],
) -> list[Result]:
    """Opens every page of the scenario in `browser`, one after the other; screenshots go to `shots`."""
    sites = {site.name: site for site in world.data.sites}
    results = []
    for trial in scenario.trials:
        began, clock = time.time(), time.monotonic()
        picture = shots / f"{subject}-{trial.site.partition('.')[0]}.png"
        visit = browser.open(trial.url, screenshot=picture)
        verdict, cause = judge(visit, sites[trial.site], world.censor.acts(since=began))
        result = Result(
            trial=trial,
            subject=subject,
            verdict=verdict,
            cause=cause,
            error=visit.error,
            status=visit.status,
            seconds=round(time.monotonic() - clock, 2),
            screenshot=picture.name,
        )
        results.append(result)
        say(f"  {trial.url:34} {verdict:8} {story(result, scenario)}")
    return results


_WORDS = {
    "dns_forge": "forged DNS answer",
    "sni_reset": "TCP reset on the TLS server name",
    "ip_drop": "address silently dropped",
    "http_block": "block page in place of the site",
}


def story(result: Result, scenario: Scenario) -> str:
    """In a few words what a result means: which block was met and how it showed."""
    shown = result.error or f"HTTP {result.status}"
    if result.verdict == "works":
        return f"{result.seconds:.1f} s"
    if result.verdict == "blocked":
        kind = next(rule.kind for rule in scenario.rules if rule.id == result.cause)
        return f"{_WORDS.get(kind, kind)} ({result.cause}), seen as {shown}"
    return f"{shown}, and no rule explains it"
