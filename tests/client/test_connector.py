"""The connector's machine: every path through its table, without a socket or a clock."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rozaneh.client import connector as c
from rozaneh.core.errors import Fault, FaultKind
from tests.fleet.builders import way

A, B, D = (c.Candidate(way(f"93.184.215.14:{port}")) for port in (1, 2, 3))
OLD = c.Candidate(way("93.184.215.14:9"), fetch_only=True)
FAULT = Fault(FaultKind.INTEGRITY, "a roster that goes back")


def machine(*candidates: c.Candidate) -> c.Connector:
    return c.Connector(candidates or (A, B), lambda: 0.0)


def play(m: c.Connector, *events: c.Event) -> list[c.Command]:
    """Feed events and give the commands of the last one."""
    commands: list[c.Command] = []
    for event in events:
        commands = m.feed(event)
    return commands


def served(*candidates: c.Candidate) -> c.Connector:
    m = machine(*candidates)
    assert play(m, c.Start(), c.ProbeOk(), c.RosterUnchanged()) == [c.Serve(0)]
    return m


def test_the_straight_way() -> None:
    m = machine()
    assert m.feed(c.Start()) == [c.Probe(0)]
    assert m.feed(c.ProbeOk()) == [c.Fetch(0)]
    assert m.feed(c.RosterUnchanged()) == [c.Serve(0)]
    assert (m.state, m.served) == (c.State.SERVING, 0)


def test_the_next_way_when_one_fails() -> None:
    assert play(machine(), c.Start(), c.ProbeFailed("connect")) == [c.Probe(1)]
    assert play(machine(), c.Start(), c.ProbeFailed("connect"), c.ProbeOk(), c.RosterMissing()) == [c.Serve(1)]


def test_two_rounds_and_then_the_truth() -> None:
    m = machine()
    assert play(m, c.Start(), c.ProbeFailed("connect"), c.ProbeFailed("connect")) == [c.Rest(1.0)]
    (last,) = play(m, c.TimerFired(), c.ProbeFailed("connect"), c.ProbeFailed("connect"))
    assert isinstance(last, c.GiveUp)
    assert last.fault.kind is FaultKind.EDGE_UNREACHABLE
    assert m.state is c.State.ENDED


def test_a_refused_invite_is_not_tried_again() -> None:
    (last,) = play(machine(), c.Start(), c.ProbeFailed("auth"), c.ProbeFailed("connect"))
    assert isinstance(last, c.GiveUp)
    assert last.fault.kind is FaultKind.EDGE_REFUSED


def test_a_way_that_was_not_dialled_so_soon_again_has_not_failed() -> None:
    m = machine(A)
    for turn in range(5):
        *told, rest = play(m, c.TimerFired() if turn else c.Start(), c.ProbeFailed("busy"))
        assert rest == c.Rest(2.5)
        assert [type(command) for command in told] == ([] if turn else [c.Warn])
    assert play(m, c.TimerFired(), c.ProbeOk(), c.RosterUnchanged()) == [c.Serve(0)]
    assert isinstance(play(m, c.CarrierFailed(), c.ProbeFailed("busy"))[0], c.Warn)
    # Another way that works is taken meanwhile, and one that refuses us does not end what may work in a minute.
    assert play(machine(), c.Start(), c.ProbeFailed("busy"), c.ProbeOk(), c.RosterMissing()) == [c.Serve(1)]
    assert isinstance(play(machine(), c.Start(), c.ProbeFailed("busy"), c.ProbeFailed("auth"))[-1], c.Rest)


def test_a_wrong_clock_is_corrected_once_and_the_same_way_tried_again() -> None:
    for offset in (c.CLOCK_OFF + 1, -c.CLOCK_OFF - 1, 40 * 365 * 86_400):
        m = machine()
        assert play(m, c.Start(), c.ProbeFailed("cover", offset)) == [c.Correct(offset), c.Probe(0)]
        assert play(m, c.ProbeOk(), c.RosterUnchanged()) == [c.Serve(0)]
        # Later the same correction is no news: the cover's reason must be another one.
        assert play(m, c.CarrierFailed(), c.ProbeFailed("cover", offset + c.CLOCK_OFF)) == [c.Probe(1)]


def test_a_clock_that_is_right_or_unknown_is_not_the_reason() -> None:
    (last,) = play(machine(A), c.Start(), c.ProbeFailed("cover"))
    assert isinstance(last, c.GiveUp)
    assert "clock" in last.fault.why
    (last,) = play(machine(A), c.Start(), c.ProbeFailed("cover", 0))
    assert isinstance(last, c.GiveUp)
    assert "clock" not in last.fault.why
    for failed in (c.ProbeFailed("cover"), c.ProbeFailed("cover", c.CLOCK_OFF), c.ProbeFailed("cover", -c.CLOCK_OFF)):
        assert play(machine(), c.Start(), failed) == [c.Probe(1)]
    assert play(machine(), c.Start(), c.ProbeFailed("tls", 1000)) == [c.Probe(1)]


def test_covers_that_disagree_about_the_time_do_not_send_us_back_and_forth() -> None:
    m = machine()
    assert play(m, c.Start(), c.ProbeFailed("cover", 1000)) == [c.Correct(1000), c.Probe(0)]
    assert m.feed(c.ProbeFailed("cover", -1000)) == [c.Probe(1)]
    (last,) = m.feed(c.ProbeFailed("cover", 5000))
    assert isinstance(last, c.GiveUp)
    assert last.fault.kind is FaultKind.EDGE_REFUSED
    assert "website" in last.fault.what


def test_a_clock_that_jumps_while_serving_is_corrected_again() -> None:
    m = served()
    assert play(m, c.CarrierFailed(), c.ProbeFailed("cover", 3600)) == [c.Correct(3600), c.Probe(0)]
    assert play(m, c.ProbeOk(), c.RosterUnchanged()) == []
    assert play(m, c.CarrierFailed(), c.ProbeFailed("cover", 0)) == [c.Correct(0), c.Probe(0)]


@pytest.mark.parametrize(
    ("stages", "kind"),
    [
        (["connect"], FaultKind.EDGE_UNREACHABLE),
        (["connect", "tls"], FaultKind.INTERFERENCE),
        (["pin"], FaultKind.INTERFERENCE),
        (["tls", "pin"], FaultKind.INTERFERENCE),
        (["tls", "auth"], FaultKind.EDGE_REFUSED),
        (["tls", "cover"], FaultKind.EDGE_REFUSED),
        (["cover", "pin"], FaultKind.INTERFERENCE),
        (["cover", "certificate"], FaultKind.INTERFERENCE),
        (["roster", "connect"], FaultKind.EDGE_UNREACHABLE),
        ([], FaultKind.EDGE_UNREACHABLE),
        (["something new"], FaultKind.EDGE_UNREACHABLE),
    ],
)
def test_what_a_round_amounts_to(stages: Sequence[str], kind: FaultKind) -> None:
    assert c.explain(stages).kind is kind


def test_a_refused_roster_ends_it_at_the_start_and_only_warns_later() -> None:
    m = machine()
    assert play(m, c.Start(), c.ProbeOk(), c.RosterRefused(FAULT)) == [c.GiveUp(FAULT)]
    assert m.state is c.State.ENDED
    m = served()
    assert play(m, c.RefreshDue(), c.RosterRefused(FAULT)) == [c.Warn(FAULT)]
    assert (m.state, m.served) == (c.State.SERVING, 0)


def test_a_new_roster_with_the_same_way_is_served_at_once() -> None:
    m = machine(A)
    assert play(m, c.Start(), c.ProbeOk(), c.RosterNew((D, A))) == [c.Adopt((D, A)), c.Serve(1)]


def test_a_new_roster_that_retires_the_way_is_followed() -> None:
    m = machine(A)
    retired = c.Candidate(A.way, fetch_only=True)
    assert play(m, c.Start(), c.ProbeOk(), c.RosterNew((B, retired))) == [c.Adopt((B, retired)), c.Probe(0)]
    # The roster's own way is down and the retired one brings nothing new: it is not used all the same.
    assert play(m, c.ProbeFailed("connect"), c.ProbeOk(), c.RosterUnchanged()) == [c.Rest(1.0)]


def test_a_new_roster_without_it_is_probed() -> None:
    m = machine(A)
    assert play(m, c.Start(), c.ProbeOk(), c.RosterNew((B, D))) == [c.Adopt((B, D)), c.Probe(0)]
    assert play(m, c.ProbeOk(), c.RosterUnchanged()) == [c.Serve(0)]


def test_rosters_that_chase_each_other_come_to_an_end() -> None:
    m = machine(A)
    m.feed(c.Start())
    for other in (B, D, A, B):
        assert m.state is c.State.PROBING
        commands = play(m, c.ProbeOk(), c.RosterNew((other,)))
        if m.state is not c.State.PROBING:
            break
    assert m.state is c.State.RESTING
    assert isinstance(commands[-1], c.Rest)


def test_a_way_of_an_expired_roster_fetches_and_never_serves() -> None:
    m = machine(OLD)
    assert play(m, c.Start(), c.ProbeOk()) == [c.Fetch(0)]
    for answer in (c.RosterUnchanged(), c.RosterMissing()):
        m = machine(OLD, A)
        assert play(m, c.Start(), c.ProbeOk(), answer) == [c.Probe(1)]
    m = machine(OLD)
    fresh = c.Candidate(OLD.way)
    assert play(m, c.Start(), c.ProbeOk(), c.RosterNew((fresh,))) == [c.Adopt((fresh,)), c.Serve(0)]


def test_a_lost_carrier_tries_the_same_way_first_and_serves_silently() -> None:
    m = served(A, B)
    assert play(m, c.CarrierFailed()) == [c.Probe(0)]
    assert play(m, c.ProbeOk(), c.RosterMissing()) == []
    assert m.state is c.State.SERVING


def test_a_dead_way_is_left_and_it_never_gives_up_once_it_has_served() -> None:
    m = served(A, B)
    assert play(m, c.CarrierFailed(), c.ProbeFailed("tls")) == [c.Probe(1)]
    warn, rest = play(m, c.ProbeFailed("connect"))
    assert isinstance(warn, c.Warn)
    assert rest == c.Rest(1.0)
    rests = []
    for _ in range(10):
        (rest,) = play(m, c.TimerFired(), c.ProbeFailed("tls"), c.ProbeFailed("tls"))
        assert isinstance(rest, c.Rest)
        rests.append(rest.seconds)
    assert rests == sorted(rests)
    assert rests[-1] == 30.0
    assert play(m, c.TimerFired(), c.ProbeOk(), c.RosterMissing()) == [c.Serve(0)]


def test_late_answers_change_nothing() -> None:
    m = machine()
    for late in (c.ProbeOk(), c.RosterUnchanged(), c.TimerFired(), c.CarrierFailed(), c.RefreshDue()):
        assert m.feed(late) == []
        assert m.state is c.State.NEW


def test_there_must_be_a_way() -> None:
    with pytest.raises(ValueError, match="way"):
        c.Connector((), lambda: 0.0)


EVENTS: tuple[c.Event, ...] = (
    c.Start(),
    c.ProbeOk(),
    c.ProbeFailed("connect"),
    c.ProbeFailed("auth"),
    c.ProbeFailed("busy"),
    c.ProbeFailed("cover"),
    c.ProbeFailed("cover", 3600),
    c.ProbeFailed("cover", -3600),
    c.RosterNew((A,)),
    c.RosterNew((OLD,)),
    c.RosterNew((D, B, OLD)),
    c.RosterUnchanged(),
    c.RosterMissing(),
    c.RosterRefused(FAULT),
    c.CarrierFailed(),
    c.RefreshDue(),
    c.TimerFired(),
)


@given(st.lists(st.sampled_from(EVENTS), max_size=60), st.integers(0, 2**32))
def test_whatever_happens_its_commands_make_sense(events: list[c.Event], seed: int) -> None:
    m = c.Connector((A, OLD, B), random.Random(seed).random)  # noqa: S311
    for event in [c.Start(), *events]:
        for command in m.feed(event):
            if isinstance(command, c.Probe | c.Fetch | c.Serve):
                assert 0 <= command.index < len(m.candidates)
            if isinstance(command, c.Serve):
                assert not m.candidates[command.index].fetch_only
            if isinstance(command, c.Rest):
                assert 0 < command.seconds <= 60
        if m.state is c.State.ENDED:
            assert m.feed(event) == []
        if m.state is c.State.SERVING:
            assert m.served is not None
