"""Verdicts follow from trials and acts as the specification says, and rates are judged by exact intervals."""

from __future__ import annotations

from typing import Any

import pytest

from rozaneh.lab import verdict
from rozaneh.lab.trials import Trial
from rozaneh.lab.verdict import Control, Judged

READER, SERVER, RESOLVER, OTHER = "151.240.18.77", "95.216.210.144", "145.82.40.53", "185.146.21.10"
V6 = "2a01:4f9:c010:d2::144"


def trial(number: int, ok: bool = False, **fields: Any) -> Trial:
    return Trial(phase=f"trial-{number}", ok=ok, **fields)


def act(number: int, rule: str = "RU-08", action: str = "drop", flow: int = 0, **fields: Any) -> dict[str, Any]:
    packet = f"tcp {READER}:40000 > {SERVER}:443 PA 1448"
    return {
        "time": 1.0,
        "phase": f"trial-{number}",
        "rule": rule,
        "action": action,
        "why": "25 packets",
        "flow": flow,
        "packet": packet,
        **fields,
    }


def test_works_takes_every_trial() -> None:
    assert verdict.judge([trial(1, True), trial(2, True)], [act(1)]) == Judged(verdict="works")


def test_blocked_takes_no_success_and_a_rule_that_acted_in_a_trial() -> None:
    failed = [trial(1), trial(2), trial(3)]
    assert verdict.judge(failed, [act(2)]) == Judged(verdict="blocked", cause="RU-08")
    assert verdict.judge(failed, [act(9)]).verdict == "error"  # it acted in no trial of these
    assert verdict.judge(failed, []).verdict == "error"


def test_failure_without_a_rule_is_an_error_that_says_what_failed() -> None:
    judged = verdict.judge([trial(1, error="64k.bin: curl: (7) refused")], [])
    assert judged == Judged(verdict="error", cause="64k.bin: curl: (7) refused")


def test_degraded_is_some_success_or_bytes_that_still_move() -> None:
    assert verdict.judge([trial(1, True), trial(2)], [act(2)]) == Judged(verdict="degraded", cause="RU-08")
    unexplained = verdict.judge([trial(1, True), trial(2, error="curl: (35)")], [])
    assert unexplained == Judged(verdict="degraded", cause="no rule acted: curl: (35)")
    moving = [trial(1, still_moving=True), trial(2)]
    assert verdict.judge(moving, [act(1, "RU-03", "delay")]) == Judged(verdict="degraded", cause="RU-03")


def test_an_exception_in_a_rule_is_an_error_even_when_everything_came_through() -> None:
    judged = verdict.judge([trial(1, True)], [act(1, "mine", "error", why="KeyError('x')")])
    assert judged == Judged(verdict="error", cause="rule mine failed: KeyError('x')")
    assert verdict.judge([trial(1, True)], [act(99, "mine", "error")]).verdict == "error"
    broken = verdict.control_blocked(control(), [trial(1)] * 5, [act(1), act(1, "mine", "error", why="x")])
    assert (broken.met, broken.why) == (False, "rule mine failed: x")


def test_without_a_trial_there_is_no_verdict() -> None:
    assert verdict.judge([], []).verdict == "error"


def test_the_cause_is_the_rule_of_the_most_failed_trials() -> None:
    trials = [trial(1), trial(2), trial(3, True)]
    acts = [act(1, "IR-01"), act(1, "IR-01"), act(1, "IR-01"), act(1, "IR-03"), act(2, "IR-03"), act(3, "IR-09")]
    assert verdict.judge(trials, acts).cause == "IR-03"
    assert verdict.judge(trials[:1], acts).cause == "IR-01"  # equal in trials: the one that acted more often
    assert verdict.judge(trials[:1], [act(1, "B"), act(1, "A")]).cause == "B"  # equal in all: the earlier one


# --- whose packets


def packet(source: str, target: str, kind: str = "tcp") -> str:
    return f"{kind} {source}:1000 > {target}:443 S 0"


def test_only_acts_on_the_subjects_own_addresses_count() -> None:
    acts = [
        act(1, packet=packet(READER, SERVER)),
        act(1, packet=packet(SERVER, READER)),
        act(1, packet=packet(READER, OTHER)),
        act(1, packet=packet("151.240.18.7", SERVER)),
        act(1, packet=packet(READER, RESOLVER, "udp")),
        act(1, packet="timer"),
        act(1, packet=f"tcp [2a0d:5600:41:7::12]:1000 > [{V6}]:443 S 0"),
        act(1, packet=f"tcp 2a0d:5600:41:7::12:1000 > {V6}:443 S 0"),
        act(1, packet=f"ip proto 47 {READER} > {SERVER} 60"),
    ]
    mine = verdict.of_subject(acts, [READER, "2a0d:5600:41:7::12"], [SERVER, V6, RESOLVER])
    assert [acts.index(one) for one in mine] == [0, 1, 4, 6, 7, 8]
    assert len(verdict.of_subject(acts, [READER])) == 5  # a direct subject: whatever its machine sends


def test_what_an_earlier_phase_began_does_not_count_in_a_later_one() -> None:
    acts = [act(1, flow=7), act(2, flow=7), act(2, flow=8), act(2, flow=0)]
    assert verdict.of_subject(acts, [READER]) == [acts[0], acts[2], acts[3]]


def test_an_exception_counts_whatever_it_was_about() -> None:
    broken = act(1, "mine", "error", packet=packet("1.2.3.4", "5.6.7.8"))
    assert verdict.of_subject([broken], [READER], [SERVER]) == [broken]


@pytest.mark.parametrize("text", ["", "timer", "tcp", "tcp > x", "tcp a:1 > b:2 S", "> >", "tcp 1.2.3.4 >"])
def test_words_that_name_no_packet_have_no_ends(text: str) -> None:
    assert verdict.ends(text) is None


# --- controls and intervals


def control(**fields: Any) -> Control:
    return Control(kind="blocked", subject="curl", rule="RU-08", **fields)


def test_a_control_is_met_when_its_own_rule_fired_at_the_expected_rate() -> None:
    failed = [trial(number) for number in range(1, 6)]
    acts = [act(number) for number in range(1, 6)]
    met = verdict.control_blocked(control(), failed, acts)
    assert (met.met, met.hits, met.trials, met.high) == (True, 5, 5, 1.0)
    another = verdict.control_blocked(control(), failed, [act(number, "RU-01") for number in range(1, 6)])
    assert (another.met, another.hits) == (False, 0)
    assert "never acted" in another.why
    once_through = verdict.control_blocked(control(), [*failed[:4], trial(5, True)], acts)
    assert (once_through.met, once_through.why) == (False, "blocked 4 of 5, expected a share of 1")
    assert not verdict.control_blocked(control(), [], []).met


@pytest.mark.parametrize(("hits", "met"), [(0, False), (2, False), (5, True), (9, True), (14, True), (20, False)])
def test_a_rule_that_acts_by_chance_is_judged_by_its_rate(hits: int, met: bool) -> None:
    number = verdict.control_trials(0.263)
    assert number == 33
    done = [trial(one, one > hits) for one in range(1, number + 1)]
    acts = [act(one) for one in range(1, hits + 1)]
    assert verdict.control_blocked(control(expected_rate=0.263), done, acts).met is met


def test_a_rate_of_nothing_means_that_the_rule_must_not_act() -> None:
    fine = [trial(1, True), trial(2, True)]
    assert verdict.control_blocked(control(expected_rate=0.0), fine, []).met
    acted = verdict.control_blocked(control(expected_rate=0.0), fine, [act(1)])
    assert (acted.met, acted.why) == (False, "rule RU-08 acted in 1 of 2, expected never")


def test_a_pass_control_takes_every_trial() -> None:
    base = Control(kind="pass", subject="curl")
    assert verdict.control_pass(base, [trial(1, True), trial(2, True)]).met
    failed = verdict.control_pass(base, [trial(1, True), trial(2, error="timeout")])
    assert (failed.met, failed.why) == (False, "passed 1 of 2: timeout")
    assert not verdict.control_pass(base, []).met


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    # From the quantiles of the beta distribution, to four digits.
    [(0, 10, 0.0, 0.4113), (10, 10, 0.5887, 1.0), (5, 10, 0.1283, 0.8717), (1, 20, 0.0003, 0.3171)],
)
def test_intervals_are_those_of_clopper_and_pearson(hits: int, of: int, low: float, high: float) -> None:
    found = verdict.interval(hits, of, 0.99)
    assert found == pytest.approx((low, high), abs=5e-5)


def test_intervals_hold_what_they_promise_also_for_many_tries() -> None:
    low, high = verdict.interval(526, 2000, 0.99)
    assert low < 0.263 < high
    assert high - low == pytest.approx(2 * 2.5758 * (0.263 * 0.737 / 2000) ** 0.5, rel=0.03)
    assert verdict.interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 hits of 2"):
        verdict.interval(3, 2)


def test_times_are_those_of_what_came_through() -> None:
    trials = [trial(n, True, seconds=float(n)) for n in range(1, 21)] + [trial(21, seconds=99.0)]
    assert verdict.seconds(trials, 0.5) == 10.0
    assert verdict.seconds(trials, 0.95) == 19.0
    assert verdict.seconds([trial(1)], 0.5) is None
