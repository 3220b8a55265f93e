"""The rule about fully encrypted traffic, around its exemptions: connections, families, sampling."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from rozaneh.lab import craft
from rozaneh.lab.verify.fet import PAYLOAD
from tests.lab.censors.bench import Bench, mutilated


@pytest.mark.parametrize("params", [{"rate": 1.5}, {"variant": "mine"}, {"residual_key": "6-tuple"}])
def test_wrong_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError)):
        Bench("fet", **params)


@pytest.mark.parametrize("v6", [False, True])
def test_only_the_first_payload_counts_and_only_the_client_is_dropped(v6: bool) -> None:
    bench = Bench("fet", rate=1.0)
    spared = craft.Connection(v6=v6)
    assert bench.opens(spared)
    assert bench.passes(spared.data(b"GET / HTTP/1.1\r\n\r\n"))
    assert bench.passes(spared.data(PAYLOAD))
    caught = craft.Connection((craft.READER6 if v6 else craft.READER, 40_001), v6=v6, isn=77)
    assert bench.opens(caught)
    assert bench.passes(caught.data(PAYLOAD, outbound=False), False)  # the server's bytes are not looked at
    outcome = bench.send(caught.data(PAYLOAD))
    assert outcome.forward is None
    assert [act.why for act in outcome.acts] == ["fully encrypted first payload, 50 bytes"]
    assert bench.passes(caught.data(b"answer", outbound=False), False)
    assert not bench.passes(spared.data(b"more"))  # the three-tuple, whatever was on its connections before


@pytest.mark.parametrize(("needs_syn", "passes"), [(True, True), (False, False)])
def test_a_connection_that_was_there_before(needs_syn: bool, passes: bool) -> None:
    assert Bench("fet", rate=1.0, needs_syn=needs_syn).passes(craft.Connection().data(PAYLOAD)) is passes


def test_connections_from_outside_are_left_alone() -> None:
    bench = Bench("fet", rate=1.0)
    inward = craft.Connection((craft.SITE, 40_000), (craft.READER, 443), outside_client=True)
    assert bench.opens(inward)
    assert bench.passes(inward.data(PAYLOAD, outbound=False), False)
    assert bench.passes(inward.data(PAYLOAD))


def test_udp_is_left_alone_and_rubbish_raises_nothing() -> None:
    bench = Bench("fet", rate=1.0)
    assert bench.datagram(PAYLOAD)
    for raw in mutilated(craft.Connection().data(Random(1).randbytes(60)), 600):  # noqa: S311 - repeatability is the point
        bench.send(raw)


def test_sampling_follows_the_seed() -> None:
    def caught(seed: int) -> list[bool]:
        bench = Bench("fet", rate=0.263, residual_s=0, seed=seed)
        found = []
        for port in range(2_000, 2_100):
            one = craft.Connection((craft.READER, port))
            bench.opens(one)
            found.append(not bench.passes(one.data(PAYLOAD)))
        return found

    assert caught(1) == caught(1) != caught(2)
