"""A real edge against a real nginx, as a stranger meets them: HTTP/1.1 and HTTP/2 inside TLS, plain text outside."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest
from hyperframe.frame import DataFrame

from tests.interop import cover_cases
from tests.interop.cover_cases import CASES, H2_CASES, H2Case, get, raw
from tests.interop.cover_talk import Said, normal, talk
from tests.interop.nginx_oracle import Nginx
from tests.interop.opening_cases import OPENINGS
from tests.interop.rig import ALICE, Running, edge_document, make_identity
from tests.interop.visitor import H2Visitor, Place, Seen, context, read_end, tcp_end

#: The conversation is the same code as without TLS, which is compared case by case elsewhere: here a part is enough.
SAMPLED = ("one ", "version ", "connect", "method G", "method H", "method P", "chrome ", "304 ", "expect ", "absolute")
PLAIN = [
    get(b"/"),
    get(b"/", method=b"HEAD"),
    get(b"/", method=b"TRACE"),
    get(b"/missing", b"User-Agent: Chrome/1"),
    get(b"/", b"Connection: keep-alive") * 2,
    get(b"/", b"Content-Length: 3", method=b"POST") + b"abc",
    raw(b"GET / HTTP/1.1"),
    raw(b"GET / HTTP/1.0"),
    raw(b"CONNECT example.com:443 HTTP/1.1", b"Host: example.com:443"),
    b"GET /\r\n",
    b"get / HTTP/1.1\r\n\r\n",
    b"\x05\x01\x00",
    b"\x04\x01\x00\x50\x01\x02\x03\x04\x00",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x15\x03\x01\x00\x02\x02\x28",
    b"",
]

#: Far longer than any answer takes here, far shorter than any deadline of the cover.
_WAITS_ON_S = 3.0


@dataclass
class Both:
    """``theirs`` is nginx, ``ours`` the edge; both serve one directory under one certificate."""

    theirs: Place
    ours: Place


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """nginx and an edge with an account, on loopback."""
    base = tmp_path_factory.mktemp("both")
    cover_cases.build_site(base / "site")
    with ExitStack() as stack:
        nginx = Nginx(base / "nginx", base / "site", tls=True).start()
        stack.callback(nginx.stop)
        cover = {"type": "directory", "path": str(base / "site")}
        edge = stack.enter_context(Running(edge_document(make_identity(base), users=[ALICE], cover=cover)))
        yield Both(("127.0.0.1", nginx.tls_port), edge.place)


def tls_visit(place: Place, data: bytes, *, tls12: bool, finish: bool) -> tuple[bytes, str]:
    """One conversation inside TLS and how it ended; with ``finish`` the visitor's FIN follows its last byte."""
    with (
        socket.create_connection(place, timeout=30) as tcp,
        context(h2=False, tls12=tls12).wrap_socket(tcp, suppress_ragged_eofs=False) as tls,
    ):
        tls.sendall(data)
        if finish:
            tcp_end(tls)
        answer, end = read_end(tls)
    return normal(answer, place[1]), end


@pytest.mark.parametrize("tls12", [False, True], ids=["tls13", "tls12"])
def test_http1_inside_tls(both: Both, tls12: bool) -> None:
    """The same bytes, and the same end: with ``close_notify`` or without."""
    differing = []
    for name, data in CASES:
        if not name.startswith(SAMPLED) or (tls12 and not name.startswith("connect")):
            continue
        # Whether a FIN is seen before an answer that closes anyway is chance: then the visitor waits for the end.
        # HTTP/0.9 has no header to say so and always closes; so does nginx behind its page 412, keep-alive or not.
        answer = tls_visit(both.theirs, data, tls12=tls12, finish=True)[0]
        closes = not answer.startswith(b"HTTP/") or b"Connection: close" in answer or answer[9:12] == b"412"
        theirs = tls_visit(both.theirs, data, tls12=tls12, finish=not closes)
        ours = tls_visit(both.ours, data, tls12=tls12, finish=not closes)
        if theirs != ours:
            differing.append(f"{name}: {theirs} but {ours}")
    assert not differing, "\n".join(differing[:5])


@pytest.mark.parametrize("data", PLAIN, ids=[f"{n}" for n in range(len(PLAIN))])
def test_plain_text_on_the_tls_port(both: Both, data: bytes) -> None:
    """Whoever does not speak TLS is told so by nginx's page, or not understood at all."""
    theirs, ours = talk(both.theirs[1], data), talk(both.ours[1], data)
    assert normal(ours.data, both.ours[1]) == normal(theirs.data, both.theirs[1])
    assert ours.end == theirs.end


@pytest.mark.parametrize("name", OPENINGS)
def test_what_is_not_tls(both: Both, name: str) -> None:
    """Half a record, another protocol, another version: the same alert or none, and the same end."""
    theirs, ours = talk(both.theirs[1], OPENINGS[name]), talk(both.ours[1], OPENINGS[name])
    assert ours == theirs


def test_who_says_half_and_waits(both: Both) -> None:
    """The same, from somebody who does not hang up: whether the server does, or waits for the rest."""

    def end(place: Place, name: str) -> Said:
        return talk(place[1], OPENINGS[name], finish=False, patience=_WAITS_ON_S)

    with ThreadPoolExecutor(2 * len(OPENINGS)) as pool:
        theirs = [pool.submit(end, both.theirs, name) for name in OPENINGS]
        ours = [pool.submit(end, both.ours, name) for name in OPENINGS]
    differing = [
        f"{name}: {one.result()} but {other.result()}"
        for name, one, other in zip(OPENINGS, theirs, ours, strict=True)
        if one.result() != other.result()
    ]
    assert not differing, "\n".join(differing)


def ask(place: Place, case: H2Case) -> Seen:
    """One request; everything until a PING behind its answer is answered."""
    with H2Visitor(place, settings={1: 65_536, 2: 0, 4: 6_291_456}) as visitor:
        data = visitor.headers(case.fields, end=case.end and case.data is None)
        if case.data is not None:
            data += DataFrame(1, case.data, flags=["END_STREAM"]).serialize()
        # A server may end it before it heard everything.
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            visitor.send(data)
        if visitor.answered():
            visitor.settle()
        else:
            visitor.leave()
        return visitor.seen


def shown(seen: Seen, port: int) -> list[object]:
    """The frames, with the server's own port blanked; SETTINGS acknowledgements may stand anywhere among them."""
    text = [repr(frame).replace(f":{port}/", ":PORT/") for frame in seen.frames]
    return [*(t for t in text if "'ACK'" not in t), seen.end]


@pytest.mark.parametrize("case", H2_CASES, ids=[case.name for case in H2_CASES])
def test_http2(both: Both, case: H2Case) -> None:
    """The same frames: SETTINGS and window first, header fields in order, DATA as large, resets and endings."""
    theirs, ours = ask(both.theirs, case), ask(both.ours, case)
    assert shown(ours, both.ours[1]) == shown(theirs, both.theirs[1])


def test_header_blocks(both: Both) -> None:
    """The same representation of every field, byte for byte, where the date is the same."""
    seen = 0
    for case in H2_CASES:
        if "dir" in case.name or "/dir" in dict(case.fields).get(":path", ""):
            continue
        for _ in range(10):
            theirs, ours = ask(both.theirs, case).blocks, ask(both.ours, case).blocks
            if [dates for dates, _ in theirs] == [dates for dates, _ in ours]:
                break
        assert ours == theirs, case.name
        seen += len(ours)
    assert seen > 80
