"""The router's channel to the prober: probes leave in their time, answers find their rule, memory is bounded."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator

import pytest

from rozaneh.lab.api import Probe
from rozaneh.lab.chain import Asked
from rozaneh.lab.probing import Probing


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def probe(kind: str = "R1", after: float = 0.0) -> Probe:
    return Probe("185.146.21.20", 443, b"\x00\xff", kind, after)


def test_a_replay_older_than_the_servers_window_is_counted_and_not_made(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """The lab's clock jumped, the server's did not; what was really waited for does not count."""
    ours, theirs = pair
    probing = Probing(ours, window_s=30.0)
    for kind, after in (("R1", 5.0), ("R2", 100.0), ("NR2", 100.0)):
        probing.ask(Asked(1, probe(kind, after)), now=1_000.0, raw=0.0)
    probing.send(now=1_010.0, raw=0.0)
    probing.send(now=1_200.0, raw=1.0)
    assert [json.loads(theirs.recv(4_096))["kind"] for _ in range(2)] == ["R1", "NR2"]
    assert probing.not_simulated == 1
    probing.ask(Asked(1, probe("R1", 100.0)), now=2_000.0, raw=500.0)
    probing.send(now=2_100.0, raw=600.0)
    assert json.loads(theirs.recv(4_096))["kind"] == "R1"
    assert probing.not_simulated == 1


def test_probes_leave_in_order_of_their_time(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    probing = Probing(ours)
    for rule, kind, after in ((3, "late", 60.0), (4, "soon", 5.0), (5, "now", 0.0), (6, "past", -1.0)):
        probing.ask(Asked(rule, probe(kind, after)), 100.0)
    assert probing.due == 100.0
    probing.send(104.0)
    assert probing.due == 105.0
    probing.send(200.0)
    assert probing.due is None
    sent = [json.loads(theirs.recv(4_096)) for _ in range(4)]
    assert [message["kind"] for message in sent] == ["now", "past", "soon", "late"]
    assert sent[0] == {
        "id": sent[0]["id"],
        "address": "185.146.21.20",
        "port": 443,
        "payload": base64.b64encode(b"\x00\xff").decode(),
        "kind": "now",
    }
    assert probing.receive() == []
    for message in reversed(sent):
        answer = {"id": message["id"], "reaction": "data", "seconds": 0.5, "received": 9, "source": "198.18.9.1"}
        theirs.send(json.dumps(answer).encode())
    answers = probing.receive()
    assert answers is not None
    assert [(rule, result.probe.kind, result.received) for rule, result in answers] == [
        (3, "late", 9),
        (4, "soon", 9),
        (6, "past", 9),
        (5, "now", 9),
    ]


@pytest.mark.parametrize(
    "noise",
    [
        b"no json",
        b"[]",
        b'{"ready": true}',
        b'{"id": 99, "reaction": "data", "seconds": 1, "received": 0}',
        b'{"id": 1, "reaction": "odd", "seconds": 1, "received": 0}',
    ],
)
def test_what_is_no_answer_is_let_be(pair: tuple[socket.socket, socket.socket], noise: bytes) -> None:
    ours, theirs = pair
    probing = Probing(ours)
    probing.ask(Asked(0, probe()), 0.0)
    probing.send(0.0)
    theirs.send(noise)
    assert probing.receive() == []
    theirs.send(b'{"id": 1, "reaction": "fin", "seconds": 1, "received": 0}')
    answers = probing.receive()
    assert answers is not None
    assert answers[0][1].reaction == "fin"


def test_a_prober_that_ends_or_is_not_there_is_counted(pair: tuple[socket.socket, socket.socket]) -> None:
    alone = Probing(None)
    alone.ask(Asked(0, probe()), 0.0)
    assert (alone.unsent, alone.due) == (1, None)
    ours, theirs = pair
    probing = Probing(ours)
    probing.ask(Asked(0, probe(after=5)), 0.0)
    theirs.close()
    assert probing.receive() is None
    probing.send(5.0)
    assert (probing.unsent, probing.channel) == (1, None)


def test_memory_is_bounded_and_a_busy_prober_does_not_block(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    probing = Probing(ours)
    for _ in range(6_000):
        probing.ask(Asked(0, probe()), 0.0)
    assert probing.unsent == 6_000 - 4_096
    probing.send(0.0)  # nobody reads: the kernel's queue fills, and the rest is counted
    assert probing.due is None
    assert probing.unsent > 6_000 - 4_096
