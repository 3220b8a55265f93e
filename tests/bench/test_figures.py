"""Medians, ratios within a round, and what counts as met."""

from __future__ import annotations

import pytest

from rozaneh.bench import figures, report
from rozaneh.bench.plan import CASES, Measurement, Plan, Tools
from rozaneh.bench.subjects import H2, PEER_ANYTLS, PEER_PLAIN, PLAIN, SUBJECTS


def one(subject: str, turn: int, **values: float) -> Measurement:
    return Measurement(subject=subject, round=turn, figures=values, errors={})


def verdict(measurements: list[Measurement], name: str) -> figures.Verdict:
    return next(each for each in figures.verdicts(measurements) if each.name == name)


CPU_DOWN = "h2: CPU down, both ends, of AnyTLS"
IDLE_EDGE = "h2: bytes for each idle tunnel at the edge"


def test_a_spread_is_smallest_middle_and_largest() -> None:
    assert figures.spread([3.0, 1.0, 2.0]) == figures.Spread(1.0, 2.0, 3.0)
    assert figures.spread([4.0, 1.0]).median == 2.5
    with pytest.raises(ValueError, match="no values"):
        figures.spread([])


def test_figures_are_gathered_over_the_rounds_in_which_they_came_out() -> None:
    found = figures.by_subject([one(H2, 0, tunnels_s=10.0), one(H2, 1), one(H2, 2, tunnels_s=30.0)])
    assert found == {H2: {"tunnels_s": figures.Spread(10.0, 20.0, 30.0)}}


def test_a_ratio_is_taken_within_a_round() -> None:
    # The machine is ten times slower in the second round, for both: the ratio is still one half.
    rounds = [
        one(H2, 0, down1_cpu_s_gb=1.0),
        one(PEER_ANYTLS, 0, down1_cpu_s_gb=2.0),
        one(H2, 1, down1_cpu_s_gb=10.0),
        one(PEER_ANYTLS, 1, down1_cpu_s_gb=20.0),
    ]
    assert verdict(rounds, CPU_DOWN).value == 0.5
    assert verdict(rounds, CPU_DOWN).met


def test_a_round_that_only_one_of_them_finished_does_not_count() -> None:
    rounds = [
        one(H2, 0, down1_cpu_s_gb=1.0),
        one(H2, 1, down1_cpu_s_gb=9.0),
        one(PEER_ANYTLS, 1, down1_cpu_s_gb=10.0),
    ]
    assert verdict(rounds, CPU_DOWN).value == 0.9
    assert not verdict(rounds, CPU_DOWN).met


def test_what_was_not_measured_is_not_met() -> None:
    assert verdict([], CPU_DOWN).value is None
    assert not any(each.met for each in figures.verdicts([]))


@pytest.mark.parametrize(("memory", "met"), [(3072.0, True), (3072.5, False)])
def test_bounds_without_a_peer_are_inclusive(memory: float, met: bool) -> None:
    assert verdict([one(H2, 0, idle_edge_bytes=memory)], IDLE_EDGE).met is met


@pytest.mark.parametrize(("ours", "met"), [(90.0, True), (89.0, False)])
def test_lower_bounds(ours: float, met: bool) -> None:
    rounds = [one(PLAIN, 0, down1_mb_s=ours), one(PEER_PLAIN, 0, down1_mb_s=100.0)]
    assert verdict(rounds, "plain relay: MB/s down, of sing-box's plain chain").met is met


def test_only_the_cases_that_ran_are_judged() -> None:
    names = {each.name for each in figures.verdicts([], ["idle"])}
    assert names == {each.name for each in figures.REQUIREMENTS if each.figure.startswith("idle")}
    assert {figures.case_of(each.figure) for each in figures.REQUIREMENTS} == set(CASES)


def test_requirements_name_subjects_that_exist() -> None:
    for each in figures.REQUIREMENTS:
        assert each.subject in SUBJECTS
        assert not each.peer or each.peer in SUBJECTS
        assert (each.at_least is None) != (each.at_most is None)


def test_the_table_says_by_how_much_a_bound_was_missed() -> None:
    plan = Plan(tools=Tools(python="", load=""), subjects=[H2, PEER_ANYTLS], cases=["bulk"])
    rounds = [one(H2, 0, down1_cpu_s_gb=1.4), one(PEER_ANYTLS, 0, down1_cpu_s_gb=1.0)]
    _, rows = report.requirement_table(plan, rounds)
    row = next(row for row in rows if row[0] == CPU_DOWN)
    assert row[1:] == ("at most 0.7", "1.40", "MISSED by 100%")
    assert all("not measured" in other for other in rows if other is not row)


def test_rows_are_as_wide_as_their_heads() -> None:
    plan = Plan(tools=Tools(python="", load=""), subjects=list(SUBJECTS), cases=list(CASES))
    for head, rows in report.tables(plan, [one(H2, 0, down1_mb_s=1.0, idle_edge_bytes=2048.0)]):
        assert [row[0] for row in rows] == list(SUBJECTS)
        assert {len(row) for row in rows} == {len(head)}


def test_the_document_holds_errors_beside_figures() -> None:
    plan = Plan(tools=Tools(python="", load=""), subjects=[H2], cases=["idle"])
    failed = Measurement(subject=H2, round=1, figures={}, errors={"idle": "the load hangs"})
    document = report.content(plan, {"cpus": 2}, [one(H2, 0, idle_edge_bytes=2048.0), failed])
    assert document["machine"] == {"cpus": 2}
    assert document["subjects"][H2]["idle_edge_bytes"] == {"min": 2048.0, "median": 2048.0, "max": 2048.0}
    assert document["errors"] == [{"subject": H2, "round": 1, "case": "idle", "why": "the load hangs"}]
    assert [each["met"] for each in document["requirements"]] == [True, False]
