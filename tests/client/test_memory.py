"""What a client remembers survives, stays private, and cannot be damaged into forgetting silently."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from rozaneh.client import memory as mem
from rozaneh.core.errors import Fault, FaultKind
from rozaneh.core.files import write_private
from rozaneh.fleet.invites import Invite
from rozaneh.fleet.roster import Highest
from tests.fleet.builders import SECRET, invite


def test_nothing_yet(tmp_path: Path) -> None:
    assert mem.load(tmp_path) == mem.Memory()
    assert mem.stored_invite(tmp_path) is None


def test_round_trip_and_modes(tmp_path: Path) -> None:
    kept = mem.remember_roster(tmp_path, mem.Memory(port=1234, last_good="x"), invite(), Highest(7, "ab"), b"document")
    assert mem.load(tmp_path) == kept
    assert kept.seen[mem.key_of(invite())].bytes() == b"document"
    assert kept.seen[mem.key_of(invite())].highest() == Highest(7, "ab")
    mem.store_invite(tmp_path, invite())
    assert mem.stored_invite(tmp_path) == invite()
    for name in (mem.STATE_FILE, mem.INVITE_FILE):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"unknown": 1}', b'{"seen": {"a": 1}}', b"[" * 10_000, b"\xff"]
)
def test_damage_is_told(tmp_path: Path, content: bytes) -> None:
    write_private(tmp_path / mem.STATE_FILE, content)
    with pytest.raises(Fault) as caught:
        mem.load(tmp_path)
    assert caught.value.kind is FaultKind.INTEGRITY


def test_another_versions_file_is_told(tmp_path: Path) -> None:
    write_private(tmp_path / mem.STATE_FILE, b'{"schema": "rozaneh.client/9"}')
    with pytest.raises(Fault) as caught:
        mem.load(tmp_path)
    assert caught.value.kind is FaultKind.UNSUPPORTED


def test_a_damaged_document_only_means_fetching_again() -> None:
    assert mem.Seen(1, "x", "%%%").bytes() == b""


def test_earlier_issuers_are_kept_and_bounded(tmp_path: Path) -> None:
    memory = mem.Memory()
    for number in range(6):
        one = Invite(bytes([number]) * 32, invite().secret, ("default",), invite().ways)
        memory = mem.remember_roster(tmp_path, memory, one, Highest(1, "x"), b"")
    assert len(memory.seen) == 4
    assert f"{(bytes([5]) * 32).hex()}/default" in memory.seen
    assert f"{(bytes([1]) * 32).hex()}/default" not in memory.seen


def test_a_stored_invite_that_was_damaged_is_refused(tmp_path: Path) -> None:
    mem.store_invite(tmp_path, invite())
    content = (tmp_path / mem.INVITE_FILE).read_bytes()
    write_private(tmp_path / mem.INVITE_FILE, content[:30] + b"x" + content[31:])
    with pytest.raises(Fault) as caught:
        mem.stored_invite(tmp_path)
    assert caught.value.kind is FaultKind.INTEGRITY


def test_text_shows_nothing() -> None:
    assert SECRET.hex() not in repr(mem.Memory(last_good="h2+tls(address=93.184.215.14:443,name=x)"))
    assert "93.184" not in repr(mem.Memory(last_good="h2+tls(address=93.184.215.14:443,name=x)"))
