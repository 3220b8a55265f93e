"""Conversations and visits: steps in their order, TLS to its end, and every way a connection can end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rozaneh.lab.services.pki import Authority
from rozaneh.lab.tell import asking
from rozaneh.lab.tell.seen import Seen, reduce
from rozaneh.lab.tell.talk import Finish, Goodbye, Hear, Inside, Leave, Offer, Pause, Plain, Say, Talk
from rozaneh.lab.tell.visits import Visits

Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(serve: Serve) -> Iterator[tuple[str, int]]:
    """Serves one connection with `serve`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def one() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(20)
                with connection:
                    serve(connection)

        thread = threading.Thread(target=one)
        thread.start()
        yield listener.getsockname()
        thread.join(20)


def visit(talk: Talk, serve: Serve, observe: float = 10.0) -> Seen:
    """What one conversation with such a server comes to."""
    with server(serve) as place:
        found: list[Seen] = []
        visits = Visits()
        visits.begin(talk, place, observe, found.append)
        visits.run()
    return found[0]


def test_steps_wait_for_time_and_for_words() -> None:
    talk = Plain(
        [Say(b"a"), Pause(1.0), Say(b"b"), Hear(5.0), Say(b"c"), Hear(2.0), Say(b"d"), Finish(), Say(b"never")]
    )
    talk.opened(0.0)
    assert talk.out() == b"a"
    talk.tick(0.5)
    assert talk.out() == b""
    talk.tick(1.0)
    assert talk.out() == b"b"
    talk.heard(1.5, b"x")
    assert talk.out() == b"c"
    assert talk.wake == 3.5
    talk.tick(3.5)
    assert talk.out() == b"d"
    assert talk.finished
    assert talk.raw == b"x"


def test_an_answer_and_an_orderly_end() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")

    seen = visit(Plain([Say(b"hello")]), serve)
    assert (seen.end, seen.size, seen.alert, seen.records) == ("fin", 7, 0x0228, ((21, 2),))
    assert seen.exact().startswith("fin at once 7B alert 2.40")


def test_a_reset_is_not_an_end() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert visit(Plain([Say(b"hello")]), serve).end == "rst"


def test_who_says_nothing_is_watched_to_the_end_of_the_time() -> None:
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        over.wait(20)

    with server(serve) as place:
        found: list[Seen] = []
        visits = Visits()
        visits.begin(Plain([Say(b"hello")]), place, 0.2, found.append)
        visits.run()
        over.set()
    assert found[0].end == "open"
    assert found[0].end_s >= 0.2


def test_who_leaves_hangs_up_once_everything_is_said() -> None:
    heard: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        heard.append(connection.recv(100))
        connection.sendall(b"x")
        heard.append(connection.recv(100))
        with contextlib.suppress(ConnectionResetError):
            heard.append(connection.recv(100))

    seen = visit(Plain([Say(b"hello"), Hear(5.0), Say(b"bye"), Leave()]), serve)
    assert (seen.end, seen.size) == ("open", 1)
    assert heard == [b"hello", b"bye", b""]


def test_a_server_that_says_nothing_any_more_spoils_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_PAGE_S", 0.3)
    with (
        server(lambda connection: connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")) as speaking,
        socket.create_server(("127.0.0.1", 0)) as dumb,
    ):
        assert asking.silent({"speaking": speaking, "dumb": dumb.getsockname()}) == ["dumb"]


def test_nobody_there_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
    found: list[Seen] = []
    visits = Visits()
    visits.begin(Plain([]), place, 1.0, found.append)
    visits.run()
    assert found[0].end == "refused"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    files = Authority(tmp_path_factory.mktemp("authority"), "tests").issue("cover.test")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(Path(files.certificate), Path(files.key))
    made.set_alpn_protocols(["http/1.1"])
    return made


def test_a_page_inside_tls_is_read_and_its_date_is_not(context: ssl.SSLContext) -> None:
    def answers(date: bytes) -> Serve:
        def serve(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(1_000)
                tls.sendall(b"HTTP/1.1 200 OK\r\nDate: " + date + b"\r\n\r\nhello")
                with contextlib.suppress(OSError):
                    tls.unwrap()

        return serve

    def talk() -> Inside:
        return Inside(Offer("cover.test", ("http/1.1",)), [Say(b"GET / HTTP/1.1\r\n\r\n"), Hear(5.0), Goodbye()])

    one, two = (visit(talk(), answers(date)) for date in (b"Mon, 01 Jan 2035 00:00:00 GMT", b"Tue"))
    assert one.tls.startswith("TLSv1.3 TLS_AES_256_GCM_SHA384 http/1.1 ")
    assert one.said == two.said != ""
    assert one.records[0][0] == 22


def test_a_failed_handshake_has_its_name(context: ssl.SSLContext) -> None:
    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)

    offer = Offer("cover.test", (), ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256")
    seen = visit(Inside(offer, []), serve)
    assert "HANDSHAKE_FAILURE" in seen.tls
    assert seen.alert == 0x0228


def test_frames_of_http2_count_but_not_their_header_blocks() -> None:
    settings = b"\0\0\0\x04\0\0\0\0\0"

    def said(block: bytes, body: bytes) -> str:
        headers = len(block).to_bytes(3, "big") + b"\x01\x04\0\0\0\x01" + block
        data = len(body).to_bytes(3, "big") + b"\0\x01\0\0\0\x01" + body
        return reduce(b"", settings + headers + data, "TLSv1.3", "open", 1.0, 0.1, 100).said

    assert said(b"one date", b"page") == said(b"another", b"page")
    assert said(b"one date", b"page") != said(b"one date", b"pagf")
