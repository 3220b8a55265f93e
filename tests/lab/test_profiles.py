"""Profiles are checked data: each loads, fits the country and its censors, and says what every number rests on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rozaneh.lab import profiles, worlds
from rozaneh.lab.profiles import ProfileError
from rozaneh.lab.profiles.checks import check_in
from rozaneh.lab.profiles.model import is_parameter

COUNTRY = worlds.load("country")

# Of the issue: fifteen enforcing profiles, by name.
FIFTEEN = [
    "cn-2023",
    "cn-2025",
    "cn-henan",
    "ir-2020",
    "ir-2024",
    "ir-2025-06-stage1",
    "ir-2025-06-stage2",
    "ir-2025-06-stage3",
    "ir-2025-06-stage4",
    "ir-2026-null",
    "ir-2026-whitelist",
    "ir-curfew",
    "ru-2022",
    "ru-2025-mobile",
    "ru-2026-06",
]

# Of the catalogue's list of ready profiles: the entries each is composed of, and no others.
ENTRIES = {
    "ir-2020": {"IR-01", "IR-02", "IR-03", "IR-04"},
    "ir-2024": {"IR-01", "IR-02", "IR-03", "IR-06", "IR-09"},
    "ir-2026-null": {"IR-12", "IR-13"},
    "ir-2026-whitelist": {"IR-13"},
    "ir-curfew": {"IR-11"},
    "ru-2022": {"RU-01", "RU-02", "RU-04", "RU-05"},
    "ru-2025-mobile": {"RU-07", "RU-08", "RU-10", "RU-12", "RU-13"},
    "ru-2026-06": {"RU-08", "RU-11", "RU-16"},
    "cn-2023": {"CN-01", "CN-02", "CN-05", "CN-07"},
    "cn-2025": {"CN-01", "CN-02", "CN-06", "CN-07", "CN-09"},
    "cn-henan": {"CN-02", "CN-04"},
}

SMALL = """
schema = "rozaneh.lab.profile/1"
id = "small"
version = 3
summary = "one rule"
ipv6 = "same"

[names]
blocked = ["blocked-news.example", "other.example"]

[[rules]]
id = "IR-12"
kind = "null_route"
about = "addresses of a label vanish"
source = "a paper"
grade = "P"
outside_not = ["@allowlisted"]
share = { value = 0.5, grade = "C", source = "a table", range = [0.1, 1.0] }
share_by = "destination"
[rules.params]
listed = ["@hosting-suspect", "9.9.9.9/32"]

[[rules]]
id = "IR-03"
kind = "sni"
about = "a name is reset"
source = "a paper"
grade = "C"
[rules.params]
names = ["@names.blocked", "third.example"]
residual_s = { value = 180.0, grade = "S", source = "notes", range = [60.0, 300.0] }
ports = { value = [443], grade = "M", source = "recalled", note = "no other port was tried" }

[controls.blocked]
subject = "curl"
site = "blocked-news.example"
rule = "IR-03"

[controls.pass]
subject = "curl"
site = "open-weather.example"

[[cells]]
name = "night"
about = "after dark"
hours_at = 23.0
segment = "mobile"
sysctl = { "net.ipv4.tcp_timestamps" = "0" }
rules_off = ["IR-12"]
set = { "IR-03.residual_s" = 240.0 }

[[variants]]
name = "short"
about = "another reading"
source = "another paper"
grade = "C"
set = { "IR-03.residual_s" = 60.0 }
"""


def test_exactly_the_fifteen_come_along() -> None:
    assert sorted(profiles.names()) == FIFTEEN


@pytest.mark.parametrize("name", FIFTEEN)
def test_each_fits_the_country_and_its_censors(name: str) -> None:
    profile = profiles.load(name)
    assert profile.id == name
    check_in(profile, COUNTRY)
    assert profiles.rules_for(profile, COUNTRY)


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_each_is_composed_of_the_catalogues_entries(name: str) -> None:
    assert {rule.entry for rule in profiles.load(name).rules} == ENTRIES[name]


@pytest.mark.parametrize("name", FIFTEEN)
def test_every_number_names_its_source_and_what_is_not_primary_may_be_turned(name: str) -> None:
    for rule in profiles.load(name).rules:
        assert rule.about
        assert rule.source
        for key, parameter in rule.parameters().items():
            where = f"{rule.id}.{key}"
            assert parameter.source, where
            if is_parameter(rule.params[key]) and parameter.grade != "P":
                assert parameter.range or parameter.choices or parameter.note, where


@pytest.mark.parametrize("name", FIFTEEN)
def test_each_lists_the_blocked_site_or_blocks_it_by_address(name: str) -> None:
    profile = profiles.load(name)
    listed = {host for names in profile.names.values() for host in names}
    by_address = {"ir-2025-06-stage4", "ir-2026-null", "ir-curfew", "ru-2026-06"}
    assert ("blocked-news.example" in listed) != (name in by_address)


@pytest.mark.parametrize("name", FIFTEEN)
def test_rules_of_each_are_the_same_whenever_they_are_asked_for(name: str) -> None:
    profile = profiles.load(name)
    assert profiles.rules_for(profile, COUNTRY) == profiles.rules_for(profile, COUNTRY)


@pytest.mark.parametrize("name", FIFTEEN)
def test_a_version_changes_with_every_change_of_behaviour(name: str) -> None:
    """Behaviour changed: raise the profile's version, then write both into profile_versions.json."""
    known = json.loads(Path(__file__).with_name("profile_versions.json").read_text(encoding="utf-8"))
    profile = profiles.load(name)
    assert known[name] == {"version": profile.version, "behaviour": profile.behaviour}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value = 180.0", "value = 181.0"),
        ("value = 0.5", "value = 0.6"),
        ("hours_at = 23.0", "hours_at = 22.0"),
        ('"IR-03.residual_s" = 60.0', '"IR-03.residual_s" = 61.0'),
        ('"other.example"', '"another.example"'),
        ('ipv6 = "same"', 'ipv6 = "absent"'),
        ('share_by = "destination"', 'share_by = "path"'),
        ('kind = "sni"', 'kind = "http_host"'),
    ],
)
def test_whatever_decides_changes_the_behaviour(old: str, new: str) -> None:
    assert old in SMALL
    assert profiles.parse(SMALL.replace(old, new)).behaviour != profiles.parse(SMALL).behaviour


def test_what_only_says_why_leaves_the_behaviour() -> None:
    said = SMALL.replace("a paper", "the same paper").replace('grade = "S"', 'grade = "C"').replace("one rule", "rules")
    assert profiles.parse(said).behaviour == profiles.parse(SMALL).behaviour


def test_names_and_labels_become_lists() -> None:
    first, second = profiles.rules_for(profiles.parse(SMALL), COUNTRY)
    assert first.params["listed"] == [*COUNTRY.prefixes("hosting-suspect"), "9.9.9.9/32"]
    assert first.outside_not == COUNTRY.prefixes("allowlisted")
    assert (first.share, first.share_by) == (0.5, "destination")
    assert second.params["names"] == ["blocked-news.example", "other.example", "third.example"]
    assert (second.params["residual_s"], second.params["ports"]) == (180.0, [443])


def test_a_cell_switches_rules_sets_parameters_and_changes_the_world() -> None:
    profile = profiles.parse(SMALL)
    (only,) = profiles.rules_for(profile, COUNTRY, "night")
    assert (only.id, only.params["residual_s"]) == ("IR-03", 240.0)
    assert profile.longest_residual_s == 240.0
    conditions = profiles.world_changes(profile, "night")
    assert (conditions.segment, conditions.time_of_day) == ("mobile", 23.0)
    assert profiles.world_changes(profile).time_of_day == 12.0
    world = profiles.world_for(profile, COUNTRY, "night")
    assert world.reader == "mobile"
    assert {node.kind for node in world.nodes if "net.ipv4.tcp_timestamps" in node.sysctl} == {"host"}
    assert world.node("reader").sysctl["net.ipv4.tcp_syn_retries"] == "2"
    with pytest.raises(ProfileError, match="no cell 'noon'; it has: night"):
        profiles.rules_for(profile, COUNTRY, "noon")


def test_a_variant_is_another_reading_and_an_override_has_the_last_word() -> None:
    profile = profiles.parse(SMALL)

    def residual(**more: Any) -> float:
        return float(profiles.rules_for(profile, COUNTRY, **more)[-1].params["residual_s"])

    assert residual() == 180.0
    assert residual(variant="short") == 60.0
    assert residual(variant="short", overrides={"IR-03.residual_s": 90.0}) == 90.0
    assert residual(cell="night", variant="short") == 240.0


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("IR-03.residual_s", 301.0, "between 60 and 300"),
        ("IR-03.residual_s", "long", "between 60 and 300"),
        ("IR-03.residual_s", True, "between 60 and 300"),
        ("IR-03.residue", 1.0, "no parameter 'residue'"),
        ("IR-99.residual_s", 1.0, "no rule 'IR-99'"),
        ("IR-12.share", 0.05, "between 0.1 and 1"),
    ],
)
def test_overrides_stay_inside_what_the_sources_allow(key: str, value: Any, complaint: str) -> None:
    with pytest.raises(ProfileError, match=complaint):
        profiles.rules_for(profiles.parse(SMALL), COUNTRY, overrides={key: value})


def test_an_absent_ipv6_leaves_no_address_of_it() -> None:
    world = profiles.world_for(profiles.parse(SMALL.replace('ipv6 = "same"', 'ipv6 = "absent"')), COUNTRY)
    addresses = [address for node in world.nodes for address in world.addresses(node.name)]
    addresses += [address for site in world.sites for address in site.addresses]
    assert addresses
    assert not [address for address in addresses if ":" in address]


def test_grades_are_counted() -> None:
    assert profiles.parse(SMALL).grade_summary == "P 2, C 3, S 1, M 1"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("profile/1", "profile/9", "schema"),
        ("version = 3", "version = 0", "version"),
        ('kind = "null_route"', 'kind = "nul_route"', "no censor 'nul_route'"),
        ('id = "IR-03"', 'id = "IR-12"', "rule 'IR-12' is there twice"),
        ('id = "IR-03"', 'id = "iran"', "entry of the catalogue"),
        ("value = 180.0", "value = 500.0", "does not lie in its range"),
        (", range = [60.0, 300.0] }", " }", "grade S needs a range"),
        (', note = "no other port was tried" }', " }", "grade M needs a range"),
        ('source = "notes"', 'source = ""', "no source"),
        ("residual_s = {", "residual = {", "residual"),
        ('{ value = [443], grade = "M", source = "recalled", note = "no other port was tried" }', "[443]", "a number"),
        ('grade = "S"', 'grade = "Q"', "Invalid enum value"),
        ("@names.blocked", "@names.forbidden", "no list of names 'forbidden'"),
        ("@allowlisted", "@moon", "no place 'moon'"),
        ('rules_off = ["IR-12"]', 'rules_off = ["IR-99"]', "cell 'night': .*no rule 'IR-99'"),
        ('"IR-03.residual_s" = 240.0', '"IR-03.rest" = 240.0', "states no parameter 'rest'"),
        ('rule = "IR-03"', 'rule = "IR-99"', "controls, blocked: .*no rule 'IR-99'"),
        ('site = "open-weather.example"', 'site = "moon.example"', "no site 'moon.example'"),
        ('site = "open-weather.example"', "", "either a site or"),
        ('ipv6 = "same"', 'ipv6 = "withdrawn"', "no rule is for IPv6"),
        ('segment = "mobile"', 'segment = "sea"', "no segment 'sea'"),
        ("summary =", "sumary =", "sumary"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(old: str, new: str, complaint: str) -> None:
    assert old in SMALL
    with pytest.raises((ProfileError, worlds.WorldError), match=complaint):
        check_in(profiles.parse(SMALL.replace(old, new, 1)), COUNTRY)


def test_a_profile_of_ones_own_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(SMALL, "utf-8")
    assert profiles.load(str(file)).id == "small"


def test_every_profile_states_who_stands_where_and_both_controls() -> None:
    for name in profiles.names():
        profile = profiles.load(name)
        cells = [None, *(cell.name for cell in profile.cells)]
        for cell in cells:
            conditions = profiles.world_changes(profile, cell)
            rules = {rule.id for rule in profiles.rules_for(profile, COUNTRY, cell)}
            blocked = conditions.controls.blocked
            # A rule that is off can only be expected never to act; one that is on is expected to act.
            assert blocked.expected_rate == 0 or blocked.rule in rules, (name, cell)
            assert conditions.controls.pass_.expected_rate == 1
            assert COUNTRY.address_at(profile.placement.server)


def test_scheduled_profiles_have_two_cells() -> None:
    cells = {name: [cell.name for cell in profiles.load(name).cells] for name in profiles.names()}
    assert {name: found for name, found in cells.items() if found} == {
        "cn-2025": ["ordinary", "drill-443"],
        "cn-henan": ["timestamps-0", "timestamps-1"],
        "ir-curfew": ["in-force", "not-in-force"],
    }


def test_an_unknown_profile_names_those_there_are() -> None:
    with pytest.raises(ProfileError, match=re.escape("ru-2022")):
        profiles.load("atlantis")
