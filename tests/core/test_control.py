"""The control channel answers its owner, bounds what it reads, and survives long paths."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rozaneh.core import control, peercred
from rozaneh.core.errors import Fault, FaultKind


def echo(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"echo": request["op"]}


def refuse(_: Mapping[str, Any]) -> dict[str, Any]:
    raise Fault(FaultKind.QUOTA, "no more")


async def served(directory: Path, question: Any) -> Any:
    server = control.ControlServer(directory, {"echo": echo, "refuse": refuse})
    await server.open()
    try:
        return await asyncio.to_thread(question)
    finally:
        await server.close()


def raw(directory: Path, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection, control.socket_path(directory, control.CONTROL) as path:
        connection.settimeout(10)
        connection.connect(path)
        received = b""
        with contextlib.suppress(ConnectionError):  # a refused peer may be cut before it has spoken
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(4096):
                received += chunk
        return received


def test_ask_and_answer(tmp_path: Path) -> None:
    assert asyncio.run(served(tmp_path, lambda: control.ask(tmp_path, "echo"))) == {"ok": True, "echo": "echo"}
    assert not (tmp_path / control.CONTROL).exists()


def test_a_path_longer_than_a_socket_address(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    assert asyncio.run(served(deep, lambda: control.ask(deep, "echo"))) == {"ok": True, "echo": "echo"}


def test_the_socket_is_private(tmp_path: Path) -> None:
    mode = asyncio.run(served(tmp_path, lambda: stat.S_IMODE((tmp_path / control.CONTROL).stat().st_mode)))
    assert mode == 0o600


def test_nobody_there(tmp_path: Path) -> None:
    assert control.ask(tmp_path, "echo") is None
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / control.CONTROL))
    stale.close()
    assert control.ask(tmp_path, "echo") is None
    assert asyncio.run(served(tmp_path, lambda: control.ask(tmp_path, "echo"))) is not None


@pytest.mark.parametrize("op", ["refuse", "unknown"])
def test_a_no_is_a_fault(tmp_path: Path, op: str) -> None:
    with pytest.raises(Fault) as caught:
        asyncio.run(served(tmp_path, lambda: control.ask(tmp_path, op)))
    assert caught.value.kind is FaultKind.FAILED


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"{\n", b'"echo"\n', b'{"op": 1}\n', b"\xff\n", b"[" * 50_000 + b"\n"]
)
def test_nonsense_gets_a_no(tmp_path: Path, line: bytes) -> None:
    answer = asyncio.run(served(tmp_path, lambda: raw(tmp_path, line)))
    assert answer == b"" or b'"ok": false' in answer


def test_another_user_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peercred, "peer_uid", lambda _: 12345)
    assert asyncio.run(served(tmp_path, lambda: raw(tmp_path, b'{"op": "echo"}\n'))) == b""


def test_peer_uid_is_ours() -> None:
    import os

    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peercred.peer_uid(left) == os.geteuid()
        assert peercred.is_same_user(left)
