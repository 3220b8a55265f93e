"""The strategy table, the parsing tables and the rarer boxes hold for every seed tried, and not for other censors."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
import pytest

from rozaneh.lab import profiles
from rozaneh.lab.rules import RuleConfig, build
from rozaneh.lab.verify import _presets, boxes, geneva, parsing
from rozaneh.lab.verify._kernel import Segment, Strategy, fetch
from rozaneh.lab.verify.base import Check


@pytest.mark.parametrize("seed", [0, 2_026])
def test_the_strategy_table(seed: int) -> None:
    found = list(geneva.checks(seed))
    assert [check for check in found if not check.ok] == []
    assert len(found) == 2 * (3 + 24)
    asserted = [check for check in found if "not asserted" not in check.expected]
    assert len(asserted) == 2 * (3 + 24) - 3  # China's 53 and twice 80 %


@pytest.mark.parametrize("seed", [0, 7])
def test_the_parsing_tables(seed: int) -> None:
    found = list(parsing.checks(seed))
    assert [check for check in found if not check.ok] == []
    assert len({check.name for check in found}) == len(found)


@pytest.mark.parametrize("seed", [0, 3])
def test_the_rarer_boxes(seed: int) -> None:
    found = list(boxes.checks(seed))
    assert [check for check in found if not check.ok] == []
    assert len({check.name for check in found}) == len(found) > 30


def changed(preset: str, **params: object) -> list[RuleConfig]:
    first, *rest = _presets.rules(preset)
    return [msgspec.structs.replace(first, params={**first.params, **params}), *rest]


def row(dna: str) -> geneva.Row:
    (found,) = [each for each in geneva.ROWS if each.dna == dna]
    return found


@pytest.mark.parametrize(
    ("preset", "dna", "params"),
    [
        ("gfw-2019", "A-duplicate(,R(chksum:corrupt))", {"checksum": True}),
        ("gfw-2019", "A-duplicate(,R(ttl:10))", {"rst": "ignore"}),
        ("gfw-2019", "PA-fragment{tcp:8:True}(,fragment{tcp:4:True})", {"max_segments": 0}),
        ("gfw-2019", "PA-duplicate(load:corrupt(ttl:8),)", {"reassembly": "none", "gives_up": False}),
        ("gfw-2019", "PA-fragment{tcp:8:False} A-seq:corrupt", {"ack_moves": False}),
        ("kz", "S-duplicate(SA,)", {"syn_ack_first": "ignore"}),
        ("kz", "S-duplicate(,load:corrupt)", {"syn_data": False}),
        ("kz", "PA-fragment{tcp:-1:True}", {"reassembly": "full"}),
        ("kz", "PA-duplicate(load:corrupt(ack:corrupt),)", {"gives_up": False}),
    ],
)
def test_each_habit_is_what_makes_its_strategy_work(preset: str, dna: str, params: dict[str, object]) -> None:
    request, strategy = geneva.REQUESTS[preset], row(dna).apply
    assert geneva.succeeded(_presets.rules(preset), request, strategy, 3)[0] == 20
    assert geneva.succeeded(changed(preset, **params), request, strategy, 3)[0] < 20


@pytest.mark.parametrize(
    ("preset", "dna", "params"),
    [
        ("gfw-2019", "PA-fragment{tcp:-1:True}", {"reassembly": "none"}),
        ("gfw-2019", "S-duplicate(SA,)", {"initiator": "any", "syn_ack_first": "server", "on_syn": "keep"}),
        ("kz", "PA-duplicate(len:64,)", {"min_first": 40}),
        ("kz", "A-duplicate(,RA(ttl:10))", {"rst": "teardown"}),
    ],
)
def test_another_habit_would_let_a_failing_strategy_pass(preset: str, dna: str, params: dict[str, object]) -> None:
    request, strategy = geneva.REQUESTS[preset], row(dna).apply
    assert geneva.succeeded(_presets.rules(preset), request, strategy, 3)[0] == 0
    assert geneva.succeeded(changed(preset, **params), request, strategy, 3)[0] > 0


@pytest.mark.parametrize("v6", [False, True])
def test_the_model_server_takes_no_nonsense_for_a_request(v6: bool) -> None:
    """What a strategy may not do to a connection: each of these must make the fetch fail, without any censor."""

    def spoil(**fields: object) -> Strategy:
        def apply(segment: Segment, rng: Random) -> list[Segment]:
            return [replace(segment, **fields)] if segment.payload else [segment]  # type: ignore[arg-type]

        return apply

    ask = geneva.REQUESTS["kz"]
    spoiled = [
        spoil(bad_checksum=True),
        spoil(ttl=10),
        spoil(ack=77),
        spoil(flags=0x08),
        spoil(options=b""),
        spoil(data_offset=15),
        spoil(seq=5),
        spoil(cut=20),
        lambda segment, rng: [replace(segment, flags=0x04, payload=b""), segment] if segment.payload else [segment],
    ]
    rng = Random(1)  # noqa: S311 - repeatable
    for number, strategy in enumerate(spoiled):
        assert not fetch([], ask, strategy, rng, v6=v6, seed=1).ok, number
    assert fetch([], ask, lambda segment, rng: [segment], rng, v6=v6, seed=1).ok


def test_presets_load_and_are_no_profiles() -> None:
    assert _presets.names() == ["gfw-2019", "kz"]
    assert not set(_presets.names()) & set(profiles.names())
    for name in _presets.names():
        for rule in _presets.load(name).rules:
            for key, parameter in rule.parameters().items():
                assert parameter.grade in ("P", rule.grade) or parameter.range or parameter.choices, key
        assert all(build(config, 0) for config in _presets.rules(name))
    with pytest.raises(ValueError, match="no preset"):
        _presets.load("gfw-1984")


def test_a_check_says_what_it_measured() -> None:
    check = next(iter(geneva.checks(0)))
    assert isinstance(check, Check)
    assert (check.expected, check.measured, check.n) == ("blocked", "0 of 20", 20)
