"""Somebody removed loses what runs and gets the cover; everybody else notices nothing. And the engine's own life."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.interop.conftest import Pair, Start
from tests.interop.nginx_oracle import free_port
from tests.interop.origin import BLOCK, Origin, content_hash
from tests.interop.programs import Refused, association, encode, fetch, tunnel
from tests.interop.rig import (
    ALICE,
    BOB,
    DEADLINE,
    LOOPBACK,
    Account,
    Identity,
    Running,
    client_document,
    edge_document,
    make_identity,
    until,
    way,
)
from tests.interop.stranger_cases import CONNECT, auth
from tests.interop.visitor import H2Visitor

#: The issue's promise: a revoked invite's tunnels are cut within a second.
A_SECOND = 1.0


@pytest.fixture
def bob(start: Start, pair: Pair) -> Running:
    """Another reader of the same edge."""
    return start(client_document(way(pair.edge.address, pair.identity, BOB)))


def ended(sock: socket.socket) -> None:
    """Reads to the end, reset or not."""
    try:
        while sock.recv(1 << 20):
            pass
    except ConnectionResetError:
        pass


def echoes(sock: socket.socket, text: bytes = b"still here") -> bool:
    """Whether a tunnel to the echo answers."""
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        part = sock.recv(64)
        if not part:
            return False
        got += part
    return got == text


def test_idle_tunnels_are_cut(pair: Pair, bob: Running, origin: Origin) -> None:
    with ExitStack() as stack:
        mine = [stack.enter_context(tunnel(pair.client.place, "127.0.0.1", origin.echo)) for _ in range(20)]
        others = [stack.enter_context(tunnel(bob.place, "127.0.0.1", origin.echo)) for _ in range(5)]
        assert all(echoes(sock) for sock in (*mine, *others))
        assert pair.edge.user(ALICE)["tunnels_open"] == 20
        began = time.monotonic()
        pair.edge.set_users([BOB])
        for sock in mine:
            ended(sock)
        assert time.monotonic() - began < A_SECOND
        until(lambda: pair.edge.user(ALICE)["tunnels_open"] == 0, "nothing of the removed one runs")
        assert all(echoes(sock) for sock in others)
        assert pair.edge.user(BOB)["tunnels_open"] == 5


@pytest.mark.parametrize("direction", ["down", "up"])
def test_flowing_tunnels_are_cut(pair: Pair, bob: Running, origin: Origin, direction: str) -> None:
    with (
        tunnel(pair.client.place, "127.0.0.1", origin.flood if direction == "down" else origin.echo) as sock,
        tunnel(bob.place, "127.0.0.1", origin.echo) as other,
    ):
        if direction == "down":
            for _ in range(64):
                assert sock.recv(1 << 16)
        else:
            # The echo is never read: all queues on the way are full, and the sender waits.
            sock.setblocking(False)
            while select.select([], [sock], [], 0.3)[1]:
                sock.send(BLOCK[: 1 << 16])
            sock.settimeout(DEADLINE)
        began = time.monotonic()
        pair.edge.set_users([BOB])
        ended(sock)
        assert time.monotonic() - began < A_SECOND
        assert echoes(other)


def test_udp_is_cut(pair: Pair, origin: Origin) -> None:
    """Datagrams of a removed user go nowhere any more."""
    head = b"\0\0\0" + encode("127.0.0.1", origin.udp)
    with association(pair.client.place) as (udp, relay):
        udp.sendto(head + b"one", relay)
        assert udp.recv(100).endswith(b"one")
        assert pair.edge.user(ALICE)["tunnels_open"] == 1
        pair.edge.set_users([BOB])
        until(lambda: pair.edge.user(ALICE)["tunnels_open"] == 0, "the flow is cut", A_SECOND)
        # What is sent now asks for a new flow, and is told what a stranger is told: the edge counts a visit.
        before = pair.edge.user(ALICE)["up"]

        def asked() -> bool:
            udp.sendto(head + b"two", relay)
            return bool(pair.edge.counters()["visits"])

        until(asked, "the request met the cover")
        assert pair.edge.user(ALICE)["up"] == before


def test_afterwards_there_is_only_the_cover(pair: Pair, origin: Origin) -> None:
    """New tunnels on the old carrier, on a new one, and a probe."""
    assert fetch(pair.client.place, origin.http, 1000) == content_hash(1000)
    pair.edge.set_users([BOB])
    assert fetch(pair.client.place, origin.http, 1000) == ""
    assert pair.client.probe()["stage"] == "auth"
    with H2Visitor(pair.edge.place) as visitor:
        visitor.send(visitor.headers([*CONNECT, *auth(ALICE.basic)]))
        assert visitor.answered()
        visitor.settle()
        assert visitor.leave().status() == "400"
    # And back again: the same carrier, no grudge.
    pair.edge.set_users([ALICE, BOB])
    assert pair.client.probe()["ok"]
    assert fetch(pair.client.place, origin.http, 1000) == content_hash(1000)


def test_the_cover_on_an_old_carrier_is_the_covers_answer(pair: Pair) -> None:
    """The frames a removed user gets on a connection that was let in before are a stranger's frames."""
    fields = [CONNECT[0], (":authority", "roster.rozaneh.invalid:443"), *auth(ALICE.basic)]
    seen = []
    for known in (True, False):
        with H2Visitor(pair.edge.place) as visitor:
            visitor.settle(b"greeting")
            if known:
                visitor.send(visitor.headers(fields, end=True))
                assert visitor.answered()
                visitor.settle()
                assert visitor.seen.status() == "200"
                pair.edge.set_users([BOB])
                visitor.seen.frames.clear()
                visitor.send(visitor.headers(fields, stream=3, end=True))
                assert visitor.answered(3)
            else:
                visitor.seen.frames.clear()
                visitor.send(visitor.headers(fields, end=True))
                assert visitor.answered()
            visitor.settle()
            seen.append([(frame[0], *frame[2:]) for frame in visitor.seen.frames])
    assert seen[0] == seen[1]


def test_a_change_of_password_cuts_and_a_change_of_limits_does_not(pair: Pair, origin: Origin) -> None:
    with tunnel(pair.client.place, "127.0.0.1", origin.echo) as sock:
        pair.edge.set_users([Account(ALICE.id, ALICE.user, ALICE.password, up=50_000_000), BOB])
        assert echoes(sock)
        pair.edge.set_users([Account(ALICE.id, ALICE.user, "another"), BOB])
        began = time.monotonic()
        ended(sock)
        assert time.monotonic() - began < A_SECOND


def test_a_reload_keeps_what_did_not_change(pair: Pair, origin: Origin, tmp_path: Path) -> None:
    with tunnel(pair.client.place, "127.0.0.1", origin.echo) as sock:
        assert echoes(sock)
        document = json.loads(json.dumps(pair.edge.document))
        more = dict(document["listeners"][0], tag="second", bind="127.0.0.1:0")
        document["listeners"].append(more)
        pair.edge.engine.reload(json.dumps(document))
        assert echoes(sock)
        second = next(one for one in json.loads(pair.edge.engine.listeners()) if one["tag"] == "second")
        with Running(client_document(way(second["address"], pair.identity, BOB))) as through:
            assert fetch(through.place, origin.http, 10) == content_hash(10)
        # Refused as a whole: nothing changes.
        bad = json.loads(json.dumps(document))
        bad["listeners"][0]["cert_file"] = str(tmp_path / "missing.pem")
        with pytest.raises(OSError, match="cert_file"):
            pair.edge.engine.reload(json.dumps(bad))
        assert len(json.loads(pair.edge.engine.listeners())) == 2
        # The second goes, and its port with it; the first stays.
        pair.edge.engine.reload(json.dumps(pair.edge.document))
        host, _, port = second["address"].rpartition(":")

        def closed() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex((host, int(port))) != 0

        until(closed, "the second listener is gone")
        assert echoes(sock)


def test_a_reload_may_change_the_policy_under_way(pair: Pair, origin: Origin) -> None:
    """New dials follow the new rules; what runs goes on."""
    with tunnel(pair.client.place, "127.0.0.1", origin.echo) as sock:
        document = json.loads(json.dumps(pair.edge.document))
        document["policy"]["allow"] = []
        pair.edge.engine.reload(json.dumps(document))
        assert echoes(sock)
        assert fetch(pair.client.place, origin.http, 10) == ""
        assert pair.edge.counters()["refused"]["policy"] >= 1


def test_drain(pair: Pair, origin: Origin) -> None:
    """Nobody new comes in; what runs goes on to its end."""
    with tunnel(pair.client.place, "127.0.0.1", origin.echo) as sock:
        place = pair.edge.place
        pair.edge.engine.drain()

        def refused() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(place) != 0

        until(refused, "the port is closed")
        assert echoes(sock)
        assert pair.edge.counters()["tunnels_open"] == 1


def test_stop_gives_grace_and_then_ends(pair: Pair, origin: Origin) -> None:
    with tunnel(pair.client.place, "127.0.0.1", origin.echo) as sock:
        assert echoes(sock)
        began = time.monotonic()
        pair.edge.stop(grace=0.3)
        took = time.monotonic() - began
        assert 0.3 <= took < 5
        ended(sock)
    # Nothing runs: no grace is used up.
    began = time.monotonic()
    pair.client.stop(grace=DEADLINE)
    assert time.monotonic() - began < 5


# ---- an edge that dies ----

EDGE_PROGRAM = """
import json, sys, threading
from rozaneh.engine import _native
engine = _native.Engine(sys.stdin.readline())
engine.start()
print(json.loads(engine.listeners())[0]["address"], flush=True)
sys.stdin.readline()
"""


@contextmanager
def edge_process(document: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """An edge in a process of its own, which may be killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", EDGE_PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(document + "\n")
        process.stdin.flush()
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def test_the_client_comes_back_by_itself(start: Start, identity: Identity, origin: Origin) -> None:
    """kill -9 of the edge, and a new one in its place: the next tunnel works, through a new carrier."""
    bind = f"127.0.0.1:{free_port()}"
    document = json.dumps(edge_document(identity, users=[ALICE], allow=LOOPBACK, bind=bind))
    client = start(client_document(way(bind, identity, ALICE)))
    with edge_process(document) as (process, address):
        assert address == bind
        assert fetch(client.place, origin.http, 1000) == content_hash(1000)
        assert client.event("carrier_open")
        with tunnel(client.place, "127.0.0.1", origin.flood) as sock:
            assert sock.recv(1 << 16)
            os.kill(process.pid, signal.SIGKILL)
            began = time.monotonic()
            ended(sock)
            # Its listener goes last.
            process.wait(DEADLINE)
            assert time.monotonic() - began < 5
        assert client.event("carrier_lost")
        # With nobody there a program is told at once, and not left to wait.
        with pytest.raises(Refused):
            tunnel(client.place, "127.0.0.1", origin.echo).close()
        assert client.event("carrier_failed")["stage"] == "connect"
    with edge_process(document):
        assert fetch(client.place, origin.http, 1000) == content_hash(1000)
        assert client.event("carrier_open")


def test_another_key_in_its_place_is_not_trusted(
    start: Start, identity: Identity, origin: Origin, tmp_path: Path
) -> None:
    """Whoever takes the address over without the key gets no credentials and no streams."""
    other = make_identity(tmp_path)
    impostor = start(edge_document(other, users=[ALICE], allow=LOOPBACK))
    client = start(client_document(way(impostor.address, identity, ALICE)))
    assert fetch(client.place, origin.http, 10) == ""
    assert client.probe()["stage"] == "pin"
    assert impostor.counters()["users"][ALICE.id]["last_seen"] == 0


# ---- meters and buckets ----


def test_meters_of_each_user(pair: Pair, bob: Running, origin: Origin) -> None:
    """Bytes are whose they are, also while a tunnel runs, and in both directions."""
    size = 3_000_000
    assert fetch(pair.client.place, origin.http, size) == content_hash(size)
    mine = pair.edge.user(ALICE)
    assert size < mine["down"] < size + 1000
    assert 0 < mine["up"] < 1000
    assert pair.edge.user(BOB) | {"last_seen": 0} == {"up": 0, "down": 0, "tunnels_open": 0, "last_seen": 0}
    with tunnel(bob.place, "127.0.0.1", origin.digest) as sock:
        sock.sendall(BLOCK)
        until(lambda: pair.edge.user(BOB)["up"] == len(BLOCK), "bytes of a running tunnel show")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(64) == hashlib.sha256(BLOCK).hexdigest().encode()
        until(lambda: pair.edge.user(BOB)["down"] == 64, "the answer is counted")
    counters = pair.edge.counters()
    users = counters["users"].values()
    assert counters["bytes_up"] == sum(user["up"] for user in users)
    assert counters["bytes_down"] == sum(user["down"] for user in users)
    assert mine["last_seen"] >= int(time.time()) // 3600 - 1


def limited(start: Start, identity: Identity, *, up: int | None = None, down: int | None = None) -> Callable[[], Pair]:
    """A pair whose one user has limits."""
    slow = Account("inv_slow", "slow", "slow password", up=up, down=down)
    edge = start(edge_document(identity, users=[slow, BOB], allow=LOOPBACK))
    client = start(client_document(way(edge.address, identity, slow)))
    return lambda: Pair(edge, client, identity, slow)


def test_a_bucket_for_each_user(start: Start, identity: Identity, origin: Origin) -> None:
    """The rate holds for all tunnels of one user together: by the counters, whatever the clock does meanwhile."""
    rate = 1_000_000
    pair = limited(start, identity, down=rate)()
    with (
        tunnel(pair.client.place, "127.0.0.1", origin.flood) as one,
        tunnel(pair.client.place, "127.0.0.1", origin.flood) as two,
    ):
        began = time.monotonic()
        got = 0
        while got < 2 * rate:
            got += len(one.recv(1 << 16)) + len(two.recv(1 << 16))
            elapsed = time.monotonic() - began
            # A burst of half a second, and what the ticks of the meter may be late by.
            assert pair.edge.user(pair.account)["down"] <= rate * elapsed + rate // 2 + 600_000
        # It cannot have been sooner than the rate allows.
        assert time.monotonic() - began > 1.0
        # The other user has a bucket of his own, namely none.
        with Running(client_document(way(pair.edge.address, identity, BOB))) as other:
            began = time.monotonic()
            assert fetch(other.place, origin.http, 20_000_000) == content_hash(20_000_000)
            assert time.monotonic() - began < 10


def test_a_bucket_upwards(start: Start, identity: Identity, origin: Origin) -> None:
    rate = 1_000_000
    pair = limited(start, identity, up=rate)()
    with tunnel(pair.client.place, "127.0.0.1", origin.digest) as sock:
        began = time.monotonic()
        sock.sendall(BLOCK * 2)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(64) == hashlib.sha256(BLOCK * 2).hexdigest().encode()
        assert time.monotonic() - began > 1.0
    assert pair.edge.user(pair.account)["up"] == 2 * len(BLOCK)
