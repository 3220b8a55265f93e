"""What every engine does, the fake and the real one: both are held to these functions.

Each takes ``make`` (from a configuration to an engine that has not started) and the two ends of a conversation.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rozaneh.client.upstreams import looks, to_upstream
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.edge.layout import EdgeSettings
from rozaneh.engine.config import (
    ROSTER_AUTHORITY,
    Direct,
    EngineConfig,
    H2Listener,
    Service,
    Stock,
    User,
)
from rozaneh.engine.engine import EngineLike
from rozaneh.fleet.credentials import Credentials, derive
from rozaneh.ways.grammar import Way
from rozaneh.ways.grammar import make as make_way

DOCUMENT = b"any bytes \x00\xff"
Make = Callable[[EngineConfig], EngineLike]


@dataclass
class Ends:
    """The two configurations of a conversation."""

    way: Way
    credentials: Credentials
    edge: EngineConfig

    def client(self, credentials: Credentials | None = None) -> EngineConfig:
        """A client of that edge."""
        upstreams = [to_upstream(self.way, "way0", credentials or self.credentials)]
        return EngineConfig(looks=looks(upstreams), upstreams=upstreams)


def ends(directory: Path, settings: EdgeSettings, pin: str | None, documents: bool = True) -> Ends:
    """An edge at ``settings.public`` with one user."""
    credentials = derive(bytes(16), bytes(32))
    user, password = credentials.digests()
    way = make_way("h2+tls", address=str(settings.public), name=settings.host, pin=pin)
    body = {"default": base64.b64encode(DOCUMENT).decode()} if documents else {}
    edge = EngineConfig(
        workers=1,
        listeners=[
            H2Listener(
                tag="edge",
                bind=str(settings.listen),
                cert_file=str(directory / "cert.pem"),
                key_file=str(directory / "key.pem"),
                cover=Stock(),
                upstream="direct",
                services=[Service(authority=ROSTER_AUTHORITY, documents=body)],
            )
        ],
        upstreams=[Direct(tag="direct")],
        users=[User(id="inv_a", user_sha256=user, password_sha256=password)],
    )
    return Ends(way, credentials, edge)


def check_probe_and_fetch(make: Make, world: Ends) -> None:
    """A known reader is let in and gets the document of the compartment, whole."""
    edge, client = make(world.edge), make(world.client())
    edge.start()
    client.start()
    try:
        probe = client.probe("way0", 10.0)
        assert (probe.ok, probe.stage) == (True, "ok")
        assert client.fetch("way0", ROSTER_AUTHORITY, 1000, 10.0) == DOCUMENT
        with pytest.raises(Fault) as caught:
            client.fetch("way0", ROSTER_AUTHORITY, len(DOCUMENT) - 1, 10.0)
        assert caught.value.kind is FaultKind.EDGE_UNREACHABLE
    finally:
        client.stop()
        edge.stop()


def check_strangers_and_silence(make: Make, world: Ends) -> None:
    """Unknown credentials come to stage ``auth``, a closed port to ``connect``."""
    edge, client = make(world.edge), make(world.client(derive(b"x" * 16, bytes(32))))
    client.start()
    try:
        probe = client.probe("way0", 10.0)
        assert (probe.ok, probe.stage) == (False, "connect")
        edge.start()
        probe = client.probe("way0", 10.0)
        assert (probe.ok, probe.stage) == (False, "auth")
        with pytest.raises(Fault):
            client.fetch("way0", ROSTER_AUTHORITY, 1000, 10.0)
    finally:
        client.stop()
        edge.stop()


def check_users_are_swapped(make: Make, world: Ends) -> None:
    """A user who is taken away is a stranger at once, and comes back at once."""
    edge, client = make(world.edge), make(world.client())
    edge.start()
    client.start()
    try:
        assert client.probe("way0", 10.0).ok
        edge.set_users([])
        assert client.probe("way0", 10.0).stage == "auth"
        edge.set_users(world.edge.users)
        assert client.probe("way0", 10.0).ok
    finally:
        client.stop()
        edge.stop()


def check_listeners_counters_and_reload(make: Make, world: Ends) -> None:
    """Listeners are reported, counters begin at nothing, an unchanged reload changes nothing, a taken port is told."""
    edge = make(world.edge)
    edge.start()
    try:
        (listener,) = edge.listeners()
        assert (listener.tag, listener.address) == ("edge", world.way.last.get("address"))
        counters = edge.counters()
        assert (counters.tunnels_open, counters.bytes_up) == (0, 0)
        edge.reload(world.edge)
        assert edge.listeners() == [listener]
        other = make(world.edge)
        with pytest.raises(Fault) as caught:
            other.start()
        assert caught.value.kind is FaultKind.LOCAL_NETWORK
        edge.drain()
    finally:
        edge.stop()
    edge.stop()


def check_events_wait_and_return(make: Make, world: Ends) -> None:
    """``events`` comes back empty-handed after its time."""
    client = make(world.client())
    client.start()
    try:
        assert all(hasattr(event, "kind") for event in client.events(10, 0.01))
    finally:
        client.stop()


CHECKS = [
    check_probe_and_fetch,
    check_strangers_and_silence,
    check_users_are_swapped,
    check_listeners_counters_and_reload,
    check_events_wait_and_return,
]
