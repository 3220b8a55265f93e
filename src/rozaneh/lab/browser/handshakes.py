"""A loopback server that completes TLS 1.3 handshakes with a browser and notes all it says, record by record.

OpenSSL plays the server between two memory buffers, so that the bytes on the wire and what they mean are both seen.
Requests are answered with an empty page in HTTP/1.1 or HTTP/2, whichever the browser took.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from rozaneh.lab.browser import opening
from rozaneh.lab.codec import clienthello
from rozaneh.lab.codec.clienthello import ClientHello
from rozaneh.lab.services.pki import Files

_CHUNK = 1 << 16
_LEAVE_S = 10.0  # browsers close an ended connection at once
_PAGE = b"<!doctype html><title>.</title>"
# RFC 7541: `:status: 200` is entry 8 of the static table, `content-type` 31 with a value of its own.
_HEADERS = b"\x88\x5f\x09text/html"
_HTTP1 = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
_CHANGE_CIPHER_SPEC, _HANDSHAKE = 20, 22


@dataclass
class Conversation:
    """One connection: what came on the wire and, behind the handshake, in the clear.

    `hello` is the first flight, `second` the one after a HelloRetryRequest (a ChangeCipherSpec before it included).
    `plain` holds what each of the browser's application records said. `began`, `asked` (its last request)
    and `ended` are readings of a monotonic clock; `ended` is None while it is open.
    """

    began: float
    hello: bytes = b""
    second: bytes = b""
    protocol: str = ""
    resumed: bool = False
    plain: list[bytes] = field(default_factory=list)
    asked: float = 0.0
    ended: float | None = None


class Server:
    """Answers every connection in a thread of its own until it is closed.

    Args:
        files: Certificate and key.
        protocols: What it agrees to by ALPN, the preferred one first.
        group: The only group it knows, to ask for another hello; None for OpenSSL's own choice.
        hang_up: End each connection once its first request is answered.
    """

    def __init__(
        self,
        files: Files,
        protocols: tuple[str, ...] = ("h2", "http/1.1"),
        *,
        group: str | None = None,
        hang_up: bool = False,
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.load_cert_chain(files.certificate, files.key)
        self._context.set_alpn_protocols(list(protocols))
        if group is not None:
            self._context.set_ecdh_curve(group)
        self.hang_up = hang_up
        self._condition = threading.Condition()
        self._conversations: list[Conversation] = []
        self._open: dict[socket.socket, threading.Thread] = {}
        self._holding = False
        self._closed = False
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="handshakes", daemon=True)
        self._thread.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every connection and every thread."""
        with self._condition:
            self._closed = True
            self._holding = False
            self._condition.notify_all()
            threads = list(self._open.values())
            for peer in self._open:
                with contextlib.suppress(OSError):
                    peer.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()
        for thread in threads:
            thread.join()

    def hold(self, holding: bool) -> None:
        """From now on requests wait for their answers, or no longer."""
        with self._condition:
            self._holding = holding
            self._condition.notify_all()

    def conversations(self) -> list[Conversation]:
        """Those whose hello has come, in the order they began."""
        with self._condition:
            return [one for one in self._conversations if one.hello]

    def wait(self, ready: Callable[[list[Conversation]], bool], timeout: float) -> bool:
        """Waits until `ready` of the conversations so far; False when it is not after `timeout` seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: ready([one for one in self._conversations if one.hello]), timeout)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            with self._condition:
                if self._closed:
                    peer.close()
                    return
                conversation = Conversation(began=time.monotonic())
                self._conversations.append(conversation)
                thread = threading.Thread(target=self._serve, args=(peer, conversation), daemon=True)
                self._open[peer] = thread
                thread.start()

    def _serve(self, peer: socket.socket, conversation: Conversation) -> None:
        try:
            # A browser may leave at any moment, and what it says may be refused: both end the conversation.
            with contextlib.suppress(OSError, ssl.SSLError):
                _Connection(self, self._context, peer, conversation).run()
        finally:
            with self._condition:
                conversation.ended = time.monotonic()
                self._open.pop(peer, None)
                self._condition.notify_all()
            peer.close()

    def changed(self) -> None:
        """Something was added to a conversation."""
        with self._condition:
            self._condition.notify_all()

    def may_answer(self) -> None:
        """Waits while requests are held."""
        with self._condition:
            self._condition.wait_for(lambda: not self._holding)


class _Connection:
    """One connection: takes records off the wire one by one, for what they say belongs to them."""

    def __init__(
        self, server: Server, context: ssl.SSLContext, peer: socket.socket, conversation: Conversation
    ) -> None:
        self._server = server
        self._hang_up = server.hang_up
        self._peer = peer
        self._conversation = conversation
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._done = False
        self._stream = b""
        self._read = 0  # how much of the stream was answered

    def run(self) -> None:
        """Until either side ends it."""
        pending = b""
        while chunk := self._peer.recv(_CHUNK):
            pending += chunk
            while len(pending) >= 5 and len(pending) >= 5 + int.from_bytes(pending[3:5], "big"):
                size = 5 + int.from_bytes(pending[3:5], "big")
                record, pending = pending[:size], pending[size:]
                if self._record(record):
                    self._flush()
                    self._leave()
                    return
            self._flush()

    def _record(self, record: bytes) -> bool:
        """Takes one record; whether the connection is to be ended."""
        conversation = self._conversation
        if not self._done:
            if not conversation.hello or not isinstance(clienthello.parse(conversation.hello), ClientHello):
                conversation.hello += record
                self._server.changed()
            elif record[0] in (_CHANGE_CIPHER_SPEC, _HANDSHAKE):
                conversation.second += record
        self._incoming.write(record)
        with contextlib.suppress(ssl.SSLWantReadError):
            if not self._done:
                self._tls.do_handshake()
                self._done = True
                conversation.protocol = self._tls.selected_alpn_protocol() or ""
                conversation.resumed = bool(self._tls.session_reused)
                if not any(part == _HANDSHAKE for part in _kinds(conversation.second)):
                    conversation.second = b""  # the ChangeCipherSpec of a handshake without a second hello
                self._server.changed()
            said = self._tls.read(_CHUNK)
            if not said:
                return True
            conversation.plain.append(said)
            self._stream += said
            self._server.changed()
            return self._answer()
        return False

    def _answer(self) -> bool:
        """Answers what whole requests there are; whether the connection is to be ended."""
        answers = b""
        if self._conversation.protocol == "h2":
            if not self._read:
                if len(self._stream) < len(opening.PREFACE):
                    return False
                self._read = len(opening.PREFACE)
                answers += opening.frame(opening.SETTINGS, 0, 0, b"")
            last, replies = self._frames()
            requests = int(last > 0)
            answers += replies
            if requests and self._hang_up:
                # RFC 9113 section 6.8: what was asked after this stream may be asked again elsewhere.
                answers += opening.frame(opening.GOAWAY, 0, 0, struct.pack(">II", last, 0))
        else:
            end = self._stream.find(b"\r\n\r\n", self._read)
            requests = int(end >= 0)
            if requests:
                self._read = end + 4
                answers += _HTTP1 % (len(_PAGE), _PAGE)
        if requests:
            self._conversation.asked = time.monotonic()
        if requests:
            self._server.may_answer()
        if answers:
            self._tls.write(answers)
        return requests > 0 and self._hang_up

    def _frames(self) -> tuple[int, bytes]:
        """The last request's stream (0: none came), and the answers to all frames since the last call."""
        last, answers = 0, b""
        for one in opening.frames(self._stream, self._read):
            self._read = one.end
            if one.kind == opening.SETTINGS and not one.flags & opening.ACK:
                answers += opening.frame(opening.SETTINGS, opening.ACK, 0, b"")
            elif one.kind == opening.PING and not one.flags & opening.ACK:
                answers += opening.frame(opening.PING, opening.ACK, 0, one.payload)
            elif one.kind == opening.HEADERS:
                last = one.stream
                answers += opening.frame(opening.HEADERS, opening.END_HEADERS, one.stream, _HEADERS)
                answers += opening.frame(opening.DATA, opening.END_STREAM, one.stream, _PAGE)
        return last, answers

    def _leave(self) -> None:
        """Ends it so that the browser gets every answer: a socket closed with something unread would take them back."""
        self._peer.shutdown(socket.SHUT_WR)
        self._peer.settimeout(_LEAVE_S)
        while self._peer.recv(_CHUNK):
            pass

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._peer.sendall(data)


def _kinds(data: bytes) -> Iterator[int]:
    """The content types of the records in these bytes."""
    at = 0
    while at + 5 <= len(data):
        yield data[at]
        at += 5 + int.from_bytes(data[at + 3 : at + 5], "big")
