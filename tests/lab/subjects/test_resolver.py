"""The world's resolver answers its names, passes a delegated zone on to its server, and reads its zone again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rozaneh.lab import dnsmessage
from rozaneh.lab.services import resolver
from rozaneh.lab.services.resolver import Book, Server

HERE, AUTHORITY = "127.0.77.1", "127.0.77.2"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A zone file with two names and a delegated zone."""
    path = tmp_path / "zone.json"
    names = {"a.example": ["192.0.2.1", "2001:db8::1"], "t.example": ["192.0.2.9"]}
    resolver.write(path, names, {"t.example": AUTHORITY})
    return path


@pytest.fixture
def asker() -> Iterator[socket.socket]:
    """Whoever asks, over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        yield sock


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The delegated zone's own server, at a port that anyone may have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((AUTHORITY, 0))
        sock.settimeout(20)
        monkeypatch.setattr(resolver, "_PORT", sock.getsockname()[1])
        yield sock


@pytest.fixture
def server(book: Path, authority: socket.socket) -> Iterator[Server]:
    """A resolver with that zone file."""
    made = Server(Book(book), [HERE])
    yield made
    made.close()


def port() -> int:
    """Where the resolver and the authority listen."""
    return resolver._PORT


def test_names_of_the_world(server: Server, asker: socket.socket) -> None:
    for name, kind, answer in [
        ("a.example", dnsmessage.A, (dnsmessage.NOERROR, ["192.0.2.1"])),
        ("A.Example", dnsmessage.AAAA, (dnsmessage.NOERROR, ["2001:db8::1"])),
        ("b.example", dnsmessage.A, (dnsmessage.NXDOMAIN, [])),
    ]:
        asker.sendto(dnsmessage.write_query(7, name, kind), (HERE, port()))
        server.turn()
        assert dnsmessage.read_answers(asker.recv(4096)) == answer


def test_a_delegated_zone_is_asked_for_at_its_server(
    server: Server, asker: socket.socket, authority: socket.socket
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(20)
        asker.sendto(dnsmessage.write_query(7, "one.t.example", 10), (HERE, port()))
        server.turn()
        other.sendto(dnsmessage.write_query(7, "two.t.example", 10), (HERE, port()))
        server.turn()
        asked = [authority.recvfrom(4096) for _ in range(2)]
        assert [message[2:] for message, _ in asked] == [
            dnsmessage.write_query(0, f"{label}.t.example", 10)[2:] for label in ("one", "two")
        ]
        # The answers come in the other order: each goes to whoever asked, under the number it was asked with.
        for message, sender in reversed(asked):
            authority.sendto(message[:2] + b"answer to " + message[13:16], sender)
            server.turn()
        assert asker.recv(4096) == b"\0\x07answer to one"
        assert other.recv(4096) == b"\0\x07answer to two"
        # A number nobody waits for is dropped, and the next question is answered as ever.
        authority.sendto(b"\xff\xffstray", asked[0][1])
        server.turn()
    asker.sendto(dnsmessage.write_query(8, "a.example"), (HERE, port()))
    server.turn()
    assert asker.recv(4096)[:2] == b"\0\x08"


def test_over_tcp(server: Server) -> None:
    for name, code in [("a.example", dnsmessage.NOERROR), ("x.t.example", 2)]:
        with socket.create_connection((HERE, port()), timeout=20) as connection:
            query = dnsmessage.write_query(9, name)
            connection.sendall(len(query).to_bytes(2, "big") + query)
            server.turn()
            answer = connection.recv(4096)
        assert int.from_bytes(answer[:2], "big") == len(answer) - 2
        assert dnsmessage.read_answers(answer[2:])[0] == code


def test_what_is_no_query_gets_no_answer(server: Server, asker: socket.socket) -> None:
    asker.sendto(b"\0" * 12, (HERE, port()))
    server.turn()
    asker.sendto(dnsmessage.write_query(1, "a.example"), (HERE, port()))
    server.turn()
    assert dnsmessage.read_answers(asker.recv(4096))[0] == dnsmessage.NOERROR


def test_a_name_that_moves_is_seen_at_the_next_question(server: Server, asker: socket.socket, book: Path) -> None:
    resolver.write(book, {"a.example": ["192.0.2.200"]}, {})
    asker.sendto(dnsmessage.write_query(1, "a.example"), (HERE, port()))
    server.turn()
    assert dnsmessage.read_answers(asker.recv(4096)) == (dnsmessage.NOERROR, ["192.0.2.200"])


def test_which_server_a_name_belongs_to(book: Path) -> None:
    read = Book(book)
    assert [read.delegated(name) for name in ("t.example", "a.b.t.example", "example", "at.example", "")] == [
        AUTHORITY,
        AUTHORITY,
        "",
        "",
        "",
    ]
