"""Datagrams of a program, through SOCKS5 UDP ASSOCIATE and CONNECT-UDP, to an echo behind the edge and back."""

from __future__ import annotations

import hashlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.interop.conftest import Pair, Start
from tests.interop.names import Names
from tests.interop.origin import Origin
from tests.interop.programs import Place, association, exactly, greet, held_association, unwrap, wrap
from tests.interop.rig import (
    ALICE,
    DEADLINE,
    LOOPBACK,
    Identity,
    Running,
    client_document,
    direct_document,
    edge_document,
    until,
    way,
)


@pytest.fixture(params=["edge", "direct"])
def proxy(request: pytest.FixtureRequest, start: Start, identity: Identity) -> Running:
    """A local port whose datagrams go through an edge, or out at once; loopback is allowed."""
    if request.param == "direct":
        return start(direct_document(allow=LOOPBACK))
    edge = start(edge_document(identity, users=[ALICE], allow=LOOPBACK))
    return start(client_document(way(edge.address, identity, ALICE)))


def payload(size: int) -> bytes:
    """``size`` bytes, the same every time."""
    return hashlib.shake_256(struct.pack("!I", size)).digest(size)


def exchange(udp: socket.socket, relay: Place, host: str, port: int, data: bytes) -> tuple[str, int, bytes]:
    """Sends one datagram and takes the next that comes."""
    udp.sendto(wrap(host, port, data), relay)
    return unwrap(udp.recv(1 << 16))


@pytest.mark.parametrize(
    "size", [0, 1, 2, 100, 512, 1200, 1472, 1473, 4096, 9000, 16_384, 16_385, 32_768, 60_000, 65_000]
)
def test_sizes(proxy: Running, origin: Origin, size: int) -> None:
    with association(proxy.place) as (udp, relay):
        assert exchange(udp, relay, "127.0.0.1", origin.udp, payload(size)) == ("127.0.0.1", origin.udp, payload(size))


def test_a_burst_of_many_sizes(proxy: Running, origin: Origin) -> None:
    """Every datagram stays one datagram, with its own content."""
    sizes = [*range(1, 1400, 23), 60_000, 1, 40_000]
    with association(proxy.place) as (udp, relay):
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        # The way stands before the burst: what comes sooner waits in a queue that is bounded.
        exchange(udp, relay, "127.0.0.1", origin.udp, b"first")
        waiting = {payload(size) for size in sizes}
        for start in range(0, len(sizes), 16):
            part = sizes[start : start + 16]
            for size in part:
                udp.sendto(wrap("127.0.0.1", origin.udp, payload(size)), relay)
            for _ in part:
                waiting.discard(unwrap(udp.recv(1 << 16))[2])
        assert not waiting


@pytest.fixture
def echoes() -> Iterator[list[int]]:
    """Forty echoes on ports of their own."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(40)]
        threads = []

        def serve(sock: socket.socket) -> None:
            while True:
                data, peer = sock.recvfrom(1 << 16)
                if data == b"stop":
                    return
                sock.sendto(data, peer)

        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
            threads.append(threading.Thread(target=serve, args=(sock,)))
            threads[-1].start()
        yield [sock.getsockname()[1] for sock in sockets]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            for sock in sockets:
                end.sendto(b"stop", sock.getsockname())
        for thread in threads:
            thread.join(DEADLINE)


def test_many_targets(proxy: Running, echoes: list[int]) -> None:
    """Answers carry the address they come from; none is mixed up."""
    with association(proxy.place) as (udp, relay):
        for port in echoes:
            udp.sendto(wrap("127.0.0.1", port, b"to %d" % port), relay)
        answers = {unwrap(udp.recv(1 << 16)) for _ in echoes}
        assert answers == {("127.0.0.1", port, b"to %d" % port) for port in echoes}


def test_two_associations_do_not_meet(proxy: Running, origin: Origin) -> None:
    with association(proxy.place) as (one, at_one), association(proxy.place) as (two, at_two):
        assert at_one != at_two
        one.sendto(wrap("127.0.0.1", origin.udp, b"one"), at_one)
        two.sendto(wrap("127.0.0.1", origin.udp, b"two"), at_two)
        assert unwrap(one.recv(100))[2] == b"one"
        assert unwrap(two.recv(100))[2] == b"two"


def test_names_are_resolved_at_the_edge(start: Start, identity: Identity, origin: Origin) -> None:
    """The reader's side never asks; the answer comes back under the name that was asked for."""
    with Names() as at_edge, Names() as at_home:
        edge = start(edge_document(identity, users=[ALICE], allow=LOOPBACK, resolver=at_edge.address))
        document = client_document(way(edge.address, identity, ALICE))
        document["resolver"] = {"servers": [at_home.address]}
        client = start(document)
        with association(client.place) as (udp, relay):
            for name in ("echo.test", "Other.Echo.test"):
                # Names are compared without case (RFC 4343), and come back in lower case.
                assert exchange(udp, relay, name, origin.udp, b"hello") == (name.lower(), origin.udp, b"hello")
        assert at_edge.asked >= {"echo.test", "other.echo.test"}
        assert not at_home.asked


def test_an_association_ends_with_its_connection(proxy: Running, origin: Origin) -> None:
    with held_association(proxy.place) as (control, udp, relay):
        assert exchange(udp, relay, "127.0.0.1", origin.udp, b"before")[2] == b"before"
        assert proxy.counters()["tunnels_open"] == 1
        control.shutdown(socket.SHUT_RDWR)
        until(lambda: proxy.counters()["tunnels_open"] == 0, "the association is over")

        def gone() -> bool:
            # A connected socket hears that nobody is there any more.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect(relay)
                try:
                    probe.send(b"x")
                    probe.setblocking(False)
                    probe.recv(1)
                except ConnectionRefusedError:
                    return True
                except BlockingIOError:
                    return False
                return False

        until(gone, "its port is closed")


def test_an_association_ends_with_a_reset_too(proxy: Running, origin: Origin) -> None:
    with held_association(proxy.place) as (control, udp, relay):
        assert exchange(udp, relay, "127.0.0.1", origin.udp, b"before")[2] == b"before"
        control.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        control.close()
        until(lambda: proxy.counters()["tunnels_open"] == 0, "the association is over")


def test_denied_destinations_are_dropped(start: Start, identity: Identity, origin: Origin) -> None:
    """With one address allowed, every other one stays out of reach, and the association lives on."""
    for document in (
        client_document(
            way(start(edge_document(identity, users=[ALICE], allow=["127.0.0.1/32"])).address, identity, ALICE)
        ),
        direct_document(allow=["127.0.0.1/32"]),
    ):
        proxy = start(document)
        with (
            association(proxy.place) as (udp, relay),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forbidden,
        ):
            forbidden.bind(("127.0.0.2", 0))
            forbidden.setblocking(False)
            port = forbidden.getsockname()[1]
            for host in ("127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.2"):
                udp.sendto(wrap(host, port, b"out"), relay)
            udp.sendto(wrap("127.0.0.1", 25, b"mail"), relay)
            assert exchange(udp, relay, "127.0.0.1", origin.udp, b"in") == ("127.0.0.1", origin.udp, b"in")
            with pytest.raises(BlockingIOError):
                forbidden.recv(100)


def test_broken_datagrams_are_dropped(proxy: Running, origin: Origin) -> None:
    """Fragments, bad headers and short ones go nowhere and break nothing."""
    good = wrap("127.0.0.1", origin.udp, b"good")
    with association(proxy.place) as (udp, relay):
        for bad in (b"", b"\0", b"\0\0\0", good[:9], b"\0\0\x01" + good[3:], b"\0\0\0\x09" + good[4:], b"\xff" * 40):
            udp.sendto(bad, relay)
        udp.sendto(wrap("", 1, b"no name"), relay)
        udp.sendto(good, relay)
        assert unwrap(udp.recv(100))[2] == b"good"


def test_the_source_is_locked(proxy: Running, origin: Origin) -> None:
    """After the first datagram another socket of the same program is not heard, and hears nothing."""
    with association(proxy.place) as (udp, relay), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        assert exchange(udp, relay, "127.0.0.1", origin.udp, b"mine")[2] == b"mine"
        other.bind(("127.0.0.1", 0))
        other.setblocking(False)
        other.sendto(wrap("127.0.0.1", origin.udp, b"theirs"), relay)
        assert exchange(udp, relay, "127.0.0.1", origin.udp, b"again")[2] == b"again"
        with pytest.raises(BlockingIOError):
            other.recv(100)


def test_a_named_port_is_the_only_one(proxy: Running, origin: Origin) -> None:
    """A request that names the program's port locks the association before any datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine, socket.socket(type=socket.SOCK_DGRAM) as other:
        mine.bind(("127.0.0.1", 0))
        mine.settimeout(DEADLINE)
        other.bind(("127.0.0.1", 0))
        other.setblocking(False)
        with socket.create_connection(proxy.place, timeout=DEADLINE) as control:
            greet(control)
            control.sendall(b"\x05\x03\x00\x01" + bytes(4) + struct.pack("!H", mine.getsockname()[1]))
            answer = exactly(control, 10)
            relay = (socket.inet_ntoa(answer[4:8]), struct.unpack("!H", answer[8:10])[0])
            other.sendto(wrap("127.0.0.1", origin.udp, b"theirs"), relay)
            mine.sendto(wrap("127.0.0.1", origin.udp, b"mine"), relay)
            assert unwrap(mine.recv(100))[2] == b"mine"
            with pytest.raises(BlockingIOError):
                other.recv(100)


SENDER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
sock.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
print(sock.getsockname()[1], flush=True)
sys.stdin.readline()
sock.setblocking(False)
try:
    print(sock.recv(100))
except BlockingIOError:
    print("nothing", flush=True)
"""


@pytest.mark.root
def test_another_users_datagram_is_not_heard(proxy: Running, origin: Origin) -> None:
    """Nor does it lock the association: the owner's first datagram still does."""
    with association(proxy.place) as (udp, relay):
        theirs = wrap("127.0.0.1", origin.udp, b"theirs").hex()
        argv = [sys.executable, "-c", SENDER, relay[0], str(relay[1]), theirs]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            assert int(process.stdout.readline()) > 0
            before = origin.udp
            assert exchange(udp, relay, "127.0.0.1", before, b"mine")[2] == b"mine"
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == "nothing"
            assert process.wait(DEADLINE) == 0


def used(pair: Pair) -> tuple[int, int]:
    user = pair.edge.user(ALICE)
    return user["up"], user["down"]


def test_bytes_of_datagrams_are_metered(pair: Pair, origin: Origin) -> None:
    for _ in range(3):
        before = used(pair)
        try:
            with association(pair.client.place) as (udp, relay):
                for _ in range(10):
                    exchange(udp, relay, "127.0.0.1", origin.udp, payload(1000))
        except TimeoutError:
            continue  # on a busy machine a kernel may drop a datagram, and only whole exchanges can be counted
        after = used(pair)
        assert (after[0] - before[0], after[1] - before[1]) == (10_000, 10_000)
        return
    pytest.fail("no ten datagrams in a row came back")
