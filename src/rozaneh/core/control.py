"""The control channel of a running process: one JSON line each way over ``D/control``.

A unix socket of mode 0600 in a 0700 directory; the server asks the kernel who connected and answers nobody else.
Requests are an object with a closed set of ``op`` values; answers are an object with ``ok``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.peercred import is_same_user

CONTROL = "control"
Handler = Callable[[Mapping[str, Any]], dict[str, Any]]

_LINE_LIMIT = 64 * 1024  # a request is under 100 bytes, a status under 10 KiB
_SERVER_DEADLINE = 5.0  # a local program that connects and says nothing
_PATH_LIMIT = 100  # sockaddr_un holds 108 bytes on Linux, 104 on BSD (unix(7))


@contextlib.contextmanager
def socket_path(directory: Path, name: str) -> Iterator[str]:
    """A spelling of ``directory/name`` short enough for a socket address, valid inside the block.

    Raises:
        Fault: CONFIG when the path is too long and the system offers no shorter spelling.
    """
    path = str(directory / name)
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        yield path
        return
    if sys.platform != "linux":  # pragma: no cover - /proc is Linux's
        raise Fault(FaultKind.CONFIG, f"The directory's name is too long for a socket: `{directory}`")
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


class ControlServer:
    """Answers the owner's requests while it is open; a handler's Fault becomes an answer, never a crash."""

    def __init__(self, directory: Path, handlers: Mapping[str, Handler]) -> None:
        self._directory = directory
        self._handlers = dict(handlers)
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Start listening. The caller holds the directory's lock, so a socket that lies there is a dead process's.

        Raises:
            Fault: PERMISSION when the socket cannot be made.
        """
        if not hasattr(socket, "AF_UNIX"):  # pragma: no cover - Windows: `disconnect` is Ctrl-C there
            return
        with contextlib.suppress(FileNotFoundError):
            (self._directory / CONTROL).unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket_path(self._directory, CONTROL) as path:
                previous = os.umask(0o177)  # the socket is 0600 from its first moment
                try:
                    listener.bind(path)
                finally:
                    os.umask(previous)
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=_LINE_LIMIT)
        except OSError as error:
            listener.close()
            raise Fault(FaultKind.PERMISSION, f"Could not open `{self._directory / CONTROL}`") from error

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._server = None
        with contextlib.suppress(FileNotFoundError):
            (self._directory / CONTROL).unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            connection = writer.get_extra_info("socket")
            if connection is None or not is_same_user(connection):
                return
            async with asyncio.timeout(_SERVER_DEADLINE):
                line = await reader.readline()
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError, TimeoutError):
            # The other end went away or said too much: nobody is left to tell.
            return
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return {"ok": False, "what": "not a JSON line"}
        handler = self._handlers.get(str(request.get("op"))) if isinstance(request, dict) else None
        if handler is None:
            return {"ok": False, "what": "unknown request"}
        try:
            return {"ok": True, **handler(request)}
        except Fault as fault:
            return {"ok": False, **fault.as_dict()}


def ask(directory: Path, op: str, *, timeout: float = 5.0) -> dict[str, Any] | None:
    """Ask the process that works in ``directory``; None when nobody answers.

    Raises:
        Fault: FAILED when it answers something that is no answer, or says no.
    """
    if not hasattr(socket, "AF_UNIX"):  # pragma: no cover - Windows
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            with socket_path(directory, CONTROL) as path:
                connection.connect(path)
            if not is_same_user(connection):
                return None
            connection.sendall(json.dumps({"op": op}).encode() + b"\n")
            received = b""
            while not received.endswith(b"\n") and len(received) < _LINE_LIMIT:
                chunk = connection.recv(_LINE_LIMIT)
                if not chunk:
                    break
                received += chunk
        except OSError:
            return None
    try:
        answer = json.loads(received)
    except ValueError as error:
        raise Fault(FaultKind.FAILED, "The running process gave no answer") from error
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        raise Fault(FaultKind.FAILED, "The running process refused the request")
    return answer
