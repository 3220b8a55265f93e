"""An edge in a temporary directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rozaneh.core.addresses import Endpoint
from rozaneh.core.clock import FakeClock
from rozaneh.edge.database import Database
from rozaneh.edge.init import Made, init
from rozaneh.edge.layout import EdgeSettings


@dataclass
class MadeEdge:
    """What ``edge init`` left, and a clock."""

    directory: Path
    settings: EdgeSettings
    clock: FakeClock
    made: Made


@pytest.fixture
def edge(tmp_path: Path) -> MadeEdge:
    """An edge at a global-looking address."""
    endpoint = Endpoint.parse("93.184.215.14:443")
    settings = EdgeSettings(listen=endpoint, host="news.example", address=endpoint.address)
    clock = FakeClock()
    return MadeEdge(tmp_path / "edge", settings, clock, init(tmp_path / "edge", settings, clock))


@pytest.fixture
def fronted(tmp_path: Path) -> MadeEdge:
    """An edge reached by REALITY, with a site of its own as its cover."""
    endpoint = Endpoint.parse("93.184.215.14:443")
    settings = EdgeSettings(listen=endpoint, host="news.example", address=endpoint.address, way="h2+reality")
    clock = FakeClock()
    return MadeEdge(tmp_path / "fronted", settings, clock, init(tmp_path / "fronted", settings, clock))


@pytest.fixture
def db(edge: MadeEdge) -> Iterator[Database]:
    """A connection to its database."""
    with Database(edge.directory) as database:
        yield database
