"""A row says what it should show and does not; the table has every number."""

from __future__ import annotations

from rozaneh.lab.carriers import table
from rozaneh.lab.carriers.judged import Row
from rozaneh.lab.carriers.play import Played
from rozaneh.lab.judges.base import Flagged, Judgement

MACHINE = {"machine": "2 processors", "python": "3"}


def judgement(flagged: int, of: int, judge: str = "ndpi") -> Judgement:
    verdicts = [Flagged(f"tcp {at}", "192.0.2.1:443", at < flagged, "test") for at in range(of)]
    return Judgement(judge, verdicts, {}, "a test", "nDPI 0")


def row(subject: str, flagged: int, *, of: int = 40, carriers: int = 40, shortened: int = 0) -> Row:
    played = Played(subject, ("192.0.2.1",), carriers, 2 * carriers, {"curl": "8"}, {"site.example": 4_419})
    return Row(played, (judgement(flagged, of), judgement(1, of, "ml01")), judgement(shortened, of), carriers)


def test_a_way_must_not_be_flagged_and_must_have_been_seen() -> None:
    assert row("h2+tls", 0).missed == ""
    assert row("h2+tls", 1).missed == "h2+tls: 1 of 40 carriers were flagged"
    assert row("h2+tls", 0, shortened=2).missed == "h2+tls: 2 of 40 carriers were flagged"
    assert row("h2+tls", 0, of=39).missed == "h2+tls: only 39 of 40 carriers were seen by the judge"


def test_a_control_must_be_flagged_and_browsing_may_be() -> None:
    assert row("ss-2022", 40).missed == ""
    assert row("ss-2022", 19).missed == "ss-2022: only 19 of 40 flows of a known tunnel were flagged"
    assert row("ss-2022", 0, of=0).missed == "ss-2022: only 0 of 0 flows of a known tunnel were flagged"
    assert row("direct", 3).missed == ""


def test_the_table_has_the_numbers_and_says_what_failed() -> None:
    rows = [row("h2+tls", 0), row("h2+reality", 2), row("ss-2022", 40), row("direct", 1)]
    content = table.content(rows, MACHINE, 60.4)
    assert (content["ok"], content["seconds"]) == (False, 60)
    assert content["missed"] == ["h2+reality: 2 of 40 carriers were flagged"]
    assert [one["role"] for one in content["rows"]] == ["way", "way", "control", "benign"]
    assert content["rows"][1]["judges"]["ndpi"]["interval95"] == [0.01382, 0.16504]
    page = table.markdown(rows, MACHINE, 60.4, day="2026-11-23", command="lab carriers")
    assert "| h2+tls | our way | 40, 80 | 0 of 40 | 0.0 to 8.8 % | 0 of 40 | 1 of 40 |" in page
    assert "**Not shown as it must be**: h2+reality: 2 of 40 carriers were flagged." in page
    assert "site.example 4,419 B" in page
