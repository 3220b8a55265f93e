"""Worlds and scenarios are checked data, routes follow from them, verdicts follow from what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from rozaneh.lab import pcap, plaintext, routes, runner, scenarios, worlds
from rozaneh.lab.browser.chromium import Visit
from rozaneh.lab.dnsmessage import write_query
from rozaneh.lab.scenarios import ScenarioError
from rozaneh.lab.worlds import WorldError
from tests.lab.crafted import READER, SITE, Connection, client_hello, datagram

LINE = """
schema = "rozaneh.lab.world/1"
name = "line"
summary = "a reader, a censor, a server"
reader = "a"
edge = "c"
resolver = "c"
nodes = [{ name = "a", kind = "host" }, { name = "b", kind = "censor" }, { name = "c", kind = "host" }]

[[links]]
ends = [{ node = "a", addresses = ["151.240.18.77"] }, { node = "b" }]

[[links]]
ends = [{ node = "b" }, { node = "c", addresses = ["185.146.21.20", "185.146.21.21"] }]
"""


@pytest.mark.parametrize("name", worlds.names())
def test_worlds_that_come_along_are_whole(name: str) -> None:
    world = worlds.load(name)
    assert world.name == name
    for node in world.nodes:
        everything = {address for other in world.nodes if other != node for address in world.addresses(other.name)}
        assert set(routes.first_hops(world, node.name)) == everything


@pytest.mark.parametrize("name", scenarios.names())
def test_scenarios_that_come_along_are_whole(name: str) -> None:
    assert scenarios.load(name).name == name


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("world/1", "world/9", "schema"),
        ('reader = "a"', 'reader = "z"', "no node 'z'"),
        ('name = "c", kind', 'name = "a", kind', "twice"),
        ('"185.146.21.21"', '"151.240.18.77"', "twice"),
        ('"185.146.21.21"', '"185.146.21.021"', "185.146.21.021"),
        ('"185.146.21.21"', '"2A04::1"', "usual form"),
        ('kind = "censor"', 'kind = "dragon"', "dragon"),
        ('name = "a", kind = "host"', 'name = "a", kind = "censor"', "exactly two links"),
        ("summary =", "sumary =", "sumary"),
    ],
)
def test_worlds_that_do_not_fit_are_refused(old: str, new: str, complaint: str) -> None:
    worlds.parse(LINE)
    assert old in LINE
    with pytest.raises(WorldError, match=complaint):
        worlds.parse(LINE.replace(old, new))


def test_unknown_worlds_and_scenarios_name_what_there_is() -> None:
    with pytest.raises(WorldError, match="newsstand"):
        worlds.load("atlantis")
    with pytest.raises(ScenarioError, match="four_blocks"):
        scenarios.load("atlantis")


PLACES = (
    LINE
    + """
[[places]]
label = "domestic"
prefixes = ["151.240.16.0/20"]

[[places]]
label = "hosting-clean"
prefixes = ["185.146.0.0/16"]

[[places]]
label = "cdn"
prefixes = ["185.146.21.20/31"]

[[segments]]
name = "fixed"
node = "a"

[[segments]]
name = "other"
node = "c"
"""
)


def test_places_label_addresses_and_the_longest_prefix_counts() -> None:
    world = worlds.parse(PLACES)
    assert world.prefixes("cdn") == ("185.146.21.20/31",)
    assert world.addresses_at("hosting-clean", "c") == ["185.146.21.20", "185.146.21.21"]
    assert world.address_at("cdn", node="c") == "185.146.21.20"
    assert [world.placement_of(a) for a in ("151.240.18.77", "185.146.21.21", "185.146.22.1", "9.9.9.9")] == [
        "domestic",
        "cdn",
        "hosting-clean",
        "",
    ]
    with pytest.raises(WorldError, match="no place 'moon'; it has: domestic, hosting-clean, cdn"):
        world.prefixes("moon")
    with pytest.raises(WorldError, match="no IPv6 address at 'cdn'"):
        world.address_at("cdn", 6, "c")


def test_a_world_seen_from_another_segment_has_another_reader() -> None:
    world = worlds.parse(PLACES)
    assert (world.reader, world.seen_from("other").reader) == ("a", "c")
    with pytest.raises(WorldError, match="no segment 'sea'; it has: fixed, other"):
        world.seen_from("sea")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("185.146.0.0/16", "185.146.0.1/16", "host bits"),
        ("185.146.0.0/16", "185.146.0.0", "usual form"),
        ('name = "other"\nnode = "c"', 'name = "other"\nnode = "z"', "no node 'z'"),
        ('name = "line"', 'name = "line"\nprober = "z"', "no node 'z'"),
        ('name = "line"', 'name = "line"\nresolvers = ["z"]', "no node 'z'"),
        ('name = "line"', 'name = "line"\ndelegations = [{ zone = "t.example", node = "z" }]', "no node 'z'"),
    ],
)
def test_places_and_segments_that_do_not_fit_are_refused(old: str, new: str, complaint: str) -> None:
    assert old in PLACES
    with pytest.raises(WorldError, match=complaint):
        worlds.parse(PLACES.replace(old, new))


COUNTRY = worlds.load("country")


def test_the_server_has_one_address_of_each_family_at_each_placement() -> None:
    for label in worlds.PLACEMENTS:
        assert len(COUNTRY.addresses_at(label)) == 2
        for version in (4, 6):
            assert COUNTRY.placement_of(COUNTRY.address_at(label, version)) == label  # type: ignore[arg-type]
    assert len(COUNTRY.addresses("server")) == 2 * len(worlds.PLACEMENTS)


def test_names_of_the_server_point_where_it_is_placed() -> None:
    everywhere, there = COUNTRY.zone(), COUNTRY.zone("cdn")
    assert len(everywhere["garden-photos.example"]) == 10
    assert there["garden-photos.example"] == COUNTRY.addresses_at("cdn")
    assert {**there, "garden-photos.example": []} == {**everywhere, "garden-photos.example": []}


def test_sites_resolvers_and_probers_stand_where_profiles_expect_them() -> None:
    placed = {site.name: {COUNTRY.placement_of(address) for address in site.addresses} for site in COUNTRY.sites}
    assert placed == {
        "blocked-news.example": {"hosting-clean"},
        "open-weather.example": {"hosting-clean"},
        "allowed-shop.example": {"allowlisted"},
        "cdn-photo.example": {"cdn"},
        "rented-blog.example": {"hosting-suspect"},
    }
    assert COUNTRY.resolver_nodes() == ("resolver-a", "resolver-b", "resolver-c")
    for node, label in (("resolver-a", "resolvers-open"), ("resolver-b", "resolvers-open"), ("reader", "inside-fixed")):
        assert COUNTRY.addresses_at(label, node) == COUNTRY.addresses(node)
    assert COUNTRY.addresses_at("resolvers-open", "resolver-c") == []
    assert COUNTRY.addresses_at("prober", COUNTRY.prober) == COUNTRY.addresses(COUNTRY.prober)
    assert len(COUNTRY.addresses("prober")) == 10
    assert COUNTRY.seen_from("mobile").reader == "mobile"
    assert COUNTRY.addresses_at("inside-mobile", "mobile") == COUNTRY.addresses("mobile")


def test_one_censor_stands_between_every_reader_and_everything_outside() -> None:
    near = {"reader", "mobile", "access"}
    crossing = [link for link in COUNTRY.links if "provider" in (link.ends[0].node, link.ends[1].node)]
    assert [end.node for link in crossing for end in link.ends] == ["access", "provider", "provider", "exchange"]
    rest = [link for link in COUNTRY.links if link not in crossing]
    assert all((link.ends[0].node in near) == (link.ends[1].node in near) for link in rest)


def test_routes_of_a_line() -> None:
    world = worlds.parse(LINE)
    assert routes.interface_numbers(world) == {(0, 0): 0, (0, 1): 0, (1, 0): 1, (1, 1): 0}
    assert routes.first_hops(world, "b") == {
        "151.240.18.77": (0, 1),
        "185.146.21.20": (1, 0),
        "185.146.21.21": (1, 0),
    }
    assert routes.first_hops(world, "c") == {"151.240.18.77": (1, 1)}


SCENARIO = """
schema = "rozaneh.lab.scenario/1"
name = "x"
summary = "x"
world = "newsstand"
rules = [{ id = "R", kind = "ip_drop", params = { prefixes = ["185.146.21.30"] } }]

[[trials]]
site = "field-radio.example"
url = "https://field-radio.example/"
rule = "R"
expect = { direct = "blocked" }
"""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"ip_drop"', '"ip_dorp"', "no censor"),
        ('["185.146.21.30"]', '["185.146.21"]', "rule 'R'"),
        ('rule = "R"', 'rule = "S"', "not there"),
        ('site = "field', 'site = "meadow', "no site"),
        ('"blocked"', '"broken"', "broken"),
        ('"newsstand"', '"atlantis"', "no world"),
    ],
)
def test_scenarios_that_do_not_fit_are_refused(old: str, new: str, complaint: str) -> None:
    scenarios.parse(SCENARIO)
    assert old in SCENARIO
    with pytest.raises((ScenarioError, WorldError), match=complaint):
        scenarios.parse(SCENARIO.replace(old, new))


# --- verdicts

WORLD = worlds.load("newsstand")
RADIO = next(site for site in WORLD.sites if site.name == "field-radio.example")
GENUINE = Visit(error="", status=200, text=f"{RADIO.title}\n{RADIO.text}", url=f"https://{RADIO.name}/", secure=True)
DROPPED = {
    "rule": "IR-12",
    "action": "drop",
    "why": "address 185.146.21.30",
    "packet": f"tcp {READER}:40000 > 185.146.21.30:443 S 0",
}


def test_a_genuine_page_works() -> None:
    assert runner.judge(GENUINE, RADIO, []) == ("works", "")
    assert runner.judge(GENUINE, RADIO, [DROPPED]) == ("works", "")


@pytest.mark.parametrize(
    "change",
    [
        {"error": "net::ERR_CONNECTION_TIMED_OUT"},
        {"status": 403},
        {"secure": False},
        {"text": "Access to this page is not possible"},
        {"text": RADIO.title},
        {"url": "https://elsewhere.example/"},
    ],
)
def test_anything_else_is_blocked_only_if_a_rule_was_seen(change: dict[str, object]) -> None:
    visit = Visit(**{**{name: getattr(GENUINE, name) for name in Visit.__slots__}, **change})  # type: ignore[arg-type]
    assert runner.judge(visit, RADIO, [DROPPED]) == ("blocked", "IR-12")
    assert runner.judge(visit, RADIO, []) == ("error", "")
    neighbour = {**DROPPED, "why": "address 185.146.21.3", "packet": "tcp 1.2.3.4:1 > 185.146.21.3:443 S 0"}
    assert runner.judge(visit, RADIO, [neighbour]) == ("error", "")
    assert runner.judge(visit, RADIO, [{**DROPPED, "action": "error"}]) == ("error", "IR-12")


def test_a_result_is_expected_only_with_the_right_rule() -> None:
    trial = scenarios.load("four_blocks").trials[2]
    values = {"error": "", "status": 0, "seconds": 1.0, "screenshot": ""}
    fitting = runner.Result(trial=trial, subject="direct", verdict="blocked", cause="IR-12", **values)  # type: ignore[arg-type]
    wrong_rule = runner.Result(trial=trial, subject="direct", verdict="blocked", cause="IR-03", **values)  # type: ignore[arg-type]
    opened = runner.Result(trial=trial, subject="direct", verdict="works", cause="", **values)  # type: ignore[arg-type]
    assert (fitting.expected, wrong_rule.expected, opened.expected) == (True, False, False)


# --- what a capture gives away


def test_a_capture_tells_what_went_out_in_plain(tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    early, late = Connection(sport=1), Connection(sport=2)
    tcp_query = Connection(port=53, sport=3)
    message = write_query(1, "over-tcp.example")
    writer = pcap.Writer(file)
    for when, p in [
        (10, early.syn()),
        (11, datagram(write_query(1, "Early.example"))),
        (20, early.data(client_hello("early.example"))),  # began before the time looked at
        (21, datagram(write_query(1, "Late.example"))),
        (22, late.syn()),
        (23, late.data(client_hello("late.example"))),
        (24, tcp_query.syn()),
        (25, tcp_query.data(len(message).to_bytes(2, "big") + message)),
        (31, datagram(write_query(1, "too-late.example"))),
    ]:
        writer.write(p.raw, when)
    writer.close()
    assert plaintext.dns_queries(file, 20, 30) == {"late.example": 1, "over-tcp.example": 1}
    names = ["early.example", "late.example", "over-tcp.example", "too-late.example"]
    assert plaintext.names_in_clear(file, names, 20, 30) == {"late.example": 2, "over-tcp.example": 1}
    assert plaintext.connections_to(file, [SITE], 0, 15) == 2  # a connection and a query
    assert plaintext.connections_to(file, [SITE], 20, 30) == 3
    assert plaintext.connections_to(file, ["185.146.21.99"], 0, 99) == 0
