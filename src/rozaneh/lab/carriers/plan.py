"""Who fetches what through which carrier: every inner client with every site, spread over the server's addresses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice, product
from typing import Literal

# Three of the world's sites, whose chains have three shapes (`services.pki.SHAPES`), and who fetches.
SITES = ("blocked-news.example", "open-weather.example", "allowed-shop.example")
Inner = Literal["curl", "chromium"]
INNER: tuple[Inner, ...] = ("curl", "chromium")
# The places in the world where the edge has an address.
PLACES = ("hosting-clean", "hosting-suspect", "cdn", "domestic")

# Nothing in between: the benign side. Chromium and curl go to the sites themselves.
DIRECT = "direct"
WAYS = ("h2+tls", "h2+reality")
CONTROLS = ("ss-2022", "vless-reality-vision")

# One run's numbers. The issue asks for 500 carriers of each way, and 40 in `make test`.
CARRIERS, CONTROL_CARRIERS = 500, 40


@dataclass(frozen=True, slots=True)
class Carrier:
    """One carrier: by which inner client which two sites are fetched, in this order, through which address."""

    number: int
    inner: Inner
    sites: tuple[str, str]
    place: str


def carriers(count: int) -> list[Carrier]:
    """`count` carriers: all pairs of inner client and first site come equally often, and so do the places."""
    pairs = product(range(len(SITES)), INNER)
    found = []
    for number, (first, inner) in enumerate(islice(cycle(list(pairs)), count)):
        second = (first + 1) % len(SITES)
        # The pairs and the places have no common period, so that every pair meets every place.
        place = PLACES[(number + number // (len(SITES) * len(INNER))) % len(PLACES)]
        found.append(Carrier(number, inner, (SITES[first], SITES[second]), place))
    return found
