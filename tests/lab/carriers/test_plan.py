"""Every inner client meets every site and every address equally often."""

from __future__ import annotations

from collections import Counter

import pytest

from rozaneh.lab import worlds
from rozaneh.lab.carriers import plan
from rozaneh.lab.services import internet


@pytest.mark.parametrize("count", [40, 500])
def test_pairs_and_places_are_spread_evenly(count: int) -> None:
    made = plan.carriers(count)
    assert [one.number for one in made] == list(range(count))
    for counted in (
        Counter((one.inner, one.sites[0]) for one in made),
        Counter(one.place for one in made),
    ):
        assert max(counted.values()) - min(counted.values()) <= 1 + count // 40
    assert len(Counter((one.inner, one.sites[0], one.place) for one in made)) == 2 * 3 * 4
    assert all(one.sites[0] != one.sites[1] for one in made)


def test_the_three_sites_have_the_three_shapes_of_chains_and_every_place_an_address() -> None:
    data = worlds.load("country")
    shapes = internet.shapes(data)
    assert len({shapes[site] for site in plan.SITES}) == 3
    assert len({data.address_at(place) for place in plan.PLACES}) == 4
