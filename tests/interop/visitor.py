"""A stranger with raw sockets: says exact bytes, writes down exactly what came back and how it ended."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field

import hpack
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from tests.interop.rig import DEADLINE, SERVER_NAME

Place = tuple[str, int]
Fields = list[tuple[str, str]]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATE = re.compile(rb"(?i)(\ndate: )[^\r\n]*")


def context(*, h2: bool, tls12: bool = False) -> ssl.SSLContext:
    """A client that trusts anybody: a prober does not care."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    tls.set_alpn_protocols(["h2"] if h2 else ["http/1.1"])
    if tls12:
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
    return tls


def read_end(sock: socket.socket) -> tuple[bytes, str]:
    """Everything until the other side ends it, and how it did."""
    data = bytearray()
    while True:
        try:
            chunk = sock.recv(1 << 16)
        except ssl.SSLEOFError:
            return bytes(data), "fin without close_notify"
        except ssl.SSLError as error:
            return bytes(data), f"tls {error.reason}"
        except ConnectionResetError:
            return bytes(data), "reset"
        if not chunk:
            return bytes(data), "end"
        data += chunk


def raw_visit(place: Place, data: bytes, *, fin: bool = True) -> tuple[bytes, str]:
    """Says ``data`` over TCP without TLS, then FIN; the answer and its end."""
    with socket.create_connection(place, timeout=DEADLINE) as sock:
        if data:
            sock.sendall(data)
        if fin:
            sock.shutdown(socket.SHUT_WR)
        return read_end(sock)


def h1_visit(place: Place, data: bytes, *, tls12: bool = False) -> tuple[bytes, str]:
    """Says ``data`` over TLS with HTTP/1.1 agreed, then FIN; the answer without its date and port, and its end."""
    with (
        socket.create_connection(place, timeout=DEADLINE) as tcp,
        context(h2=False, tls12=tls12).wrap_socket(tcp, server_hostname=SERVER_NAME, suppress_ragged_eofs=False) as tls,
    ):
        tls.sendall(data)
        tcp_end(tls)
        answer, end = read_end(tls)
    # nginx puts the port into redirects; two listeners cannot have the same.
    return _DATE.sub(rb"\1-", answer).replace(b":%d" % place[1], b":port"), end


def tcp_end(tls: ssl.SSLSocket) -> None:
    """FIN under a TLS connection that stays readable (``SSLSocket.shutdown`` would give up TLS as a whole)."""
    duplicate = socket.socket(fileno=socket.dup(tls.fileno()))
    with duplicate:
        duplicate.shutdown(socket.SHUT_WR)


@dataclass
class Seen:
    """What an HTTP/2 conversation showed, frame by frame, with header fields decoded and the date blanked."""

    frames: list[tuple[object, ...]] = field(default_factory=list)
    #: Header blocks as they came, with the dates they held: bytes that must be equal where the dates are.
    blocks: list[tuple[tuple[str, ...], bytes]] = field(default_factory=list)
    end: str = ""

    def text(self) -> str:
        """All of it, to be searched."""
        return repr(self.frames).lower()

    def status(self) -> str:
        """The first ``:status``."""
        for frame in self.frames:
            if frame[0] == "HEADERS":
                return dict(frame[3]).get(":status", "")  # type: ignore[arg-type, call-overload]
        return ""


class H2Visitor:
    """One HTTP/2 connection, written frame by frame."""

    def __init__(self, place: Place, *, tls12: bool = False, settings: dict[int, int] | None = None) -> None:
        self.open(place, tls12=tls12)
        self.send(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())

    def open(self, place: Place, *, tls12: bool = False) -> None:
        """TLS with HTTP/2 agreed on, and not a byte said yet."""
        tcp = socket.create_connection(place, timeout=DEADLINE)
        try:
            self.tls = context(h2=True, tls12=tls12).wrap_socket(
                tcp, server_hostname=SERVER_NAME, suppress_ragged_eofs=False
            )
        except BaseException:
            tcp.close()
            raise
        if self.tls.selected_alpn_protocol() != "h2":
            self.tls.close()
            raise AssertionError("HTTP/2 was not agreed on")
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.buffer = b""
        self.seen = Seen()

    def __enter__(self) -> H2Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.tls.sendall(data)

    def headers(
        self, fields: Iterable[tuple[str | bytes, str | bytes]], *, stream: int = 1, end: bool = False
    ) -> bytes:
        """A HEADERS frame."""
        frame = HeadersFrame(stream, self.encoder.encode(list(fields), huffman=True), flags=["END_HEADERS"])
        if end:
            frame.flags.add("END_STREAM")
        return frame.serialize()

    def frame(self) -> Frame | None:
        """The next frame; ``None`` at the end, which ``seen.end`` then names."""
        while True:
            if len(self.buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) >= 9 + length:
                    raw, self.buffer = self.buffer[: 9 + length], self.buffer[9 + length :]
                    frame.parse_body(memoryview(raw[9:]))
                    self._note(frame, raw)
                    return frame
            try:
                chunk = self.tls.recv(1 << 16)
            except ssl.SSLEOFError:
                self.seen.end = "fin without close_notify"
                return None
            except ConnectionResetError:
                self.seen.end = "reset"
                return None
            if not chunk:
                self.seen.end = "end"
                return None
            self.buffer += chunk

    def _note(self, frame: Frame, raw: bytes) -> None:
        flags = tuple(sorted(frame.flags))
        if isinstance(frame, HeadersFrame):
            fields = [(str(k), str(v)) for k, v in self.decoder.decode(frame.data)]
            dates = tuple(v for k, v in fields if k == "date")
            shown = tuple((k, "-" if k == "date" else v) for k, v in fields)
            self.seen.frames.append(("HEADERS", frame.stream_id, flags, shown))
            self.seen.blocks.append((dates, raw))
        elif isinstance(frame, PingFrame):
            # When the barrier is answered says nothing about the server; that it is, does.
            return
        else:
            self.seen.frames.append((type(frame).__name__, frame.stream_id, flags, raw[9:]))

    def settle(self, opaque: bytes = b"barrier!") -> bool:
        """Reads until a PING sent now is answered: everything said before is seen then. ``False`` at the end."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.send(PingFrame(0, opaque).serialize())
        while (frame := self.frame()) is not None:
            if isinstance(frame, PingFrame) and "ACK" in frame.flags and frame.opaque_data == opaque:
                return True
        return False

    def answered(self, stream: int = 1) -> bool:
        """Reads until a stream is answered to its end, reset, or the connection is over."""
        while (frame := self.frame()) is not None:
            if isinstance(frame, RstStreamFrame) and frame.stream_id == stream:
                return True
            ends = isinstance(frame, HeadersFrame | DataFrame) and "END_STREAM" in frame.flags
            if ends and frame.stream_id == stream:
                return True
            if isinstance(frame, GoAwayFrame):
                return False
        return False

    def leave(self) -> Seen:
        """FIN, and the rest of what the server says."""
        with contextlib.suppress(OSError):
            tcp_end(self.tls)
        while self.frame() is not None:
            pass
        return self.seen


def client_hello(
    *, h2: bool = True, tls12: bool = False, name: str = SERVER_NAME, alpn: list[str] | None = None
) -> bytes:
    """The first flight of an ordinary TLS client."""
    tls = context(h2=h2, tls12=tls12)
    if alpn is not None:
        tls.set_alpn_protocols(alpn)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    conversation = tls.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        conversation.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake cannot be over before it began")


def records(data: bytes) -> list[tuple[int, int]]:
    """Types and lengths of TLS records, and what is left over as type -1."""
    found = []
    while len(data) >= 5:
        kind, length = data[0], int.from_bytes(data[3:5], "big")
        if len(data) < 5 + length:
            break
        found.append((kind, length))
        data = data[5 + length :]
    return [*found, (-1, len(data))] if data else found
