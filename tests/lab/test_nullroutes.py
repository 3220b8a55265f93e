"""Blocked endpoints: by port, by address, escalating, for as long as they say, and never without bounds."""

from __future__ import annotations

import pytest

from rozaneh.lab import craft, nullroutes
from rozaneh.lab.nullroutes import NullRoutes
from rozaneh.lab.packet import Packet, packed_address, parse
from tests.lab.censors.bench import icmp

HERE = packed_address(craft.SITE)


def back(port: int, site: str = craft.SITE) -> Packet:
    """A datagram that comes back from the site."""
    found = parse(craft.datagram(b"x", server=(site, port), outbound=False), False)
    assert found is not None
    return found


def test_by_port_and_by_address() -> None:
    by_port = NullRoutes("port", 100)
    assert by_port.block(HERE, 443, 0) == "port 443"
    assert by_port.hit(back(443), 99) == "port 443"
    assert by_port.hit(back(444), 99) == ""
    assert by_port.hit(back(443), 100) == ""
    assert len(by_port) == 0
    whole = NullRoutes("ip", 100)
    assert whole.block(HERE, 443, 0) == "address"
    ping = parse(icmp(outbound=False), False)
    assert ping
    assert whole.hit(ping, 1) == whole.hit(back(9), 1) == "address"
    assert whole.hit(back(9, "185.146.21.99"), 1) == ""


def test_escalation_counts_ports_that_are_still_blocked() -> None:
    routes = NullRoutes("escalate", 100, ports=3)
    assert [routes.block(HERE, port, at) for port, at in ((1, 0), (1, 10), (2, 20), (2, 30))] == [
        "port 1",
        "port 1",
        "port 2",
        "port 2",
    ]
    assert routes.block(HERE, 3, 111) == "port 3"  # port 1 has been free since 110
    assert routes.block(HERE, 4, 112) == "address"


@pytest.mark.parametrize(("restarts", "expected"), [(False, ""), (True, "port 443")])
def test_hits_renew_a_route_only_when_told(restarts: bool, expected: str) -> None:
    routes = NullRoutes("port", 100, restarts=restarts)
    routes.block(HERE, 443, 0)
    assert routes.hit(back(443), 90) == "port 443"
    assert routes.hit(back(443), 180) == expected


def test_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nullroutes, "_MAX", 10)
    routes = NullRoutes("escalate", 100)
    for number in range(50):
        routes.block(packed_address(f"20.0.0.{number}"), 443, 0)
    assert len(routes) == 10
    assert len(routes._blocked) == 10
    assert routes.hit(back(443, "20.0.0.49"), 1) == "port 443"
    assert routes.hit(back(443, "20.0.0.0"), 1) == ""
