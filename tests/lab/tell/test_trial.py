"""The experiment, small: no answer tells an edge by REALITY from its cover, or an edge with accounts from one without.

And its replays: none is accepted, whatever happened to the edge in between, and fresh flights are, so that it shows.
"""

from __future__ import annotations

import dataclasses

import pytest

from rozaneh.lab.tell import replays, report, trial

# Every thirteenth probe, twice: enough for what every answer shows, and a half of what `make test` may take.
SIZE = dataclasses.replace(trial.SMALL, every=13, rounds=2, stolen=9)


@pytest.fixture(scope="module")
def outcome() -> trial.Outcome:
    return trial.run(trial.sets(["nginx"], ["h2+reality", "h2+tls"], known=False), SIZE)


def test_no_edge_is_told_from_its_cover(outcome: trial.Outcome) -> None:
    subjects = [one for one in outcome.told if one.pair.role == "subject"]
    assert [one.set_name for one in subjects] == ["nginx", "tls"]
    for one in subjects:
        assert not one.tells, [(each.probe, each.here, each.there) for each in one.tells]
        assert not one.intercepted or not one.intercepted[1], one.intercepted
    assert subjects[0].intercepted
    # So few answers leave an accuracy room to stray; what none may show is above, and `make evidence` has them all.
    assert all(one.afar.accuracy < 0.65 for one in outcome.told), [one.afar.by for one in outcome.told]


def test_the_outcome_makes_a_table(outcome: trial.Outcome) -> None:
    found = report.content(outcome, SIZE, 0)
    text = report.markdown(found, "rozaneh lab tell")
    assert len(found["pairs"]) == 4
    assert all(one.pair.about in text for one in outcome.told)
    assert found["visits"] >= 2 * 3 * sum(found["probes"].values()) // 2


@pytest.mark.parametrize("way", ["h2+reality", "h2+tls"])
def test_no_replay_is_accepted(way: replays.Way) -> None:
    found = replays.run(way, 60)
    assert found.accepted == 0
    assert found.strange == []
    assert set(found.skipped) <= {"after kill -9, without the filter's file", f"after {replays.LATER_S} s"}
    assert all(phase.reader == "ok" for phase in found.phases)
    if way == "h2+reality":
        # What was never seen is taken for a reader's: the measure sees acceptance where there is one.
        assert found.fresh == (20, 20)
        assert all(phase.same_hello == phase.sent for phase in found.phases)
