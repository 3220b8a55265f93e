"""An explanation has every rule and every parameter, with source and grade, and what a kind leaves at its default."""

from __future__ import annotations

import msgspec
import pytest

from rozaneh.lab import profiles
from rozaneh.lab.profiles import GRADES, ProfileError
from rozaneh.lab.profiles.explanation import defaults, in_words, meanings, names_in, settings_of


@pytest.mark.parametrize("name", profiles.names())
def test_everything_a_profile_states_is_there(name: str) -> None:
    profile = profiles.load(name)
    found = profiles.explain(profile)
    assert [row.id for row in found.rules] == [rule.id for rule in profile.rules]
    for row, rule in zip(found.rules, profile.rules, strict=True):
        stated = {parameter.name: parameter for parameter in row.parameters if parameter.stated}
        assert set(stated) == set(rule.params)
        for key, parameter in stated.items():
            wanted = rule.parameter(key)
            assert (parameter.grade, parameter.source) == (wanted.grade, wanted.source)
            assert parameter.grade_means == GRADES[wanted.grade]
            assert parameter.meaning, f"{rule.kind}.{key} is not documented by its kind"
        assert row.mechanism
    msgspec.json.encode(found)


@pytest.mark.parametrize("name", profiles.names())
def test_together_with_the_defaults_every_parameter_of_a_kind_is_there(name: str) -> None:
    for row in profiles.explain(profiles.load(name)).rules:
        settings = settings_of(row.kind)
        assert settings is not None, row.kind
        assert {parameter.name for parameter in row.parameters} == {
            field.name for field in msgspec.structs.fields(settings)
        }
        assert all(parameter.grade is None for parameter in row.parameters if not parameter.stated)


def test_one_rule_by_its_id_and_all_parts_by_the_entry() -> None:
    profile = profiles.load("cn-2023")
    assert [row.id for row in profiles.explain(profile, "CN-02-http").rules] == ["CN-02-http"]
    assert [row.id for row in profiles.explain(profile, "CN-02").rules] == ["CN-02", "CN-02-http"]
    with pytest.raises(ProfileError, match="no rule 'CN-99'; it has: CN-01"):
        profiles.explain(profile, "CN-99")


def test_gates_cells_variants_and_controls_are_told() -> None:
    found = profiles.explain(profiles.load("ir-curfew"), "IR-11")
    assert dict(found.rules[0].gates) == {"inside": "@inside-mobile", "hours": "16 to 24"}
    assert [(cell.name, dict(cell.changes)["time of day"]) for cell in found.cells] == [
        ("in-force", "18 h"),
        ("not-in-force", "10 h"),
    ]
    assert dict(found.controls)["pass"] == (
        "curl: /64k.bin from open-weather.example, on the fixed network (the fixed line)"
    )
    china = profiles.explain(profiles.load("cn-2025"))
    drill = next(row for row in china.rules if row.id == "CN-09")
    assert not drill.enabled
    assert dict(drill.gates)["stands"].startswith("on the path")
    assert {variant.name: variant.changes for variant in china.variants}["residual-90"] == (
        ("CN-02-http.residual_s", "90"),
    )


def test_ranges_and_notes_are_told() -> None:
    rows = {row.name: row for row in profiles.explain(profiles.load("ru-2022"), "RU-01").rules[0].parameters}
    assert (rows["residual_s"].value, rows["residual_s"].range, rows["residual_s"].grade) == ("75", "60 to 90", "S")
    assert rows["segments"].range == "none, in_order, full"
    assert rows["ports"].note
    assert rows["names"].value == "blocked-news.example, forbidden-forum.example"


def test_names_are_spelt_out_and_labels_are_not() -> None:
    profile = profiles.load("ir-2024")
    mixed = names_in(["@names.blocked", "x.example", {"names": "@names.blanket"}, "@cdn"], profile)
    assert mixed[:3] == ["blocked-news.example", "forbidden-forum.example", "x.example"]
    assert mixed[3:] == [{"names": ["il", "porn", "com.mx", "my.id"]}, "@cdn"]


def test_every_kind_a_profile_uses_documents_every_parameter() -> None:
    for kind in sorted({rule.kind for name in profiles.names() for rule in profiles.load(name).rules}):
        settings = settings_of(kind)
        assert settings is not None, kind
        assert set(meanings(kind)) >= {field.name for field in msgspec.structs.fields(settings)}, kind
        assert set(defaults(kind)) <= {field.name for field in msgspec.structs.fields(settings)}, kind


def test_values_in_words() -> None:
    assert in_words(True) == "yes"
    assert in_words([1.5, "a", ()]) == "1.5, a, none"
    assert in_words({"a": [1, 2]}) == "a 1, 2"
    assert in_words(None) == in_words("") == "none"
