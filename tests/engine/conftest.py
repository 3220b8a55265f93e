"""Two ends of a conversation on loopback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rozaneh.core.addresses import Endpoint
from rozaneh.core.clock import SystemClock
from rozaneh.edge.certs import make_certificate, pin_of
from rozaneh.edge.layout import EdgeSettings

pytest.register_assert_rewrite("tests.engine.contract")

from tests.engine.contract import Ends, ends  # noqa: E402 - after its assertions were given words


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def world(tmp_path: Path) -> Ends:
    """An edge's certificate and both configurations."""
    endpoint = Endpoint.parse(f"127.0.0.1:{free_port()}")
    settings = EdgeSettings(listen=endpoint, host="news.example", address=endpoint.address)
    make_certificate(tmp_path, settings.host, SystemClock().now())
    return ends(tmp_path, settings, pin_of(tmp_path, settings))
