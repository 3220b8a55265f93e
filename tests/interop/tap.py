"""A reader of TLS between two ends that share one key: what they say to each other over HTTP/2, in the clear."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from types import TracebackType

import hpack
from hyperframe.frame import DataFrame, Frame, HeadersFrame, RstStreamFrame

from tests.interop.rig import DEADLINE, Identity
from tests.interop.visitor import PREFACE, Place, context

Fields = dict[str, str]


@dataclass
class Conversation:
    """One stream: what was asked, what was answered, and the DATA of both directions."""

    request: Fields = field(default_factory=dict)
    answer: Fields = field(default_factory=dict)
    up: list[bytes] = field(default_factory=list)
    down: list[bytes] = field(default_factory=list)
    reset: bool = False


class Tap:
    """Listens as ``identity``, connects on to ``server``, and keeps the plaintext of both directions."""

    def __init__(self, identity: Identity, server: Place) -> None:
        self._server = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(identity.cert, identity.key)
        self._context.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place: Place = self._listener.getsockname()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._streams: list[tuple[bytearray, bytearray]] = []
        self._accepting = threading.Thread(target=self._accept)

    def __enter__(self) -> Tap:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A blocked accept is not woken by closing its socket; a shutdown wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(DEADLINE)
        self._listener.close()
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE)
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                tcp, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(tcp,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, tcp: socket.socket) -> None:
        self._sockets.append(tcp)
        try:
            near = self._context.wrap_socket(tcp, server_side=True)
            self._sockets.append(near)
            upstream = socket.create_connection(self._server, DEADLINE)
            self._sockets.append(upstream)
            upstream.settimeout(None)
            far = context(h2=True).wrap_socket(upstream, server_hostname="tap")
            self._sockets.append(far)
        except OSError:
            return
        kept = (bytearray(), bytearray())
        self._streams.append(kept)
        # OpenSSL's objects may be read and written by two threads at once only through separate ends of time; Python
        # holds no lock for it, so one thread does both directions.
        _pump(near, far, kept)

    def conversations(self) -> list[Conversation]:
        """All streams of all connections so far."""
        found: list[Conversation] = []
        for up, down in list(self._streams):
            streams: dict[int, Conversation] = {}
            for is_up, data in ((True, bytes(up[len(PREFACE) :])), (False, bytes(down))):
                decoder = hpack.Decoder()
                decoder.max_allowed_table_size = 65_536
                for frame in frames(data):
                    if frame.stream_id == 0:
                        continue
                    stream = streams.setdefault(frame.stream_id, Conversation())
                    if isinstance(frame, HeadersFrame):
                        fields = {str(k): str(v) for k, v in decoder.decode(frame.data)}
                        (stream.request if is_up else stream.answer).update(fields)
                    elif isinstance(frame, DataFrame):
                        (stream.up if is_up else stream.down).append(frame.data)
                    elif isinstance(frame, RstStreamFrame):
                        stream.reset = True
            found += streams.values()
        return found


def _pump(near: ssl.SSLSocket, far: ssl.SSLSocket, kept: tuple[bytearray, bytearray]) -> None:
    """Moves bytes both ways until one side ends."""
    import select

    ends = {near: (far, kept[0]), far: (near, kept[1])}
    for sock in ends:
        sock.settimeout(DEADLINE)
    while True:
        ready = [s for s in ends if s.pending()] or select.select(list(ends), [], [])[0]
        for sock in ready:
            other, log = ends[sock]
            try:
                data = sock.recv(1 << 16)
                if not data:
                    other.shutdown(socket.SHUT_RDWR)
                    return
                log += data
                other.sendall(data)
            except OSError:
                return


def frames(data: bytes) -> list[Frame]:
    """Whole frames; a piece at the end is left."""
    found = []
    view = memoryview(data)
    while len(view) >= 9:
        frame, length = Frame.parse_frame_header(view[:9])
        if len(view) < 9 + length:
            break
        frame.parse_body(view[9 : 9 + length])
        found.append(frame)
        view = view[9 + length :]
    return found


def unpad(data: bytes, count: int = 8) -> tuple[bytes, int]:
    """What the first ``count`` frames of padding type 1 hold, with the raw rest, and how many frames there were."""
    payload, seen = b"", 0
    while seen < count and len(data) >= 3:
        size, zeros = int.from_bytes(data[:2], "big"), data[2]
        frame = data[3 : 3 + size + zeros]
        if len(frame) < size + zeros or any(frame[size:]):
            break
        payload += frame[:size]
        data = data[3 + size + zeros :]
        seen += 1
    return (payload + data if seen == count else payload), seen
