"""A raised world carries real kernels' traffic, and each censor's effect is what a real program meets."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from rozaneh.lab import dnsmessage, isolate, linux, pcap, scenarios, worlds
from rozaneh.lab.packet import parse
from rozaneh.lab.router import RuleConfig
from rozaneh.lab.services.internet import Internet
from rozaneh.lab.world import Raised

T = TypeVar("T")

WORLD = worlds.load("newsstand")
RESOLVER, RESOLVER6 = WORLD.resolver_addresses()
SITES = {site.name.partition(".")[0]: site for site in WORLD.sites}


def in_world(function: Callable[[Raised, Internet], T], *rules: RuleConfig, captures: Path | None = None) -> T:
    """Raises the newsstand with its services, calls `function` in it, and carries its result out."""

    def inside() -> T:
        with Raised(WORLD, rules=rules, captures=captures) as world:
            return function(world, Internet(world))

    return isolate.run(inside)


def curl(world: Raised, internet: Internet, url: str, *options: str) -> tuple[int, str]:
    """curl at the reader's home: its exit code and output."""
    argv = ["curl", "-sS", "--max-time", "20", "--cacert", str(internet.authority), *options, url]
    return world.reader.run(argv, timeout=30)


def ask(world: Raised, name: str, kind: int = dnsmessage.A, server: str = RESOLVER, *, tcp: bool = False) -> Any:
    """A DNS question from the reader's home, by hand: the answer's code and addresses, or the exception's name."""

    def inside() -> Any:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((server, 53))
            message = dnsmessage.write_query(1, name, kind)
            client.send(len(message).to_bytes(2, "big") + message if tcp else message)
            answer = client.recv(4_096)
            return dnsmessage.read_answers(answer[2:] if tcp else answer)

    return world.reader.call(inside)


def test_without_rules_everything_passes_both_families(tmp_path: Path) -> None:
    site = SITES["harbour-post"]

    def look(world: Raised, internet: Internet) -> dict[str, Any]:
        return {
            "ping": [
                # As large as the cable allows: 1,500 bytes less the headers of IP and ICMP.
                world.reader.run(["ping", "-c", "1", "-W", "5", "-M", "do", "-s", size, address])[0]
                for address, size in zip(site.addresses, ("1472", "1452"), strict=True)
            ],
            "page4": curl(world, internet, f"https://{site.name}/", "-4"),
            "page6": curl(world, internet, f"https://{site.name}/", "-6"),
            "redirect": curl(world, internet, f"http://{site.name}/", "-o", "/dev/null", "-w", "%{redirect_url}"),
            "h2": curl(world, internet, f"https://{site.name}/", "-o", "/dev/null", "-w", "%{http_version}"),
            "offloads": {
                node.name: node.call(lambda: sorted(linux.offloads_on("eth0"))) for node in world.nodes.values()
            },
            "cc": world.reader.call(lambda: Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()),
            "wish": world.congestion_control,
            "stats": world.censor.stats(),
            "acts": world.censor.acts(),
        }

    seen = in_world(look, captures=tmp_path)
    assert seen["ping"] == [0, 0]
    for page in ("page4", "page6"):
        assert seen[page][0] == 0
        assert site.text in seen[page][1]
    assert seen["redirect"] == (0, f"https://{site.name}/")
    assert seen["h2"] == (0, "2")
    assert set(map(tuple, seen["offloads"].values())) == {()}
    assert seen["cc"] == seen["wish"] in WORLD.congestion_control
    assert seen["stats"]["errors"] == seen["stats"]["lost"] == seen["stats"]["malformed"] == 0
    assert seen["acts"] == []
    # What left one side arrived at the other, one hop shorter, and no packet was larger than the cable allows.
    inner, outer = ([raw for _, raw in pcap.read(tmp_path / f"{side}-side.pcap")] for side in ("reader", "internet"))
    assert len(inner) == len(outer) > 40
    assert max(len(raw) for raw in inner) == 1_500
    assert [abs(parse(a, True).ip.ttl - parse(b, True).ip.ttl) for a, b in zip(inner, outer, strict=True)] == [1] * len(
        inner
    )  # type: ignore[union-attr]


def test_the_resolver_knows_the_world_and_nothing_else() -> None:
    site = SITES["field-radio"]

    def look(world: Raised, _: Internet) -> list[Any]:
        return [
            ask(world, site.name),
            ask(world, site.name, dnsmessage.AAAA),
            ask(world, site.name, server=RESOLVER6),
            ask(world, site.name, tcp=True),
            ask(world, "elsewhere.example"),
            ask(world, site.name, kind=65),
        ]

    four, six = [site.addresses[0]], [site.addresses[1]]
    assert in_world(look) == [(0, four), (0, six), (0, four), (0, four), (dnsmessage.NXDOMAIN, []), (0, [])]


def test_forged_answers_reach_the_reader_and_queries_do_not_reach_the_resolver(tmp_path: Path) -> None:
    name = SITES["harbour-post"].name
    rule = RuleConfig(kind="dns_forge", id="IR-01", params={"names": [name]})

    def look(world: Raised, internet: Internet) -> list[Any]:
        return [
            ask(world, f"www.{name}"),
            ask(world, name, dnsmessage.AAAA, RESOLVER6),
            ask(world, SITES["field-radio"].name),
            curl(world, internet, f"https://{name}/")[0],
            curl(world, internet, f"http://{name}/"),
        ]

    forged4, forged6, honest, secure, plain = in_world(look, rule, captures=tmp_path)
    assert (forged4, forged6) == ((0, ["10.10.34.36"]), (0, ["d0::11"]))
    assert honest == (0, [SITES["field-radio"].addresses[0]])
    assert secure == 60  # curl: the certificate is not from an authority it knows
    assert plain[0] == 0
    assert "restricted content" in plain[1]
    outside = b"".join(raw for _, raw in pcap.read(tmp_path / "internet-side.pcap"))
    assert b"\x0charbour-post" not in outside
    assert b"\x0bfield-radio" in outside


def test_a_reset_meets_the_name_and_not_the_address() -> None:
    blocked, spared = SITES["morning-ledger"], SITES["field-radio"]
    rule = RuleConfig(kind="sni_reset", id="IR-03", params={"names": [blocked.name]})

    def look(world: Raised, internet: Internet) -> list[Any]:
        to_blocked = f"{spared.name}:443:{blocked.addresses[0]}"
        return [
            curl(world, internet, f"https://{blocked.name}/", "-4")[0],
            curl(world, internet, f"https://{blocked.name}/", "-6")[0],
            curl(world, internet, f"https://{spared.name}/")[0],
            # The blocked site's address under a name that is not listed: no reset, the site's other certificate.
            curl(world, internet, f"https://{spared.name}/", "--resolve", to_blocked)[0],
            {act["rule"] for act in world.censor.acts()},
        ]

    # curl: 35 = reset during the TLS handshake, 60 = certificate of another name.
    assert in_world(look, rule) == [35, 35, 0, 60, {"IR-03"}]


def test_a_dropped_address_is_silent_and_the_residual_ends_with_the_labs_clock() -> None:
    name = SITES["morning-ledger"].name
    dropped = SITES["field-radio"]
    rules = [
        RuleConfig(kind="ip_drop", id="IR-12", params={"prefixes": list(dropped.addresses)}),
        RuleConfig(kind="sni_reset", id="IR-03", params={"names": [name]}),
    ]
    fixed = ("--local-port", "50123")

    def look(world: Raised, internet: Internet) -> list[Any]:
        silent = curl(world, internet, f"https://{dropped.name}/", "--connect-timeout", "2", "-4")[0]
        reset = curl(world, internet, f"https://{name}/", "-4", *fixed)[0]
        # The same four-tuple goes nowhere now, another port does; three minutes of the lab's time later it is free.
        held = curl(world, internet, f"https://{name}/", "-4", "--connect-timeout", "1", *fixed)[0]
        other_port = curl(world, internet, f"https://{name}/", "-4", "--local-port", "50124")[0]
        began = time.monotonic()
        world.censor.jump(181)
        again = curl(world, internet, f"https://{name}/", "-4", *fixed)[0]
        return [silent, reset, held, other_port, again, time.monotonic() - began]

    *codes, took = in_world(look, *rules)
    assert codes == [28, 35, 28, 35, 35]  # curl: 28 = nothing came in time, 35 = reset during the handshake
    assert took < 60


def test_the_block_page_comes_over_http_only() -> None:
    name = SITES["evening-courier"].name
    rule = RuleConfig(kind="http_block", id="IR-02", params={"names": [name], "text": "Not here"})

    def look(world: Raised, internet: Internet) -> list[Any]:
        return [
            curl(world, internet, f"http://{name}/", "-w", "%{http_code}", "-4"),
            curl(world, internet, f"http://{name}/", "-w", "%{http_code}", "-6"),
            curl(world, internet, f"https://{name}/")[0],
        ]

    four, six, secure = in_world(look, rule)
    for code, body in (four, six):
        assert code == 0
        assert "Not here" in body
        assert body.endswith("403")
    assert secure == 0


def test_rules_of_a_scenario_do_not_touch_each_others_sites() -> None:
    def look(world: Raised, internet: Internet) -> list[int]:
        return [curl(world, internet, f"https://{SITES['evening-courier'].name}/")[0]]

    assert in_world(look, *scenarios.load("four_blocks").rules) == [0]


@pytest.mark.parametrize("command", [{"do": "dance"}, {"do": "jump", "seconds": -1}])
def test_the_router_refuses_what_it_does_not_know_and_goes_on(command: dict[str, Any]) -> None:
    def look(world: Raised, internet: Internet) -> list[Any]:
        try:
            world.censor._ask(command)
            refused = ""
        except ValueError as error:
            refused = str(error)
        return [refused, ask(world, "resolver.example")]

    refused, answer = in_world(look)
    assert "unknown command" in refused
    assert answer == (0, [RESOLVER])
