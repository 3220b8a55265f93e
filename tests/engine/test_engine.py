"""The real engine behind its face: the contract, and errors that become faults."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

import msgspec
import pytest

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.engine.config import EngineConfig, ProxyListener, SameUser, TlsSecurity
from rozaneh.engine.engine import Engine, bind_fault
from tests.engine.contract import CHECKS, Ends, Make


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[[Make, Ends], None], world: Ends) -> None:
    check(Engine, world)


def test_another_certificate_than_the_pinned_one_is_told(world: Ends) -> None:
    edge = Engine(world.edge)
    edge.start()
    config = world.client()
    (upstream,) = config.upstreams
    wrong = msgspec.structs.replace(upstream, security=TlsSecurity(pin="A" * 43))
    client = Engine(msgspec.structs.replace(config, upstreams=[wrong]))
    client.start()
    try:
        probe = client.probe("way0", 10.0)
        assert (probe.ok, probe.stage) == (False, "pin")
    finally:
        client.stop()
        edge.stop()


def test_the_edges_date_comes_with_a_probe(world: Ends) -> None:
    edge, client = Engine(world.edge), Engine(world.client())
    edge.start()
    client.start()
    try:
        date = client.probe("way0", 10.0).server_date
        assert date is not None
        assert abs(date - time.time()) < 60
    finally:
        client.stop()
        edge.stop()


def test_a_document_the_engine_refuses_names_the_place() -> None:
    listener = ProxyListener(tag="local", bind="0.0.0.0:1", auth=SameUser(), upstream="nowhere")
    with pytest.raises(Fault) as caught:
        Engine(EngineConfig(listeners=[listener]))
    assert caught.value.kind is FaultKind.CONFIG
    assert "listeners[0]" in caught.value.why


def test_users_the_engine_refuses(world: Ends) -> None:
    edge = Engine(world.edge)
    edge.start()
    try:
        with pytest.raises(Fault) as caught:
            edge.set_users([msgspec.structs.replace(world.edge.users[0], user_sha256="short")])
        assert caught.value.kind is FaultKind.CONFIG
    finally:
        edge.stop()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, FaultKind.PERMISSION),
        (errno.EPERM, FaultKind.PERMISSION),
        (errno.EADDRINUSE, FaultKind.LOCAL_NETWORK),
        (errno.EADDRNOTAVAIL, FaultKind.LOCAL_NETWORK),
        (errno.EMFILE, FaultKind.FAILED),
    ],
)
def test_why_a_listener_could_not_be_opened(number: int, kind: FaultKind) -> None:
    assert bind_fault(OSError(number, "x")).kind is kind
