"""The country stands: both access networks reach every placement, and the prober's addresses lie outside the censor."""

from __future__ import annotations

import pytest

from rozaneh.lab import isolate, profiles, worlds
from rozaneh.lab.world import Raised

COUNTRY = worlds.load("country")


def pings(world: Raised, node: str, addresses: list[str], *options: str) -> list[int]:
    """The exit codes of one echo request to each address."""
    return [
        world.nodes[node].run(["ping", "-c", "1", "-W", "2", *options, address], timeout=10)[0] for address in addresses
    ]


def test_every_address_is_reached_from_both_access_networks_and_by_the_prober() -> None:
    def inside() -> tuple[list[int], list[int], list[int], int]:
        with Raised(COUNTRY) as world:
            outside = [address for node in ("server", "sites", "prober") for address in COUNTRY.addresses(node)]
            near, far = (pings(world, node, outside) for node in ("reader", "mobile"))
            before = world.censor.stats()["forwarded"]
            pool = [
                pings(world, "prober", [COUNTRY.address_at("hosting-suspect", 6 if ":" in source else 4)], "-I", source)
                for source in COUNTRY.addresses("prober")
            ]
            crossed = world.censor.stats()["forwarded"] - before
            return near, far, [code for codes in pool for code in codes], crossed

    near, far, pool, crossed = isolate.run(inside)
    assert set(near) == set(far) == set(pool) == {0}
    assert len(pool) == 10
    assert crossed == 0


@pytest.mark.parametrize(("profile", "ipv4", "ipv6"), [("ir-2025-06-stage4", 0, 1), ("ru-2022", 0, 0)])
def test_a_profiles_rules_stand_in_its_world(profile: str, ipv4: int, ipv6: int) -> None:
    chosen = profiles.load(profile)
    data = profiles.world_for(chosen, COUNTRY)
    site = next(site for site in data.sites if site.name == "allowed-shop.example")

    def inside() -> list[int]:
        with Raised(data, rules=profiles.rules_for(chosen, data)) as world:
            return [
                # A port nobody listens on answers with a reset, which curl tells from silence (7 and 28).
                world.reader.run(["curl", "-sS", "--max-time", "1", f"http://{host}/"], timeout=10)[0]
                for host in (site.addresses[0], f"[{site.addresses[1]}]")
            ]

    assert [code == 28 for code in isolate.run(inside)] == [bool(ipv4), bool(ipv6)]


def test_a_cells_settings_reach_the_kernels() -> None:
    chosen = profiles.load("cn-henan")

    def inside(cell: str) -> list[str]:
        with Raised(profiles.world_for(chosen, COUNTRY, cell)) as world:
            return [
                world.nodes[node].run(["cat", "/proc/sys/net/ipv4/tcp_timestamps"])[1].strip()
                for node in ("reader", "server")
            ]

    assert isolate.run(lambda: inside("timestamps-0")) == ["0", "0"]
    assert isolate.run(lambda: inside("timestamps-1")) == ["1", "1"]
