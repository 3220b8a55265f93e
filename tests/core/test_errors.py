"""The fault kinds are a contract: their names and exit codes do not move."""

from __future__ import annotations

from rozaneh.core.errors import Fault, FaultKind

EXIT_CODES = {
    "failed": 1,
    "busy": 1,
    "unsupported": 1,
    "usage": 2,
    "config": 3,
    "permission": 4,
    "local_network": 5,
    "interference_suspected": 6,
    "edge_unreachable": 7,
    "edge_refused": 7,
    "policy_denied": 8,
    "quota": 9,
    "integrity": 10,
    "key": 10,
    "clock_wrong": 10,
    "bug": 70,
}


def test_the_set_is_closed_and_its_codes_are_fixed() -> None:
    assert {kind.label: kind.exit_code for kind in FaultKind} == EXIT_CODES


def test_no_two_kinds_are_one() -> None:
    # Enum members with equal values become aliases silently.
    assert len(list(FaultKind)) == len(EXIT_CODES)


def test_every_kind_says_what_it_means_and_what_to_do() -> None:
    for kind in FaultKind:
        assert kind.meaning
        assert not kind.meaning.endswith(".")
        assert kind.hint


def test_a_fault_carries_its_kinds_hint_unless_told_otherwise() -> None:
    assert Fault(FaultKind.QUOTA, "what").hint == FaultKind.QUOTA.hint
    assert Fault(FaultKind.QUOTA, "what", hint="").hint == ""
    assert str(Fault(FaultKind.QUOTA, "what", why="why")) == "what: why"


def test_as_dict_is_flat() -> None:
    assert Fault(FaultKind.BUSY, "what", why="why", hint="hint").as_dict() == {
        "kind": "busy",
        "exit_code": 1,
        "what": "what",
        "why": "why",
        "hint": "hint",
    }
