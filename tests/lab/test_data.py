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
