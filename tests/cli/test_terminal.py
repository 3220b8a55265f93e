"""What only a terminal shows: an invite asked for without echo, and the question before wiping."""

from __future__ import annotations

import os
import pty
import select
from pathlib import Path

import pytest

from rozaneh.client import memory as mem
from rozaneh.core.files import private_dir
from rozaneh.fleet.invites import encode
from tests.fleet.builders import invite
from tests.programs import COMMAND, DEADLINE, environment


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(COMMAND[0], [*COMMAND, *arguments], environment())  # noqa: S606

    def wait_for(self, text: str) -> None:
        """Read until the command has shown ``text``."""
        while text not in self.seen:
            readable, _, _ = select.select([self.fd], [], [], DEADLINE)
            assert readable, self.seen
            assert self._read(), self.seen

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self.fd, text.encode() + b"\n")

    def end(self) -> int:
        """Read to the end and give the exit code."""
        while self._read():
            continue
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End it whatever it does."""
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def _read(self) -> bool:
        try:
            chunk = os.read(self.fd, 4096)
        except OSError:  # Linux answers EIO when the other side has closed
            return False
        self.seen += chunk.decode(errors="replace")
        return bool(chunk)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A reader's directory."""
    return tmp_path / "state"


def run(*arguments: str) -> Terminal:
    return Terminal(*arguments)


def test_an_invite_is_asked_for_without_echo(state: Path) -> None:
    damaged = encode(invite())[:-2]
    terminal = run("connect", "--dir", str(state))
    try:
        terminal.wait_for("Paste the invite")
        terminal.type(damaged)
        assert terminal.end() == 10
        assert damaged not in terminal.seen
        assert damaged[8:40] not in terminal.seen
        assert "not a whole invite" in terminal.seen
    finally:
        terminal.close()
    assert not state.exists()


@pytest.mark.parametrize(("word", "code", "left"), [("yes", 0, False), ("no", 1, True), ("", 1, True)])
def test_wipe_lists_and_asks(state: Path, word: str, code: int, left: bool) -> None:
    mem.store_invite(private_dir(state), invite())
    terminal = run("wipe", "--dir", str(state))
    try:
        terminal.wait_for("Type yes")
        assert str(state / "invite") in terminal.seen
        terminal.type(word)
        assert terminal.end() == code
    finally:
        terminal.close()
    assert (state / "invite").exists() is left
