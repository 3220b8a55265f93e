"""Attempts with real sockets on loopback, the pace outside the lab, and the proof that an address is one's own."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from rozaneh.lab import isolate, processes
from rozaneh.lab.prober import control, lab
from rozaneh.lab.prober.attempt import Attempt, Reaction
from rozaneh.lab.prober.examine import Reached, probe, reach
from rozaneh.lab.prober.pacing import Exhausted, Pace
from rozaneh.lab.prober.sockets import Sockets
from rozaneh.lab.services import pki

Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(serve: Serve, address: str = "127.0.0.1") -> Iterator[int]:
    """Serves each connection with `serve` until the block ends; gives the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family, backlog=256) as listener:
        threads: list[threading.Thread] = []

        def one(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(20)
                serve(connection)

        def work() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threads.append(threading.Thread(target=one, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=work)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join()


def reset(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answer(connection: socket.socket) -> None:
    connection.recv(10)
    connection.sendall(b"hello")


def finish(connection: socket.socket) -> None:
    while connection.recv(65_536)[-1:] != b"\n":
        pass


def unread(connection: socket.socket) -> None:
    """Closes with a FIN threshold of 24 and the rest unread, as OSSH does."""
    connection.recv(24, socket.MSG_WAITALL)


def react(port: int, payload: bytes, *, observe: float = 5.0, address: str = "127.0.0.1") -> Reaction:
    return Reached(address, port, Pace(None, None)).react({"x": payload}, observe)["x"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_real_ends_are_told_apart(address: str) -> None:
    with server(answer, address) as port:
        seen = react(port, b"0123456789", address=address)
        assert (seen.kind, seen.received, seen.closed, seen.first) == ("data", 5, "fin", b"hello")
    with server(reset, address) as port:
        assert react(port, b"abc", address=address).kind == "rst"
    with server(finish, address) as port:
        assert react(port, b"z" * 300_000 + b"\n", address=address).kind == "fin"
    with server(unread, address) as port:
        assert react(port, b"x" * 24, address=address).kind == "fin"
        assert react(port, b"x" * 25, address=address).kind == "rst"
    assert react(port, b"", address=address).kind == "refused"  # nobody listens there any more


def test_a_silent_server_is_a_timeout_and_many_wait_side_by_side() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        payloads = {str(number): b"" for number in range(40)}
        reactions = Reached("127.0.0.1", port, Pace(None, None)).react(payloads, 0.3)
    assert {one.kind for one in reactions.values()} == {"timeout"}
    assert list(reactions) == list(payloads)
    assert all(one.seconds >= 0.3 for one in reactions.values())


def test_connections_beyond_the_bound_wait_their_turn() -> None:
    sockets = Sockets(most=2)
    ended: list[Attempt] = []
    with server(answer) as port:
        for _ in range(5):
            sockets.begin(Attempt(b"0123456789", observe=5), "127.0.0.1", port, ended.append)
        assert sockets.busy == 5
        while sockets.busy:
            sockets.step(5)
        sockets.close()
    assert [attempt.reaction.kind for attempt in ended if attempt.reaction] == ["data"] * 5


def test_pace_is_five_a_second_and_three_hundred_in_all() -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    starts = []
    while pace.left:
        now[0] += pace.wait_s()
        pace.take()
        starts.append(now[0])
    assert len(starts) == 300
    assert all(sum(start <= other < start + 0.999 for other in starts) <= 5 for start in starts)
    now[0] += 10
    with pytest.raises(Exhausted):
        pace.take()
    early = Pace(clock=lambda: 0.0)
    early.take()
    with pytest.raises(ValueError, match="too early"):
        early.take()


def test_probe_of_a_loopback_server_needs_no_proof_and_compares_with_another() -> None:
    with server(unread) as port, server(answer) as other:
        report = probe("127.0.0.1", port, like=("127.0.0.1", other), observe=1.5, limits=False)
    assert report.proof == ""
    assert report.reactions["rand-51"].kind == "rst"
    assert {"rand-51", "tls"} <= {one.what for one in report.differences}
    assert report.as_json()["like"]["reactions"]["tls"]["reaction"] == "data"


def test_an_address_elsewhere_is_not_probed_without_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "exempt", lambda _: False)
    hits: list[bool] = []

    def count(connection: socket.socket) -> None:
        hits.append(True)

    with server(count) as port:
        with pytest.raises(control.NotProven, match="make it say this token"):
            probe("127.0.0.1", port)

        def refuse(asked: control.Challenge) -> str:
            raise control.NotProven(asked.address)

        with pytest.raises(control.NotProven):
            probe("127.0.0.1", port, prove=refuse)
        with pytest.raises(control.NotProven):
            reach("127.0.0.1", port, prove=lambda _: "")
    assert hits == []


def test_exempt_is_loopback_and_the_worlds_of_the_lab_only() -> None:
    assert control.exempt("127.0.0.9")
    assert control.exempt("::1")
    assert isolate.run(lambda: control.in_lab()) is False  # no interface of the lab here either
    assert control.in_lab() is False


def page(token: str, path: str = control.PATH) -> Serve:
    def serve(connection: socket.socket) -> None:
        request = connection.recv(4_096).decode()
        status, body = ("200 OK", token) if request.startswith(f"GET {path} ") else ("404 Not Found", "")
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    return serve


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_the_token_is_found_on_a_page_or_a_port_and_nothing_else_will_do() -> None:
    asked = control.challenge("127.0.0.1")
    assert asked.token != control.challenge("127.0.0.1").token
    none = closed_port()
    with server(page(asked.token + "\n")) as port:
        assert control.prove(asked, http_port=port, https_port=none) == f"http port {port}"
    with server(lambda connection: connection.sendall(asked.token.encode() + b"\n")) as port:
        assert control.prove(asked, port, http_port=none, https_port=none) == f"TCP port {port}"
    other = control.challenge("127.0.0.1").token
    with server(page(other)) as port, pytest.raises(control.NotProven, match="something else"):
        control.prove(asked, http_port=port, https_port=none)

    def redirect(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n")

    with server(redirect) as port, pytest.raises(control.NotProven, match="302"):
        control.prove(asked, http_port=port, https_port=none)


@contextlib.contextmanager
def pool(folder: Path, **settings: object) -> Iterator[socket.socket]:
    """The prober's process, as `lab.Pool` starts it in a node, here on loopback."""
    config = folder / "prober.json"
    config.write_bytes(msgspec.json.encode(msgspec.convert({"sources": (), **settings}, lab.Config)))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        argv = [sys.executable, "-m", "rozaneh.lab.prober.lab", str(config), "3"]
        log = folder / "log"
        process = processes.spawn(argv, env={"PATH": "/usr/bin"}, log=log, descriptors={3: theirs.fileno()})
        theirs.close()
        ours.settimeout(20)
        try:
            assert json.loads(ours.recv(4_096)) == {"ready": True}, log.read_text()
            yield ours
            ours.close()
            assert process.wait(10) == 0, log.read_text()  # it ends with the pair
        finally:
            process.kill()


def test_the_pool_carries_out_what_the_router_asks_from_its_own_addresses(tmp_path: Path) -> None:
    with server(answer) as talks, server(reset) as resets, server(answer, "::1") as talks6:
        sources = ("127.0.0.7", "127.0.0.8", "::1")
        with pool(tmp_path, sources=sources, observe_s=10) as router:
            asked = {
                1: ("127.0.0.1", talks),
                2: ("127.0.0.1", resets),
                3: ("127.0.0.1", closed_port()),
                4: ("::1", talks6),
            }
            router.send(b"not json")
            router.send(b'{"id": 8, "address": "127.0.0.1", "port": 70000, "payload": ""}')
            router.send(b'{"id": 9, "address": "127.0.0.1", "port": 1, "payload": "%%%"}')
            for number, (address, port) in asked.items():
                message = {"id": number, "address": address, "port": port, "payload": b64encode(b"0123456789").decode()}
                router.send(json.dumps({**message, "kind": "R1"}).encode())
            got = {answer["id"]: answer for answer in (json.loads(router.recv(4_096)) for _ in asked)}
    assert {number: one["reaction"] for number, one in got.items()} == {1: "data", 2: "rst", 3: "refused", 4: "data"}
    assert got[1]["received"] == 5
    assert got[1]["source"] in sources[:2]
    assert got[4]["source"] == "::1"
    assert set(got[1]) == {"id", "reaction", "seconds", "received", "source"}


def test_the_pool_answers_every_probe_when_more_come_than_it_may_hold(tmp_path: Path) -> None:
    with server(answer) as port, pool(tmp_path, most=2, waiting=3, observe_s=5) as router:
        payload = b64encode(b"0123456789").decode()
        for number in range(40):
            router.send(json.dumps({"id": number, "address": "127.0.0.1", "port": port, "payload": payload}).encode())
        got = [json.loads(router.recv(4_096)) for _ in range(40)]
    assert sorted(one["id"] for one in got) == list(range(40))
    assert {one["reaction"] for one in got} <= {"data", "timeout"}


def test_an_https_page_proves_control_whatever_its_certificate_says(tmp_path: Path) -> None:
    files = pki.Authority(tmp_path, "nobody's root").issue("another-name.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    asked = control.challenge("127.0.0.1")

    def secure(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inner:
            page(asked.token)(inner)

    none = closed_port()
    with server(secure) as port:
        assert control.prove(asked, http_port=none, https_port=port) == f"https port {port}"
